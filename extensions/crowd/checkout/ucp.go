package checkout

import (
	"net/url"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/pick"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// ucp is UCP 2026-04-08.
type ucp struct{}

// profile is where a business could read who calls. It can't be reached, on
// purpose: a profile that is fetched for each request would be load on
// something else than the target.
const (
	profile = "https://flashcrowd.invalid/.well-known/ucp"
	agent   = "UCP-Agent: profile=\"" + profile + "\"\r\n"
)

func (ucp) head(b []byte) []byte { return append(b, agent...) }

func (ucp) request(b []byte, s *crowd.Shopper, step scenarios.Step) (method, path string, body []byte) {
	method, path = ucpRoute(step)
	switch step.Kind {
	case scenarios.Read, scenarios.Poll:
		return method, path, nil
	case scenarios.Search:
		b = append(gjson.AppendJSONString(append(b, `{"query":`...), step.Query), '}')
	case scenarios.Update:
		// An update replaces the whole, so the lines are in it again.
		b = appendLines(append(b, '{'), step.Item)
		b = append(appendCode(append(b, ','), step.Coupon), '}')
	case scenarios.Complete:
		b = appendInstrument(b, s.UserID())
	default:
		b = append(appendLines(append(b, '{'), step.Item), '}')
	}
	return method, path, b
}

// ucpRoute returns the method and the path of a step.
func ucpRoute(step scenarios.Step) (method, path string) {
	const sessions = "/checkout-sessions"
	switch step.Kind {
	case scenarios.Search:
		return "POST", "/catalog/search"
	case scenarios.Read, scenarios.Poll:
		return "GET", sessions + "/" + url.PathEscape(step.Session)
	case scenarios.Update:
		return "PUT", sessions + "/" + url.PathEscape(step.Session)
	case scenarios.Complete:
		return "POST", sessions + "/" + url.PathEscape(step.Session) + "/complete"
	}
	return "POST", sessions
}

// appendInstrument appends the body that pays, with a card that the handler of
// a sandbox made a token of.
func appendInstrument(b []byte, user string) []byte {
	b = append(b, `{"payment":{"instruments":[{"id":`...)
	b = gjson.AppendJSONString(b, "card_"+user)
	b = append(b, `,"handler_id":"sandbox","type":"card","selected":true,"display":{"brand":"visa","last_digits":"4242"},"credential":{"type":"token","token":`...)
	b = gjson.AppendJSONString(b, "tok_"+user)
	return append(b, `}}]}}`...)
}

func appendLines(b []byte, item scenarios.Item) []byte {
	b = append(b, `"line_items":[{"item":{"id":`...)
	b = gjson.AppendJSONString(b, item.ID)
	b = append(b, `},"quantity":`...)
	b = strconv.AppendInt(b, int64(max(1, item.Quantity)), 10)
	return append(b, "}]"...)
}

// appendCode appends the discounts: codes that are sent replace those that were.
func appendCode(b []byte, code string) []byte {
	b = append(b, `"discounts":{"codes":[`...)
	b = gjson.AppendJSONString(b, code)
	return append(b, "]}"...)
}

func (ucp) envelope(of answer) (no string, ok bool) {
	if of[ofUCP].Kind != pick.Object {
		return "no ucp object", false
	}
	switch status := of[ofUCPStatus]; {
	case status.Is("error"):
		return "ucp.status is error, without a message", true
	case status.Kind != pick.Missing && !status.Is("success"):
		return "ucp.status is " + wire.Clip(status.Text()), true
	}
	return "", true
}

func (ucp) state(status string) state {
	switch status {
	case "incomplete", "ready_for_complete":
		return open
	case "requires_escalation", "canceled":
		return stuck
	case "complete_in_progress":
		return busy
	case "completed":
		return done
	}
	return unknown
}

// ucpJanuary is UCP 2026-01-11. Its answers are read like those of 2026-04-08:
// it has no ucp.status, which may be absent there, and what else differs
// (capabilities as an array, discounts without a sign) decides nothing.
type ucpJanuary struct {
	ucp
	currency string
}

// head has a Request-Signature, because the version requires the header. There
// is no key that the business could know, so it signs nothing.
func (u ucpJanuary) head(b []byte) []byte {
	return append(u.ucp.head(b), "Request-Signature: unsigned\r\n"...)
}

func (u ucpJanuary) request(b []byte, s *crowd.Shopper, step scenarios.Step) (method, path string, body []byte) {
	method, path = ucpRoute(step)
	switch step.Kind {
	case scenarios.Read, scenarios.Poll:
		return method, path, nil
	case scenarios.Complete:
		return method, path, appendPaymentData(b, s.UserID())
	}
	b = append(b, '{')
	if step.Kind == scenarios.Update {
		b = append(b, `"id":`...)
		b = append(gjson.AppendJSONString(b, step.Session), ',')
	}
	b = appendLines(b, step.Item)
	b = append(b, `,"currency":"`+u.currency+`","payment":{}`...)
	if step.Kind == scenarios.Update {
		b = appendCode(append(b, ','), step.Coupon)
	}
	return method, path, append(b, '}')
}

// appendPaymentData appends the body that pays.
func appendPaymentData(b []byte, user string) []byte {
	b = append(b, `{"payment_data":{"id":`...)
	b = gjson.AppendJSONString(b, "card_"+user)
	b = append(b, `,"handler_id":"sandbox","type":"card","brand":"visa","last_digits":"4242","credential":{"type":"token","token":`...)
	b = gjson.AppendJSONString(b, "tok_"+user)
	return append(b, `}}}`...)
}

var (
	_ dialect = ucp{}
	_ dialect = ucpJanuary{}
)
