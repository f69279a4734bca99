package scenarios

import (
	"fmt"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// Polling says how to ask again about an operation whose answer was pending. What
// it leaves out of take and the rules is the operation's. Its answer and poll
// are nil.
type Polling struct {
	Operation
	Every time.Duration `json:"every_ns"`         // from an answer to the next question, at least; not paced
	For   time.Duration `json:"for_ns,omitempty"` // how long at most, not paced; 0: as long as the shopper waits for one answer
}

// pollEvery is how often an answer is asked for where nobody says.
const pollEvery = time.Second

// poll returns how often and how long the shopper asks about a step; 0 leaves it
// to the shopper's patience.
func (t *Target) poll(kind StepKind) (every, limit time.Duration) {
	for _, e := range []Endpoint{t.Coupons, t.Checkout} {
		if p := e.Operations[kind.String()].Poll; p != nil {
			return p.Every, p.For
		}
	}
	return pollEvery, 0
}

// asking is a journey whose answers may be "not yet". It asks again until one
// is final, and tells that to the journey as the answer to its own step. A
// shopper that runs out of patience takes it for a timeout, as if the backend
// had let it wait for one answer.
type asking struct {
	Journey
	target *Target
	step   Step // what the journey asked for last
	polls  int  // made for it
	left   time.Duration
}

// Next implements Journey.
func (p *asking) Next(last Result) (Step, bool) {
	if p.polls > 0 || pending(&last) {
		if step, asks := p.ask(&last); asks {
			return step, true
		}
	}
	p.polls = 0
	var ok bool
	p.step, ok = p.Journey.Next(last)
	return p.step, ok
}

// pending says that a result is not the answer yet.
func pending(r *Result) bool { return r.Outcome == results.OK && r.Pending }

// ask returns the next poll; without one, last is what came of the whole.
func (p *asking) ask(last *Result) (Step, bool) {
	every, limit := p.target.poll(p.step.Kind)
	switch {
	case p.polls == 0:
		if p.left = p.step.Answer; limit > 0 {
			p.left = limit
		}
	case last.Outcome == results.OK && !last.Pending, last.Outcome == results.Rejected, last.Outcome == results.Canceled:
		return Step{}, false
	}
	p.left -= max(0, last.End.Sub(last.Start))
	pause := max(every, last.RetryAfter)
	if p.left <= pause {
		if last.Outcome == results.OK {
			last.Outcome, last.Why = results.TimedOut, fmt.Sprintf("still pending after %d polls", p.polls)
		}
		last.RetryAfter = 0
		return Step{}, false
	}
	p.left -= pause
	s := p.step
	s.Kind, s.Of, s.Attempt, s.Think, s.Fresh = Poll, p.step.Kind, p.polls, pause, false
	s.Answer = min(p.left, s.Answer)
	p.polls++
	return s, true
}

var _ Journey = (*asking)(nil)
