// Package link joins a worker and its k6 child: frames on an inherited
// descriptor. It knows no k6 and does not look into plans or snapshots.
//
// A frame is its length (4 bytes, big-endian), its kind (1 byte) and a CBOR
// map. Setup, Lease and Hurry go from worker to child, Snapshot and Fault from child
// to worker.
//
// End of file ends the child's fire at once, on every system: a worker that is
// killed takes its load with it.
package link

import (
	"time"

	"github.com/flashcrowd/flashcrowd/scenarios"
)

// Setup is the first frame to a child: everything it needs to know but spans.
type Setup struct {
	Worker string            `cbor:"1,keyasint"` // the worker's id, for its snapshots
	Run    string            `cbor:"2,keyasint"` // the run's id, for the stress tag header
	Plan   []byte            `cbor:"3,keyasint"` // as GET /v1/plan gave it
	Env    map[string]string `cbor:"4,keyasint"` // the campaign's ${NAME}s, resolved by the worker
	Allow  []string          `cbor:"5,keyasint"` // hosts, addresses or prefixes it may fire at
	Data   string            `cbor:"6,keyasint"` // folder of the campaign's files, the only one that is read; may be empty
}

// Lease is the right to launch: what the coordinator answered to the snapshot
// with sequence Answers, and where plan time stands on this machine.
type Lease struct {
	Answers uint64           `cbor:"1,keyasint"`           // the child counts Length from its own cut of this snapshot; 0 grants nothing
	Version uint64           `cbor:"2,keyasint"`           // of the spans; only ever grows
	Spans   []scenarios.Span `cbor:"3,keyasint"`           // nil when Version is one the child has
	Length  time.Duration    `cbor:"4,keyasint"`           // 0 grants nothing
	Started bool             `cbor:"5,keyasint"`           // Zero is known
	Zero    time.Duration    `cbor:"6,keyasint"`           // see scenarios.Clock
	Stored  uint64           `cbor:"7,keyasint"`           // last sequence the coordinator has
	Stop    scenarios.Stop   `cbor:"8,keyasint"`           // sticky: a child obeys the greatest it has seen
	Why     string           `cbor:"9,keyasint,omitempty"` // of the stop
}

// Hurry asks the child for a snapshot at once: the coordinator has news, and
// only answers exchanges.
type Hurry struct{}

// Snapshot is what a child cut: bytes that its worker relays as they are.
type Snapshot struct {
	Seq   uint64 `cbor:"1,keyasint"`
	Bytes []byte `cbor:"2,keyasint"`
	Final bool   `cbor:"3,keyasint"` // nothing follows
}

// Fault is why a child can't go on, said before it exits.
type Fault struct {
	Text string `cbor:"1,keyasint"`
}
