package crowd

import (
	"cmp"
	"slices"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// A schedule is the arrivals that this engine owns and has not launched, in
// order. It takes 16 bytes for each; loading it in stretches would take less
// and would put the work of drawing them beside the launches.
type schedule struct {
	arrivals []scenarios.Arrival
	next     int
}

// newSchedule draws the arrivals of the spans from a moment on.
func newSchedule(p *scenarios.Plan, spans []scenarios.Span, from scenarios.Mark) schedule {
	var s schedule
	for _, span := range spans {
		for a := range p.Arrivals(span.Slot, max(span.From, from)) {
			if a.At >= span.To {
				break
			}
			s.arrivals = append(s.arrivals, a)
		}
	}
	slices.SortFunc(s.arrivals, order)
	return s
}

// order is by time, and at the same instant by identity, so that every engine
// launches in one order.
func order(a, b scenarios.Arrival) int {
	return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.ID.Slot, b.ID.Slot), cmp.Compare(a.ID.Number, b.ID.Number))
}

// forward passes over the arrivals that were launched from an earlier
// schedule: those up to the last launch, and those before the frontier.
func (s *schedule) forward(last scenarios.Arrival, frontier scenarios.Mark) {
	for s.next < len(s.arrivals) {
		if a := s.arrivals[s.next]; a.At >= frontier && order(a, last) > 0 {
			return
		}
		s.next++
	}
}

// peek returns the next arrival and whether there is one.
func (s *schedule) peek() (scenarios.Arrival, bool) {
	if s.next == len(s.arrivals) {
		return scenarios.Arrival{}, false
	}
	return s.arrivals[s.next], true
}

// abandon empties the schedule and counts what was left in it by stage.
func (s *schedule) abandon(p *scenarios.Plan, why string) []results.Skip {
	var skips []results.Skip
	for _, a := range s.arrivals[s.next:] {
		stage := p.StageAt(a.At)
		if n := len(skips); n == 0 || skips[n-1].Stage != stage {
			skips = append(skips, results.Skip{Stage: stage, Reason: why})
		}
		skips[len(skips)-1].Count++
	}
	s.arrivals, s.next = nil, 0
	return skips
}
