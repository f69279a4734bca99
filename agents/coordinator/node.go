package coordinator

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/flashcrowd/flashcrowd/scenarios"
)

// digest identifies the bytes of an exchange.
type digest [sha256.Size]byte

// facts are what an exchange changes in a worker's record.
type facts struct {
	frontier scenarios.Mark
	launched uint64
	ended    uint64
	final    bool
	fate     string
}

// record is what the snapshots of a worker add up to, and how it ended.
type record struct {
	Last     uint64 // sequence that is stored
	Frontier scenarios.Mark
	Launched uint64
	Ended    uint64
	Final    bool   // nothing follows
	Gone     bool   // its lease was ended: what it still says is refused
	Fate     string // how it ended, unless well
}

// node is one worker.
type node struct {
	record
	id, name string
	spans    []scenarios.Span
	digest   digest        // of the last stored exchange
	deadline time.Duration // its lease runs out
	pending  *exchanged    // asked to be committed
	closed   bool          // nothing more is expected of it
}

// after returns the record as it is when e is stored.
func (n *node) after(e exchanged) record {
	r := n.record
	r.Last = e.seq
	r.Frontier = max(r.Frontier, e.facts.frontier)
	r.Launched += e.facts.launched
	r.Ended += e.facts.ended
	r.Final = e.facts.final
	r.Fate = e.facts.fate
	return r
}

// idle says that n has nothing to do any more. It is exact: a frontier at the
// plan's end can't move, and a worker that was told to stop moves it there in
// the snapshot that counts the rest as never started.
func (n *node) idle(end scenarios.Mark) bool {
	return n.Launched == n.Ended && (len(n.spans) == 0 || n.Frontier >= end)
}

// leases are what must survive of a run beside its snapshots, from which the
// records of the workers can be computed.
type leases struct {
	Term    uint64            `cbor:"1,keyasint"`
	Started bool              `cbor:"2,keyasint"`
	Zero    time.Duration     `cbor:"3,keyasint"` // on the boot clock
	Version uint64            `cbor:"4,keyasint"`
	Stop    scenarios.Stop    `cbor:"5,keyasint"`
	Why     string            `cbor:"6,keyasint,omitempty"`
	Workers map[string]tenure `cbor:"7,keyasint"`
}

// tenure is what a worker has, or had when it was closed.
type tenure struct {
	Name   string           `cbor:"1,keyasint"`
	Closed bool             `cbor:"2,keyasint,omitempty"`
	Gone   bool             `cbor:"3,keyasint,omitempty"`
	Fate   string           `cbor:"4,keyasint,omitempty"`
	Spans  []scenarios.Span `cbor:"5,keyasint,omitempty"`
}

// leases returns the present state of that.
func (s *state) leases() leases {
	f := leases{
		Term: s.term, Started: s.started, Zero: s.zero, Version: s.version,
		Stop: s.stop, Why: s.why, Workers: make(map[string]tenure, len(s.nodes)),
	}
	for id, n := range s.nodes {
		f.Workers[id] = tenure{n.name, n.closed, n.Gone, n.Fate, n.spans}
	}
	return f
}

// encode returns the form in which they are stored.
func (f leases) encode() ([]byte, error) {
	b, err := cbor.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode lease state: %w", err)
	}
	return b, nil
}
