package coordinator

import (
	"errors"
	"fmt"
	"time"

	"github.com/flashcrowd/flashcrowd/scenarios"
)

// A Memory is one snapshot that is in the store, as a resumed machine needs it.
type Memory struct {
	ID     string // of the worker
	Seq    uint64
	Facts  Facts
	Digest Digest
}

// ErrOver says that a run can't be resumed because it has ended.
var ErrOver = errors.New("the run has ended")

// Resume returns the machine of a run that another coordinator led, as that one
// left it: what was saved, and what workers told afterwards, in the order in
// which it was stored. Every worker that had not ended is taken to have been
// renewed just now, because it may have been: what is given away meanwhile might
// still be its own. The actions come first of all.
func Resume(r Rules, saved Leases, told []Memory, now time.Duration) (*Machine, []Action, error) {
	m := NewMachine(r, now)
	m.term, m.started, m.zero = saved.Term+1, saved.Started, saved.Zero
	m.stop, m.stopAt, m.why = saved.Stop, now, saved.Why
	m.free, m.lost, m.order = saved.Free, saved.Lost, saved.Order
	m.dirty = true // the new term
	if m.started || m.stop > scenarios.Go {
		m.phase = running
	}
	for id, t := range saved.Workers {
		m.nodes[id] = &node{
			record: t.Record, id: id, name: t.Name, capacity: t.Capacity,
			version: t.Version, spans: t.Spans, releases: t.Releases, closed: t.Closed, noted: t.Closed, clocks: t.Clocks,
		}
		if t.Closed && t.Record.Leave > 0 && t.Record.Passed == 0 && len(t.Record.Heirs) == 0 {
			m.moving = append(m.moving, id)
		}
	}
	var actions []Action
	for _, t := range told {
		n := m.nodes[t.ID]
		if n == nil { // it came just before the end
			n = &node{id: t.ID, name: fmt.Sprintf("%.12s", t.ID)}
			m.nodes[t.ID] = n
			m.order = append(m.order, t.ID)
		}
		switch {
		case t.Seq < n.Last:
		case t.Seq == n.Last:
			n.digest = t.Digest
		case t.Seq == n.Last+1 && !n.closed:
			e := Exchanged{At: now, ID: t.ID, Name: n.name, Seq: t.Seq, Capacity: n.capacity, Facts: t.Facts, Digest: t.Digest}
			actions = append(actions, m.absorb(n, e, now)...)
		default:
			return nil, nil, fmt.Errorf("resume: snapshot %d of worker %s follows %d", t.Seq, n.name, n.Last)
		}
	}
	present := m.present()
	if m.stop == scenarios.Done && len(present) == 0 {
		return nil, nil, fmt.Errorf("resume: %w", ErrOver)
	}
	for _, n := range present {
		n.deadline = now + m.held()
	}
	return m, m.saved(actions), nil
}
