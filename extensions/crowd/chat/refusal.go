package chat

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// Refusals tell a fluent answer that declines from one that helps, by rules of
// words. An answer that no rule speaks of is ok: a conversation goes on in more
// ways than anybody can list. One whose rules contradict each other, and one
// that only apologises, is unclassified.
//
// A text is taken clause by clause. What a clause says is the first of these
// that it has a rule for: aside, unclear, no, yes, sorry. Then:
//
//	a no, and no yes             refused
//	a no, and a yes after it     ok
//	a yes, and a no after it     unclassified
//	unclear                      unclassified
//	sorry, and neither a yes nor a question
//	                             unclassified
//	anything else                ok
//
// Who declines says so early: of a long text, only the beginning can say no.
type Refusals struct {
	matcher *matcher
	kinds   []kind // by rule
	lengths []int  // of each rule, in parts
	uses    [][]use
	marks   []mark // by word: it ends a clause
}

// A kind is what a rule makes of its clause, strongest last.
type kind uint8

const (
	nothing kind = iota
	sorry        // an apology: says nothing by itself
	yes          // it was done
	no           // it was not, and will not be
	unclear      // nobody knows whether it was
	aside        // the clause is about something else: a condition, a quotation
)

// kinds by the names that campaigns give them.
var kindNames = map[string]kind{"sorry": sorry, "yes": yes, "unclear": unclear, "no": no, "aside": aside}

// A use is a word's place in a rule.
type use struct{ rule, part int }

// A mark is what a word does to clauses.
type mark uint8

const (
	ends mark = iota + 1
	questions
)

// Bounds on what the rules look at.
const (
	gap      = 42   // bytes between two parts of a rule: 14 Chinese characters
	longText = 1000 // bytes; what is longer says no at its beginning or not at all
	opening  = 400  // bytes of a long text
	mostText = 8192 // bytes; the rest is not looked at
)

// NewRefusals compiles the built-in rules and the campaign's own: of a language
// that the campaign names, its rules stand in place of the built-in ones, which
// it may name among them.
func NewRefusals(own map[string][]scenarios.Phrase) *Refusals {
	rules := builtInRules()
	all := maps.Clone(rules)
	for language, phrases := range own {
		all[language] = nil
		for _, p := range phrases {
			if p.Kind == scenarios.BuiltIn {
				all[language] = append(all[language], rules[language]...)
			} else {
				all[language] = append(all[language], rule{kindNames[p.Kind], p.Words})
			}
		}
	}
	r := &Refusals{}
	var words []string
	for _, language := range slices.Sorted(maps.Keys(all)) {
		for _, rule := range all[language] {
			r.add(&words, rule)
		}
	}
	for _, w := range strings.Fields(". ! ; : , 。 ！ ； ： ， 、 … ～") {
		r.mark(&words, w, ends)
	}
	r.mark(&words, "\n", ends)
	for _, w := range []string{"?", "？"} {
		r.mark(&words, w, questions)
	}
	r.matcher = newMatcher(words)
	return r
}

func (r *Refusals) add(words *[]string, from rule) {
	n := len(r.kinds)
	parts := strings.Split(from.words, "*")
	for i, part := range parts {
		for _, word := range strings.Split(part, "|") {
			for _, spelled := range []string{word, strings.ReplaceAll(word, "'", "’")} {
				w := number(words, strings.ToLower(spelled))
				r.word(w)
				if u := (use{n, i}); !slices.Contains(r.uses[w], u) {
					r.uses[w] = append(r.uses[w], u)
				}
			}
		}
	}
	r.kinds, r.lengths = append(r.kinds, from.kind), append(r.lengths, len(parts))
}

func (r *Refusals) mark(words *[]string, word string, m mark) {
	w := number(words, word)
	r.word(w)
	r.marks[w] = m
}

// word makes room for a word.
func (r *Refusals) word(w int) {
	for len(r.marks) <= w {
		r.marks, r.uses = append(r.marks, 0), append(r.uses, nil)
	}
}

// A hearing is what was heard of one text.
type hearing struct {
	says   kind     // of this clause, so far
	from   int      // where it begins
	room   [64]part // by rule
	more   []part   // in its place, for more rules
	clause int32    // counted from 1

	no, yes        int // clauses that said so last; 0: none
	unclear, sorry bool
	asks           bool
	phrase         string // the first no
	doubt          string // the first thing unclear
}

// A part is how far a rule has come in a clause.
type part struct {
	clause, done, end int32 // done: parts; end: of the last one
}

// part returns how far a rule has come.
func (h *hearing) part(rule, rules int) *part {
	if rules <= len(h.room) {
		return &h.room[rule]
	}
	if h.more == nil {
		h.more = make([]part, rules)
	}
	return &h.more[rule]
}

// Outcome says what an assistant's words, escaped as in JSON, come to: OK,
// Refused or Unclassified, with the words that say so.
func (r *Refusals) Outcome(escaped []byte) (o results.Outcome, why string) {
	text := escaped[:min(len(escaped), mostText)]
	if bytes.IndexByte(text, '\\') >= 0 {
		text = []byte(gjson.Parse(`"` + string(escaped) + `"`).Str)
		text = text[:min(len(text), mostText)]
	}
	h := hearing{clause: 1}
	r.matcher.each(text, func(word, start, end int) bool {
		if len(text) > longText && end > opening {
			return false
		}
		switch r.marks[word] {
		case ends:
			h.ends(text, start, end)
		case questions:
			h.asks = true
			h.ends(text, start, end)
		}
		for _, u := range r.uses[word] {
			if r.fires(&h, u, start, end) {
				h.says = max(h.says, r.kinds[u.rule])
			}
		}
		return true
	})
	h.ends(text, len(text), len(text))
	return h.verdict()
}

// fires notes a word of a rule, and says whether the rule has all of them now.
func (r *Refusals) fires(h *hearing, u use, start, end int) bool {
	if r.lengths[u.rule] == 1 {
		return true
	}
	p := h.part(u.rule, len(r.kinds))
	if p.clause != h.clause {
		*p = part{clause: h.clause}
	}
	switch {
	case u.part == 0 && p.done <= 1:
		p.done, p.end = 1, int32(end)
	case u.part > 0 && u.part == int(p.done) && start >= int(p.end) && start-int(p.end) <= gap:
		p.done, p.end = p.done+1, int32(end)
	}
	return int(p.done) == r.lengths[u.rule]
}

// ends ends a clause at start; the next begins at end.
func (h *hearing) ends(text []byte, start, end int) {
	switch h.says {
	case no:
		if h.no == 0 {
			h.phrase = clause(text[h.from:start])
		}
		h.no = int(h.clause)
	case yes:
		h.yes = int(h.clause)
	case unclear, sorry:
		if h.says == unclear && !h.unclear || h.doubt == "" {
			h.doubt = clause(text[h.from:start])
		}
		h.unclear, h.sorry = h.unclear || h.says == unclear, h.sorry || h.says == sorry
	}
	h.says, h.from = nothing, end
	h.clause++
}

func clause(b []byte) string { return wire.Clip(strings.TrimSpace(string(bytes.ToValidUTF8(b, nil)))) }

func (h *hearing) verdict() (results.Outcome, string) {
	switch {
	case h.no > 0 && h.yes == 0:
		return results.Refused, "the text says: " + h.phrase
	case h.no > h.yes:
		return results.Unclassified, "the text says yes and then: " + h.phrase
	case h.unclear:
		return results.Unclassified, "the text says: " + h.doubt
	case h.sorry && h.yes == 0 && !h.asks:
		return results.Unclassified, "the text only says: " + h.doubt
	}
	return results.OK, ""
}
