package chat

import (
	"fmt"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// declined is the result of an answer whose status is no success. The status
// stands even if the body then breaks off.
func declined(resp *wire.Response) scenarios.Result {
	body, err := resp.ReadAll(maxBody)
	if wire.Outcome(err) == results.Canceled {
		return (&answer{}).lost(err)
	}
	r := scenarios.Result{
		Status: resp.Status, End: resp.At, Why: fmt.Sprintf("HTTP %d", resp.Status),
		RetryAfter: wire.RetryAfter(resp, resp.At),
	}
	var e gjson.Result
	if valid(body) {
		e = gjson.GetBytes(body, "error")
		if code := errorCode(e); code != "" {
			r.Why += ": " + code
		}
	}
	switch status := resp.Status; {
	case status == 429:
		r.Outcome = results.RateLimited
	case status == 408, status >= 500:
		r.Outcome = results.Unavailable
	case status >= 400:
		if r.Outcome = byCode(e); r.Outcome == results.Unclassified {
			r.Outcome = results.Rejected
		}
	}
	return r
}

// byCode says what an error object means by its code or type alone;
// Unclassified if they are none of the known ones.
func byCode(e gjson.Result) results.Outcome {
	for _, name := range [...]string{"code", "type"} {
		switch e.Get(name).Str {
		case "rate_limit_exceeded", "rate_limit_error", "slow_down", "insufficient_quota":
			return results.RateLimited
		case "server_is_overloaded", "service_unavailable_error", "server_error", "overloaded_error":
			return results.Unavailable
		}
	}
	return results.Unclassified
}

// errorCode names an error for people: its code, else its type, else its
// message.
func errorCode(e gjson.Result) string {
	for _, name := range [...]string{"code", "type", "message"} {
		if s := e.Get(name).String(); s != "" {
			return wire.Clip(s)
		}
	}
	return wire.Clip(e.String())
}
