package scenarios

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// answers walks a shopper against a script of outcomes: a word is what comes
// of the next step, a number is an answer with that status, and after the last
// word everything is ok.
func answers(s Shopper, script string) (steps []Step, end Ending) {
	words := strings.Fields(script)
	w := s.Walk()
	for step, ok := w.Next(Result{}); ok; {
		steps = append(steps, step)
		r := Result{Outcome: results.OK, Coupon: "coupon-" + step.Key.String(), Session: "session-" + step.Key.String()}
		if n := len(steps); n <= len(words) {
			var err error
			if r.Outcome, err = results.ParseOutcome(words[n-1]); err != nil {
				r = byStatus[words[n-1]]
			}
		}
		step, ok = w.Next(r)
	}
	return steps, w.End()
}

// byStatus is what protocols make of some statuses.
var byStatus = map[string]Result{
	"400": {Outcome: results.Rejected, Status: 400}, "409": {Outcome: results.Rejected, Status: 409},
	"429": {Outcome: results.RateLimited, Status: 429}, "503": {Outcome: results.Unavailable, Status: 503},
}

// taken spells steps: name, +repetition, and ' for each life after the first.
func taken(steps []Step) string {
	var words []string
	for _, s := range steps {
		word := s.Kind.String()
		if s.Attempt > 0 {
			word += fmt.Sprintf("+%d", s.Attempt)
		}
		i, _ := ParseKey(7, s.Key)
		words = append(words, word+strings.Repeat("'", i.Life))
	}
	return strings.Join(words, " ")
}

func TestHabits(t *testing.T) {
	const turns, got = "turn turn turn ", "ok ok ok "
	ordered := Ending{results.OK, true, true, true, true, 0}
	tests := []struct{ persona, journey, answers, steps string }{
		{"patient", "bulk-order", "", turns + "claim create update complete"},
		{"patient", "repeat", "", turns + "create complete"},

		{"naive", "browse", "refused unavailable ok", "turn turn+1 turn+2 turn turn"},
		{"naive", "order", got + "timed_out", turns + "claim claim+1 create update complete"},

		{"double-tapper", "order", "", turns + "claim claim+1 create update complete complete+1"},
		{"double-tapper", "order", got + "ok rejected", turns + "claim claim+1 create update complete complete+1"},
		{"double-tapper", "order", got + "rejected ok", turns + "claim claim+1 create update complete complete+1"},
		{"double-tapper", "order", got + "rate_limited rate_limited", turns + "claim claim+1 claim+2 create update complete complete+1"},
		{"double-tapper", "order", got + "ok ok ok ok ok timed_out", turns + "claim claim+1 create update complete complete+1"},
		{"double-tapper", "order", got + "ok ok ok ok timed_out ok", turns + "claim claim+1 create update complete complete+1"},

		{"reinstaller", "order", "ok unavailable", "turn turn turn+1 turn claim create update complete"},
		{"reinstaller", "order", "ok unavailable unavailable", "turn turn turn+1 turn' turn' turn' claim' create' update' complete'"},
		{"reinstaller", "order", got + "ok ok ok timed_out timed_out", turns + "claim create update complete complete+1 turn' turn' turn' claim' create' update' complete'"},

		{"sdk-agent", "order", "429 timed_out", "turn turn+1 turn+2 turn turn claim create update complete"},
		{"sdk-agent", "order", got + "ok 409 connection_failed", turns + "claim create create+1 create+2 update complete"},

		{"spec-agent", "order", got + "ok ok ok timed_out", turns + "claim create update complete read complete+1"},
		{"spec-agent", "order", got + "ok ok ok unavailable unavailable ok rate_limited", turns + "claim create update complete read read+1 complete+1 complete+2"},
		{"spec-agent", "order", got + "ok ok timed_out", turns + "claim create update update+1 complete"},

		{"abuser", "order", "", turns + "claim claim claim claim claim create update complete"},
		{"abuser", "order", got + "ok rejected rejected ok rejected", turns + "claim claim claim claim claim create update complete"},
	}
	for _, tt := range tests {
		steps, end := answers(shopperWho(t, tt.persona, tt.journey, 1), tt.answers)
		if got := taken(steps); got != tt.steps {
			t.Errorf("%s %s, %q: took\n%s\nwant\n%s", tt.persona, tt.journey, tt.answers, got, tt.steps)
		}
		if want := ordered; tt.journey == "order" && end != want {
			t.Errorf("%s, %q: ended %+v", tt.persona, tt.answers, end)
		}
	}
}

