package custom

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/tools"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// An answer says how the assistant's words come.
type answer struct {
	scenarios.Answer
	until  *rule
	result template // of what a call gave
}

// A telling is what came of one answer so far.
type telling struct {
	scenarios.Result
	text    []byte // escaped as in JSON
	calls   tools.Calls
	step    *scenarios.Step
	decided bool   // Outcome says how it ended
	last    []byte // the event that values are taken from
}

// turn reads the answer to a turn.
func (h *HTTP) turn(o *operation, resp *wire.Response, s *crowd.Shopper, step *scenarios.Step, said []byte) scenarios.Result {
	t := telling{step: step}
	kind, _, _ := strings.Cut(strings.ToLower(resp.Header("Content-Type")), ";")
	streamed := o.answer.Events == scenarios.SSE && resp.Status/100 == 2 && (kind == "" || strings.TrimSpace(kind) == "text/event-stream")
	var err error
	if streamed {
		err = o.stream(&t, resp, resp.Events().Next)
	} else {
		err = o.whole(&t, resp)
	}
	return h.told(o, &t, err, resp, s, said)
}

// told says what came of a turn whose answer was read, and goes on with the
// conversation if it was good.
func (h *HTTP) told(o *operation, t *telling, err error, resp *wire.Response, s *crowd.Shopper, said []byte) scenarios.Result {
	if err != nil {
		t.Outcome, t.Why, t.End = wire.Outcome(err), err.Error(), time.Now()
		return t.Result
	}
	t.End, t.RetryAfter = resp.At, wire.RetryAfter(resp, resp.At)
	switch {
	case t.decided:
		return t.Result
	case t.called(o.answer).Broken():
		t.Outcome, t.Why = results.Malformed, "a tool call without an id or a name"
		return t.Result
	case len(t.calls.All) > 0:
		t.Outcome, t.Calls = results.OK, t.calls.Read()
	case len(t.text) == 0:
		t.Outcome, t.Why = results.Malformed, "an empty answer"
		return t.Result
	default:
		if t.Outcome, t.Why = h.words(t.text); t.Outcome != results.OK {
			return t.Result
		}
	}
	o.taken(&t.Result, s, scenarios.Turn, resp, t.last)
	switch {
	case t.Outcome != results.OK:
	case t.step.Last:
		s.History = nil
	default:
		s.History = t.calls.AppendAnswer(said, t.text)
	}
	return t.Result
}

// whole reads an answer that is no stream, meant to be one or not.
func (o *operation) whole(t *telling, resp *wire.Response) error {
	body, err := resp.ReadAll(maxBody)
	if err != nil {
		return err
	}
	isJSON := valid(body)
	switch {
	case o.answer.Events == scenarios.JSON && len(o.ok) == 0 && resp.Status/100 == 2 && isJSON:
		t.Result, t.decided = o.declined(resp.Status, body, isJSON)
	default:
		t.Result = o.classify(resp.Status, body)
		t.decided = t.Outcome != results.OK
	}
	if t.decided {
		return nil
	}
	switch o.answer.Events {
	case scenarios.SSE:
		t.decide(results.Malformed, "an answer that is no stream of events")
		return nil
	case scenarios.WebSocket:
		t.decide(results.Malformed, "an answer that is no WebSocket")
		return nil
	}
	t.FirstChunk = resp.At
	if why, failed := o.answer.failed(body); failed {
		t.decide(results.Unavailable, why)
		return nil
	}
	t.say(gjson.GetBytes(body, o.answer.Text), resp.At)
	o.answer.call(t, body, resp.At)
	t.last = body
	return nil
}

// stream reads events until the answer is done, or ends.
func (o *operation) stream(t *telling, resp *wire.Response, next func() (wire.Event, error)) error {
	a := o.answer
	for {
		e, err := next()
		if err == io.EOF {
			if !t.decided && (a.Done != "" || a.until != nil) {
				t.decide(results.Truncated, "the stream ended before it said that it is done")
			}
			return nil
		}
		if err != nil {
			return err
		}
		if t.FirstChunk.IsZero() {
			t.FirstChunk = resp.At
		}
		done := a.Done != "" && string(e.Data) == a.Done
		if !done {
			if done = o.event(t, resp, e.Data); !t.FirstToken.IsZero() {
				resp.Answering()
			}
		}
		switch {
		case len(t.text) > maxBody:
			t.decide(results.Malformed, fmt.Sprintf("an answer of more than %d bytes", maxBody))
			return nil // and not drained: it may never end
		case done || t.decided:
			resp.Drain()
			return nil
		}
	}
}

// event takes one event. It returns true when that is the last.
func (o *operation) event(t *telling, resp *wire.Response, data []byte) (done bool) {
	if !valid(data) {
		t.decide(results.Malformed, "an event that is no JSON")
		return true
	}
	if why, failed := o.answer.failed(data); failed {
		t.decide(results.ErrorInStream, why)
		return true
	}
	if r, no := o.declined(resp.Status, data, true); no {
		t.decide(r.Outcome, r.Why)
		return true
	}
	t.say(gjson.GetBytes(data, o.answer.Text), resp.At)
	o.answer.call(t, data, resp.At)
	if len(o.take) > 0 {
		t.last = append(t.last[:0], data...)
	}
	if o.answer.until == nil {
		return false
	}
	_, done = o.answer.until.match(resp.Status, data, true)
	return done
}

// failed says whether a text carries an error.
func (a *answer) failed(data []byte) (why string, failed bool) {
	if a.Error == "" {
		return "", false
	}
	e := gjson.GetBytes(data, a.Error)
	return a.Error + ": " + wire.Clip(e.String()), e.Exists() && e.Type != gjson.Null
}

// say takes a piece of the text.
func (t *telling) say(piece gjson.Result, at time.Time) {
	if piece.Type != gjson.String || piece.Str == "" {
		return
	}
	t.text = appendEscaped(t.text, piece.Str)
	t.token(at)
}

// token notes when something that counts came.
func (t *telling) token(at time.Time) {
	if t.FirstToken.IsZero() {
		t.FirstToken = at
	}
	t.LastToken = at
	t.Tokens++
}

func (t *telling) decide(o results.Outcome, why string) { t.Outcome, t.Why, t.decided = o, why, true }
