package chat

import (
	"bytes"
	"time"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/pick"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/tools"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// responses is OpenAI's Responses with streaming. Nothing is stored at the
// backend: each request repeats the conversation as items. Of an answer these
// are the messages and the calls, as they came; reasoning is left out, because
// a backend that stores nothing does not know it again.
type responses struct{}

// said implements dialect.
func (responses) said(b []byte, more bool, step scenarios.Step) []byte {
	for _, t := range step.Tools {
		b = comma(b, more)
		b = append(b, `{"type":"function_call_output","call_id":`...)
		b = gjson.AppendJSONString(b, t.CallID)
		b = append(b, `,"output":`...)
		b = gjson.AppendJSONString(b, t.Content)
		b, more = append(b, '}'), true
	}
	return tools.AppendLine(b, more, &step)
}

// What is looked for in an event.
const (
	ofType = iota
	ofDelta
	ofNumber
	ofIndex
	ofItem
	ofResponse
	ofEvent
)

var eventShape = pick.New("type", "delta", "sequence_number", "output_index", "item", "response")

// take implements dialect. Events that are not named here say nothing that a
// shopper waits for.
func (responses) take(a *answer, data []byte, at time.Time) bool {
	if a.takeAgain(data, at) {
		return true
	}
	if bytes.HasPrefix(data, doneMark) { // not of this protocol, but gateways add it
		a.done, a.end = true, at
		return false
	}
	var of [ofEvent]pick.Value
	if !eventShape.Object(data, of[:]) {
		return a.fault("an event that is no JSON object")
	}
	place := of[ofIndex].Result().Num
	switch kind := of[ofType].Str(); kind {
	case "response.output_text.delta", "response.reasoning_text.delta", "response.reasoning_summary_text.delta":
		content, thought := of[ofDelta], pick.Value{}
		if content.Kind != pick.String {
			return a.fault("a delta that is no string")
		}
		if kind != "response.output_text.delta" {
			content, thought = thought, content
		}
		a.learn(data, content, thought, of[ofNumber])
		if len(thought.Inside()) > 0 {
			a.think(at)
		}
		return a.say(content.Inside(), at)
	case "response.refusal.delta", "response.refusal.done":
		a.refuse(at)
	case "response.output_item.added":
		if item := of[ofItem].Result(); item.Get("type").Str == "function_call" {
			return a.call(place, inside(item.Get("call_id")), inside(item.Get("name")), inside(item.Get("arguments")), at)
		}
	case "response.function_call_arguments.delta":
		return a.call(place, "", "", string(of[ofDelta].Inside()), at)
	case "response.output_item.done":
		return a.item(place, of[ofItem].Result(), at)
	case "response.completed", "response.incomplete":
		a.done, a.end = true, at
		a.response(of[ofResponse].Result(), at)
		return false
	case "response.failed":
		return a.fail(of[ofResponse].Result().Get("error"), kind)
	default:
		e, failed := failure(data)
		switch {
		case failed:
			return a.fail(e, "an error event")
		case kind == "error": // without a code
			return a.fail(gjson.ParseBytes(data), "an error event")
		}
	}
	return true
}

// whole implements dialect.
func (responses) whole(a *answer, body []byte, at time.Time) { a.response(gjson.ParseBytes(body), at) }

// response takes what ends an answer: the whole of it. What was streamed before
// is not taken again.
func (a *answer) response(r gjson.Result, at time.Time) {
	usage := r.Get("usage")
	a.count(usage.Get("output_tokens"), usage.Get("output_tokens_details.reasoning_tokens"))
	if len(a.items) == 0 {
		ok, place := true, 0.0
		r.Get("output").ForEach(func(_, item gjson.Result) bool {
			ok = a.item(place, item, at)
			place++
			return ok
		})
		if !ok {
			return
		}
	}
	switch status := r.Get("status").Str; status {
	case "incomplete":
		a.ends("incomplete")
		switch reason := r.Get("incomplete_details.reason").Str; reason {
		case "max_output_tokens", "content_filter":
			a.ends(reason)
		}
	case "failed":
		a.fail(r.Get("error"), "response.failed")
	case "completed", "":
		a.ends("completed")
	default: // queued, in_progress, cancelled: no answer came
		a.outcome, a.why = results.Truncated, "a response that is "+status
	}
}

// item takes an item of the answer that is complete.
func (a *answer) item(index float64, item gjson.Result, at time.Time) bool {
	ok := true
	switch item.Get("type").Str {
	case "message":
		streamed := len(a.text) > 0
		item.Get("content").ForEach(func(_, part gjson.Result) bool {
			switch part.Get("type").Str {
			case "output_text":
				if !streamed {
					ok = a.say([]byte(inside(part.Get("text"))), at)
				}
			case "refusal":
				a.refuse(at)
			}
			return ok
		})
	case "function_call":
		id, arguments := inside(item.Get("call_id")), inside(item.Get("arguments"))
		c := a.calls.At(index, id)
		if c != nil && len(c.Arguments) > 0 {
			arguments = "" // streamed
		}
		if c == nil || len(c.ID) == 0 || arguments != "" {
			ok = a.call(index, id, inside(item.Get("name")), arguments, at)
		}
	default:
		return true
	}
	if ok && len(a.items)+len(item.Raw) > maxBody {
		return a.fault("an answer that is too long to remember")
	}
	a.items = append(append(a.items, ','), item.Raw...)
	return ok
}

// remember implements dialect.
func (responses) remember(b []byte, a *answer) []byte {
	if len(a.items) > 0 {
		return append(b, a.items...)
	}
	if len(a.text) > 0 {
		b = append(b, `,{"role":"assistant","content":"`...)
		b = append(b, a.text...)
		b = append(b, `"}`...)
	}
	for _, c := range a.calls.All {
		b = append(b, `,{"type":"function_call","call_id":"`...)
		b = append(b, c.ID...)
		b = append(b, `","name":"`...)
		b = append(b, c.Name...)
		b = append(b, `","arguments":"`...)
		b = append(b, c.Arguments...)
		b = append(b, `"}`...)
	}
	return b
}
