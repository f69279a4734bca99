package worker

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/extensions/link"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// relay is the worker without its sockets: snapshots come from the child, go
// to the coordinator one at a time and in order, and are kept until they are
// acknowledged; answers become leases for the child. Step reads no clock and
// does no I/O: moments come with the events, on the boot clock.
type Relay struct {
	name     string
	capacity uint64        // see agents.Exchange
	giveUp   time.Duration // without an answer, or without a word from the child
	grace    time.Duration // for a child that was told to end

	queue   []agents.Exchange // not acknowledged, in order
	sending bool              // the first of them is under way
	last    uint64            // sequence that the child sent last
	final   bool              // nothing follows the last
	tries   int               // failed attempts since the last answer
	retry   time.Duration     // not before; 0 for now

	answered time.Duration // when the coordinator last answered
	cut      time.Duration // when the child last sent something
	clock    estimate
	clocks   *Clocks
	told     int    // of the upsets, in an exchange
	compared bool   // the wall clocks were, once
	have     uint64 // version of the spans that the child has
	stop     scenarios.Stop
	why      string

	exited   bool
	fate     error         // how the child ended, unless well
	leaving  time.Duration // when the child was asked to end; 0 if it was not
	resigned bool          // the coordinator is to be told that this worker wants to go
	term     uint64        // of the coordinator, the highest heard
	ended    error         // the coordinator has ended the lease of this worker, and says so
	over     bool
}

// NewRelay returns the relay of a worker whose child starts now. Clocks are what
// its machine's are watched with.
func NewRelay(name string, capacity uint64, giveUp, grace, now time.Duration, clocks *Clocks) *Relay {
	return &Relay{name: name, capacity: capacity, giveUp: giveUp, grace: grace, answered: now, cut: now, clocks: clocks, told: clocks.since}
}

// An Event is something that reached the Relay, with its moment on the boot
// clock.
type Event interface{ isEvent() }

type (
	// Snapped: the child has sent a snapshot.
	Snapped struct {
		At       time.Duration
		Snapshot link.Snapshot
	}
	// Leased: the coordinator has answered the exchange under way.
	Leased struct {
		Sent, Received time.Duration
		Wall           time.Duration // our wall clock at the receipt
		Lease          agents.Lease
	}
	// Failed: the exchange under way has no answer.
	Failed struct {
		At  time.Duration
		Err error
	}
	// Refused: the coordinator will never take it.
	Refused struct {
		At  time.Duration
		Err error
	}
	// Exited: the child has ended, and everything it sent has come. Err says
	// how, unless well.
	Exited struct {
		At  time.Duration
		Err error
	}
	// Poked: the coordinator has news.
	Poked struct{}
	// Resigned: this worker is to go as soon as others have its slots and its
	// shoppers have left.
	Resigned struct{ At time.Duration }
	// Left: this worker is to go now.
	Left struct{ At time.Duration }
	// Ticked: time has passed.
	Ticked struct{ At time.Duration }
)

func (Snapped) isEvent()  {}
func (Leased) isEvent()   {}
func (Failed) isEvent()   {}
func (Refused) isEvent()  {}
func (Exited) isEvent()   {}
func (Poked) isEvent()    {}
func (Resigned) isEvent() {}
func (Left) isEvent()     {}
func (Ticked) isEvent()   {}

// An Action is something that the Relay wants done.
type Action interface{ isAction() }

type (
	// Put sends an exchange; then comes Leased, Failed or Refused.
	Put struct{ Exchange agents.Exchange }
	// Grant passes a lease to the child.
	Grant struct{ Lease link.Lease }
	// Hurry asks the child for a snapshot at once.
	Hurry struct{}
	// Kill ends the child at once; then comes Exited.
	Kill struct{ Why string }
	// Quit ends the worker.
	Quit struct{ Err error }
)

func (Put) isAction()   {}
func (Grant) isAction() {}
func (Hurry) isAction() {}
func (Kill) isAction()  {}
func (Quit) isAction()  {}

var (
	errLost   = errors.New("coordinator lost")
	errBroken = errors.New("child broke the protocol")
)

// Step takes one event and returns what is to be done about it, in order.
func (r *Relay) Step(e Event) []Action {
	if r.over {
		return nil
	}
	switch e := e.(type) {
	case Snapped:
		return r.snapped(e)
	case Leased:
		return r.leased(e)
	case Failed:
		r.sending = false
		if e.At > r.answered+r.giveUp {
			return r.quit(cmp.Or(r.ended, fmt.Errorf("%w: no answer for %v: %w", errLost, r.giveUp, e.Err)))
		}
		r.tries++
		r.retry = e.At + backoff(r.tries)
		return nil
	case Refused:
		return r.refused(e)
	case Exited:
		return r.exit(e)
	case Poked:
		return r.hurry()
	case Resigned:
		if r.resigned {
			return nil
		}
		r.resigned = true
		return r.hurry()
	case Left:
		return r.leave(e.At)
	case Ticked:
		return r.tick(e.At)
	}
	panic(fmt.Sprintf("worker: unknown event %T", e))
}

func (r *Relay) snapped(e Snapped) []Action {
	switch {
	case r.final:
		return r.quit(fmt.Errorf("%w: snapshot %d after the final one", errBroken, e.Snapshot.Seq))
	case e.Snapshot.Seq != r.last+1:
		return r.quit(fmt.Errorf("%w: snapshot %d after %d", errBroken, e.Snapshot.Seq, r.last))
	}
	r.last, r.final, r.cut = e.Snapshot.Seq, e.Snapshot.Final, e.At
	x := agents.Exchange{Seq: e.Snapshot.Seq, Snapshot: e.Snapshot.Bytes}
	if r.clock.known { // what was noticed is told once, with one sequence
		x.Upsets = r.clocks.next(r.told, r.clock.zero)
		r.told += len(x.Upsets)
	}
	r.queue = append(r.queue, x)
	return r.send(e.At)
}

