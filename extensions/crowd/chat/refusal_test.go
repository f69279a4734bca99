package chat

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/crowdtest"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// A labelled answer. Its label is what a person takes it for: no, yes (it was
// done, or the conversation goes on), or unclear.
type labelled struct{ Lang, Label, Text string }

// heldOut says in which half of the corpus a text is: rules are written for the
// other half. Half of all texts have an odd first byte of their SHA-256.
func (l labelled) heldOut() bool { return sha256.Sum256([]byte(l.Text))[0]%2 == 1 }

func corpus(t testing.TB) (all []labelled) {
	t.Helper()
	f, err := os.Open("testdata/refusals.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := map[string]bool{}
	for s := bufio.NewScanner(f); s.Scan(); {
		var l labelled
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatalf("line %d: %v", len(all)+1, err)
		}
		if seen[l.Text] || l.Lang == "" || !strings.Contains("no yes unclear", l.Label) {
			t.Fatalf("line %d: %+v", len(all)+1, l)
		}
		seen[l.Text] = true
		all = append(all, l)
	}
	return all
}

func escaped(text string) []byte {
	b := gjson.AppendJSONString(nil, text)
	return b[1 : len(b)-1]
}

// score counts, of the answers of a language and a half, what the rules say of
// each label.
type score map[string]map[results.Outcome]int

func scores(t *testing.T, r *Refusals, all []labelled, lang string, heldOut bool) score {
	s := score{"no": {}, "yes": {}, "unclear": {}}
	for _, l := range all {
		if l.Lang == lang && l.heldOut() == heldOut {
			o, _ := r.Outcome(escaped(l.Text))
			s[l.Label][o]++
		}
	}
	return s
}

func (s score) labelled(label string) (n int) {
	for _, count := range s[label] {
		n += count
	}
	return n
}

// precision is the share of no's among what is refused, recall the share of
// what is refused among the no's.
func (s score) precision() float64 {
	refused := s["no"][results.Refused] + s["yes"][results.Refused] + s["unclear"][results.Refused]
	return float64(s["no"][results.Refused]) / float64(refused)
}

func (s score) recall() float64 {
	return float64(s["no"][results.Refused]) / float64(s.labelled("no"))
}

