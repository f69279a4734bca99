package chat

import (
	"bytes"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/pick"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/tools"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// An answer is gathered piece by piece.
type answer struct {
	text   []byte // the content so far, still escaped as in JSON
	calls  tools.Calls
	items  []byte // Responses: what the next request repeats, as it came, each after a comma
	no     bool   // it came as a refusal, in the field that is there for it
	finish string // the reason; empty until it came
	done   bool   // the stream said so, or the whole came at once

	deltas   int // with content, or of a call
	thoughts int // deltas of reasoning
	tokens   int // as the backend counts, reasoning included; 0 if it does not say
	reasoned int // of them reasoning; 0 if it does not say

	plain, thinking envelope // of the last delta with nothing but content, and of the last one with nothing but reasoning

	firstChunk, firstThought time.Time
	firstToken, lastToken    time.Time
	end                      time.Time // of what counts; zero: the last byte

	outcome results.Outcome // what ended it before its time
	why     string          // empty if nothing did
}

// answers are those that were freed: an answer takes a kilobyte or more, and a
// shopper one for each turn.
var answers = sync.Pool{New: func() any { return new(answer) }}

// newAnswer returns an answer of which nothing has come.
func newAnswer() *answer {
	a := answers.Get().(*answer)
	*a = answer{text: a.text[:0], items: a.items[:0], plain: a.plain.empty(), thinking: a.thinking.empty()}
	return a
}

// keepAtMost is how much of an answer's memory is used again: one giant answer
// must not pin its size for ever.
const keepAtMost = 64 << 10

// free gives the answer's memory to the next one.
func (a *answer) free() {
	if cap(a.text)+cap(a.items)+a.plain.size()+a.thinking.size() <= keepAtMost && len(a.calls.All) == 0 {
		answers.Put(a)
	}
}

// takeAgain takes an event that differs from an earlier one in its text alone;
// false for any other.
func (a *answer) takeAgain(data []byte, at time.Time) bool {
	if text, ok := a.plain.inside(data); ok {
		return a.say(text, at)
	}
	if text, ok := a.thinking.inside(data); ok {
		if len(text) > 0 {
			a.think(at)
		}
		return true
	}
	return false
}

// learn keeps what stands around content or reasoning, for takeAgain. The
// caller has seen that the event says nothing else; number counts the events,
// if anything in them does.
func (a *answer) learn(data []byte, content, thought, number pick.Value) {
	switch {
	case len(thought.Inside()) == 0 && content.Kind == pick.String:
		a.plain.learn(data, content, number)
		if len(content.Inside()) == 0 {
			a.plain.leaveOutRole()
		}
	case len(thought.Inside()) > 0 && len(content.Inside()) == 0:
		a.thinking.learn(data, thought, number)
	}
}

// say takes content, still escaped. It returns false if that is too much.
func (a *answer) say(text []byte, at time.Time) bool {
	if len(text) == 0 {
		return true
	}
	if len(a.text)+len(text) > maxBody {
		return a.fault("an answer that is too long to remember")
	}
	a.text = append(a.text, text...)
	a.deltas++
	a.token(at)
	return true
}

// think notes a piece of reasoning.
func (a *answer) think(at time.Time) {
	a.thoughts++
	if a.firstThought.IsZero() {
		a.firstThought = at
	}
}

// refuse notes a piece of a refusal that came in the field for it.
func (a *answer) refuse(at time.Time) {
	a.no = true
	a.token(at)
}

// token notes when something that counts came.
func (a *answer) token(at time.Time) {
	if a.firstToken.IsZero() {
		a.firstToken = at
	}
	a.lastToken = at
}

// began says whether the shopper has seen a sign of an answer: its words, or
// the thoughts that assistants show before them.
func (a *answer) began() bool { return !a.firstToken.IsZero() || !a.firstThought.IsZero() }

// ends notes why the answer ends.
func (a *answer) ends(reason string) { a.finish = wire.Clip(reason) }

// maxTokens is beyond what any answer has.
const maxTokens = 1 << 24

// count notes the backend's own count of tokens, and how many of them were
// reasoning. It returns false if it is none.
func (a *answer) count(all, reasoned gjson.Result) bool {
	if all.Type == gjson.Number && all.Num > 0 && all.Num < maxTokens {
		a.tokens = int(all.Num)
		if reasoned.Type == gjson.Number && reasoned.Num > 0 && reasoned.Num <= all.Num {
			a.reasoned = int(reasoned.Num)
		}
	}
	return all.Exists()
}

// fault ends the answer as malformed. It returns false.
func (a *answer) fault(why string) bool {
	a.outcome, a.why = results.Malformed, why
	return false
}

// fail ends the answer with an error that came with status 200. One that came
// before anything was said is what the status would have been, had the head
// not been sent. It returns false.
func (a *answer) fail(e gjson.Result, what string) bool {
	a.outcome, a.why = results.ErrorInStream, what
	if code := errorCode(e); code != "" {
		a.why += ": " + code
	}
	if o := meaning(e); !a.began() && o != results.Unclassified {
		a.outcome = o
	}
	return false
}

// verdict says what the answer came to, once nothing more of it comes. Last is
// when its last byte came; words are the rules for what was said.
func (a *answer) verdict(last time.Time, words *Refusals) scenarios.Result {
	r := a.result(last)
	if !a.end.IsZero() {
		r.End = a.end
	}
	switch {
	case a.why != "":
		r.Outcome, r.Why = a.outcome, a.why
	case a.finish == "" && a.done:
		r.Outcome, r.Why = results.Truncated, "it says that it is done, and not why (finish_reason, response.completed)"
	case a.finish == "":
		r.Outcome, r.Why = results.Truncated, "the stream ended before the answer did ([DONE], response.completed)"
	case a.no:
		r.Outcome, r.Why = results.Refused, "a refusal"
	case a.finish == "content_filter":
		r.Outcome, r.Why = results.Refused, "ended by content_filter"
	case a.finish == "error":
		r.Outcome, r.Why = results.ErrorInStream, "ended by error"
	case a.finish == "abort", a.finish == "incomplete":
		r.Outcome, r.Why = results.Truncated, "ended by "+a.finish
	case a.calls.Broken():
		r.Outcome, r.Why = results.Malformed, "a tool call without an id or a name"
	case len(a.calls.All) > 0:
		r.Outcome, r.Calls = results.OK, a.calls.Read()
	case len(a.text) == 0:
		r.Outcome, r.Why = results.Malformed, "an empty answer"
	default:
		r.Outcome, r.Why = words.Outcome(a.text)
	}
	return r
}

// lost is the result when the wire failed.
func (a *answer) lost(err error) scenarios.Result {
	r := a.result(time.Now())
	r.Outcome, r.Why = wire.Outcome(err), err.Error()
	return r
}

// result returns what was measured. Reasoning counts apart: a backend's count
// of tokens has it among them, and what it does not say is one for each delta.
func (a *answer) result(end time.Time) scenarios.Result {
	tokens, reasoning := a.tokens, a.reasoned
	if reasoning == 0 {
		reasoning = a.thoughts
	}
	if tokens == 0 {
		tokens = a.deltas
	} else {
		tokens = max(tokens-reasoning, min(a.deltas, tokens))
	}
	return scenarios.Result{
		FirstChunk: a.firstChunk, FirstReasoning: a.firstThought, FirstToken: a.firstToken, LastToken: a.lastToken,
		End: end, Tokens: tokens, Reasoning: reasoning,
	}
}

// valid says whether data is one JSON object in UTF-8. What is not would break
// the history, and with it the next request.
func valid(data []byte) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	return len(data) > 0 && data[0] == '{' && utf8.Valid(data) && gjson.ValidBytes(data)
}
