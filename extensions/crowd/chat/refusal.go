package chat

import (
	"strings"

	"github.com/tidwall/gjson"
)

// phrases tell a fluent answer that declines from one that helps. The table is
// conservative: a refusal that is missed is seen when the order fails, a good
// answer that is taken for one is seen by nobody.
var phrases = [...]string{
	"no physical hands",
	"as a large language model",
	"cannot place orders",
	"can't place orders",
	"活动太火爆",
	"请稍后再试",
	"系统繁忙",
	"当前人数过多",
	"系统开小差",
}

// longestRefusal is the most bytes of a text that is looked at: who declines is
// brief, and a long answer that has such a phrase somewhere did more than that.
const longestRefusal = 1200

// refusal returns the phrase that makes the text, escaped as in JSON, a
// refusal; empty if there is none.
func refusal(escaped []byte) string {
	if len(escaped) > 6*longestRefusal { // \uXXXX for every byte
		return ""
	}
	text := gjson.Parse(`"` + string(escaped) + `"`).Str
	if len(text) > longestRefusal {
		return ""
	}
	text = strings.ToLower(strings.ReplaceAll(text, "’", "'"))
	for _, phrase := range phrases {
		if strings.Contains(text, phrase) {
			return phrase
		}
	}
	return ""
}

// Refusal returns the phrase that makes an assistant's words, escaped as in
// JSON, a refusal; empty if there is none. It is for other protocols.
func Refusal(escaped []byte) string { return refusal(escaped) }
