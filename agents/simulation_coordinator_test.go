package agents_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/agents/coordinator"
	"github.com/flashcrowd/flashcrowd/agents/worker"
	"github.com/flashcrowd/flashcrowd/results"
)

// leader is the coordinator: its process, its disk and its clock.
type leader struct {
	w       *world
	clock   clock
	machine *coordinator.Machine // nil while it is dead
	born    int                  // how often it was started
	rules   coordinator.Rules
	over    bool

	full    bool // the disk
	slow    bool // it takes its time, and what comes meanwhile is stored together
	ambush  bool // to be killed right after the next takeover
	unsaved bool
	waiting [][]coordinator.Action
	saved   *coordinator.Leases
	queue   []*entry // to be stored
	log     []entry  // what is stored
	known   map[string]uint64
	ended   map[string]time.Duration // when a worker's end was on disk
}

// entry is a stored exchange.
type entry struct {
	id     string
	seq    uint64
	cut    int // -1: none
	fate   string
	digest coordinator.Digest
	queued bool
	answer func(*coordinator.Answer)
}

func (l *leader) tick(born int) {
	if l.machine == nil || l.born != born || l.over {
		return
	}
	l.do(l.machine.Step(coordinator.Ticked{At: l.local()}), nil)
	l.w.after(100*time.Millisecond, func() { l.tick(born) })
}

func (l *leader) receive(n *simWorker, e agents.Exchange, answer func(agents.Lease, error)) {
	if l.machine == nil {
		return
	}
	if len(e.Snapshot) > 0 && n.id != l.w.cuts[cutOf(e.Snapshot)].Worker {
		panic("another's snapshot")
	}
	event := coordinator.Exchanged{
		At: l.local(), ID: n.id, Name: n.id, Seq: e.Seq, Have: e.Have, Capacity: e.Capacity, Leaving: e.Leaving,
		Digest: simDigest(e), Facts: coordinator.Facts{Fate: e.Fate},
	}
	if len(e.Snapshot) > 0 {
		event.Facts = coordinator.FactsOf(l.w.cuts[cutOf(e.Snapshot)])
	}
	if told := l.known[n.id]; l.w.mistake == noRelease && told > event.Facts.Grant {
		event.Facts.Applied = append(slices.Clone(event.Facts.Applied), results.Applied{Grant: told, Frontier: event.Facts.Frontier})
	}
	told := &entry{id: n.id, seq: e.Seq, cut: cutOf(e.Snapshot), fate: e.Fate, digest: simDigest(e)}
	told.answer = func(reply *coordinator.Answer) {
		switch {
		case reply == nil:
			answer(agents.Lease{}, errTryAgain)
		case reply.Err != nil:
			answer(agents.Lease{}, reply.Err)
		default:
			l.known[n.id] = reply.Lease.Version
			answer(reply.Lease, nil)
		}
	}
	if reply := l.do(l.machine.Step(event), told); !told.queued {
		told.answer(reply)
	}
}

// flush puts what waits for the disk on it, all together, and only then goes on
// with each: a coordinator that is killed in between has told nobody.
func (l *leader) flush() {
	queue := l.queue
	l.queue = nil
	machine, full := l.machine, l.full
	for _, e := range queue {
		if !full {
			l.log = append(l.log, *e)
		}
	}
	for _, e := range queue {
		if l.machine != machine { // it was killed
			return
		}
		var next coordinator.Event = coordinator.Unstored{ID: e.id}
		if !full {
			next = coordinator.Stored{At: l.local(), ID: e.id}
		}
		e.answer(l.do(l.machine.Step(next), e))
	}
}

func cutOf(b []byte) int {
	if len(b) == 0 {
		return -1
	}
	return int(binary.BigEndian.Uint64(b))
}

func simDigest(e agents.Exchange) (d coordinator.Digest) {
	copy(d[:], e.Snapshot)
	copy(d[8:], e.Fate)
	return d
}

