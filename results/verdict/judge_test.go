package verdict

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

const ms = time.Millisecond

// crowd is a run of n shoppers with a turn each, which took 10, 20, 30, … ms;
// change alters what happened before it is merged.
func crowd(t *testing.T, n int, change func(i int, s *results.Step, e *results.End)) *results.Run {
	t.Helper()
	rec := results.NewRecorder("w")
	for i := range n {
		who := results.Who{Stage: [...]string{"dawn", "noon"}[i%2]}
		took := time.Duration(i+1) * 10 * ms
		s := results.Step{Who: who, Name: "turn", Outcome: results.OK, Response: took, Service: took, FirstToken: took / 2, Lag: ms}
		e := results.End{Who: who, Outcome: results.OK, Duration: took, MeantToOrder: true, Ordered: true}
		if change != nil {
			change(i, &s, &e)
		}
		rec.Add(results.Launch{Who: who})
		rec.Add(s)
		if e.Ordered {
			rec.Add(results.Promise{Who: who, Kind: results.OrderPromise, Known: true, Key: fmt.Sprint(i)})
		}
		rec.Add(e)
	}
	m := results.NewMerger(results.About{Planned: uint64(n), Duration: 10 * time.Second, Stages: []results.Stage{{Name: "dawn"}, {Name: "noon"}}})
	s := rec.Cut(1, 10*time.Second, results.Health{CPU: 0.5})
	s.Final = true
	if _, err := m.Add(s); err != nil {
		t.Fatal(err)
	}
	m.Worker("w", results.WorkerNote{Name: "worker-1", Slots: 4096})
	return m.Run()
}

