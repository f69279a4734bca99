package coordinator

import (
	"cmp"
	"slices"
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// How slots change hands. A slot is taken from its owner as of a moment that
// lies ahead, and given to its heir once the owner's word that it launches
// nothing from there on is stored. Of an owner that is gone, what it may not
// have launched is given away at once.

// blur is how far apart a worker and the coordinator may see the same moment of
// plan time.
const blur = 250 * time.Millisecond

// balance gives what is free to those who can take it, and evens out who has
// how much. Once the load is stopped, what is free will never start.
func (m *Machine) balance(at time.Duration) []Action {
	if !m.started {
		return nil
	}
	if m.stop >= scenarios.Drain {
		return m.forgo(m.why)
	}
	var shares []agents.Share
	for _, n := range m.ready() {
		shares = append(shares, n.share())
	}
	heirs := agents.Assign(shares, m.owners())
	m.retire(at, heirs)
	if len(shares) == 0 {
		return nil
	}
	free := make(map[string][]scenarios.Span)
	for _, s := range m.free {
		heir := heirs[s.Slot]
		free[heir] = append(free[heir], s)
	}
	m.free = nil
	for _, n := range m.ready() {
		m.give(n, free[n.id])
	}
	return m.handed(free)
}

// handed notes who got the slots of those that went, and who has its share now.
func (m *Machine) handed(free map[string][]scenarios.Span) (notes []Action) {
	for _, id := range m.moving {
		n := m.nodes[id]
		for heir, spans := range free {
			if n.Heirs == nil {
				n.Heirs = make(map[string]uint64)
			}
			n.Heirs[heir] = m.nodes[heir].version
			n.Passed = max(n.Passed, slices.MinFunc(spans, byFrom).From)
		}
		if n.noted {
			notes = append(notes, m.note(n))
		}
	}
	m.moving = nil
	for _, n := range m.ready() {
		if n.Joined > 0 && n.Full == 0 && len(n.spans) > 0 && !m.awaits(n.id) {
			n.Full, n.FullFrom = n.version, slices.MaxFunc(n.spans, byFrom).From
		}
	}
	return notes
}

// awaits says that slots are on their way to a worker.
func (m *Machine) awaits(id string) bool {
	return slices.ContainsFunc(m.present(), func(n *node) bool {
		return slices.ContainsFunc(n.releases, func(r release) bool { return r.Heir == id })
	})
}

func byFrom(a, b scenarios.Span) int { return cmp.Compare(a.From, b.From) }

// owners returns who has the end of each slot, or will have it.
func (m *Machine) owners() []string {
	owners := make([]string, scenarios.Slots)
	for _, n := range m.present() {
		for _, s := range n.spans {
			if s.To == m.End {
				owners[s.Slot] = n.id
			}
		}
		for _, r := range n.releases {
			if r.Span.To == m.End {
				owners[r.Span.Slot] = r.Heir
			}
		}
	}
	return owners
}

// retire takes from each worker the slots that are to be another's.
func (m *Machine) retire(at time.Duration, heirs []string) {
	from := max(at-m.zero+m.Notice, 0)
	for _, n := range m.present() {
		for i := range n.releases {
			r := &n.releases[i]
			r.Heir = heirs[r.Span.Slot]
		}
		moves := func(s scenarios.Span) bool {
			return heirs[s.Slot] != n.id && (s.To == m.End && max(s.From, from) < m.End || m.outside(n, s, at))
		}
		if !slices.ContainsFunc(n.spans, moves) {
			continue
		}
		var kept []scenarios.Span
		m.bump(n)
		for _, s := range n.spans {
			if moves(s) {
				tail := s
				if !m.outside(n, s, at) {
					tail.From = max(s.From, from)
				}
				s.To = tail.From
				n.releases = append(n.releases, release{Span: tail, Version: n.version, Heir: heirs[s.Slot]})
			}
			if s.From < s.To {
				kept = append(kept, s)
			}
		}
		n.spans = kept
	}
}

// outside says that all of a span has come, and somebody of it waits outside with
// a worker that asked to go. They go to who has the places now.
func (m *Machine) outside(n *node, s scenarios.Span, at time.Duration) bool {
	return m.Closed && n.Leaving && s.To <= at-m.zero && n.Frontier < s.To
}

// handOn gives away whom workers that asked to go have outside.
func (m *Machine) handOn(at time.Duration) []Action {
	for _, n := range m.present() {
		if n.Leaving && slices.ContainsFunc(n.spans, func(s scenarios.Span) bool { return m.outside(n, s, at) }) {
			return m.balance(at)
		}
	}
	return nil
}

// give grants spans to a worker.
func (m *Machine) give(n *node, spans []scenarios.Span) {
	if len(spans) == 0 {
		return
	}
	m.bump(n)
	kept := slices.DeleteFunc(slices.Clone(n.spans), n.past)
	for _, s := range spans {
		s.Grant = n.version
		kept = append(kept, s)
	}
	n.spans = kept
}

// past says that nothing of a span can be of interest any more.
func (n *node) past(s scenarios.Span) bool {
	return len(n.unlaunched(s)) == 0 && s.Grant <= n.Grant
}

// bump makes the next version of a worker's spans, which it is to fetch.
func (m *Machine) bump(n *node) {
	n.version++
	m.dirty = true
	if !slices.Contains(m.poke, n.id) {
		m.poke = append(m.poke, n.id)
	}
}

// released takes the word of a worker about what it launched when spans came
// into force: what was taken from it by then, it launches from there on no
// more, and all before is its own. It reports whether anything is free now.
// Before is the version that was in force until then.
func (m *Machine) released(n *node, before uint64, applied []results.Applied) bool {
	var any bool
	for _, a := range applied {
		var waiting []release
		for _, r := range n.releases {
			if r.Version > a.Grant {
				waiting = append(waiting, r)
				continue
			}
			any, m.dirty = true, true
			s := r.Span
			if s.Grant <= before { // it had the span in force until now
				if s.From = min(max(s.From, a.Frontier), s.To); s.From > r.Span.From {
					n.keep(r.Span, s.From)
				}
			}
			if s.From < s.To {
				m.free = append(m.free, s)
			}
		}
		n.releases, before = waiting, a.Grant
	}
	return any
}

// keep notes that what a worker has of a released slot goes on to a moment:
// what it launched before it knew is its own.
func (n *node) keep(s scenarios.Span, to scenarios.Mark) {
	n.spans = slices.Clone(n.spans)
	for i := range n.spans {
		if mine := &n.spans[i]; mine.Slot == s.Slot && mine.Grant == s.Grant && mine.To == s.From {
			mine.To = to
			return
		}
	}
	s.To = to
	n.spans = append(n.spans, s)
}

// pieces takes from a closed worker what it may not have launched. What was due
// while it lived, it may have launched without being able to say so: for
// whoever launches it next, that is another attempt.
func (m *Machine) pieces(n *node, at time.Duration) []scenarios.Span {
	var pieces []scenarios.Span
	for _, s := range n.spans {
		pieces = append(pieces, n.unlaunched(s)...)
	}
	for _, r := range n.releases {
		pieces = append(pieces, n.unlaunched(r.Span)...)
	}
	n.spans, n.releases = nil, nil
	return again(pieces, at-m.zero+blur)
}

// again marks what of the spans lies before a moment as another attempt.
func again(spans []scenarios.Span, before scenarios.Mark) []scenarios.Span {
	var all []scenarios.Span
	for _, s := range spans {
		early, late := s, s
		early.To, late.From = min(s.To, before), max(s.From, before)
		if early.From < early.To {
			early.Attempt = min(early.Attempt+1, scenarios.MaxAttempt)
			all = append(all, early)
		}
		if late.From < late.To {
			all = append(all, late)
		}
	}
	return all
}

// forgo counts what is free as never started.
func (m *Machine) forgo(why string) []Action {
	if len(m.free) == 0 {
		return nil
	}
	gone := loss{Spans: m.free, Why: why}
	m.lost, m.free, m.dirty = append(m.lost, gone), nil, true
	return []Action{Lost(gone)}
}
