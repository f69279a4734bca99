package verdict

import (
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

func TestParseThreshold(t *testing.T) {
	const ms, s = 1e6, 1e9
	for _, c := range []struct {
		selector, expr string
		metric         *results.Metric
		sel            results.Tags
		want           expression
	}{
		{"turn_ttft", "p(99)<2s", results.TurnTTFT, results.Tags{}, expression{"p", 0.99, "<", 2 * s}},
		{" turn_ttft ", "  p ( 99.9 )  <=  1m0.5s ", results.TurnTTFT, results.Tags{}, expression{"p", 0.9990000000000001, "<=", 60.5 * s}},
		{"turn_ttft", "avg<200", results.TurnTTFT, results.Tags{}, expression{"avg", 0, "<", 200 * ms}},
		{"turn_ttft", "min>=0.5", results.TurnTTFT, results.Tags{}, expression{"min", 0, ">=", 0.5 * ms}},
		{"turn_ttft", "max!=1e3", results.TurnTTFT, results.Tags{}, expression{"max", 0, "!=", s}},
		{"turn_ttft", "med===-1.5ms", results.TurnTTFT, results.Tags{}, expression{"med", 0, "===", -1.5 * ms}},
		{"turn_ttft", "p(0)>0", results.TurnTTFT, results.Tags{}, expression{"p", 0, ">", 0}},
		{"turn_ttft{stage:noon}", "p(100)==1", results.TurnTTFT, results.Tags{Stage: "noon"}, expression{"p", 1, "==", ms}},
		{`step_duration { stage : "午间" , outcome:'ok' } `, "p(95)<3s", results.StepDuration, results.Tags{Stage: "午间", Outcome: "ok"}, expression{"p", 0.95, "<", 3 * s}},
		{"step_duration{step:a:b c}", "avg<1", results.StepDuration, results.Tags{Step: "a:b c"}, expression{"avg", 0, "<", ms}},
		{"orders", "count>1000", results.Orders, results.Tags{}, expression{"count", 0, ">", 1000}},
		{"orders", "rate>=.5", results.Orders, results.Tags{}, expression{"rate", 0, ">=", 0.5}},
		{"order_success", "rate>0.99", results.OrderSuccess, results.Tags{}, expression{"rate", 0, ">", 0.99}},
	} {
		got, err := ParseThreshold(c.selector, c.expr, true, time.Second)
		if err != nil {
			t.Errorf("%s: %s: %v", c.selector, c.expr, err)
			continue
		}
		if got.Metric != c.metric || got.Select != c.sel || got.expr != c.want || !got.AbortOnFail || got.DelayAbortEval != time.Second {
			t.Errorf("%s: %s: got %+v", c.selector, c.expr, got)
		}
	}
}

func TestParseThresholdFaults(t *testing.T) {
	for _, c := range []struct{ selector, expr, want string }{
		{"", "avg<1", `column 1: expected a metric such as step_duration, found nothing more`},
		{"turn_tfft", "avg<1", `column 1: unknown metric "turn_tfft": did you mean turn_ttft or turn_tpot?`},
		{"duration", "avg<1", `did you mean step_duration or journey_duration?`},
		{"zzzzzzzzz", "avg<1", `expected one of step_duration, step_service_time,`},
		{"turn_ttft stage", "avg<1", `column 11: expected "{" or the end, found "stage"`},
		{"turn_ttft{", "avg<1", `column 11: expected tag:value, found nothing more`},
		{"turn_ttft{}", "avg<1", `column 11: expected tag:value, found "}"`},
		{"turn_ttft{stage}", "avg<1", `column 11: expected tag:value, found "stage}"`},
		{"turn_ttft{stage:}", "avg<1", `column 17: expected a value of stage, found "}"`},
		{"turn_ttft{stage:noon", "avg<1", `column 21: expected "," or "}", found nothing more`},
		{"turn_ttft{stage:noon,}", "avg<1", `column 22: expected tag:value, found "}"`},
		{"turn_ttft{stage:noon} x", "avg<1", `column 23: expected the end, found "x"`},
		{"turn_ttft{stage:a,stage:b}", "avg<1", `column 19: the tag stage is given twice`},
		{"turn_ttft{step:turn}", "avg<1", `column 11: turn_ttft has no tag "step": it has stage`},
		{"requests{outcome:time_out}", "count<1", `column 18: unknown outcome "time_out": did you mean timed_out?`},
		{"turn_ttft", "", `column 1: expected avg, min, max, med, p(N), found nothing more`},
		{"turn_ttft", "rate<1", `column 1: expected avg, min, max, med, p(N), found "rate<1"`},
		{"orders", "p(99)<1", `column 1: expected count, rate, found "p(99)<1"`},
		{"order_success", "count>1", `column 1: expected rate, found`},
		{"orders", "value<1", `column 1: value is for gauges and there are none: expected count, rate`},
		{"turn_ttft", "p99<1", `column 1: expected avg, min, max, med, p(N), found "p99<1"`},
		{"turn_ttft", "p<1", `column 2: expected "(" and a percentile, as in p(99), found "<1"`},
		{"turn_ttft", "p(101)<1", `column 3: expected a percentile from 0 to 100, found "101)<1"`},
		{"turn_ttft", "p(-1)<1", `column 3: expected a percentile`},
		{"turn_ttft", "p(nan)<1", `column 3: expected a percentile`},
		{"turn_ttft", "p(99<1", `column 5: expected ")", found "<1"`},
		{"turn_ttft", "avg", `column 4: expected an operator (=== == != <= >= < >), found nothing more`},
		{"turn_ttft", "avg=1", `column 4: expected an operator`},
		{"turn_ttft", "avg<", `column 5: expected a duration (2s) or a number of milliseconds, found nothing more`},
		{"turn_ttft", "avg<2q", `column 5: expected a duration (2s) or a number of milliseconds, found "2q"`},
		{"turn_ttft", "avg<0x10", `column 5: expected a duration`},
		{"turn_ttft", "avg<Inf", `column 5: expected a duration`},
		{"turn_ttft", "avg<1e300", `column 5: expected a duration`},
		{"turn_ttft", "avg<1 && max<2", `column 5: expected a duration`},
		{"orders", "count<2s", `column 7: expected a number, found "2s"`},
		{"orders", "count<1e999", `column 7: expected a number`},
		{"order_success", "rate>99", `column 6: expected a share from 0 to 1, found "99"`},
		{"order_success", "rate>99%", `column 6: expected a share from 0 to 1, found "99%"`},
	} {
		got, err := ParseThreshold(c.selector, c.expr, false, 0)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %s: %+v, error %v, want %q", c.selector, c.expr, got, err, c.want)
		}
	}
	if _, err := ParseThreshold("orders", "count>1", true, -1); err == nil {
		t.Error("a negative delay was taken")
	}
}

// Whatever parses can be evaluated, and reads the same again.
func FuzzParseThreshold(f *testing.F) {
	f.Add("turn_ttft", "p(99)<2s")
	f.Add("turn_ttft{stage:noon}", "avg<=200")
	f.Add(`requests{"outcome":'ok', step:turn}`, "count > 1e3")
	f.Add("order_success", "rate===0.99")
	f.Fuzz(func(t *testing.T, selector, expr string) {
		got, err := ParseThreshold(selector, expr, true, 0)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "threshold ") {
				t.Fatalf("error %q", err)
			}
			return
		}
		got.Evaluate(&results.Run{}, time.Second)
		rule := strings.SplitN(got.Source, ": ", 2)
		if !strings.Contains(rule[0], "{") {
			again, err := ParseThreshold(rule[0], rule[1], true, 0)
			if err != nil || again != got {
				t.Fatalf("%+v became %+v, %v", got, again, err)
			}
		}
	})
}
