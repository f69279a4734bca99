package scenarios

import (
	"math"
	"slices"
	"time"
)

// A curve is the crowd's cumulative arrivals, normalised to 2^64: piecewise
// linear rates, so piecewise quadratic, inverted in closed form. Shares are
// taken from the stages as written, so that compressing the day moves no
// shopper from one stage to another. Bursts cut a stage into pieces whose rates
// jump, and leave the stage its share.
type curve struct {
	marks    []Mark    // stage i lasts from marks[i] to marks[i+1]
	area     float64   // of all stages: rate × seconds as written
	segments []segment // the stages, or their pieces, with any arrivals
	cuts     []uint64  // where segments[1:] begin
}

type segment struct {
	stage    int
	low      uint64  // the share of the crowd before it, of 2^64
	width    float64 // its own share, of 2^64
	from, to Mark
	a, b     float64 // rate at its two ends, in the campaign's own terms, bursts included
}

// newCurve builds the curve of stages whose durations are divided by compress.
// The stages have been checked: durations and the area are positive.
func newCurve(stages []Stage, compress float64, b Bursts, d draws) *curve {
	c := &curve{marks: make([]Mark, 1, len(stages)+1)}
	areas := make([]float64, len(stages))
	var length time.Duration
	for i, s := range stages {
		areas[i] = (s.From + s.To) / 2 * s.For.Seconds()
		c.area += areas[i]
		length += s.For
		c.marks = append(c.marks, Mark(math.Round(float64(length)/compress)))
	}
	var before float64 // of the stages before
	piece, start := 0, time.Duration(0)
	for i, s := range stages {
		within := before
		for _, p := range b.cut(s, piece, d) {
			if p.area > 0 {
				low := share(within / c.area)
				if n := len(c.segments); n > 0 {
					c.segments[n-1].width = float64(low - c.segments[n-1].low)
					c.cuts = append(c.cuts, low)
				}
				c.segments = append(c.segments, segment{
					stage: i, low: low, width: float64(math.MaxUint64-low) + 1,
					from: Mark(math.Round(float64(start+p.from) / compress)), to: Mark(math.Round(float64(start+p.to) / compress)),
					a: p.a, b: p.b,
				})
			}
			within += p.area
			piece++
		}
		before += areas[i]
		start += s.For
	}
	return c
}

// share returns f of 2^64, for f in [0,1].
func share(f float64) uint64 {
	if f >= 1 {
		return math.MaxUint64
	}
	return uint64(f * (1 << 64))
}

// segment returns the segment that u falls in.
func (c *curve) segment(u uint64) *segment {
	lo, hi := 0, len(c.cuts)
	for lo < hi {
		if mid := (lo + hi) / 2; c.cuts[mid] <= u {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return &c.segments[lo]
}

// at returns the moment by which the share u of the crowd has arrived; it is
// in the stage that u falls in, always.
//
// With rates a and b at the ends of a segment of unit length, the share v of
// its arrivals has come at t when a·t + (b−a)·t²/2 = v·(a+b)/2. The root is
// written so that nothing cancels, whether the ramp goes up, down or nowhere.
func (s *segment) at(u uint64) Mark {
	v := float64(u-s.low) / s.width
	t := v
	if s.a != s.b && v > 0 {
		t = v * (s.a + s.b) / (s.a + math.Sqrt(s.a*s.a+v*(s.b-s.a)*(s.b+s.a)))
	}
	return min(s.from+Mark(t*float64(s.to-s.from)), s.to-1)
}

// stageAt returns the stage at m, or -1 outside the plan.
func (c *curve) stageAt(m Mark) int {
	if m < 0 || m >= c.marks[len(c.marks)-1] {
		return -1
	}
	i, found := slices.BinarySearch(c.marks, m)
	if !found {
		i--
	}
	return i
}
