package crowd

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// lodge is a protocol whose checkouts need a session: opening one is a request
// before the first.
type lodge struct {
	shop
	requests, farewells atomic.Int64
	forgets             bool // every session, at once
}

func (l *lodge) Do(c *wire.Conn, s *Shopper, step scenarios.Step) scenarios.Result {
	r := l.shop.Do(c, s, step)
	if step.Kind != scenarios.Create && step.Kind != scenarios.Complete {
		return r
	}
	l.requests.Add(1)
	if s.Sessions == nil {
		if !l.forgets {
			s.Sessions = map[string]Session{"/": {Head: "x"}}
		}
		return scenarios.Result{Outcome: results.Unavailable, Why: "opened", More: true, End: r.End}
	}
	return r
}

func (l *lodge) Leave(_ *wire.Conn, s *Shopper, deadline time.Time) {
	if s.Sessions == nil { // it serves several endpoints, and is asked for each
		return
	}
	if time.Until(deadline) > 0 {
		l.farewells.Add(1)
	}
	s.Sessions = nil
	time.Sleep(300 * time.Millisecond) // virtual time: every caller is inside a synctest bubble
}

// What prepares a step belongs to it: one fact, whose times have both requests.
// Who has a session says goodbye, which counts for nobody's journey.
func TestSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lodge{shop: serve(100 * time.Millisecond)}
		s := newStand(t, l, true)
		s.lease(1, 0, scenarios.Slots, time.Hour, 0)
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		var creates, completes int64
		last := map[results.Who]time.Duration{}
		for _, f := range of[results.Step](&s.diary) {
			want := 100 * time.Millisecond
			switch f.Name {
			case "create":
				want *= 2
				creates++
			case "complete":
				completes++
			}
			if f.Service != want || f.Response != want || f.Outcome != results.OK {
				t.Fatalf("%+v, want %v", f, want)
			}
			last[f.Who] = f.At
		}
		if creates == 0 || l.requests.Load() != 2*creates+completes || l.farewells.Load() != creates {
			t.Errorf("%d creates, %d completes, %d requests, %d farewells", creates, completes, l.requests.Load(), l.farewells.Load())
		}
		for _, e := range of[results.End](&s.diary) {
			if e.At != last[e.Who] {
				t.Fatalf("%+v ended after its last step, at %v", e, last[e.Who])
			}
		}
	})
}

// A step that is never done with preparing ends all the same.
func TestSessionsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, &lodge{shop: serve(100 * time.Millisecond), forgets: true}, true)
		s.lease(1, 0, scenarios.Slots, time.Hour, 0)
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, f := range of[results.Step](&s.diary) {
			if f.Name == "create" && (f.Outcome != results.Unavailable || f.Service != mostRequests*100*time.Millisecond) {
				t.Fatalf("%+v", f)
			}
		}
		for _, e := range of[results.End](&s.diary) {
			if e.Ordered {
				t.Fatalf("%+v", e)
			}
		}
	})
}
