package checkout

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/pick"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// acp is ACP 2026-04-17, or 2025-09-29. Paying takes two requests: the first
// has the shopper's card made a token that is good for this checkout and no
// more than its total, the second completes with it. Each is a step.
//
// The item of 2026-04-17 has no quantity, neither in a create nor in an update:
// a gap in its schema, which its own examples fill with fields that the schema
// forbids. The schema stands: who wants three of an item names it three times.
//
// 2025-09-29 has no discounts. No shopper gets to an update there.
type acp struct {
	version  string
	currency string // in lower case
}

// early says whether it is the first version.
func (a acp) early() bool { return a.version == "2025-09-29" }

func (a acp) head(b []byte) []byte {
	b = append(b, "API-Version: "...)
	b = append(b, a.version...)
	return append(b, "\r\n"...)
}

func (a acp) request(b []byte, s *crowd.Shopper, step scenarios.Step) (method, path string, body []byte) {
	const sessions = "/checkout_sessions"
	session := sessions + "/" + url.PathEscape(step.Session)
	switch step.Kind {
	case scenarios.Read, scenarios.Poll:
		return "GET", session, nil
	case scenarios.Update:
		body = a.appendItems(append(b, '{'), step.Item)
		if !a.early() {
			body = appendCode(append(body, ','), step.Coupon)
		}
		return "POST", session, append(body, '}')
	case scenarios.Delegate:
		return "POST", "/agentic_commerce/delegate_payment", a.appendDelegation(b, step)
	case scenarios.Complete:
		return "POST", session + "/complete", a.appendPayment(b, step)
	}
	body = a.appendItems(append(b, '{'), step.Item)
	if !a.early() {
		body = append(body, `,"currency":"`+a.currency+`","capabilities":{}`...)
	}
	return "POST", sessions, append(body, '}')
}

func (a acp) appendItems(b []byte, item scenarios.Item) []byte {
	quantity := max(1, item.Quantity)
	if a.early() {
		b = append(b, `"items":[{"id":`...)
		b = gjson.AppendJSONString(b, item.ID)
		b = append(b, `,"quantity":`...)
		b = strconv.AppendInt(b, int64(quantity), 10)
		return append(b, "}]"...)
	}
	b = append(b, `"line_items":[`...)
	for i := range quantity {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"id":`...)
		b = append(gjson.AppendJSONString(b, item.ID), '}')
	}
	return append(b, ']')
}

// appendDelegation appends the body that hands a test card to the payment
// provider. When the token expires is a moment that does not move: a repeated
// request has to be the same one.
func (a acp) appendDelegation(b []byte, step scenarios.Step) []byte {
	currency := a.currency
	if step.Currency != "" {
		currency = strings.ToLower(step.Currency)
	}
	b = append(b, `{"payment_method":{"type":"card","card_number_type":"fpan","number":"4242424242424242","exp_month":"12","exp_year":"2099",`+
		`"display_card_funding_type":"credit","display_brand":"visa","display_last4":"4242","metadata":{}},"allowance":{"reason":"one_time","max_amount":`...)
	b = strconv.AppendInt(b, step.Amount, 10)
	b = append(b, `,"currency":`...)
	b = gjson.AppendJSONString(b, currency)
	b = append(b, `,"checkout_session_id":`...)
	b = gjson.AppendJSONString(b, step.Session)
	return append(b, `,"merchant_id":"merchant","expires_at":"2099-12-31T23:59:59Z"},`+
		`"risk_signals":[{"type":"card_testing","score":0,"action":"authorized"}],"metadata":{}}`...)
}

// appendPayment appends the body that pays with the token. The first version
// knows one provider.
func (a acp) appendPayment(b []byte, step scenarios.Step) []byte {
	if a.early() {
		b = append(b, `{"payment_data":{"token":`...)
		b = gjson.AppendJSONString(b, step.Token)
		return append(b, `,"provider":"stripe"}}`...)
	}
	b = append(b, `{"payment_data":{"handler_id":"sandbox","instrument":{"type":"card","credential":{"type":"spt","token":`...)
	b = gjson.AppendJSONString(b, step.Token)
	return append(b, "}}}}"...)
}

// envelope finds none around a checkout. An error of the protocol is flat, and
// has a type and a code where a checkout has its status.
func (a acp) envelope(of answer) (no string, ok bool) {
	if kind := of[ofType].Str(); kind != "" && of[ofStatus].Kind == pick.Missing {
		return wire.Clip(kind + ": " + of[ofCode].Text()), true
	}
	return "", true
}

func (a acp) state(status string) state {
	switch status {
	case "not_ready_for_payment", "ready_for_payment":
		return open
	case "canceled":
		return stuck
	case "in_progress":
		return busy
	case "completed":
		return done
	}
	if a.early() {
		return unknown
	}
	switch status {
	case "incomplete":
		return open
	case "requires_escalation", "authentication_required", "expired":
		return stuck
	case "complete_in_progress", "pending_approval":
		return busy
	}
	return unknown
}

var _ dialect = acp{}
