package coordinator

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// Digest identifies the bytes of an exchange.
type Digest [sha256.Size]byte

// record is what the snapshots of a worker add up to, and how it ended.
type record struct {
	Last     uint64         `cbor:"1,keyasint"` // sequence that is stored
	Frontier scenarios.Mark `cbor:"2,keyasint"`
	Launched uint64         `cbor:"3,keyasint"`
	Ended    uint64         `cbor:"4,keyasint"`
	Final    bool           `cbor:"5,keyasint,omitempty"`  // nothing follows
	Gone     bool           `cbor:"6,keyasint,omitempty"`  // its lease was ended: what it still says is refused
	Fate     string         `cbor:"7,keyasint,omitempty"`  // how it ended, unless well
	Grant    uint64         `cbor:"8,keyasint"`            // version of the spans that its child has in force
	Holes    []results.Hole `cbor:"9,keyasint,omitempty"`  // see results.Hole
	Leaving  bool           `cbor:"10,keyasint,omitempty"` // it asked to go
	passage
}

// passage is how a worker came and went, for the report: see results.WorkerNote.
type passage struct {
	Joined   scenarios.Mark    `cbor:"11,keyasint,omitempty"`
	Full     uint64            `cbor:"12,keyasint,omitempty"`
	FullFrom scenarios.Mark    `cbor:"13,keyasint,omitempty"`
	Leave    scenarios.Mark    `cbor:"14,keyasint,omitempty"` // it asked to go, or was ended
	Heirs    map[string]uint64 `cbor:"15,keyasint,omitempty"`
	Passed   scenarios.Mark    `cbor:"16,keyasint,omitempty"`
	Had      int               `cbor:"17,keyasint,omitempty"` // slots when it went
}

// node is one worker.
type node struct {
	record
	id, name string
	capacity uint64
	version  uint64           // of the spans
	spans    []scenarios.Span // as they were answered last, or will be
	releases []release        // taken from it, and perhaps not known to it yet
	digest   Digest           // of the last stored exchange
	deadline time.Duration    // its lease runs out
	clocks   results.Clocks   // as far off as they were seen
	pending  *Exchanged       // asked to be committed
	closed   bool             // nothing more is expected of it
	noted    bool             // its end is
}

// release is the end of a slot that was taken from its owner. It is nobody's
// until the owner says from where on it has not launched any of it.
type release struct {
	Span    scenarios.Span `cbor:"1,keyasint"` // as the owner had it, from the moment it was to stop
	Version uint64         `cbor:"2,keyasint"` // of the owner's spans without it
	Heir    string         `cbor:"3,keyasint"` // whose it will be
}

// absorb enters what an exchange told into the record.
func (n *node) absorb(seq uint64, f Facts) {
	n.Last = seq
	n.Frontier = max(n.Frontier, f.Frontier)
	n.Launched += f.Launched
	n.Ended += f.Ended
	n.Final = f.Final
	n.Fate = f.Fate
	n.Grant = max(n.Grant, f.Grant)
	if f.Fate == "" {
		n.Holes = f.Holes
	}
}

// gone notes that nothing is heard of n any more, and why.
func (n *node) gone(fate string) { n.Gone, n.Fate = true, fate }

// idle says that n has nothing to do any more: it has launched what it has, or
// counted it as never started, and everybody has ended. It is exact, because
// all of it comes from one stored snapshot.
func (n *node) idle() bool {
	if n.Launched != n.Ended || n.Grant != n.version || len(n.Holes) > 0 || len(n.releases) > 0 {
		return false
	}
	for _, s := range n.spans {
		if n.Frontier < s.To {
			return false
		}
	}
	return true
}

// slots is how many slots n has to the plan's end.
func (n *node) slots(end scenarios.Mark) (count int) {
	for _, s := range n.spans {
		if s.To == end {
			count++
		}
	}
	return count
}

// open says that n may be given slots: something of it is stored, and it is
// neither gone nor going.
func (n *node) open() bool { return !n.closed && !n.Leaving && n.Last > 0 }

// unlaunched returns what of a span n can't have launched or may not have, as
// far as its stored snapshots tell.
func (n *node) unlaunched(s scenarios.Span) []scenarios.Span {
	var open []scenarios.Span
	add := func(from, to scenarios.Mark) {
		if from, to = max(from, s.From), min(to, s.To); from < to {
			piece := s
			piece.From, piece.To = from, to
			open = append(open, piece)
		}
	}
	if s.Grant > n.Grant { // it may have it since, and has not said so
		add(s.From, s.To)
		return open
	}
	for _, h := range n.Holes {
		if h.Grant == s.Grant {
			add(h.From, h.To)
		}
	}
	add(n.Frontier, s.To)
	return open
}

// Leases are what must survive of a run beside its snapshots. What snapshots
// told since is told again from the store.
type Leases struct {
	Term    uint64            `cbor:"1,keyasint"`
	Started bool              `cbor:"2,keyasint"`
	Zero    time.Duration     `cbor:"3,keyasint"` // on the boot clock
	Stop    scenarios.Stop    `cbor:"4,keyasint"`
	Why     string            `cbor:"5,keyasint,omitempty"`
	Workers map[string]tenure `cbor:"6,keyasint"`
	Order   []string          `cbor:"7,keyasint"`           // of the workers
	Free    []scenarios.Span  `cbor:"8,keyasint,omitempty"` // nobody's
	Lost    []loss            `cbor:"9,keyasint,omitempty"`
}

// loss is arrivals that will never start.
type loss struct {
	Spans []scenarios.Span `cbor:"1,keyasint"`
	Why   string           `cbor:"2,keyasint"`
}

// tenure is what a worker has, and how far the coordinator had heard it.
type tenure struct {
	Name     string           `cbor:"1,keyasint"`
	Capacity uint64           `cbor:"2,keyasint"`
	Closed   bool             `cbor:"3,keyasint,omitempty"`
	Version  uint64           `cbor:"4,keyasint"`
	Spans    []scenarios.Span `cbor:"5,keyasint,omitempty"`
	Releases []release        `cbor:"6,keyasint,omitempty"`
	Record   record           `cbor:"7,keyasint"`
	Clocks   results.Clocks   `cbor:"8,keyasint"`
}

// Leases returns the present state of that. What the machine does later does not
// change it.
func (m *Machine) Leases() Leases {
	f := Leases{
		Term: m.term, Started: m.started, Zero: m.zero, Stop: m.stop, Why: m.why,
		Workers: make(map[string]tenure, len(m.nodes)), Order: m.order, Free: m.free, Lost: m.lost,
	}
	for id, n := range m.nodes {
		record := n.record
		record.Heirs = maps.Clone(n.Heirs)
		f.Workers[id] = tenure{n.name, n.capacity, n.closed, n.version, n.spans, slices.Clone(n.releases), record, n.clocks}
	}
	return f
}

// Encode returns the form in which leases are stored.
func (f Leases) Encode() ([]byte, error) {
	b, err := cbor.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode lease state: %w", err)
	}
	return b, nil
}

// DecodeLeases reads what Encode wrote.
func DecodeLeases(b []byte) (Leases, error) {
	var f Leases
	if err := cbor.Unmarshal(b, &f); err != nil {
		return Leases{}, fmt.Errorf("decode lease state: %w", err)
	}
	for _, id := range f.Order {
		if _, ok := f.Workers[id]; !ok {
			return Leases{}, errors.New("decode lease state: a worker is missing")
		}
	}
	return f, nil
}

// share returns what Assign needs to know.
func (n *node) share() agents.Share { return agents.Share{Worker: n.id, Capacity: n.capacity} }
