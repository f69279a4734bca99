package chat

import (
	"bytes"
	"unicode/utf8"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/pick"
)

// An envelope is what stood around the text of a plain delta. Events of one
// stream differ in little else, and one that differs in nothing else need not
// be parsed: between the same bytes, another JSON string gives the same object
// with another text. Parsing took a third of a shopper's processor time.
//
// Some protocols number their events. The number may differ, too.
type envelope struct {
	before, after []byte // around the text, up to the number if there is one on that side
	front, back   []byte // beyond the number; empty: there is none on that side
}

// empty returns an envelope that has learned nothing, in the same memory.
func (e envelope) empty() envelope {
	return envelope{e.before[:0], e.after[:0], e.front[:0], e.back[:0]}
}

// size returns the memory it holds.
func (e envelope) size() int { return cap(e.before) + cap(e.after) + cap(e.front) + cap(e.back) }

// learn keeps what stands around text, which was found in data, and around
// number, if that exists. The caller has seen that the event says nothing
// beside the text.
func (e *envelope) learn(data []byte, text, number pick.Value) {
	from, to := text.At+1, text.At+len(text.Raw)-1
	before, after := data[:from], data[to:]
	e.front, e.back = e.front[:0], e.back[:0]
	if n, end := number.At, number.At+len(number.Raw); number.Kind == pick.Number && digits(number.Raw) == len(number.Raw) {
		switch {
		case end < from:
			e.front, before = append(e.front, data[:n]...), data[end:from]
		case n > to:
			after, e.back = data[to:n], append(e.back, data[end:]...)
		}
	}
	e.before = append(e.before[:0], before...)
	e.after = append(e.after[:0], after...)
}

// leaveOutRole makes of a first event's envelope that of the next: most backends
// name the role in an event of its own, beside empty content, and not again.
// Nothing looks for it, so that an object without it gives the same.
func (e *envelope) leaveOutRole() {
	if before, ok := bytes.CutSuffix(e.before, []byte(`{"role":"assistant","content":"`)); ok {
		e.before = append(before, `{"content":"`...)
	}
}

// inside returns the text that an event holds, still escaped, if it is the
// envelope around the inside of a JSON string.
func (e *envelope) inside(data []byte) ([]byte, bool) {
	if len(e.before) == 0 {
		return nil, false
	}
	ok := true
	if len(e.front) > 0 {
		if data, ok = bytes.CutPrefix(data, e.front); !ok {
			return nil, false
		}
		n := digits(data)
		if n == 0 {
			return nil, false
		}
		data = data[n:]
	}
	if data, ok = bytes.CutPrefix(data, e.before); !ok {
		return nil, false
	}
	if len(e.back) > 0 {
		if data, ok = bytes.CutSuffix(data, e.back); !ok {
			return nil, false
		}
		n := len(data)
		for n > 0 && '0' <= data[n-1] && data[n-1] <= '9' {
			n--
		}
		if digits(data[n:]) == 0 {
			return nil, false
		}
		data = data[:n]
	}
	if data, ok = bytes.CutSuffix(data, e.after); !ok {
		return nil, false
	}
	return data, plain(data)
}

// digits returns how many bytes of the whole number that s begins with, as JSON
// writes one; 0 if it begins with none.
func digits(s []byte) int {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	if n > 1 && s[0] == '0' {
		return 0
	}
	return n
}

// plain says whether b may stand between the quotes of a JSON string. Escapes
// of code points are left to the parser.
func plain(b []byte) bool {
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c < ' ' || c == '"':
			return false
		case c == '\\':
			i++
			if i == len(b) || bytes.IndexByte([]byte(`"\/bfnrt`), b[i]) < 0 {
				return false
			}
		}
	}
	return utf8.Valid(b)
}
