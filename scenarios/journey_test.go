package scenarios

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// shopperWho returns a shopper of the small campaign at a pace.
func shopperWho(t testing.TB, persona, journey string, pace float64) Shopper {
	t.Helper()
	s, err := plan(t, small, results.Factors{Pace: pace}).Shopper(ID{Slot: 3}).As(persona, journey)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAs(t *testing.T) {
	s := plan(t, small, results.Factors{Pace: 0.5}).Shopper(ID{Slot: 3})
	for _, persona := range Personas() {
		for _, journey := range Journeys() {
			if got, err := s.As(persona, journey); err != nil || got.Persona.Name != persona || got.Journey != journey || got.ID != s.ID {
				t.Errorf("As(%s, %s): %+v, %v", persona, journey, got, err)
			}
		}
	}
	if got, err := s.As("", ""); err != nil || got.Persona != s.Persona || got.Journey != s.Journey {
		t.Errorf("As nobody else: %+v, %v", got, err)
	}
	if _, err := s.As("pacient", ""); err == nil || !strings.Contains(err.Error(), "hint: did you mean patient") {
		t.Errorf("an unknown persona: %v", err)
	}
	if _, err := s.As("", "robbery"); err == nil || !strings.Contains(err.Error(), "hint: known: order, browse, bulk-order, repeat, booking, bill") {
		t.Errorf("an unknown journey: %v", err)
	}
}

// TestJourneys walks journeys against a script of outcomes. A word is what the
// backend does to the next step; "ok" is what it does after the last word.
func TestJourneys(t *testing.T) {
	tests := []struct {
		persona, journey string
		answers          string
		steps            string
		end              Ending
	}{
		{"patient", "order", "", "turn turn turn claim create update complete",
			Ending{results.OK, true, true, true, true, 0}},
		{"impatient", "order", "", "turn turn turn claim create update complete",
			Ending{results.OK, true, true, true, true, 0}},
		{"patient", "browse", "", "turn turn turn", Ending{Outcome: results.OK}},
		{"patient", "repeat", "", "turn turn turn create complete", Ending{results.OK, false, false, true, true, 0}},
		{"patient", "booking", "", "turn turn turn create complete", Ending{results.OK, false, false, true, true, 0}},
		{"patient", "booking", "ok ok ok ok rejected", "turn turn turn create complete", Ending{results.Rejected, false, false, true, false, 0}},
		{"patient", "bill", "", "turn turn turn create complete", Ending{results.OK, false, false, true, true, 0}},
		{"patient", "order", "ok ok ok rejected", "turn turn turn claim create complete",
			Ending{results.OK, true, false, true, true, 0}},
		{"impatient", "order", "ok ok ok rejected", "turn turn turn claim create complete",
			Ending{results.OK, true, false, true, true, 0}},
		{"patient", "order", "ok ok ok ok rejected", "turn turn turn claim create",
			Ending{results.Rejected, true, true, true, false, 0}},
		{"patient", "order", "ok ok ok ok ok ok rejected", "turn turn turn claim create update complete",
			Ending{results.Rejected, true, true, true, false, 0}},
		{"patient", "order", "rate_limited unavailable", "turn turn+1 turn+2 turn turn claim create update complete",
			Ending{results.OK, true, true, true, true, 0}},
		{"patient", "order", "ok ok ok ok ok ok connection_failed timed_out", "turn turn turn claim create update complete complete+1 complete+2",
			Ending{results.OK, true, true, true, true, 0}},
		{"impatient", "order", "ok rate_limited", "turn turn", Ending{results.RateLimited, true, false, true, false, 0}},
		{"impatient", "browse", "stalled", "turn", Ending{Outcome: results.Stalled}},
		{"patient", "browse", "refused refused", "turn turn+1 turn+2 turn turn", Ending{Outcome: results.OK}},
		{"patient", "browse", "refused refused refused", "turn turn+1 turn+2", Ending{Outcome: results.Refused}},
		{"patient", "browse", strings.Repeat("malformed ", 11), "turn turn+1 turn+2 turn+3 turn+4 turn+5 turn+6 turn+7 turn+8 turn+9 turn+10",
			Ending{Outcome: results.Malformed}},
		{"patient", "browse", "canceled", "turn", Ending{Outcome: results.Canceled}},
		{"patient", "order", "rejected", "turn", Ending{results.Rejected, true, false, true, false, 0}},
		{"patient", "browse", "unclassified error_in_stream truncated stalled", "turn turn+1 turn+2 turn+3 turn+4 turn turn", Ending{Outcome: results.OK}},
	}
	for _, tt := range tests {
		s := shopperWho(t, tt.persona, tt.journey, 1)
		answers := strings.Fields(tt.answers)
		var took []string
		keys := map[int]UUID{}
		lines := map[int]string{}
		w := s.Walk()
		step, ok := w.Next(Result{})
		for n := 0; ok; n++ {
			name := step.Kind.String()
			if step.Attempt > 0 {
				name += fmt.Sprintf("+%d", step.Attempt)
			}
			took = append(took, name)
			if key, again := keys[step.Index]; again && (key != step.Key || lines[step.Index] != step.Say) {
				t.Errorf("%s: a repeated %s has another key or line", tt.answers, step.Kind)
			}
			keys[step.Index], lines[step.Index] = step.Key, step.Say
			checkStep(t, s, step, n)

			r := Result{Outcome: results.OK, Coupon: "coupon-1", Session: "session-1"}
			if n < len(answers) {
				r.Outcome, _ = results.ParseOutcome(answers[n])
			}
			step, ok = w.Next(r)
		}
		if got := strings.Join(took, " "); got != tt.steps {
			t.Errorf("%s %s, %q: took %s; want %s", tt.persona, tt.journey, tt.answers, got, tt.steps)
		}
		if got := w.End(); got != tt.end {
			t.Errorf("%s %s, %q: ended %+v; want %+v", tt.persona, tt.journey, tt.answers, got, tt.end)
		}
		if step, ok := w.Next(Result{Outcome: results.OK}); ok {
			t.Errorf("%s: %s after the end", tt.answers, step.Kind)
		}
	}
}

// checkStep holds a step against what its kind needs.
func checkStep(t *testing.T, s Shopper, step Step, n int) {
	t.Helper()
	complete := map[StepKind]bool{
		Turn:     step.Say != "" && !strings.ContainsAny(step.Say, "{}") && step.FirstToken == s.Persona.FirstToken,
		Claim:    step.Say == "",
		Create:   step.Item.ID != "" && step.Item.Title != "" && step.Item.Quantity >= 1 && step.Item.Quantity <= 3,
		Update:   step.Session == "session-1" && step.Coupon == "coupon-1",
		Complete: step.Session == "session-1",
	}
	if !complete[step.Kind] || step.Answer != s.Persona.Answer {
		t.Errorf("step is not complete: %+v", step)
	}
	if (step.Think > 0) != (n > 0) {
		t.Errorf("step %d, %s, thinks %v", n, step.Kind, step.Think)
	}
	if i, ok := ParseKey(7, step.Key); !ok || i != (Intent{ID: s.ID, Step: step.Index}) {
		t.Errorf("key %s carries %+v", step.Key, i)
	}
}

func TestNoCoupons(t *testing.T) {
	src := strings.Replace(small, "  coupons: {protocol: wxpay-favor, stock_id: s}\n", "", 1)
	w := plan(t, src, results.Factors{}).Shopper(ID{}).Walk()
	var took []string
	for step, ok := w.Next(Result{}); ok; step, ok = w.Next(Result{Outcome: results.OK}) {
		took = append(took, fmt.Sprintf("%s%d", step.Kind, step.Index))
	}
	if got := strings.Join(took, " "); got != "turn0 turn1 turn2 create4 complete6" || w.End().MeantToClaim {
		t.Errorf("took %s, ended %+v", got, w.End())
	}
}

// TestBrokenOff: a journey that nobody finished was canceled.
func TestBrokenOff(t *testing.T) {
	w := shopperWho(t, "patient", "order", 1).Walk()
	w.Next(Result{})
	w.Next(Result{Outcome: results.OK})
	if got := w.End(); got != (Ending{results.Canceled, true, false, true, false, 0}) {
		t.Errorf("ended %+v", got)
	}
}

func TestPauses(t *testing.T) {
	p, _ := personaNamed("patient")
	tests := []struct {
		attempt  int
		after    time.Duration
		u        float64
		want     time.Duration
		wantToGo bool
	}{
		{1, 0, 0, 2 * time.Second, true},
		{1, 0, 1, time.Second, true},
		{2, 0, 0, 4 * time.Second, true},
		{4, 0, 0, 16 * time.Second, true},
		{5, 0, 0, 30 * time.Second, true},
		{10, 0, 0.5, 22500 * time.Millisecond, true},
		{1000, 0, 0, 30 * time.Second, true},
		{1, 5 * time.Second, 0, 5 * time.Second, true},
		{5, 5 * time.Second, 0, 30 * time.Second, true},
		{1, time.Minute, 0, time.Minute, true},
		{1, time.Minute + 1, 0, 0, false},
		{1, -time.Hour, 0, 2 * time.Second, true},
	}
	for _, tt := range tests {
		got, ok := p.pause(tt.attempt, tt.after, tt.u)
		if got != tt.want || ok != tt.wantToGo {
			t.Errorf("pause(%d, %v, %v) = %v, %v; want %v, %v", tt.attempt, tt.after, tt.u, got, ok, tt.want, tt.wantToGo)
		}
	}
	// The pace shortens everything but patience below its floor, and Retry-After.
	fast := p.paced(0.01)
	if fast.FirstToken != patienceFloor || fast.Answer != patienceFloor || fast.Backoff != 20*time.Millisecond || fast.MaxBackoff != 300*time.Millisecond {
		t.Errorf("at a pace of 1/100: %+v", fast)
	}
	if d, ok := fast.pause(1, 3*time.Second, 0); d != 3*time.Second || !ok {
		t.Errorf("Retry-After at a pace of 1/100 is waited for %v", d)
	}
	if half := p.paced(0.5); half.FirstToken != 15*time.Second || half.Answer != 30*time.Second {
		t.Errorf("at half the pace: %+v", half)
	}
}

// TestOutcomesHaveReactions: every outcome but OK is in the table on purpose.
func TestOutcomesHaveReactions(t *testing.T) {
	leaves := map[results.Outcome]bool{results.OK: true, results.Rejected: true, results.Canceled: true}
	for _, o := range results.Outcomes() {
		if (react(o) == leave) != leaves[o] {
			t.Errorf("%s: reaction %d", o, react(o))
		}
	}
}

// TestNamesHaveConstructors holds the lists against what they name.
func TestNamesHaveConstructors(t *testing.T) {
	for _, name := range Personas() {
		if p, ok := personaNamed(name); !ok || p.FirstToken <= 0 || p.Answer < p.FirstToken {
			t.Errorf("persona %s: %+v", name, p)
		}
	}
	for _, name := range Journeys() {
		if len(script(name, 1)) == 0 {
			t.Errorf("journey %s has no steps", name)
		}
	}
	for _, endpoint := range []string{"chat", "coupons", "checkout"} {
		if len(Protocols(endpoint)) == 0 {
			t.Errorf("%s has no protocols", endpoint)
		}
	}
	seen := map[string]bool{}
	for _, i := range Catalogue() {
		if i.ID == "" || i.Title == "" || seen[i.ID] {
			t.Errorf("item %+v", i)
		}
		seen[i.ID] = true
	}
}

// TestDelegation: where a checkout delegates payment, that is a step before the
// completion, which nobody thinks before; tried again, either is the same.
func TestDelegation(t *testing.T) {
	s := shopperWho(t, "patient", "order", 1)
	for _, tt := range []struct{ version, answers, steps string }{
		{"2026-04-17", "", "turn turn turn claim create update delegate complete"},
		{"2025-09-29", "", "turn turn turn claim create delegate complete"}, // has no discount codes
		{"2026-04-17", "ok ok ok rejected", "turn turn turn claim create delegate complete"},
		{"2026-04-17", "ok ok ok ok ok ok unavailable ok unavailable", "turn turn turn claim create update delegate delegate+1 complete complete+1"},
		{"2026-04-17", "ok ok ok ok ok ok rejected", "turn turn turn claim create update delegate"},
	} {
		target := *s.plan
		target.Target.Checkout = Endpoint{Protocol: "acp", Version: tt.version}
		bought := s
		bought.plan = &target
		w, answers := bought.Walk(), strings.Fields(tt.answers)
		var steps []string
		keys := map[StepKind]UUID{}
		var last Result
		for step, ok := w.Next(Result{}); ok; step, ok = w.Next(last) {
			name := step.Kind.String()
			if step.Attempt > 0 {
				name += fmt.Sprint("+", step.Attempt)
			}
			steps = append(steps, name)
			switch step.Kind {
			case Delegate:
				if step.Session != "s" || step.Amount != 500 || step.Currency != "CNY" || step.Index != 6 {
					t.Errorf("%+v", step)
				}
			case Complete:
				if step.Session != "s" || step.Token != "vt" || step.Index != 6 || step.Attempt == 0 && step.Think != 0 {
					t.Errorf("%+v", step)
				}
			}
			if k, ok := keys[step.Kind]; step.Kind != Turn && ok && k != step.Key {
				t.Errorf("%v again has another key", step.Kind)
			}
			keys[step.Kind] = step.Key
			last = Result{Outcome: results.OK, Coupon: "c", Session: "s", Token: "vt", Amount: 500, Currency: "CNY"}
			if len(answers) > 0 {
				last.Outcome, _ = results.ParseOutcome(answers[0])
				answers = answers[1:]
			}
		}
		if got := strings.Join(steps, " "); got != tt.steps {
			t.Errorf("%s %q: %s, want %s", tt.version, tt.answers, got, tt.steps)
		}
		if keys[Delegate] == keys[Complete] {
			t.Errorf("one key for delegate and complete")
		}
	}
}

// TestLastTurn: after the last turn was answered nothing is said any more, until
// a new session begins; and a script whose turns are all answered has one.
func TestLastTurn(t *testing.T) {
	p := plan(t, small, results.Factors{})
	for _, persona := range Personas() {
		for _, journey := range Journeys() {
			for seed := range uint64(12) {
				s, err := p.Shopper(ID{Slot: Slot(seed), Number: 3}).As(persona, journey)
				if err != nil {
					t.Fatal(err)
				}
				steps, end := walked(s, seed)
				last, index := false, 0
				for i, step := range steps {
					switch {
					case step.Fresh:
						last = step.Last
					case step.Kind == Turn && last && step.Index != index:
						t.Errorf("%s %s %d, step %d is a turn after the last: %s", persona, journey, seed, i, kinds(steps))
					case step.Kind == Turn:
						last = step.Last
					case step.Last:
						t.Errorf("%s %s %d, step %d is no turn and the last one", persona, journey, seed, i)
					}
					if step.Kind == Turn {
						index = step.Index
					}
				}
				if !last && end.Outcome == results.OK {
					t.Errorf("%s %s %d: no turn was the last: %s", persona, journey, seed, kinds(steps))
				}
			}
		}
	}
}
