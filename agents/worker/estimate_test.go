package worker

import (
	"math/rand/v2"
	"testing"
	"time"
)

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func part(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

func TestPlanTime(t *testing.T) {
	var c estimate
	tests := []struct {
		sent, received, held int     // ms
		now                  int     // plan time of the answer, ms
		zero                 float64 // ms after the beginning
		offset               float64 // found by this answer
	}{
		{0, 40, 0, -1000, 1020, 0},
		{500, 530, 10, -490, 1010, 0},     // better, and before the start: at once. 10 ms may be the way's
		{1000, 1100, 0, 45, 1010, 0},      // worse: the answer before is believed
		{2000, 2010, 0, 1095, 964.5, -95}, // 100 ms off, 5 may be the way's: it moves by a twentieth of the time passed
		{3000, 3010, 0, 2095, 914.5, -49.5},
		{4000, 4010, 50, 3100, 910, -4.5}, // held longer than it took: clocks disagree, no negative way
		{60_000, 60_010, 0, 59_095, 910, 0},
		{61_000, 61_010, 0, 59_595, 1410, 495}, // half a second off
	}
	for i, tt := range tests {
		c.observe(at(tt.sent), at(tt.received), ms(tt.held), ms(tt.now))
		if c.zero != begin+part(tt.zero) || c.offset != part(tt.offset) {
			t.Errorf("%d: zero is %v after the beginning, want %v ms; offset %v, want %v ms", i, c.zero-begin, tt.zero, c.offset, tt.offset)
		}
	}
}

// Two clocks whose rates differ as much as leases allow, over a network that
// takes its time: plan time never goes back, and workers stay together.
func TestPlanTimeSlews(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 3))
		rate := 0.98 + 0.04*rng.Float64()
		ours := func(now time.Duration) time.Duration { return begin + time.Duration(float64(now)*rate) }
		var c estimate
		zero, before := 2*time.Second, time.Duration(0)
		for now := time.Second; now < 2*time.Minute; now += time.Second {
			there, back := ms(1+rng.IntN(20)), ms(1+rng.IntN(20))
			if rng.IntN(10) == 0 {
				back += ms(rng.IntN(200))
			}
			c.observe(ours(now), ours(now+there+back), 0, now+there-zero)
			plan := ours(now+there+back) - c.zero
			if plan < before && now > zero {
				t.Fatalf("seed %d at %v: plan time went back from %v to %v", seed, now, before, plan)
			}
			before = plan
			if off := plan - (now + there + back - zero); off.Abs() > 150*time.Millisecond {
				t.Fatalf("seed %d at %v: plan time is off by %v at a rate of %v", seed, now, off, rate)
			}
		}
	}
}

func TestWallClocks(t *testing.T) {
	for _, tt := range []struct{ way, ours, theirs, want int }{
		{20, 5000, 5000, 0}, {20, 5010, 5000, 0}, {20, 5110, 5000, 90}, {20, 4000, 5000, -1000}, {4000, 8000, 5000, 0},
	} {
		var c estimate
		c.compare(at(0), at(tt.way), 0, ms(tt.ours), ms(tt.theirs))
		if c.wall != ms(tt.want) {
			t.Errorf("%+v: %v", tt, c.wall)
		}
	}
}