// refused ends the worker, and at once unless its lease was ended: then the child
// is told to end, and what it measured and nobody has is delivered all the same.
// It changes nothing any more, but the coordinator keeps it for the audit.
func (r *Relay) refused(e Refused) []Action {
	if !errors.Is(e.Err, ErrEnded) {
		return r.quit(cmp.Or(r.ended, e.Err))
	}
	r.ended = cmp.Or(r.ended, e.Err)
	r.queue = r.queue[1:]
	r.sending, r.tries, r.answered = false, 0, e.At
	actions := r.leave(e.At)
	if len(r.queue) == 0 && (r.final || r.exited) {
		return append(actions, r.quit(r.ended)...)
	}
	return append(actions, r.send(e.At)...)
}

func (r *Relay) leased(e Leased) []Action {
	if e.Lease.Term < r.term { // an answer of a coordinator that was replaced
		return r.Step(Failed{e.Received, fmt.Errorf("an answer of term %d after one of %d", e.Lease.Term, r.term)})
	}
	r.term = e.Lease.Term
	l, seq := e.Lease, r.queue[0].Seq
	r.sending, r.tries, r.answered = false, 0, e.Received
	for len(r.queue) > 0 && r.queue[0].Seq <= l.Stored {
		r.clocks.since += len(r.queue[0].Upsets)
		r.queue = r.queue[1:]
	}
	if next := l.Stored + 1; len(r.queue) > 0 && r.queue[0].Seq != next {
		return r.quit(fmt.Errorf("the coordinator wants snapshot %d, the oldest kept is %d", next, r.queue[0].Seq))
	}
	if l.Stop > r.stop {
		r.stop, r.why = l.Stop, l.Why
	}
	var actions []Action
	if !r.exited && !r.final {
		first := !r.compared
		actions = append(actions, r.grant(e, seq))
		if first && r.clock.wall.Abs() > stepped { // the coordinator may not want it: the sooner it hears the better
			actions = append(actions, Hurry{})
		}
		r.compared = true
	}
	if len(r.queue) == 0 && (r.final || r.exited) {
		return append(actions, r.quit(r.fate)...)
	}
	return append(actions, r.send(e.Received)...)
}

// grant makes the child's lease of the coordinator's.
func (r *Relay) grant(e Leased, seq uint64) Action {
	l := e.Lease
	if l.Started {
		r.clock.observe(e.Sent, e.Received, l.Held, l.Now)
	}
	r.clock.compare(e.Sent, e.Received, l.Held, e.Wall, l.Wall)
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
	return Grant{g}
}

// send starts the next exchange, if there is one and it is time.
func (r *Relay) send(at time.Duration) []Action {
	if r.sending || len(r.queue) == 0 || r.tries > 0 && at < r.retry {
		return nil
	}
	r.sending = true
	e := r.queue[0]
	e.Name, e.Have, e.Capacity, e.Leaving, e.Offset = r.name, r.have, r.capacity, r.resigned, r.clock.offset
	e.Wall = r.clock.wall
	return []Action{Put{e}}
}

func (r *Relay) exit(e Exited) []Action {
	r.exited, r.fate = true, e.Err
	switch {
	case len(r.queue) == 0 && r.ended != nil:
		return r.quit(r.ended)
	case r.final && len(r.queue) == 0:
		return r.quit(r.fate)
	case r.ended != nil:
		return nil // how it ended is of no interest any more
	case r.final:
		return nil // the last acknowledgement is still to come
	}
	if r.fate == nil {
		r.fate = errors.New("the child ended before its last snapshot")
	}
	r.last++
	r.queue = append(r.queue, agents.Exchange{Seq: r.last, Fate: r.fate.Error()})
	return r.send(e.At)
}

// hurry asks the child for a snapshot, if there is any use in it.
func (r *Relay) hurry() []Action {
	if r.exited || r.final || r.last == 0 {
		return nil
	}
	return []Action{Hurry{}}
}

// leave asks the child to end: what it has in flight is canceled.
func (r *Relay) leave(at time.Duration) []Action {
	if r.leaving > 0 || r.exited || r.final {
		return nil
	}
	r.leaving = at
	if r.stop < scenarios.Done {
		r.stop, r.why = scenarios.Done, "worker asked to leave"
	}
	return []Action{Grant{link.Lease{
		Version: r.have, Started: r.clock.known, Zero: r.clock.zero, Stop: r.stop, Why: r.why,
	}}}
}

func (r *Relay) tick(at time.Duration) []Action {
	switch {
	case r.exited || r.final:
		if r.leaving > 0 && at > r.leaving+2*r.grace {
			return r.quit(cmp.Or(r.ended, fmt.Errorf("%w: it did not take the last snapshot in time", errLost)))
		}
	case r.leaving > 0 && at > r.leaving+r.grace:
		return []Action{Kill{fmt.Sprintf("did not end within %v", r.grace)}}
	case at > r.cut+r.giveUp:
		return []Action{Kill{fmt.Sprintf("silent for %v", r.giveUp)}}
	}
	return r.send(at)
}

func (r *Relay) quit(err error) []Action {
	r.over = true
	return []Action{Quit{err}}
}

// backoff is how long to wait after so many failures in a row: 50 ms, doubled
// each time, up to a second.
func backoff(tries int) time.Duration {
	return min(50*time.Millisecond<<min(tries-1, 10), time.Second)
}
