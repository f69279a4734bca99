package extensions

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.k6.io/k6/v2/metrics"

	"github.com/flashcrowd/flashcrowd/results"
)

// drain returns the facts that wait in samples.
func drain(samples chan metrics.SampleContainer) (facts []results.Fact) {
	for len(samples) > 0 {
		facts = append(facts, (<-samples).(*parcel).facts...)
	}
	return facts
}

// numbered is the n-th fact of a test.
func numbered(n int) results.Fact { return results.Mark{Frontier: time.Duration(n)} }

func TestCourierKeepsTheOrder(t *testing.T) {
	for _, count := range []int{0, 1, courierHolds - 1, courierHolds, courierHolds + 1, 5*courierHolds + 7} {
		samples := make(chan metrics.SampleContainer, 10)
		c := newCourier(samples)
		for n := range count {
			c.emit(numbered(n))
		}
		c.flush()
		got := drain(samples)
		if len(got) != count {
			t.Errorf("%d facts came of %d", len(got), count)
		}
		for n, f := range got {
			if f.(results.Mark).Frontier != time.Duration(n) {
				t.Errorf("of %d facts %v came in place %d", count, f, n)
			}
		}
	}
}

func TestCourierLetsNoFactWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		samples := make(chan metrics.SampleContainer, 10)
		c := newCourier(samples)
		time.Sleep(time.Second)
		for n := range 3 { // the second and third of them a batch of their own
			c.emit(numbered(n))
			time.Sleep(courierWaits - 1)
			synctest.Wait()
			if len(samples) > 0 {
				t.Errorf("fact %d did not wait for others", n)
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if got := drain(samples); len(got) != 1 || got[0].(results.Mark).Frontier != time.Duration(n) {
				t.Errorf("after %v came %v, want fact %d", courierWaits, got, n)
			}
		}
		for n := range courierHolds {
			c.emit(numbered(n))
		}
		if got := drain(samples); len(got) != courierHolds {
			t.Errorf("%d facts went at once, want %d", len(got), courierHolds)
		}
		time.Sleep(time.Second)
		if synctest.Wait(); len(samples) > 0 {
			t.Error("something came after everything")
		}
	})
}

func TestCourierWhileK6HasNoRoom(t *testing.T) {
	const emitters, each = 8, 500
	samples := make(chan metrics.SampleContainer) // k6 takes one when it can
	c := newCourier(samples)
	var all sync.WaitGroup
	for e := range emitters {
		all.Go(func() {
			for n := range each {
				c.emit(numbered(e*each + n))
			}
		})
	}
	go func() {
		all.Wait()
		c.flush()
		close(samples)
	}()
	last := make([]int, emitters)
	count := 0
	for p := range samples {
		for _, f := range p.(*parcel).facts {
			n := int(f.(results.Mark).Frontier)
			if e := n / each; n%each+1 <= last[e] {
				t.Fatalf("fact %d of emitter %d came after %d", n%each+1, e, last[e])
			} else {
				last[e] = n%each + 1
			}
			count++
		}
	}
	if count != emitters*each {
		t.Errorf("%d facts came, want %d", count, emitters*each)
	}
}
