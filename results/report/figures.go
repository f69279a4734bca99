package report

import (
	"slices"

	"github.com/flashcrowd/flashcrowd/results"
)

// stageFigures are the numbers of one stage. A shopper counts in the stage in
// which it arrived, with all that it did.
type stageFigures struct {
	results.Stage
	launched   uint64
	arrivals   *float64 // per second, while shoppers arrived
	orders     uint64   // of the shoppers that arrived in it
	throughput *float64 // orders per second while it lasted, whoever they were for
	requests   uint64
	ok         share
	ttft, turn *results.Histogram
	steps      *results.Histogram
}

func stages(r *results.Run) []stageFigures {
	var all []stageFigures
	for _, s := range r.Stages {
		sel := results.Tags{Stage: s.Name}
		launched, end := r.Count(results.ShoppersLaunched, sel), min(r.ArrivalsEnd(), s.To)
		all = append(all, stageFigures{
			Stage:    s,
			launched: launched,
			arrivals: per(float64(launched), (end - s.From).Seconds()),
			orders:   r.Count(results.Orders, sel),

			throughput: per(r.OrdersBetween(s.From, end), (end - s.From).Seconds()),

			requests: r.Count(results.Requests, sel),
			ok:       rate(r, results.RequestSuccess, sel),
			ttft:     r.Trend(results.TurnTTFT, sel),
			turn:     r.Trend(results.StepDuration, results.Tags{Stage: s.Name, Step: "turn"}),
			steps:    r.Trend(results.StepDuration, sel),
		})
	}
	return all
}

// whole is the same for the whole run. Its orders go on until the last of them:
// a backend that can't keep up has its say after the plan's end.
func whole(r *results.Run) stageFigures {
	launched, orders := r.Count(results.ShoppersLaunched, results.Tags{}), r.Count(results.Orders, results.Tags{})
	return stageFigures{
		Stage:    results.Stage{Name: "all", To: r.Duration, Shoppers: r.Planned},
		launched: launched,
		arrivals: per(float64(launched), r.ArrivalsEnd().Seconds()),
		orders:   orders,

		throughput: per(float64(orders), max(r.ArrivalsEnd(), r.OrdersEnd()).Seconds()),

		requests: r.Count(results.Requests, results.Tags{}),
		ok:       rate(r, results.RequestSuccess, results.Tags{}),
		ttft:     r.Trend(results.TurnTTFT, results.Tags{}),
		turn:     r.Trend(results.StepDuration, results.Tags{Step: "turn"}),
		steps:    r.Trend(results.StepDuration, results.Tags{}),
	}
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
	order := []string{"login", "refresh", "turn", "claim", "create", "update", "complete", "read", "search", "poll"}
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
