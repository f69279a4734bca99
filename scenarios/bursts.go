package scenarios

import (
	"math"
	"time"
)

// Bursts make the rate jump about: in each piece of Every it is multiplied by a
// number of its own, gamma-distributed with mean 1 and CV as its coefficient of
// variation. Each stage is then given its share again, so the day keeps its
// shape and the count is exact. The zero value is no bursts.
//
// The numbers are drawn from the seed and the piece, not from the arrivals:
// a renewal process, whose gaps would be gamma, could neither start in the
// middle nor be thinned to a part of itself.
type Bursts struct {
	CV    float64       `json:"cv"`
	Every time.Duration `json:"every_ns"` // of the day as written; compressed with it
}

// Limits of bursts.
const (
	maxCV     = 10
	minEvery  = 100 * time.Millisecond
	maxPieces = 100_000
)

func (k *checker) bursts(c *Crowd) {
	const path = "crowd.arrivals"
	b := c.Bursts
	if c.Process != Gamma {
		if b != (Bursts{}) {
			k.fault(path, "process: gamma", "cv and every are for the process gamma")
		}
		return
	}
	if !(b.CV > 0 && b.CV <= maxCV) {
		k.fault(path+".cv", "1 makes some seconds empty and others three times as full", "must be above 0 and at most %d", maxCV)
	}
	if b.Every < minEvery || b.Every > maxLength {
		k.fault(path+".every", "", "must be between %v and %v", minEvery, maxLength)
		return
	}
	pieces := 0.
	for _, s := range c.Stages {
		pieces += float64(s.For/b.Every) + 1
	}
	if pieces > maxPieces {
		k.fault(path+".every", "a longer one", "cuts the stages into more than %d pieces", maxPieces)
	}
}

// A piece is a part of a stage with its own rate; from and to count from the
// stage's beginning.
type piece struct {
	from, to   time.Duration
	a, b, area float64
}

// cut cuts a stage into pieces; first is the number of its first piece in the
// day. Together they have the stage's area.
func (b Bursts) cut(s Stage, first int, d draws) []piece {
	if b.CV == 0 {
		return []piece{{0, s.For, s.From, s.To, (s.From + s.To) / 2 * s.For.Seconds()}}
	}
	rate := func(at time.Duration) float64 { return s.From + (s.To-s.From)*float64(at)/float64(s.For) }
	var pieces []piece
	var area float64
	for from := time.Duration(0); from < s.For; from += b.Every {
		to := min(from+b.Every, s.For)
		g := d.gamma(first+len(pieces), 1/(b.CV*b.CV))
		p := piece{from, to, rate(from) * g, rate(to) * g, 0}
		p.area = (p.a + p.b) / 2 * (to - from).Seconds()
		area += p.area
		pieces = append(pieces, p)
	}
	scale := (s.From + s.To) / 2 * s.For.Seconds() / area
	if !(area > 0) || math.IsInf(scale, 0) { // nothing comes, or next to nothing was drawn: as without bursts
		return Bursts{}.cut(s, first, d)
	}
	for i := range pieces {
		pieces[i].a *= scale
		pieces[i].b *= scale
		pieces[i].area *= scale
	}
	return pieces
}

// gamma returns the factor of a piece: gamma-distributed with the shape and
// mean 1, by the method of Marsaglia and Tsang (2000). It is rounded to 2⁻²⁰,
// far above what machines' logarithms differ by, so that all have one curve.
func (d draws) gamma(piece int, shape float64) float64 {
	id, step := ID{Number: uint32(piece)}, 0
	unit := func() float64 { step++; return d.unit(id, step, forBurst) }
	boost := 1.
	alpha := shape
	if shape < 1 {
		boost = math.Pow(unit(), 1/shape)
		alpha++
	}
	a := alpha - 1./3
	c := 1 / math.Sqrt(9*a)
	for {
		z := math.Sqrt2 * math.Erfinv(2*unit()-1)
		v := 1 + c*z
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(unit()) < z*z/2+a-a*v+a*math.Log(v) {
			return math.Round(a*v*boost/shape*(1<<20)) / (1 << 20)
		}
	}
}
