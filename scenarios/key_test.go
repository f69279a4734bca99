package scenarios

import (
	"strings"
	"testing"
)

// TestSiphash holds the MAC against the reference vector for the message
// 00 01 … 07 under the key 00 01 … 0f.
func TestSiphash(t *testing.T) {
	if got := siphash(0x0706050403020100, 0x0f0e0d0c0b0a0908, 0x0706050403020100); got != 0x93f5f5799a932462 {
		t.Errorf("siphash = %#x", got)
	}
}

func TestKeys(t *testing.T) {
	intents := []Intent{
		{},
		{ID{4095, 1<<32 - 1}, 4095, 3, 15},
		{ID{17, 3}, 6, 0, 0},
		{ID{2048, 1 << 31}, UserStep, 0, 1},
	}
	d := newDraws(9)
	for i := range 2000 {
		x := at(d, 0, i, 0, 1)
		intents = append(intents, Intent{ID{Slot(x & 4095), uint32(x >> 12)}, int(x >> 44 & 4095), int(x >> 56 & 3), int(x >> 58 & 15)})
	}
	seen := map[UUID]bool{}
	for i, want := range intents {
		u := Key(42, want)
		text := u.String()
		if text[14] != '8' || !strings.ContainsRune("89ab", rune(text[19])) {
			t.Fatalf("%s is not a UUIDv8 of RFC 9562", text)
		}
		for _, s := range []string{text, strings.ToUpper(text)} {
			back, err := ParseUUID(s)
			if err != nil || back != u {
				t.Fatalf("ParseUUID(%s) = %s, %v", s, back, err)
			}
		}
		if got, ok := ParseKey(42, u); !ok || got != want {
			t.Fatalf("ParseKey of %+v = %+v, %v", want, got, ok)
		}
		if _, ok := ParseKey(43, u); ok {
			t.Errorf("%s is a key of another seed too", text)
		}
		bit := i % 128
		u[bit/8] ^= 1 << (bit % 8)
		if _, ok := ParseKey(42, u); ok {
			t.Errorf("%s with bit %d flipped is still a key", text, bit)
		}
		seen[u] = true
	}
	if len(seen) != len(intents) {
		t.Errorf("%d keys for %d intents", len(seen), len(intents))
	}
}

func TestParseUUIDRefuses(t *testing.T) {
	for _, s := range []string{
		"", "00000000-000f-8f00-8b1f-7b2d7ecccee", "00000000x000f-8f00-8b1f-7b2d7ecccee2",
		"0000000g-000f-8f00-8b1f-7b2d7ecccee2", "{0000000-000f-8f00-8b1f-7b2d7ecccee}", strings.Repeat("0", 1<<16),
	} {
		if u, err := ParseUUID(s); err == nil {
			t.Errorf("ParseUUID(%.40q) = %s", s, u)
		}
	}
}
