package checkout

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// A state is what the status of a checkout means for the next step.
type state int

const (
	unknown state = iota // not a status of the protocol
	open                 // can be changed, and completed once it is ready
	stuck                // over, or not to be completed by a shopper alone
	busy                 // being completed: may yet become an order
	done                 // an order
)

// classify says what an answer to a step means. Statuses beyond 2xx are for
// requests that the business never saw; within, the body decides.
func classify(d dialect, step scenarios.Step, status int, body []byte) scenarios.Result {
	object := utf8.Valid(body) && gjson.ValidBytes(body)
	answer := gjson.Result{}
	if object {
		answer = gjson.ParseBytes(body)
		object = answer.IsObject()
	}
	if status < 200 || status > 299 {
		return declined(status, object, answer)
	}
	if !object {
		return malformed("no JSON object")
	}
	no, ok := d.envelope(answer)
	if !ok {
		return malformed(no)
	}
	if why := message(answer, "error"); why != "" {
		no = why
	}
	if no != "" {
		return scenarios.Result{Outcome: results.Rejected, Why: no}
	}
	if step.Kind == scenarios.Search {
		return found(answer)
	}
	id := answer.Get("id")
	switch {
	case id.Type != gjson.String || id.Str == "" || id.Str == "." || id.Str == ".." || len(id.Str) > longest:
		return malformed("no id that could stand in a path")
	case step.Kind == scenarios.Delegate:
		return scenarios.Result{Outcome: results.OK, Token: strings.Clone(id.Str)}
	case step.Kind != scenarios.Create && id.Str != step.Session:
		return malformed("the answer is about another session: " + wire.Clip(id.Str))
	}
	r := scenarios.Result{Session: strings.Clone(id.Str)}
	is := answer.Get("status").Str
	stands := d.state(is)
	switch {
	case stands == unknown:
		return malformed("a checkout with the status " + wire.Clip(is))
	case step.Kind == scenarios.Update:
		updated(&r, answer, step.Coupon)
	case step.For() == scenarios.Complete && stands == done:
		completed(&r, answer)
	case step.For() == scenarios.Complete && stands == busy: // asked about by reading: completing again would be another request
		r.Outcome, r.Pending = results.OK, true
	case step.For() == scenarios.Read:
		shown(&r, answer, stands)
	case step.Kind == scenarios.Create && stands == open:
		r.Outcome = results.OK
		priced(&r, answer)
	case stands == open || stands == stuck: // open: was asked to complete, and did not
		r.Outcome, r.Why = results.Rejected, "the checkout is "+is
	default:
		r.Outcome, r.Why = results.Unclassified, "the checkout is "+is
	}
	return r
}

// longest is the most bytes of an id or a code; it goes into the next request.
const longest = 256

// inFlight is ACP's code for a request whose first attempt still runs: with a
// 409, it asks to come again after Retry-After. Other 409s and the 422 of a key
// that stood for something else are clear noes.
const inFlight = "idempotency_in_flight"

// declined is an answer with a status that is no success.
func declined(status int, object bool, answer gjson.Result) scenarios.Result {
	r := scenarios.Result{Why: fmt.Sprintf("HTTP %d", status)}
	code := ""
	if object {
		if code = answer.Get("code").String(); code == "" {
			code = message(answer, "error")
		}
		if code != "" {
			r.Why += ": " + wire.Clip(code)
		}
	}
	switch {
	case status == 429:
		r.Outcome = results.RateLimited
	case status == 408, status >= 500, status == 409 && code == inFlight:
		r.Outcome = results.Unavailable
	case !object:
		r.Outcome = results.Malformed
	case status >= 400:
		r.Outcome = results.Rejected
	}
	return r
}

// message returns the code of the first message of a type, with what can
// be done about it: UCP calls that severity, ACP resolution.
func message(answer gjson.Result, kind string) string {
	found := ""
	answer.Get("messages").ForEach(func(_, m gjson.Result) bool {
		if m.Get("type").Str != kind {
			return true
		}
		if found = m.Get("code").String(); found == "" {
			found = kind + " without a code"
		}
		found = wire.Clip(found)
		hint := m.Get("resolution").Str
		if hint == "" {
			hint = m.Get("severity").Str
		}
		if hint != "" {
			found += " (" + wire.Clip(hint) + ")"
		}
		return false
	})
	return found
}