// TestCorpus holds the table of extensions/README.md to what the rules make of
// the corpus, and the rules to what is expected of them at least.
func TestCorpus(t *testing.T) {
	all, r := corpus(t), NewRefusals(nil)
	var b strings.Builder
	b.WriteString("| language | half | answers | precision of a no | recall of a no | a no taken for ok | a yes refused | a yes unclassified | unclear and unclassified |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, lang := range scenarios.BuiltInRefusals() {
		for _, heldOut := range []bool{false, true} {
			s := scores(t, r, all, lang, heldOut)
			half, precision, recall := "rules were written for it", 0.95, 0.95
			if heldOut {
				half, precision, recall = "held out", 0.9, 0.75
			}
			if s.precision() < precision || s.recall() < recall {
				t.Errorf("%s, %s: precision %.3f, recall %.3f", lang, half, s.precision(), s.recall())
			}
			no, yes, unclear := s.labelled("no"), s.labelled("yes"), s.labelled("unclear")
			if no < 30 || yes < 30 || unclear < 5 {
				t.Errorf("%s, %s: the corpus has %d no, %d yes, %d unclear", lang, half, no, yes, unclear)
			}
			of := func(n, all int) string { return fmt.Sprintf("%d of %d", n, all) }
			fmt.Fprintf(&b, "| `%s` | %s | %d | %s | %s | %s | %s | %s | %s |\n", lang, half, no+yes+unclear,
				results.HumanShare(s.precision()), results.HumanShare(s.recall()),
				of(s["no"][results.OK], no), of(s["yes"][results.Refused], yes), of(s["yes"][results.Unclassified], yes), of(s["unclear"][results.Unclassified], unclear))
		}
	}
	const path, begin, end = "../../README.md", "<!-- refusals -->\n", "<!-- /refusals -->\n"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	got, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no table between %s and %s", path, begin, end)
	}
	if got == b.String() {
		return
	}
	if !crowdtest.Updating() {
		t.Errorf("%s has another table (write it anew with -update):\n%s", path, b.String())
	} else if err := os.WriteFile(path, []byte(before+begin+b.String()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestRefusals: what clauses make of each other, and how text may come.
func TestRefusals(t *testing.T) {
	r := NewRefusals(nil)
	long := strings.Repeat("Number seven is a fine tea. ", 40)
	for _, test := range []struct {
		text string // as in JSON
		want results.Outcome
		why  string
	}{
		{"", results.OK, ""},
		{"有的，需要几份？", results.OK, ""},
		{"系统繁忙", results.Refused, "系统繁忙"},
		{`\u7cfb\u7edf\u7e41\u5fd9`, results.Refused, "系统繁忙"},
		{"I CAN’T place orders.", results.Refused, "place orders"},
		{`I\u2019m unable\nto say`, results.OK, ""},
		{"I can't, to be honest, place orders", results.OK, ""}, // three clauses: better missed than mistaken
		{"I can't wait to place your order!", results.OK, ""},
		{"The reasonable order is placed", results.OK, ""}, // un-able inside a word
		{"Payment failed. I tried again and your order went through.", results.OK, ""},
		{"Your order is confirmed. Sadly, the payment failed.", results.Unclassified, "yes and then: the payment failed"},
		{"Your order is confirmed, I think. I'm not sure it is in.", results.Unclassified, "not sure"},
		{"Sorry.", results.Unclassified, "only says: Sorry"},
		{"Sorry, shall I look elsewhere?", results.OK, ""},
		{"如果支付失败，可以换一张卡", results.OK, ""},
		{"抱歉，订单已提交成功", results.OK, ""},
		{"I can't place orders. " + long, results.Refused, "place orders"},
		{long + "I can't place orders.", results.OK, ""},
		{"a\xff系统\xff繁忙", results.Refused, ""},
	} {
		if o, why := r.Outcome([]byte(test.text)); o != test.want || !strings.Contains(why, test.why) || (why == "") != (o == results.OK) {
			t.Errorf("%.60s: %v, %q; want %v, %q", test.text, o, why, test.want, test.why)
		}
	}
}

// TestOwnRefusals: a campaign's rules stand in place of the built-in ones of
// their language, beside them if it says so, and leave other languages alone.
func TestOwnRefusals(t *testing.T) {
	no := func(words string) scenarios.Phrase { return scenarios.Phrase{Kind: "no", Words: words} }
	builtIn := scenarios.Phrase{Kind: scenarios.BuiltIn}
	for _, test := range []struct {
		own  map[string][]scenarios.Phrase
		text string
		want results.Outcome
	}{
		{nil, "Wir haben geschlossen", results.OK},
		{map[string][]scenarios.Phrase{"de": {no("haben|sind*geschlossen|zu")}}, "Wir haben heute geschlossen", results.Refused},
		{map[string][]scenarios.Phrase{"de": {no("geschlossen")}}, "I can't place orders", results.Refused},
		{map[string][]scenarios.Phrase{"en": {no("shut")}}, "I can't place orders", results.OK},
		{map[string][]scenarios.Phrase{"en": {no("shut")}}, "We are shut", results.Refused},
		{map[string][]scenarios.Phrase{"en": {builtIn, no("shut")}}, "I can't place orders", results.Refused},
		{map[string][]scenarios.Phrase{"en": {}}, "I can't place orders", results.OK},
		{map[string][]scenarios.Phrase{"en": {builtIn, {Kind: "yes", Words: "great success"}}}, "Payment failed. Then, a great success", results.OK},
		{map[string][]scenarios.Phrase{"en": {builtIn, {Kind: "unclear", Words: "who knows"}}}, "Who knows", results.Unclassified},
		{map[string][]scenarios.Phrase{"en": {builtIn, {Kind: "aside", Words: "as they say"}}}, "As they say it failed", results.OK},
		{map[string][]scenarios.Phrase{"en": {builtIn, {Kind: "sorry", Words: "my bad"}}}, "My bad", results.Unclassified},
	} {
		c := dial(t, stream(data(delta(test.text), stop, done)))
		if r := New(scenarios.Endpoint{Refusals: test.own}).Do(c, shopper(), turn("x")); r.Outcome != test.want {
			t.Errorf("%v, %q: %v, %q; want %v", test.own, test.text, r.Outcome, r.Why, test.want)
		}
	}
	for language := range builtInRules() {
		if !slices.Contains(scenarios.BuiltInRefusals(), language) {
			t.Errorf("a campaign can't name the built-in rules of %s", language)
		}
	}
}

// FuzzRefusals: the one pass finds a word exactly where a search finds it, and
// no text breaks the rules.
func FuzzRefusals(f *testing.F) {
	f.Add("I can't place orders", "can't|CAN*place|s o")
	f.Add("活动太火爆，请稍后再试", "活动|动太火*再试")
	f.Add("aaaaab", "aab|ab|b|aaaa")
	f.Add("a’b\\n\xffab", "’|\xff|ab")
	f.Fuzz(func(t *testing.T, text, rules string) {
		var words []string
		for _, w := range strings.FieldsFunc(rules, func(r rune) bool { return r == '|' || r == '*' }) {
			number(&words, strings.ToLower(w))
		}
		if len(words) == 0 || len(words) > 50 || len(rules) > 200 {
			return
		}
		got := map[[2]int]bool{}
		newMatcher(words).each([]byte(text), func(word, start, end int) bool {
			got[[2]int{word, end}] = true
			return true
		})
		folded := []byte(text)
		for i, b := range folded {
			folded[i] = fold(b)
		}
		for i, w := range words {
			low := []byte(w)
			for j, b := range low {
				low[j] = fold(b)
			}
			for at := range folded {
				want := bytes.HasPrefix(folded[at:], low) && !(isLetter(w[0]) && at > 0 && isLetter(text[at-1]))
				if key := [2]int{i, at + len(w)}; want != got[key] {
					t.Fatalf("%q in %q at %d: %v, want %v", w, text, at, got[key], want)
				}
			}
		}
		r := NewRefusals(map[string][]scenarios.Phrase{"xx": {{Kind: "no", Words: strings.Join(words, "*")}}, "en": {}, "zh": {}})
		if o, why := r.Outcome([]byte(text)); (o == results.OK) != (why == "") || !utf8.ValidString(why) {
			t.Fatalf("%q: %v, %q", text, o, why)
		}
	})
}

func BenchmarkRefusals(b *testing.B) {
	r := NewRefusals(nil)
	for name, text := range map[string]string{
		"chinese": "好的，珍珠奶茶2份，共24元，送到您的默认地址，可以使用免单卡，确认下单吗？",
		"english": "Good, that is 2 × pearl milk tea for 24 yuan, delivered to your usual address. A free-order card can be used with it. Shall I go ahead?",
		"refused": "I'm sorry, but I can't place orders for you.",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			words := escaped(text)
			for b.Loop() {
				r.Outcome(words)
			}
		})
	}
}
