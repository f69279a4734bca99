package coordinator

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/agents/membership"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// Rules are what a machine is told once.
type Rules struct {
	Workers    int            // to wait for before the start
	Least      int            // to start with when Wait is over; 0 means Workers
	Wait       time.Duration  // for them, at most
	StartDelay time.Duration  // from the assignment to plan time 0
	Notice     time.Duration  // from taking a slot away to the moment it changes hands
	Lease      time.Duration  // as the child counts it
	Patience   time.Duration  // a drain lasts at most this long, then it is cut
	Tail       time.Duration  // shoppers may be in flight this long after the plan's end
	End        scenarios.Mark // of the plan
	Closed     bool           // the crowd: see scenarios.Crowd
	Clock      time.Duration  // how far a worker's wall clock may be off before it launches anything; 0 for any
}

// held is how long the coordinator counts a lease that the child counts as
// Lease: their clocks' rates may differ by 2 %.
func (r Rules) held() time.Duration { return r.Lease + r.Lease/50 }

type phase uint8

const (
	gathering phase = iota // workers join, nobody has slots
	running                // slots are shared out, or the run was stopped before that
	over
)

// A Machine is the coordinator without its sockets: a state, the events that
// reach it and the actions it asks for. Step reads no clock and does no I/O:
// moments come with the events, on the boot clock. Nothing a worker says is
// believed before it is on disk: an exchange asks for a commit, and only the
// event that says it is stored changes counts, renews the lease and answers.
// What is decided is saved before anybody is told.
type Machine struct {
	Rules
	term    uint64
	phase   phase
	since   time.Duration // when gathering began
	started bool
	zero    time.Duration // the moment of plan time 0
	stop    scenarios.Stop
	stopAt  time.Duration // when stop took its present value
	why     string        // of the first stop
	failure error         // why the run could not be run
	ticked  time.Duration // the last tick
	known   []membership.Member
	nodes   map[string]*node
	order   []string         // ids by first exchange: the same events give the same actions
	free    []scenarios.Span // nobody's
	lost    []loss           // never to be started
	moving  []string         // workers whose slots are among the free ones, because they went

	dirty bool     // something that must be saved before anything follows from it
	poke  []string // whom to tell that there is news
}

// NewMachine returns the machine of a run that begins now.
func NewMachine(r Rules, now time.Duration) *Machine {
	return &Machine{Rules: r, term: 1, since: now, nodes: map[string]*node{}}
}

var (
	errEnded    = errors.New("the lease of this worker has ended")
	errConflict = errors.New("this sequence is stored already, with other bytes")
	errClock    = errors.New("turned away")
	errForged   = errors.New("it has spans in force that nobody gave it")
	errBusy     = errors.New("the exchange before it is still being stored")
)

// Step takes one event and returns what is to be done about it, in order. What
// follows a Save may only be done once that is on disk.
func (m *Machine) Step(e Event) []Action {
	return m.saved(m.step(e))
}

// saved puts what was decided before the actions that follow from it.
func (m *Machine) saved(actions []Action) []Action {
	if m.dirty {
		actions = append([]Action{Save{m.Leases()}}, actions...)
	}
	for _, id := range m.poke {
		if n := m.nodes[id]; !n.closed && m.stop == scenarios.Go {
			actions = append(actions, m.note(n))
		}
		actions = append(actions, Poke{id})
	}
	m.dirty, m.poke = false, nil
	return actions
}

func (m *Machine) step(e Event) []Action {
	switch e := e.(type) {
	case Exchanged:
		return m.exchanged(e)
	case Stored:
		return append(m.stored(e), m.settle(e.At)...)
	case Unstored:
		n := m.nodes[e.ID]
		if n.pending = nil; n.Last == 0 { // nothing of it is kept: it is no part of the run yet
			delete(m.nodes, e.ID)
			m.order = slices.DeleteFunc(m.order, func(id string) bool { return id == e.ID })
		}
		return nil
	case Stopped:
		return append(m.raise(e.At, e.Kind, e.Why), m.settle(e.At)...)
	case Ticked:
		m.known = e.Known
		return slices.Concat(m.lapse(e.At), m.handOn(e.At), m.settle(e.At))
	}
	panic(fmt.Sprintf("coordinator: unknown event %T", e))
}

