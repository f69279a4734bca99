package crowd

import (
	"encoding/hex"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// examplesEach is how many exchanges are kept for each stage, step and outcome.
const examplesEach = 3

// A kind is what examples are counted by.
type kind struct {
	stage, step string
	outcome     results.Outcome
}

// evidence chooses which exchanges are rendered as examples: of each kind the
// first few, and then those that are slower than the last of the slowest few by
// a tenth. What is passed over is thus slower than what is kept by a tenth at
// most, and a backend that grows slower and slower has some hundred exchanges
// rendered and not each.
type evidence struct {
	kinds atomic.Pointer[map[kind]*bar] // copied when a kind is new

	mu sync.Mutex
}

// A bar is what an exchange of one kind has to exceed.
type bar struct {
	over    atomic.Int64 // response time in nanoseconds; -1 until enough are kept
	slowest []time.Duration
}

// wants says whether an example of this step is of use, and takes it as made.
// Every step asks: it must cost next to nothing to say no.
func (e *evidence) wants(f *results.Step) bool {
	k := kind{f.Stage, f.Name, f.Outcome}
	if b := e.bar(k); b != nil && int64(f.Response) <= b.over.Load() {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.bar(k)
	if b == nil {
		b = e.raise(k)
	} else if int64(f.Response) <= b.over.Load() {
		return false
	}
	if b.slowest = append(b.slowest, f.Response); len(b.slowest) > examplesEach {
		i := slices.Index(b.slowest, slices.Min(b.slowest))
		b.slowest = slices.Delete(b.slowest, i, i+1)
	}
	if len(b.slowest) == examplesEach {
		least := slices.Min(b.slowest)
		b.over.Store(int64(least + least/10))
	}
	return true
}

func (e *evidence) bar(k kind) *bar {
	if all := e.kinds.Load(); all != nil {
		return (*all)[k]
	}
	return nil
}

// raise adds a kind; e.mu is held.
func (e *evidence) raise(k kind) *bar {
	all := map[kind]*bar{}
	if old := e.kinds.Load(); old != nil {
		all = maps.Clone(*old)
	}
	b := &bar{slowest: make([]time.Duration, 0, examplesEach+1)}
	b.over.Store(-1)
	all[k] = b
	e.kinds.Store(&all)
	return b
}

// example makes evidence of the step that just ended.
func (s *Shopper) example(f *results.Step, r *scenarios.Result) *results.Example {
	x := &results.Example{
		Stage: f.Stage, Step: f.Name, Outcome: f.Outcome, Shopper: s.ID.String(),
		Trace: hex.EncodeToString(s.step.Key[:]), Attempt: f.Attempt,
		At: f.At, Took: f.Response, Service: f.Service, Why: r.Why,
	}
	if s.conn != nil {
		s.conn.Hide(s.took(append(s.before, s.Secrets()...)))
		x.Request, x.Response = s.conn.Exchange()
		x.Why = s.conn.Redact(r.Why) // a backend may repeat what it was sent
	}
	return x
}

// took appends what the shopper took that nobody else may see.
func (s *Shopper) took(hidden []string) []string {
	for name, value := range s.Taken {
		if wire.Secret(name) {
			hidden = append(hidden, value)
		}
	}
	return hidden
}
