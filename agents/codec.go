package agents

import (
	"errors"
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// Limits of what a node reads from another.
const (
	MaxExchange = results.MaxSnapshot + 64<<10 // bytes of an encoded Exchange
	MaxLease    = 1 << 20                      // bytes of an encoded Lease: all slots take 130 KB
	MaxBrief    = 64 << 20                     // bytes of an encoded Brief

	maxName  = 64
	maxWords = 8 << 10 // of a fate, of why a run stopped
	maxLease = time.Hour

	maxCapacity = 1 << 24 // thousandths of a processor
)

// strict reads only what this version writes: no unknown or repeated keys, no
// indefinite lengths, no tags.
var strict = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		MaxArrayElements:  1 << 16,
		MaxMapPairs:       64,
		MaxNestedLevels:   8,
	}.DecMode()
	if err != nil {
		panic("cbor options: " + err.Error()) // the options are constants
	}
	return mode
}()

// Encode returns the wire form of e.
func (e Exchange) Encode() ([]byte, error) { return encode("exchange", e, MaxExchange) }

// DecodeExchange reads what Encode wrote. It refuses anything longer than
// MaxExchange, with unknown keys, or without a sequence.
func DecodeExchange(b []byte) (Exchange, error) {
	var e Exchange
	if err := decode("exchange", b, &e, MaxExchange); err != nil {
		return Exchange{}, err
	}
	switch {
	case e.Seq == 0:
		return Exchange{}, errors.New("decode exchange: sequence 0, the first is 1")
	case len(e.Name) > maxName:
		return Exchange{}, fmt.Errorf("decode exchange: a name of %d bytes, at most %d", len(e.Name), maxName)
	case len(e.Fate) > maxWords:
		return Exchange{}, fmt.Errorf("decode exchange: a fate of %d bytes, at most %d", len(e.Fate), maxWords)
	case e.Capacity > maxCapacity:
		return Exchange{}, fmt.Errorf("decode exchange: a capacity of %d, at most %d", e.Capacity, maxCapacity)
	case len(e.Upsets) > results.MaxUpsets:
		return Exchange{}, fmt.Errorf("decode exchange: %d upsets, at most %d", len(e.Upsets), results.MaxUpsets)
	case len(e.Snapshot) == 0 && e.Fate == "":
		return Exchange{}, errors.New("decode exchange: neither snapshot nor fate")
	}
	for _, u := range e.Upsets {
		if err := u.Check(); err != nil {
			return Exchange{}, fmt.Errorf("decode exchange: %w", err)
		}
	}
	return e, nil
}

// Encode returns the wire form of l.
func (l Lease) Encode() ([]byte, error) { return encode("lease", l, MaxLease) }

// DecodeLease reads what Encode wrote. It refuses anything longer than
// MaxLease, with unknown keys, or with a span that no plan has.
func DecodeLease(b []byte) (Lease, error) {
	var l Lease
	if err := decode("lease", b, &l, MaxLease); err != nil {
		return Lease{}, err
	}
	switch {
	case l.Length < 0 || l.Length > maxLease:
		return Lease{}, fmt.Errorf("decode lease: a length of %v, want 0 to %v", l.Length, maxLease)
	case l.Held < 0:
		return Lease{}, fmt.Errorf("decode lease: held for %v", l.Held)
	case l.Stop > scenarios.Done:
		return Lease{}, fmt.Errorf("decode lease: unknown stop %d", l.Stop)
	case len(l.Why) > maxWords:
		return Lease{}, fmt.Errorf("decode lease: a reason of %d bytes, at most %d", len(l.Why), maxWords)
	}
	for _, s := range l.Spans {
		if s.Slot >= scenarios.Slots || s.From < 0 || s.From > s.To {
			return Lease{}, fmt.Errorf("decode lease: impossible span: slot %d from %v to %v", s.Slot, s.From, s.To)
		}
	}
	return l, nil
}

// Encode returns the wire form of b.
func (b Brief) Encode() ([]byte, error) { return encode("brief", b, MaxBrief) }

// DecodeBrief reads what Encode wrote.
func DecodeBrief(data []byte) (Brief, error) {
	var b Brief
	if err := decode("brief", data, &b, MaxBrief); err != nil {
		return Brief{}, err
	}
	return b, nil
}

func encode(what string, v any, limit int) ([]byte, error) {
	b, err := cbor.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", what, err)
	}
	if len(b) > limit {
		return nil, fmt.Errorf("encode %s: %d bytes, at most %d", what, len(b), limit)
	}
	return b, nil
}

func decode(what string, b []byte, v any, limit int) error {
	if len(b) > limit {
		return fmt.Errorf("decode %s: %d bytes, at most %d", what, len(b), limit)
	}
	if err := strict.Unmarshal(b, v); err != nil {
		return fmt.Errorf("decode %s: %w", what, err)
	}
	return nil
}