func (m *Machine) exchanged(e Exchanged) []Action {
	n := m.nodes[e.ID]
	if n == nil { // part of the run once it sends what can be stored
		n = &node{id: e.ID, name: e.Name}
	}
	switch {
	case n.Gone && e.Seq > n.Last:
		return []Action{Apart{e.ID}, Answer{ID: e.ID, Err: errEnded}}
	case n.Gone:
		return []Action{Answer{ID: e.ID, Err: errEnded}}
	case n.pending != nil: // its worker did not wait for the answer
		return []Action{Answer{ID: e.ID, Err: errBusy}}
	case n.Last > 0 && e.Seq == n.Last && e.Digest == n.digest: // our answer was lost
		return []Action{m.grant(n, e, e.At)}
	case e.Seq <= n.Last:
		// Only the last digest is kept, or memory would grow with the run. A
		// worker has one exchange under way, so it never repeats an older one.
		return []Action{Answer{ID: e.ID, Err: errConflict}}
	case n.closed:
		return []Action{Answer{ID: e.ID, Err: fmt.Errorf("sequence %d after the last one: %w", e.Seq, errEnded)}}
	case e.Facts.Grant > n.version:
		return []Action{Answer{ID: e.ID, Err: errForged}}
	case m.Clock > 0 && e.Clocks.Wall.Abs() > m.Clock && m.harmless(n, e):
		return m.turnAway(n, e)
	case e.Seq > n.Last+1: // a gap grants nothing, and says where to go on
		return []Action{Answer{ID: e.ID, Lease: agents.Lease{Term: m.term, Stored: n.Last, Stop: m.stop, Why: m.why}}}
	}
	if m.nodes[e.ID] == nil {
		m.nodes[e.ID] = n
		m.order = append(m.order, e.ID)
	}
	n.pending = &e
	return []Action{Commit{e.ID}}
}

// harmless says that a worker can be turned away: it can't have launched anybody.
func (m *Machine) harmless(n *node, e Exchanged) bool {
	return n.Launched+e.Facts.Launched == 0 && (e.Facts.Grant == 0 || e.At < m.zero)
}

// turnAway ends a worker whose wall clock is too far off, before it takes part.
// What it would record could not be held against anybody else's clock.
func (m *Machine) turnAway(n *node, e Exchanged) []Action {
	n.name = e.Name
	n.clocks.See(e.Clocks)
	_, words := e.Clocks.Worst()
	err := fmt.Errorf("%w: %s, at most %v is allowed: set it (NTP), or raise validity.clock", errClock, words, m.Clock)
	n.gone("turned away: " + words)
	return append(m.close(e.At, n), Answer{ID: e.ID, Err: err})
}

func (m *Machine) stored(e Stored) []Action {
	n := m.nodes[e.ID]
	p := *n.pending
	n.pending = nil
	n.name, n.capacity = p.Name, p.Capacity
	n.clocks.See(p.Clocks)
	actions := append([]Action{Merge{n.id}}, m.absorb(n, p, e.At)...)
	return append(actions, m.grant(n, p, e.At))
}

// absorb enters a stored exchange, and does what follows from it.
func (m *Machine) absorb(n *node, p Exchanged, at time.Duration) (actions []Action) {
	first, leaves := n.Last == 0, p.Leaving && !n.Leaving
	released := m.released(n, n.Grant, p.Facts.Applied)
	n.absorb(p.Seq, p.Facts)
	n.digest, n.Leaving = p.Digest, n.Leaving || p.Leaving
	if len(p.Clocks.Upsets) > 0 {
		m.dirty = true
		defer func() { actions = append(actions, m.note(n)) }()
	}
	switch {
	case n.Fate != "":
		return m.close(at, n)
	case n.Final:
		if n.Launched > n.Ended {
			n.Fate = "left shoppers in flight"
		}
		return m.close(at, n)
	case first || leaves:
		m.dirty = true
		if now := at - m.zero; m.started && leaves {
			n.Leave, n.Had = max(now, 1), n.slots(m.End)
		} else if m.started && now > 0 {
			n.Joined = now
		}
		return append([]Action{m.note(n)}, m.balance(at)...)
	case released:
		if n.Leaving {
			m.moving = append(m.moving, n.id)
		}
		return m.balance(at)
	}
	return nil
}

// grant answers p, and renews the lease of n unless it is closed. A worker that
// asked to go and has nothing left is told that it may.
func (m *Machine) grant(n *node, p Exchanged, at time.Duration) Action {
	l := agents.Lease{
		Term: m.term, Version: n.version, Started: m.started,
		Stored: n.Last, Stop: m.stop, Why: m.why, Held: at - p.At,
	}
	if m.started {
		l.Now = at - m.zero
	}
	if !n.closed {
		l.Length = m.Lease
		n.deadline = at + m.held()
	}
	if n.Leaving && n.idle() && l.Stop < scenarios.Done {
		l.Stop, l.Why = scenarios.Done, "it asked to leave"
	}
	if p.Have != n.version {
		l.Spans = n.spans
	}
	return Answer{ID: n.id, Lease: l}
}

