package chat

import (
	"bytes"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// An envelope is what stood around the content of a plain delta. Chunks of one
// stream differ in little else, and one that differs in nothing else need not
// be parsed: between the same bytes, another JSON string gives the same object
// with another content. Parsing took a third of a shopper's processor time.
type envelope struct{ before, after []byte }

// learn keeps what stands around content, which was found in data. The caller
// has seen that the chunk says nothing beside it.
func (e *envelope) learn(data []byte, content gjson.Result) {
	from, to := content.Index+1, content.Index+len(content.Raw)-1
	if content.Index <= 0 || to > len(data) || from > to || string(data[from-1:to+1]) != content.Raw {
		return // gjson does not say where it was
	}
	e.before = append(e.before[:0], data[:from]...)
	e.after = append(e.after[:0], data[to:]...)
}

// content returns what a chunk holds, still escaped, if it is the envelope
// around a JSON string's inside.
func (e *envelope) content(data []byte) ([]byte, bool) {
	if len(e.before) == 0 || len(data) < len(e.before)+len(e.after) ||
		!bytes.HasPrefix(data, e.before) || !bytes.HasSuffix(data, e.after) {
		return nil, false
	}
	inside := data[len(e.before) : len(data)-len(e.after)]
	return inside, plain(inside)
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
