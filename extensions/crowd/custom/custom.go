// Package custom speaks to backends that have no protocol of their own here.
//
// HTTP carries out what the campaign describes: each operation's request as a
// template, what to take from its answer, and rules for what the answer means.
// GraphQL is one case of it: a POST whose body is the query. MCP comes here
// too.
//
// What an answer means comes from the rules alone. What none of them matches
// is unclassified, but for the statuses that mean the same everywhere (429,
// 408 and 5xx); it is never ok.
package custom

import (
	"fmt"
	"strings"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// HTTP carries out the operations of one endpoint. It is shared by all shoppers.
type HTTP struct {
	operations map[string]*operation // by the step's name
	words      Words
}

// Words say what an assistant's words, escaped as in JSON, come to, and why
// they are not ok.
type Words func(escaped []byte) (results.Outcome, string)

// New returns the protocol for an endpoint of a target; words are for chat.
func New(t *scenarios.Target, e scenarios.Endpoint, words Words) (*HTTP, error) {
	h := &HTTP{operations: make(map[string]*operation, len(e.Operations)), words: words}
	for name, described := range e.Operations {
		o, err := compile(strings.TrimSuffix(e.Path, "/"), described, lines("{{step.key}}"))
		if err != nil {
			return nil, fmt.Errorf("describe %s: %w", name, err)
		}
		if t.Login != nil {
			if err := o.expire(t.Login.Expired); err != nil {
				return nil, fmt.Errorf("describe %s: %w", name, err)
			}
		}
		o.tools = offer(t.Tools())
		h.operations[name] = o
	}
	return h, nil
}

// NewLogin returns the protocol of the steps that make a shopper known; nil if a
// target has none.
func NewLogin(l *scenarios.Login) (crowd.Protocol, error) {
	if l == nil {
		return nil, nil
	}
	own := map[string]scenarios.Operation{scenarios.SignIn.String(): l.Operation}
	if l.Refresh != nil {
		own[scenarios.Refresh.String()] = *l.Refresh
	}
	return New(&scenarios.Target{}, scenarios.Endpoint{Operations: own}, nil)
}

// maxBody is how much of an answer is read.
const maxBody = 1 << 20

// Do implements crowd.Protocol. The shopper's history grows by a turn whose
// outcome is OK, and ends with the last one; what it took is kept after any step
// that is.
func (h *HTTP) Do(c *wire.Conn, s *crowd.Shopper, step scenarios.Step) scenarios.Result {
	start := time.Now()
	o := h.operations[step.For().String()]
	if o != nil && step.Kind == scenarios.Poll {
		o = o.poll
	}
	if o == nil { // a journey leaves out what is not described
		return scenarios.Result{Why: "the campaign does not describe " + step.Kind.String(), End: start}
	}
	req, said, err := o.request(s, step)
	if err != nil {
		return scenarios.Result{Outcome: results.Malformed, Why: err.Error(), End: time.Now()}
	}
	req.First, req.Deadline = start.Add(step.Answer), start.Add(step.Answer)
	if first := step.FirstToken; first > 0 && first < step.Answer {
		req.First = start.Add(first)
	}
	host, prefix := c.Target()
	req.Extra = appendCookies(req.Extra, s, prefix+req.Path, start)
	if o.answer != nil && o.answer.Events == scenarios.WebSocket {
		return h.talk(o, c, s, step, req, said)
	}
	resp, err := c.Do(req)
	if err != nil {
		return lost(err)
	}
	remember(s, resp, host, prefix+req.Path)
	if o.answer != nil {
		return h.turn(o, resp, s, &step, said)
	}
	body, err := resp.ReadAll(maxBody)
	if err != nil {
		return lost(err)
	}
	r := o.classify(resp.Status, body)
	if r.Outcome == results.OK {
		o.taken(&r, s, step.For(), resp, body)
	}
	if r.Outcome == results.OK && o.items != nil {
		r.Offers = found(o.items, body)
	}
	if resp.Status > 299 {
		r.Status = resp.Status
	}
	r.End, r.RetryAfter = resp.At, wire.RetryAfter(resp, resp.At)
	return r
}

// lost is the result when the wire failed.
func lost(err error) scenarios.Result {
	return scenarios.Result{Outcome: wire.Outcome(err), Why: err.Error(), End: time.Now()}
}

var _ crowd.Protocol = (*HTTP)(nil)
