package crowd

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// with is a stand whose crowd is all of one persona and means to order.
func with(t *testing.T, persona string, p Protocol) *stand {
	t.Helper()
	s := newStand(t, p, true)
	c, err := scenarios.Parse("bench.yaml", []byte(strings.NewReplacer(
		"{patient: 1, impatient: 1}", "{"+persona+": 1}", "{order: 3, browse: 1}", "{order: 1}").Replace(campaign)))
	if err != nil {
		t.Fatal(err)
	}
	if s.plan, err = c.Plan(results.Factors{}); err != nil {
		t.Fatal(err)
	}
	s.Plan = s.plan
	return s
}

// run runs the crowd to its end and returns how often each step was sent, and
// the keys of what was promised.
func (s *stand) run(t *testing.T) (sent map[string]int, promises map[results.PromiseKind][]string) {
	t.Helper()
	s.lease(1, 0, scenarios.Slots, 24*time.Hour, scenarios.Go)
	if err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	sent, promises = map[string]int{}, map[results.PromiseKind][]string{}
	for _, f := range of[results.Step](&s.diary) {
		sent[f.Name]++
	}
	for _, p := range of[results.Promise](&s.diary) {
		promises[p.Kind] = append(promises[p.Kind], fmt.Sprint(p.Key, p.Known, p.ID))
	}
	return sent, promises
}

// TestDoubleTapIsPromisedOnce: both taps are requests, and what they were told
// twice is one promise; told another order, it is another promise.
func TestDoubleTapIsPromisedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent, promises := with(t, "double-tapper", serve(50*time.Millisecond)).run(t)
		if want := map[string]int{"turn": 600, "claim": 400, "create": 200, "update": 200, "complete": 400}; !maps.Equal(sent, want) {
			t.Errorf("sent %v, want %v", sent, want)
		}
		if o, c := len(promises[results.OrderPromise]), len(promises[results.CouponPromise]); o != 200 || c != 200 {
			t.Errorf("%d orders and %d coupons were promised, want 200 of each", o, c)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		_, promises := with(t, "double-tapper", shop(func(s *Shopper, step scenarios.Step) scenarios.Result {
			r := serve(50*time.Millisecond)(s, step)
			r.Order += fmt.Sprint("-", step.Attempt)
			return r
		})).run(t)
		if o := len(promises[results.OrderPromise]); o != 400 {
			t.Errorf("a backend that books twice: %d promises, want 400", o)
		}
	})
	synctest.Test(t, func(t *testing.T) { // the second answer is lost: the first stands
		_, promises := with(t, "double-tapper", shop(func(s *Shopper, step scenarios.Step) scenarios.Result {
			r := serve(50*time.Millisecond)(s, step)
			if step.Attempt > 0 {
				r = scenarios.Result{Outcome: results.TimedOut}
			}
			return r
		})).run(t)
		if o := promises[results.OrderPromise]; len(o) != 200 || slices.ContainsFunc(o, func(p string) bool { return strings.Contains(p, "false") }) {
			t.Errorf("%d promises, want 200 that are known", len(o))
		}
	})
}

// TestReinstallerStartsAfresh: a new session knows nothing of the old
// conversation, and its order has a key of its own.
func TestReinstallerStartsAfresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := with(t, "reinstaller", shop(func(s *Shopper, step scenarios.Step) scenarios.Result {
			r := serve(50*time.Millisecond)(s, step)
			if step.Kind == scenarios.Turn {
				if (step.Index == 0) != (len(s.History) == 0) {
					t.Errorf("turn %d of %s with %d bytes of history", step.Index, s.ID, len(s.History))
				}
				s.History = append(s.History, '.')
			}
			if i, _ := scenarios.ParseKey(7, step.Key); step.Kind == scenarios.Complete && i.Life == 0 {
				r = scenarios.Result{Outcome: results.TimedOut}
			}
			return r
		}))
		_, promises := s.run(t)
		keys := map[string]bool{}
		for _, p := range promises[results.OrderPromise] {
			keys[p] = true
		}
		if len(promises[results.OrderPromise]) != 600 || len(keys) != 400 {
			t.Errorf("%d promises, %d of them different; want 600 and 400: two lost and one known for each", len(promises[results.OrderPromise]), len(keys))
		}
		for _, e := range of[results.End](&s.diary) {
			if !e.Ordered || e.Outcome != results.OK {
				t.Fatalf("ended %+v", e)
			}
		}
	})
}

// TestAbuserChangesAccounts: the head lines of a request are those of the
// account that sends it.
func TestAbuserChangesAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := with(t, "abuser", shop(func(s *Shopper, step scenarios.Step) scenarios.Result {
			if s.User != step.User || string(s.Header) != step.User.String() {
				t.Errorf("%s is sent as %s with the head lines of %s, want %s", step.Kind, s.User, s.Header, step.User)
			}
			return serve(50*time.Millisecond)(s, step)
		}))
		s.Header = func(s scenarios.Shopper, _ map[string]string) []byte { return []byte(s.User.String()) }
		sent, promises := s.run(t)
		if sent["claim"] != 1000 || len(promises[results.CouponPromise]) != 1000 {
			t.Errorf("%d claims, %d promised", sent["claim"], len(promises[results.CouponPromise]))
		}
	})
}
