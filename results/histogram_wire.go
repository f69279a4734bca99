package results

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// maxWireCount bounds what one encoded histogram may count, so that merging
// cannot overflow: 2^24 of them still fit.
const maxWireCount = 1 << 40

var errHistogramCut = errors.New("histogram ends too early")

// MarshalBinary implements encoding.BinaryMarshaler; in CBOR a histogram is a
// byte string. The form is a row of unsigned varints:
//
//	count negative sumHi sumLo min max {bucket−previous count}…
//
// Buckets rise, so the differences after the first are at least 1. CBOR's own
// integers were tried for the pairs: thirty times slower to read.
func (h *Histogram) MarshalBinary() ([]byte, error) {
	if h == nil {
		h = &Histogram{}
	}
	if h.count > maxWireCount {
		return nil, fmt.Errorf("histogram counts %d values, more than %d", h.count, uint64(maxWireCount))
	}
	b := make([]byte, 0, 64+4*len(h.list))
	for _, v := range [...]uint64{h.count, h.negative, h.sum.Hi, h.sum.Lo, uint64(h.min), uint64(h.max)} {
		b = binary.AppendUvarint(b, v)
	}
	previous := 0
	for i, n := range h.buckets() {
		b = binary.AppendUvarint(b, uint64(i-previous))
		b = binary.AppendUvarint(b, n)
		previous = i
	}
	return b, nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler. It checks all that can
// be checked, because the bytes come from another machine: buckets rise and
// exist, counts add up, min, max and sum agree with the buckets. What it keeps
// is at most eight times as long as b.
func (h *Histogram) UnmarshalBinary(b []byte) error {
	var head [6]uint64
	for i := range head {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return errHistogramCut
		}
		head[i], b = v, b[n:]
	}
	d := Histogram{count: head[0], negative: head[1], sum: Sum128{head[2], head[3]}}
	if d.count > maxWireCount {
		return fmt.Errorf("histogram counts %d values, more than %d", d.count, uint64(maxWireCount))
	}
	if head[4] > head[5] || head[5] > math.MaxInt64 {
		return fmt.Errorf("histogram has min %d and max %d", head[4], head[5])
	}
	d.min, d.max = int64(head[4]), int64(head[5])

	var seen uint64
	for index := 0; len(b) > 0; {
		step, n := binary.Uvarint(b)
		if n <= 0 {
			return errHistogramCut
		}
		count, m := binary.Uvarint(b[n:])
		if m <= 0 {
			return errHistogramCut
		}
		b = b[n+m:]
		if step >= uint64(bucketCount-index) {
			return fmt.Errorf("histogram bucket %d is out of range", uint64(index)+step)
		}
		if step == 0 && len(d.list) > 0 {
			return fmt.Errorf("histogram bucket %d is given twice", index)
		}
		if count == 0 || count > d.count-seen {
			return fmt.Errorf("histogram bucket %d counts %d of %d values", uint64(index)+step, count, d.count)
		}
		seen += count
		index += int(step)
		d.list = append(d.list, bucket{index, count})
	}
	if seen != d.count {
		return fmt.Errorf("histogram counts %d values and its buckets %d", d.count, seen)
	}
	if err := d.consistent(); err != nil {
		return err
	}
	*h = d
	return nil
}

// consistent checks the exact figures against the buckets of h.list.
func (h *Histogram) consistent() error {
	if h.count == 0 {
		if h.negative != 0 || h.sum != (Sum128{}) || h.min != 0 || h.max != 0 {
			return errors.New("histogram is empty and has a sum, a min or a max")
		}
		return nil
	}
	first, last := h.list[0], h.list[len(h.list)-1]
	if bucketOf(h.min) != first.index || bucketOf(h.max) != last.index {
		return fmt.Errorf("histogram has min %d and max %d outside its first and last bucket", h.min, h.max)
	}
	if h.negative > 0 && (h.min != 0 || h.negative > first.count) {
		return fmt.Errorf("histogram has %d negative values and no bucket for them", h.negative)
	}
	lowHi, lowLo := bits.Mul64(h.count, uint64(h.min))
	highHi, highLo := bits.Mul64(h.count, uint64(h.max))
	if less(h.sum, Sum128{lowHi, lowLo}) || less(Sum128{highHi, highLo}, h.sum) {
		return fmt.Errorf("histogram has a sum that %d values from %d to %d can't have", h.count, h.min, h.max)
	}
	return nil
}

func less(a, b Sum128) bool { return a.Hi < b.Hi || a.Hi == b.Hi && a.Lo < b.Lo }
