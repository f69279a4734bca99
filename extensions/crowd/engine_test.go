package crowd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

const campaign = `
name: bench
seed: 7
crowd:
  shoppers: 200
  stages:
    - {name: calm, for: 10s, rate: 1}
    - {name: rush, for: 10s, rate: 3}
  personas: {patient: 1, impatient: 1}
  journeys: {order: 3, browse: 1}
  think: {median: 2s, p90: 5s}
target:
  url: http://127.0.0.1:1
  chat: {protocol: openai, model: m}
  coupons: {protocol: wxpay-favor, stock_id: s}
  checkout: {protocol: ucp, version: 2026-04-08}
`

// shop is a protocol for every step, in virtual time.
type shop func(s *Shopper, step scenarios.Step) scenarios.Result

func (f shop) Do(_ *wire.Conn, s *Shopper, step scenarios.Step) scenarios.Result {
	r := f(s, step)
	r.End = time.Now()
	return r
}

// serve answers everything after a while.
func serve(took time.Duration) shop {
	return func(s *Shopper, step scenarios.Step) scenarios.Result {
		time.Sleep(took) // virtual time: every caller is inside a synctest bubble
		return scenarios.Result{
			Outcome: results.OK, Coupon: "c-" + s.ID.String(), Session: "s", Order: "o-" + s.ID.String(), Amount: 1, Currency: "CNY",
		}
	}
}

// dialer gives connections that nobody listens to: shop never uses them.
type dialer struct{}

func (dialer) Dial(context.Context, *wire.Device) (*wire.Conn, error) { return quiet(), nil }

// diary keeps the facts of an engine in the order in which they came.
type diary struct {
	mu    sync.Mutex
	facts []results.Fact
}

func (d *diary) add(f results.Fact) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.facts = append(d.facts, f)
}

// of returns the facts of one kind.
func of[T results.Fact](d *diary) []T {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []T
	for _, f := range d.facts {
		if t, ok := f.(T); ok {
			all = append(all, t)
		}
	}
	return all
}

// stand is an engine in virtual time.
type stand struct {
	*Engine
	diary
	plan *scenarios.Plan
	zero time.Time
}

func newStand(t *testing.T, p Protocol, alone bool) *stand {
	t.Helper()
	return newStandOf(t, campaign, p, alone)
}

func newStandOf(t *testing.T, campaign string, p Protocol, alone bool) *stand {
	t.Helper()
	c, err := scenarios.Parse("bench.yaml", []byte(campaign))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := c.Plan(results.Factors{})
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{plan: plan, zero: time.Now()}
	s.Engine = New(Config{
		Plan: plan, Dialer: dialer{}, Protocols: Protocols{Chat: p, Coupons: p, Checkout: p, Login: p},
		Header: func(scenarios.Shopper, map[string]string) []byte { return nil },
		Emit:   s.add,
		Boot:   func() time.Duration { return time.Since(s.zero) },
		Alone:  alone,
	})
	return s
}

// whole is a lease on the crowd, from the first slot to the last.
func (s *stand) lease(version uint64, from, to int, deadline time.Duration, stop scenarios.Stop) {
	var spans []scenarios.Span
	for slot := from; slot < to; slot++ {
		spans = append(spans, scenarios.Span{Slot: scenarios.Slot(slot), To: s.plan.Duration(), Grant: version})
	}
	s.Lease(Lease{Version: version, Spans: spans, Deadline: deadline, Started: true, Stop: stop, Why: "test"})
}

// skips lists who never started.
func (s *stand) skips() (all []results.Skip) {
	for _, m := range of[results.Mark](&s.diary) {
		all = append(all, m.Skips...)
	}
	return all
}

// account says what became of the crowd.
func (s *stand) account() (launched, ended, skipped int) {
	for _, skip := range s.skips() {
		skipped += int(skip.Count)
	}
	return len(of[results.Launch](&s.diary)), len(of[results.End](&s.diary)), skipped
}

func TestEveryShopperArrivesOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, serve(100*time.Millisecond), true)
		s.lease(1, 0, scenarios.Slots, time.Hour, scenarios.Go)
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if launched, ended, skipped := s.account(); launched != 200 || ended != 200 || skipped != 0 {
			t.Errorf("launched %d, ended %d, skipped %d; want 200, 200, 0", launched, ended, skipped)
		}
		var sum, want results.Sum128
		for _, l := range of[results.Launch](&s.diary) {
			sum = sum.Add(l.Hash)
		}
		for g := range uint32(200) {
			id := scenarios.ID{Slot: scenarios.Slot(g % scenarios.Slots), Number: g / scenarios.Slots}
			want = want.Add(s.plan.Shopper(id).Hash())
		}
		if sum != want {
			t.Errorf("load fingerprint %v, want %v", sum, want)
		}
		orders, coupons := 0, 0
		for _, p := range of[results.Promise](&s.diary) {
			switch p.Kind {
			case results.OrderPromise:
				orders++
			case results.CouponPromise:
				coupons++
			}
		}
		meant := 0
		for _, e := range of[results.End](&s.diary) {
			if e.Outcome != results.OK || e.Ordered != e.MeantToOrder {
				t.Errorf("shopper %d/%d ended %v, ordered %v", e.Slot, e.Number, e.Outcome, e.Ordered)
			}
			if e.MeantToOrder {
				meant++
			}
		}
		if orders != meant || coupons != meant || meant == 0 || meant == 200 {
			t.Errorf("%d orders and %d coupons of %d who meant to", orders, coupons, meant)
		}
		for _, f := range of[results.Step](&s.diary) {
			if f.Lag != 0 || f.Service != 100*time.Millisecond || f.Response != f.Service {
				t.Fatalf("step %+v: in virtual time nothing is late", f)
			}
		}
	})
}

// TestStepsTimesFollowThinking walks one shopper's steps: each begins when the
// last answer ended and the think time is over.
func TestStepsTimesFollowThinking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type sent struct {
			step scenarios.Step
			at   time.Time
		}
		var mu sync.Mutex
		seen := map[scenarios.ID][]sent{}
		s := newStand(t, shop(func(s *Shopper, step scenarios.Step) scenarios.Result {
			mu.Lock()
			seen[s.ID] = append(seen[s.ID], sent{step, time.Now()})
			mu.Unlock()
			return serve(300*time.Millisecond)(s, step)
		}), true)
		s.lease(1, 0, scenarios.Slots, time.Hour, scenarios.Go)
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		for id, steps := range seen {
			due := s.zero.Add(s.plan.Shopper(id).At)
			for _, x := range steps {
				due = due.Add(x.step.Think)
				if !x.at.Equal(due) {
					t.Fatalf("shopper %v: step %d sent at %v, due at %v", id, x.step.Index, x.at.Sub(s.zero), due.Sub(s.zero))
				}
				due = due.Add(300 * time.Millisecond)
			}
		}
	})
}

// TestMarksKeepTheirWord checks the frontier at every moment: every arrival
// before it has come, none from it on has.
func TestMarksKeepTheirWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, serve(time.Second), true)
		s.lease(1, 0, scenarios.Slots, time.Hour, scenarios.Go)
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		var all []scenarios.Mark
		for slot := range scenarios.Slot(scenarios.Slots) {
			for a := range s.plan.Arrivals(slot, 0) {
				all = append(all, a.At)
			}
		}
		launched, marks := 0, 0
		for _, f := range s.facts {
			switch f := f.(type) {
			case results.Launch:
				launched++
			case results.Mark:
				marks++
				due := 0
				for _, at := range all {
					if at < f.Frontier {
						due++
					}
				}
				if due != launched {
					t.Fatalf("frontier %v covers %d arrivals, %d were launched", f.Frontier, due, launched)
				}
			}
		}
		if marks < 200 {
			t.Errorf("%d marks in 20 s", marks)
		}
	})
}

