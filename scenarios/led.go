package scenarios

import (
	"fmt"
	"slices"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// A Led is a shopper's way where somebody else, such as a script, says what it
// does next. What the shopper drew stays: what is asked for in the order of its
// journey has the keys, lines and think times that it has there, and the persona
// repeats what fails, takes payment through a token, and asks about what is
// pending. What its journey does not have gets a place after it. A led shopper
// does not start over: what has failed for good is the leader's business.
//
// Between two things that are asked for, Next returns false.
type Led struct {
	Journey      // polls and logins around next
	walk    walk // whose index is the place of what was done last, -1 before
	used    map[int]bool
	until   int    // place of the last step of what was asked for
	fresh   bool   // it begins
	say     string // instead of the shopper's own line; empty: that
	done    bool   // the step that the walk is at was answered by OK
	last    Result // what counts of it
}

// Led returns the shopper's way for somebody who leads it. A raw one repeats
// nothing, whatever its persona.
func (s Shopper) Led(raw bool) *Led {
	s.Persona.Reinstalls = 0
	if p := &s.Persona; raw {
		p.Retries, p.Reasks, p.Tap, p.Claims = 0, 0, 0, 0
	}
	l := &Led{
		walk: walk{shopper: s, steps: script(s.Journey, s.turns()), begun: true, index: -1, end: Ending{Outcome: results.Canceled}},
		used: map[int]bool{},
	}
	l.Journey = s.attended((*leading)(l))
	return l
}

// leading is what a Led has to say for itself, without polls and logins.
type leading Led

// Next implements Journey.
func (l *leading) Next(last Result) (Step, bool) {
	w := &l.walk
	if l.fresh {
		l.fresh = false
		var step Step
		w.step(&step, 0)
		return l.worded(step), true
	}
	at := w.index
	if ok := last.Outcome == results.OK; !w.intent.reading && (ok || !l.done) || !ok && !l.done {
		l.done, l.last = ok, last
	}
	delegated := w.kind() == Delegate
	step, ok := w.Next(last)
	if !ok || w.index > l.until {
		w.over, w.index = true, min(w.index, l.until)
		if l.done && w.steps[at] == Complete { // the coupon is spent
			w.coupon, w.holder = "", 0
		}
		return Step{}, false
	}
	if w.index != at || delegated {
		l.done = false
	}
	return l.worded(step), true
}

// worded puts the leader's line in the place of the shopper's. Who leads may
// always go on talking.
func (l *leading) worded(s Step) Step {
	s.Last = false
	if s.Kind == Turn && l.say != "" {
		if s.Say = l.say; s.Attempt > 0 && l.walk.shopper.Persona.Rewords {
			s.Say = l.walk.shopper.again(l.say)
		}
	}
	return s
}

// End implements Journey.
func (l *leading) End() Ending { return l.walk.end }

// Chat asks for the next turn of the conversation; an empty line leaves the
// words to the shopper.
func (l *Led) Chat(line string) error {
	if err := l.begin(Turn); err != nil {
		return err
	}
	l.say = line
	return nil
}

// Claim asks for a coupon, or as many as the persona claims.
func (l *Led) Claim() error {
	if l.walk.skips(Claim) {
		return fmt.Errorf("claim a coupon: the campaign has no target.coupons")
	}
	l.walk.end.MeantToClaim = true
	if i := slices.Index(l.walk.steps, Claim); i >= 0 {
		l.ask(i, i) // further claims have keys of their own
		return nil
	}
	return l.begin(Claim)
}

// Do asks for one step of a checkout: Create, Update or Complete.
func (l *Led) Do(kind StepKind) error {
	w := &l.walk
	switch {
	case w.shopper.plan.Target.Checkout.Protocol == "":
		return fmt.Errorf("%v a checkout: the campaign has no target.checkout", kind)
	case kind == Update && w.coupon == "":
		return fmt.Errorf("update a checkout: there is no coupon to put into it: claim one first")
	case kind != Create && w.session == "" && !w.skips(Create):
		return fmt.Errorf("%v a checkout: there is none: create one first", kind)
	case w.skips(kind):
		return fmt.Errorf("%v a checkout: the campaign's target can't", kind)
	}
	return l.begin(kind)
}

// Checkout asks for everything from opening a checkout to the order, with the
// coupon if there is one and the shopper's think times in between.
func (l *Led) Checkout() error {
	w := &l.walk
	if w.shopper.plan.Target.Checkout.Protocol == "" {
		return fmt.Errorf("check out: the campaign has no target.checkout")
	}
	from, until := l.unused(Create), l.unused(Complete)
	updates := from >= 0 && until > from && slices.Contains(w.steps[from:until], Update)
	if from < 0 || until < from || w.coupon != "" && !updates {
		from = len(w.steps)
		w.steps = append(w.steps, Create, Update, Complete)
		until = len(w.steps) - 1
	}
	if until >= MoreClaims {
		return errTooFar
	}
	for from < until && w.skips(w.steps[from]) {
		from++
	}
	l.ask(from, until)
	return nil
}

var errTooFar = fmt.Errorf("a shopper does at most %d things: lead another one", MoreClaims)

// begin asks for one step of a kind, at its place in the journey if it has one
// that is left.
func (l *Led) begin(kind StepKind) error {
	at := l.unused(kind)
	if at < 0 {
		at = len(l.walk.steps)
		l.walk.steps = append(l.walk.steps, kind)
	}
	if at >= MoreClaims {
		return errTooFar
	}
	l.ask(at, at)
	return nil
}

// unused returns the first place of a kind that was not asked for, or -1.
func (l *Led) unused(kind StepKind) int {
	for i, k := range l.walk.steps {
		if k == kind && !l.used[i] {
			return i
		}
	}
	return -1
}

// ask begins what stands from one place to another.
func (l *Led) ask(from, until int) {
	w := &l.walk
	for i := from; i <= until; i++ {
		l.used[i] = true
	}
	switch w.steps[from] {
	case Create:
		w.session, w.token = "", ""
		w.end.MeantToOrder = true
	case Complete:
		w.end.MeantToOrder = true
	}
	w.index, w.intent, w.over = from, intent{}, false
	l.until, l.fresh, l.done, l.say, l.last = until, true, false, "", Result{}
}

// Thinks returns how long the shopper thinks before what comes next in its
// journey; nothing before the first.
func (l *Led) Thinks() time.Duration {
	if l.walk.index < 0 {
		return 0
	}
	next := l.walk // whose slices are not written to
	next.over = false
	var step Step
	if next.advance(&step) {
		return step.Think
	}
	return l.walk.shopper.thinks(len(l.walk.steps)) // something of its leader's own
}

// Last returns what came of the last thing that was asked for: the answer that
// was OK, or the last one.
func (l *Led) Last() Result { return l.last }

// Leave ends the way. A shopper that did what was asked of it last leaves
// content.
func (l *Led) Leave(o results.Outcome) { l.walk.end.Outcome = o }

var (
	_ Journey = (*Led)(nil)
	_ Journey = (*leading)(nil)
)
