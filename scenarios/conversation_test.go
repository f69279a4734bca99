package scenarios

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/flashcrowd/flashcrowd/results"
)

// forms are conversations of "a" and "b" in the forms that are read.
var forms = map[string]string{
	"ShareGPT":    `{"id":"x","conversations":[{"from":"system","value":"s"},{"from":"human","value":"a"},{"from":"gpt","value":"c"},{"from":"human","value":"b"}]}`,
	"ShareGPT 2":  `{"conversations":[{"from":"gpt","value":"c"},{"from":"user","value":"a"},{"from":"chatgpt","value":"c"},{"from":"user","value":"b"},{"from":"tool","value":7}]}`,
	"LMSYS":       `{"conversation_id":"1","model":"m","conversation":[{"content":"a","role":"user"},{"content":"c","role":"assistant"},{"content":"b","role":"user"}],"turn":2}`,
	"vLLM":        `{"id":"1","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"c"},{"role":"user","content":"b"}]}`,
	"OpenAI":      `{"messages":[{"role":"system","content":"c"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url"}]},{"role":"assistant","content":null,"tool_calls":[]},{"role":"user","content":"b"}]}`,
	"MT-Bench":    `{"question_id":81,"category":"writing","turns":["a","b"]}`,
	"AIPerf":      `{"session_id":"1","turns":[{"role":"system","text":"c"},{"text":"a","output_length":5},{"text":"b"}]}`,
	"empty lines": `{"turns":["a","","b"]}`,
}

func TestUserLines(t *testing.T) {
	for name, text := range forms {
		if said, err := userLines([]byte(text)); err != nil || !slices.Equal(said, []string{"a", "b"}) {
			t.Errorf("%s: %q, %v", name, said, err)
		}
	}
	many := `{"turns":["` + strings.Repeat(`x","`, 99) + `x"]}`
	if said, err := userLines([]byte(many)); err != nil || len(said) != maxTurns {
		t.Errorf("100 turns: %d, %v", len(said), err)
	}
}

func talking(file string) string { return with("words: {file: " + file + "}") }