// TestGivesUp: each persona has an end to its patience.
func TestGivesUp(t *testing.T) {
	for _, tt := range []struct {
		persona, always string
		requests        int
	}{
		{"patient", "unavailable", 11},
		{"impatient", "unavailable", 1},
		{"naive", "unavailable", 11},
		{"naive", "refused", 11},
		{"double-tapper", "unavailable", 4},
		{"reinstaller", "unavailable", 8}, // twice in each of four lives
		{"reinstaller", "rejected", 1},
		{"sdk-agent", "503", 3},
		{"sdk-agent", "409", 3},
		{"sdk-agent", "400", 1},
		{"sdk-agent", "unavailable", 1}, // in a stream that began with 200
		{"sdk-agent", "error_in_stream", 1},
		{"sdk-agent", "truncated", 1},
		{"sdk-agent", "refused", 1},
		{"spec-agent", "unavailable", 6},
		{"bargain-hunter", "unavailable", 4},
		{"abuser", "unavailable", 4},
	} {
		steps, end := answers(shopperWho(t, tt.persona, "order", 1), strings.Repeat(tt.always+" ", 100))
		if len(steps) != tt.requests || end.Ordered || end.Outcome == results.OK {
			t.Errorf("%s, always %s: %d requests, want %d; ended %+v", tt.persona, tt.always, len(steps), tt.requests, end)
		}
	}
	for _, p := range presets() {
		if steps, end := answers(shopperWho(t, p.Name, "order", 1), strings.Repeat("canceled ", 100)); len(steps) != 1 || end.Outcome != results.Canceled {
			t.Errorf("%s, canceled: %s, %+v", p.Name, taken(steps), end)
		}
	}
}

// TestKeysTellIntentsApart: what is the same request has the same key, and
// nothing else has; owner and intent come back from it.
func TestKeysTellIntentsApart(t *testing.T) {
	all := map[UUID]string{}
	for _, p := range presets() {
		clear(all)
		for _, script := range []string{"", strings.Repeat("timed_out ", 300), "ok ok refused refused ok unavailable unavailable", strings.Repeat("refused ok ", 30),
			"ok ok ok " + strings.Repeat("ok timed_out ", 30)} {
			s := shopperWho(t, p.Name, "order", 1)
			steps, _ := answers(s, script)
			for _, step := range steps {
				i, ok := ParseKey(7, step.Key)
				if !ok || i.ID != s.ID || i.Attempt != 0 || i.Step >= 192 && i.Step < Reworded || i.Step >= 2*Reworded {
					t.Fatalf("%s: %s has the key of %+v, %v", p.Name, step.Kind, i, ok)
				}
				what := fmt.Sprint(step.Kind, step.Index, step.Say, step.User, i.Life)
				if before, some := all[step.Key]; some && before != what {
					t.Errorf("%s: key of %+v is for %s and for %s", p.Name, i, before, what)
				}
				all[step.Key] = what
				if u, ok := ParseKey(7, step.User); !ok || u.ID != s.ID || u.Step < 192 || u.Life != 0 {
					t.Errorf("%s: user %+v", p.Name, u)
				}
			}
		}
	}
}

func TestNaiveSaysItAgain(t *testing.T) {
	steps, _ := answers(shopperWho(t, "naive", "browse", 1), "refused unavailable")
	if a, b, c := steps[0], steps[1], steps[2]; a.Say == b.Say || !strings.HasSuffix(b.Say, a.Say) || c.Say != b.Say || a.Key == b.Key || b.Key == c.Key {
		t.Errorf("said %q, %q, %q with the keys %s, %s, %s", a.Say, b.Say, c.Say, a.Key, b.Key, c.Key)
	}
	for _, s := range steps[1:3] {
		if s.Think < 5*time.Second || s.Think > 10*time.Second {
			t.Errorf("asked again after %v", s.Think)
		}
	}
}

func TestStartingOver(t *testing.T) {
	steps, end := answers(shopperWho(t, "reinstaller", "order", 1), "ok ok ok ok ok ok timed_out timed_out")
	first, second := steps[6], steps[len(steps)-1]
	if first.Kind != Complete || second.Kind != Complete || first.Key == second.Key || first.Session == second.Session || !end.Ordered {
		t.Errorf("completed %+v, then %+v; %+v", first, second, end)
	}
	if first.User != second.User {
		t.Errorf("another user: %s and %s", first.User, second.User)
	}
	for n, s := range steps {
		if over := n == 8; s.Fresh != over || over && (s.Think < time.Minute || s.Think > 2*time.Minute) {
			t.Errorf("step %d: fresh %v, after %v", n, s.Fresh, s.Think)
		}
	}
}

func TestAccounts(t *testing.T) {
	steps, _ := answers(shopperWho(t, "abuser", "order", 1), "ok ok ok ok rejected ok rejected rejected")
	users := map[UUID]bool{}
	for _, s := range steps[3:8] {
		users[s.User] = true
	}
	if len(users) != 5 || steps[0].User != steps[3].User {
		t.Errorf("%d accounts claimed", len(users))
	}
	for _, s := range steps[8:] {
		if s.User != steps[5].User || s.Kind == Update && s.Coupon != "coupon-"+steps[5].Key.String() {
			t.Errorf("%s under the account of another coupon, %+v", s.Kind, s)
		}
	}
}

