package scenarios

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/tidwall/gjson"
)

// Words is what shoppers say. The zero value is phrases in Chinese and English.
type Words struct {
	File   string `json:"file,omitempty"`  // whose conversations they have: see userLines
	Length Spread `json:"length,omitzero"` // of each line without a file, in characters
}

// maxLine is the longest line that is composed, in characters.
const maxLine = 32_768

func (r *reader) words(f field, turns field, c *Crowd) {
	fields := r.mapping(f, "file", "length")
	r.text(fields["file"], &c.Words.File)
	r.spread(fields["length"], &c.Words.Length)
	if c.Words.File != "" && turns.node == nil {
		c.Turns = Spread{} // each conversation has its own
	}
}

func (k *checker) words(c *Crowd) {
	const path = "crowd.words"
	if c.Words.File == "" {
		k.spread("crowd.turns", c.Turns, maxTurns)
		if c.Words.Length != (Spread{}) {
			k.spread(path+".length", c.Words.Length, maxLine)
		}
		return
	}
	k.file(path+".file", c.Words.File, []string{".json", ".ndjson", ".jsonl"})
	if c.Turns != (Spread{}) {
		k.fault("crowd.turns", "leave it out", "contradicts words.file, whose conversations have turns of their own")
	}
	if c.Words.Length != (Spread{}) {
		k.fault(path+".length", "leave it out", "contradicts words.file, whose lines have a length")
	}
}

// openConversations opens a file of conversations: a JSON list, or a
// conversation on each line. Those in which the user says nothing do not count.
func openConversations(root *os.Root, name string) (*rowFile, error) {
	unit, split := "line", lines
	if strings.HasSuffix(name, ".json") {
		unit, split = "conversation", elements
	}
	return openRows(root, name, unit, split, func(row []byte) (bool, error) {
		if !gjson.ValidBytes(row) || !gjson.ParseBytes(row).IsObject() {
			return false, errors.New("is no JSON object")
		}
		said, err := userLines(row)
		return len(said) > 0, err
	})
}

// userLines returns what the user says in a conversation, valid JSON, the first
// maxTurns lines of it. It reads the forms in which public collections and benchmarks
// keep conversations:
//
//	{"conversations": [{"from": "human", "value": "…"}, …]}    ShareGPT
//	{"conversation": [{"role": "user", "content": "…"}, …]}    LMSYS-Chat-1M, WildChat
//	{"messages": [{"role": "user", "content": "…"}, …]}        OpenAI, vLLM's multi-turn benchmark
//	{"turns": ["…", …]}                                        MT-Bench
//	{"turns": [{"text": "…"}, …]}                              AIPerf
func userLines(row []byte) ([]string, error) {
	var turns gjson.Result
	for _, key := range []string{"conversations", "conversation", "messages", "turns"} {
		if turns = gjson.GetBytes(row, key); turns.Exists() {
			break
		}
	}
	if !turns.IsArray() {
		return nil, errors.New("has no list of conversations, conversation, messages or turns")
	}
	var said []string
	var err error
	turns.ForEach(func(_, turn gjson.Result) bool {
		var text string
		if text, err = userLine(turn); text != "" {
			said = append(said, text)
		}
		return err == nil && len(said) < maxTurns
	})
	return said, err
}

// userLine returns what a turn has the user say; nothing if it is another's.
func userLine(turn gjson.Result) (string, error) {
	if turn.Type == gjson.String {
		return turn.String(), nil
	}
	if !turn.IsObject() {
		return "", errors.New("has a turn that is neither a text nor an object")
	}
	var who, content, value, text gjson.Result
	turn.ForEach(func(key, v gjson.Result) bool {
		switch key.Str {
		case "role", "from":
			who = v
		case "content":
			content = v
		case "value":
			value = v
		case "text":
			text = v
		}
		return true
	})
	switch who.Str {
	case "user", "human":
	case "": // AIPerf names nobody but the others
		if !text.Exists() {
			return "", errors.New("has a turn of nobody")
		}
	default:
		return "", nil
	}
	for _, v := range []gjson.Result{content, value, text} {
		if v.Type == gjson.String {
			return v.Str, nil
		}
	}
	var parts []string // of OpenAI's content: its texts
	for _, part := range content.Array() {
		if text := part.Get("text"); text.Type == gjson.String {
			parts = append(parts, text.Str)
		}
	}
	if len(parts) == 0 && !content.IsArray() {
		return "", fmt.Errorf("has a turn of the %s without a text", who.Str)
	}
	return strings.Join(parts, "\n"), nil
}

// elements splits the elements of a JSON list of objects. It looks for where
// they end and no further: each is checked by itself.
func elements(data []byte, eof bool) (int, []byte, error) {
	begin := len(data) - len(bytes.TrimLeft(data, " \t\r\n,["))
	rest := data[begin:]
	switch {
	case len(rest) == 0:
		return begin, nil, nil
	case rest[0] == ']':
		return len(data), nil, nil
	case rest[0] != '{':
		return 0, nil, errors.New("is no list of objects")
	}
	depth := 0
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case '"':
			i += closing(rest[i+1:]) + 1
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return begin + i + 1, rest[:i+1], nil
			}
		}
	}
	if eof {
		return 0, nil, errors.New("ends in the middle of a conversation")
	}
	return 0, nil, nil
}

// closing returns where the quote is that ends a JSON string; the end of the
// data if it is not there.
func closing(data []byte) int {
	for i := 0; ; i++ {
		next := bytes.IndexByte(data[i:], '"')
		if next < 0 {
			return len(data)
		}
		i += next
		escapes := i - len(bytes.TrimRight(data[:i], `\`))
		if escapes%2 == 0 {
			return i
		}
	}
}

// conversation returns the lines of the shopper's own conversation, one of the
// file's, drawn. A plan whose files are not attached has none.
func (s Shopper) conversation() []string {
	d := s.data()
	if d == nil || d.words == nil {
		return nil
	}
	row, err := d.words.row(uint64(s.plan.draws.below(int(d.words.count), s.ID, 0, forWords)))
	if err == nil {
		var said []string
		if said, err = userLines(row); err == nil {
			return said
		}
	}
	d.fail(err)
	return nil
}
