// Package chat speaks to a shopping assistant.
//
// OpenAI is Chat Completions with streaming, as OpenAI publishes it and most
// assistants offer it. Nothing of a conversation is encoded twice: the history
// grows by the bytes as they came, and stands in the next request as it is.
package chat

import (
	"io"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// OpenAI carries out turns. It is shared by all shoppers.
type OpenAI struct {
	path    string
	head    []byte // of the body, up to the first message
	offered []byte // what follows the last one, when the step offers tools
}

// New returns the protocol for an endpoint; its path and model are used. Steps
// that offer tools offer these.
func New(e scenarios.Endpoint, tools ...scenarios.Tool) *OpenAI {
	head := gjson.AppendJSONString([]byte(`{"model":`), e.Model)
	head = append(head, `,"stream":true,"stream_options":{"include_usage":true},"messages":[`...)
	return &OpenAI{path: strings.TrimSuffix(e.Path, "/") + "/chat/completions", head: head, offered: offer(tools)}
}

// maxBody is how much of an answer that is no stream is read.
const maxBody = 1 << 20

// Do implements crowd.Protocol. The shopper's history grows by the turn when
// its outcome is OK, and stays as it was otherwise.
func (o *OpenAI) Do(c *wire.Conn, s *crowd.Shopper, step scenarios.Step) scenarios.Result {
	start := time.Now()
	first := step.FirstToken
	if first == 0 || first > step.Answer {
		first = step.Answer
	}
	said := appendSaid(nil, len(s.History) > 0, step)
	tail := closed
	if step.Offer {
		tail = o.offered
	}
	resp, err := c.Do(&wire.Request{
		Method: "POST", Path: o.path, Header: s.Header, Extra: extra(step),
		Body:  [][]byte{o.head, s.History, said, tail},
		First: start.Add(first), Deadline: start.Add(step.Answer),
	})
	a := answer{}
	switch {
	case err != nil:
		return a.lost(err)
	case resp.Status < 200 || resp.Status > 299:
		return declined(resp)
	}
	kind := contentType(resp)
	switch kind {
	case "text/event-stream", "":
		err = a.readStream(resp)
	case "application/json":
		err = a.readWhole(resp)
	default:
		resp.ReadAll(maxBody) // for the evidence; the answer is no better for it
		a.fault("an answer of type " + wire.Clip(kind))
	}
	if err != nil {
		return a.lost(err)
	}
	result := a.verdict(resp.At)
	if result.Outcome == results.OK {
		s.History = append(s.History, said...)
		s.History = a.remember(s.History)
	}
	return result
}

// extra renders the head lines of one request.
func extra(step scenarios.Step) []byte {
	b := append(make([]byte, 0, 256), "Content-Type: application/json\r\nAccept: text/event-stream\r\nIdempotency-Key: "...)
	b = append(b, step.Key.String()...)
	b = append(b, "\r\n"...)
	return wire.TraceParent(b, step.Key, step.Attempt)
}

// closed follows the last message where no tools are offered.
var closed = []byte("]}")

// appendSaid appends what is new in the conversation as messages: what tools
// gave, and the user's line if there is one.
func appendSaid(b []byte, more bool, step scenarios.Step) []byte {
	for _, t := range step.Tools {
		b = appendResult(b, more, t)
		more = true
	}
	if step.Say == "" && len(step.Tools) > 0 {
		return b
	}
	if more {
		b = append(b, ',')
	}
	b = append(b, `{"role":"user","content":`...)
	b = gjson.AppendJSONString(b, step.Say)
	return append(b, '}')
}

// remember appends the answer as a message, after the user's.
func (a *answer) remember(b []byte) []byte {
	b = append(b, `,{"role":"assistant","content":`...)
	if len(a.text) == 0 {
		b = append(b, "null"...)
	} else {
		b = append(b, '"')
		b = append(b, a.text...)
		b = append(b, '"')
	}
	b = appendCalls(b, a.calls)
	return append(b, '}')
}

// contentType returns the media type in lower case, without parameters.
func contentType(resp *wire.Response) string {
	kind, _, _ := strings.Cut(resp.Header("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

// readStream reads events until the stream says that it is done, or ends.
func (a *answer) readStream(resp *wire.Response) error {
	events := resp.Events()
	for {
		e, err := events.Next()
		if err == io.EOF { // not errors.Is: a lost connection may wrap it
			return nil
		}
		if err != nil {
			return err
		}
		more := a.take(e.Data, e.At)
		if !a.firstToken.IsZero() {
			resp.Answering()
		}
		if !more {
			if a.outcome != results.Malformed {
				resp.Drain() // for the next request; this answer is complete
			}
			return nil
		}
	}
}

// readWhole reads an answer that came as one JSON object.
func (a *answer) readWhole(resp *wire.Response) error {
	body, err := resp.ReadAll(maxBody)
	if err != nil {
		return err
	}
	a.whole(body, resp.At)
	return nil
}

var _ crowd.Protocol = (*OpenAI)(nil)
