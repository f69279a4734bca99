package agents_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/agents/worker"
	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/link"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// simWorker is a worker, its child and their machine.
type simWorker struct {
	w      *world
	id     string
	clock  clock
	relay  *worker.Relay
	alive  bool
	paused bool          // the worker; the child goes on
	frozen bool          // the child
	cutoff time.Duration // until then nothing gets through
	slow   time.Duration // until then the network takes its time
	late   []func()      // what came while the worker was paused

	child     bool
	roster    *crowd.Roster
	recorder  *results.Recorder
	seq       uint64
	cutAt     map[uint64]time.Duration
	deadline  time.Duration
	version   uint64
	started   bool
	zero      time.Duration
	stop      scenarios.Stop
	why       string
	held      bool
	lapsed    time.Duration // when the lease ran out last
	fired     bool          // it had a lease once
	inside    []stay
	childLate []func() // what came while the child was frozen
	finished  bool
}

// stay is a shopper in the shop.
type stay struct {
	id    scenarios.ID
	until time.Duration
	late  bool
}

func (n *simWorker) local() time.Duration { return n.clock.read(n.w.now) }
func (l *leader) local() time.Duration    { return l.clock.read(l.w.now) }

// join starts a worker.
func (w *world) join() {
	w.joined++
	n := &simWorker{w: w, id: fmt.Sprintf("w%d", w.joined), clock: w.clock(), alive: true, child: true, cutAt: map[uint64]time.Duration{}}
	n.relay = worker.NewRelay(n.id, uint64(1000*(1+w.rng.IntN(3))), 15*time.Second, 5*time.Second, n.local(), &worker.Clocks{})
	n.roster = crowd.NewRoster(w.plan, simLease)
	n.recorder = results.NewRecorder(n.id)
	n.held = true
	w.nodes, w.byID[n.id] = append(w.nodes, n), n
	w.after(w.between(0, 500*time.Millisecond), func() { n.cut(false) })
	w.after(0, n.tick)
	w.after(0, n.move)
}

// The network: what is sent arrives once, late, twice or never.

func (n *simWorker) way() (time.Duration, bool) {
	w := n.w
	switch {
	case w.now < n.cutoff:
		return 0, false
	case w.now < n.slow:
		return w.between(200*time.Millisecond, 4*time.Second), true
	case !w.calm && w.chance(0.01):
		return 0, false
	case !w.calm && w.chance(0.02):
		return w.between(0, 3*time.Second), true
	}
	return w.between(time.Millisecond, 20*time.Millisecond), true
}

// put sends an exchange to the coordinator. Its answer comes once, or a failure
// after the worker's patience.
func (n *simWorker) put(e agents.Exchange) {
	w := n.w
	answered := false
	done := func(event worker.Event) {
		if !answered {
			answered = true
			n.step(event)
		}
	}
	sent := n.local()
	w.after(5*time.Second, func() {
		n.whenAwake(func() { done(worker.Failed{At: n.local(), Err: errors.New("no answer")}) })
	})
	copies := 1
	if !w.calm && w.chance(0.02) {
		copies = 2
	}
	for range copies {
		way, ok := n.way()
		if !ok {
			continue
		}
		w.after(way, func() {
			w.lead.receive(n, e, func(l agents.Lease, err error) {
				back, ok := n.way()
				if !ok {
					return
				}
				w.after(back, func() {
					n.whenAwake(func() {
						switch {
						case errors.Is(err, errTryAgain):
							done(worker.Failed{At: n.local(), Err: err})
						case err != nil:
							done(worker.Refused{At: n.local(), Err: ended(err)})
						default:
							done(worker.Leased{Sent: sent, Received: n.local(), Lease: l})
						}
					})
				})
			})
		})
	}
}

var errTryAgain = errors.New("503")

// ended is how the end of a lease looks to the worker: as a 409.
func ended(err error) error {
	if strings.Contains(err.Error(), "lease of this worker has ended") {
		return fmt.Errorf("%w: %w", worker.ErrEnded, err)
	}
	return err
}

// The worker.

// whenAwake does something now, or when the worker is no longer paused.
func (n *simWorker) whenAwake(do func()) {
	switch {
	case !n.alive:
	case n.paused:
		n.late = append(n.late, do)
	default:
		do()
	}
}

func (n *simWorker) wake() {
	if n.paused = false; !n.alive {
		return
	}
	late := n.late
	n.late = nil
	for _, do := range late {
		n.whenAwake(do)
	}
}

func (n *simWorker) tick() {
	if !n.alive {
		return
	}
	if !n.paused {
		n.step(worker.Ticked{At: n.local()})
	}
	n.w.after(250*time.Millisecond, n.tick)
}

func (n *simWorker) step(e worker.Event) {
	if !n.alive {
		return
	}
	if n.paused {
		n.late = append(n.late, func() { n.step(e) })
		return
	}
	for _, a := range n.relay.Step(e) {
		switch a := a.(type) {
		case worker.Put:
			n.put(a.Exchange)
		case worker.Grant:
			n.w.after(0, func() { n.whenThawed(func() { n.leased(a.Lease) }) })
		case worker.Hurry:
			n.w.after(0, func() { n.whenThawed(func() { n.cut(false) }) })
		case worker.Kill:
			n.w.after(0, func() { n.dieChild(errors.New(a.Why)) })
		case worker.Quit:
			n.w.tell("%s quits: %v", n.id, a.Err)
			n.alive, n.child = false, false
		}
	}
}

