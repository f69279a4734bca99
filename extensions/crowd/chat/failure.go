package chat

import (
	"cmp"
	"fmt"
	"strings"

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
		RetryAfter: wire.RetryAfter(resp, resp.At), Advice: advice(resp),
	}
	var e gjson.Result
	if valid(body) {
		e, _ = failure(body)
		if code := errorCode(e); code != "" {
			r.Why += ": " + code
		}
	}
	r.Why += spent(resp)
	switch status, said := resp.Status, meaning(e); {
	case status == 429 && said != results.Rejected: // an unpaid bill is one
		r.Outcome = results.RateLimited
	case status == 408, status >= 500 && said != results.RateLimited:
		r.Outcome = results.Unavailable
	case status >= 400:
		if r.Outcome = said; said == results.Unclassified {
			r.Outcome = results.Rejected
		}
	}
	return r
}

// advice is what the backend says of repeating the request.
func advice(resp *wire.Response) scenarios.Advice {
	switch resp.Header("X-Should-Retry") {
	case "true":
		return scenarios.TryAgain
	case "false":
		return scenarios.GiveUp
	}
	return scenarios.NoAdvice
}

// spent names the limits that are used up, in OpenAI's headers, for people: the
// official clients do not look at them. Some backends send a remainder of -1.
func spent(resp *wire.Response) (text string) {
	for _, of := range [...]string{"Requests", "Tokens"} {
		if resp.Header("X-Ratelimit-Remaining-"+of) == "0" {
			text += ", no " + strings.ToLower(of) + " left"
			if reset := resp.Header("X-Ratelimit-Reset-" + of); reset != "" {
				text += " for " + wire.Clip(reset)
			}
		}
	}
	return text
}

// failure returns the error that an object tells of: OpenAI's, in the field
// error; or DashScope's own, which is the object: code, message, request_id.
func failure(data []byte) (e gjson.Result, failed bool) {
	if e = gjson.GetBytes(data, "error"); e.Exists() && e.Type != gjson.Null {
		return e, true
	}
	if gjson.GetBytes(data, "code").Str != "" && gjson.GetBytes(data, "message").Type == gjson.String {
		return gjson.ParseBytes(data), true
	}
	return gjson.Result{}, false
}

// meaning says what an error means by its code, its type or its message;
// Unclassified if they are none of the known ones.
//
// The codes are those of platform.openai.com/docs/guides/error-codes, of Azure,
// and of help.aliyun.com/en/model-studio/error-code, where DashScope has one
// name for its own API and another for the OpenAI-compatible one.
func meaning(e gjson.Result) results.Outcome {
	for _, name := range [...]string{"code", "type"} {
		code, _, _ := strings.Cut(e.Get(name).Str, ".") // DashScope: Throttling.RateQuota, InternalError.Algo
		switch code {
		case "rate_limit_exceeded", "rate_limit_error", "slow_down", "insufficient_quota", "too_many_requests", // OpenAI; the quota is DashScope's TPM, too
			"Throttling", "LimitRequests", "limit_requests", "limit_burst_rate":
			return results.RateLimited
		case "server_is_overloaded", "service_unavailable_error", "server_error", "overloaded_error", "engine_overloaded",
			"InternalError", "internal_error", "SystemError", "ModelServiceFailed", "ModelServingError", "ModelUnavailable",
			"RequestTimeOut", "ResponseTimeout", "AppProcessFailed", "InvokePluginFailed":
			return results.Unavailable
		case "content_filter", "content_policy_violation", "DataInspectionFailed", "data_inspection_failed":
			return results.Refused
		case "Arrearage", "PrepaidBillOverdue", "PostpaidBillOverdue", "CommodityNotPurchased":
			return results.Rejected
		}
	}
	message := strings.ToLower(e.Get("message").Str)
	for _, text := range [...]string{
		"rate limit", "too many requests", "request rate increased too quickly", // OpenAI, DashScope: requests, and how fast they grow
		"exceeded your current requests", "exceeded your current quota", "allocated quota exceeded", "throttl",
	} {
		if strings.Contains(message, text) {
			return results.RateLimited
		}
	}
	for _, text := range [...]string{"overloaded", "at capacity"} {
		if strings.Contains(message, text) {
			return results.Unavailable
		}
	}
	return results.Unclassified
}

// errorCode names an error for people: its code, else its type, else its
// message.
func errorCode(e gjson.Result) string {
	kind := e.Get("type").String()
	if kind == "error" { // of an event: says nothing
		kind = ""
	}
	return wire.Clip(cmp.Or(e.Get("code").String(), kind, e.Get("message").String(), e.String()))
}