// do does what coordinator.perform does, to a disk that may be full.
func (l *leader) do(actions []coordinator.Action, e *entry) *coordinator.Answer {
	if l.unsaved && !l.full {
		f := l.machine.Leases()
		l.saved, l.unsaved = &f, false
		waiting := l.waiting
		l.waiting = nil
		for _, b := range waiting {
			l.do(b, nil)
		}
	}
	var reply *coordinator.Answer
	for i, a := range actions {
		if _, commit := a.(coordinator.Commit); l.unsaved && !commit {
			l.waiting = append(l.waiting, actions[i:])
			return nil
		}
		switch a := a.(type) {
		case coordinator.Commit:
			e.queued = true
			if l.queue = append(l.queue, e); len(l.queue) > 1 {
				return nil
			}
			if !l.slow {
				l.flush()
				return nil
			}
			machine := l.machine
			l.w.after(l.w.between(0, simLease+simLease/10), func() {
				if l.machine == machine {
					l.flush()
				}
			})
		case coordinator.Save:
			switch {
			case l.full:
				l.unsaved = true
			case l.w.mistake == uncommitted && takeover(actions):
				machine := l.machine
				l.w.after(time.Second, func() {
					if l.machine == machine {
						l.saved = &a.Leases
					}
				})
			default:
				l.saved = &a.Leases
			}
			if l.ambush && takeover(actions) {
				l.ambush = false
				machine := l.machine
				l.w.after(l.w.between(0, time.Second), func() {
					if l.machine == machine {
						l.w.tell("the coordinator is killed in its ambush")
						l.die(l.w.between(50*time.Millisecond, time.Second))
					}
				})
			}
		case coordinator.Note:
			if a.Note.Fate != "" && l.ended[a.ID] == 0 {
				l.w.tell("the coordinator ends %s: %s", a.ID, a.Note.Fate)
				l.ended[a.ID] = l.w.now
			}
		case coordinator.Lost:
			l.w.tell("%d spans are lost: %s", len(a.Spans), a.Why)
		case coordinator.Answer:
			reply = &a
		case coordinator.Poke:
			if n := l.w.byID[a.ID]; l.w.now >= n.cutoff && l.w.chance(0.9) {
				l.w.after(l.w.between(time.Millisecond, 5*time.Millisecond), func() { n.step(worker.Poked{}) })
			}
		case coordinator.Finish:
			l.over = true
		}
	}
	return reply
}

// takeover says that what is saved is the end of a worker.
func takeover(actions []coordinator.Action) bool {
	return slices.ContainsFunc(actions, func(a coordinator.Action) bool {
		n, ok := a.(coordinator.Note)
		return ok && strings.HasPrefix(n.Note.Fate, "lost")
	})
}

func (l *leader) die(back time.Duration) {
	if len(l.queue) > 0 && l.w.chance(0.5) { // the disk had it, and nobody was told
		for _, e := range l.queue {
			if !l.full {
				l.log = append(l.log, *e)
			}
		}
	}
	l.machine, l.queue = nil, nil
	l.w.after(back, l.resume)
}

// resume starts the coordinator again.
func (l *leader) resume() {
	if l.machine != nil || l.over {
		return
	}
	l.born++
	now := l.local()
	if l.w.mistake == forgotten {
		now -= 2 * simLease
	}
	var told []coordinator.Memory
	for _, e := range l.log {
		m := coordinator.Memory{ID: e.id, Seq: e.seq, Digest: e.digest, Facts: coordinator.Facts{Fate: e.fate}}
		if e.cut >= 0 {
			m.Facts = coordinator.FactsOf(l.w.cuts[e.cut])
		}
		told = append(told, m)
	}
	var saved coordinator.Leases
	if l.saved != nil {
		saved = *l.saved
	}
	m, actions, err := coordinator.Resume(l.rules, saved, told, now)
	if errors.Is(err, coordinator.ErrOver) {
		l.over = true
		return
	}
	if err != nil {
		l.w.broken("%v", err)
		return
	}
	l.w.tell("the coordinator is back")
	l.machine, l.unsaved, l.waiting = m, false, nil
	l.do(actions, nil)
	l.tick(l.born)
}
