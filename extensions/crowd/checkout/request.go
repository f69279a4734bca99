package checkout

import (
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// agent is where a business could read who calls. It can't be reached, on
// purpose: a profile that is fetched for each request would be load on
// something else than the target.
const agent = `profile="https://flashcrowd.invalid/.well-known/ucp"`

// extra renders the head lines of one request. The request id is the key: what
// is sent twice is one intent, and the trace tells the attempts apart.
func extra(step scenarios.Step) []byte {
	key := step.Key.String()
	b := append(make([]byte, 0, 384), "Content-Type: application/json\r\nAccept: application/json\r\nUCP-Agent: "+agent+"\r\nRequest-Id: "...)
	b = append(b, key...)
	b = append(b, "\r\nIdempotency-Key: "...)
	b = append(b, key...)
	b = append(b, "\r\n"...)
	return wire.TraceParent(b, step.Key, step.Attempt)
}

// appendCreate appends the body that opens a checkout.
func appendCreate(b []byte, step scenarios.Step) []byte {
	b = append(b, '{')
	b = appendLines(b, step.Item)
	return append(b, '}')
}

// appendUpdate appends the body that puts the code in. An update replaces the
// whole, so the lines are in it again.
func appendUpdate(b []byte, step scenarios.Step) []byte {
	b = append(b, '{')
	b = appendLines(b, step.Item)
	b = append(b, `,"discounts":{"codes":[`...)
	b = gjson.AppendJSONString(b, step.Coupon)
	return append(b, `]}}`...)
}

// appendComplete appends the body that pays, with a card that the handler of a
// sandbox made a token of.
func appendComplete(b []byte, s *crowd.Shopper) []byte {
	user := s.User.String()
	b = append(b, `{"payment":{"instruments":[{"id":"card_`...)
	b = append(b, user...)
	b = append(b, `","handler_id":"sandbox","type":"card","selected":true,"display":{"brand":"visa","last_digits":"4242"},"credential":{"type":"token","token":"tok_`...)
	b = append(b, user...)
	return append(b, `"}}]}}`...)
}

func appendLines(b []byte, item scenarios.Item) []byte {
	b = append(b, `"line_items":[{"item":{"id":`...)
	b = gjson.AppendJSONString(b, item.ID)
	b = append(b, `},"quantity":`...)
	b = strconv.AppendInt(b, int64(max(1, item.Quantity)), 10)
	return append(b, "}]"...)
}
