package storefront

import (
	"iter"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// The assistant calls tools where the request offers them: it looks up what the
// user speaks of, and once the user agrees, it claims a coupon, opens a
// checkout, applies the one to the other and pays. It decides from the
// conversation alone, so that the same one gets the same answer.

// A toolCall is what the assistant wants done.
type toolCall struct{ id, name, arguments string }

// A tooled is a conversation with tools: what was called and what came of it.
type tooled struct {
	offered map[string]bool
	calls   map[string]string // tool of a call, by its id
	told    bool              // the last message is what a tool gave

	searched, refused bool   // refused: there is no coupon to be had
	coupon, checkout  string // the last of each
	applied, ordered  bool   // to the checkout; and it was paid
	failed            string // why the last call since the user spoke did not do it
}

// offers takes the tools of a request; name is where one has its name.
func (a *ask) offers(tools gjson.Result, name string) {
	tools.ForEach(func(_, t gjson.Result) bool {
		if a.tools.offered == nil {
			a.tools.offered = map[string]bool{}
		}
		a.tools.offered[t.Get(name).Str] = true
		return true
	})
}

// called takes a call that the assistant made before.
func (a *ask) called(id, name string) {
	if a.tools.calls == nil {
		a.tools.calls = map[string]string{}
	}
	a.tools.calls[id] = name
}

// gave takes what a tool gave.
func (t *tooled) gave(call, content string) {
	t.told = true
	r := gjson.Parse(content)
	if e := r.Get("error").Str; e != "" {
		switch t.calls[call] {
		case "search":
			t.searched = true
		case "claim":
			t.refused = true
		default:
			t.failed = e
			if why := r.Get("why").Str; why != "" {
				t.failed = why
			}
		}
		return
	}
	switch t.calls[call] {
	case "search":
		t.searched = true
	case "claim":
		t.coupon = r.Get("coupon").Str
	case "create":
		t.checkout, t.applied = r.Get("checkout").Str, false
	case "update":
		t.applied = true
	case "complete":
		t.ordered = true
	}
}

// wants returns what the assistant would have done next; none if it speaks. Place is
// the item that the user wants, count how many of it.
func (a *ask) wants(place int, count int64) []toolCall {
	t := &a.tools
	var calls []toolCall
	call := func(name, arguments string) {
		if t.offered[name] {
			calls = append(calls, toolCall{"call_" + strconv.Itoa(a.messages) + "_" + strconv.Itoa(len(calls)), name, arguments})
		}
	}
	switch {
	case place < 0 || t.ordered || t.failed != "":
	case !a.agreed():
		if !t.searched && !t.told {
			call("search", `{"query":`+string(appendString(nil, catalogue[place].chinese))+`}`)
		}
	case t.checkout == "":
		if t.coupon == "" && !t.refused && catalogue[place].kind == goods {
			call("claim", "{}")
		}
		call("create", `{"item":"`+catalogue[place].id+`","quantity":`+strconv.FormatInt(count, 10)+`}`)
	case t.coupon != "" && !t.applied && t.offered["update"]:
		call("update", `{"checkout":`+string(appendString(nil, t.checkout))+`,"coupon":`+string(appendString(nil, t.coupon))+`}`)
	default:
		call("complete", `{"checkout":`+string(appendString(nil, t.checkout))+`}`)
	}
	return calls
}

// agreed says whether the user's last line is a yes: it says so, or it is the
// only one and names a number.
func (a *ask) agreed() bool {
	said := strings.ToLower(a.lines[len(a.lines)-1])
	for _, word := range [...]string{
		"下单", "付款", "付清", "预订", "确认", "交吧", "再试一次",
		"place the order", "order it", "book it", "pay it", "pay this", "pay now", "confirmed", "same as last time", "all of it at once", "try again",
	} {
		if strings.Contains(said, word) {
			return true
		}
	}
	return len(a.lines) == 1 && number(said) > 0
}

// tokens yields the answer piece by piece, each as what sends it.
func (r reply) tokens() iter.Seq[func(*stream) error] {
	return func(yield func(func(*stream) error) bool) {
		for _, w := range r.words {
			if !yield(func(s *stream) error { return s.Say(w) }) {
				return
			}
		}
		for i := range r.calls {
			c := &r.calls[i]
			if !yield(func(s *stream) error { return s.Call(c, "") }) {
				return
			}
			for rest := c.arguments; rest != ""; {
				piece := rest[:cut(rest)]
				rest = rest[len(piece):]
				if !yield(func(s *stream) error { return s.Call(c, piece) }) {
					return
				}
			}
		}
	}
}

// cut returns where a piece of arguments ends: after some bytes, and between
// characters.
func cut(text string) int {
	n := min(8, len(text))
	for n < len(text) && !utf8.RuneStart(text[n]) {
		n++
	}
	return n
}
