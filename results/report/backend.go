package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flashcrowd/flashcrowd/results"
)

// stages is one row for each stage and one for all.
func (p *page) stages(r *results.Run) {
	rows := [][]string{
		{"stage", "planned", "arrived", "orders", "ok", "ttft", "", "", "turn", "requests"},
		{"", "", "per s", "per s", "", "p50", "p95", "p99", "p99", "per order"},
	}
	all := stages(r)
	if len(all) != 1 {
		all = append(all, whole(r))
	}
	for _, s := range all {
		rows = append(rows, []string{
			cut(s.Name, 18), results.HumanCount(s.Shoppers), bare(s.arrivals), bare(s.throughput),
			percent(s.ok.ratio()), quantile(s.ttft, 0.5), quantile(s.ttft, 0.95), quantile(s.ttft, 0.99), quantile(s.turn, 0.99),
			decimal(s.requestsPerOrder()),
		})
	}
	p.section("Stages", "orders per s count when they were promised, all else where its shopper arrived")
	p.table(2, rows)
}

// bare formats a rate under a heading that says its unit.
func bare(v *float64) string { return strings.TrimSuffix(perSecond(v), "/s") }

// funnel follows the crowd from its arrival to its orders.
func (p *page) funnel(r *results.Run) {
	arrived := r.Count(results.ShoppersLaunched, results.Tags{})
	asked := share{r.Count(results.Asked, results.Tags{}), arrived}
	claimed := rate(r, results.ClaimSuccess, results.Tags{})
	ordered := rate(r, results.OrderSuccess, results.Tags{})
	p.section("Funnel", "shoppers")
	for _, step := range []struct {
		name string
		share
		of string
	}{
		{"arrived", share{arrived, r.Planned}, "planned"},
		{"asked", asked, "that arrived (their first turn was answered)"},
		{"claimed", claimed, "that ended and meant to claim a coupon"},
		{"ordered", ordered, "that ended and meant to order"},
	} {
		if step.total == 0 {
			p.line("  %-8s %9s  of none %s", step.name, nothing, step.of)
			continue
		}
		p.line("  %-8s %9s  %7s of %s %s", step.name, results.HumanCount(step.good), percent(step.ratio()), results.HumanCount(step.total), step.of)
	}
}

// books says whether what was promised is what was booked.
func (p *page) books(d Document) {
	p.section("Orders", "")
	promised := d.Run.Count(results.Orders, results.Tags{})
	a := d.Audit
	if a == nil {
		p.line("  %s promised to shoppers; no books were held against that", results.HumanCount(promised))
		return
	}
	sign := "="
	if a.Promised != a.Booked {
		sign = "≠"
	}
	p.print("  ")
	p.paint(bold, fmt.Sprintf("promised %s %s booked %s", results.HumanCount(a.Promised), sign, results.HumanCount(a.Booked)))
	same := "one by one"
	if a.Matched != a.Promised || a.Promised != a.Booked {
		same = results.HumanCount(a.Matched) + " of them the same"
	}
	p.line(", %s, in %s", same, cmp.Or(a.Source, "the books"))
	if promised != a.Promised {
		p.line("  %s were counted as promised, and the ledger has %s", results.HumanCount(promised), results.HumanCount(a.Promised))
	}
	if a.Superseded > 0 {
		p.line("  %s more were promised by workers whose lease had ended: undecided where they are booked", results.HumanCount(a.Superseded))
	}
	p.invariants(a)
}

// invariants says what came of each: first what is broken, then what is in
// doubt, and in one paragraph what plainly held, with how much of it there was.
func (p *page) invariants(a *results.Audit) {
	if len(a.Checks) == 0 {
		return
	}
	p.section("Books", "%d invariants held, %d broken, %d unchecked; %s undecided", len(a.In(results.StateHeld)), len(a.In(results.StateBroken)),
		len(a.In(results.StateUnchecked)), results.HumanCount(a.Undecided))
	examples := func(all []string) {
		for _, e := range all {
			p.line("      %s", cut(e, p.width-6))
		}
	}
	for _, c := range a.In(results.StateBroken) {
		p.print("  ")
		p.paint(red, "✗")
		p.line(" %s", strings.Join(wrap(fmt.Sprintf("%s: broken %s × of %s (%s): %s", c.ID, results.HumanCount(c.Count), results.HumanCount(c.Checked), c.Severity, c.Invariant), p.width-4), "\n    "))
		examples(c.Examples)
	}
	for _, c := range a.Checks {
		if c.Undecided > 0 {
			p.print("  ")
			p.paint(yellow, "?")
			p.line(" %s: %s of %s undecided", c.ID, results.HumanCount(c.Undecided), results.HumanCount(c.Checked))
			examples(c.Doubts)
		}
	}
	for _, c := range a.In(results.StateUnchecked) {
		p.line("  – %s: unchecked, %s", c.ID, c.Why)
	}
	var held []string
	for _, c := range a.In(results.StateHeld) {
		if c.Undecided == 0 {
			held = append(held, c.ID+" "+results.HumanCount(c.Checked))
		}
	}
	if len(held) > 0 {
		p.line("  held: %s", strings.Join(wrap(strings.Join(held, ", "), p.width-8), "\n        "))
	}
}

