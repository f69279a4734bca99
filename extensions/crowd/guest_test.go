package crowd

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// A guest's steps have the times of a crowd's: what the script does by itself is
// not the backend's, a thought counts from the end of the last answer, and who
// is late after one is late.
func TestGuest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, serve(100*time.Millisecond), true)
		drawn, err := s.plan.Shopper(scenarios.Nth(3)).As("patient", "order")
		if err != nil {
			t.Fatal(err)
		}
		g := s.Host(t.Context(), drawn, false)
		turn := func(want scenarios.Result) {
			t.Helper()
			if v, err := g.Ask(func(l *scenarios.Led) error { return l.Chat("") }); err != nil || v.Outcome != want.Outcome || v.Requests != 1 {
				t.Fatalf("%+v, %v", v, err)
			}
		}
		time.Sleep(time.Second) // virtual time: the script's own doing
		turn(scenarios.Result{Outcome: results.OK})
		before := time.Now()
		pause, ok := g.Think()
		if took := time.Since(before); !ok || pause <= 0 || took != pause {
			t.Errorf("thought for %v of %v", took, pause)
		}
		time.Sleep(30 * time.Millisecond) // virtual time: the script dawdles
		turn(scenarios.Result{Outcome: results.OK})
		g.Leave()
		g.Leave()
		steps, ends := of[results.Step](&s.diary), of[results.End](&s.diary)
		if len(steps) != 2 || len(ends) != 1 || len(of[results.Launch](&s.diary)) != 1 {
			t.Fatalf("%+v, %+v", steps, ends)
		}
		const ms = time.Millisecond
		for i, lag := range []time.Duration{0, 30 * ms} {
			if f := steps[i]; f.Lag != lag || f.Service != 100*ms || f.Response != 100*ms+lag {
				t.Errorf("%+v, want a lag of %v", f, lag)
			}
		}
		if e := ends[0]; e.Outcome != results.OK || e.Duration != 1230*ms+pause || e.Ordered || e.MeantToOrder {
			t.Errorf("%+v", e)
		}
		if _, err := g.Ask((*scenarios.Led).Claim); err != errGone {
			t.Error(err)
		}
	})
}

// A guest whose time is up in a thought leaves as one who was sent away.
func TestGuestStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, serve(0), true)
		ctx, cancel := context.WithCancel(t.Context())
		g := s.Host(ctx, s.plan.Shopper(scenarios.Nth(3)), false)
		if _, err := g.Ask(func(l *scenarios.Led) error { return l.Chat("") }); err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(time.Millisecond) // virtual time: the thought has begun
			cancel()
		}()
		if _, ok := g.Think(); ok {
			t.Error("thought to the end")
		}
		if ends := of[results.End](&s.diary); len(ends) != 1 || ends[0].Outcome != results.Canceled {
			t.Errorf("%+v", ends)
		}
	})
}
