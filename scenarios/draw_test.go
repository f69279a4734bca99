package scenarios

import (
	"math"
	"testing"
	"time"
)

// chi2Limit is far in the tail of a chi-square with n degrees of freedom:
// mean + 5 standard deviations. The draws are fixed, so this never flickers.
func chi2Limit(n int) float64 { return float64(n) + 5*math.Sqrt(2*float64(n)) }

func chi2(counts []int, total int) float64 {
	want := float64(total) / float64(len(counts))
	var sum float64
	for _, c := range counts {
		sum += (float64(c) - want) * (float64(c) - want) / want
	}
	return sum
}

// neighbours are pairs of draws that differ in one coordinate by one.
var neighbours = map[string]func(d draws, i int) (uint64, uint64){
	"number":  func(d draws, i int) (uint64, uint64) { return at(d, 3, i, 0, 1), at(d, 3, i+1, 0, 1) },
	"slot":    func(d draws, i int) (uint64, uint64) { return at(d, i%4095, i, 0, 1), at(d, i%4095+1, i, 0, 1) },
	"step":    func(d draws, i int) (uint64, uint64) { return at(d, 3, i, 4, 1), at(d, 3, i, 5, 1) },
	"purpose": func(d draws, i int) (uint64, uint64) { return at(d, 3, i, 4, 1), at(d, 3, i, 4, 2) },
	"seed": func(d draws, i int) (uint64, uint64) {
		return at(newDraws(uint64(i)), 3, 9, 0, 1), at(newDraws(uint64(i+1)), 3, 9, 0, 1)
	},
}

func at(d draws, slot, number, step int, p purpose) uint64 {
	return d.bits(ID{Slot(slot), uint32(number)}, step, p)
}

func TestDrawsAreEven(t *testing.T) {
	const n = 200_000
	for name, pair := range neighbours {
		d := newDraws(1)
		ones := make([]int, 64)
		high, low, both := make([]int, 1024), make([]int, 1024), make([]int, 32*32)
		flipped := make([]int, 64)
		for i := range n {
			a, b := pair(d, i)
			high[a>>54]++
			low[a&1023]++
			both[a>>59<<5|b>>59]++ // independent: even over the square
			for j := range 64 {
				ones[j] += int(a >> j & 1)
				flipped[j] += int((a ^ b) >> j & 1)
			}
		}
		for what, counts := range map[string][]int{"high bits": high, "low bits": low, "pairs": both} {
			if x := chi2(counts, n); x > chi2Limit(len(counts)-1) {
				t.Errorf("%s, %s: chi-square %.0f, limit %.0f", name, what, x, chi2Limit(len(counts)-1))
			}
		}
		for j := range 64 {
			for what, k := range map[string]int{"one": ones[j], "different": flipped[j]} {
				if z := (float64(k) - n/2) / math.Sqrt(n/4); math.Abs(z) > 5 {
					t.Errorf("%s: bit %d is %s %d times of %d", name, j, what, k, n)
				}
			}
		}
	}
}

func TestDrawsDoNotRepeat(t *testing.T) {
	d, seen := newDraws(0), map[uint64]bool{}
	for slot := range 40 {
		for number := range 40 {
			for step := range 10 {
				for p := range 10 {
					seen[at(d, slot, number, step, purpose(p))] = true
				}
			}
		}
	}
	if len(seen) != 40*40*10*10 {
		t.Errorf("%d different draws of %d", len(seen), 40*40*10*10)
	}
}

func TestBelowAndUnit(t *testing.T) {
	d, counts := newDraws(5), make([]int, 7)
	for i := range 70_000 {
		id := ID{Number: uint32(i)}
		counts[d.below(7, id, 0, forItem)]++
		if u := d.unit(id, 0, forThink); u <= 0 || u >= 1 {
			t.Fatalf("unit %v", u)
		}
	}
	if x := chi2(counts, 70_000); x > chi2Limit(6) {
		t.Errorf("below 7: %v", counts)
	}
}

func TestThink(t *testing.T) {
	think := Think{7 * time.Second, 15 * time.Second}
	d, n := newDraws(3), 100_000
	var sum float64
	var belowMedian, belowP90 int
	for i := range n {
		q := think.quantile(d.unit(ID{Number: uint32(i)}, 1, forThink))
		sum += q.Seconds()
		if q < think.Median {
			belowMedian++
		}
		if q < think.P90 {
			belowP90++
		}
	}
	near := func(what string, got, want, tolerance float64) {
		if math.Abs(got-want) > tolerance {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	near("below the median", float64(belowMedian)/float64(n), 0.5, 0.01)
	near("below p90", float64(belowP90)/float64(n), 0.9, 0.005)
	near("mean", sum/float64(n), think.mean().Seconds(), 0.1)
	near("mean by hand", think.mean().Seconds(), 7*math.Exp(math.Pow(math.Log(15./7)/1.2815515655446004, 2)/2), 1e-6)
	if q := think.quantile(math.Nextafter(1, 0)); q <= 0 || q > longestThink {
		t.Errorf("the far tail: %v", q)
	}
}
