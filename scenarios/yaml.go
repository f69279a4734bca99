package scenarios

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// The part of YAML that a campaign may use is plain: mappings, sequences and
// scalars. Anchors, aliases, tags, merge keys and directives are faults, so
// nothing in a file can stand for more than it shows. MaxSize bounds time, and
// maxFlow and maxColumn bound the depth to which the parser recurses.
const (
	maxFlow   = 32  // nested [ and {
	maxColumn = 200 // where a block may begin
)

// A reader turns YAML nodes into values and notes every fault on the way.
type reader struct {
	file   string
	faults Faults
	places map[string]*token.Position // of values, by path; of its key for a block
	keys   map[string]*token.Position // of keys, by path
	unread []string                   // paths whose values are not known, for a fault that was noted

	open func(name string) (string, error) // reads a certificate file; nil: there is no folder to find it in
}

// A field is a node and its path. The node is nil where the campaign has
// nothing; reading that does nothing.
type field struct {
	path string
	node ast.Node
}

func (r *reader) fault(at *token.Position, path, hint, format string, args ...any) {
	f := Fault{File: r.file, Line: 1, Column: 1, Path: path, Message: fmt.Sprintf(format, args...), Hint: hint}
	if at != nil {
		f.Line, f.Column = max(at.Line, 1), max(at.Column, 1)
	}
	r.faults = append(r.faults, f)
}

// document returns the root of src, or false after noting what is wrong.
func (r *reader) document(src []byte) (root ast.Node, ok bool) {
	// The parser is not ours: what it can't take is a fault of the file.
	defer func() {
		if p := recover(); p != nil {
			r.fault(nil, "", "", "is not YAML: %s", clip(fmt.Sprint(p), 200))
			root, ok = nil, false
		}
	}()
	if len(src) > MaxSize {
		r.fault(nil, "", "", "is larger than %d KiB, the limit of a campaign", MaxSize>>10)
		return nil, false
	}
	if !utf8.Valid(src) {
		r.fault(nil, "", "", "is not UTF-8 text")
		return nil, false
	}
	tokens := lexer.Tokenize(strings.TrimPrefix(string(src), "\ufeff")) // some editors' mark
	if r.refuse(tokens); len(r.faults) > 0 {
		return nil, false
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var e yaml.Error
		if errors.As(err, &e) && e.GetToken() != nil {
			at, why := e.GetToken().Position, e.GetMessage()
			if tabbed(string(src), at.Line) { // which the parser shows as a space
				why = "a tab can't indent a line, only spaces can"
			}
			r.fault(at, "", "", "is not YAML: %s", why)
		} else {
			r.fault(nil, "", "", "is not YAML: %s", clip(err.Error(), 200))
		}
		return nil, false
	}
	for _, doc := range file.Docs {
		switch {
		case doc == nil || doc.Body == nil:
		case root != nil:
			r.fault(doc.Body.GetToken().Position, "", "", "holds a second document; a campaign is one")
			return nil, false
		default:
			root = doc.Body
		}
	}
	if root == nil {
		r.fault(nil, "", "see the embedded campaigns for the format", "is empty")
	}
	return root, root != nil
}

// tabbed says whether a tab is in the indentation of a line, counted from 1.
func tabbed(src string, line int) bool {
	for text := range strings.Lines(src) {
		if line--; line == 0 {
			indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
			return strings.Contains(indent, "\t")
		}
	}
	return false
}

// refuse notes what the format leaves out, and depth beyond its limits.
func (r *reader) refuse(tokens token.Tokens) {
	flow := 0
	for _, t := range tokens {
		what := ""
		switch t.Type {
		case token.AnchorType, token.AliasType:
			what = "anchors and aliases"
		case token.TagType:
			what = "tags"
		case token.MergeKeyType:
			what = "merge keys"
		case token.DirectiveType:
			what = "directives"
		case token.MappingKeyType:
			what = "keys marked with ?"
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow = max(flow-1, 0)
		default:
		}
		block := t.Type == token.SequenceEntryType || t.Type == token.MappingValueType
		switch {
		case what != "":
			r.fault(t.Position, "", "put text that begins with a special character in quotes", "%s are not part of the format", what)
		case flow > maxFlow || flow == 0 && block && t.Position.Column > maxColumn:
			r.fault(t.Position, "", "", "is nested too deeply")
			return
		}
	}
}

