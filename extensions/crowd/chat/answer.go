package chat

import (
	"bytes"
	"time"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// An answer is gathered piece by piece.
type answer struct {
	text   []byte // the content so far, still escaped as in JSON
	calls  []call // of tools
	argued int    // bytes of them
	no     bool   // it came as a refusal, in the field that is there for it
	deltas int    // with content, or of a call
	tokens int    // as the backend counts; 0 if it does not say
	finish string // the reason; empty until it came
	done   bool   // the stream said so, or the whole came at once

	around envelope // of the last plain delta

	firstChunk, firstToken, lastToken time.Time
	end                               time.Time // of what counts; zero: the last byte

	outcome results.Outcome // what ended it before its time
	why     string          // empty if nothing did
}

var doneMark = []byte("[DONE]")

// take takes the data of an event. It returns false after the last one that
// counts.
func (a *answer) take(data []byte, at time.Time) bool {
	if a.firstChunk.IsZero() {
		a.firstChunk = at
	}
	if bytes.HasPrefix(data, doneMark) {
		a.done, a.end = true, at
		return false
	}
	if text, ok := a.around.content(data); ok {
		a.say(text, at)
		return true
	}
	if !valid(data) {
		return a.fault("a chunk that is no JSON object")
	}
	if e := gjson.GetBytes(data, "error"); e.Exists() && e.Type != gjson.Null {
		a.outcome, a.why = results.ErrorInStream, "an error frame: "+errorCode(e)
		return false
	}
	usage := gjson.GetBytes(data, "usage.completion_tokens")
	if usage.Type == gjson.Number {
		a.count(usage)
	}
	choice := gjson.GetBytes(data, "choices.0")
	delta := choice.Get("delta")
	if !a.message(delta, at) {
		return false
	}
	a.finished(choice)
	if content := delta.Get("content"); content.Type == gjson.String && a.finish == "" && !a.no && len(a.calls) == 0 && !usage.Exists() {
		a.around.learn(data, content)
	}
	return true
}

// whole takes an answer that came at once.
func (a *answer) whole(body []byte, at time.Time) {
	a.firstChunk, a.done = at, true
	if !valid(body) {
		a.fault("an answer that is no JSON object")
		return
	}
	if e := gjson.GetBytes(body, "error"); e.Exists() && e.Type != gjson.Null {
		a.outcome, a.why = byCode(e), "an error with status 200: "+errorCode(e)
		if a.outcome == results.Unclassified {
			a.outcome = results.ErrorInStream
		}
		return
	}
	a.count(gjson.GetBytes(body, "usage.completion_tokens"))
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
	if refusal.Str != "" {
		a.no = true
	}
	a.say([]byte(inside(content)), at)
	if refusal.Str != "" {
		a.token(at)
	}
	return a.callTools(m.Get("tool_calls"), at)
}

// say takes content, still escaped.
func (a *answer) say(text []byte, at time.Time) {
	if len(text) == 0 {
		return
	}
	a.text = append(a.text, text...)
	a.deltas++
	a.token(at)
}

// token notes when something that counts came.
func (a *answer) token(at time.Time) {
	if a.firstToken.IsZero() {
		a.firstToken = at
	}
	a.lastToken = at
}

// finished notes why the answer ends, if the choice says so.
func (a *answer) finished(choice gjson.Result) {
	if reason := choice.Get("finish_reason"); reason.Type == gjson.String {
		a.finish = wire.Clip(reason.Str)
	}
}

// maxTokens is beyond what any answer has.
const maxTokens = 1 << 24

func (a *answer) count(n gjson.Result) {
	if n.Num > 0 && n.Num < maxTokens {
		a.tokens = int(n.Num)
	}
}

// fault ends the answer as malformed. It returns false.
func (a *answer) fault(why string) bool {
	a.outcome, a.why = results.Malformed, why
	return false
}

// verdict says what the answer came to, once nothing more of it comes. Last is
// when its last byte came.
func (a *answer) verdict(last time.Time) scenarios.Result {
	r := a.result(last)
	if !a.end.IsZero() {
		r.End = a.end
	}
	switch {
	case a.why != "":
		r.Outcome, r.Why = a.outcome, a.why
	case a.finish == "" && a.done:
		r.Outcome, r.Why = results.Truncated, "the stream is done and gave no finish_reason"
	case a.finish == "":
		r.Outcome, r.Why = results.Truncated, "the stream ended without finish_reason and [DONE]"
	case a.no:
		r.Outcome, r.Why = results.Refused, "a refusal"
	case a.finish == "content_filter":
		r.Outcome, r.Why = results.Refused, "finish_reason content_filter"
	case len(a.text) == 0 && len(a.calls) == 0:
		r.Outcome, r.Why = results.Malformed, "an empty answer"
	case len(a.calls) > 0:
		if r.Outcome, r.Why = results.OK, broken(a.calls); r.Why != "" {
			r.Outcome = results.Malformed
		} else {
			r.Calls = called(a.calls)
		}
	default:
		r.Outcome = results.OK
		if phrase := refusal(a.text); phrase != "" {
			r.Outcome, r.Why = results.Refused, "the text says: "+phrase
		}
	}
	return r
}

// lost is the result when the wire failed.
func (a *answer) lost(err error) scenarios.Result {
	r := a.result(time.Now())
	r.Outcome, r.Why = wire.Outcome(err), err.Error()
	return r
}

// result returns what was measured.
func (a *answer) result(end time.Time) scenarios.Result {
	tokens := a.tokens
	if tokens == 0 {
		tokens = a.deltas
	}
	return scenarios.Result{
		FirstChunk: a.firstChunk, FirstToken: a.firstToken, LastToken: a.lastToken,
		End: end, Tokens: tokens,
	}
}

// valid says whether data is one JSON object in UTF-8. What is not would break
// the history, and with it the next request.
func valid(data []byte) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	return len(data) > 0 && data[0] == '{' && utf8.Valid(data) && gjson.ValidBytes(data)
}
