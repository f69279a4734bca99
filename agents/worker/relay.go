package worker

import (
	"errors"
	"fmt"
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/extensions/link"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// relay is the worker without its sockets: snapshots come from the child, go
// to the coordinator one at a time and in order, and are kept until they are
// acknowledged; answers become leases for the child. step reads no clock and
// does no I/O: moments come with the events, on the boot clock.
type relay struct {
	name   string
	giveUp time.Duration // without an answer, or without a word from the child
	grace  time.Duration // for a child that was told to end

	queue   []agents.Exchange // not acknowledged, in order
	sending bool              // the first of them is under way
	last    uint64            // sequence that the child sent last
	final   bool              // nothing follows the last
	tries   int               // failed attempts since the last answer
	retry   time.Duration     // not before; 0 for now

	answered time.Duration // when the coordinator last answered
	cut      time.Duration // when the child last sent something
	clock    estimate
	have     uint64 // version of the spans that the child has
	stop     scenarios.Stop
	why      string

	exited  bool
	fate    error         // how the child ended, unless well
	leaving time.Duration // when the child was asked to end; 0 if it was not
	over    bool
}

func newRelay(name string, giveUp, grace, now time.Duration) *relay {
	return &relay{name: name, giveUp: giveUp, grace: grace, answered: now, cut: now}
}

type event interface{ isEvent() }

type (
	// snapped: the child has sent a snapshot.
	snapped struct {
		at time.Duration
		s  link.Snapshot
	}
	// leased: the coordinator has answered the exchange under way.
	leased struct {
		sent, received time.Duration
		lease          agents.Lease
	}
	// failed: the exchange under way has no answer.
	failed struct {
		at  time.Duration
		err error
	}
	// refused: the coordinator will never take it.
	refused struct{ err error }
	// exited: the child has ended, and everything it sent has come. err says
	// how, unless well.
	exited struct {
		at  time.Duration
		err error
	}
	// left: this worker is to leave.
	left struct{ at time.Duration }
	// ticked: time has passed.
	ticked struct{ at time.Duration }
)

func (snapped) isEvent() {}
func (leased) isEvent()  {}
func (failed) isEvent()  {}
func (refused) isEvent() {}
func (exited) isEvent()  {}
func (left) isEvent()    {}
func (ticked) isEvent()  {}

type action interface{ isAction() }

type (
	// put sends an exchange; then comes leased, failed or refused.
	put struct{ exchange agents.Exchange }
	// grant passes a lease to the child.
	grant struct{ lease link.Lease }
	// kill ends the child at once; then comes exited.
	kill struct{ why string }
	// quit ends the worker.
	quit struct{ err error }
)

func (put) isAction()   {}
func (grant) isAction() {}
func (kill) isAction()  {}
func (quit) isAction()  {}

var (
	errLost   = errors.New("coordinator lost")
	errBroken = errors.New("child broke the protocol")
)

// step takes one event and returns what is to be done about it, in order.
func (r *relay) step(e event) []action {
	if r.over {
		return nil
	}
	switch e := e.(type) {
	case snapped:
		return r.snapped(e)
	case leased:
		return r.leased(e)
	case failed:
		r.sending = false
		if e.at > r.answered+r.giveUp {
			return r.quit(fmt.Errorf("%w: no answer for %v: %w", errLost, r.giveUp, e.err))
		}
		r.tries++
		r.retry = e.at + backoff(r.tries)
		return nil
	case refused:
		return r.quit(e.err)
	case exited:
		return r.exit(e)
	case left:
		return r.leave(e.at)
	case ticked:
		return r.tick(e.at)
	}
	panic(fmt.Sprintf("worker: unknown event %T", e))
}

func (r *relay) snapped(e snapped) []action {
	switch {
	case r.final:
		return r.quit(fmt.Errorf("%w: snapshot %d after the final one", errBroken, e.s.Seq))
	case e.s.Seq != r.last+1:
		return r.quit(fmt.Errorf("%w: snapshot %d after %d", errBroken, e.s.Seq, r.last))
	}
	r.last, r.final, r.cut = e.s.Seq, e.s.Final, e.at
	r.queue = append(r.queue, agents.Exchange{Seq: e.s.Seq, Snapshot: e.s.Bytes})
	return r.send(e.at)
}

func (r *relay) leased(e leased) []action {
	l, seq := e.lease, r.queue[0].Seq
	r.sending, r.tries, r.answered = false, 0, e.received
	for len(r.queue) > 0 && r.queue[0].Seq <= l.Stored {
		r.queue = r.queue[1:]
	}
	if next := l.Stored + 1; len(r.queue) > 0 && r.queue[0].Seq != next {
		return r.quit(fmt.Errorf("the coordinator wants snapshot %d, the oldest kept is %d", next, r.queue[0].Seq))
	}
	if l.Stop > r.stop {
		r.stop, r.why = l.Stop, l.Why
	}
	var actions []action
	if !r.exited && !r.final {
		actions = append(actions, r.grant(e, seq))
	}
	if len(r.queue) == 0 && (r.final || r.exited) {
		return append(actions, r.quit(r.fate)...)
	}
	return append(actions, r.send(e.received)...)
}

// grant makes the child's lease of the coordinator's.
func (r *relay) grant(e leased, seq uint64) action {
	l := e.lease
	if l.Started {
		r.clock.observe(e.sent, e.received, l.Held, l.Now)
	}
	g := link.Lease{
		Answers: seq, Version: l.Version, Length: l.Length, Started: l.Started, Zero: r.clock.zero,
		Stored: l.Stored, Stop: r.stop, Why: r.why,
	}
	if l.Stored < seq { // it was not taken, so it is no answer
		g.Length = 0
		g.Version = r.have
	}
	if g.Version != r.have {
		r.have, g.Spans = g.Version, l.Spans
	}
	return grant{g}
}

// send starts the next exchange, if there is one and it is time.
func (r *relay) send(at time.Duration) []action {
	if r.sending || len(r.queue) == 0 || r.tries > 0 && at < r.retry {
		return nil
	}
	r.sending = true
	e := r.queue[0]
	e.Name, e.Have = r.name, r.have
	return []action{put{e}}
}

func (r *relay) exit(e exited) []action {
	r.exited, r.fate = true, e.err
	switch {
	case r.final && len(r.queue) == 0:
		return r.quit(r.fate)
	case r.final:
		return nil // the last acknowledgement is still to come
	}
	if r.fate == nil {
		r.fate = errors.New("the child ended before its last snapshot")
	}
	r.last++
	r.queue = append(r.queue, agents.Exchange{Seq: r.last, Fate: r.fate.Error()})
	return r.send(e.at)
}

// leave asks the child to end: what it has in flight is canceled.
func (r *relay) leave(at time.Duration) []action {
	if r.leaving > 0 || r.exited || r.final {
		return nil
	}
	r.leaving = at
	if r.stop < scenarios.Done {
		r.stop, r.why = scenarios.Done, "worker asked to leave"
	}
	return []action{grant{link.Lease{
		Version: r.have, Started: r.clock.known, Zero: r.clock.zero, Stop: r.stop, Why: r.why,
	}}}
}

func (r *relay) tick(at time.Duration) []action {
	switch {
	case r.exited || r.final:
		if r.leaving > 0 && at > r.leaving+2*r.grace {
			return r.quit(fmt.Errorf("%w: it did not take the last snapshot in time", errLost))
		}
	case r.leaving > 0 && at > r.leaving+r.grace:
		return []action{kill{fmt.Sprintf("did not end within %v", r.grace)}}
	case at > r.cut+r.giveUp:
		return []action{kill{fmt.Sprintf("silent for %v", r.giveUp)}}
	}
	return r.send(at)
}

func (r *relay) quit(err error) []action {
	r.over = true
	return []action{quit{err}}
}

// backoff is how long to wait after so many failures in a row: 50 ms, doubled
// each time, up to a second.
func backoff(tries int) time.Duration {
	return min(50*time.Millisecond<<min(tries-1, 10), time.Second)
}

// estimate is where plan time 0 lies on this machine's boot clock, as the best
// exchange so far told: the one that spent the least time on the way.
type estimate struct {
	known bool
	zero  time.Duration
	way   time.Duration // there and back
}

// observe takes an exchange that was sent and received at those moments, held
// by the coordinator for so long, and answered at plan time now. The way back is
// taken as half of the way there and back.
func (c *estimate) observe(sent, received, held time.Duration, now scenarios.Mark) {
	way := max(received-sent-held, 0)
	if c.known && way >= c.way {
		return
	}
	*c = estimate{known: true, zero: received - way/2 - now, way: way}
}
