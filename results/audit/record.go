package audit

import (
	"encoding/binary"
	"encoding/hex"
	"iter"
	"math"
	"time"
)

// Records are what a view keeps of entries and rows: a kind, then texts and
// numbers as the kind has them. They live no longer than the audit.

// A kind says what a record is of.
type kind byte

const (
	promisedKind kind = iota + 1 // something that a shopper was promised
	lostKind                     // something that was asked for, with the answer lost
	deniedKind                   // a no
	orderKind                    // a booked order
	couponKind                   // an issued coupon
)

// A token is a text as records have it: a byte 0 and 16 bytes for a UUID in its
// usual spelling, else its length and itself. The same text is the same token.
type token string

// none is the token of the empty text.
const none token = "\x01"

func newToken(text string) token { return token(record(nil).text(text)) }

// String returns the text.
func (t token) String() string {
	if t == "" {
		return ""
	}
	if t[0] == 0 {
		var b [36]byte
		hex.Encode(b[:8], []byte(t[1:5]))
		hex.Encode(b[9:13], []byte(t[5:7]))
		hex.Encode(b[14:18], []byte(t[7:9]))
		hex.Encode(b[19:23], []byte(t[9:11]))
		hex.Encode(b[24:], []byte(t[11:17]))
		b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
		return string(b[:])
	}
	_, n := binary.Uvarint([]byte(t[:min(len(t), binary.MaxVarintLen64)]))
	return string(t[n:])
}

// A record is one that is being made.
type record []byte

func (r record) kind(k kind) record { return append(r, byte(k)) }

func (r record) number(n int64) record { return binary.AppendVarint(r, n) }

func (r record) flag(b bool) record {
	if b {
		return append(r, 1)
	}
	return append(r, 0)
}

func (r record) text(s string) record {
	if len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' {
		packed := append(r, 0)
		for i := 0; i < len(s); i += 2 {
			if i == 8 || i == 13 || i == 18 || i == 23 {
				i++
			}
			high, low := nibble(s[i]), nibble(s[i+1])
			if high|low > 15 {
				return r.plain(s)
			}
			packed = append(packed, high<<4|low)
		}
		return packed
	}
	return r.plain(s)
}

// raw appends a text that is a token already.
func (r record) raw(t token) record { return append(r, t...) }

// stray appends whether a row was promised, and whose it is if it was not.
func (r record) stray(promised bool, user token) record {
	if promised {
		return r.flag(true)
	}
	return r.flag(false).raw(user)
}

func (r record) plain(s string) record {
	return append(binary.AppendUvarint(r, uint64(len(s))+1), s...)
}

// nibble returns the value of a lower-case hexadecimal digit, or more than 15.
func nibble(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

// A reader reads the records of a pile. They are the audit's own, so it has no
// errors.
type reader string

func (r *reader) more() bool { return len(*r) > 0 }

func (r *reader) kind() kind {
	k := kind((*r)[0])
	*r = (*r)[1:]
	return k
}

func (r *reader) flag() bool { return r.kind() != 0 }

func (r *reader) number() int64 {
	u := r.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (r *reader) uvarint() (u uint64) {
	for i := 0; ; i++ {
		b := (*r)[i]
		u |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			*r = (*r)[i+1:]
			return u
		}
	}
}

func (r *reader) token() token {
	whole := *r
	n := 17
	if whole[0] != 0 {
		size := r.uvarint() - 1
		n = len(whole) - len(*r) + int(size)
	}
	*r = whole[n:]
	return token(whole[:n])
}

// skip passes over so many tokens and numbers.
func (r *reader) skip(tokens, numbers int) {
	for range tokens {
		r.token()
	}
	for range numbers {
		r.number()
	}
}

// files are what is known of each name in a pile.
type files[T any] struct {
	places map[token]int32
	names  []token
	states []T
}

// newFiles returns files with room for so many names.
func newFiles[T any](room int) *files[T] {
	return &files[T]{places: make(map[token]int32, room)}
}

// of returns the file of a name, a new one if there is none. It is valid until
// the next call.
func (f *files[T]) of(name token) *T {
	at, ok := f.places[name]
	if !ok {
		at = int32(len(f.states))
		f.places[name] = at
		f.names, f.states = append(f.names, name), append(f.states, *new(T))
	}
	return &f.states[at]
}

// all yields each name with its file.
func (f *files[T]) all() iter.Seq2[token, *T] {
	return func(yield func(token, *T) bool) {
		for i := range f.states {
			if !yield(f.names[i], &f.states[i]) {
				return
			}
		}
	}
}

// nanos returns a moment as a number; 0 is none, and what is beyond the years
// 1678 to 2261 is the least or the most there is.
func nanos(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Year() < 1678:
		return math.MinInt64
	case t.Year() > 2261:
		return math.MaxInt64
	}
	return t.UnixNano()
}
