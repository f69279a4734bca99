package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/fxamacker/cbor/v2"
)

// MaxFrame is the longest frame in bytes, kind included. A length beyond it is
// refused before anything is allocated.
const MaxFrame = 64 << 20

const (
	kindSetup byte = iota + 1
	kindLease
	kindSnapshot
	kindFault
	kindHurry
)

var strict = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		MaxArrayElements:  1 << 16,
		MaxMapPairs:       1 << 12,
		MaxNestedLevels:   8,
	}.DecMode()
	if err != nil {
		panic("cbor options: " + err.Error()) // the options are constants
	}
	return mode
}()

// appendFrame appends the wire form of frame to b.
func appendFrame(b []byte, frame any) ([]byte, error) {
	var kind byte
	switch frame.(type) {
	case Setup:
		kind = kindSetup
	case Lease:
		kind = kindLease
	case Snapshot:
		kind = kindSnapshot
	case Fault:
		kind = kindFault
	case Hurry:
		kind = kindHurry
	default:
		return nil, fmt.Errorf("encode frame: %T is no frame", frame)
	}
	body, err := cbor.Marshal(frame)
	if err != nil {
		return nil, fmt.Errorf("encode frame: %w", err)
	}
	size := 1 + len(body)
	if size > MaxFrame {
		return nil, fmt.Errorf("encode frame: %T of %d bytes, at most %d", frame, size, MaxFrame)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	b = append(b, kind)
	return append(b, body...), nil
}

// readFrame reads one frame. It returns io.EOF itself only between frames; a
// frame that is cut short is an error that wraps io.ErrUnexpectedEOF.
func readFrame(r io.Reader) (any, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:4]); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		return nil, fmt.Errorf("read frame: its length: %w", err)
	}
	size := binary.BigEndian.Uint32(head[:4])
	if size < 1 || size > MaxFrame {
		return nil, fmt.Errorf("read frame: a length of %d bytes, want 1 to %d", size, MaxFrame)
	}
	if _, err := io.ReadFull(r, head[4:]); err != nil {
		return nil, fmt.Errorf("read frame: its kind: %w", unexpected(err))
	}
	body, err := io.ReadAll(io.LimitReader(r, int64(size-1))) // grows as bytes arrive: a lying length costs nothing
	if err != nil {
		return nil, fmt.Errorf("read frame: %w", err)
	}
	if len(body) < int(size-1) {
		return nil, fmt.Errorf("read frame: %d of %d bytes: %w", len(body), size-1, io.ErrUnexpectedEOF)
	}
	return decodeFrame(head[4], body)
}

func decodeFrame(kind byte, body []byte) (any, error) {
	switch kind {
	case kindSetup:
		return decodeAs[Setup](body)
	case kindLease:
		return decodeAs[Lease](body)
	case kindSnapshot:
		return decodeAs[Snapshot](body)
	case kindFault:
		return decodeAs[Fault](body)
	case kindHurry:
		return decodeAs[Hurry](body)
	}
	return nil, fmt.Errorf("read frame: unknown kind %d", kind)
}

func decodeAs[T any](body []byte) (any, error) {
	var frame T
	if err := strict.Unmarshal(body, &frame); err != nil {
		return nil, fmt.Errorf("read frame: decode %T: %w", frame, err)
	}
	return frame, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
