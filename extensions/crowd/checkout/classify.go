package checkout

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/pick"
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

// An answer is what is looked for in one, of whatever dialect.
type answer [ofAnswer]pick.Value

const (
	ofType = iota
	ofCode
	ofUCP
	ofUCPStatus
	ofMessages
	ofProducts
	ofID
	ofStatus
	ofCurrency
	ofTotals
	ofApplied
	ofReason
	ofOrder
	ofAnswer
)

var (
	answerShape = pick.New("type", "code", "ucp", "ucp.status", "messages", "products",
		"id", "status", "currency", "totals", "discounts.applied", "discounts.rejected.0.reason", "order.id")
	messageShape  = pick.New("type", "code", "resolution", "severity")
	productShape  = pick.New("title", "variants.0.id", "variants.0.price.amount", "variants.0.price.currency")
	totalShape    = pick.New("type", "amount")
	discountShape = pick.New("code")
)

// classify says what an answer to a step means. Statuses beyond 2xx are for
// requests that the business never saw; within, the body decides.
func classify(d dialect, step scenarios.Step, status int, body []byte) scenarios.Result {
	var of answer
	object := answerShape.Object(body, of[:])
	if status < 200 || status > 299 {
		return declined(status, object, &of)
	}
	if !object {
		return malformed("no JSON object")
	}
	no, ok := d.envelope(of)
	if !ok {
		return malformed(no)
	}
	if why := message(&of, "error"); why != "" {
		no = why
	}
	if no != "" {
		return scenarios.Result{Outcome: results.Rejected, Why: no}
	}
	if step.Kind == scenarios.Search {
		return found(of[ofProducts])
	}
	id := of[ofID].Str()
	switch {
	case id == "" || id == "." || id == ".." || len(id) > longest:
		return malformed("no id that could stand in a path")
	case step.Kind == scenarios.Delegate:
		return scenarios.Result{Outcome: results.OK, Token: id}
	case step.Kind != scenarios.Create && id != step.Session:
		return malformed("the answer is about another session: " + wire.Clip(id))
	}
	r := scenarios.Result{Session: id}
	is := of[ofStatus].Str()
	stands := d.state(is)
	switch {
	case stands == unknown:
		return malformed("a checkout with the status " + wire.Clip(is))
	case step.Kind == scenarios.Update:
		updated(&r, &of, step.Coupon)
	case step.For() == scenarios.Complete && stands == done:
		completed(&r, &of)
	case step.For() == scenarios.Complete && stands == busy: // asked about by reading: completing again would be another request
		r.Outcome, r.Pending = results.OK, true
	case step.For() == scenarios.Read:
		shown(&r, &of, stands)
	case step.Kind == scenarios.Create && stands == open:
		r.Outcome = results.OK
		priced(&r, &of)
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
func declined(status int, object bool, of *answer) scenarios.Result {
	r := scenarios.Result{Why: fmt.Sprintf("HTTP %d", status)}
	code := ""
	if object {
		if code = of[ofCode].Text(); code == "" {
			code = message(of, "error")
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
func message(of *answer, kind string) string {
	found := ""
	var m [4]pick.Value // type, code, resolution, severity
	messageShape.Each(of[ofMessages], m[:], func() bool {
		if !m[0].Is(kind) {
			return true
		}
		found = wire.Clip(cmp.Or(m[1].Text(), kind+" without a code"))
		if hint := cmp.Or(m[2].Str(), m[3].Str()); hint != "" {
			found += " (" + wire.Clip(hint) + ")"
		}
		return false
	})
	return found
}

// updated is OK when the code stands among the discounts that were applied: a
// code that is left out silently is a coupon lost.
func updated(r *scenarios.Result, of *answer, code string) {
	if r.Redeemed = applied(of, code); r.Redeemed != "" {
		r.Outcome = results.OK
		priced(r, of)
		return
	}
	r.Outcome = results.Rejected
	if r.Why = message(of, "warning"); r.Why == "" {
		r.Why = wire.Clip(of[ofReason].Text())
	}
	if r.Why == "" {
		r.Why = "the code was not applied, and no message says why"
	}
}

// completed is OK when there is an order, also if what it costs is not told.
func completed(r *scenarios.Result, of *answer) {
	order := of[ofOrder].Str()
	if order == "" || len(order) > longest {
		*r = malformed("completed, without an order's id")
		return
	}
	r.Outcome, r.Order, r.Redeemed = results.OK, order, applied(of, "")
	if !priced(r, of) {
		r.Why = "completed, without a total in a currency"
	}
}

// found is OK when the answer is a list of products. One that can't be bought,
// for want of a variant with an id and a price, is left out.
func found(products pick.Value) scenarios.Result {
	if products.Kind != pick.Array {
		return malformed("no list of products")
	}
	r := scenarios.Result{Outcome: results.OK}
	var p [4]pick.Value // title; of the first variant its id, amount, currency
	productShape.Each(products, p[:], func() bool {
		id, price, currency := p[1].Str(), p[2].Result(), p[3].Str()
		if id != "" && len(id) <= longest && price.Type == gjson.Number && price.Num >= 0 && price.Num < 1<<53 && len(currency) == 3 {
			r.Offers = append(r.Offers, scenarios.Offer{ID: id, Title: wire.Clip(p[0].Str()), Price: int64(price.Num), Currency: strings.ToUpper(currency)})
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
func shown(r *scenarios.Result, of *answer, stands state) {
	r.Outcome, r.Pending = results.OK, stands == busy
	if id := of[ofOrder].Str(); stands == done && len(id) <= longest {
		r.Order = id
	}
}

// priced takes the total with its currency, and says whether both are there.
func priced(r *scenarios.Result, of *answer) bool {
	amount, off, ok := totals(of)
	currency := of[ofCurrency].Str()
	if !ok || len(currency) != 3 || strings.ContainsFunc(currency, func(r rune) bool { return r|0x20 < 'a' || r|0x20 > 'z' }) {
		return false
	}
	r.Amount, r.Currency = amount, strings.ToUpper(currency)
	if off > 0 || applied(of, "") == "" { // of a discount that no total tells nothing is known
		r.Subtotal = amount + off
	}
	return true
}

// applied returns the code as it stands among the applied discounts: the one
// asked for, or any if none is. Codes are compared without case.
func applied(of *answer, code string) string {
	found := ""
	var d [1]pick.Value // code
	discountShape.Each(of[ofApplied], d[:], func() bool {
		is := d[0].Str()
		if is != "" && len(is) <= longest && (code == "" || strings.EqualFold(is, code)) {
			found = is
		}
		return found == ""
	})
	return found
}

// totals returns the amount of the first entry that is the total, which ok says
// is there, and what the entries that are discounts take off; both in minor
// units. Some versions write a discount as a negative amount; others have no such
// entry where there is none.
func totals(of *answer) (amount, off int64, ok bool) {
	var t [2]pick.Value // type, amount
	found := false
	totalShape.Each(of[ofTotals], t[:], func() bool {
		switch {
		case !found && t[0].Is("total"):
			found = true
			amount, ok = exact(t[1])
		case t[0].Is("discount"), t[0].Is("items_discount"):
			if n, ok := exact(t[1]); ok {
				off += max(n, -n)
			}
		}
		return true
	})
	return amount, off, ok
}

// exact returns an amount. JSON numbers are exact up to 2⁵³ only.
func exact(v pick.Value) (n int64, ok bool) {
	if v.Kind != pick.Number {
		return 0, false
	}
	const end = 1 << 53
	if n, err := strconv.ParseInt(string(v.Raw), 10, 64); err == nil {
		return n, -end < n && n < end
	}
	f := v.Result().Num // with a fraction or an exponent, or beyond all amounts
	return int64(f), f == math.Trunc(f) && math.Abs(f) < end
}

func malformed(why string) scenarios.Result {
	return scenarios.Result{Outcome: results.Malformed, Why: why}
}
