package scenarios

import (
	"math"
	"math/bits"
	"time"
)

// Draws are counter-based: a draw is a function of (seed, slot, number, step,
// purpose) and of nothing else, so any worker can make any draw, in any order,
// and a new kind of draw never shifts another.
//
// The function chains two finalizers of SplitMix64 (Stafford's variant 13):
// the first over the shopper, the second over step and purpose. Rejected: a
// stream per shopper (math/rand), whose draws depend on how many came before.

// A purpose says what a draw is for. The numbers are part of every plan's
// meaning: add at the end, never change one.
type purpose uint64

const (
	forArrival  purpose = 1
	forOffset   purpose = 2
	forPersona  purpose = 3
	forJourney  purpose = 4
	forThink    purpose = 5
	forBackoff  purpose = 6
	forLanguage purpose = 7
	forItem     purpose = 8
	forQuantity purpose = 9
	forPhrase   purpose = 10

	forDrop      purpose = 11
	forReinstall purpose = 12
	forTurns     purpose = 13
	forBurst     purpose = 14
	forWords     purpose = 15
	forLength    purpose = 16
	forPadding   purpose = 17
	forDriver    purpose = 18

	forAddress purpose = 20
)

// golden is 2^64 divided by the golden ratio: SplitMix64's increment and the
// step of the evenly spaced arrivals.
const golden = 0x9e3779b97f4a7c15

// draws makes the draws of one seed.
type draws struct{ state uint64 }

func newDraws(seed uint64) draws { return draws{mix(seed + golden)} }

// bits returns 64 random bits. Step is below 2^32; what a draw's step counts
// is up to its purpose.
func (d draws) bits(id ID, step int, p purpose) uint64 {
	h := mix(d.state + golden*(uint64(id.Slot)<<32|uint64(id.Number)))
	return mix(h + golden*(uint64(step)<<8|uint64(p)))
}

// unit returns a number in (0,1), both ends excluded.
func (d draws) unit(id ID, step int, p purpose) float64 {
	return (float64(d.bits(id, step, p)>>11) + 0.5) / (1 << 53)
}

// below returns a number in [0,n); n is at least 1.
func (d draws) below(n int, id ID, step int, p purpose) int {
	hi, _ := bits.Mul64(d.bits(id, step, p), uint64(n))
	return int(hi)
}

func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// z90 is the 0.9 quantile of the standard normal distribution.
const z90 = 1.2815515655446004

// A lognormal is given by its two quantiles; a median of 0 is nothing but 0.
type lognormal struct{ median, p90 float64 }

// sigma returns the shape: ln(p90/median) in units of the normal's own 0.9
// quantile.
func (l lognormal) sigma() float64 {
	if l.median <= 0 {
		return 0
	}
	return math.Log(l.p90/l.median) / z90
}

// quantile returns the value at u, in (0,1): exp(ln median + σ·Φ⁻¹(u)).
func (l lognormal) quantile(u float64) float64 {
	z := math.Sqrt2 * math.Erfinv(2*u-1)
	return l.median * math.Exp(l.sigma()*z)
}

func (l lognormal) mean() float64 {
	s := l.sigma()
	return l.median * math.Exp(s*s/2)
}

func (t Think) lognormal() lognormal { return lognormal{float64(t.Median), float64(t.P90)} }

// quantile returns the think time at u, in (0,1), at most longestThink.
func (t Think) quantile(u float64) time.Duration {
	return time.Duration(min(t.lognormal().quantile(u), float64(longestThink)))
}

// mean returns the expected think time.
func (t Think) mean() time.Duration {
	return time.Duration(min(t.lognormal().mean(), float64(longestThink)))
}

// quantile returns the number at u, in (0,1), from 1 to most.
func (s Spread) quantile(u float64, most int) int {
	if s.P90 == s.Median {
		return min(int(s.Median), most)
	}
	v := lognormal{float64(s.Median), float64(s.P90)}.quantile(u)
	return int(max(1, min(math.Round(v), float64(most))))
}

// longestThink bounds the tail of a think time, before the pace.
const longestThink = time.Hour
