package pick

import (
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// maxDepth is how deep an answer may be nested, as in encoding/json: each level
// takes a little of the stack.
const maxDepth = 10_000

// A reader goes through JSON text once (RFC 8259). The text is no field of it,
// because what is found points there: the compiler could then not tell that
// neither outlives the other, and would take both to the heap.
type reader struct {
	i     int
	found []Value
	seen  uint64 // the places of the nodes that were come by
	bent  bool   // the last string has escapes
	high  bool   // a string has more than ASCII: it may be no UTF-8
}

// whole reads all of the data.
func (r *reader) whole(data []byte, n *node) bool {
	if !r.value(data, n, 0) {
		return false
	}
	r.space(data)
	return r.i == len(data) && (!r.high || utf8.Valid(data))
}

// space passes over white space. Most answers have none, and asking costs
// nothing.
func (r *reader) space(data []byte) {
	if r.i < len(data) && data[r.i] <= ' ' {
		r.spaces(data)
	}
}

func (r *reader) spaces(data []byte) {
	for r.i < len(data) {
		switch data[r.i] {
		case ' ', '\t', '\n', '\r':
			r.i++
		default:
			return
		}
	}
}

// value reads a value, and keeps it if n says so; n may be nil.
func (r *reader) value(data []byte, n *node, depth int) bool {
	if r.i == len(data) {
		return false
	}
	from, kind, ok := r.i, Number, false
	switch c := data[r.i]; c {
	case '{':
		kind, ok = Object, r.object(data, n, depth+1)
	case '[':
		kind, ok = Array, r.array(data, n, depth+1)
	case '"':
		kind, ok = String, r.text(data)
	case 't':
		kind, ok = True, r.word(data, "true")
	case 'f':
		kind, ok = False, r.word(data, "false")
	case 'n':
		kind, ok = Null, r.word(data, "null")
	default:
		ok = r.number(data)
	}
	if n != nil && n.slot >= 0 {
		r.found[n.slot] = Value{kind, data[from:r.i], from}
	}
	return ok
}

// object reads an object, at its brace; depth counts it.
func (r *reader) object(data []byte, n *node, depth int) bool {
	if r.i++; depth > maxDepth {
		return false
	}
	if r.space(data); r.is(data, '}') {
		return true
	}
	for {
		from := r.i
		if r.i == len(data) || data[r.i] != '"' || !r.text(data) {
			return false
		}
		to := r.named(n, data[from+1:r.i-1])
		if r.space(data); !r.is(data, ':') {
			return false
		}
		if r.space(data); !r.value(data, to, depth) {
			return false
		}
		if r.space(data); r.is(data, '}') {
			return true
		}
		if !r.is(data, ',') {
			return false
		}
		r.space(data)
	}
}

// array reads an array, at its bracket; depth counts it.
func (r *reader) array(data []byte, n *node, depth int) bool {
	if r.i++; depth > maxDepth {
		return false
	}
	if r.space(data); r.is(data, ']') {
		return true
	}
	var element *node
	if n != nil {
		element = n.first
	}
	for {
		if !r.value(data, element, depth) {
			return false
		}
		element = nil
		if r.space(data); r.is(data, ']') {
			return true
		}
		if !r.is(data, ',') {
			return false
		}
		r.space(data)
	}
}

// named returns the node of a name below n, if it comes for the first time. The
// name was read last.
func (r *reader) named(n *node, name []byte) *node {
	if n == nil {
		return nil
	}
	if r.bent {
		name = []byte(gjson.Parse(`"` + string(name) + `"`).Str)
	}
	for _, b := range n.below {
		if b.name != string(name) {
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

// is takes a byte if it comes next.
func (r *reader) is(data []byte, c byte) bool {
	if r.i < len(data) && data[r.i] == c {
		r.i++
		return true
	}
	return false
}

func (r *reader) word(data []byte, w string) bool {
	if len(data)-r.i < len(w) || string(data[r.i:r.i+len(w)]) != w {
		return false
	}
	r.i += len(w)
	return true
}

// ordinary are the bytes that mean nothing in a string: ASCII without control
// characters, quotes and backslashes.
var ordinary = func() (all [256]bool) {
	for c := range utf8.RuneSelf {
		all[c] = c >= ' ' && c != '"' && c != '\\'
	}
	return all
}()

// text reads a string, at its quote.
func (r *reader) text(data []byte) bool {
	r.bent = false
	for i := r.i + 1; i < len(data); i++ {
		c := data[i]
		if ordinary[c] {
			continue
		}
		switch {
		case c == '"':
			r.i = i + 1
			return true
		case c >= utf8.RuneSelf:
			r.high = true
		case c != '\\':
			return false
		default:
			r.bent = true
			if i++; i == len(data) {
				return false
			}
			switch data[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if len(data)-i < 5 || !hex(data[i+1]) || !hex(data[i+2]) || !hex(data[i+3]) || !hex(data[i+4]) {
					return false
				}
				i += 4
			default:
				return false
			}
		}
	}
	return false
}

func hex(c byte) bool { return digit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

func digit(c byte) bool { return '0' <= c && c <= '9' }

// number reads a number.
func (r *reader) number(data []byte) bool {
	r.is(data, '-')
	if !r.is(data, '0') && !r.digits(data) {
		return false
	}
	if r.is(data, '.') && !r.digits(data) {
		return false
	}
	if r.is(data, 'e') || r.is(data, 'E') {
		_ = r.is(data, '+') || r.is(data, '-')
		return r.digits(data)
	}
	return true
}

// digits takes one digit or more.
func (r *reader) digits(data []byte) bool {
	from := r.i
	for r.i < len(data) && digit(data[r.i]) {
		r.i++
	}
	return r.i > from
}
