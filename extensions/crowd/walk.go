package crowd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// launch lets a shopper arrive; or come in, if the crowd is closed and there was
// no room before: its times count from then.
func (e *Engine) launch(d Due, clock scenarios.Clock, vacated time.Duration) {
	drawn := e.Plan.Shopper(d.ID)
	drawn.Attempt = d.Attempt
	due := d.When + clock.Zero
	outside := max(vacated-due, 0)
	s := &Shopper{Shopper: drawn, Header: e.Header(drawn, nil), journey: drawn.Walk(), due: due + outside, late: d.Hole > 0}
	e.Emit(results.Launch{
		Who: s.who(), At: d.At, Hash: drawn.Hash(), Closed: e.roster.atOnce > 0, Outside: outside,
		Hole: d.Hole, Grant: d.Grant, Again: d.Attempt > 0,
	})
	if !e.next(s, scenarios.Result{}) {
		e.leave(s, false)
		return
	}
	e.start(s)
}

// next gets a shopper ready for the step that follows from last; false when it
// leaves.
func (e *Engine) next(s *Shopper, last scenarios.Result) bool {
	var ok bool
	if s.step, ok = s.journey.Next(last); !ok {
		return false
	}
	if s.step.Fresh {
		s.History, s.Taken, s.Cookies, s.Sessions = nil, nil, nil, nil
		e.part(s)
	}
	if s.step.User != s.User {
		s.User, s.Cookies = s.step.User, nil
		s.Header = e.Header(s.Shopper, s.Taken)
	}
	if s.step.Fresh || s.step.Kind == scenarios.SignIn { // without the token of an earlier login
		s.Header = e.Header(s.Shopper, nil)
	}
	return true
}

// walk takes a shopper from step to step until it thinks or leaves.
func (e *Engine) walk(s *Shopper) {
	for {
		now, verdict := e.begin(s)
		switch verdict {
		case wait:
			e.think(s)
			return
		case quit:
			e.leave(s, true)
			return
		}
		r := e.do(now, s)
		if !e.next(s, r) {
			e.leave(s, r.Outcome == results.Canceled)
			return
		}
		if s.due += s.step.Think; s.step.Think > 0 {
			e.think(s)
			return
		}
	}
}

// What a shopper may do next.
type permit uint8

const (
	send permit = iota
	wait        // the lease ran out: hold the step
	quit        // the run is being cut
)

// A beginning is the right to begin a step, and when that was.
type beginning struct {
	fire  context.Context // ends with the lease
	start time.Time
	lag   time.Duration // since the step was due
}

// begin asks for the right to begin a step.
func (e *Engine) begin(s *Shopper) (beginning, permit) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.Boot()
	switch {
	case e.ending:
		return beginning{}, quit
	case e.held || now >= e.lease.Deadline:
		return beginning{}, wait
	}
	if s.due < e.resumed {
		s.delay(now)
	}
	e.running.add(s)
	if s.step.Kind == scenarios.Turn {
		s.streams = true
		e.streams++
		e.most = max(e.most, e.streams)
	}
	return beginning{e.fire, time.Now(), max(now-s.due, 0)}, send
}

// begun is a beginning at this moment, whatever the lease says.
func (e *Engine) begun(fire context.Context, s *Shopper) beginning {
	return beginning{fire, time.Now(), max(e.Boot()-s.due, 0)}
}

// do carries out the shopper's step, emits what came of it, and moves s.due to
// the end of the answer, from which the next step's think time counts.
func (e *Engine) do(b beginning, s *Shopper) scenarios.Result {
	s.opened = 0
	r := e.attempt(b.fire, s, b.start)
	r.Start = b.start
	if r.End.Before(b.start) {
		r.End = time.Now()
	}
	e.settle(b, s, &r)
	e.rest(s)
	return r
}