func threshold(t *testing.T, selector, expr string) Threshold {
	t.Helper()
	th, err := ParseThreshold(selector, expr, true, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return th
}

// The values are 10 ms, 20 ms, … 1 s: every figure below is computed by hand.
func TestEvaluate(t *testing.T) {
	r := crowd(t, 100, func(i int, s *results.Step, e *results.End) {
		if i >= 90 {
			s.Outcome, e.Outcome, e.Ordered = results.TimedOut, results.TimedOut, false
		}
	})
	for _, c := range []struct {
		selector, expr string
		held           bool
		measured       string
	}{
		{"step_duration", "avg==505", true, "505 ms"},
		{"step_duration", "avg!=505", false, "505 ms"},
		{"step_duration", "min>=10", true, "10 ms"},
		{"step_duration", "min>10", false, "10 ms"},
		{"step_duration", "max<=1s", true, "1 s"},
		{"step_duration", "max<1000", false, "1 s"},
		{"step_duration", "max===1s", true, "1 s"},
		{"step_duration", "med<501", true, "500 ms"},
		{"step_duration", "p(50)>=500", true, "500.223999ms"}, // 500 ms, in the bucket that ends there
		{"step_duration", "p(99)<992", true, "990 ms"},
		{"step_duration", "p(99)<990", false, "990.207999ms"},
		{"step_duration{outcome:timed_out}", "min==910", true, "910 ms"},
		{"step_duration{stage:noon}", "min==20", true, "20 ms"},
		{"step_duration{outcome:stalled}", "p(99)<2s", false, "nothing measured"},
		{"turn_tpot", "avg<1h", false, "nothing measured"},
		{"turn_ttft{stage:dusk}", "avg<1h", false, "nothing measured"},
		{"requests", "count==100", true, "100 requests"},
		{"requests{outcome:ok}", "count>=91", false, "90 requests"},
		{"requests{outcome:stalled}", "count==0", true, "0 requests"},
		{"requests{stage:dusk}", "count==0", false, "nothing measured"},
		{"orders", "rate>=9", true, "9/s (90 orders in 10 s)"},
		{"orders", "rate>9", false, "9/s (90 orders in 10 s)"},
		{"order_success", "rate>=0.9", true, "90 % (90 of 100)"},
		{"order_success{stage:noon}", "rate>0.9", false, "90 % (45 of 50)"},
		{"claim_success", "rate>0", false, "nothing measured"},
	} {
		th := threshold(t, c.selector, c.expr)
		got, held := th.Evaluate(r, 10*time.Second)
		want := Reason{Rule: th.Rule(), Measured: c.measured, Held: c.held, Kind: KindThreshold}
		if got != want || held != c.held {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
	if got, held := threshold(t, "orders", "rate>0").Evaluate(r, 0); held {
		t.Errorf("a rate over no time held: %+v", got)
	}
}

func TestAborts(t *testing.T) {
	r := crowd(t, 10, nil)
	broken := threshold(t, "step_duration", "max<1")
	quiet := broken
	quiet.AbortOnFail = false
	for _, c := range []struct {
		name    string
		t       Threshold
		elapsed time.Duration
		want    bool
	}{
		{"broken", broken, 2 * time.Second, true},
		{"within the delay", broken, 1999 * ms, false},
		{"only told", quiet, time.Minute, false},
		{"holds", threshold(t, "step_duration", "max<1s"), time.Minute, false},
		{"nothing measured yet", threshold(t, "claim_success", "rate>0.99"), time.Minute, false},
	} {
		if got := c.t.Aborts(r, c.elapsed); got != c.want {
			t.Errorf("%s: Aborts = %v, want %v", c.name, got, c.want)
		}
	}
}

func TestJudge(t *testing.T) {
	fast, slow := threshold(t, "step_duration", "p(99)<1m"), threshold(t, "step_duration", "p(99)<1ms")
	ok := func(*results.Run) {}
	clean := &results.Audit{Source: "storefront", Promised: 100, Booked: 101, Matched: 100, Undecided: 1, Checks: []results.Check{{State: results.StateHeld}, {State: results.StateUnchecked}}}
	dirty := &results.Audit{Source: "storefront", Checks: []results.Check{{ID: "key-double", Invariant: "no key has two orders", State: results.StateBroken, Count: 2, Examples: []string{"k1: o1, o2"}}}}
	for _, c := range []struct {
		name       string
		change     func(*results.Run)
		thresholds []Threshold
		audit      *results.Audit
		want       Outcome
		first      string // rule and measured of the first reason
	}{
		{"all held", ok, []Threshold{fast}, clean, Pass, "step_duration: p(99)<1m | 990 ms"},
		{"no thresholds", ok, nil, nil, Pass, "at least one request succeeds | 100 % (100 of 100)"},
		{"books only", ok, nil, clean, Pass, "at least one request succeeds"},
		{"threshold broken", ok, []Threshold{fast, slow}, clean, Fail, "step_duration: p(99)<1ms | 990 ms"},
		{"books broken", ok, []Threshold{fast}, dirty, Fail, "key-double: no key has two orders | 2 findings, such as k1: o1, o2"},
		{"books not checked", ok, nil, &results.Audit{Checks: []results.Check{{ID: "x", State: results.StateUnchecked}}}, Pass, "at least one"},
		{"account open", func(r *results.Run) { r.Account.Planned++ }, []Threshold{fast}, clean, Invalid,
			"every planned shopper is accounted for | 1 shoppers are unaccounted for"},
		{"snapshot missing", func(r *results.Run) { r.Account.Missing = 1 }, nil, nil, Invalid, "every planned shopper is accounted for | 1 snapshots are missing"},
		{"invalid beats fail", func(r *results.Run) { r.Account.Planned++ }, []Threshold{slow}, clean, Invalid, "every planned shopper"},
		{"books beat invalid", func(r *results.Run) { r.Account.Planned++ }, []Threshold{slow}, dirty, Fail, "key-double"},
		{"in flight", func(r *results.Run) { r.Account.Planned++; r.Account.InFlight++ }, nil, nil, Invalid, "every shopper that arrived has ended | 1 still in flight"},
		{"stopped by hand", func(r *results.Run) { r.Stopped, r.Cut = "ctrl-c", 4*time.Second }, []Threshold{slow}, clean, Invalid,
			"the load runs to the end of the plan | incomplete at 1 s of 10 s: ctrl-c"},
		{"orphans at the limit", orphans(2), nil, nil, Pass, ""},
		{"orphans beyond it", orphans(3), nil, nil, Invalid, "validity.orphaned: at most 2 % | shoppers orphaned: 2.9 % (3 of 103)"},
		{"never started at the limit", skipped(1), nil, nil, Pass, ""},
		{"never started beyond it", skipped(2), nil, nil, Invalid, "validity.late: at most 1 % | shoppers late or never started: 2 % (2 of 102)"},
		{"made late", func(r *results.Run) { r.Account.Late = 2 }, nil, nil, Invalid, "validity.late: at most 1 % | shoppers late or never started: 2 % (2 of 100)"},
		{"starved", func(r *results.Run) { r.Workers[0].CPU = 0.96 }, []Threshold{slow}, nil, Invalid, "validity.cpu: at most 95 % | worker-1 took 96 % of its processors"},
		{"busy", func(r *results.Run) { r.Workers[0].CPU = 0.95 }, nil, nil, Pass, ""},
		{"clocks at the limit", func(r *results.Run) { r.Workers[0].Wall = -time.Second }, nil, nil, Pass, ""},
		{"clocks apart", func(r *results.Run) { r.Workers[0].Wall = -time.Second - 10*ms }, nil, nil, Invalid,
			"validity.clock: at most 1 s | worker-1: its wall clock was 1.01 s behind the coordinator's"},
		{"a clock set back", func(r *results.Run) {
			r.Workers[0].Upsets = []results.Upset{{Kind: results.Stepped, At: 3 * time.Second, Size: -2 * time.Second}}
		}, nil, nil, Invalid, "validity.clock: at most 1 s | worker-1: its wall clock was set back by 2 s at 3 s"},
		{"stood still", func(r *results.Run) {
			r.Workers[0].Upsets = []results.Upset{{Kind: results.Frozen, At: 3 * time.Second, Size: 2 * time.Second}}
		}, nil, nil, Pass, ""},
		{"throttled", func(r *results.Run) { r.Workers[0].Throttled = 0.06 }, []Threshold{slow}, nil, Invalid,
			"validity.withheld: at most 5 % | worker-1 was throttled 6 % of the time"},
		{"short of memory", func(r *results.Run) { r.Workers[0].Stalled = 0.2 }, nil, nil, Invalid,
			"validity.withheld: at most 5 % | worker-1 was waiting for memory 20 % of the time"},
		{"hardly throttled", func(r *results.Run) { r.Workers[0].Throttled, r.Workers[0].Stalled = 0.05, 0.05 }, nil, nil, Pass, ""},
		{"nothing launched", func(r *results.Run) { *r = results.Run{} }, nil, nil, Invalid, "something was measured | 0 shoppers launched, 0 requests"},
		{"no requests", func(r *results.Run) { r.Series = nil }, nil, nil, Invalid, "something was measured | 100 shoppers launched, 0 requests"},
		{"stopped by a threshold", func(r *results.Run) { skipped(50)(r); r.Stopped = slow.StopReason() }, []Threshold{slow}, clean, Fail,
			"step_duration: p(99)<1ms | 990 ms; it stopped the run at 10 s"},
		{"it held again later", func(r *results.Run) { skipped(50)(r); r.Stopped = fast.StopReason() }, []Threshold{fast}, clean, Fail,
			"step_duration: p(99)<1m | 990 ms; it stopped the run at 10 s"},
		{"by one that may not", func(r *results.Run) { r.Stopped = slow.StopReason() }, []Threshold{fast}, nil, Invalid, "the load runs to the end of the plan"},
	} {
		r := crowd(t, 100, nil)
		c.change(r)
		v := Judge(r, c.audit, Rules{Thresholds: c.thresholds, Validity: Validity{Late: 0.01, Orphaned: 0.02, LagP99: 10 * ms, CPU: 0.95, Clock: time.Second, Withheld: 0.05}})
		first := v.Reasons[0].Rule + " | " + v.Reasons[0].Measured
		if v.Outcome != c.want || !strings.HasPrefix(first, c.first) {
			t.Errorf("%s: %s because %s\nwant %s because %s", c.name, v.Outcome, first, c.want, c.first)
		}
		sorted, broken := true, 0
		for i, reason := range v.Reasons {
			sorted = sorted && (i == 0 || v.Reasons[i-1].Held == reason.Held || reason.Held)
			if !reason.Held {
				broken++
			}
		}
		if !sorted || (broken > 0) == (v.Outcome == Pass) {
			t.Errorf("%s: %s with reasons %+v", c.name, v.Outcome, v.Reasons)
		}
	}
}

func orphans(n uint64) func(*results.Run) {
	return func(r *results.Run) {
		r.Account.Planned += n
		r.Account.Orphaned += n
	}
}

func skipped(n uint64) func(*results.Run) {
	return func(r *results.Run) {
		r.Account.Planned += n
		r.Account.NeverStarted = append(r.Account.NeverStarted, results.Skip{Reason: "test", Count: n})
	}
}

func TestLagInvalidates(t *testing.T) {
	for lag, want := range map[time.Duration]Outcome{10 * ms: Pass, 11 * ms: Invalid} {
		r := crowd(t, 200, func(i int, s *results.Step, _ *results.End) {
			if i < 3 { // of 200: the 99th percentile is the third from the top
				s.Lag = lag
			}
		})
		v := Judge(r, nil, Rules{Validity: DefaultValidity})
		if v.Outcome != want {
			t.Errorf("lag p99 %v: %s, %+v", lag, v.Outcome, v.Reasons)
		}
	}
}

// A target that refuses every connection fails the run, thresholds or not.
func TestTargetRefuses(t *testing.T) {
	r := crowd(t, 50, func(i int, s *results.Step, e *results.End) {
		s.Outcome, e.Outcome, e.Ordered = results.ConnectionFailed, results.ConnectionFailed, false
	})
	want := Reason{Rule: "at least one request succeeds", Measured: "none of 50 requests: 50 connection_failed", Kind: KindTarget}
	for _, thresholds := range [][]Threshold{nil, {threshold(t, "order_success", "rate>0.99")}} {
		v := Judge(r, nil, Rules{Thresholds: thresholds, Validity: DefaultValidity})
		if v.Outcome != Fail || v.Reasons[0] != want {
			t.Errorf("%s because %+v", v.Outcome, v.Reasons)
		}
	}
}

func TestPassSaysWhatHeld(t *testing.T) {
	v := Judge(crowd(t, 100, nil), nil, Rules{Thresholds: []Threshold{threshold(t, "order_success", "rate>0.99")}, Validity: DefaultValidity})
	var got []string
	for _, r := range v.Reasons {
		got = append(got, r.Kind+" | "+r.Rule+" | "+r.Measured)
	}
	want := []string{
		"threshold | order_success: rate>0.99 | 100 % (100 of 100)",
		"target | at least one request succeeds | 100 % (100 of 100)",
		"account | every planned shopper is accounted for | 100 planned, 100 ended, 0 never started",
		"validity | validity.late: at most 0.5 % | shoppers late or never started: 0 % (0 of 100)",
		"validity | validity.orphaned: at most 0.1 % | shoppers orphaned: 0 % (0 of 100)",
		"validity | validity.lag_p99: at most 10 ms | schedule lag p99 1 ms",
		"validity | validity.clock: at most 1 s | no clock was off",
		"validity | validity.cpu: at most 95 % | worker-1 took 50 % of its processors",
	}
	if v.Outcome != Pass || !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n%s\nwant:\n%s", v.Outcome, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestWithout: what could not be checked never passes, and hides no failure.
func TestWithout(t *testing.T) {
	held := []Reason{{Rule: "r", Held: true}}
	for _, c := range []struct{ was, want Outcome }{{Pass, Invalid}, {Fail, Fail}, {Invalid, Invalid}} {
		v := Verdict{Outcome: c.was, Reasons: held}.Without("promised = booked", errors.New("no books"))
		if v.Outcome != c.want || len(v.Reasons) != 2 || v.Reasons[0].Held || !strings.Contains(v.Reasons[0].Measured, "no books") {
			t.Errorf("%s became %+v", c.was, v)
		}
	}
}

// TestGeneratorsOwnFaults: a request that failed for want of the generator's own
// ports says nothing about the backend.
func TestGeneratorsOwnFaults(t *testing.T) {
	r := crowd(t, 100, func(i int, s *results.Step, e *results.End) {
		if i == 42 {
			s.Outcome, s.Own = results.ConnectionFailed, true
		}
	})
	v := Judge(r, nil, Rules{Validity: DefaultValidity})
	if v.Outcome != Invalid || v.Reasons[0].Held || v.Reasons[0].Measured != "1 could not, for want of ports, open files, memory or an address that is allowed" {
		t.Errorf("%+v", v)
	}
}

// A limit without a unit gets one, and only there.
func TestRule(t *testing.T) {
	for _, c := range [][3]string{
		{"turn_ttft", "p(95)<2", "turn_ttft: p(95)<2 (2 ms)"},
		{"turn_ttft{stage:noon}", "p(99) < 2500", "turn_ttft{stage:noon}: p(99) < 2500 (2.5 s)"},
		{"turn_ttft", "p(95)<2s", "turn_ttft: p(95)<2s"},
		{"orders", "count>2", "orders: count>2"},
		{"order_success", "rate>0.9", "order_success: rate>0.9"},
	} {
		if got := threshold(t, c[0], c[1]).Rule(); got != c[2] {
			t.Errorf("got %q, want %q", got, c[2])
		}
	}
}

// A fast first token of few turns is told with how few they were.
func TestTurnsWithoutFirstToken(t *testing.T) {
	r := crowd(t, 50, func(i int, s *results.Step, e *results.End) {
		if i >= 5 {
			s.Outcome, s.FirstToken = results.Refused, 0
		}
	})
	for selector, want := range map[string]string{"turn_ttft": "25 ms (5 of 50 turns)", "turn_ttft{stage:dawn}": "25 ms (3 of 25 turns)", "step_duration": "500 ms"} {
		if got, _ := threshold(t, selector, "max<=500ms").Evaluate(r, time.Second); got.Measured != want || !got.Held {
			t.Errorf("%s: %+v, want %q", selector, got, want)
		}
	}
}