// pairs returns the entries of a mapping in their order; a key given twice is
// a fault, and its first value stands.
func (r *reader) pairs(f field) (keys []string, values []field) {
	var entries []*ast.MappingValueNode
	switch n := f.node.(type) {
	case nil:
		return nil, nil
	case *ast.MappingNode:
		entries = n.Values
	case *ast.MappingValueNode:
		entries = []*ast.MappingValueNode{n}
	default:
		r.wrong(f, "a mapping (key: value)")
		return nil, nil
	}
	seen := make(map[string]int, len(entries))
	for _, e := range entries {
		at := e.Key.GetToken().Position
		key := e.Key.GetToken().Value
		path := join(f.path, key)
		if line, dup := seen[key]; dup {
			r.fault(at, path, "", "is given twice; the first is in line %d", line)
			continue
		}
		seen[key] = at.Line
		r.places[path], r.keys[path] = at, at
		v := field{path, e.Value}
		switch n := e.Value.(type) {
		case nil, *ast.NullNode:
			r.fault(at, path, "leave the key out, or give it a value", "is empty")
			r.unread = append(r.unread, path)
			v.node = nil
		default:
			if !isBlock(n) {
				r.places[path] = n.GetToken().Position
			}
		}
		keys, values = append(keys, key), append(values, v)
	}
	return keys, values
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// mapping returns the fields of a mapping by key; keys other than known ones
// are faults.
func (r *reader) mapping(f field, known ...string) map[string]field {
	keys, values := r.pairs(f)
	fields := make(map[string]field, len(keys))
	for i, key := range keys {
		fields[key] = values[i]
		if !slices.Contains(known, key) {
			r.fault(r.keys[values[i].path], f.path, didYouMean(key, known), "unknown key %q", clip(key, 60))
			for _, name := range Nearest(key, known) {
				r.unread = append(r.unread, join(f.path, name)) // it may be there under this name
			}
		}
	}
	return fields
}

// items returns the elements of a sequence.
func (r *reader) items(f field) []field {
	if f.node == nil {
		return nil
	}
	seq, ok := f.node.(*ast.SequenceNode)
	if !ok {
		r.wrong(f, "a list")
		return nil
	}
	var items []field
	for i, n := range seq.Values {
		item := field{fmt.Sprintf("%s[%d]", f.path, i), n}
		r.places[item.path] = start(n)
		items = append(items, item)
	}
	return items
}

// isBlock says whether n is a collection without brackets, which has no
// beginning of its own.
func isBlock(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.MappingNode:
		return !n.IsFlowStyle
	case *ast.SequenceNode:
		return !n.IsFlowStyle
	case *ast.MappingValueNode:
		return true
	}
	return false
}

// start returns where an element of a sequence begins; a block mapping begins
// at its first key.
func start(n ast.Node) *token.Position {
	switch n := n.(type) {
	case nil:
		return nil
	case *ast.MappingNode:
		if isBlock(n) && len(n.Values) > 0 {
			return n.Values[0].Key.GetToken().Position
		}
	case *ast.MappingValueNode:
		return n.Key.GetToken().Position
	}
	return n.GetToken().Position
}

// wrong notes that f is not what it should be.
func (r *reader) wrong(f field, want string) {
	is := "text"
	switch n := f.node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		is = "a mapping"
	case *ast.SequenceNode:
		is = "a list"
	case *ast.BoolNode:
		is = n.GetToken().Value
	case *ast.NullNode:
		is = "nothing"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		is = "the number " + clip(n.GetToken().Value, 40)
	default:
		if s, ok := scalar(f.node); ok {
			is = strconv.Quote(clip(s, 40))
		}
	}
	r.misread(f, "", "must be %s, not %s", want, is)
}

// misread notes a fault that leaves the value of f unknown.
func (r *reader) misread(f field, hint, format string, args ...any) {
	r.fault(r.places[f.path], f.path, hint, format, args...)
	r.unread = append(r.unread, f.path)
}

// scalar returns the text of a number or a string.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// text reads a string.
func (r *reader) text(f field, to *string) {
	switch n := f.node.(type) {
	case nil:
	case *ast.StringNode:
		*to = n.Value
	case *ast.LiteralNode:
		*to = n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		r.wrong(f, "text in quotes")
	default:
		r.wrong(f, "text")
	}
}

func (r *reader) flag(f field, to *bool) {
	if b, ok := f.node.(*ast.BoolNode); ok {
		*to = b.Value
	} else if f.node != nil {
		r.wrong(f, "true or false")
	}
}

// read reads a scalar by means of parse; want says what it takes.
func read[T any](r *reader, f field, to *T, want string, parse func(string) (T, error)) {
	if f.node == nil {
		return
	}
	if s, ok := scalar(f.node); ok {
		if v, err := parse(s); err == nil {
			*to = v
			return
		}
	}
	r.wrong(f, want)
}

func (r *reader) count(f field, to *uint64) {
	read(r, f, to, "a whole number such as 10_000_000", func(s string) (uint64, error) {
		s, err := digits(s)
		if err != nil {
			return 0, err
		}
		return strconv.ParseUint(s, 10, 64)
	})
}

func (r *reader) number(f field, to *float64) { read(r, f, to, "a number", parseNumber) }

func (r *reader) duration(f field, to *time.Duration) {
	read(r, f, to, "a duration such as 90s, 15m or 3h", time.ParseDuration)
}

func (r *reader) ratio(f field, to *float64) {
	read(r, f, to, "a share such as 0.5% or 0.005", func(s string) (float64, error) {
		percent, ok := strings.CutSuffix(s, "%")
		v, err := parseNumber(percent)
		if ok {
			v /= 100
		}
		return v, err
	})
}

var errNumber = errors.New("not a number")

// parseNumber reads a decimal number; underscores may stand between digits.
func parseNumber(s string) (float64, error) {
	s, err := digits(s)
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(s, 64)
}

// digits returns s without underscores. What only computers write (hex, inf,
// nan) is refused.
func digits(s string) (string, error) {
	if strings.Trim(s, "0123456789_.eE+-") != "" || strings.HasPrefix(s, "_") || strings.HasSuffix(s, "_") || strings.Contains(s, "__") {
		return "", errNumber
	}
	for i := range len(s) {
		if s[i] == '_' && !(isDigit(s[i-1]) && isDigit(s[i+1])) {
			return "", errNumber
		}
	}
	return strings.ReplaceAll(s, "_", ""), nil
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }
