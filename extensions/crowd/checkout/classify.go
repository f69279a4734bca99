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

// classify says what an answer to a step means. Statuses beyond 2xx are for
// requests that the business never saw; within, the body decides.
func classify(step scenarios.Step, status int, body []byte) scenarios.Result {
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
	if !answer.Get("ucp").IsObject() {
		return malformed("no ucp object")
	}
	if why := saysNo(answer); why != "" {
		return scenarios.Result{Outcome: results.Rejected, Why: why}
	}
	id := answer.Get("id")
	switch {
	case id.Type != gjson.String || id.Str == "" || id.Str == "." || id.Str == ".." || len(id.Str) > longest:
		return malformed("no id that could stand in a path")
	case step.Kind != scenarios.Create && id.Str != step.Session:
		return malformed("the answer is about another session: " + wire.Clip(id.Str))
	}
	r := scenarios.Result{Session: strings.Clone(id.Str)}
	switch step.Kind {
	case scenarios.Update:
		updated(&r, answer, step.Coupon)
	case scenarios.Complete:
		completed(&r, answer)
	default:
		created(&r, answer)
	}
	return r
}

// longest is the most bytes of an id or a code; it goes into the next request.
const longest = 256

// declined is an answer with a status that is no success.
func declined(status int, object bool, answer gjson.Result) scenarios.Result {
	r := scenarios.Result{Why: fmt.Sprintf("HTTP %d", status)}
	if object {
		code := answer.Get("code").String()
		if code == "" {
			code = saysNo(answer)
		}
		if code != "" {
			r.Why += ": " + wire.Clip(code)
		}
	}
	switch {
	case status == 429:
		r.Outcome = results.RateLimited
	case status == 408, status >= 500:
		r.Outcome = results.Unavailable
	case !object:
		r.Outcome = results.Malformed
	case status >= 400:
		r.Outcome = results.Rejected
	}
	return r
}

// saysNo returns the reason why the business did not do it; empty if it does
// not say no.
func saysNo(answer gjson.Result) string {
	if code := message(answer, "error"); code != "" {
		return code
	}
	switch status := answer.Get("ucp.status"); {
	case status.Str == "error":
		return "ucp.status is error, without a message"
	case status.Exists() && status.Str != "success":
		return "ucp.status is " + wire.Clip(status.String())
	}
	return ""
}

// message returns the code of the first message of a type, with the severity
// if it has one.
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
		if severity := m.Get("severity").Str; severity != "" {
			found += " (" + wire.Clip(severity) + ")"
		}
		return false
	})
	return found
}

func created(r *scenarios.Result, answer gjson.Result) {
	switch status := answer.Get("status").Str; status {
	case "incomplete", "ready_for_complete":
		r.Outcome = results.OK
	default:
		unexpected(r, status)
	}
}

// updated is OK when the code stands among the discounts that were applied: a
// code that is left out silently is a coupon lost.
func updated(r *scenarios.Result, answer gjson.Result, code string) {
	if r.Redeemed = applied(answer, code); r.Redeemed != "" {
		r.Outcome = results.OK
		return
	}
	r.Outcome = results.Rejected
	if r.Why = message(answer, "warning"); r.Why == "" {
		r.Why = "the code was not applied, and no message says why"
	}
}

func completed(r *scenarios.Result, answer gjson.Result) {
	order := answer.Get("order.id")
	switch status := answer.Get("status").Str; {
	case status != "completed":
		unexpected(r, status)
		return
	case order.Type != gjson.String || order.Str == "" || len(order.Str) > longest:
		*r = malformed("completed, without an order's id")
		return
	}
	r.Outcome, r.Order, r.Redeemed = results.OK, strings.Clone(order.Str), applied(answer, "")
	amount, ok := total(answer)
	currency := answer.Get("currency").Str
	if !ok || len(currency) != 3 {
		r.Why = "completed, without a total in a currency" // there is an order all the same
		return
	}
	r.Amount, r.Currency = amount, strings.Clone(currency)
}

// unexpected is a status in which the step does not leave a checkout.
func unexpected(r *scenarios.Result, status string) {
	r.Why = "the checkout is " + wire.Clip(status)
	switch status {
	case "requires_escalation", "canceled",
		"incomplete", "ready_for_complete": // was asked to complete, and did not
		r.Outcome = results.Rejected
	case "complete_in_progress", "completed":
		r.Outcome = results.Unclassified
	default:
		*r = malformed("a checkout with the status " + wire.Clip(status))
	}
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

func malformed(why string) scenarios.Result {
	return scenarios.Result{Outcome: results.Malformed, Why: why}
}
