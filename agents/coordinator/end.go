package coordinator

import (
	"fmt"
	"strings"
	"time"

	"github.com/flashcrowd/flashcrowd/scenarios"
)

// How a run ends. Every way out is bounded in time: a drain becomes a cut, a
// cut becomes done, and who does not leave then is ended.

// raise brings the stop to kind, if that is more than it was. The first reason
// stands; Done without one is the plan's own end.
func (m *Machine) raise(at time.Duration, kind scenarios.Stop, why string) []Action {
	if kind <= m.stop || m.phase == over {
		return nil
	}
	m.stop, m.stopAt, m.dirty = kind, at, true
	var actions []Action
	if m.why == "" && why != "" {
		m.why = why
		actions = append(actions, Halt{why})
	}
	if m.phase == gathering { // nobody has slots, nobody will
		m.phase, m.free = running, all(m.End)
	}
	for _, n := range m.present() {
		m.poke = append(m.poke, n.id)
	}
	return append(actions, m.forgo(m.why)...)
}

// conclude brings a run to its end, step by step.
func (m *Machine) conclude(at time.Duration) []Action {
	empty, busy := true, false
	for _, id := range m.order { // after each exchange, so the first that is busy must do
		n := m.nodes[id]
		empty = empty && n.closed
		if busy = !n.closed && !n.idle(); busy {
			break
		}
	}
	if empty {
		return m.finish(at)
	}
	var actions []Action
	switch {
	case m.stop == scenarios.Done:
		if at > m.stopAt+2*m.Lease {
			var lost []*node
			for _, n := range m.present() {
				if n.pending == nil {
					n.gone("lost: it was told to leave and did not")
					lost = append(lost, n)
				}
			}
			actions = m.close(at, lost...)
			if len(m.present()) == 0 {
				actions = append(actions, m.finish(at)...)
			}
		}
	case !busy && len(m.free) == 0 || !m.started:
		return m.raise(at, scenarios.Done, "")
	case m.stop == scenarios.Cut:
		if at > m.stopAt+m.Lease {
			return m.raise(at, scenarios.Done, "")
		}
	case m.stop == scenarios.Drain:
		if at > m.stopAt+m.Patience {
			return m.raise(at, scenarios.Cut, "")
		}
	case at-m.zero > m.End+m.Tail:
		return m.raise(at, scenarios.Cut, fmt.Sprintf("not done %v after the plan's end: %s", m.Tail, strings.Join(m.busy(), ", ")))
	}
	return actions
}

// busy names the workers that have something to do.
func (m *Machine) busy() (names []string) {
	for _, n := range m.present() {
		if !n.idle() {
			names = append(names, n.name)
		}
	}
	return names
}

// finish ends the run when no worker is left in it.
func (m *Machine) finish(at time.Duration) []Action {
	var actions []Action
	if m.started && m.stop == scenarios.Go {
		why := ""
		if len(m.free) > 0 {
			why = "no worker is left" + m.lastFate()
		}
		actions = m.raise(at, scenarios.Done, why)
	}
	m.phase = over
	return append(actions, Finish{m.failure})
}

// lastFate says who was the last to go, and how.
func (m *Machine) lastFate() string {
	for i := len(m.order) - 1; i >= 0; i-- {
		if n := m.nodes[m.order[i]]; n.Fate != "" {
			return fmt.Sprintf(": %s %.150s", n.name, n.Fate)
		}
	}
	return ""
}
