package crowd

import (
	"sync"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// examplesEach is how many failed exchanges are kept for each stage, step and
// outcome.
const examplesEach = 3

// evidence bounds how many failed exchanges are kept.
type evidence struct {
	mu   sync.Mutex
	kept map[[3]string]int
}

// wants says whether one more example of this kind of failure is of use, and
// counts it.
func (e *evidence) wants(f results.Step) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	kind := [3]string{f.Stage, f.Name, f.Outcome.String()}
	if e.kept[kind] >= examplesEach {
		return false
	}
	if e.kept == nil {
		e.kept = make(map[[3]string]int)
	}
	e.kept[kind]++
	return true
}

// example makes evidence of the step that just ended.
func (s *Shopper) example(r scenarios.Result) *results.Example {
	x := &results.Example{
		Stage: s.Stage, Step: s.step.Kind.String(), Outcome: r.Outcome, Shopper: s.ID.String(),
		Trace: s.step.Key.String(), Why: r.Why,
	}
	if s.conn != nil {
		x.Request, x.Response = s.conn.Exchange()
		x.Why = s.conn.Redact(r.Why) // a backend may repeat what it was sent
	}
	return x
}
