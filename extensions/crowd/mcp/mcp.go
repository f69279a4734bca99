// Package mcp calls the tools of a Model Context Protocol server over
// streamable HTTP. It knows nothing of what a tool does: coupons and checkout
// give it a tool's name and arguments and judge the structured content that
// comes back.
//
// It speaks two generations. In 2026-07-28 each request stands alone. In
// 2025-11-25 there is a session (session.go): opening one takes an initialize
// and a notification, which belong to the first step that needs it, as dialling
// does. What around a tool's content is already an answer, such as an error of
// JSON-RPC, is in answer.go.
package mcp

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// A Client calls the tools behind one endpoint. It is shared by all shoppers.
type Client struct {
	path     string
	version  string
	sessions bool
}

// New returns the client for an endpoint: its version and path are used.
func New(e scenarios.Endpoint) *Client {
	return &Client{path: e.Path, version: e.Version, sessions: e.Version != stateless}
}

// stateless is the version that has no sessions.
const stateless = "2026-07-28"

// An Answer is what a call came to.
type Answer struct {
	// Content is the tool's structured content, a JSON object. It is valid until
	// the connection's next request. If there is none, Result says all.
	Content []byte
	// Failed says that the tool calls it an error: no content makes that OK.
	Failed bool
	// Result has what is known apart from the content: times, a pause that was
	// asked for, and, without content, the outcome and why.
	Result scenarios.Result
}

// As returns the result of a call whose content means r: what the tool calls an
// error is none that is well, and times are the call's own. What names what the
// content is of.
func (a Answer) As(r scenarios.Result, what string) scenarios.Result {
	if a.Failed && r.Outcome == results.OK {
		r = scenarios.Result{Outcome: results.Unclassified, Why: "isError, around " + what}
	}
	r.End, r.Status, r.RetryAfter = a.Result.End, a.Result.Status, a.Result.RetryAfter
	return r
}

// maxBody is how much of an answer is read.
const maxBody = 1 << 20

// Call has a tool carry out a step. The arguments are one JSON object, in
// parts. If what was sent was preparation, the result says More.
func (m *Client) Call(c *wire.Conn, s *crowd.Shopper, step scenarios.Step, tool string, arguments ...[]byte) Answer {
	deadline := time.Now().Add(step.Answer)
	session := s.Sessions[m.path]
	switch {
	case m.sessions && session.Head == "":
		return Answer{Result: m.open(c, s, step, deadline)}
	case m.sessions && !session.Ready:
		return Answer{Result: m.ready(c, s, step, session, deadline)}
	}
	id := step.Key.String() + "/" + strconv.Itoa(step.Request())
	head := m.head(session, step)
	params := appendCall(nil, id, tool)
	tail := "}}"
	if !m.sessions {
		head = append(head, "Mcp-Method: tools/call\r\nMcp-Name: "+tool+"\r\n"...)
		tail = meta
	}
	body := append([][]byte{params}, arguments...)
	message, resp, err := m.exchange(c, &wire.Request{
		Method: "POST", Path: m.path, Header: s.Header, Extra: head, Body: append(body, []byte(tail)), First: deadline, Deadline: deadline,
	}, id)
	if err != nil {
		return Answer{Result: lost(err)}
	}
	if resp.Status == 404 && strings.HasPrefix(session.Head, named) { // nothing was done: the session is over
		delete(s.Sessions, m.path)
		return Answer{Result: more(resp)}
	}
	a := parse(resp.Status, message, id)
	a.Result = stamped(a.Result, resp)
	return a
}

// meta ends the parameters of a version without sessions: what a session would
// know is in each request.
const meta = `,"_meta":{"io.modelcontextprotocol/protocolVersion":"` + stateless + `",` +
	`"io.modelcontextprotocol/clientInfo":` + clientInfo + `,"io.modelcontextprotocol/clientCapabilities":{}}}}`

const clientInfo = `{"name":"flashcrowd","version":"1"}`

// appendCall appends the beginning of a tools/call, up to the arguments.
func appendCall(b []byte, id, tool string) []byte {
	b = append(b, `{"jsonrpc":"2.0","id":"`...)
	b = append(b, id...)
	b = append(b, `","method":"tools/call","params":{"name":`...)
	b = gjson.AppendJSONString(b, tool)
	return append(b, `,"arguments":`...)
}

// head renders the head lines of one request.
func (m *Client) head(session crowd.Session, step scenarios.Step) []byte {
	b := append(make([]byte, 0, 384), "Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n"...)
	if m.sessions {
		b = append(b, session.Head...)
	} else {
		b = append(b, m.plain()...)
	}
	return wire.TraceParent(b, step.Key, step.Request())
}

// plain is the head line that names the version.
func (m *Client) plain() string { return "MCP-Protocol-Version: " + m.version + "\r\n" }

// exchange sends a request and reads the JSON-RPC response with its id, or
// whatever else the answer holds. The server may send it as one JSON text or as
// a stream of events, with notifications and requests of its own in between:
// those are passed over, since this client offers no capability.
func (m *Client) exchange(c *wire.Conn, req *wire.Request, id string) ([]byte, *wire.Response, error) {
	resp, err := c.Do(req)
	if err != nil {
		return nil, nil, err
	}
	if kind, _, _ := strings.Cut(resp.Header("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(kind), "text/event-stream") || resp.Status > 299 {
		body, err := resp.ReadAll(maxBody)
		return body, resp, err
	}
	for events := resp.Events(); ; {
		event, err := events.Next()
		if err == io.EOF {
			return nil, nil, &wire.Error{Kind: wire.Truncated, Err: errNoResponse}
		}
		if err != nil {
			return nil, nil, err
		}
		resp.Answering()
		if len(event.Data) == 0 || aside(event.Data, id) {
			continue
		}
		// The response should end the stream. Where it does not at once, the
		// connection is not used again.
		at, data := resp.At, bytes.Clone(event.Data)
		_ = resp.Drain()
		resp.At = at
		return data, resp, nil
	}
}

// stamped adds what the head of an answer says.
func stamped(r scenarios.Result, resp *wire.Response) scenarios.Result {
	r.End = resp.At
	if resp.Status > 299 {
		r.Status = resp.Status
	}
	if r.RetryAfter == 0 {
		r.RetryAfter = wire.RetryAfter(resp, resp.At)
	}
	return r
}

// lost is the result when the wire failed.
func lost(err error) scenarios.Result {
	return scenarios.Result{Outcome: wire.Outcome(err), Why: err.Error(), End: time.Now()}
}
