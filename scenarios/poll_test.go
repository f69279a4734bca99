package scenarios

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// TestPolls walks journeys against backends that are slow to decide. A word is
// the answer to the next step: an outcome, "pending", or either after a "/" with
// the Retry-After that comes with it. Each answer takes a second.
func TestPolls(t *testing.T) {
	const upTo = "turn turn turn claim create update "
	for _, tt := range []struct {
		persona, answers string // from completing on; then all is ok
		steps            string
		end              results.Outcome
	}{
		{"patient", "pending pending", "complete poll@1s poll+1@1s", results.OK},
		{"patient", "pending rejected", "complete poll@1s", results.Rejected},
		{"patient", "pending unavailable rate_limited/5s malformed", "complete poll@1s poll+1@1s poll+2@5s poll+3@1s", results.OK},
		{"patient", "pending canceled", "complete poll@1s", results.Canceled},
		{"impatient", strings.Repeat("pending ", 99), "complete" + asked(9), results.TimedOut}, // 20 s
		{"impatient", "pending pending/30s", "complete poll@1s", results.TimedOut},
		{"impatient", strings.Repeat("pending ", 9) + strings.Repeat("unavailable ", 9), "complete" + asked(9), results.Unavailable},
		{"spec-agent", "connection_failed pending", "complete read poll@1s complete+1", results.OK},
	} {
		w := shopperWho(t, tt.persona, "order", 1).Walk()
		answers := append(strings.Fields("ok ok ok ok ok ok"), strings.Fields(tt.answers)...)
		var took []string
		var now time.Time
		var keys []UUID
		for step, ok := w.Next(Result{}); ok; {
			name := step.Kind.String()
			if step.Attempt > 0 {
				name += fmt.Sprintf("+%d", step.Attempt)
			}
			if step.Kind == Poll {
				name += fmt.Sprintf("@%v", step.Think)
				if step.Answer <= 0 || step.Session != "s" || step.Fresh {
					t.Errorf("%q: %+v", tt.answers, step)
				}
			}
			if step.For() == Complete {
				keys = append(keys, step.Key)
			}
			took = append(took, name)
			r := Result{Outcome: results.OK, Session: "s", Coupon: "c", Start: now, End: now.Add(time.Second)}
			if len(answers) > 0 {
				word, after, _ := strings.Cut(answers[0], "/")
				r.RetryAfter, _ = time.ParseDuration(after)
				if r.Pending = word == "pending"; !r.Pending {
					r.Outcome, _ = results.ParseOutcome(word)
				}
				answers = answers[1:]
			}
			now = r.End
			step, ok = w.Next(r)
		}
		if got := strings.Join(took, " "); got != upTo+tt.steps {
			t.Errorf("%s %q: %s\nwant %s", tt.persona, tt.answers, got, upTo+tt.steps)
		}
		if got := w.End(); got.Outcome != tt.end || got.Ordered != (tt.end == results.OK) {
			t.Errorf("%s %q: ended %+v", tt.persona, tt.answers, got)
		}
		for _, k := range keys {
			if k != keys[0] {
				t.Errorf("%q: a poll has another key than its completion", tt.answers)
			}
		}
	}
}

// asked lists n polls, a second apart.
func asked(n int) string {
	text := " poll@1s"
	for i := 1; i < n; i++ {
		text += fmt.Sprintf(" poll+%d@1s", i)
	}
	return text
}

// The campaign's own pace of asking, and its end.
func TestDescribedPolls(t *testing.T) {
	plan := describedPlan(t, "      ok:\n        - {path: data.addPaymentToOrder.state, is: PaymentSettled}\n",
		`      pending: [{path: data.addPaymentToOrder.state, is: PaymentAuthorized}]
      poll: {request: {method: GET, path: "/orders/{{taken.order}}", headers: {Authorization: "${KEY}"}}, every: 2s, for: 5s}
      ok: [{path: data.addPaymentToOrder.state, is: PaymentSettled}]
`)
	if got := strings.Join(plan.Secrets(), " "); got != "KEY SHOP" {
		t.Errorf("secrets: %s", got)
	}
	resolved, err := plan.Target.Resolve(func(name string) (string, bool) { return "value", true })
	if err != nil || resolved.Checkout.Operations["complete"].Poll.Request.Headers["Authorization"] != "value" ||
		plan.Target.Checkout.Operations["complete"].Poll.Request.Headers["Authorization"] != "${KEY}" {
		t.Errorf("resolved %+v, %v", resolved.Checkout.Operations["complete"].Poll, err)
	}
	decoded, err := DecodePlan(plan.Encode())
	if err != nil || decoded.Fingerprint() != plan.Fingerprint() {
		t.Fatalf("decoded: %v", err)
	}
	w := decoded.Shopper(ID{}).Walk()
	var last Result
	polls := 0
	for step, ok := w.Next(last); ok && polls < 9; step, ok = w.Next(last) {
		last = Result{Outcome: results.OK, Coupon: "c", Session: "s", Pending: step.For() == Complete}
		if step.Kind == Poll {
			if polls++; step.Think != 2*time.Second || step.Of != Complete {
				t.Errorf("%+v", step)
			}
		}
		if step.Kind == Complete && step.Attempt > 0 {
			break
		}
	}
	if polls != 2 {
		t.Errorf("%d polls in 5 s", polls)
	}
}
