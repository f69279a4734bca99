package results

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// durations draws n values over all magnitudes up to some hours.
func durations(seed uint64, n int) []int64 {
	rnd := rand.New(rand.NewPCG(seed, 1))
	values := make([]int64, n)
	for i := range values {
		values[i] = int64(math.Exp(rnd.Float64() * math.Log(2e13)))
	}
	return values
}

func recorded(values ...int64) *Histogram {
	h := &Histogram{}
	for _, v := range values {
		h.Record(v)
	}
	return h
}

// same compares what two histograms hold, whichever form they are in.
func same(t *testing.T, got, want *Histogram) {
	t.Helper()
	g, err := got.MarshalBinary()
	w, err2 := want.MarshalBinary()
	if err != nil || err2 != nil || !bytes.Equal(g, w) {
		t.Fatalf("got %v\nwant %v (%v, %v)", got, want, err, err2)
	}
}

func TestGeometry(t *testing.T) {
	if last := bucketOf(math.MaxInt64); last != bucketCount-1 {
		t.Fatalf("the last bucket is %d, bucketCount is %d", last, bucketCount)
	}
	bottom := int64(0)
	for i := range bucketCount {
		top := bucketTop(i)
		if bucketOf(bottom) != i || bucketOf(top) != i {
			t.Fatalf("bucket %d holds %d to %d, but these fall into %d and %d", i, bottom, top, bucketOf(bottom), bucketOf(top))
		}
		if wide := top - bottom; wide >= unit && float64(wide) > float64(bottom)/1000 {
			t.Fatalf("bucket %d from %d to %d is wider than 0.1 %%", i, bottom, top)
		}
		bottom = top + 1 // overflows after the last, where nobody looks
	}
}

func TestOracle(t *testing.T) {
	values := durations(7, 20_000)
	h, oracle := recorded(values...), hdrhistogram.New(1, 1<<50, 3)
	for _, v := range values {
		if err := oracle.RecordValue(v / unit); err != nil {
			t.Fatal(err)
		}
	}
	counts := map[time.Duration]uint64{}
	for _, bar := range oracle.Distribution() {
		if bar.Count > 0 {
			counts[time.Duration((bar.To+1)*unit-1)] = uint64(bar.Count)
		}
	}
	for top, n := range h.Buckets() {
		if counts[top] != n {
			t.Errorf("bucket up to %v counts %d, the oracle's %d", top, n, counts[top])
		}
		delete(counts, top)
	}
	if len(counts) > 0 {
		t.Errorf("buckets only in the oracle: %v", counts)
	}
	for _, q := range []float64{0.001, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999} { // q × 20,000 is whole
		want := (oracle.ValueAtPercentile(100*q)+1)*unit - 1
		if got := int64(h.Quantile(q)); got != want {
			t.Errorf("Quantile(%v) = %d, the oracle's is %d", q, got, want)
		}
	}
}

func TestQuantileError(t *testing.T) {
	values := durations(8, 5_000)
	h := recorded(values...)
	slices.Sort(values)
	for i, exact := range values {
		got := int64(h.Quantile(float64(i+1) / float64(len(values))))
		if got < exact || got > exact+max(exact/1000, unit) {
			t.Fatalf("rank %d is %d, its quantile %d", i+1, exact, got)
		}
	}
}

func TestQuantileRanks(t *testing.T) {
	var values []int64
	for i := range 100 {
		values = append(values, int64(i+1)*unit)
	}
	h := recorded(values...)
	for _, c := range []struct {
		q    float64
		rank int64
	}{{0, 1}, {-1, 1}, {math.NaN(), 1}, {0.001, 1}, {0.01, 1}, {0.07, 7}, {0.0701, 8}, {0.29, 29}, {0.5, 50}, {0.57, 57}, {0.99, 99}, {0.991, 100}, {1, 100}, {7, 100}} {
		if got := int64(h.Quantile(c.q)) / unit; got != c.rank {
			t.Errorf("Quantile(%v) is the value of rank %d, want %d", c.q, got, c.rank)
		}
	}
}

func TestExactFigures(t *testing.T) {
	h := recorded(1, 2, 6, math.MaxInt64, math.MaxInt64, -5)
	if h.Count() != 6 || h.Negative() != 1 || h.Min() != 0 || h.Max() != math.MaxInt64 {
		t.Errorf("count %d, negative %d, min %d, max %d", h.Count(), h.Negative(), h.Min(), h.Max())
	}
	if want := time.Duration(3074457345618258603); h.Mean() != want { // ⌊(2 × (2^63 − 1) + 9) / 6⌋
		t.Errorf("mean %d, want %d", h.Mean(), want)
	}
}

func TestEmptyHistogram(t *testing.T) {
	for _, h := range []*Histogram{nil, {}} {
		if h.Count()+h.Negative() != 0 || h.Quantile(0.5)+h.Mean()+h.Min()+h.Max() != 0 || h.Sum() != (Sum128{}) {
			t.Errorf("an empty histogram is not all zeros: %v", h)
		}
		for range h.Buckets() {
			t.Error("an empty histogram has a bucket")
		}
		same(t, h.Clone(), &Histogram{})
	}
}

