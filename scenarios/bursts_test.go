package scenarios

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

var bursting = strings.Replace(small, "shoppers:", "arrivals: {process: gamma, cv: 1, every: 500ms}\n  shoppers:", 1)

// TestBursts: the counts of the pieces vary as gamma-distributed rates and
// Poisson arrivals make them together; every stage keeps its share.
func TestBursts(t *testing.T) {
	const pieces, shoppers = 2000, 400_000
	for _, cv := range []float64{0.25, 0.5, 1, 2} {
		p := plan(t, fmt.Sprintf(`
name: bursts
crowd:
  shoppers: %d
  arrivals: {process: gamma, cv: %v, every: 1s}
  stages: [{name: a, for: %ds, rate: 1}, {name: b, for: 10s, rate: [1, 9]}]
target: {chat: {protocol: openai, model: m}, checkout: {protocol: ucp}}
`, shoppers, cv, pieces), results.Factors{})
		counts := make([]float64, pieces)
		var n float64
		for _, a := range everybody(p) {
			if piece := int(a.At / time.Second); piece < pieces {
				counts[piece]++
				n++
			}
		}
		mean, sum := n/pieces, 0.
		for _, c := range counts {
			sum += (c - mean) * (c - mean)
		}
		got, want := math.Sqrt(sum/pieces)/mean, math.Sqrt(cv*cv+1/mean)
		if math.Abs(got/want-1) > 0.08 {
			t.Errorf("cv %v: the counts have %.3f, want %.3f", cv, got, want)
		}
		if d := sum / pieces / mean; d < 0.8*(1+mean*cv*cv) { // a Poisson process has 1
			t.Errorf("cv %v: index of dispersion %.1f, want about %.1f", cv, d, 1+mean*cv*cv)
		}
		share := float64(pieces) / (pieces + 50) * shoppers
		if math.Abs(n-share) > 5*math.Sqrt(shoppers) {
			t.Errorf("cv %v: stage a has %v of %v", cv, n, share)
		}
		if peak, _ := p.peak(); peak < slices.Max(counts)*0.8 || cv >= 0.5 && peak < 2*mean {
			t.Errorf("cv %v: the highest rate is %.0f/s, a second has %v", cv, peak, slices.Max(counts))
		}
	}
}

// TestGamma: mean and variance of the factors.
func TestGamma(t *testing.T) {
	d := newDraws(1)
	for _, cv := range []float64{0.1, 0.5, 1, 3} {
		const n = 200_000
		var sum, squares float64
		for i := range n {
			g := d.gamma(i, 1/(cv*cv))
			if g < 0 {
				t.Fatalf("factor %v", g)
			}
			sum += g
			squares += (g - 1) * (g - 1)
		}
		if mean, got := sum/n, math.Sqrt(squares/n); math.Abs(mean-1) > 0.03 || math.Abs(got/cv-1) > 0.03 {
			t.Errorf("cv %v: mean %.3f, cv %.3f", cv, mean, got)
		}
	}
}
