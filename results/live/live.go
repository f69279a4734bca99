// Package live shows a run while it goes on: Line says in one line where it
// stands and how the generator fares, Terminal keeps that line up to date, and
// Handler serves it to browsers and to Prometheus.
package live

import (
	"fmt"
	"strings"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/verdict"
)

// separator stands between the parts of a line; Terminal breaks lines there.
const separator = "  "

// Line says where the run stands, in words that fit a log. Rates are those
// since prev, an earlier state of the same run, or since the start where prev
// is nil; the rest counts from the start. The generator is OK as long as its
// lag and its processors keep within the limits that make a run valid.
func Line(r, prev *results.Run, limits verdict.Validity) string {
	return strings.Join([]string{
		clock(r),
		rates(r, prev),
		results.HumanCountOf(r.Count(results.Orders, results.Tags{}), "order"),
		fmt.Sprintf("%s in flight", results.HumanCount(r.Account.InFlight)),
		failed(r, prev),
		generator(r, limits),
	}, separator)
}

// clock is plan time of the planned length, and the stage.
func clock(r *results.Run) string {
	switch {
	case r.Cut < 0:
		return "starts in " + results.Human((-r.Cut).Round(time.Second))
	case r.Cut >= r.Duration:
		return fmt.Sprintf("%s after the plan's end", results.Human((r.Cut - r.Duration).Round(time.Second)))
	}
	at := fmt.Sprintf("%s of %s", results.Human(r.Cut.Round(time.Second)), results.Human(r.Duration))
	if s := stage(r); s != nil {
		at += " " + s.Name
	}
	return at
}

func stage(r *results.Run) *results.Stage {
	for i := range r.Stages {
		if s := &r.Stages[i]; s.From <= r.Cut && r.Cut < s.To {
			return s
		}
	}
	return nil
}

// rates are arrivals as planned, on average over the stage, arrivals as offered,
// and orders.
func rates(r, prev *results.Run) string {
	planned := "–"
	if s := stage(r); s != nil {
		planned = results.HumanRate(float64(s.Shoppers) / (s.To - s.From).Seconds())
	} else if r.Cut >= r.Duration {
		planned = results.HumanRate(0)
	}
	return fmt.Sprintf("planned %s on average, offered %s, orders %s", planned,
		since(r, prev, results.ShoppersLaunched), since(r, prev, results.Orders))
}

// since is how fast a counter has grown since prev; – where no time has passed.
func since(r, prev *results.Run, m *results.Metric) string {
	n, passed := r.Count(m, results.Tags{}), r.Cut
	if prev != nil {
		n -= min(n, prev.Count(m, results.Tags{}))
		passed -= max(0, prev.Cut)
	}
	if passed <= 0 {
		return "–"
	}
	return results.HumanRate(float64(n) / passed.Seconds())
}

// failed is the share of the requests since prev whose outcome is not ok; –
// where none ended.
func failed(r, prev *results.Run) string {
	good, total := r.Rate(results.RequestSuccess, results.Tags{})
	if prev != nil {
		g, t := prev.Rate(results.RequestSuccess, results.Tags{})
		good, total = good-min(good, g), total-min(total, t)
	}
	if total == 0 {
		return "– failed"
	}
	return results.HumanShare(float64(total-good)/float64(total)) + " failed"
}

// generator says whether it is the backend that is measured.
func generator(r *results.Run, limits verdict.Validity) string {
	lag := r.Trend(results.ScheduleLag, results.Tags{})
	cpu, gone := 0.0, 0
	throttled, stalled := 0.0, 0.0
	for _, w := range r.Workers {
		cpu, throttled, stalled = max(cpu, w.CPU), max(throttled, w.Throttled), max(stalled, w.Stalled)
		if w.Fate != "" {
			gone++
		}
	}
	state, p99, load := "OK", "–", "–"
	if len(r.Workers) > 0 {
		load = results.HumanShare(cpu)
	}
	if lag.Count() > 0 {
		p99 = results.Human(lag.Quantile(0.99))
	}
	switch {
	case gone > 0:
		state = fmt.Sprintf("LOST %d of %d workers", gone, len(r.Workers))
	case throttled > limits.Withheld:
		state = "THROTTLED"
	case stalled > limits.Withheld:
		state = "SHORT OF MEMORY"
	case cpu > limits.CPU:
		state = "SATURATED"
	case lag.Count() == 0:
		state = "idle"
	case lag.Quantile(0.99) > limits.LagP99:
		state = "LATE"
	}
	return fmt.Sprintf("generator %s: lag p99 %s, CPU %s", state, p99, load)
}