// The child: what extensions' session, crowd's engine and the output do.

func (n *simWorker) whenThawed(do func()) {
	switch {
	case !n.child:
	case n.frozen:
		n.childLate = append(n.childLate, do)
	default:
		do()
	}
}

func (n *simWorker) thaw() {
	if n.frozen = false; !n.child {
		return
	}
	// Whoever wakes up first is not said: sometimes the dispatcher runs before
	// what came meanwhile is read.
	if n.w.chance(0.5) {
		n.dispatch()
	}
	late := n.childLate
	n.childLate = nil
	for _, do := range late {
		n.whenThawed(do)
	}
}

func (n *simWorker) dieChild(how error) {
	if !n.child {
		return
	}
	n.child = false
	n.step(worker.Exited{At: n.local(), Err: how})
}

func (n *simWorker) cut(final bool) {
	if !n.child || n.finished {
		return
	}
	if n.frozen {
		n.childLate = append(n.childLate, func() { n.cut(final) })
		return
	}
	n.seq++
	n.cutAt[n.seq] = n.local()
	s := n.recorder.Cut(n.seq, 0, results.Health{})
	s.Final = final
	n.w.cuts = append(n.w.cuts, s)
	number := binary.BigEndian.AppendUint64(nil, uint64(len(n.w.cuts)-1))
	n.step(worker.Snapped{At: n.local(), Snapshot: link.Snapshot{Seq: n.seq, Bytes: number, Final: final}})
}

// move is the child's own time: it dispatches, and cuts each second.
func (n *simWorker) move() {
	if !n.child {
		return
	}
	if !n.frozen {
		n.dispatch()
		if at, ok := n.cutAt[n.seq]; ok && n.local() >= at+time.Second {
			n.cut(false)
		}
	}
	n.w.after(50*time.Millisecond, n.move)
}

func (n *simWorker) leased(l link.Lease) {
	if cut, ok := n.cutAt[l.Answers]; ok && l.Length > 0 {
		if n.w.mistake == fromReceipt {
			cut = n.local()
		}
		n.deadline = max(n.deadline, cut+l.Length)
	}
	if l.Started {
		n.started, n.zero = true, l.Zero
	}
	if l.Stop > n.stop {
		n.stop, n.why = l.Stop, l.Why
	}
	if l.Version > n.version {
		n.roster.Take(crowd.Draw(n.w.plan, l.Version, n.version, l.Spans), n.local()-n.zero)
		n.version = l.Version
	}
	n.dispatch()
}

func (n *simWorker) dispatch() {
	if n.finished || n.version == 0 && n.stop < scenarios.Done {
		return
	}
	now := n.local()
	at := now - n.zero
	lapsed := now >= n.deadline
	switch {
	case lapsed:
		if !n.held {
			n.held, n.lapsed = true, n.deadline
			n.leave(func(stay) bool { return true })
		}
	case n.held:
		if n.held = false; n.fired && n.started {
			n.roster.Resume(n.lapsed-n.zero, at)
		}
		n.fired = true
	}
	if n.version > 0 && (n.stop == scenarios.Drain || n.stop == scenarios.Cut) {
		n.roster.Abandon(n.why)
	}
	news := n.roster.News()
	if news {
		n.recorder.Add(n.roster.Mark())
	}
	for n.started && !n.held {
		d, ok := n.roster.Next(at)
		if !ok {
			break
		}
		n.launch(d, now)
	}
	n.leave(func(s stay) bool { return now >= s.until || n.stop >= scenarios.Cut })
	n.recorder.Add(n.roster.Mark())
	if news {
		n.cut(false)
	}
	if n.stop == scenarios.Done {
		n.cut(true)
		n.finished = true
		n.w.after(10*time.Millisecond, func() { n.dieChild(nil) })
	}
}

func (n *simWorker) launch(d crowd.Due, now time.Duration) {
	w := n.w
	s := w.plan.Shopper(d.ID)
	w.fired[firing{d.ID, d.Attempt}]++
	if w.fired[firing{d.ID, d.Attempt}] > 1 {
		w.broken("%s launches shopper %v, attempt %d, once more", n.id, d.ID, d.Attempt)
	}
	if end, ok := w.lead.ended[n.id]; ok {
		w.broken("%s launches shopper %v, its end is on disk since %v", n.id, d.ID, end)
	}
	n.recorder.Add(results.Launch{Who: who(s), At: d.At, Hash: s.Hash(), Hole: d.Hole, Grant: d.Grant, Again: d.Attempt > 0})
	n.inside = append(n.inside, stay{d.ID, now + w.between(50*time.Millisecond, 2500*time.Millisecond), d.Hole > 0})
}

func (n *simWorker) leave(goes func(stay) bool) {
	kept := n.inside[:0]
	for _, s := range n.inside {
		if !goes(s) {
			kept = append(kept, s)
			continue
		}
		n.recorder.Add(results.End{Who: who(n.w.plan.Shopper(s.id)), Late: s.late})
	}
	n.inside = kept
}