// However values are shared out and merged, in whichever form, the result is
// what one histogram records.
func TestMergeIsExact(t *testing.T) {
	values := append(durations(9, 3_000), -1, 0, math.MaxInt64)
	want := recorded(values...)
	rnd := rand.New(rand.NewPCG(3, 3))
	for round := range 20 {
		parts := make([]*Histogram, 1+rnd.IntN(9))
		for i := range parts {
			parts[i] = &Histogram{}
		}
		for _, v := range values {
			parts[rnd.IntN(len(parts))].Record(v)
		}
		sum := &Histogram{}
		for _, i := range rnd.Perm(len(parts)) {
			if round%2 == 0 {
				parts[i] = parts[i].Clone()
			}
			sum.Merge(parts[i])
			sum.Merge(nil)
		}
		same(t, sum, want)
	}
	clone := want.Clone()
	clone.Record(5)
	if want.Count() == clone.Count() {
		t.Error("a clone shares counts with its original")
	}
	clone.reset()
	same(t, clone, &Histogram{})
	clone.Record(1)
	same(t, clone, recorded(1))
}

func TestHistogramWire(t *testing.T) {
	for _, h := range []*Histogram{{}, recorded(0), recorded(-3, 1), recorded(math.MaxInt64), recorded(durations(5, 999)...)} {
		b, err := h.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var got Histogram
		if err := got.UnmarshalBinary(b); err != nil {
			t.Fatal(err)
		}
		same(t, &got, h)
	}
}

func TestHostileHistogram(t *testing.T) {
	row := func(v ...uint64) (b []byte) {
		for _, v := range v {
			b = binary.AppendUvarint(b, v)
		}
		return b
	}
	const ms = 1_000_000
	good := row(3, 0, 0, 3*ms, ms, ms, 1000, 3)
	if err := new(Histogram).UnmarshalBinary(good); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		wire []byte
		want string
	}{
		{"nothing", nil, "too early"},
		{"head cut", row(3, 0, 0), "too early"},
		{"pair cut", row(3, 0, 0, 3*ms, ms, ms, 1000), "too early"},
		{"varint too long", append(row(3, 0, 0, 3*ms, ms, ms), bytes.Repeat([]byte{0xff}, 11)...), "too early"},
		{"huge count", row(1<<41, 0, 0, 0, 0, 0), "more than"},
		{"huge max", row(1, 0, 0, 1<<63, 1<<63, 1<<63, 1000, 1), "min"},
		{"min above max", row(3, 0, 0, 3*ms, 2*ms, ms, 1000, 3), "min"},
		{"bucket beyond the last", row(3, 0, 0, 3*ms, ms, ms, bucketCount, 3), "out of range"},
		{"bucket sum overflows", row(3, 0, 0, 3*ms, ms, ms, 1000, 1, math.MaxUint64-500, 2), "out of range"},
		{"bucket twice", row(3, 0, 0, 3*ms, ms, ms, 1000, 1, 0, 2), "twice"},
		{"empty bucket", row(3, 0, 0, 3*ms, ms, ms, 999, 0, 1, 3), "counts 0"},
		{"counts above the total", row(3, 0, 0, 3*ms, ms, ms, 1000, 4), "counts 4 of 3"},
		{"counts overflow", row(3, 0, 0, 3*ms, ms, ms, 1000, 2, 1, math.MaxUint64), "of 3"},
		{"counts below the total", row(3, 0, 0, 3*ms, ms, ms, 1000, 2), "its buckets 2"},
		{"min elsewhere", row(3, 0, 0, 3*ms, 1, ms, 1000, 3), "outside"},
		{"max elsewhere", row(3, 0, 0, 3*ms, ms, 2*ms, 1000, 3), "outside"},
		{"sum too low", row(3, 0, 0, 3*ms-1, ms, ms, 1000, 3), "sum"},
		{"sum too high", row(3, 0, 1, 3*ms, ms, ms, 1000, 3), "sum"},
		{"negatives above zero", row(3, 1, 0, 3*ms, ms, ms, 1000, 3), "negative"},
		{"negatives beyond their bucket", row(1, 2, 0, 0, 0, 0, 0, 1), "negative"},
		{"empty with a sum", row(0, 0, 0, 1, 0, 0), "empty"},
	} {
		h := recorded(42)
		if err := h.UnmarshalBinary(c.wire); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
		same(t, h, recorded(42))
	}
	if _, err := (&Histogram{count: maxWireCount + 1}).MarshalBinary(); err == nil {
		t.Error("a histogram that no one would read was encoded")
	}
}

// What decodes also encodes, to the same histogram, and can be used.
func FuzzHistogram(f *testing.F) {
	for _, h := range []*Histogram{{}, recorded(-1, 0), recorded(durations(1, 50)...), recorded(math.MaxInt64)} {
		b, _ := h.MarshalBinary()
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var h Histogram
		if h.UnmarshalBinary(b) != nil {
			return
		}
		sum := recorded(7)
		sum.Merge(&h)
		if sum.Count() != h.Count()+1 || h.Quantile(0.5) > h.Max() || h.Mean() > h.Max() || h.Mean() < h.Min() {
			t.Fatalf("inconsistent: %v", &h)
		}
		again, err := h.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var g Histogram
		if err := g.UnmarshalBinary(again); err != nil {
			t.Fatal(err)
		}
		same(t, &g, &h)
	})
}

func BenchmarkRecord(b *testing.B) {
	values, h := durations(2, 1<<12), &Histogram{}
	for i := 0; b.Loop(); i++ {
		h.Record(values[i&(1<<12-1)])
	}
}
