package pick

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// maxDepth is how deep an answer may be nested, as in encoding/json: each level
// takes a little of the stack.
const maxDepth = 10_000

// A reader goes through JSON text once (RFC 8259). Its methods take where they
// begin and return where they end, so that the place stays in a register; bad
// says that the text is no JSON.
//
// The text is no field of it, because what is found points there: the compiler
// could then not tell that neither outlives the other, and would take both to
// the heap.
type reader struct {
	found []Value
	seen  uint64 // the places of the nodes that were come by
	bent  bool   // the last string has escapes
	high  uint64 // has the highest bit of a byte if there is more than ASCII: it may be no UTF-8
}

// bad is a place in no text.
const bad = -1

// whole reads all of the data, from i on.
func (r *reader) whole(data []byte, i int, n *node) bool {
	i = r.value(data, i, n, 0)
	return i != bad && space(data, i) == len(data) && (r.high&highest == 0 || utf8.Valid(data))
}

// at returns the byte at i; 0, which means nothing in JSON, if none is there.
func at(data []byte, i int) byte {
	if uint(i) < uint(len(data)) {
		return data[i]
	}
	return 0
}

// space passes over white space. Most answers have none, and asking costs
// nothing.
func space(data []byte, i int) int {
	if uint(i) < uint(len(data)) && data[i] <= ' ' {
		return spaces(data, i)
	}
	return i
}

func spaces(data []byte, i int) int {
	for i < len(data) {
		switch data[i] {
		case ' ', '\t', '\n', '\r':
			i++
		default:
			return i
		}
	}
	return i
}

// value reads a value, and keeps it if n says so; n may be nil.
func (r *reader) value(data []byte, i int, n *node, depth int) int {
	from, kind := i, Number
	switch at(data, i) {
	case '{':
		kind, i = Object, r.object(data, i, n, depth+1)
	case '[':
		kind, i = Array, r.array(data, i, n, depth+1)
	case '"':
		kind, i = String, r.text(data, i)
	case 't':
		kind, i = True, word(data, i, "true")
	case 'f':
		kind, i = False, word(data, i, "false")
	case 'n':
		kind, i = Null, word(data, i, "null")
	default:
		i = number(data, i)
	}
	if n != nil && n.slot >= 0 && i != bad {
		r.found[n.slot] = Value{kind, data[from:i], from}
	}
	return i
}

// object reads an object, at its brace; depth counts it.
func (r *reader) object(data []byte, i int, n *node, depth int) int {
	if depth > maxDepth {
		return bad
	}
	i = space(data, i+1)
	if at(data, i) == '}' {
		return i + 1
	}
	for {
		if at(data, i) != '"' {
			return bad
		}
		from := i + 1
		if i = r.text(data, i); i == bad {
			return bad
		}
		var to *node
		if n != nil {
			to = r.named(n, data[from:i-1])
		}
		if i = space(data, i); at(data, i) != ':' {
			return bad
		}
		if i = r.value(data, space(data, i+1), to, depth); i == bad {
			return bad
		}
		i = space(data, i)
		switch at(data, i) {
		case ',':
			i = space(data, i+1)
		case '}':
			return i + 1
		default:
			return bad
		}
	}
}

// array reads an array, at its bracket; depth counts it.
func (r *reader) array(data []byte, i int, n *node, depth int) int {
	if depth > maxDepth {
		return bad
	}
	i = space(data, i+1)
	if at(data, i) == ']' {
		return i + 1
	}
	var element *node
	if n != nil {
		element = n.first
	}
	for {
		if i = r.value(data, i, element, depth); i == bad {
			return bad
		}
		element = nil
		i = space(data, i)
		switch at(data, i) {
		case ',':
			i = space(data, i+1)
		case ']':
			return i + 1
		default:
			return bad
		}
	}
}

// named returns the node of a name below n, if it comes for the first time. The
// name was read last.
func (r *reader) named(n *node, name []byte) *node {
	if r.bent {
		name = []byte(gjson.Parse(`"` + string(name) + `"`).Str)
	}
	is := sign(name)
	if n.signs&is == 0 {
		return nil
	}
	for _, b := range n.below {
		if b.sign != is || b.name != string(name) {
			continue
		}
		if bit := uint64(1) << b.place; r.seen&bit == 0 {
			r.seen |= bit
			return b
		}
		return nil
	}
	return nil
}

func word(data []byte, i int, w string) int {
	if len(data)-i < len(w) || string(data[i:i+len(w)]) != w {
		return bad
	}
	return i + len(w)
}

// text reads a string, at its quote.
func (r *reader) text(data []byte, i int) int {
	r.bent = false
	for i++; ; i++ {
		for len(data)-i >= 8 {
			eight := binary.LittleEndian.Uint64(data[i:])
			r.high |= eight
			if m := marks(eight); m != 0 {
				i += bits.TrailingZeros64(m) / 8
				if data[i] == '"' { // nearly always
					return i + 1
				}
				break
			}
			i += 8
		}
		switch c := at(data, i); {
		case c == '"':
			return i + 1
		case c >= utf8.RuneSelf:
			r.high = highest
		case c < ' ':
			return bad
		case c == '\\':
			r.bent = true
			if i = escape(data, i+1); i == bad {
				return bad
			}
		}
	}
}

// A byte in each of eight, its lowest bit and its highest.
const (
	lowest  = 0x0101010101010101
	highest = lowest << 7
)

// marks returns a word whose first bit is in the first of eight bytes that means
// something in a string: a quote, a backslash or a control character; 0 if none
// does. Bits after the first one may be wrong.
func marks(eight uint64) uint64 {
	quote, back := eight^lowest*'"', eight^lowest*'\\'
	return ((eight-lowest*' ')&^eight | (quote-lowest)&^quote | (back-lowest)&^back) & highest
}

// escape reads what follows a backslash, and returns where its last byte is.
func escape(data []byte, i int) int {
	switch at(data, i) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i
	case 'u':
		if hex(at(data, i+1)) && hex(at(data, i+2)) && hex(at(data, i+3)) && hex(at(data, i+4)) {
			return i + 4
		}
	}
	return bad
}

func hex(c byte) bool { return digit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

func digit(c byte) bool { return '0' <= c && c <= '9' }

// number reads a number.
func number(data []byte, i int) int {
	if at(data, i) == '-' {
		i++
	}
	if at(data, i) == '0' {
		i++
	} else if i = digits(data, i); i == bad {
		return bad
	}
	if at(data, i) == '.' {
		if i = digits(data, i+1); i == bad {
			return bad
		}
	}
	if at(data, i)|0x20 != 'e' {
		return i
	}
	i++
	if c := at(data, i); c == '+' || c == '-' {
		i++
	}
	return digits(data, i)
}

// digits takes one digit or more.
func digits(data []byte, i int) int {
	if !digit(at(data, i)) {
		return bad
	}
	for digit(at(data, i)) {
		i++
	}
	return i
}
