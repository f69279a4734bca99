package crowd

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Whoever thinks is taken in the order in which they are due, and not before.
func TestThinkers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var all thinkers
	var want, got []time.Duration
	for now := range time.Duration(2000) {
		for range r.IntN(4) {
			s := &Shopper{due: now + time.Duration(r.IntN(300))}
			first := all.add(s)
			if want = append(want, s.due); first != (slices.Min(want) == s.due && all[0].s == s) {
				t.Fatalf("at %d: first is %v", now, first)
			}
		}
		for s, ok := all.take(now); ok; s, ok = all.take(now) {
			if s.due > now {
				t.Fatalf("at %d came who was due at %d", now, s.due)
			}
			i := slices.Index(want, s.due)
			want = slices.Delete(want, i, i+1)
			got = append(got, s.due)
		}
		if len(want) > 0 && slices.Min(want) <= now {
			t.Fatalf("at %d somebody due at %d was left", now, slices.Min(want))
		}
	}
	if len(got) < 2000 || len(all) != len(want) {
		t.Errorf("%d came, %d of %d are left", len(got), len(all), len(want))
	}
}

// What it costs a shopper to think among so many others.
func BenchmarkThinkers(b *testing.B) {
	for _, n := range []int{500, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 2))
			var all thinkers
			for range n {
				all.add(&Shopper{due: time.Duration(r.Int64N(1 << 40))})
			}
			for b.Loop() {
				s, _ := all.take(1 << 62)
				s.due += time.Duration(r.Int64N(1 << 41))
				all.add(s)
			}
		})
	}
}
