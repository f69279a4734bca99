package crowd

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// An order that is decided later is a promise when a poll brings it, under the
// key of its completion, and undecided until then. Each poll has its own times.
func TestPolledOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := serve(100 * time.Millisecond)
		s := newStand(t, shop(func(s *Shopper, step scenarios.Step) scenarios.Result {
			r := answer(s, step)
			if step.For() == scenarios.Complete && (step.Kind != scenarios.Poll || step.Attempt == 0) {
				r.Pending, r.Order = true, ""
			}
			return r
		}), true)
		s.lease(1, 0, scenarios.Slots, time.Hour, 0)
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		keys := map[string][]results.Promise{}
		for _, p := range of[results.Promise](&s.diary) {
			if p.Kind == results.OrderPromise {
				keys[p.Key] = append(keys[p.Key], p)
			}
		}
		for key, p := range keys {
			if len(p) != 2 || p[0].Known || !p[1].Known || p[1].ID == "" {
				t.Fatalf("key %s: %+v", key, p)
			}
		}
		polls, ordered := 0, 0
		for _, f := range of[results.Step](&s.diary) {
			if f.Name == "poll" {
				polls++
				if f.Response != 100*time.Millisecond || f.Lag != 0 || f.Outcome != results.OK {
					t.Fatalf("%+v", f)
				}
			}
		}
		for _, e := range of[results.End](&s.diary) {
			if e.Ordered {
				ordered++
			}
		}
		if ordered == 0 || len(keys) != ordered || polls != 2*ordered {
			t.Errorf("%d ordered under %d keys with %d polls", ordered, len(keys), polls)
		}
	})
}
