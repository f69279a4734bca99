package coordinator

import (
	"fmt"
	"strings"
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// How a run ends. Every way out is bounded in time: a drain becomes a cut, a
// cut becomes done, and who does not leave then is ended.

// raise brings the stop to kind, if that is more than it was. The first reason
// stands; Done without one is the plan's own end.
func (s *state) raise(at time.Duration, kind scenarios.Stop, why string) []action {
	if kind <= s.stop || s.phase == over {
		return nil
	}
	s.stop, s.stopAt = kind, at
	var actions []action
	if s.why == "" && why != "" {
		s.why = why
		actions = append(actions, halt{why})
	}
	if s.phase == gathering { // nobody has slots, nobody will
		s.phase = running
		var all []scenarios.Span
		for _, spans := range agents.Assign([]string{""}, s.end) {
			all = spans
		}
		actions = append(actions, lost{all, 0, s.why})
	}
	return append(actions, save{s.leases()})
}

// conclude brings a run to its end, step by step.
func (s *state) conclude(at time.Duration) []action {
	open := s.open()
	if len(open) == 0 {
		return s.finish(at)
	}
	var busy []string
	for _, n := range open {
		if !n.idle(s.end) {
			busy = append(busy, n.name)
		}
	}
	var actions []action
	switch {
	case s.stop == scenarios.Done:
		if at > s.stopAt+2*s.lease {
			for _, n := range open {
				actions = append(actions, s.lose(n, "lost: it was told to leave and did not")...)
			}
			return append(actions, s.finish(at)...)
		}
	case len(busy) == 0 || !s.started:
		return s.raise(at, scenarios.Done, "")
	case s.stop == scenarios.Cut:
		if at > s.stopAt+s.lease {
			return s.raise(at, scenarios.Done, "")
		}
	case s.stop == scenarios.Drain:
		if at > s.stopAt+s.patience {
			return s.raise(at, scenarios.Cut, "")
		}
	case at-s.zero > s.end+s.tail:
		return s.raise(at, scenarios.Cut, fmt.Sprintf("not done %v after the plan's end: %s", s.tail, strings.Join(busy, ", ")))
	}
	return actions
}

// finish ends the run when no worker is left in it.
func (s *state) finish(at time.Duration) []action {
	var actions []action
	if s.started && s.stop == scenarios.Go {
		actions = s.raise(at, scenarios.Done, s.reason())
	}
	s.phase = over
	return append(actions, finish{s.failure})
}

// reason says why a run without a stop has no workers left: it is empty when
// all of them came to the plan's end.
func (s *state) reason() string {
	for _, id := range s.order {
		if n := s.nodes[id]; len(n.spans) > 0 && n.Frontier < s.end {
			return "no worker is left"
		}
	}
	return ""
}
