package results

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// MaxSnapshot is the longest wire form, in bytes, that DecodeSnapshot takes: a
// second of a busy worker is some hundred kilobytes.
const MaxSnapshot = 16 << 20

// Both modes are immutable once made.
var (
	encoding = must(cbor.CoreDetEncOptions().EncMode())
	decoding = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		MaxNestedLevels:   6, // snapshot, list, series, tags, and one to spare
		MaxArrayElements:  1 << 17,
		MaxMapPairs:       32,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Encode returns the wire form of s, in deterministic CBOR: the same bytes for
// the same snapshot. It panics on what no Recorder makes: a histogram with more
// than 2^40 values.
func Encode(s Snapshot) []byte { return must(encoding.Marshal(s)) }

// DecodeSnapshot reads the wire form of a snapshot. The sender is not trusted:
// whatever is not a snapshot that a Recorder could have cut is refused with an
// error that names the part, and what is kept is bounded by the length of b.
func DecodeSnapshot(b []byte) (Snapshot, error) {
	if len(b) > MaxSnapshot {
		return Snapshot{}, fmt.Errorf("decode snapshot: %d bytes are more than %d", len(b), MaxSnapshot)
	}
	var s Snapshot
	if err := decoding.Unmarshal(b, &s); err != nil {
		return Snapshot{}, fmt.Errorf("decode snapshot: %w", err)
	}
	if err := s.check(); err != nil {
		return Snapshot{}, fmt.Errorf("decode snapshot: %w", err)
	}
	return s, nil
}
