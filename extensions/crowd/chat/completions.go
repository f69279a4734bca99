package chat

import (
	"bytes"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/pick"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/tools"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// completions is Chat Completions with streaming, as OpenAI publishes it.
type completions struct{}

var doneMark = []byte("[DONE]")

// said implements dialect.
func (completions) said(b []byte, more bool, step scenarios.Step) []byte {
	return tools.AppendSaid(b, more, &step)
}

// What is looked for in a chunk or a whole answer; in the one the words are in
// the choice's delta, in the other in its message.
const (
	ofError = iota
	ofCode
	ofTokens
	ofReasoned
	ofFinish
	ofContent
	ofRefusal
	ofThought
	ofThoughtToo
	ofCalls
	ofCompletion
)

var (
	chunkShape   = completionShape("delta")
	messageShape = completionShape("message")
)

func completionShape(words string) *pick.Shape {
	words = "choices.0." + words
	return pick.New("error", "code", "usage.completion_tokens", "usage.completion_tokens_details.reasoning_tokens", "choices.0.finish_reason",
		words+".content", words+".refusal", words+".reasoning_content", words+".reasoning", words+".tool_calls")
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
	var of [ofCompletion]pick.Value
	if !chunkShape.Object(data, of[:]) {
		return a.fault("a chunk that is no JSON object")
	}
	if of[ofError].Kind > pick.Null || of[ofCode].Kind == pick.String {
		if e, failed := failure(data); failed {
			return a.fail(e, "an error frame")
		}
	}
	counted := a.count(of[ofTokens].Result(), of[ofReasoned].Result())
	if !a.message(&of, at) {
		return false
	}
	if a.finish == "" && !a.no && len(a.calls.All) == 0 && !counted {
		a.learn(data, of[ofContent], thought(&of), pick.Value{})
	}
	return true
}

// whole implements dialect.
func (completions) whole(a *answer, body []byte, at time.Time) {
	var of [ofCompletion]pick.Value
	messageShape.Object(body, of[:])
	a.count(of[ofTokens].Result(), of[ofReasoned].Result())
	a.message(&of, at)
}

// message takes a delta or a message, and why the answer ends if it says so.
func (a *answer) message(of *[ofCompletion]pick.Value, at time.Time) bool {
	for _, field := range [...]int{ofContent, ofRefusal} {
		if k := of[field].Kind; k != pick.String && k > pick.Null {
			return a.fault("content that is no string")
		}
	}
	if len(thought(of).Inside()) > 0 {
		a.think(at)
	}
	if len(of[ofRefusal].Inside()) > 0 {
		a.refuse(at)
	}
	if !a.say(of[ofContent].Inside(), at) || !a.callTools(of[ofCalls], at) {
		return false
	}
	switch reason := of[ofFinish]; {
	case reason.Is("stop"): // nearly always
		a.finish = "stop" // which copies nothing
	case reason.Kind == pick.String && !reason.Is("null"): // as DashScope's own API writes it
		a.ends(reason.Str())
	}
	return true
}

// thought returns the reasoning in a delta: DeepSeek, DashScope and others call
// it reasoning_content, newer servers reasoning.
func thought(of *[ofCompletion]pick.Value) pick.Value {
	if t := of[ofThought]; len(t.Inside()) > 0 {
		return t
	}
	return of[ofThoughtToo]
}

var callShape = pick.New("index", "id", "function.name", "function.arguments")

// callTools takes the tool_calls of a delta or a message. Fragments of one call
// have the same index.
func (a *answer) callTools(list pick.Value, at time.Time) bool {
	ok := true
	var of [4]pick.Value
	callShape.Each(list, of[:], func() bool {
		index := -1.0 // some backends do not number calls
		if of[0].Kind == pick.Number {
			index = of[0].Result().Num
		}
		ok = a.call(index, string(of[1].Inside()), string(of[2].Inside()), string(of[3].Inside()), at)
		return ok
	})
	return ok
}

// remember implements dialect.
func (completions) remember(b []byte, a *answer) []byte { return a.calls.AppendAnswer(b, a.text) }
