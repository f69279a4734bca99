package scenarios

import (
	"slices"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// script returns the steps of a journey whose conversation has so many turns,
// at least 1, or nil for an unknown journey. A step's index is its place here,
// also when a step before it is skipped.
func script(journey string, turns int) []StepKind {
	steps := make([]StepKind, turns, turns+4)
	for i := range steps {
		steps[i] = Turn
	}
	switch journey {
	case "order", "bulk-order":
		return append(steps, Claim, Create, Update, Complete)
	case "repeat", "booking", "bill":
		return append(steps, Create, Complete)
	case "browse":
		return steps
	}
	return nil
}

// Journeys lists the names a campaign can use.
func Journeys() []string {
	return []string{"order", "browse", "bulk-order", "repeat", "booking", "bill"}
}

// Walk returns the shopper's way through its journey, from the start. Where
// the target hands out no coupons, claiming and applying one are left out.
func (s Shopper) Walk() Journey {
	w := &walk{shopper: s, steps: script(s.Journey, s.turns()), end: Ending{Outcome: results.Canceled}}
	w.end.MeantToClaim = slices.Contains(w.steps, Claim) && !w.skips(Claim)
	w.drops = s.Drops()
	w.end.MeantToOrder = slices.Contains(w.steps, Complete) && !w.drops
	if s.driven() {
		w.wants, w.steps = w.steps, []StepKind{Turn}
		w.agent = newAgent(s.plan.Campaign.Crowd.Driven)
	}
	return s.attended(w)
}

// attended puts around a journey what is not of it: polls and logins.
func (s Shopper) attended(j Journey) Journey {
	t := &s.plan.Target
	j = &asking{Journey: j, target: t}
	if t.Login != nil {
		j = &member{Journey: j, shopper: s}
	}
	return j
}

// A walk is a journey. It is scripted, and the shopper says its lines whatever
// comes back, as long as something does; or the assistant drives it: see agent.
type walk struct {
	shopper Shopper
	steps   []StepKind // all of them, or, when driven, up to the current one
	wants   []StepKind // when driven: what the script would have been
	agent   *agent     // nil when scripted
	drops   bool       // leaves once it has claimed
	begun   bool
	over    bool

	life   int // times it started over
	index  int // of the step asked for last
	claims int // done before this one
	intent intent

	coupon   string
	holder   int // the account that has the coupon
	session  string
	token    string // what paying was delegated to
	amount   int64  // the checkout's total, as told last
	currency string
	end      Ending
}

// An intent is what became of one step so far.
type intent struct {
	attempt int  // requests sent for it before this one
	tries   int  // of them, those that something had failed before
	tapped  bool // one of them was the second tap
	done    bool // one of them was answered by OK
	reads   int  // times the checkout was read back
	reading bool // now
}

// Next implements Journey.
func (w *walk) Next(last Result) (step Step, ok bool) {
	ok = w.next(&last, &step)
	return step, ok
}

// next fills in the step after last, which comes empty; false when the shopper
// leaves. Both are large: what follows hands them on and copies neither.
func (w *walk) next(last *Result, to *Step) bool {
	switch {
	case w.over:
		return false
	case !w.begun:
		w.begun = true
		return w.step(to, 0)
	case last.Outcome == results.Canceled:
		return w.leave(last.Outcome)
	case w.intent.reading:
		if last.Outcome == results.OK { // whatever it says: with the same key, the same request is safe
			w.intent.reading = false
			return w.again(to, 0)
		}
		return w.fail(last, to)
	}
	kind := w.kind()
	if last.Outcome == results.OK {
		w.take(last)
	}
	switch p := &w.shopper.Persona; {
	case kind == Delegate && w.intent.done:
		w.intent = intent{}
		return w.step(to, 0) // the agent's doing: nobody thinks in between
	case p.Tap > 0 && !w.intent.tapped && (kind == Claim || kind == Complete):
		w.intent.tapped = true
		return w.again(to, p.Tap)
	case kind == Claim && (w.intent.done || last.Outcome == results.Rejected):
		return w.claimed(last, to)
	case w.intent.done:
		return w.goOn(last, to)
	}
	return w.fail(last, to)
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

// take keeps what an answer gave.
func (w *walk) take(r *Result) {
	w.intent.done = true
	if w.agent != nil {
		w.agent.got = *r
	}
	switch w.kind() {
	case Claim:
		w.coupon, w.end.Claimed = r.Coupon, true
		w.holder = w.account()
	case Create:
		w.session, w.amount, w.currency, w.token = r.Session, r.Amount, r.Currency, ""
	case Update:
		w.amount, w.currency = r.Amount, r.Currency
	case Delegate:
		w.token = r.Token
	case Complete:
		w.end.Ordered = true
	case Turn:
		if w.agent != nil {
			w.agent.calls, w.agent.given = r.Calls, nil
		}
	case Read, Search: // nothing to keep
	}
}

// claimed goes on after a claim: told no (sold out, or had enough), it claims
// no more and buys with what it has.
func (w *walk) claimed(last *Result, to *Step) bool {
	p := &w.shopper.Persona
	w.claims++
	switch {
	case w.claims < p.Claims && (w.intent.done || p.Accounts):
		w.intent = intent{}
		return w.step(to, w.thinks())
	case w.drops:
		return w.leave(results.OK)
	}
	return w.goOn(last, to)
}

// goOn goes on after a step that is over.
func (w *walk) goOn(last *Result, to *Step) bool {
	switch {
	case w.agent == nil:
		return w.advance(to)
	case w.kind() == Turn:
		return w.follow(to)
	}
	return w.tell(last, to)
}

// fail tries again, starts over or gives up.
func (w *walk) fail(last *Result, to *Step) bool {
	p := &w.shopper.Persona
	if w.intent.tries < p.tries(*last) {
		if pause, ok := w.shopper.backsOff(w.life<<8|w.number(), w.intent.tries+1, last.RetryAfter); ok {
			w.intent.tries++
			if w.intent.reading || p.ReadsBack && w.kind() == Complete && lost(last.Outcome) && w.shopper.plan.Target.Checkout.offers(Read) {
				return w.read(to, pause)
			}
			return w.again(to, pause)
		}
	}
	if w.agent != nil && w.kind() != Turn {
		return w.tell(last, to) // it is for the assistant to say what follows
	}
	if w.life < p.Reinstalls && p.react(*last) != leave {
		w.life++
		w.index, w.claims, w.intent, w.coupon, w.holder, w.session, w.token = 0, 0, intent{}, "", 0, "", ""
		if w.agent != nil {
			w.steps, w.agent = w.steps[:1], newAgent(w.agent.limits)
		}
		to.Fresh = true
		return w.step(to, w.shopper.reinstalls(w.life))
	}
	return w.leave(last.Outcome)
}

// lost says that nobody can tell whether the backend did it.
func lost(o results.Outcome) bool {
	return o != results.RateLimited && react(o) == retry
}

// skips says whether a step has nothing to do.
func (w *walk) skips(k StepKind) bool {
	t := &w.shopper.plan.Target
	switch k {
	case Claim:
		return t.Coupons.Protocol == ""
	case Update:
		return w.coupon == "" || !t.Checkout.takesCodes() || !t.Checkout.offers(Update)
	default:
		return k != Turn && !t.Checkout.offers(k)
	}
}

func (w *walk) advance(to *Step) bool {
	w.index++
	w.intent = intent{}
	for w.index < len(w.steps) && w.skips(w.steps[w.index]) {
		w.index++
	}
	if w.index >= len(w.steps) {
		return w.leave(results.OK)
	}
	return w.step(to, w.thinks())
}

func (w *walk) leave(o results.Outcome) bool {
	w.over = true
	w.end.Outcome = o
	return false
}

// thinks returns the think time before the current step.
func (w *walk) thinks() time.Duration { return w.shopper.thinks(w.life<<8 | w.number()) }

// number returns the step of the current intent, as keys have it, before it is
// reworded.
func (w *walk) number() int {
	switch kind := w.kind(); {
	case kind == Claim && w.claims > 0:
		return MoreClaims + w.claims - 1
	case w.agent != nil && kind == Turn:
		return w.agent.turns - 1
	case w.agent != nil && kind == Delegate:
		return Delegating + w.agent.errand.number
	case w.agent != nil:
		return Called + w.agent.errand.number
	case kind == Delegate:
		return Delegated
	}
	return w.index
}

// account returns which of its accounts the shopper uses for the current step.
func (w *walk) account() int {
	if w.shopper.Persona.Accounts && w.steps[w.index] == Claim {
		return w.claims
	}
	return w.holder
}

// again fills in the current step once more.
func (w *walk) again(to *Step, pause time.Duration) bool {
	w.intent.attempt++
	return w.step(to, pause)
}

// read fills in the step that reads the checkout back.
func (w *walk) read(to *Step, pause time.Duration) bool {
	w.intent.reading = true
	w.intent.reads++
	w.request(to, Read, ReadBack, pause)
	to.Attempt, to.Session = w.intent.reads-1, w.session
	return true
}

// step fills in the current step.
func (w *walk) step(to *Step, think time.Duration) bool {
	number := w.number()
	kind, reworded := w.kind(), false
	if reworded = kind == Turn && w.shopper.Persona.Rewords && w.intent.attempt > 0 && !w.told(); reworded {
		number = Reworded + number<<4 + w.intent.attempt // another line is another request
	}
	w.request(to, kind, number, think)
	switch kind {
	case Turn:
		to.Say, to.FirstToken = w.line(reworded), w.shopper.Persona.FirstToken
		if w.agent != nil {
			to.Offer, to.Tools = true, w.agent.given
		} else {
			to.Last = !slices.Contains(w.steps[w.index+1:], Turn)
		}
	case Create:
		to.Coupon, to.Item = w.code(), w.item()
	case Update:
		to.Session, to.Coupon, to.Item = w.session, w.code(), w.item() // an update replaces the whole
	case Delegate:
		to.Session, to.Amount, to.Currency = w.session, w.amount, w.currency
	case Complete:
		to.Session, to.Token, to.Coupon = w.session, w.token, w.code()
		if w.shopper.plan.Target.Checkout.Protocol == HTTP { // it may buy in one request
			to.Item = w.item()
		}
	case Search:
		to.Query = w.agent.query
	case Claim, Read: // the key says it all; reading is not a step of a script
	}
	return true
}

// told says that the current turn is to tell the assistant what its calls gave.
func (w *walk) told() bool { return w.agent != nil && len(w.agent.given) > 0 }

// line returns what the user says in the current turn.
func (w *walk) line(reworded bool) string {
	place, again := w.index, reworded
	if w.agent != nil {
		place, again = w.agent.lines-1, reworded || w.agent.again > 0
	}
	switch {
	case w.told():
		return ""
	case again:
		return w.shopper.again(w.shopper.say(place))
	}
	return w.shopper.say(place)
}

// item returns what the current step is about.
func (w *walk) item() Item {
	if w.agent != nil {
		return w.agent.item
	}
	return w.shopper.item()
}

// code returns the coupon that the current step is to apply.
func (w *walk) code() string {
	if w.agent != nil {
		return w.agent.code
	}
	return w.coupon
}

// request fills in what all steps have.
func (w *walk) request(to *Step, kind StepKind, number int, think time.Duration) {
	to.Kind, to.Index, to.Attempt, to.Think = kind, w.index, w.intent.attempt, think
	to.Key = Key(w.shopper.plan.Campaign.Seed, Intent{ID: w.shopper.ID, Step: number, Life: w.life, Attempt: w.shopper.Attempt})
	to.User = w.shopper.account(w.account())
	to.Answer = w.shopper.Persona.Answer
}

// End implements Journey.
func (w *walk) End() Ending { return w.end }

var _ Journey = (*walk)(nil)