// lapse ends the workers whose lease has run out. A coordinator that was asleep
// itself has not listened: it gives them that time on top. Nor has one listened
// whose disk is still busy with what a worker said. Ending a lease late is always
// safe.
func (m *Machine) lapse(at time.Duration) []Action {
	var asleep time.Duration
	if gap := at - m.ticked; m.ticked > 0 && gap > time.Second {
		asleep = gap
	}
	m.ticked = at
	var lost []*node
	for _, n := range m.present() {
		n.deadline += asleep
		if n.Last > 0 && n.pending == nil && at > n.deadline {
			silent := at - n.deadline + m.held()
			n.gone(fmt.Sprintf("lost: nothing heard for %.1f s", silent.Seconds()))
			lost = append(lost, n)
		}
	}
	return m.close(at, lost...)
}

// close takes workers out of the run, and what they have not launched goes to the
// others: to none of those who end at the same moment. Their end is on disk
// before anything follows from it. What they launched and did not end is
// orphaned: the run sees that from their fate.
func (m *Machine) close(at time.Duration, nodes ...*node) []Action {
	if len(nodes) == 0 {
		return nil
	}
	for _, n := range nodes {
		m.shut(n, at)
	}
	handed := m.balance(at)
	var actions []Action
	for _, n := range nodes {
		n.noted = true
		actions = append(actions, m.note(n))
	}
	return append(actions, handed...)
}

// shut frees what a worker has not launched.
func (m *Machine) shut(n *node, at time.Duration) {
	n.Had = max(n.Had, n.slots(m.End))
	n.closed, m.dirty = true, true
	pieces := m.pieces(n, at)
	m.free = append(m.free, pieces...)
	if m.started && (n.Fate != "" || n.Leaving) {
		n.Leave = cmp.Or(n.Leave, max(at-m.zero, 1))
		if len(pieces) > 0 {
			m.moving = append(m.moving, n.id)
		} else {
			n.Passed = cmp.Or(n.Passed, n.Leave)
		}
	}
}

// note says what is known of a worker.
func (m *Machine) note(n *node) Action {
	note := results.WorkerNote{
		Name: n.name, Fate: n.Fate, Slots: n.slots(m.End),
		Joined: n.Joined, Full: n.Full, FullFrom: n.FullFrom, Gone: n.Leave, Heirs: maps.Clone(n.Heirs), Passed: n.Passed,
		Clocks: n.clocks,
	}
	if n.closed {
		note.Slots = n.Had
	}
	return Note{n.id, note}
}

// settle moves the run on when its state allows.
func (m *Machine) settle(at time.Duration) []Action {
	switch m.phase {
	case gathering:
		return m.gather(at)
	case running:
		return m.conclude(at)
	}
	return nil
}

func (m *Machine) gather(at time.Duration) []Action {
	ready := m.ready()
	if len(ready) >= m.Workers {
		return m.start(at)
	}
	if at <= m.since+m.Wait {
		return nil
	}
	if m.Least > 0 && len(ready) >= m.Least {
		return m.start(at)
	}
	m.failure = fmt.Errorf("wait for workers: %d of %d ready after %v%s", len(ready), m.Workers, m.Wait, m.missing())
	return append(m.raise(at, scenarios.Done, m.failure.Error()), m.conclude(at)...)
}

// ready returns the workers that can be given slots.
func (m *Machine) ready() []*node {
	return slices.DeleteFunc(m.present(), func(n *node) bool { return !n.open() })
}

// missing says which of the workers that gossip knows are not ready.
func (m *Machine) missing() string {
	var silent []string
	for _, k := range m.known {
		if n := m.nodes[k.ID]; k.Role == membership.Worker && (n == nil || n.Last == 0) {
			silent = append(silent, k.Name)
		}
	}
	var gone []string
	for _, id := range m.order {
		if n := m.nodes[id]; n.Fate != "" {
			gone = append(gone, n.name+" "+n.Fate)
		}
	}
	unseen := m.Workers - len(m.ready()) - len(silent) - len(gone)
	var text string
	if len(gone) > 0 {
		text += "; " + strings.Join(gone, ", ")
	}
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
func (m *Machine) start(at time.Duration) []Action {
	m.phase, m.started, m.zero = running, true, at+m.StartDelay
	m.free, m.dirty = all(m.End), true
	return append(m.balance(at), Begin{m.zero})
}

// all is every slot, whole.
func all(end scenarios.Mark) []scenarios.Span {
	spans := make([]scenarios.Span, scenarios.Slots)
	for slot := range spans {
		spans[slot] = scenarios.Span{Slot: scenarios.Slot(slot), To: end}
	}
	return spans
}

// present returns the workers that are part of the run, in order of arrival.
func (m *Machine) present() []*node {
	var present []*node
	for _, id := range m.order {
		if n := m.nodes[id]; !n.closed {
			present = append(present, n)
		}
	}
	return present
}