// requests is how they ended.
func (p *page) requests(r *results.Run) {
	all := whole(r)
	again := share{r.Count(results.Retries, results.Tags{}), all.requests}
	p.section("Requests", "every attempt; %s sent, %s for each order; %s repeat an earlier one", results.HumanCount(all.requests),
		decimal(all.requestsPerOrder()), percent(again.ratio()))
	for _, o := range results.Outcomes() {
		if n := r.Count(results.Requests, results.Tags{Outcome: o.String()}); n > 0 {
			part := share{n, all.requests}
			p.line("  %-18s %10s  %7s  %s", o.String(), results.HumanCount(n), percent(part.ratio()), where(r, o))
		}
	}
}

// where names the steps that most of the requests with a bad outcome belong to.
func where(r *results.Run, o results.Outcome) string {
	if o == results.OK {
		return ""
	}
	counts := map[string]uint64{}
	for _, s := range steps(r) {
		if n := r.Count(results.Requests, results.Tags{Step: s, Outcome: o.String()}); n > 0 {
			counts[s] = n
		}
	}
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	for i, s := range names {
		names[i] = s + " " + results.HumanCount(counts[s])
	}
	return strings.Join(names[:min(3, len(names))], ", ")
}

// slowest names the slowest exchange of each step that ended as ok, so that it
// can be looked up in the backend's own traces.
func (p *page) slowest(r *results.Run) {
	worst := map[string]results.Example{}
	for _, e := range r.Examples {
		if old, known := worst[e.Step]; e.Outcome == results.OK && (!known || e.Took > old.Took) {
			worst[e.Step] = e
		}
	}
	if len(worst) == 0 {
		return
	}
	rows := [][]string{{"step", "response", "service", "ended at", "stage", "shopper", "trace"}}
	for _, s := range steps(r) {
		if e, some := worst[s]; some {
			rows = append(rows, []string{s, results.Human(e.Took), results.Human(e.Service), results.Human(e.At), cut(e.Stage, 14), cut(e.Shopper, 12), e.Trace})
		}
	}
	if p.width < widest { // traces are long
		for i := range rows {
			rows[i] = rows[i][:len(rows[i])-1]
		}
	}
	p.section("Slowest", "of each step, ended as ok; --json has requests and answers")
	p.table(1, rows, 4, 5, 6)
}

// steps is response time beside service time.
func (p *page) steps(r *results.Run) {
	rows := [][]string{
		{"step", "requests", "ok", "response", "", "", "service", "", ""},
		{"", "", "", "p50", "p95", "p99", "p50", "p95", "p99"},
	}
	for _, s := range steps(r) {
		sel := results.Tags{Step: s}
		response, service := r.Trend(results.StepDuration, sel), r.Trend(results.StepServiceTime, sel)
		rows = append(rows, []string{
			s, results.HumanCount(r.Count(results.Requests, sel)), percent(rate(r, results.RequestSuccess, sel).ratio()),
			quantile(response, 0.5), quantile(response, 0.95), quantile(response, 0.99),
			quantile(service, 0.5), quantile(service, 0.95), quantile(service, 0.99),
		})
	}
	if len(rows) == 2 {
		return
	}
	p.section("Steps", "response counts from the intended moment, service from the actual send")
	p.table(2, rows)
	turns := r.Count(results.Requests, results.Tags{Step: "turn"})
	for _, m := range []struct {
		metric *results.Metric
		what   string
	}{
		{results.TurnTTFT, "first token after a turn's intended moment"},
		{results.TurnTPOT, "each token after the first"},
	} {
		if h := r.Trend(m.metric, results.Tags{}); h.Count() > 0 {
			of := ""
			if h.Count() < turns {
				of = fmt.Sprintf(" (%s of %s)", results.HumanCount(h.Count()), results.HumanCountOf(turns, "turn"))
			}
			p.line("  %s: p50 %s, p95 %s, p99 %s%s", m.what, quantile(h, 0.5), quantile(h, 0.95), quantile(h, 0.99), of)
		}
	}
	if h := r.Trend(results.EntryWait, results.Tags{}); h.Count() > 0 {
		p.line("  outside, before there was room (entry_wait): p50 %s, p95 %s, p99 %s", quantile(h, 0.5), quantile(h, 0.95), quantile(h, 0.99))
	}
}
