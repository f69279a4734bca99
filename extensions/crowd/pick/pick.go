// Package pick takes a few values out of a JSON object in one pass, which
// checks all of it on the way.
//
// A crowd reads the same few fields of millions of answers. Checking an answer
// and then looking for each field from its beginning, as one does with gjson,
// reads it a dozen times and was a quarter of all that a shopper cost; here it
// is read once. What is found is the same, and so is what is refused, which the
// tests hold against gjson and encoding/json.
package pick

import (
	"bytes"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// A Kind is what a value is.
type Kind uint8

const (
	Missing Kind = iota
	Null
	False
	True
	Number
	String
	Array
	Object
)

// A Value is one that was looked for. The zero value is one that is not there.
type Value struct {
	Kind Kind
	Raw  []byte // as it came, in the data itself
	At   int    // where it begins there
}

// Inside returns a string without its quotes, still escaped; nothing for
// anything else.
func (v Value) Inside() []byte {
	if v.Kind != String {
		return nil
	}
	return v.Raw[1 : len(v.Raw)-1]
}

// Str returns the text of a string, which is the caller's own; it is empty for
// anything else.
func (v Value) Str() string {
	in := v.Inside()
	if bytes.IndexByte(in, '\\') < 0 {
		return string(in)
	}
	return gjson.ParseBytes(v.Raw).Str
}

// Is says whether a value is a string with that text, which is written without
// escapes.
func (v Value) Is(text string) bool {
	if v.Kind != String {
		return false
	}
	in := v.Inside()
	return string(in) == text || len(in) > len(text) && bytes.IndexByte(in, '\\') >= 0 && v.Str() == text
}

// Text returns the text of a string and what else is there as it came; null and
// what is missing are empty.
func (v Value) Text() string {
	if v.Kind == String {
		return v.Str()
	}
	return gjson.ParseBytes(v.Raw).String()
}

// Result returns the value for a closer look.
func (v Value) Result() gjson.Result {
	if v.Kind == Missing {
		return gjson.Result{}
	}
	return gjson.ParseBytes(v.Raw)
}

// A Shape is the values that are looked for in an object. It is immutable.
type Shape struct{ root node }

// node is one step of a path.
type node struct {
	name  string
	slot  int // of the value here; -1: none is looked for
	place int // of the node in its shape
	below []*node
	first *node  // of an array, its first element
	sign  uint64 // of the name
	signs uint64 // of all names below
}

// sign returns a bit that few other names have: most names are not looked for,
// and need not be compared.
func sign[T string | []byte](name T) uint64 {
	n := len(name) << 3
	if n > 0 {
		n ^= int(name[0])
	}
	return 1 << (n & 63)
}

// mostNodes is how many steps the paths of a shape may have together.
const mostNodes = 64

// New returns the shape with these paths. A path is names with dots between;
// 0 is the first element of an array. It panics on more than a shape may have:
// shapes are written in code.
func New(paths ...string) *Shape {
	s := &Shape{node{slot: -1}}
	nodes := 1
	for slot, path := range paths {
		at := &s.root
		for name := range strings.SplitSeq(path, ".") {
			to := at.first
			if name != "0" {
				to = nil
				if i := slices.IndexFunc(at.below, func(n *node) bool { return n.name == name }); i >= 0 {
					to = at.below[i]
				}
			}
			if to == nil {
				to = &node{name: name, slot: -1, place: nodes, sign: sign(name)}
				nodes++
				if name == "0" {
					at.first = to
				} else {
					at.below = append(at.below, to)
					at.signs |= to.sign
				}
			}
			at = to
		}
		at.slot = slot
	}
	if nodes > mostNodes {
		panic("pick: too many paths")
	}
	return s
}

// Object takes the values out of data into found, which has one for each path
// of the shape, in its order. It returns false, and found is of no use, if data
// is not one JSON object in UTF-8. Of a name that an object has twice, the first
// counts.
func (s *Shape) Object(data []byte, found []Value) bool {
	clear(found)
	r, i := reader{found: found}, space(data, 0)
	return at(data, i) == '{' && r.whole(data, i, &s.root)
}

// Each takes the values out of each object in an array that was found, one after
// another, and calls visit until it returns false. Anything but an array has
// none.
func (s *Shape) Each(array Value, found []Value, visit func() bool) {
	if array.Kind != Array {
		return
	}
	data, r := array.Raw, reader{found: found}
	for i := space(data, 1); at(data, i) != ']'; i = space(data, i) {
		if at(data, i) == ',' {
			i++
			continue
		}
		clear(found)
		r.seen = 0
		object := at(data, i) == '{'
		if i = r.value(data, i, &s.root, 0); i == bad || object && !visit() {
			return
		}
	}
}
