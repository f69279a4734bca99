package verdict

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// Rules are what a run is judged by. Both parts are taken as they are: a zero
// Validity tolerates nothing, see DefaultValidity.
type Rules struct {
	Thresholds []Threshold
	Validity   Validity
}

// Judge says what a run that is over came to. audit is nil where no books were
// held against the ledger.
//
// A broken invariant of the audit is proof whatever the timing was: Fail. Else
// a run whose numbers can't be trusted is Invalid, whatever the thresholds say:
// the account does not close, the load did not run to its end, nothing was
// launched, or a limit of validity was passed. Else a broken threshold is Fail,
// and so is a run in which no request succeeded, even without a threshold. What
// is left is Pass. Reasons lists broken rules first, of every kind, so that a
// failed run also says why its times can't be trusted.
//
// A run that a threshold with AbortOnFail stopped (see Threshold.StopReason)
// failed: its missing rest does not make it invalid.
func Judge(r *results.Run, audit *results.Audit, rules Rules) Verdict {
	j := judge{Run: r, rules: rules, aborted: abortedBy(r, rules.Thresholds)}
	reasons := j.account()
	reasons = append(reasons, j.generator()...)
	reasons = append(reasons, j.target()...)
	reasons = append(reasons, j.thresholds()...)
	if audit != nil {
		reasons = append(reasons, books(audit)...)
	}
	slices.SortStableFunc(reasons, func(a, b Reason) int { return cmp.Compare(a.rank(), b.rank()) })
	return Verdict{Outcome: outcome(reasons), Reasons: reasons}
}

// Unchecked begins what was measured of a rule that could not be checked.
const Unchecked = "could not be checked: "

// Without returns the verdict of a run for which a rule could not be checked:
// it passes nothing, and says why. A failure stays one.
func (v Verdict) Without(rule string, why error) Verdict {
	unchecked := Reason{Rule: rule, Kind: KindAudit, Measured: Unchecked + why.Error()}
	v.Reasons = append([]Reason{unchecked}, v.Reasons...)
	if v.Outcome == Pass {
		v.Outcome = Invalid
	}
	return v
}

func outcome(reasons []Reason) Outcome {
	broken := map[string]bool{}
	for _, r := range reasons {
		broken[r.Kind] = broken[r.Kind] || !r.Held
	}
	switch {
	case broken[KindAudit]:
		return Fail
	case broken[KindAccount], broken[KindValidity]:
		return Invalid
	case broken[KindTarget], broken[KindThreshold]:
		return Fail
	}
	return Pass
}

// rank puts what is broken before what held, what decided before what did not,
// and among what held the campaign's own thresholds first.
func (r Reason) rank() int {
	if !r.Held {
		return slices.Index([]string{KindAudit, KindAccount, KindValidity, KindTarget, KindThreshold}, r.Kind)
	}
	return 10 + slices.Index([]string{KindThreshold, KindTarget, KindAudit, KindAccount, KindValidity}, r.Kind)
}

type judge struct {
	*results.Run
	rules   Rules
	aborted string // the StopReason of the threshold that stopped the run, if one did
}

func abortedBy(r *results.Run, thresholds []Threshold) string {
	for _, t := range thresholds {
		if t.AbortOnFail && r.Stopped == t.StopReason() {
			return r.Stopped
		}
	}
	return ""
}

// account asks whether every shopper is accounted for and the whole plan was
// offered.
func (j judge) account() []Reason {
	closes := Reason{Rule: ruleClosed, Kind: KindAccount, Held: true,
		Measured: fmt.Sprintf("%s planned, %s ended, %s never started", results.HumanCount(j.Account.Planned),
			results.HumanCount(j.Account.EndedCount()), results.HumanCount(j.Account.NeverStartedCount()))}
	if err := j.Account.Closes(); err != nil {
		closes.Held, closes.Measured = false, err.Error()
	}
	reasons := []Reason{closes}
	if n := j.Account.InFlight; n > 0 {
		reasons = append(reasons, Reason{Rule: "every shopper that arrived has ended", Kind: KindAccount,
			Measured: results.HumanCount(n) + " still in flight"})
	}
	if j.Stopped != "" && j.aborted == "" {
		reasons = append(reasons, Reason{Rule: "the load runs to the end of the plan", Kind: KindAccount,
			Measured: fmt.Sprintf("incomplete at %s of %s: %s", results.Human(j.ArrivalsEnd()), results.Human(j.Duration), j.Stopped)})
	}
	return reasons
}

