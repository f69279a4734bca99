// Package chat speaks to a shopping assistant.
//
// It speaks OpenAI's Chat Completions (completions.go), which most assistants
// offer, and OpenAI's Responses (responses.go), both streamed. What an answer
// comes to is decided by one set of rules (answer.go, failure.go, refusal.go);
// a dialect is how requests and answers are spelled.
//
// Nothing of a conversation is encoded twice: the history grows by the bytes as
// they came, and stands in the next request as it is.
package chat

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// An Assistant carries out turns. It is shared by all shoppers.
type Assistant struct {
	dialect dialect
	words   *Refusals
	path    string
	head    []byte // of a request's body, up to the first message
	closed  []byte // what follows the last message
	offered []byte // the same, of a step that offers tools
}

// A dialect is one protocol. It keeps nothing of an answer: that stands in the
// answer.
type dialect interface {
	// said appends what is new in the conversation; more says that something
	// stands before it.
	said(b []byte, more bool, step scenarios.Step) []byte
	// take takes the data of an event. It returns false after the last one that
	// counts.
	take(a *answer, data []byte, at time.Time) bool
	// whole takes an answer that came at once, as one JSON object.
	whole(a *answer, body []byte, at time.Time)
	// remember appends an answer to a conversation, after what was said.
	remember(b []byte, a *answer) []byte
}

// New returns the protocol for an endpoint; its protocol, path, model and
// rules for refusals are used. Steps that offer tools offer these.
func New(e scenarios.Endpoint, tools ...scenarios.Tool) *Assistant {
	words, path := NewRefusals(e.Refusals), strings.TrimSuffix(e.Path, "/")
	head := gjson.AppendJSONString([]byte(`{"model":`), e.Model)
	closed := []byte("]}")
	if e.Protocol == "openai-responses" {
		return &Assistant{
			dialect: responses{}, words: words, path: path + "/responses", closed: closed, offered: offer(tools, `{"type":"function","strict":false`, "}"),
			head: append(head, `,"stream":true,"store":false,"input":[`...),
		}
	}
	return &Assistant{
		dialect: completions{}, words: words, path: path + "/chat/completions", closed: closed, offered: offer(tools, `{"type":"function","function":{`, "}}"),
		head: append(head, `,"stream":true,"stream_options":{"include_usage":true},"messages":[`...),
	}
}

// maxBody is how much of an answer that is no stream is read, and how much of
// any answer is remembered.
const maxBody = 1 << 20

// Do implements crowd.Protocol. The shopper's history grows by the turn when
// its outcome is OK, ends with the last one, and stays as it was otherwise.
func (c *Assistant) Do(conn *wire.Conn, s *crowd.Shopper, step scenarios.Step) scenarios.Result {
	start := time.Now()
	first := step.FirstToken
	if first == 0 || first > step.Answer {
		first = step.Answer
	}
	scratch := conn.Scratch()
	scratch.Head = appendHead(scratch.Head[:0], step)
	said := c.dialect.said(scratch.Body[:0], len(s.History) > 0, step)
	scratch.Body = said
	tail := c.closed
	if step.Offer {
		tail = c.offered
	}
	resp, err := conn.Do(&wire.Request{
		Method: "POST", Path: c.path, Header: s.Header, Extra: scratch.Head,
		Body:  append(scratch.Parts[:0], c.head, s.History, said, tail),
		First: start.Add(first), Deadline: start.Add(step.Answer),
	})
	a := newAnswer()
	defer a.free()
	switch {
	case err != nil:
		return a.lost(err)
	case resp.Status < 200 || resp.Status > 299:
		return declined(resp)
	}
	kind := contentType(resp)
	switch kind {
	case eventStream, "":
		err = c.readStream(a, resp)
	case "application/json":
		err = c.readWhole(a, resp)
	default:
		resp.ReadAll(maxBody) // for the evidence; the answer is no better for it
		a.fault("an answer of type " + wire.Clip(kind))
	}
	if err != nil {
		return a.lost(err)
	}
	result := a.verdict(resp.At, c.words)
	switch {
	case result.Outcome != results.OK:
	case step.Last:
		s.History = nil
	default:
		s.History = slices.Grow(s.History, len(said)+len(a.text)+len(a.items)+64)
		s.History = append(s.History, said...)
		s.History = c.dialect.remember(s.History, a)
	}
	return result
}

// appendHead appends the head lines of one request.
func appendHead(b []byte, step scenarios.Step) []byte {
	b = append(b, "Content-Type: application/json\r\nAccept: text/event-stream\r\nIdempotency-Key: "...)
	b = step.Key.Append(b)
	b = append(b, "\r\n"...)
	return wire.TraceParent(b, step.Key, step.Attempt)
}

// eventStream is the media type of nearly all answers.
const eventStream = "text/event-stream"

// contentType returns the media type in lower case, without parameters.
func contentType(resp *wire.Response) string {
	kind, _, _ := bytes.Cut(resp.Field("Content-Type"), []byte(";"))
	if string(kind) == eventStream {
		return eventStream // which copies nothing
	}
	return strings.ToLower(strings.TrimSpace(string(kind)))
}

// readStream reads events until the stream says that it is done, or ends.
func (c *Assistant) readStream(a *answer, resp *wire.Response) error {
	events := resp.Events()
	for {
		e, err := events.Next()
		if err == io.EOF { // not errors.Is: a lost connection may wrap it
			return nil
		}
		if err != nil {
			return err
		}
		if a.firstChunk.IsZero() {
			a.firstChunk = resp.At
		}
		more := c.dialect.take(a, e.Data, resp.At)
		if a.began() {
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
func (c *Assistant) readWhole(a *answer, resp *wire.Response) error {
	body, err := resp.ReadAll(maxBody)
	if err != nil {
		return err
	}
	a.firstChunk, a.done = resp.At, true
	switch e, failed := failure(body); {
	case !valid(body):
		a.fault("an answer that is no JSON object")
	case failed:
		a.fail(e, "an error with status 200")
	default:
		c.dialect.whole(a, body, resp.At)
	}
	return nil
}

var _ crowd.Protocol = (*Assistant)(nil)
