// Package checkout opens a checkout, puts the coupon into it and pays.
//
// It speaks UCP, the Universal Commerce Protocol (ucp.go), and ACP, the Agentic
// Commerce Protocol (acp.go), over REST, and UCP as tools of an MCP server
// (mcp.go). All have the same operations and say no in the body of a 200, so one
// set of rules decides what an answer means (classify.go); a dialect is how
// requests are spelled, and what of an answer is spelled differently.
package checkout

import (
	"cmp"
	"strings"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/mcp"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// A Checkout carries out create, update, delegate and complete over REST, and,
// where the protocol has a catalogue, search. A poll is a read of the checkout
// that stands for the answer to what it asks about. It is shared by all shoppers.
type Checkout struct {
	dialect dialect
	path    string // of the endpoint
}

// A dialect is one version of one protocol.
type dialect interface {
	// head appends the head lines that only this protocol has.
	head(b []byte) []byte
	// request renders a step: its method, path behind the endpoint's, and body,
	// which it appends to b.
	request(b []byte, s *crowd.Shopper, step scenarios.Step) (method, path string, body []byte)
	// envelope looks at what is around a checkout in an answer of a 2xx. It
	// returns why the business did not do it, if it says so there, or, with
	// false, why this is no answer of the protocol.
	envelope(of answer) (no string, ok bool)
	// state says what a checkout's status means.
	state(status string) state
}

// New returns the protocol for an endpoint: its name, version, path and
// currency are used.
func New(e scenarios.Endpoint) crowd.Protocol {
	if e.Protocol == scenarios.MCP {
		return &Tools{mcp.New(e)}
	}
	return overREST(e)
}

func overREST(e scenarios.Endpoint) *Checkout {
	c := &Checkout{path: e.Path}
	currency := cmp.Or(e.Currency, "CNY")
	switch {
	case e.Protocol == "acp":
		c.dialect = acp{version: e.Version, currency: strings.ToLower(currency)}
	case e.Version == "2026-01-11":
		c.dialect = ucpJanuary{currency: currency}
	default:
		c.dialect = ucp{}
	}
	return c
}

// maxBody is how much of an answer is read.
const maxBody = 1 << 20

// Do implements crowd.Protocol.
func (p *Checkout) Do(c *wire.Conn, s *crowd.Shopper, step scenarios.Step) scenarios.Result {
	start := time.Now()
	scratch := c.Scratch()
	scratch.Head = p.appendHead(scratch.Head[:0], step)
	method, path, body := p.dialect.request(scratch.Body[:0], s, step)
	if body != nil {
		scratch.Body = body
	}
	resp, err := c.Do(&wire.Request{
		Method: method, Path: p.path + path, Header: s.Header, Extra: scratch.Head, Body: append(scratch.Parts[:0], body),
		First: start.Add(step.Answer), Deadline: start.Add(step.Answer),
	})
	if err != nil {
		return lost(err)
	}
	answer, err := resp.ReadAll(maxBody)
	if err != nil {
		return lost(err)
	}
	r := classify(p.dialect, step, resp.Status, answer)
	if resp.Status > 299 {
		r.Status = resp.Status
	}
	r.End, r.RetryAfter = resp.At, wire.RetryAfter(resp, resp.At)
	return r
}

// appendHead appends the head lines of one request. The request id is the key:
// what is sent twice is one intent, and the trace tells the attempts apart.
func (p *Checkout) appendHead(b []byte, step scenarios.Step) []byte {
	b = append(b, "Accept: application/json\r\n"...)
	switch step.Kind {
	case scenarios.Read, scenarios.Poll: // have no body, and change nothing
	case scenarios.Search: // changes nothing
		b = append(b, "Content-Type: application/json\r\n"...)
	default:
		b = append(b, "Content-Type: application/json\r\nIdempotency-Key: "...)
		b = step.Key.Append(b)
		b = append(b, "\r\n"...)
	}
	b = p.dialect.head(b)
	b = append(b, "Request-Id: "...)
	b = step.Key.Append(b)
	b = append(b, "\r\n"...)
	return wire.TraceParent(b, step.Key, step.Request())
}

// lost is the result when the wire failed.
func lost(err error) scenarios.Result {
	return scenarios.Result{Outcome: wire.Outcome(err), Why: err.Error(), End: time.Now()}
}

var _ crowd.Protocol = (*Checkout)(nil)
