// Package agents holds the nouns of a fleet: the Exchange a worker sends each
// second and the Lease that answers it, and Assign, which shares out the slots.
// Its sub-packages do the work; who is a Member, membership knows.
//
// One exchange carries everything: heartbeat, results and lease are one
// message. Who reports keeps its slots; who can't report loses them and stops.
package agents

import (
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// Protocol is the version of everything nodes say to each other. Nodes of
// another version are refused at the door, in gossip.
const Protocol = 1

// VersionHeader is where a worker says which flashcrowd it is. A coordinator
// gives its plan to workers of its own version alone: others may draw another
// crowd from it.
const VersionHeader = "Flashcrowd-Version"

// LeaseLength is how long a lease lasts, counted by the child from its own cut
// of the snapshot that the lease answers. The coordinator counts 2 % more, from
// answering: the two clocks are never compared, only their rates are assumed
// to agree within that.
const LeaseLength = 5 * time.Second

// A Brief is what a worker is told before it starts its child: the answer to
// GET /v1/plan.
type Brief struct {
	Run  string `cbor:"1,keyasint"` // the run's id
	Plan []byte `cbor:"2,keyasint"` // the plan as its own room encodes it
}

// An Exchange is what a worker PUTs: one snapshot, and how the worker is.
type Exchange struct {
	Seq      uint64 `cbor:"1,keyasint"`
	Snapshot []byte `cbor:"2,keyasint"`           // as the child encoded it; empty when the child died without one
	Name     string `cbor:"3,keyasint"`           // as people say it
	Fate     string `cbor:"4,keyasint,omitempty"` // the child is gone and how; nothing follows
	Have     uint64 `cbor:"5,keyasint,omitempty"` // version of the spans that the child was told; 0 for none
	Capacity uint64 `cbor:"6,keyasint,omitempty"` // what this machine can carry, relative to others: thousandths of a processor
	Leaving  bool   `cbor:"7,keyasint,omitempty"` // it wants to go: its slots are to be given to others

	// Offset is how far this worker's plan time was at least from what the last
	// answer said: what the way there and back may account for is taken off.
	Offset time.Duration   `cbor:"8,keyasint,omitempty"`
	Wall   time.Duration   `cbor:"9,keyasint,omitempty"`  // likewise of the wall clocks
	Upsets []results.Upset `cbor:"10,keyasint,omitempty"` // noticed since the snapshot before
}

// A Lease answers an exchange.
type Lease struct {
	Term    uint64           `cbor:"1,keyasint"`
	Version uint64           `cbor:"2,keyasint"` // of this worker's spans; only ever grows, 0 before there are any
	Spans   []scenarios.Span `cbor:"3,keyasint"` // nil when Version is the one the worker said it has
	Started bool             `cbor:"4,keyasint"` // the start moment is set
	Now     scenarios.Mark   `cbor:"5,keyasint"` // plan time at the answer; negative before the start
	Length  time.Duration    `cbor:"6,keyasint"` // 0 grants nothing: see Stored
	Stored  uint64           `cbor:"7,keyasint"` // last sequence that is on disk; the next must follow it
	Stop    scenarios.Stop   `cbor:"8,keyasint"`
	Why     string           `cbor:"9,keyasint,omitempty"` // of the stop
	Held    time.Duration    `cbor:"10,keyasint"`          // from receipt to answer: not part of the way there and back
	Wall    time.Duration    `cbor:"11,keyasint"`          // the wall clock at the answer, since 1970
}
