package chat

import (
	"bytes"
	"time"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/scenarios"
)

// completions is Chat Completions with streaming, as OpenAI publishes it.
type completions struct{}

var doneMark = []byte("[DONE]")

// said implements dialect.
func (completions) said(b []byte, more bool, step scenarios.Step) []byte {
	for _, t := range step.Tools {
		b = comma(b, more)
		b = append(b, `{"role":"tool","tool_call_id":`...)
		b = gjson.AppendJSONString(b, t.CallID)
		b = append(b, `,"content":`...)
		b = gjson.AppendJSONString(b, t.Content)
		b, more = append(b, '}'), true
	}
	return appendLine(b, more, step)
}

// take implements dialect.
func (completions) take(a *answer, data []byte, at time.Time) bool {
	if bytes.HasPrefix(data, doneMark) {
		a.done, a.end = true, at
		return false
	}
	if a.takeAgain(data, at) {
		return true
	}
	if !valid(data) {
		return a.fault("a chunk that is no JSON object")
	}
	if e, failed := failure(data); failed {
		return a.fail(e, "an error frame")
	}
	usage := gjson.GetBytes(data, "usage")
	counted := a.count(usage.Get("completion_tokens"), usage.Get("completion_tokens_details.reasoning_tokens"))
	choice := gjson.GetBytes(data, "choices.0")
	delta := choice.Get("delta")
	if !a.message(delta, at) {
		return false
	}
	a.finished(choice)
	if a.finish == "" && !a.no && len(a.calls) == 0 && !counted {
		a.learn(data, delta.Get("content"), thought(delta), gjson.Result{})
	}
	return true
}

// whole implements dialect.
func (completions) whole(a *answer, body []byte, at time.Time) {
	usage := gjson.GetBytes(body, "usage")
	a.count(usage.Get("completion_tokens"), usage.Get("completion_tokens_details.reasoning_tokens"))
	choice := gjson.GetBytes(body, "choices.0")
	if a.message(choice.Get("message"), at) {
		a.finished(choice)
	}
}

// message takes a delta or a message.
func (a *answer) message(m gjson.Result, at time.Time) bool {
	content, refusal := m.Get("content"), m.Get("refusal")
	for _, field := range [...]gjson.Result{content, refusal} {
		if field.Type != gjson.String && field.Type != gjson.Null {
			return a.fault("content that is no string")
		}
	}
	if inside(thought(m)) != "" {
		a.think(at)
	}
	if refusal.Str != "" {
		a.refuse(at)
	}
	return a.say([]byte(inside(content)), at) && a.callTools(m.Get("tool_calls"), at)
}

// thought returns the reasoning in a delta: DeepSeek, DashScope and others call
// it reasoning_content, newer servers reasoning.
func thought(delta gjson.Result) gjson.Result {
	if t := delta.Get("reasoning_content"); inside(t) != "" {
		return t
	}
	return delta.Get("reasoning")
}

// finished notes why the answer ends, if the choice says so.
func (a *answer) finished(choice gjson.Result) {
	if reason := choice.Get("finish_reason"); reason.Type == gjson.String && reason.Str != "null" { // as DashScope's own API writes it
		a.ends(reason.Str)
	}
}

// callTools takes the tool_calls of a delta or a message. Fragments of one call
// have the same index.
func (a *answer) callTools(list gjson.Result, at time.Time) bool {
	if !list.IsArray() {
		return true
	}
	ok := true
	list.ForEach(func(_, piece gjson.Result) bool {
		index := -1.0 // some backends do not number calls
		if n := piece.Get("index"); n.Type == gjson.Number {
			index = n.Num
		}
		ok = a.call(index, inside(piece.Get("id")), inside(piece.Get("function.name")), inside(piece.Get("function.arguments")), at)
		return ok
	})
	return ok
}

// remember implements dialect.
func (completions) remember(b []byte, a *answer) []byte {
	b = append(b, `,{"role":"assistant","content":`...)
	if len(a.text) == 0 {
		b = append(b, "null"...)
	} else {
		b = append(b, '"')
		b = append(b, a.text...)
		b = append(b, '"')
	}
	for i, c := range a.calls {
		if i == 0 {
			b = append(b, `,"tool_calls":[`...)
		} else {
			b = append(b, ',')
		}
		b = append(b, `{"id":"`...)
		b = append(b, c.id...)
		b = append(b, `","type":"function","function":{"name":"`...)
		b = append(b, c.name...)
		b = append(b, `","arguments":"`...)
		b = append(b, c.arguments...)
		b = append(b, `"}}`...)
	}
	if len(a.calls) > 0 {
		b = append(b, ']')
	}
	return append(b, '}')
}

// appendLine appends the user's line as a message, which both dialects spell
// alike. Who sends what tools gave says nothing, unless there is a line.
func appendLine(b []byte, more bool, step scenarios.Step) []byte {
	if step.Say == "" && len(step.Tools) > 0 {
		return b
	}
	b = append(comma(b, more), `{"role":"user","content":`...)
	b = gjson.AppendJSONString(b, step.Say)
	return append(b, '}')
}

func comma(b []byte, more bool) []byte {
	if more {
		b = append(b, ',')
	}
	return b
}
