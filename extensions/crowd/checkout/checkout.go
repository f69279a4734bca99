// Package checkout opens a checkout, puts the coupon into it and pays.
//
// UCP is the Universal Commerce Protocol 2026-04-08 over REST. It says no in
// the body of a 200, so the outcome comes from there; see classify.go.
package checkout

import (
	"net/url"
	"strings"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// UCP carries out create, update and complete. It is shared by all shoppers.
type UCP struct {
	path string // of the sessions
}

// New returns the protocol for an endpoint; its path is used.
func New(e scenarios.Endpoint) *UCP {
	return &UCP{path: strings.TrimSuffix(e.Path, "/") + "/checkout-sessions"}
}

// maxBody is how much of an answer is read.
const maxBody = 1 << 20

// Do implements crowd.Protocol.
func (u *UCP) Do(c *wire.Conn, s *crowd.Shopper, step scenarios.Step) scenarios.Result {
	start := time.Now()
	req := wire.Request{
		Method: "POST", Path: u.path, Header: s.Header, Extra: extra(step),
		First: start.Add(step.Answer), Deadline: start.Add(step.Answer),
	}
	session := "/" + url.PathEscape(step.Session)
	switch step.Kind {
	case scenarios.Update:
		req.Method, req.Path = "PUT", req.Path+session
		req.Body = [][]byte{appendUpdate(nil, step)}
	case scenarios.Complete:
		req.Path += session + "/complete"
		req.Body = [][]byte{appendComplete(nil, s)}
	default:
		req.Body = [][]byte{appendCreate(nil, step)}
	}
	resp, err := c.Do(&req)
	if err != nil {
		return lost(err)
	}
	body, err := resp.ReadAll(maxBody)
	if err != nil {
		return lost(err)
	}
	r := classify(step, resp.Status, body)
	r.End, r.RetryAfter = resp.At, wire.RetryAfter(resp, resp.At)
	return r
}

// lost is the result when the wire failed.
func lost(err error) scenarios.Result {
	return scenarios.Result{Outcome: wire.Outcome(err), Why: err.Error(), End: time.Now()}
}

var _ crowd.Protocol = (*UCP)(nil)
