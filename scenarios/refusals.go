package scenarios

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/ast"
)

// A Phrase is a campaign's own rule for telling a fluent no from a yes: what a
// clause of an answer says that has its words. Words are parts in their order,
// separated by *, each any of some words, separated by |.
type Phrase struct {
	Kind  string `json:"kind"`            // no, yes, unclear, sorry or aside; or BuiltIn
	Words string `json:"words,omitempty"` // none of BuiltIn
}

// BuiltIn is the kind of phrase that stands for all built-in rules of its
// language.
const BuiltIn = "builtin"

// PhraseKinds lists the kinds of a rule.
func PhraseKinds() []string { return []string{"no", "yes", "unclear", "sorry", "aside"} }

// BuiltInRefusals lists the languages that have built-in rules.
func BuiltInRefusals() []string { return []string{"en", "zh"} }

// Limits on a campaign's own rules.
const (
	maxPhrases     = 200 // of one language
	maxPhrase      = 500 // bytes
	maxPhraseParts = 4
	maxPhrasesSize = 8 << 10 // bytes of all
)

// refusals reads the rules by language. Text is a no.
func (r *reader) refusals(f field) map[string][]Phrase {
	if f.node == nil {
		return nil
	}
	all := map[string][]Phrase{}
	languages, values := r.pairs(f)
	for i, language := range languages {
		all[language] = []Phrase{}
		for _, item := range r.items(values[i]) {
			all[language] = append(all[language], r.phrase(item))
		}
	}
	return all
}

func (r *reader) phrase(f field) Phrase {
	p := Phrase{Kind: "no"}
	switch f.node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		fields, given := r.mapping(f, PhraseKinds()...), 0
		for _, kind := range PhraseKinds() {
			if fields[kind].node != nil {
				p.Kind = kind
				given++
				r.text(fields[kind], &p.Words)
			}
		}
		if given != 1 {
			r.misread(f, `{yes: "your order is in"}`, "must have one of %s", strings.Join(PhraseKinds(), ", "))
		}
	default:
		if r.text(f, &p.Words); p.Words == BuiltIn {
			p = Phrase{Kind: BuiltIn}
		}
	}
	return p
}

func (k *checker) refusals(path string, all map[string][]Phrase) {
	size := 0
	for _, phrases := range all {
		for _, p := range phrases {
			size += len(p.Words)
		}
	}
	if size > maxPhrasesSize {
		k.fault(path, "", "must have at most %d bytes of words together", maxPhrasesSize)
	}
	for _, language := range slices.Sorted(maps.Keys(all)) {
		at := path + "." + language
		if len(language) > 40 || !isName(language) {
			k.key(at, "zh, en, pt-BR", "%q is not the name of a language", clip(language, 60))
		}
		if len(all[language]) > maxPhrases {
			k.fault(at, "", "must be at most %d rules", maxPhrases)
		}
		for i, p := range all[language] {
			k.phrase(fmt.Sprintf("%s[%d]", at, i), language, p)
		}
	}
}

func (k *checker) phrase(path, language string, p Phrase) {
	if p.Kind == BuiltIn {
		if !slices.Contains(BuiltInRefusals(), language) {
			k.fault(path, "known: "+strings.Join(BuiltInRefusals(), ", "), "there are no built-in rules for %q", clip(language, 60))
		}
		if p.Words != "" {
			k.fault(path, "", "has words and is built-in")
		}
		return
	}
	parts := strings.Split(p.Words, "*")
	empty := func(part string) bool { return slices.Contains(strings.Split(part, "|"), "") }
	switch {
	case !slices.Contains(PhraseKinds(), p.Kind):
		k.fault(path, "known: "+strings.Join(PhraseKinds(), ", "), "there is no kind %q", clip(p.Kind, 60))
	case p.Words == "" || len(p.Words) > maxPhrase || strings.ContainsFunc(p.Words, unicode.IsControl):
		k.fault(path, "", "must be 1 to %d bytes of text on one line", maxPhrase)
	case len(parts) > maxPhraseParts:
		k.fault(path, "", "has more than %d parts between *", maxPhraseParts)
	case slices.ContainsFunc(parts, empty):
		k.fault(path, "can't|cannot*deliver", "%q has an empty word: parts are separated by *, words of a part by |", clip(p.Words, 60))
	}
}
