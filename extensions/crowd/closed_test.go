package crowd

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// closed is the crowd of campaign, so many at once.
func closed(atOnce int) string {
	return strings.Replace(campaign, "crowd:\n", fmt.Sprintf("crowd:\n  at_once: %d\n", atOnce), 1)
}

// A turnstile counts who is in the shop.
type turnstile struct {
	mu   sync.Mutex
	in   map[scenarios.ID]bool
	most int
}

func (d *turnstile) opens(id scenarios.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.in[id] = true
	d.most = max(d.most, len(d.in))
}

func (d *turnstile) shuts(id scenarios.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.in, id)
}

// through has the facts of an engine pass the turnstile.
func (d *turnstile) through(s *stand) {
	emit := s.Emit
	s.Emit = func(f results.Fact) {
		switch f := f.(type) {
		case results.Launch:
			d.opens(scenarios.ID{Slot: scenarios.Slot(f.Slot), Number: f.Number})
		case results.End:
			d.shuts(scenarios.ID{Slot: scenarios.Slot(f.Slot), Number: f.Number})
		}
		emit(f)
	}
}

// A closed crowd is never larger than it may be, all of it gets its turn, and
// nobody's times hold the wait outside, which is told apart to the nanosecond.
func TestClosedCrowd(t *testing.T) {
	for _, atOnce := range []int{1, 7} {
		synctest.Test(t, func(t *testing.T) {
			s := newStandOf(t, closed(atOnce), serve(time.Second), true)
			d := &turnstile{in: map[scenarios.ID]bool{}}
			d.through(s)
			s.lease(1, 0, scenarios.Slots, 100*time.Hour, scenarios.Go)
			if err := s.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if d.most != atOnce {
				t.Errorf("%d at once, want %d", d.most, atOnce)
			}
			if launched, ended, skipped := s.account(); launched != 200 || ended != 200 || skipped != 0 {
				t.Errorf("%d launched, %d ended, %d never started", launched, ended, skipped)
			}
			outside, waited := map[results.Who]time.Duration{}, 0
			for _, l := range of[results.Launch](&s.diary) {
				outside[l.Who] = l.Outside
				if l.Outside > 0 {
					waited++
				}
				if l.Hole > 0 || !l.Closed {
					t.Errorf("launch %+v", l)
				}
			}
			if waited < 100 {
				t.Errorf("%d had to wait outside", waited)
			}
			spent := map[results.Who]time.Duration{}
			for _, f := range of[results.Step](&s.diary) {
				if f.Lag != 0 || f.Response != time.Second || f.Late {
					t.Errorf("step with lag %v, response %v, late %v", f.Lag, f.Response, f.Late)
				}
				spent[f.Who] = max(spent[f.Who], f.At)
			}
			for _, l := range of[results.Launch](&s.diary) {
				if first := l.At + outside[l.Who] + time.Second; spent[l.Who] < first {
					t.Errorf("%v ended at %v, before its first step could at %v", l.Who, spent[l.Who], first)
				}
			}
			for _, e := range of[results.End](&s.diary) {
				if e.Duration < outside[e.Who]+time.Second {
					t.Errorf("%v left after %v, %v of them outside", e.Who, e.Duration, outside[e.Who])
				}
			}
		})
	}
}

// Who has room comes when it is due: an open shop is a closed one that is large
// enough.
func TestClosedCrowdWithRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open, wide := newStand(t, serve(time.Second), true), newStandOf(t, closed(200), serve(time.Second), true)
		for _, s := range []*stand{open, wide} {
			s.zero = time.Now()
			s.lease(1, 0, scenarios.Slots, time.Hour, scenarios.Go)
			if err := s.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		a, b := of[results.Launch](&open.diary), of[results.Launch](&wide.diary)
		if len(a) != len(b) {
			t.Fatalf("%d and %d launched", len(a), len(b))
		}
		for i := range a {
			if a[i].Who != b[i].Who || a[i].At != b[i].At || a[i].Hash != b[i].Hash || b[i].Outside != 0 {
				t.Errorf("launch %d: %+v and %+v", i, a[i], b[i])
			}
		}
	})
}

// Engines that share the slots share the places, whoever holds what.
func TestClosedCrowdOfTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &turnstile{in: map[scenarios.ID]bool{}}
		large := strings.Replace(closed(9), "shoppers: 200", "shoppers: 8192", 1)
		one, two := newStandOf(t, large, serve(time.Second), true), newStandOf(t, large, serve(time.Second), true)
		one.zero = two.zero
		d.through(one)
		d.through(two)
		one.lease(1, 0, 1024, 100*time.Hour, scenarios.Go)
		two.lease(1, 1024, scenarios.Slots, 100*time.Hour, scenarios.Go)
		var wg sync.WaitGroup
		for _, s := range []*stand{one, two} {
			wg.Go(func() {
				if err := s.Run(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := len(of[results.End](&one.diary)) + len(of[results.End](&two.diary)); n != 8192 || d.most != 2+6 {
			t.Errorf("%d ended, %d at once, want a quarter of 9 and three", n, d.most)
		}
	})
}

// Who comes in because there are more places was not kept waiting by us.
func TestClosedCrowdGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStandOf(t, closed(8), serve(10*time.Second), true)
		d := &turnstile{in: map[scenarios.ID]bool{}}
		d.through(s)
		over := make(chan error, 1)
		go func() { over <- s.Run(t.Context()) }()
		s.lease(1, 0, scenarios.Slots/4, 100*time.Hour, scenarios.Go)
		time.Sleep(17 * time.Second)
		var spans []scenarios.Span
		for slot := range scenarios.Slot(scenarios.Slots) {
			grant := uint64(1)
			if slot >= scenarios.Slots/4 {
				grant = 2
			}
			spans = append(spans, scenarios.Span{Slot: slot, To: s.plan.Duration(), Grant: grant})
		}
		s.Lease(Lease{Version: 2, Spans: spans, Deadline: 100 * time.Hour, Started: true})
		if err := <-over; err != nil {
			t.Fatal(err)
		}
		if launched, ended, skipped := s.account(); launched != 200 || ended != 200 || skipped != 0 || d.most != 8 {
			t.Errorf("%d launched, %d ended, %d never started, %d at once", launched, ended, skipped, d.most)
		}
		for _, f := range of[results.Step](&s.diary) {
			if f.Lag != 0 {
				t.Errorf("step %s of %d has a lag of %v", f.Name, f.Number, f.Lag)
			}
		}
	})
}

// Who waits outside while the lease is out comes later and is the fleet's doing;
// nobody is given up for having been due long ago.
func TestClosedCrowdAfterALapse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStandOf(t, closed(2), serve(time.Second), true)
		over := make(chan error, 1)
		go func() { over <- s.Run(t.Context()) }()
		s.lease(1, 0, scenarios.Slots, 15*time.Second, scenarios.Go)
		time.Sleep(2 * time.Minute)
		s.lease(1, 0, scenarios.Slots, 100*time.Hour, scenarios.Go)
		if err := <-over; err != nil {
			t.Fatal(err)
		}
		if launched, ended, skipped := s.account(); launched != 200 || ended != 200 || skipped != 0 {
			t.Errorf("%d launched, %d ended, %d never started: %v", launched, ended, skipped, s.skips())
		}
	})
}
