package results

import (
	"fmt"
	"iter"
	"math"
	"math/bits"
	"time"
)

// The geometry is HdrHistogram's with three significant digits and a unit of
// one microsecond: the first 2,048 buckets are a microsecond wide, and each
// power of two beyond has 1,024 more, twice as wide as those before. There is
// no upper limit, so no value is ever refused or clamped.
const (
	unit       = int64(time.Microsecond)
	halfDigits = 10 // log2 of the buckets of one power of two
	pageDigits = 8
	pageSize   = 1 << pageDigits

	bucketCount = 45_081 // bucketOf(math.MaxInt64) + 1
)

// bucketOf returns the bucket of a value in nanoseconds, at least 0.
func bucketOf(ns int64) int {
	v := uint64(ns / unit)
	shift := max(bits.Len64(v)-halfDigits-1, 0)
	return shift<<halfDigits + int(v>>shift)
}

// bucketTop returns the greatest value, in nanoseconds, that falls into bucket i.
func bucketTop(i int) int64 {
	shift := max(i>>halfDigits-1, 0)
	sub := uint64(i - shift<<halfDigits)
	hi, lo := bits.Mul64((sub+1)<<shift, uint64(unit))
	if hi > 0 || lo > math.MaxInt64 {
		return math.MaxInt64 // the last bucket is cut off by what an int64 holds
	}
	return int64(lo) - 1
}

// Histogram counts durations, in nanoseconds. All histograms share one
// geometry, so that merging is exact: a merged histogram equals one that
// recorded everything itself, whatever the order.
//
// Count, sum (hence Mean), Min and Max are exact. Quantiles are off by at most
// 0.1 %, or a microsecond where that is more, and only upwards. A negative
// value, which no clock should give, counts as 0 and is told apart by Negative.
//
// The zero value is empty and ready. A nil *Histogram reads as empty. It is
// not safe for concurrent use.
type Histogram struct {
	count    uint64
	negative uint64
	sum      Sum128
	min, max int64 // meaningless when count is 0

	// Counts live in one of two forms: pages while recording, where a count
	// costs an index, and a sorted list when decoded or cloned, which costs
	// memory only for what was hit. Writing to a list turns it into pages.
	pages []*[pageSize]uint64
	list  []bucket
}

type bucket struct {
	index int
	count uint64
}

// Record counts one value, in nanoseconds.
func (h *Histogram) Record(ns int64) {
	if ns < 0 {
		h.negative++
		ns = 0
	}
	if h.count == 0 {
		h.min, h.max = ns, ns
	}
	h.min, h.max = min(h.min, ns), max(h.max, ns)
	h.count++
	h.sum = h.sum.Add(Sum128{Lo: uint64(ns)})
	*h.at(bucketOf(ns))++
}

// Merge adds what o counted to h. A nil or empty o changes nothing.
func (h *Histogram) Merge(o *Histogram) {
	if o == nil || o.count == 0 {
		return
	}
	if h.count == 0 {
		h.min, h.max = o.min, o.max
	}
	h.min, h.max = min(h.min, o.min), max(h.max, o.max)
	h.count += o.count
	h.negative += o.negative
	h.sum = h.sum.Add(o.sum)
	for i, n := range o.buckets() {
		*h.at(i) += n
	}
}

// at returns the counter of bucket i.
func (h *Histogram) at(i int) *uint64 {
	if h.list != nil {
		h.unpack()
	}
	p := i >> pageDigits
	if p >= len(h.pages) {
		h.pages = append(h.pages, make([]*[pageSize]uint64, p+1-len(h.pages))...)
	}
	if h.pages[p] == nil {
		h.pages[p] = new([pageSize]uint64)
	}
	return &h.pages[p][i&(pageSize-1)]
}

func (h *Histogram) unpack() {
	list := h.list
	h.list = nil
	for _, b := range list {
		*h.at(b.index) = b.count
	}
}

