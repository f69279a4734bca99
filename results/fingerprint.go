package results

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
)

// Sum128 is a sum modulo 2^128 of hashes. Addition does not care about order,
// so the load fingerprint of a run is the same however its shoppers were
// shared out.
type Sum128 struct {
	Hi uint64 `cbor:"1,keyasint,omitempty"`
	Lo uint64 `cbor:"2,keyasint,omitempty"`
}

// Add returns s + t modulo 2^128.
func (s Sum128) Add(t Sum128) Sum128 {
	lo, carry := bits.Add64(s.Lo, t.Lo, 0)
	hi, _ := bits.Add64(s.Hi, t.Hi, carry)
	return Sum128{hi, lo}
}

// String returns 32 hexadecimal digits.
func (s Sum128) String() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], s.Hi)
	binary.BigEndian.PutUint64(b[8:], s.Lo)
	return hex.EncodeToString(b[:])
}

// MarshalText implements encoding.TextMarshaler.
func (s Sum128) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Sum128) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != 16 {
		return fmt.Errorf("fingerprint %q is not 32 hexadecimal digits", text)
	}
	s.Hi, s.Lo = binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	return nil
}