// settle emits what came of a step. It is apart from do because what it needs of
// the stack would be held while the answer streams.
//
//go:noinline
func (e *Engine) settle(b beginning, s *Shopper, r *scenarios.Result) {
	e.mu.Lock()
	e.running.remove(s)
	if s.streams {
		s.streams = false
		e.streams--
	}
	zero := e.lease.Clock.Zero
	e.mu.Unlock()

	intended := b.start.Add(-b.lag)
	s.due += r.End.Sub(intended)
	fact := results.Step{
		Who: s.who(), Name: s.step.Kind.String(), Attempt: s.step.Attempt, Outcome: r.Outcome,
		At: s.due - zero, Lag: b.lag, Response: r.End.Sub(intended), Service: r.End.Sub(b.start), Tokens: r.Tokens,
		Thoughts: r.Reasoning, Opened: s.opened, Own: r.Own,
		Answered: s.step.Kind == scenarios.Turn && r.Outcome == results.OK && !s.answered,
		Late:     s.late, Held: s.held,
	}
	s.held = false
	s.answered = s.answered || fact.Answered
	if !r.FirstChunk.IsZero() {
		fact.FirstChunk = r.FirstChunk.Sub(intended)
	}
	if !r.FirstReasoning.IsZero() {
		fact.Reasoning = r.FirstReasoning.Sub(intended)
	}
	if !r.FirstToken.IsZero() {
		fact.FirstToken = r.FirstToken.Sub(intended)
		if r.Tokens > 1 && r.Outcome == results.OK {
			fact.PerToken = r.LastToken.Sub(r.FirstToken) / time.Duration(r.Tokens-1)
		}
	}
	if e.evidence.wants(&fact) {
		fact.Example = s.example(&fact, r)
	}
	e.Emit(fact)
	if p, ok := promise(s, r, fact.At); ok && s.news(p) {
		e.Emit(p)
	}
}

// attempt carries out one step: what its protocol has to prepare, and then the
// request. A panic in a protocol becomes an outcome that nobody takes for ok: no
// answer of a backend may end the process.
func (e *Engine) attempt(fire context.Context, s *Shopper, start time.Time) (r scenarios.Result) {
	defer func() {
		if p := recover(); p != nil {
			r = scenarios.Result{Outcome: results.Unclassified, Why: fmt.Sprintf("internal error: %v", p), End: time.Now()}
			e.hangUp(s)
		}
	}()
	s.before = s.took(nil)
	for range mostRequests {
		if e.request(fire, s, start, &r); !r.More {
			break
		}
	}
	if k := s.step.Kind; r.Outcome == results.OK && (k == scenarios.SignIn || k == scenarios.Refresh) {
		s.Header = e.Header(s.Shopper, s.Taken)
	}
	return r
}

// mostRequests is how many requests one step may take, preparations included.
const mostRequests = 8

// request sends one request, on the shopper's connection if that is fit for it,
// and tells r what became of it. One that was not processed is sent again on
// another connection, as every client of HTTP/2 does.
func (e *Engine) request(fire context.Context, s *Shopper, start time.Time, r *scenarios.Result) {
	for sent := 1; ; sent++ {
		spent, failed := e.ready(fire, s, start)
		s.shunned = nil
		if failed != nil {
			*r = *failed
			return
		}
		step := s.step // its patience counts from the start, dialling included
		step.Answer = max(step.Answer-spent, 1)
		if step.FirstToken > 0 {
			step.FirstToken = max(step.FirstToken-spent, 1)
		}
		*r = e.Protocols.For(step.For()).Do(s.conn, s, step)
		if sent == mostSends || !s.conn.Unprocessed() {
			return
		}
		s.shunned = s.trunk
		e.hangUp(s)
	}
}

// mostSends is how often one request is sent that is not processed.
const mostSends = 4

// ready gets the shopper a connection, makes sure that it may still send, and
// returns how long ago the step began; otherwise what became of the request.
func (e *Engine) ready(fire context.Context, s *Shopper, start time.Time) (spent time.Duration, failed *scenarios.Result) {
	e.pickUp(s, e.Protocols.Socket && s.step.Kind == scenarios.Turn)
	if !e.reuse(s) {
		if failed := e.dial(fire, s, start); failed != nil {
			return 0, failed
		}
	}
	spent = time.Since(start)
	if fire.Err() != nil || spent > fresh && !e.mayFire() { // ended while dialling, before there was a connection to cancel
		return 0, &scenarios.Result{Outcome: results.Canceled, Why: "stopped", Unsent: true, End: time.Now()}
	}
	return spent, nil
}

