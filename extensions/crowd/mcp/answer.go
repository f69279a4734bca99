package mcp

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

var errNoResponse = errors.New("the stream ended without a response to the request")

// aside says whether a message of a stream is not the response that is waited
// for: a notification, a request of the server's own, or an answer to somebody
// else. What can't be read is no aside.
func aside(message []byte, id string) bool {
	if !gjson.ValidBytes(message) {
		return false
	}
	m := gjson.ParseBytes(message)
	if m.Get("method").Exists() {
		return true
	}
	other := m.Get("id")
	return other.Exists() && other.Type != gjson.Null && other.String() != id
}

// parse says what is around a tool's content: its Content is set when there is
// some to judge, else its Result says what the answer means.
func parse(status int, body []byte, id string) Answer {
	result, no := response(status, body, id)
	if !result.Exists() {
		return Answer{Result: no}
	}
	switch kind := result.Get("resultType").String(); kind {
	case "", "complete":
		return content(result)
	case "input_required": // nobody is there to give it
		return Answer{Result: scenarios.Result{Outcome: results.Rejected, Why: "input_required: the tool asks for more than the step has"}}
	default:
		return Answer{Result: malformed("a result of the type %s", wire.Clip(kind))}
	}
}

// response returns the result in a JSON-RPC response, or what it means that
// there is none.
func response(status int, body []byte, id string) (result gjson.Result, no scenarios.Result) {
	message := gjson.Result{}
	if utf8.Valid(body) && gjson.ValidBytes(body) {
		message = gjson.ParseBytes(body)
	}
	object := message.IsObject()
	if e := message.Get("error"); object && e.IsObject() {
		return gjson.Result{}, failure(status, e)
	}
	result = message.Get("result")
	switch other := message.Get("id").String(); {
	case status < 200 || status > 299:
		no = scenarios.Result{Outcome: byStatus(status), Why: "HTTP " + strconv.Itoa(status)}
	case !object:
		no = malformed("HTTP %d and no JSON object", status)
	case !result.IsObject():
		no = malformed("neither a result nor an error")
	case other != id:
		no = malformed("the answer is to another request: %s", wire.Clip(other))
	default:
		return result, no
	}
	return gjson.Result{}, no
}

// content takes the structured content of a tool's result; a tool without may
// have it as text.
func content(result gjson.Result) Answer {
	a := Answer{Failed: result.Get("isError").Bool()}
	if c := result.Get("structuredContent"); c.IsObject() {
		a.Content = []byte(c.Raw)
		return a
	}
	text := result.Get(`content.#(type=="text").text`).String()
	if gjson.Valid(text) && gjson.Parse(text).IsObject() {
		a.Content = []byte(text)
		return a
	}
	if a.Failed { // no rule can tell a no from a failure in a sentence
		a.Result = scenarios.Result{Outcome: results.Unclassified, Why: "isError: " + wire.Clip(text)}
	} else {
		a.Result = malformed("a result without structured content")
	}
	return a
}

// failure says what an error of JSON-RPC means: by the status where it says
// something, else by the code. The codes from -32000 to -32019 have no meaning
// of their own; what they carry as data may.
func failure(status int, e gjson.Result) scenarios.Result {
	code, data := e.Get("code").Int(), e.Get("data")
	reason := data.Get("code").String()
	why := strings.TrimRight(fmt.Sprintf("error %d: %s", code, e.Get("message").String()), ": ")
	if reason != "" {
		why += ": " + reason
	}
	if status > 299 {
		why = "HTTP " + strconv.Itoa(status) + ": " + why
	}
	r := scenarios.Result{Outcome: results.Unclassified, Why: wire.Clip(why), RetryAfter: pause(data)}
	switch {
	case status > 299:
		r.Outcome = byStatus(status)
	case limits(reason):
		r.Outcome = results.RateLimited
	case code == -32603, strings.Contains(reason, "unavailable"), reason == "internal_error", reason == "timeout":
		r.Outcome = results.Unavailable
	case r.RetryAfter > 0: // who says when to come again has not decided
		r.Outcome = results.Unavailable
	case code <= -32600 && code >= -32602, code == -32700, code <= -32020 && code >= -32022:
		r.Outcome = results.Rejected
	case reason != "" && code <= -32000 && code >= -32019:
		r.Outcome = results.Rejected
	}
	return r
}

// limits says whether a code is that of a rate limit.
func limits(reason string) bool {
	reason = strings.ToLower(reason)
	return strings.HasPrefix(reason, "rate_limit") || reason == "too_many_requests" || reason == "throttled"
}

// pause returns how long an error asks to wait: in seconds, or in milliseconds
// where the name says so. It is at most an hour.
func pause(data gjson.Result) time.Duration {
	seconds := data.Get("retry_after").Float()
	if seconds == 0 {
		seconds = data.Get("retry_after_ms").Float() / 1000
	}
	return time.Duration(min(max(0, seconds), 3600) * float64(time.Second))
}

// byStatus is for an answer that has little but its status. A 4xx may come
// without a body, so it is a clear no.
func byStatus(status int) results.Outcome {
	switch {
	case status == 429:
		return results.RateLimited
	case status == 408, status >= 500:
		return results.Unavailable
	case status >= 400:
		return results.Rejected
	}
	return results.Unclassified
}

func malformed(format string, args ...any) scenarios.Result {
	return scenarios.Result{Outcome: results.Malformed, Why: fmt.Sprintf(format, args...)}
}