// TestBargains counts what hunters claim and how many of them order.
func TestBargains(t *testing.T) {
	p := plan(t, small, results.Factors{})
	const hunters = 2000
	orders := 0
	for n := range uint32(hunters) {
		s, err := p.Shopper(ID{Slot(n % Slots), n / Slots}).As("bargain-hunter", "order")
		if err != nil {
			t.Fatal(err)
		}
		steps, end := answers(s, "")
		claims := 0
		for _, step := range steps {
			if step.Kind == Claim {
				claims++
			}
		}
		if claims != 21 || end.Ordered != end.MeantToOrder || !end.Claimed || end.Outcome != results.OK {
			t.Fatalf("%d claims, %+v", claims, end)
		}
		if end.Ordered {
			orders++
		}
	}
	if share := float64(orders) / hunters; share < 0.17 || share > 0.23 {
		t.Errorf("%v of the hunters order", share)
	}
	s := shopperWho(t, "bargain-hunter", "order", 1)
	if steps, _ := answers(s, "ok ok ok ok ok rejected"); strings.Count(taken(steps), "claim") != 3 {
		t.Errorf("told no, and took %s", taken(steps))
	}
}

// TestPresetsFitKeys: what a persona does at most has room in its keys.
func TestPresetsFitKeys(t *testing.T) {
	for _, p := range presets() {
		if p.Reinstalls > 3 || p.Claims > 21 || p.Rewords && max(p.Retries, p.Reasks) > 15 || p.Drops < 0 || p.Drops > 1 {
			t.Errorf("persona %+v", p)
		}
	}
}

// TestHeed is what each persona makes of a Retry-After.
func TestHeed(t *testing.T) {
	for _, tt := range []struct {
		persona string
		attempt int
		after   time.Duration
		u       float64
		want    time.Duration
		ok      bool
	}{
		{"sdk-agent", 1, 0, 0, 500 * time.Millisecond, true},
		{"sdk-agent", 2, 0, 0, time.Second, true},
		{"sdk-agent", 9, 0, 0, 8 * time.Second, true},
		{"sdk-agent", 1, 0, 1, 375 * time.Millisecond, true},
		{"sdk-agent", 2, 100 * time.Millisecond, 0, 100 * time.Millisecond, true},
		{"sdk-agent", 1, 20 * time.Second, 0.5, 20 * time.Second, true},
		{"sdk-agent", 1, time.Hour, 0, 500 * time.Millisecond, true},
		{"naive", 3, time.Hour, 1, 5 * time.Second, true},
		{"spec-agent", 1, 3 * time.Second, 1, 3 * time.Second, true},
		{"spec-agent", 1, time.Hour, 1, 0, false},
	} {
		p, _ := personaNamed(tt.persona)
		if got, ok := p.pause(tt.attempt, tt.after, tt.u); got != tt.want || ok != tt.ok {
			t.Errorf("%s, pause(%d, %v, %v) = %v, %v; want %v, %v", tt.persona, tt.attempt, tt.after, tt.u, got, ok, tt.want, tt.ok)
		}
	}
}

// TestSameDecisions: the same shopper, met with the same, does the same.
func TestSameDecisions(t *testing.T) {
	for _, p := range presets() {
		for _, journey := range Journeys() {
			for _, script := range []string{"", "refused timed_out rate_limited ok unavailable", strings.Repeat("ok unavailable ", 40)} {
				a, endA := answers(shopperWho(t, p.Name, journey, 0.5), script)
				b, endB := answers(shopperWho(t, p.Name, journey, 0.5), script)
				if !reflect.DeepEqual(a, b) || endA != endB {
					t.Errorf("%s %s, %q: two walks differ", p.Name, journey, script)
				}
				if n := slices.IndexFunc(a[1:], func(s Step) bool { return s.Think == 0 }); n >= 0 && !(p.ReadsBack && a[n+1].Kind == Complete) {
					t.Errorf("%s %s, %q: step %d comes at once", p.Name, journey, script, n+1)
				}
			}
		}
	}
}

// TestAdvice: x-should-retry outdoes the status for the official client, and
// people do not see it.
func TestAdvice(t *testing.T) {
	sdk, _ := personaNamed("sdk-agent")
	patient, _ := personaNamed("patient")
	for _, tt := range []struct {
		status string
		advice Advice
		again  bool
	}{
		{"429", NoAdvice, true}, {"429", TryAgain, true}, {"429", GiveUp, false},
		{"503", GiveUp, false}, {"409", GiveUp, false},
		{"400", NoAdvice, false}, {"400", TryAgain, true}, {"400", GiveUp, false},
	} {
		r := byStatus[tt.status]
		r.Advice = tt.advice
		if again := sdk.tries(r) > 0; again != tt.again {
			t.Errorf("%s with advice %d: again %v, want %v", tt.status, tt.advice, again, tt.again)
		}
		if without := byStatus[tt.status]; patient.tries(r) != patient.tries(without) {
			t.Errorf("%s with advice %d: a person heeds it", tt.status, tt.advice)
		}
	}
}