// TestConversations: shoppers say the lines of the file, as many turns as there
// are, the same on every worker; the file counts in both fingerprints.
func TestConversations(t *testing.T) {
	var list []string
	for i := range 40 {
		long := strings.Repeat("x", 500*(i%7)) // blocks of one and of many
		list = append(list, `{"conversations": [
			{"from": "human", "value": "first `+fmt.Sprintf("%02d", i)+" ]}[{, \\\"\\\\"+long+`"},
			{"from": "gpt", "value": "…"}`+strings.Repeat(`, {"from": "human", "value": "more"}`, i%4)+`]}`, `{"conversations": []}`)
	}
	array, rows := " [\n"+strings.Join(list, " ,\n")+"\n]\n", strings.ReplaceAll(strings.Join(list, "\x00"), "\n", " ")
	dir := folder(t, "c.json", array, "c.jsonl", strings.ReplaceAll(rows, "\x00", "\n"))
	var first []results.Sum128
	for _, name := range []string{"c.json", "c.jsonl"} {
		p := pinned(t, talking(name), dir)
		if p.Pins["words"].Rows != 40 {
			t.Fatalf("%s: %+v", name, p.Pins)
		}
		q, err := DecodePlan(p.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Attach(dir, func(err error) { t.Error(err) }); err != nil {
			t.Fatal(err)
		}
		defer q.Detach()
		said := map[string]bool{}
		for g := range 400 {
			a, b := nth(p, g), nth(q, g)
			if a.Hash() != b.Hash() || !slices.Equal(a.conversation(), b.conversation()) {
				t.Fatalf("shopper %d is another one on a worker", g)
			}
			if name == "c.json" {
				first = append(first, a.Hash())
			} else if first[g] != a.Hash() {
				t.Fatalf("shopper %d is another one with the other form", g)
			}
			var lines []string
			w := b.Walk()
			for step, ok := w.Next(Result{}); ok && step.Kind == Turn; step, ok = w.Next(Result{Outcome: results.OK}) {
				lines = append(lines, step.Say)
			}
			i, _ := strconv.Atoi(lines[0][6:8])
			if !strings.HasPrefix(lines[0], "first ") || len(lines) != 1+i%4 || len(lines) > 1 && lines[1] != "more" {
				t.Fatalf("shopper %d says %.60q", g, lines)
			}
			said[lines[0]] = true
		}
		if len(said) < 38 {
			t.Errorf("%d of 40 conversations are drawn by 400 shoppers", len(said))
		}
		if s := nth(q, 0); !strings.HasPrefix(s.again("好"), "再") || !strings.HasPrefix(s.again("OK"), "Try") {
			t.Error("a line is said again in another language")
		}
	}
}

func TestBadConversations(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "c.json: has no rows",
		"[]":                            "c.json: has no rows",
		`[{"turns":[]}]`:                "c.json: has no rows",
		`{"a":1}`:                       "conversation 1: has no list of conversations",
		`[{"turns":["a"]}, 7]`:          "c.json: is no list of objects",
		`"a"`:                           "c.json: is no list of objects",
		`[{"turns":["a"]}, {"turns":[`:  "c.json: ends in the middle of a conversation",
		`[{"turns":["a"]}, {"turns":"`:  "c.json: ends in the middle of a conversation",
		`[{"turns":["a"]}, {"turns":}]`: "conversation 2: is no JSON object",
		`[{"turns":"a"}]`:               "conversation 1: has no list",
		`[{"turns":[1]}]`:               "conversation 1: has a turn that is neither",
		`[{"messages":[{"role":"user","content":null}]}]`: "conversation 1: has a turn of the user without a text",
		`[{"messages":[{"content":"a"}]}]`:                "conversation 1: has a turn of nobody",
		"[{\"turns\":[\"\xe9\"]}]":                        "conversation 1: is not UTF-8",
	} {
		err := plan(t, talking("c.json"), results.Factors{}).Pin(folder(t, "c.json", text))
		if err == nil || !strings.Contains(err.Error(), "crowd.words: c.json: "+strings.TrimPrefix(want, "c.json: ")) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	for keys, want := range map[string]string{
		"words: {file: c.json}\n  turns: 3":             "crowd.turns: contradicts words.file",
		"words: {file: c.json, length: 30}":             "crowd.words.length: contradicts words.file",
		"words: {file: ../c.json}":                      "plain name",
		"words: {length: {median: 30, p90: 20}}":        "crowd.words.length: must have a p90 from the median, 30",
		"words: {length: 30}\n  turns: {median: 3.5}":   "crowd.turns.median: must be a whole number",
		"words: {length: {median: 9_999, p90: 99_999}}": "crowd.words.length: must have a p90",
	} {
		if _, err := Parse("f", []byte(with(keys))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", keys, err, want)
		}
	}
}

// TestLengths: lines have the drawn lengths, but for those whose phrase is
// longer, and are the same each time.
func TestLengths(t *testing.T) {
	p := plan(t, with("words: {length: {median: 100, p90: 165}}"), results.Factors{})
	var all []int
	for g := range 5000 {
		s := nth(p, g)
		line := s.say(g % 3)
		if line != nth(p, g).say(g%3) || !utf8.ValidString(line) {
			t.Fatalf("%q", line)
		}
		all = append(all, utf8.RuneCountInString(line))
	}
	slices.Sort(all)
	if m, p90 := all[2500], all[4500]; m < 97 || m > 103 || p90 < 159 || p90 > 171 {
		t.Errorf("median %d, p90 %d", m, p90)
	}
	if s := nth(plan(t, with("words: {length: 32_768}"), results.Factors{}), 5); utf8.RuneCountInString(s.say(1)) != maxLine {
		t.Errorf("%d characters", utf8.RuneCountInString(s.say(1)))
	}
	plain, short := plan(t, small, results.Factors{}), plan(t, with("words: {length: 1}"), results.Factors{})
	if a, b := nth(plain, 3).say(0), nth(short, 3).say(0); a != b {
		t.Errorf("%q was shortened to %q", a, b)
	}
}

// FuzzConversations: whatever a file holds, it is refused, or each of its
// conversations is read again as it was when it was checked.
func FuzzConversations(f *testing.F) {
	for _, text := range forms {
		f.Add([]byte(text))
		f.Add([]byte("[" + text + ",\n" + text + "]"))
	}
	for _, text := range []string{"[]", "[{", `[{"turns":[]},{"turns":["a"]},{"turns":[]},{"turns":["b"]}]`, `[{"turns":["a\`, "}{", `[[{"turns":["a"]}]]`, `{"turns":["` + strings.Repeat("x", 5000) + `"]}{"turns":["a"]}`} {
		f.Add([]byte(text))
	}
	dir := f.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, name := range []string{"f.json", "f.jsonl"} {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := openConversations(root, name)
			if err != nil {
				continue
			}
			for i := range c.count {
				row, err := c.row(i)
				if err != nil {
					t.Fatalf("conversation %d of %d: %v", i, c.count, err)
				}
				if said, err := userLines(row); err != nil || len(said) == 0 || len(said) > maxTurns || !bytes.Contains(text, row) {
					t.Fatalf("conversation %d: %q, %v", i, said, err)
				}
			}
			c.file.Close()
		}
	})
}
