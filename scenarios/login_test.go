package scenarios

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flashcrowd/flashcrowd/results"
)

const guarded = `
name: guarded
crowd:
  shoppers: 100
  stages: [{name: calm, for: 30s, rate: 1}]
  think: {median: 7s, p90: 15s}
target:
  headers: {Authorization: "Bearer {{taken.token}}"}
  login:
    request: {path: /login, body: '{"user": "{{shopper.user}}", "password": "${PASSWORD}"}'}
    take: {token: token}
    ok: [{path: token, exists: true}]
    expired: [{status: [401, 419]}, {path: error, is: EXPIRED}]
    refresh:
      request: {path: /refresh, headers: {X-Refresh: "{{taken.again}}"}}
      take: {token: token, again: again}
      ok: [{status: 200}]
  chat: {protocol: openai, model: m}
  coupons: {protocol: wxpay-favor, stock_id: s}
  checkout: {protocol: ucp}
`

// TestLogins walks journeys of shoppers who have to be known. A word is the
// answer to the next step: an outcome, an HTTP status, or "expired".
func TestLogins(t *testing.T) {
	for _, tt := range []struct {
		campaign, persona, journey, answers, steps string
		end                                        results.Outcome
	}{
		{guarded, "patient", "browse", "", "login turn turn turn", results.OK},
		{guarded, "patient", "browse", "rejected", "login", results.Rejected},
		{guarded, "patient", "browse", "unavailable timed_out", "login login login turn+2 turn turn", results.OK},
		{guarded, "impatient", "browse", "unavailable", "login", results.Unavailable},
		{guarded, "patient", "browse", "canceled", "login", results.Canceled},
		{guarded, "patient", "browse", "ok ok 401", "login turn turn refresh turn+1 turn", results.OK},
		{guarded, "patient", "browse", "ok ok expired ok expired", "login turn turn refresh turn+1 refresh turn+2 turn", results.OK},
		{guarded, "patient", "browse", "ok 419 ok 419 ok 419", "login turn refresh turn+1 refresh turn+2", results.Rejected},
		{guarded, "patient", "browse", "ok 403", "login turn", results.Rejected},
		{guarded, "patient", "browse", "ok 401 rejected", "login turn refresh login turn+1 turn turn", results.OK},
		{guarded, "patient", "browse", "ok 401 canceled", "login turn refresh", results.Canceled},
		{guarded, "patient", "browse", "ok 401 unavailable rejected", "login turn refresh login", results.Rejected},
		{guarded, "patient", "browse", "ok ok 401 ok unavailable", "login turn turn refresh turn+1 turn+2 turn", results.OK},
		{guarded[:strings.Index(guarded, "    expired")] + guarded[strings.Index(guarded, "  chat"):], "patient", "browse",
			"ok 401", "login turn login turn+1 turn turn", results.OK},
		{guarded, "reinstaller", "browse", "ok unavailable unavailable", "login turn turn+1 login turn turn turn", results.OK},
		{guarded, "abuser", "order", "", "login turn turn turn claim login claim login claim login claim login claim create update complete", results.OK},
	} {
		s, err := plan(t, tt.campaign, results.Factors{}).Shopper(ID{Slot: 3}).As(tt.persona, tt.journey)
		if err != nil {
			t.Fatal(err)
		}
		w, answers := s.Walk(), strings.Fields(tt.answers)
		var took []string
		keys := map[UUID]string{}
		first := true
		for step, ok := w.Next(Result{}); ok; {
			name := step.Kind.String()
			if step.Attempt > 0 {
				name += fmt.Sprintf("+%d", step.Attempt)
			}
			took = append(took, name)
			if step.Kind == SignIn || step.Kind == Refresh {
				if at, used := keys[step.Key]; used {
					t.Errorf("%q: login has the key of %s", tt.answers, at)
				}
				if step.Answer != s.Persona.Answer || (step.Think > 0) == first && step.Kind == SignIn && answers == nil {
					t.Errorf("%q: %+v", tt.answers, step)
				}
				keys[step.Key] = name
			}
			if first && step.Kind != SignIn || step.Fresh && step.Kind != SignIn {
				t.Errorf("%q: %+v before a login", tt.answers, step)
			}
			first = false
			r := Result{Outcome: results.OK, Session: "s", Coupon: "c"}
			if len(answers) > 0 {
				switch word := answers[0]; {
				case word == "expired":
					r.Outcome, r.Expired = results.Rejected, true
				case word[0] == '4':
					r.Outcome = results.Rejected
					fmt.Sscan(word, &r.Status)
				default:
					r.Outcome, _ = results.ParseOutcome(word)
				}
				answers = answers[1:]
			}
			step, ok = w.Next(r)
		}
		if got := strings.Join(took, " "); got != tt.steps {
			t.Errorf("%s %q: %s\nwant %s", tt.persona, tt.answers, got, tt.steps)
		}
		if got := w.End(); got.Outcome != tt.end {
			t.Errorf("%s %q: ended %+v", tt.persona, tt.answers, got)
		}
	}
}

// What a login holds goes with the plan, its secrets resolved on the worker
// alone and escaped for where they stand.
func TestLoginPlan(t *testing.T) {
	p := plan(t, guarded, results.Factors{})
	decoded, err := DecodePlan(p.Encode())
	if err != nil || decoded.Fingerprint() != p.Fingerprint() {
		t.Fatalf("decoded: %v", err)
	}
	if got := strings.Join(decoded.Secrets(), " "); got != "PASSWORD" {
		t.Errorf("secrets: %s", got)
	}
	target, err := decoded.Target.Resolve(func(name string) (string, bool) { return `a"{{x}}\`, true })
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"user": "{{shopper.user}}", "password": "a\"\u007b\u007bx}}\\"}`; target.Login.Request.Body != want {
		t.Errorf("resolved %s, want %s", target.Login.Request.Body, want)
	}
	if !strings.Contains(decoded.Target.Login.Request.Body, "${PASSWORD}") {
		t.Error("the plan was changed")
	}
	for _, change := range [][2]string{{"419", "440"}, {"path: /refresh", "path: /again"}, {"path: /login", "path: /in"}} {
		if plan(t, strings.Replace(guarded, change[0], change[1], 1), results.Factors{}).Fingerprint() == p.Fingerprint() {
			t.Errorf("%q to %q changes nothing", change[0], change[1])
		}
	}
}
