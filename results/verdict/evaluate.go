package verdict

import (
	"fmt"
	"strings"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// Evaluate holds the threshold against the run. elapsed is plan time since the
// start, which only the rate of a counter needs.
//
// It differs from k6 in two ways. Percentiles come from the histogram (see
// results.Histogram.Quantile): at most 0.1 % too high, where k6 interpolates
// between values it has all kept. And k6 takes an empty metric as 0, so that a
// run that measured nothing meets p(99)<2s: here a trend or a rate without
// values, or a stage that the plan does not have, is "nothing measured" and
// does not hold. A counter that counted nothing is 0: requests{outcome:stalled}
// should be able to be 0.
func (t Threshold) Evaluate(r *results.Run, elapsed time.Duration) (Reason, bool) {
	reason := Reason{Rule: t.Rule(), Kind: KindThreshold, Measured: "nothing measured"}
	if v, text, ok := t.measure(r, elapsed); ok {
		reason.Measured, reason.Held = text, t.expr.holds(v)
	}
	return reason, reason.Held
}

// Aborts reports whether the run must be stopped now because of this
// threshold: it may abort, its delay is over, and what was measured breaks it.
// Where nothing was measured yet, nothing aborts.
func (t Threshold) Aborts(r *results.Run, elapsed time.Duration) bool {
	if !t.AbortOnFail || elapsed < t.DelayAbortEval {
		return false
	}
	v, _, ok := t.measure(r, elapsed)
	return ok && !t.expr.holds(v)
}

// Rule is the threshold as it was written, with the unit of a limit that was
// written without one: turn_ttft: p(95)<2 (2 ms).
func (t Threshold) Rule() string {
	if last := t.Source[max(0, len(t.Source)-1):]; t.Metric.Kind != results.Trend || last == "" || last[0] < '0' || last[0] > '9' {
		return t.Source
	}
	return t.Source + " (" + results.Human(time.Duration(t.expr.limit)) + ")"
}

// StopReason is what Merger.Stop must be told when the threshold aborts the
// run: Judge knows it again, and calls such a run failed and not incomplete.
func (t Threshold) StopReason() string { return "threshold broken: " + t.Source }

// measure returns the aggregate, also for people, and whether there is one.
func (t Threshold) measure(r *results.Run, elapsed time.Duration) (v float64, text string, ok bool) {
	if !hasStage(r, t.Select.Stage) {
		return 0, "", false
	}
	switch t.Metric.Kind {
	case results.Trend:
		h := r.Trend(t.Metric, t.Select)
		d := t.expr.aggregate(h)
		return float64(d), t.expr.duration(d) + ofTurns(r, t, h), h.Count() > 0
	case results.Rate:
		good, total := r.Rate(t.Metric, t.Select)
		share := float64(good) / float64(total)
		return share, ofTotal(good, total), total > 0
	case results.Counter:
		n := r.Count(t.Metric, t.Select)
		if t.expr.method == "count" {
			return float64(n), results.HumanCount(n) + " " + t.Metric.Unit, true
		}
		rate := float64(n) / elapsed.Seconds()
		return rate, fmt.Sprintf("%s (%s %s in %s)", results.HumanRate(rate), results.HumanCount(n), t.Metric.Unit, results.Human(elapsed)), elapsed > 0
	}
	return 0, "", false
}

// ofTurns says of how many turns a trend of turns speaks, where that is not all:
// a turn that was never answered has no time to its first token.
func ofTurns(r *results.Run, t Threshold, h *results.Histogram) string {
	all := r.Count(results.Requests, results.Tags{Stage: t.Select.Stage, Step: "turn"})
	if !strings.HasPrefix(t.Metric.Name, "turn_") || h.Count() >= all {
		return ""
	}
	return fmt.Sprintf(" (%s of %s)", results.HumanCount(h.Count()), results.HumanCountOf(all, "turn"))
}

func hasStage(r *results.Run, stage string) bool {
	if stage == "" || len(r.Stages) == 0 {
		return true
	}
	for _, s := range r.Stages {
		if s.Name == stage {
			return true
		}
	}
	return false
}

func (e expression) aggregate(h *results.Histogram) time.Duration {
	switch e.method {
	case "avg":
		return h.Mean()
	case "min":
		return h.Min()
	case "max":
		return h.Max()
	case "med":
		return h.Quantile(0.5)
	}
	return h.Quantile(e.q)
}

// duration formats d so that it does not look like a limit that it misses.
func (e expression) duration(d time.Duration) string {
	limit := time.Duration(e.limit)
	if d != limit && results.Human(d) == results.Human(limit) {
		return d.String()
	}
	return results.Human(d)
}

func (e expression) holds(v float64) bool {
	switch e.op {
	case "<":
		return v < e.limit
	case "<=":
		return v <= e.limit
	case ">":
		return v > e.limit
	case ">=":
		return v >= e.limit
	case "==", "===":
		return v == e.limit
	case "!=":
		return v != e.limit
	}
	return false // the zero Threshold holds nothing
}

// ofTotal says a share together with what it is a share of.
func ofTotal(part, total uint64) string {
	return fmt.Sprintf("%s (%s of %s)", results.HumanShare(float64(part)/float64(total)), results.HumanCount(part), results.HumanCount(total))
}
