package coordinator

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/agents/membership"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// This file, node.go and end.go are the coordinator without its sockets: a
// state, the events that reach it (event.go), and the actions it asks for.
// step reads no clock and does no I/O: moments come with the events, on the
// boot clock. Nothing a worker says is believed before it is on disk: an
// exchange asks for a commit, and only the event that says it is stored
// changes counts, renews the lease and answers.

// rules are what a state is told once.
type rules struct {
	workers    int            // to wait for before the start
	wait       time.Duration  // for them, at most
	startDelay time.Duration  // from the assignment to plan time 0
	lease      time.Duration  // as the child counts it
	patience   time.Duration  // a drain lasts at most this long, then it is cut
	tail       time.Duration  // shoppers may be in flight this long after the plan's end
	end        scenarios.Mark // of the plan
}

// held is how long the coordinator counts a lease that the child counts as
// rules.lease: their clocks' rates may differ by 2 %.
func (r rules) held() time.Duration { return r.lease + r.lease/50 }

type phase uint8

const (
	gathering phase = iota // workers join, nobody has slots
	running                // slots are shared out, or the run was stopped before that
	over
)

// state is all that a coordinator knows of its run.
type state struct {
	rules
	term    uint64
	phase   phase
	since   time.Duration // when gathering began
	started bool
	zero    time.Duration // the moment of plan time 0
	version uint64        // of the spans
	stop    scenarios.Stop
	stopAt  time.Duration // when stop took its present value
	why     string        // of the first stop
	failure error         // why the run could not be run
	ticked  time.Duration // the last tick
	known   []membership.Member
	nodes   map[string]*node
	order   []string // ids by first exchange: the same events give the same actions
}

func newState(r rules, now time.Duration) *state {
	return &state{rules: r, term: 1, since: now, nodes: map[string]*node{}}
}

var (
	errEnded    = errors.New("the lease of this worker has ended")
	errConflict = errors.New("this sequence is stored already, with other bytes")
)

// step takes one event and returns what is to be done about it, in order.
func (s *state) step(e event) []action {
	switch e := e.(type) {
	case exchanged:
		return s.exchanged(e)
	case stored:
		return append(s.stored(e), s.settle(e.at)...)
	case unstored:
		s.nodes[e.id].pending = nil
		return nil
	case stopped:
		return append(s.raise(e.at, e.kind, e.why), s.settle(e.at)...)
	case ticked:
		s.known = e.known
		return append(s.lapse(e.at), s.settle(e.at)...)
	}
	panic(fmt.Sprintf("coordinator: unknown event %T", e))
}

func (s *state) exchanged(e exchanged) []action {
	n := s.nodes[e.id]
	if n == nil {
		n = &node{id: e.id, name: e.name}
		s.nodes[e.id] = n
		s.order = append(s.order, e.id)
	}
	switch {
	case n.Gone:
		return []action{answer{id: e.id, err: errEnded}}
	case n.Last > 0 && e.seq == n.Last && e.digest == n.digest: // our answer was lost
		return []action{s.grant(n, e, e.at)}
	case e.seq <= n.Last:
		// Only the last digest is kept, or memory would grow with the run. A
		// worker has one exchange under way, so it never repeats an older one.
		return []action{answer{id: e.id, err: errConflict}}
	case n.closed:
		return []action{answer{id: e.id, err: fmt.Errorf("sequence %d after the last one: %w", e.seq, errEnded)}}
	case e.seq > n.Last+1: // a gap grants nothing, and says where to go on
		return []action{answer{id: e.id, lease: agents.Lease{Term: s.term, Stored: n.Last, Stop: s.stop, Why: s.why}}}
	}
	n.pending = &e
	return []action{commit{e.id}}
}

func (s *state) stored(e stored) []action {
	n := s.nodes[e.id]
	p := *n.pending
	n.pending = nil
	n.record, n.digest = n.after(p), p.digest
	actions := []action{merge{n.id}}
	switch {
	case n.Fate != "":
		actions = append(actions, s.close(n, n.name+" "+n.Fate)...)
	case n.Final:
		if n.Launched > n.Ended {
			n.Fate = "left shoppers in flight"
		}
		actions = append(actions, s.close(n, n.name+" left")...)
	case p.seq == 1:
		actions = append(actions, note{id: n.id, name: n.name})
	}
	return append(actions, s.grant(n, p, e.at))
}

