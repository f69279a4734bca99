package coupons

import (
	"fmt"
	"strings"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/pick"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

var answerShape = pick.New("code", "message", "coupon_id")

// classify says what an answer means: its body, and its status only where the
// body says nothing.
func classify(status int, body []byte) scenarios.Result {
	var of [3]pick.Value
	if !answerShape.Object(body, of[:]) {
		return scenarios.Result{Outcome: byStatus(status), Why: fmt.Sprintf("HTTP %d and no JSON object", status)}
	}
	code, message, id := of[0], of[1].Text(), of[2].Str()
	if code.Kind > pick.Null {
		why := fmt.Sprintf("HTTP %d: %s", status, code.Text())
		if message != "" {
			why += ": " + message
		}
		return scenarios.Result{Outcome: meaning(code.Text()), Denied: denial(code.Text(), message), Why: wire.Clip(why)}
	}
	if status < 200 || status > 299 {
		o := byStatus(status)
		if o == results.Malformed {
			o = results.Unclassified
		}
		return scenarios.Result{Outcome: o, Why: fmt.Sprintf("HTTP %d without a code", status)}
	}
	switch {
	case id == "":
		return scenarios.Result{Outcome: results.Malformed, Why: "no coupon_id"}
	case len(id) > longest:
		return scenarios.Result{Outcome: results.Malformed, Why: "a coupon_id that is too long"}
	}
	return scenarios.Result{Outcome: results.OK, Coupon: id}
}

// longest is the most bytes of a coupon's id; WeChat Pay's have 20 at most.
const longest = 128

// meaning says what an error code means. The same codes come with different
// statuses, so the status is not asked.
func meaning(code string) results.Outcome {
	switch code {
	case "RULE_LIMIT", // the user has had enough
		"NOT_ENOUGH", // the stock, or its budget, is used up
		"USER_ACCOUNT_ABNORMAL",
		"MCH_NOT_EXISTS", "RESOURCE_NOT_EXISTS", "NO_AUTH", "SIGN_ERROR", "REQUEST_BLOCKED",
		"PARAM_ERROR", "INVALID_REQUEST", "APPID_MCHID_NOT_MATCH", "INVALID_AUTH":
		return results.Rejected
	case "FREQUENCY_LIMITED", "FREQUENCY_LIMIT_EXCEED", "RATELIMIT_EXCEED":
		return results.RateLimited
	case "SYSTEM_ERROR":
		return results.Unavailable
	}
	return results.Unclassified
}

// denial says which no an error is, if it is one that the books can be asked
// about. A stock that is paused has no code of its own.
func denial(code, message string) results.Denial {
	switch {
	case code == "RULE_LIMIT":
		return results.LimitReached
	case code == "NOT_ENOUGH":
		return results.SoldOut
	case strings.Contains(message, "paused"), strings.Contains(message, "暂停"):
		return results.Paused
	}
	return results.NotDenied
}

// byStatus is for an answer that has nothing but its status.
func byStatus(status int) results.Outcome {
	switch {
	case status == 429:
		return results.RateLimited
	case status == 408, status >= 500:
		return results.Unavailable
	}
	return results.Malformed
}