// updated is OK when the code stands among the discounts that were applied: a
// code that is left out silently is a coupon lost.
func updated(r *scenarios.Result, answer gjson.Result, code string) {
	if r.Redeemed = applied(answer, code); r.Redeemed != "" {
		r.Outcome = results.OK
		priced(r, answer)
		return
	}
	r.Outcome = results.Rejected
	if r.Why = message(answer, "warning"); r.Why == "" {
		r.Why = wire.Clip(answer.Get("discounts.rejected.0.reason").String())
	}
	if r.Why == "" {
		r.Why = "the code was not applied, and no message says why"
	}
}

// completed is OK when there is an order, also if what it costs is not told.
func completed(r *scenarios.Result, answer gjson.Result) {
	order := answer.Get("order.id")
	if order.Type != gjson.String || order.Str == "" || len(order.Str) > longest {
		*r = malformed("completed, without an order's id")
		return
	}
	r.Outcome, r.Order, r.Redeemed = results.OK, strings.Clone(order.Str), applied(answer, "")
	if !priced(r, answer) {
		r.Why = "completed, without a total in a currency"
	}
}

// found is OK when the answer is a list of products. One that can't be bought,
// for want of a variant with an id and a price, is left out.
func found(answer gjson.Result) scenarios.Result {
	products := answer.Get("products")
	if !products.IsArray() {
		return malformed("no list of products")
	}
	r := scenarios.Result{Outcome: results.OK}
	products.ForEach(func(_, p gjson.Result) bool {
		v := p.Get("variants.0")
		id, amount, currency := v.Get("id").Str, v.Get("price.amount"), v.Get("price.currency").Str
		if id != "" && len(id) <= longest && amount.Type == gjson.Number && amount.Num >= 0 && amount.Num < 1<<53 && len(currency) == 3 {
			r.Offers = append(r.Offers, scenarios.Offer{
				ID: strings.Clone(id), Title: wire.Clip(p.Get("title").Str), Price: int64(amount.Num), Currency: strings.ToUpper(currency),
			})
		}
		return len(r.Offers) < mostOffers
	})
	return r
}

// mostOffers bounds what is taken of a search.
const mostOffers = 100

// shown is OK: the answer shows a checkout, whatever became of it. While it is
// being completed it is asked about again. It does not promise an order: that
// is what completing it is for.
func shown(r *scenarios.Result, answer gjson.Result, stands state) {
	r.Outcome, r.Pending = results.OK, stands == busy
	if id := answer.Get("order.id"); stands == done && id.Type == gjson.String && len(id.Str) <= longest {
		r.Order = strings.Clone(id.Str)
	}
}

// priced takes the total with its currency, and says whether both are there.
func priced(r *scenarios.Result, answer gjson.Result) bool {
	amount, ok := total(answer)
	currency := answer.Get("currency").Str
	if !ok || len(currency) != 3 || strings.ContainsFunc(currency, func(r rune) bool { return r|0x20 < 'a' || r|0x20 > 'z' }) {
		return false
	}
	r.Amount, r.Currency = amount, strings.ToUpper(currency)
	r.Subtotal = amount + discounts(answer)
	return true
}

// applied returns the code as it stands among the applied discounts: the one
// asked for, or any if none is. Codes are compared without case.
func applied(answer gjson.Result, code string) string {
	found := ""
	answer.Get("discounts.applied").ForEach(func(_, d gjson.Result) bool {
		is := d.Get("code").Str
		if is != "" && len(is) <= longest && (code == "" || strings.EqualFold(is, code)) {
			found = strings.Clone(is)
		}
		return found == ""
	})
	return found
}

// total returns the amount of the entry that is the total, minor units.
// JSON numbers are exact up to 2⁵³ only.
func total(answer gjson.Result) (amount int64, ok bool) {
	answer.Get("totals").ForEach(func(_, t gjson.Result) bool {
		if t.Get("type").Str != "total" {
			return true
		}
		n := t.Get("amount")
		ok = n.Type == gjson.Number && n.Num == math.Trunc(n.Num) && math.Abs(n.Num) < 1<<53
		amount = int64(n.Num)
		return false
	})
	return amount, ok
}

// discounts returns what the entries that are discounts take off. Some versions
// write it as a negative amount; others have no such entry where there is none.
func discounts(answer gjson.Result) (off int64) {
	answer.Get("totals").ForEach(func(_, t gjson.Result) bool {
		if kind := t.Get("type").Str; kind != "discount" && kind != "items_discount" {
			return true
		}
		if n := t.Get("amount"); n.Type == gjson.Number && n.Num == math.Trunc(n.Num) && math.Abs(n.Num) < 1<<53 {
			off += int64(math.Abs(n.Num))
		}
		return true
	})
	return off
}

func malformed(why string) scenarios.Result {
	return scenarios.Result{Outcome: results.Malformed, Why: why}
}