// buckets yields the buckets that counted something, in rising order.
func (h *Histogram) buckets() iter.Seq2[int, uint64] {
	return func(yield func(int, uint64) bool) {
		for _, b := range h.list {
			if !yield(b.index, b.count) {
				return
			}
		}
		for p, page := range h.pages {
			if page == nil {
				continue
			}
			for i, n := range page {
				if n > 0 && !yield(p<<pageDigits+i, n) {
					return
				}
			}
		}
	}
}

// Clone returns a compact copy: reading it costs what was hit, not the range.
func (h *Histogram) Clone() *Histogram {
	c := &Histogram{}
	if h == nil {
		return c
	}
	*c = *h
	c.pages, c.list = nil, nil
	for i, n := range h.buckets() {
		c.list = append(c.list, bucket{i, n})
	}
	return c
}

// reset forgets every count and keeps the pages.
func (h *Histogram) reset() {
	for _, page := range h.pages {
		if page != nil {
			clear(page[:])
		}
	}
	*h = Histogram{pages: h.pages}
}

// Count is how many values were recorded.
func (h *Histogram) Count() uint64 {
	if h == nil {
		return 0
	}
	return h.count
}

// Negative is how many of them were below zero and counted as 0. Anything but
// 0 is a fault of whoever measured.
func (h *Histogram) Negative() uint64 {
	if h == nil {
		return 0
	}
	return h.negative
}

// Quantile returns the value at rank ⌈q × Count⌉ of all values in rising order
// (the nearest rank, at least the first), which is reported as the greatest
// value of its bucket, though never beyond Max: up to 0.1 % too high, never too
// low. Quantile(0) is Min and Quantile(1) is Max, both exact. q outside [0,1]
// is taken as the nearer end; an empty histogram has only zeros.
func (h *Histogram) Quantile(q float64) time.Duration {
	switch {
	case h == nil || h.count == 0:
		return 0
	case !(q > 0): // NaN as well
		return h.Min()
	case q >= 1:
		return h.Max()
	}
	// The product of 0.07 and 100 is a hair above 7 in floating point, and
	// must not become rank 8.
	rank := uint64(math.Ceil(q * float64(h.count) * (1 - 1e-14)))
	var seen uint64
	for i, n := range h.buckets() {
		if seen += n; seen >= rank {
			return time.Duration(min(bucketTop(i), h.max))
		}
	}
	return h.Max()
}

// Mean is the exact mean, rounded down to a nanosecond; 0 when empty.
func (h *Histogram) Mean() time.Duration {
	if h == nil || h.count == 0 {
		return 0
	}
	mean, _ := bits.Div64(h.sum.Hi, h.sum.Lo, h.count) // each value is below 2^63, so Hi is below count
	return time.Duration(mean)
}

// Min is the least value, exact; 0 when empty.
func (h *Histogram) Min() time.Duration {
	if h == nil || h.count == 0 {
		return 0
	}
	return time.Duration(h.min)
}

// Max is the greatest value, exact; 0 when empty.
func (h *Histogram) Max() time.Duration {
	if h == nil || h.count == 0 {
		return 0
	}
	return time.Duration(h.max)
}

// Sum is the exact sum of all values, in nanoseconds.
func (h *Histogram) Sum() Sum128 {
	if h == nil {
		return Sum128{}
	}
	return h.sum
}

// Buckets yields each bucket that counted something, in rising order: the
// greatest value that falls into it, and how many did.
func (h *Histogram) Buckets() iter.Seq2[time.Duration, uint64] {
	return func(yield func(time.Duration, uint64) bool) {
		if h == nil {
			return
		}
		for i, n := range h.buckets() {
			if !yield(time.Duration(bucketTop(i)), n) {
				return
			}
		}
	}
}

// String sums the histogram up for a test's message.
func (h *Histogram) String() string {
	return fmt.Sprintf("%d values, min %v, p50 %v, p99 %v, max %v",
		h.Count(), h.Min(), h.Quantile(0.5), h.Quantile(0.99), h.Max())
}