// TestLeaseEndsAndComesBack lets a lease run out in the middle: nothing starts
// or is sent without it, what is in flight is given up, and afterwards the
// crowd goes on where it was.
func TestLeaseEndsAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const from, to = 8 * time.Second, 11 * time.Second
		var mu sync.Mutex
		var inside []time.Duration
		var s *stand
		s = newStand(t, shop(func(x *Shopper, step scenarios.Step) scenarios.Result {
			at := time.Since(s.zero)
			mu.Lock()
			if at >= from && at < to {
				inside = append(inside, at)
			}
			mu.Unlock()
			return serve(50*time.Millisecond)(x, step)
		}), true)
		s.lease(1, 0, scenarios.Slots, from, scenarios.Go)
		renew := time.AfterFunc(to, func() { s.lease(1, 0, 0, time.Hour, scenarios.Go) })
		defer renew.Stop()
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(inside) > 0 {
			t.Errorf("%d requests without a lease, first at %v", len(inside), inside[0])
		}
		if launched, ended, _ := s.account(); launched != 200 || ended != 200 {
			t.Errorf("launched %d, ended %d; want 200 each", launched, ended)
		}
		late, told := 0, 0
		for _, l := range of[results.Launch](&s.diary) {
			if l.Hole > 0 {
				late++
				if l.At < from || l.At > to {
					t.Errorf("a shopper of %v is late, the lease was gone from %v to %v", l.At, from, to)
				}
			}
		}
		for _, f := range of[results.Step](&s.diary) {
			if f.Lag > 0 {
				t.Errorf("a lag of %v is the generator's: the fleet made it", f.Lag)
			}
			if f.Held {
				told++
			}
		}
		if late == 0 || told == 0 {
			t.Errorf("%d shoppers came late, %d were held: the gap is hidden", late, told)
		}
	})
}

func TestDrainCountsWhoNeverStarted(t *testing.T) {
	for _, stop := range []scenarios.Stop{scenarios.Drain, scenarios.Cut} {
		t.Run(stop.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStand(t, serve(300*time.Millisecond), false)
				s.lease(1, 0, scenarios.Slots, time.Hour, scenarios.Go)
				time.AfterFunc(12*time.Second, func() { s.lease(1, 0, 0, time.Hour, stop) })
				time.AfterFunc(5*time.Minute, func() { s.lease(1, 0, 0, time.Hour, scenarios.Done) })
				if err := s.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				launched, ended, skipped := s.account()
				if launched+skipped != 200 || ended != launched || skipped == 0 || launched == 0 {
					t.Errorf("launched %d, ended %d, never started %d of 200", launched, ended, skipped)
				}
				canceled := 0
				for _, e := range of[results.End](&s.diary) {
					if e.Outcome == results.Canceled {
						canceled++
					}
				}
				if (canceled > 0) != (stop == scenarios.Cut) {
					t.Errorf("%d shoppers canceled by a %v", canceled, stop)
				}
				skips := s.skips()
				if skips[0].Reason != "test" || skips[0].Stage != "rush" {
					t.Errorf("skips %+v", skips)
				}
			})
		})
	}
}

// TestEndOfContextJoins: when Run returns, nobody emits any more.
func TestEndOfContextJoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, serve(400*time.Millisecond), false)
		s.lease(1, 0, scenarios.Slots, time.Hour, scenarios.Go)
		gone := errors.New("worker gone")
		ctx, end := context.WithCancelCause(t.Context())
		time.AfterFunc(15*time.Second, func() { end(gone) })
		if err := s.Run(ctx); !errors.Is(err, gone) {
			t.Fatalf("Run: %v", err)
		}
		before := len(s.facts)
		launched, ended, _ := s.account()
		if launched == 0 || launched != ended {
			t.Errorf("launched %d, ended %d", launched, ended)
		}
		synctest.Wait()
		time.Sleep(time.Minute)
		if len(s.facts) != before {
			t.Errorf("%d facts after Run returned", len(s.facts)-before)
		}
	})
}

