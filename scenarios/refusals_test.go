package scenarios

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/flashcrowd/flashcrowd/results"
)

// refusing is a campaign with rules of its own.
func refusing(rules string) string {
	return strings.Replace(plain().String(), `"model": m`, `"model": m, "refusals": `+rules, 1)
}

func TestRefusals(t *testing.T) {
	const rules = `{zh: [builtin, 打烊了], de: ["haben|sind*zu", {yes: bestellt}, {unclear: vielleicht}, {aside: falls}, {sorry: leider}], en: []}`
	c, err := Parse("", []byte(refusing(rules)))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]Phrase{
		"zh": {{Kind: BuiltIn}, {"no", "打烊了"}}, "en": {},
		"de": {{"no", "haben|sind*zu"}, {"yes", "bestellt"}, {"unclear", "vielleicht"}, {"aside", "falls"}, {"sorry", "leider"}},
	}
	if !reflect.DeepEqual(c.Target.Chat.Refusals, want) {
		t.Errorf("%+v, want %+v", c.Target.Chat.Refusals, want)
	}
	p, err := c.Plan(results.Factors{})
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := DecodePlan(p.Encode())
	if err != nil || !reflect.DeepEqual(decoded.Target.Chat.Refusals, want) {
		t.Fatalf("decoded %+v: %v", decoded, err)
	}
	for _, other := range []string{"{}", strings.Replace(rules, "打烊了", "打烊", 1), strings.Replace(rules, "yes:", "no:", 1)} {
		c, err := Parse("", []byte(refusing(other)))
		if err != nil {
			t.Fatal(err)
		}
		if q, err := c.Plan(results.Factors{}); err != nil || q.Fingerprint() == p.Fingerprint() {
			t.Errorf("%s: the same fingerprint, %v", other, err)
		}
	}
}

func TestRefusalFaults(t *testing.T) {
	for rules, want := range map[string]string{
		`[shut]`:                  "target.chat.refusals: must be a mapping",
		`{en: shut}`:              "target.chat.refusals.en: must be a list",
		`{en: [5]}`:               "target.chat.refusals.en[0]: must be text in quotes",
		`{en: [""]}`:              "target.chat.refusals.en[0]: must be 1 to 500 bytes of text on one line",
		`{en: ["a\nb"]}`:          "target.chat.refusals.en[0]: must be 1 to 500 bytes of text on one line",
		`{en: ["a*"]}`:            `target.chat.refusals.en[0]: "a*" has an empty word`,
		`{en: ["a||b"]}`:          `target.chat.refusals.en[0]: "a||b" has an empty word`,
		`{en: ["a*b*c*d*e"]}`:     "target.chat.refusals.en[0]: has more than 4 parts between *",
		`{en: [{maybe: a}]}`:      `target.chat.refusals.en[0]: unknown key "maybe"`,
		`{en: [{no: a, yes: b}]}`: "target.chat.refusals.en[0]: must have one of no, yes, unclear, sorry, aside",
		`{en: [{}]}`:              "target.chat.refusals.en[0]: must have one of no, yes, unclear, sorry, aside",
		`{en: [` + strings.Repeat(strings.Repeat("x", 499)+",", 17) + `]}`: "target.chat.refusals: must have at most 8192 bytes of words together",
		`{de: [builtin]}`: `target.chat.refusals.de[0]: there are no built-in rules for "de"`,
		`{"a b": [x]}`:    `target.chat.refusals.a b: "a b" is not the name of a language`,
		`{en: [` + strings.Repeat("x,", 201) + `]}`: "target.chat.refusals.en: must be at most 200 rules",
	} {
		_, err := Parse("", []byte(refusing(rules)))
		var faults Faults
		if !errors.As(err, &faults) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v\nwant %s", rules, err, want)
		}
	}
}
