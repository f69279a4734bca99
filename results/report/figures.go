package report

import (
	"slices"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// stageFigures are the numbers of one stage. A shopper counts in the stage in
// which it arrived, with all that it did.
type stageFigures struct {
	results.Stage
	passed     time.Duration // how much of it the run saw
	launched   uint64
	orders     uint64
	requests   uint64
	ok         share
	ttft, turn *results.Histogram
	steps      *results.Histogram
}

func stages(r *results.Run) []stageFigures {
	var all []stageFigures
	for _, s := range r.Stages {
		sel := results.Tags{Stage: s.Name}
		all = append(all, stageFigures{
			Stage:    s,
			passed:   max(0, min(r.Cut, s.To)-s.From),
			launched: r.Count(results.ShoppersLaunched, sel),
			orders:   r.Count(results.Orders, sel),
			requests: r.Count(results.Requests, sel),
			ok:       rate(r, results.RequestSuccess, sel),
			ttft:     r.Trend(results.TurnTTFT, sel),
			turn:     r.Trend(results.StepDuration, results.Tags{Stage: s.Name, Step: "turn"}),
			steps:    r.Trend(results.StepDuration, sel),
		})
	}
	return all
}

// whole is the same for the whole run.
func whole(r *results.Run) stageFigures {
	return stageFigures{
		Stage:    results.Stage{Name: "all", To: r.Duration, Shoppers: r.Planned},
		passed:   max(0, min(r.Cut, r.Duration)),
		launched: r.Count(results.ShoppersLaunched, results.Tags{}),
		orders:   r.Count(results.Orders, results.Tags{}),
		requests: r.Count(results.Requests, results.Tags{}),
		ok:       rate(r, results.RequestSuccess, results.Tags{}),
		ttft:     r.Trend(results.TurnTTFT, results.Tags{}),
		turn:     r.Trend(results.StepDuration, results.Tags{Step: "turn"}),
		steps:    r.Trend(results.StepDuration, results.Tags{}),
	}
}

// perSecond spreads n over the part of the stage that passed; nil if none did.
func (s stageFigures) perSecond(n uint64) *float64 {
	if s.passed <= 0 {
		return nil
	}
	v := float64(n) / s.passed.Seconds()
	return &v
}

// requestsPerOrder is nil where there was no order.
func (s stageFigures) requestsPerOrder() *float64 {
	if s.orders == 0 {
		return nil
	}
	v := float64(s.requests) / float64(s.orders)
	return &v
}

// A share is a part of a total. A total of 0 is one that was not measured.
type share struct{ good, total uint64 }

func rate(r *results.Run, m *results.Metric, sel results.Tags) share {
	good, total := r.Rate(m, sel)
	return share{good, total}
}

func (s share) ratio() *float64 {
	if s.total == 0 {
		return nil
	}
	v := float64(s.good) / float64(s.total)
	return &v
}

// steps lists the steps that were measured, in the order of a journey, and any
// other after them.
func steps(r *results.Run) []string {
	all := r.Tagged(results.Requests, "step")
	slices.SortStableFunc(all, func(a, b string) int { return place(a) - place(b) })
	return all
}

func place(step string) int {
	order := []string{"turn", "claim", "create", "update", "complete", "read"}
	if i := slices.Index(order, step); i >= 0 {
		return i
	}
	return len(order)
}

// busiest returns the stage that was planned with the highest rate, and the
// rate; false if there is none.
func busiest(r *results.Run) (name string, perSecond float64, ok bool) {
	for _, s := range r.Stages {
		if length := (s.To - s.From).Seconds(); length > 0 && float64(s.Shoppers)/length > perSecond {
			name, perSecond, ok = s.Name, float64(s.Shoppers)/length, true
		}
	}
	return name, perSecond, ok
}