// TestTwoEnginesAreOneCrowd: however the slots are shared, the same shoppers
// come at the same moments.
func TestTwoEnginesAreOneCrowd(t *testing.T) {
	launches := func(t *testing.T, shares ...[2]int) (all []string) {
		synctest.Test(t, func(t *testing.T) {
			for _, share := range shares {
				s := newStand(t, serve(0), true)
				s.lease(1, share[0], share[1], time.Hour, scenarios.Go)
				if err := s.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				for _, l := range of[results.Launch](&s.diary) {
					all = append(all, fmt.Sprint(l.Slot, l.Number, l.At, l.Hash))
				}
			}
		})
		slices.Sort(all)
		return all
	}
	one := launches(t, [2]int{0, scenarios.Slots})
	three := launches(t, [2]int{0, 50}, [2]int{50, 100}, [2]int{100, scenarios.Slots})
	if len(one) != 200 || !slices.Equal(one, three) {
		t.Errorf("%d shoppers on one engine, %d on three, or not the same", len(one), len(three))
	}
}

// TestMoreSpansInMidRun: a new version adds slots without repeating a launch.
func TestMoreSpansInMidRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, serve(time.Millisecond), false)
		s.lease(1, 0, 100, time.Hour, scenarios.Go)
		time.AfterFunc(10*time.Second, func() {
			l := Lease{Version: 2, Deadline: time.Hour, Started: true}
			for slot := range scenarios.Slots {
				span := scenarios.Span{Slot: scenarios.Slot(slot), To: s.plan.Duration(), Grant: 1}
				if slot >= 100 {
					span.Grant, span.From, span.Attempt = 2, 6*time.Second, 1
				}
				l.Spans = append(l.Spans, span)
			}
			s.Lease(l)
		})
		time.AfterFunc(5*time.Minute, func() { s.lease(2, 0, 0, time.Hour, scenarios.Done) })
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		seen, late := map[[2]int]bool{}, 0
		for _, l := range of[results.Launch](&s.diary) {
			id := [2]int{int(l.Slot), int(l.Number)}
			if seen[id] {
				t.Errorf("shopper %v came twice", id)
			}
			seen[id] = true
			old := l.Slot >= 100 && l.At < 10*time.Second-markEvery // the frontier may be that old
			if old && l.At < 6*time.Second || old && l.Hole == 0 || l.Hole > 0 && l.Slot < 100 {
				t.Errorf("shopper %v came for %v, hole %d; slots from 100 were granted at 10 s, from 6 s on", id, l.At, l.Hole)
			}
			if l.Hole > 0 {
				late++
			}
		}
		if late < 10 {
			t.Errorf("%d shoppers came late", late)
		}
		if len(seen) <= 100 {
			t.Errorf("%d shoppers: the new slots brought none", len(seen))
		}
	})
}

// TestNoAnswerEndsTheProcess: a protocol that panics costs its shopper only.
func TestNoAnswerEndsTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, shop(func(x *Shopper, step scenarios.Step) scenarios.Result {
			if step.Kind == scenarios.Create {
				panic("index out of range")
			}
			return serve(time.Millisecond)(x, step)
		}), true)
		s.lease(1, 0, scenarios.Slots, time.Hour, scenarios.Go)
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		orders, unclassified := 0, 0
		for _, e := range of[results.End](&s.diary) {
			if e.Ordered {
				orders++
			}
			if e.Outcome == results.Unclassified {
				unclassified++
			}
		}
		if _, ended, _ := s.account(); ended != 200 || orders != 0 || unclassified == 0 {
			t.Errorf("ended %d, orders %d, unclassified %d", ended, orders, unclassified)
		}
	})
}

// TestNothingIsSentAfterTheDeadline: a shopper asks for the lease itself, in
// case the dispatcher is late.
func TestNothingIsSentAfterTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, serve(0), true)
		s.lease(1, 0, scenarios.Slots, time.Second, scenarios.Go)
		s.dispatch() // fire is lit
		x := &Shopper{}
		if _, p := s.begin(x); p != send {
			t.Errorf("before the deadline: permit %v", p)
		}
		time.Sleep(time.Second)
		if _, p := s.begin(x); p != wait {
			t.Errorf("at the deadline: permit %v", p)
		}
		s.end()
		if _, p := s.begin(x); p != quit {
			t.Errorf("after the end: permit %v", p)
		}
		s.steps.Wait()
	})
}

