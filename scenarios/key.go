package scenarios

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
)

// A UUID is an idempotency key, a user's id or an order reference. It is a
// UUIDv8 (RFC 9562) that packs slot, number, step and attempt with a MAC of the
// campaign's seed, so that an audit finds owner and intent without the plan.
//
// Of its 122 free bits, from the left: slot 12, number 32, step 12, life 2,
// attempt 4, MAC 60. The MAC is SipHash-2-4 keyed with the seed: it tells this
// campaign's keys from all others, and is no secret to whoever has the campaign.
type UUID [16]byte

// An Intent is what a key is for: one thing that one shopper wants done.
// Attempt counts the times a lease moved and the shopper was launched again,
// from 0; a shopper that repeats a request keeps its key. Life counts the times
// it started over by itself: what it wants then is wanted anew.
type Intent struct {
	ID      ID
	Step    int // see below
	Life    int // 0 to 3
	Attempt int // 0 to 15
}

// The steps of intents. Below MoreClaims a step is the place in the journey.
const (
	MoreClaims = 64  // to 83: claims beyond the first, by those who claim often
	ReadBack   = 96  // reading a checkout
	Delegated  = 97  // having payment delegated, which has no place in the journey: think times stay the same
	LoggedIn   = 512 // to 575: logins and renewals, in their order
	UserStep   = 255 // a shopper's own id, which belongs to no request; its other accounts count down to 192

	Called     = 256  // to 511: what an assistant's tool calls ask for; the same asked twice in a row is one intent
	Reworded   = 1024 // to 2047: turns said again in other words; 64 places with 16 repetitions each
	Delegating = 2048 // to 2303: having payment delegated, when an assistant asked to complete
)

// Key returns the key of the intent i under seed. Step, life and attempt beyond
// their range lose their upper bits.
func Key(seed uint64, i Intent) UUID {
	word := uint64(i.ID.Slot)&0xfff<<50 | uint64(i.ID.Number)<<18 | uint64(i.Step)&0xfff<<6 | uint64(i.Life)&3<<4 | uint64(i.Attempt)&15
	mac := siphash(seed, macKey, word)
	var u UUID
	// 48 bits, version 8 in 4, 12 bits | variant 2 in 2 bits, 62 bits
	binary.BigEndian.PutUint64(u[:8], word>>14<<16|8<<12|word>>2&0xfff)
	binary.BigEndian.PutUint64(u[8:], 2<<62|word&3<<60|mac&(1<<60-1))
	return u
}

// ParseKey returns the intent that u carries, and whether u is a key of seed.
func ParseKey(seed uint64, u UUID) (Intent, bool) {
	high, low := binary.BigEndian.Uint64(u[:8]), binary.BigEndian.Uint64(u[8:])
	word := high>>16<<14 | high&0xfff<<2 | low>>60&3
	i := Intent{
		ID:      ID{Slot: Slot(word >> 50), Number: uint32(word >> 18)},
		Step:    int(word >> 6 & 0xfff),
		Life:    int(word >> 4 & 3),
		Attempt: int(word & 15),
	}
	if Key(seed, i) != u {
		return Intent{}, false
	}
	return i, true
}

// ParseUUID reads the usual 36 characters, in either case.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return UUID{}, fmt.Errorf("parse uuid: %q is not of the form 8-4-4-4-12", clip(s, 40))
	}
	digits := s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	if _, err := hex.Decode(u[:], []byte(digits)); err != nil {
		return UUID{}, fmt.Errorf("parse uuid %q: %w", s, err)
	}
	return u, nil
}

// String returns the usual 36 characters.
func (u UUID) String() string {
	var b [36]byte
	return string(u.Append(b[:0]))
}

// Append appends what String returns.
func (u UUID) Append(b []byte) []byte {
	b = hex.AppendEncode(b, u[:4])
	b = hex.AppendEncode(append(b, '-'), u[4:6])
	b = hex.AppendEncode(append(b, '-'), u[6:8])
	b = hex.AppendEncode(append(b, '-'), u[8:10])
	return hex.AppendEncode(append(b, '-'), u[10:])
}

// macKey is the second half of the MAC's key: "flashcro" in ASCII.
const macKey = 0x666c61736863726f

// siphash is SipHash-2-4 of one little-endian word.
func siphash(k0, k1, word uint64) uint64 {
	v0, v1 := k0^0x736f6d6570736575, k1^0x646f72616e646f6d
	v2, v3 := k0^0x6c7967656e657261, k1^0x7465646279746573
	round := func() {
		v0 += v1
		v2 += v3
		v1 = bits.RotateLeft64(v1, 13) ^ v0
		v3 = bits.RotateLeft64(v3, 16) ^ v2
		v0 = bits.RotateLeft64(v0, 32)
		v2 += v1
		v0 += v3
		v1 = bits.RotateLeft64(v1, 17) ^ v2
		v3 = bits.RotateLeft64(v3, 21) ^ v0
		v2 = bits.RotateLeft64(v2, 32)
	}
	for _, m := range [2]uint64{word, 8 << 56} { // the last block holds the length
		v3 ^= m
		round()
		round()
		v0 ^= m
	}
	v2 ^= 0xff
	for range 4 {
		round()
	}
	return v0 ^ v1 ^ v2 ^ v3
}