// generator asks whether it was the backend that was measured.
func (j judge) generator() []Reason {
	launched, requests := j.Launched(), j.Count(results.Requests, results.Tags{})
	if launched == 0 || requests == 0 {
		return []Reason{{Rule: "something was measured", Kind: KindValidity,
			Measured: fmt.Sprintf("%s launched, %s", results.HumanCountOf(launched, "shopper"), results.HumanCountOf(requests, "request"))}}
	}
	limits := j.rules.Validity
	late := j.Account.Late
	if j.aborted == "" {
		late += j.Account.NeverStartedCount()
	}
	lag := j.Trend(results.ScheduleLag, results.Tags{})
	p99 := lag.Quantile(0.99)
	reasons := []Reason{
		j.share(ruleLate, "shoppers late or never started", late, limits.Late),
		j.share(ruleOrphaned, "shoppers orphaned", j.Account.Orphaned, limits.Orphaned),
		{Rule: fmt.Sprintf("validity.lag_p99: at most %s", results.Human(limits.LagP99)), Kind: KindValidity,
			Measured: "schedule lag p99 " + expression{limit: float64(limits.LagP99)}.duration(p99),
			Held:     lag.Count() > 0 && p99 <= limits.LagP99},
	}
	if lag.Count() == 0 {
		reasons[2].Measured = "nothing measured"
	}
	if own := j.Count(results.Requests, results.Tags{Outcome: results.Canceled.String()}); own > 0 && j.Stopped == "" {
		reasons = append(reasons, Reason{Rule: ruleGivenUp, Kind: KindValidity,
			Measured: results.HumanCount(own) + " canceled: a lease ran out, or a worker left"})
	}
	if own := j.Count(results.GeneratorFaults, results.Tags{}); own > 0 {
		reasons = append(reasons, Reason{Rule: "every request could be sent", Kind: KindValidity,
			Measured: results.HumanCount(own) + " could not, for want of ports, open files, memory or an address that is allowed"})
	}
	if len(j.Workers) == 0 {
		return reasons
	}
	reasons = append(reasons, j.clocks())
	for _, w := range j.Workers {
		if max(w.Throttled, w.Stalled) > limits.Withheld {
			reasons = append(reasons, Reason{Rule: fmt.Sprintf("validity.withheld: at most %s", results.HumanShare(limits.Withheld)),
				Kind: KindValidity, Measured: w.Name + " was " + w.Withheld() + ", in its worst second"})
		}
	}
	busiest := slices.MaxFunc(j.Workers, func(a, b results.Worker) int { return cmp.Compare(a.CPU, b.CPU) })
	return append(reasons, Reason{Rule: fmt.Sprintf("validity.cpu: at most %s", results.HumanShare(limits.CPU)), Kind: KindValidity,
		Measured: fmt.Sprintf("%s took %s of its processors", busiest.Name, results.HumanShare(busiest.CPU)),
		Held:     busiest.CPU <= limits.CPU})
}

// clocks asks whether all looked at one clock: what was recorded, coupons that
// expire and the backend's books are compared by the moment.
func (j judge) clocks() Reason {
	r := Reason{Rule: "validity.clock: at most " + results.Human(j.rules.Validity.Clock), Kind: KindValidity, Measured: "no clock was off"}
	worst := time.Duration(0)
	for _, w := range j.Workers {
		if size, words := w.Clocks.Worst(); size > worst {
			worst, r.Measured = size, w.Name+": "+words
		}
	}
	r.Held = worst <= j.rules.Validity.Clock
	return r
}

// share holds n of the planned shoppers against a limit.
func (j judge) share(rule, what string, n uint64, limit float64) Reason {
	planned := max(j.Account.Planned, 1)
	return Reason{Rule: fmt.Sprintf("%s: at most %s", rule, results.HumanShare(limit)), Kind: KindValidity,
		Measured: what + ": " + ofTotal(n, planned),
		Held:     float64(n)/float64(planned) <= limit}
}

// target asks for the least a backend must do, whatever the campaign says.
func (j judge) target() []Reason {
	good, total := j.Rate(results.RequestSuccess, results.Tags{})
	if total == 0 {
		return nil // the run is invalid already
	}
	r := Reason{Rule: "at least one request succeeds", Kind: KindTarget, Held: good > 0, Measured: ofTotal(good, total)}
	if good == 0 {
		r.Measured = fmt.Sprintf("none of %s: %s", results.HumanCountOf(total, "request"), j.failures())
	}
	return []Reason{r}
}

// failures lists how requests ended, the most frequent outcome first.
func (j judge) failures() string {
	counts := map[results.Outcome]uint64{}
	for _, o := range results.Outcomes() {
		if n := j.Count(results.Requests, results.Tags{Outcome: o.String()}); n > 0 {
			counts[o] = n
		}
	}
	var all []string
	for _, o := range slices.SortedFunc(maps.Keys(counts), func(a, b results.Outcome) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	}) {
		all = append(all, results.HumanCount(counts[o])+" "+o.String())
	}
	return strings.Join(all, ", ")
}

func (j judge) thresholds() []Reason {
	var reasons []Reason
	for _, t := range j.rules.Thresholds {
		r, _ := t.Evaluate(j.Run, j.Cut)
		if t.AbortOnFail && j.aborted == t.StopReason() {
			r.Measured += "; it stopped the run at " + results.Human(j.Cut)
			r.Held = false
		}
		reasons = append(reasons, r)
	}
	return reasons
}

// books turns what the audit found into reasons: one for each invariant that is
// broken, or one for all of them.
func books(a *results.Audit) []Reason {
	var reasons []Reason
	for _, c := range a.In(results.StateBroken) {
		r := Reason{Rule: c.ID + ": " + c.Invariant, Kind: KindAudit, Measured: results.HumanCountOf(c.Count, "finding")}
		if len(c.Examples) > 0 {
			r.Measured += ", such as " + c.Examples[0]
		}
		reasons = append(reasons, r)
	}
	if reasons != nil {
		return reasons
	}
	invariants := fmt.Sprintf("%d invariants held", len(a.In(results.StateHeld)))
	if n := len(a.In(results.StateUnchecked)); n > 0 {
		invariants += fmt.Sprintf(" and %d could not be checked", n)
	}
	return []Reason{{Rule: "promised = booked", Kind: KindAudit, Held: true,
		Measured: fmt.Sprintf("%s promised, %s booked, %s undecided; %s in %s", results.HumanCountOf(a.Promised, "order"),
			results.HumanCount(a.Booked), results.HumanCount(a.Undecided), invariants, a.Source)}}
}