// dial opens a connection for the shopper; otherwise it returns what became of
// the request.
func (e *Engine) dial(fire context.Context, s *Shopper, start time.Time) *scenarios.Result {
	patience := s.step.Answer
	if s.step.FirstToken > 0 {
		patience = s.step.FirstToken
	}
	within, cancel := context.WithDeadline(fire, start.Add(patience))
	err := e.open(within, s)
	cancel()
	if err == nil {
		return nil
	}
	var why *wire.Error
	own := errors.As(err, &why) && (why.Kind == wire.Exhausted || why.Kind == wire.NotAllowed)
	r := &scenarios.Result{Outcome: wire.Outcome(err), Why: err.Error(), Own: own, Unsent: true, End: time.Now()}
	if fire.Err() != nil {
		r.Outcome = results.Canceled
	}
	return r
}

// fresh is how long ago the lease may have been looked at when a request is
// sent: a step that does not dial sends within microseconds of its beginning. It
// is running time, as is the millisecond for which a BootClock may not know of a
// sleep: a request whose lease ended while the machine slept may leave within 2 ms
// of the awakening. The coordinator counts a lease for 2 % longer, which is 100 ms.
const fresh = time.Millisecond

// think puts a shopper back until its step is due.
func (e *Engine) think(s *Shopper) {
	e.mu.Lock()
	if e.ending {
		e.mu.Unlock()
		e.leave(s, true)
		return
	}
	first := e.thinking.add(s)
	e.mu.Unlock()
	if first {
		e.alarm()
	}
}

// leave ends a shopper; broken says that it did not end by itself.
func (e *Engine) leave(s *Shopper, broken bool) {
	e.mu.Lock()
	at := e.Boot() - e.lease.Clock.Zero
	e.mu.Unlock()
	if !broken {
		e.farewell(s)
	}
	e.part(s)
	end := s.journey.End()
	if broken {
		end.Outcome = results.Canceled
	}
	e.Emit(results.End{
		Who: s.who(), At: at, Outcome: end.Outcome, Duration: max(at-s.At, 0),
		MeantToClaim: end.MeantToClaim, Claimed: end.Claimed, MeantToOrder: end.MeantToOrder, Ordered: end.Ordered,
		BadCalls: end.BadCalls, Late: s.late,
	})
	e.mu.Lock()
	news := e.live == 1
	if e.full() {
		e.vacated, news = e.Boot(), true
	}
	e.live--
	e.mu.Unlock()
	if news {
		e.alarm()
	}
}

// patienceLeaving is how long a shopper waits for a farewell to be answered.
const patienceLeaving = time.Second

// farewell says goodbye to the backend, where a protocol does: on the open
// connection, as far as the lease allows.
func (e *Engine) farewell(s *Shopper) {
	if len(s.Sessions) == 0 {
		return
	}
	e.mu.Lock()
	e.running.add(s) // so that it can be broken off
	e.mu.Unlock()
	e.pickUp(s, false)
	defer func() {
		_ = recover() // as in attempt; nobody asks what became of it
		e.rest(s)
		e.mu.Lock()
		e.running.remove(s)
		e.mu.Unlock()
	}()
	for _, p := range []Protocol{e.Protocols.Coupons, e.Protocols.Checkout} {
		leaver, ok := p.(Leaver)
		if !ok || !e.mayFire() || !e.reuse(s) {
			continue
		}
		leaver.Leave(s.conn, s, time.Now().Add(patienceLeaving))
	}
}

// delay makes a shopper late: it goes on at a moment, from which its times
// count.
func (s *Shopper) delay(until time.Duration) {
	s.held = s.held || !s.late
	s.late, s.due = true, until
}

// who names the shopper and its cohort.
func (s *Shopper) who() results.Who {
	return results.Who{Slot: uint16(s.ID.Slot), Number: s.ID.Number, Stage: s.Stage, Persona: s.Persona.Name, Journey: s.Journey}
}

// cancel breaks off the request in flight, if there is one; the engine's lock
// is held, which is what makes s.conn safe to read.
func (s *Shopper) cancel() {
	if s.conn != nil {
		s.conn.Cancel()
	}
}
