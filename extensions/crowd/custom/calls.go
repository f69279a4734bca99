package custom

import (
	"fmt"
	"time"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/tools"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// call takes the tool calls of an event, or of a whole answer.
func (a *answer) call(t *telling, data []byte, at time.Time) {
	if a.Calls == nil || t.decided {
		return
	}
	found := gjson.GetBytes(data, a.Calls.List)
	if !found.IsArray() {
		a.fragment(t, found, at)
		return
	}
	found.ForEach(func(_, c gjson.Result) bool {
		a.fragment(t, c, at)
		return !t.decided
	})
}

// fragment takes a call, or a piece of one where calls have an index. What has
// neither id, name nor arguments is none.
func (a *answer) fragment(t *telling, c gjson.Result, at time.Time) {
	if !c.IsObject() {
		return
	}
	index := float64(len(t.calls.All)) // whole: one of its own
	if a.Calls.Index != "" {
		index = -1
		if n := c.Get(a.Calls.Index); n.Type == gjson.Number {
			index = n.Num
		}
	}
	id := ""
	if a.Calls.ID != "" {
		id = plain(c.Get(a.Calls.ID))
	}
	name, arguments := plain(c.Get(a.Calls.Name)), plain(c.Get(a.Calls.Arguments))
	if id == "" && name == "" && (arguments == "" || a.Calls.Index == "") {
		return
	}
	if why := t.calls.Add(index, inside(id), inside(name), inside(arguments)); why != "" {
		t.decide(results.Malformed, why)
		return
	}
	t.token(at)
}

// plain returns the text of a value: of a string what it says, of null nothing,
// and of anything else its JSON.
func plain(v gjson.Result) string {
	switch v.Type {
	case gjson.Null:
		return ""
	case gjson.String:
		return v.Str
	}
	return v.Raw
}

func inside(text string) string { return string(appendEscaped(nil, text)) }

// called returns the calls of an answer that is whole. Where they come without
// ids, they get such as no other turn's have.
func (t *telling) called(a *answer) *tools.Calls {
	if a.Calls != nil && a.Calls.ID == "" {
		for i := range t.calls.All {
			t.calls.All[i].ID = fmt.Appendf(nil, "call_%d_%d", t.step.Index, i)
		}
	}
	return &t.calls
}

// offer renders the tools that are offered.
func offer(all []scenarios.Tool) []byte {
	b := []byte("[")
	for i, t := range all {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"name":`...)
		b = gjson.AppendJSONString(b, t.Name)
		b = append(b, `,"description":`...)
		b = gjson.AppendJSONString(b, t.Description)
		b = append(b, `,"parameters":`...)
		b = append(append(b, t.Parameters...), '}')
	}
	return append(b, ']')
}

// appendResult appends what a call gave, as the campaign spells it.
func (a *answer) appendResult(b []byte, r scenarios.ToolResult) []byte {
	value := func(name string) string {
		switch name {
		case "call.id":
			return r.CallID
		case "call.name":
			return r.Name
		}
		return r.Content
	}
	return a.result.append(b, value, func(name string) []byte {
		if name == "call.json" {
			return []byte(r.Content)
		}
		return nil
	}, appendEscaped)
}
