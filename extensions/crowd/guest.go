package crowd

import (
	"context"
	"errors"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// A Guest is a shopper whom a script leads, one thing after another, on an
// engine that does not run. What happens becomes the same facts as in a crowd.
// One goroutine uses it, and its methods block.
type Guest struct {
	engine *Engine
	s      *Shopper
	led    *scenarios.Led
	ctx    context.Context
	stop   func() bool
	ended  results.Outcome // of what was asked last
	called bool            // s.due is when the next step should be
	left   bool
}

// errGone is for who asks something of a guest that has left.
var errGone = errors.New("the shopper has left")

// Host lets a shopper arrive now. Its requests end with ctx; when they do, it
// leaves. A raw one repeats nothing of its own accord.
func (e *Engine) Host(ctx context.Context, drawn scenarios.Shopper, raw bool) *Guest {
	hash, now := drawn.Hash(), e.Boot()
	e.mu.Lock()
	e.live++
	drawn.At = now - e.lease.Clock.Zero
	e.mu.Unlock()
	led := drawn.Led(raw)
	g := &Guest{
		engine: e, s: &Shopper{Shopper: drawn, Header: e.Header(drawn, nil), journey: led, due: now},
		led: led, ctx: ctx, ended: results.Canceled,
	}
	g.stop = context.AfterFunc(ctx, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		g.s.cancel()
	})
	e.Emit(results.Launch{Who: g.s.who(), At: drawn.At, Hash: hash})
	return g
}

// A Visit is what came of one thing that was asked of a guest.
type Visit struct {
	scenarios.Result        // the answer that was ok, or the last one
	Said             string // by the assistant, after a turn that went well
	Requests         int    // what it took
}

// Ask has the guest do what ask asks of its way, with whatever its persona
// repeats. It fails if that makes no sense, or when the guest has left; what a
// backend does is in the visit.
func (g *Guest) Ask(ask func(*scenarios.Led) error) (Visit, error) {
	if g.left {
		return Visit{}, errGone
	}
	if err := ask(g.led); err != nil {
		return Visit{}, err
	}
	if !g.called {
		g.s.due = g.engine.Boot()
	}
	g.called = false
	v := Visit{}
	for last := (scenarios.Result{}); g.engine.next(g.s, last); v.Requests++ {
		if g.s.due += g.s.step.Think; !g.wait() {
			v.Result = scenarios.Result{Outcome: results.Canceled, Why: "stopped"}
			break
		}
		last = g.engine.do(g.engine.begun(g.ctx, g.s), g.s)
		v.Result = last
	}
	if g.ctx.Err() != nil {
		g.leave(results.Canceled)
		return v, nil
	}
	if counted := g.led.Last(); !counted.End.IsZero() { // else it did not come to that: a login failed
		v.Result = counted
	}
	if v.Requests == 0 { // nor to a login: one before turned it away
		v.Result = scenarios.Result{Outcome: g.led.End().Outcome, Why: "there is no way on: the login was rejected"}
	}
	g.ended = v.Outcome
	if v.Outcome == results.OK {
		v.Said = g.s.lastWords()
	}
	return v, nil
}

// Think waits as long as the shopper thinks before what comes next in its
// journey, counted from the end of the last answer, and returns how long that
// is. It is false when the guest's time is up.
func (g *Guest) Think() (time.Duration, bool) {
	if g.left {
		return 0, false
	}
	pause := g.led.Thinks()
	g.s.due += pause
	if g.called = g.wait(); !g.called {
		g.leave(results.Canceled)
	}
	return pause, g.called
}

// wait waits until the guest's next step is due; false: its time is up.
func (g *Guest) wait() bool {
	pause := g.s.due - g.engine.Boot()
	if pause <= 0 {
		return g.ctx.Err() == nil
	}
	alarm := time.NewTimer(pause)
	defer alarm.Stop()
	select {
	case <-g.ctx.Done():
		return false
	case <-alarm.C:
		return true
	}
}

// Leave ends the visit: with the outcome of what was asked last, or as canceled
// if there was nothing. Leaving twice is leaving once.
func (g *Guest) Leave() { g.leave(g.ended) }

func (g *Guest) leave(o results.Outcome) {
	if g.left {
		return
	}
	g.left = true
	g.led.Leave(o)
	g.engine.leave(g.s, o == results.Canceled)
	g.stop()
}