// TestSpansHaveAnEnd: arrivals from a span's end on belong to somebody else.
func TestSpansHaveAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, serve(0), true)
		var spans []scenarios.Span
		for slot := range scenarios.Slots {
			spans = append(spans, scenarios.Span{Slot: scenarios.Slot(slot), From: 2 * time.Second, To: 5 * time.Second, Grant: 1})
		}
		s.Lease(Lease{Version: 1, Spans: spans, Deadline: time.Hour, Started: true})
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := 0
		for slot := range scenarios.Slot(scenarios.Slots) {
			want += s.plan.Count(slot, 2*time.Second, 5*time.Second)
		}
		launches := of[results.Launch](&s.diary)
		for _, l := range launches {
			if l.At < 2*time.Second || l.At >= 5*time.Second {
				t.Errorf("a launch at %v", l.At)
			}
		}
		if len(launches) != want || want == 0 {
			t.Errorf("%d launches, want %d", len(launches), want)
		}
	})
}

// TestNoSpansNoWord: an engine that leaves before it heard of its spans says
// nothing about their arrivals; the coordinator counts them.
func TestNoSpansNoWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, serve(0), false)
		s.Lease(Lease{Stop: scenarios.Done})
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, m := range of[results.Mark](&s.diary) {
			if m.Frontier != 0 || m.Skips != nil {
				t.Errorf("mark %+v", m)
			}
		}
	})
}

// TestSlowListenersDontLengthenALease: while whoever takes the facts is stuck,
// and the dispatcher with it, the lease ends all the same.
func TestSlowListenersDontLengthenALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const deadline = 5 * time.Second
		var mu sync.Mutex
		after := 0
		var s *stand
		s = newStand(t, shop(func(x *Shopper, step scenarios.Step) scenarios.Result {
			time.Sleep(200 * time.Millisecond) // virtual time: the shopper's request is under way
			if time.Since(s.zero) > deadline+watchEvery+200*time.Millisecond {
				mu.Lock()
				after++
				mu.Unlock()
			}
			return scenarios.Result{Outcome: results.OK}
		}), false)
		stuck := make(chan struct{})
		s.Emit = func(f results.Fact) {
			if _, ok := f.(results.Launch); ok && time.Since(s.zero) > deadline-time.Second {
				<-stuck
			}
		}
		s.lease(1, 0, scenarios.Slots, deadline, scenarios.Go)
		ctx, end := context.WithCancel(t.Context())
		time.AfterFunc(30*time.Second, func() {
			s.Engine.mu.Lock()
			held := s.held
			s.Engine.mu.Unlock()
			if !held {
				t.Error("the lease is over, and nobody noticed")
			}
			close(stuck)
			end()
		})
		s.Run(ctx)
		if after > 0 {
			t.Errorf("%d requests were answered long after the lease", after)
		}
	})
}

// Streams tells the most turns that were under way at once, as the backend saw
// them, since it was asked last.
func TestStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most := 0, 0
		s := newStand(t, shop(func(s *Shopper, step scenarios.Step) scenarios.Result {
			count := func(by int) {
				if step.Kind == scenarios.Turn {
					mu.Lock()
					now += by
					most = max(most, now)
					mu.Unlock()
				}
			}
			count(1)
			defer count(-1)
			return serve(3*time.Second)(s, step)
		}), true)
		s.lease(1, 0, scenarios.Slots, time.Hour, scenarios.Go)
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := s.Streams(); got != most || most < 10 {
			t.Errorf("%d streams at once, the backend saw %d", got, most)
		}
		if got := s.Streams(); got != 0 {
			t.Errorf("%d streams of an engine that is done", got)
		}
	})
}
