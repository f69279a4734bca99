package scenarios

import (
	"slices"

	"github.com/flashcrowd/flashcrowd/results"
)

// script returns the steps of a journey, or nil for an unknown one. A step's
// index is its place here, also when a step before it is skipped.
func script(journey string) []StepKind {
	switch journey {
	case "order":
		return []StepKind{Turn, Turn, Turn, Claim, Create, Update, Complete}
	case "browse":
		return []StepKind{Turn, Turn, Turn}
	}
	return nil
}

// Journeys lists the names a campaign can use.
func Journeys() []string { return []string{"order", "browse"} }

// Walk returns the shopper's way through its journey, from the start. Where
// the target hands out no coupons, claiming and applying one are left out.
func (s Shopper) Walk() Journey {
	w := &walk{shopper: s, steps: script(s.Journey), end: Ending{Outcome: results.Canceled}}
	w.end.MeantToClaim = slices.Contains(w.steps, Claim) && !w.skips(Claim)
	w.end.MeantToOrder = slices.Contains(w.steps, Complete)
	return w
}

// A walk is a scripted journey: the shopper says its lines whatever comes
// back, as long as something does.
type walk struct {
	shopper Shopper
	steps   []StepKind
	begun   bool
	over    bool
	index   int // of the step asked for last
	attempt int // of that step

	coupon   string
	session  string
	token    string // what paying was delegated to
	amount   int64  // the checkout's total, as told last
	currency string
	end      Ending
}

// Next implements Journey.
func (w *walk) Next(last Result) (Step, bool) {
	switch {
	case w.over:
		return Step{}, false
	case !w.begun:
		w.begun = true
		return w.step(), true
	case last.Outcome == results.OK:
		return w.take(last)
	case last.Outcome == results.Rejected && w.kind() == Claim:
		return w.advance() // sold out, or had enough: it buys without
	}
	if w.attempt < w.shopper.Persona.tries(last.Outcome) {
		if pause, ok := w.shopper.backsOff(w.index, w.attempt+1, last.RetryAfter); ok {
			w.attempt++
			step := w.step()
			step.Think = pause
			return step, true
		}
	}
	return w.leave(last.Outcome)
}

// kind returns what the current step does. Where the target delegates payment,
// that comes before completing, whatever the journey.
func (w *walk) kind() StepKind {
	k := w.steps[w.index]
	if k == Complete && w.token == "" && w.shopper.plan.Target.Checkout.delegates() {
		return Delegate
	}
	return k
}

// take keeps what an answer gave, and goes on.
func (w *walk) take(r Result) (Step, bool) {
	switch w.kind() {
	case Claim:
		w.coupon, w.end.Claimed = r.Coupon, true
	case Create:
		w.session, w.amount, w.currency = r.Session, r.Amount, r.Currency
	case Update:
		w.amount, w.currency = r.Amount, r.Currency
	case Delegate:
		w.token, w.attempt = r.Token, 0
		return w.step(), true // the agent's doing: nobody thinks in between
	case Complete:
		w.end.Ordered = true
	case Turn: // nothing to keep
	}
	return w.advance()
}

// skips says whether a step has nothing to do.
func (w *walk) skips(k StepKind) bool {
	return k == Claim && w.shopper.plan.Target.Coupons.Protocol == "" || k == Update && (w.coupon == "" || !w.shopper.plan.Target.Checkout.takesCodes())
}

func (w *walk) advance() (Step, bool) {
	w.index++
	w.attempt = 0
	for w.index < len(w.steps) && w.skips(w.steps[w.index]) {
		w.index++
	}
	if w.index >= len(w.steps) {
		return w.leave(results.OK)
	}
	step := w.step()
	step.Think = w.shopper.thinks(w.index)
	return step, true
}

func (w *walk) leave(o results.Outcome) (Step, bool) {
	w.over = true
	w.end.Outcome = o
	return Step{}, false
}

// delegation is added to a completion's step in the key of its delegation. That
// has no place of its own in the journey, so that the same shopper draws the
// same think times and keys whatever its target's protocol.
const delegation = 128

// step returns the current step, without its think time.
func (w *walk) step() Step {
	kind, intent := w.kind(), w.index
	if kind == Delegate {
		intent += delegation
	}
	s := Step{
		Kind: kind, Index: w.index, Attempt: w.attempt,
		Key:    w.shopper.Key(intent, 0),
		Answer: w.shopper.Persona.Answer,
	}
	switch s.Kind {
	case Turn:
		s.Say, s.FirstToken = w.shopper.say(w.index), w.shopper.Persona.FirstToken
	case Create:
		s.Item = w.shopper.item()
	case Update:
		s.Session, s.Coupon, s.Item = w.session, w.coupon, w.shopper.item() // an update replaces the whole
	case Delegate:
		s.Session, s.Amount, s.Currency = w.session, w.amount, w.currency
	case Complete:
		s.Session, s.Token = w.session, w.token
	case Claim: // the key says it all
	}
	return s
}

// End implements Journey.
func (w *walk) End() Ending { return w.end }

var _ Journey = (*walk)(nil)
