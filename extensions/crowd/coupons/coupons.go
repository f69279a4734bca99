// Package coupons claims coupons.
//
// WxpayFavor is WeChat Pay's call to send a cash coupon to a user (v3,
// marketing/favor). The out_request_no is the step's key, so a claim that is
// repeated is the same claim. Tool is the same as a tool of an MCP server.
package coupons

import (
	"net/url"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// Whom the claims come from. They mean nothing outside a test.
const (
	appID    = "wxflashcrowd"
	merchant = "1900000001"
)

// WxpayFavor carries out claims. It is shared by all shoppers.
type WxpayFavor struct {
	path string // up to the openid
	head []byte // of the body, up to the request number
}

// New returns the protocol for an endpoint; its name, version, path and stock id
// are used.
func New(e scenarios.Endpoint) crowd.Protocol {
	if e.Protocol == scenarios.MCP {
		return newTool(e)
	}
	head := gjson.AppendJSONString([]byte(`{"stock_id":`), e.StockID)
	return &WxpayFavor{
		path: strings.TrimSuffix(e.Path, "/") + "/v3/marketing/favor/users/",
		head: append(head, `,"out_request_no":"`...),
	}
}

// tail is the body after the request number.
var tail = []byte(`","appid":"` + appID + `","stock_creator_mchid":"` + merchant + `"}`)

// maxBody is how much of an answer is read; a good one has a few dozen bytes.
const maxBody = 64 << 10

// Do implements crowd.Protocol.
func (w *WxpayFavor) Do(c *wire.Conn, s *crowd.Shopper, step scenarios.Step) scenarios.Result {
	start := time.Now()
	scratch := c.Scratch()
	scratch.Head = appendHead(scratch.Head[:0], step)
	scratch.Body = step.Key.Append(scratch.Body[:0])
	resp, err := c.Do(&wire.Request{
		Method: "POST", Path: w.path + url.PathEscape(s.UserID()) + "/coupons", Header: s.Header, Extra: scratch.Head,
		Body:  append(scratch.Parts[:0], w.head, scratch.Body, tail),
		First: start.Add(step.Answer), Deadline: start.Add(step.Answer),
	})
	if err != nil {
		return lost(err)
	}
	body, err := resp.ReadAll(maxBody)
	if err != nil {
		return lost(err)
	}
	r := classify(resp.Status, body)
	if resp.Status > 299 {
		r.Status = resp.Status
	}
	r.End, r.RetryAfter = resp.At, wire.RetryAfter(resp, resp.At)
	return r
}

// appendHead appends the head lines of one request.
func appendHead(b []byte, step scenarios.Step) []byte {
	b = append(b, "Content-Type: application/json\r\nAccept: application/json\r\nIdempotency-Key: "...)
	b = step.Key.Append(b)
	b = append(b, "\r\n"...)
	return wire.TraceParent(b, step.Key, step.Attempt)
}

// lost is the result when the wire failed.
func lost(err error) scenarios.Result {
	return scenarios.Result{Outcome: wire.Outcome(err), Why: err.Error(), End: time.Now()}
}

var _ crowd.Protocol = (*WxpayFavor)(nil)