// grant answers p, and renews the lease of n unless it is closed.
func (s *state) grant(n *node, p exchanged, at time.Duration) action {
	l := agents.Lease{
		Term: s.term, Version: s.version, Started: s.started,
		Stored: n.Last, Stop: s.stop, Why: s.why, Held: at - p.at,
	}
	if s.started {
		l.Now = at - s.zero
	}
	if !n.closed {
		l.Length = s.lease
		n.deadline = at + s.held()
	}
	if p.have != s.version {
		l.Spans = n.spans
	}
	return answer{id: n.id, lease: l}
}

// lapse ends the workers whose lease has run out. A coordinator that was asleep
// itself has not listened: it gives them that time on top. Ending a lease late
// is always safe.
func (s *state) lapse(at time.Duration) []action {
	var asleep time.Duration
	if gap := at - s.ticked; s.ticked > 0 && gap > time.Second {
		asleep = gap
	}
	s.ticked = at
	var actions []action
	for _, n := range s.open() {
		n.deadline += asleep
		if n.Last > 0 && at > n.deadline {
			silent := at - n.deadline + s.held()
			actions = append(actions, s.lose(n, fmt.Sprintf("lost: nothing heard for %.1f s", silent.Seconds()))...)
		}
	}
	return actions
}

// lose ends a worker that did not end by itself.
func (s *state) lose(n *node, fate string) []action {
	n.Gone, n.Fate = true, fate
	return s.close(n, n.name+" lost")
}

// close takes n out of the run. Its end is on disk before anything follows
// from it. What it launched and did not end is orphaned: the run sees that from
// its fate. What it did not launch will never start.
func (s *state) close(n *node, why string) []action {
	n.closed = true
	if s.why != "" {
		why = s.why
	}
	actions := []action{save{s.leases()}, note{id: n.id, name: n.name, fate: n.Fate, slots: len(n.spans)}}
	if len(n.spans) > 0 && n.Frontier < s.end {
		actions = append(actions, lost{n.spans, n.Frontier, why})
	}
	return actions
}

// settle moves the run on when its state allows.
func (s *state) settle(at time.Duration) []action {
	switch s.phase {
	case gathering:
		return s.gather(at)
	case running:
		return s.conclude(at)
	}
	return nil
}

func (s *state) gather(at time.Duration) []action {
	ready := s.ready()
	if len(ready) >= s.workers {
		return s.start(at, ready)
	}
	if at <= s.since+s.wait {
		return nil
	}
	s.failure = fmt.Errorf("wait for workers: %d of %d ready after %v%s", len(ready), s.workers, s.wait, s.missing())
	return append(s.raise(at, scenarios.Done, s.failure.Error()), s.conclude(at)...)
}

// ready returns the open workers from which an exchange was stored.
func (s *state) ready() []*node {
	return slices.DeleteFunc(s.open(), func(n *node) bool { return n.Last == 0 })
}

// missing says which of the workers that gossip knows are not ready.
func (s *state) missing() string {
	var silent []string
	for _, m := range s.known {
		if n := s.nodes[m.ID]; m.Role == membership.Worker && (n == nil || n.Last == 0) {
			silent = append(silent, m.Name)
		}
	}
	unseen := s.workers - len(s.ready()) - len(silent)
	var text string
	if len(silent) > 0 {
		text += "; joined and then silent: " + strings.Join(silent, ", ")
	}
	if unseen > 0 {
		text += fmt.Sprintf("; never seen: %d", unseen)
	}
	return text
}

// start shares the slots out and sets the start moment, far enough ahead that
// every worker has had an answer by then.
func (s *state) start(at time.Duration, ready []*node) []action {
	ids := make([]string, len(ready))
	for i, n := range ready {
		ids[i] = n.id
	}
	shares := agents.Assign(ids, s.end)
	s.phase, s.started, s.zero, s.version = running, true, at+s.startDelay, s.version+1
	var notes []action
	for _, n := range ready {
		n.spans = shares[n.id]
		notes = append(notes, note{id: n.id, name: n.name, slots: len(n.spans)})
	}
	return append([]action{save{s.leases()}, begin{s.zero}}, notes...)
}

// open returns the workers that are part of the run, in order of arrival.
func (s *state) open() []*node {
	var open []*node
	for _, id := range s.order {
		if n := s.nodes[id]; !n.closed {
			open = append(open, n)
		}
	}
	return open
}
