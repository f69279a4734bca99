package chat

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

func turn(say string) scenarios.Step {
	return scenarios.Step{Kind: scenarios.Turn, Key: key(0), Say: say, FirstToken: patience, Answer: patience}
}

// data renders events of these data lines.
func data(lines ...string) string {
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "data: %s\n\n", l)
	}
	return b.String()
}

func delta(content string) string {
	return `{"choices":[{"index":0,"delta":{"content":"` + content + `"},"finish_reason":null}],"usage":null}`
}

const (
	role  = `{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}`
	stop  = `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`
	usage = `{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":17,"total_tokens":26}}`
	done  = `[DONE]`
)

func stream(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		io.WriteString(w, body)
	}
}

func whole(status int, kind, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func answered(content, finish string) string {
	return `{"choices":[{"index":0,"message":{"role":"assistant","content":"` + content + `"},"finish_reason":` + finish + `}],"usage":{"completion_tokens":5}}`
}

func failed(code string) string {
	return `{"error":{"message":"no","type":"t","param":null,"code":"` + code + `"}}`
}

// A case is an answer with status 200 and what it comes to.
type outcomeCase struct {
	name   string
	serve  http.HandlerFunc
	want   results.Outcome
	why    string // part of it
	tokens int
}

const asJSON = "application/json"

func TestOutcomes(t *testing.T) {
	good := []string{role, delta("好的,"), delta("下单了"), stop}
	outcomes(t, scenarios.Endpoint{Protocol: "openai", Path: "/v1", Model: "m"}, []outcomeCase{
		{"answer", stream(data(append(good, usage, done)...)), results.OK, "", 17},
		{"no usage", stream(data(append(good, done)...)), results.OK, "", 2},
		{"no DONE", stream(data(good...)), results.OK, "", 2},
		{"keep-alives and an unknown event", stream(": ping\n\nevent: x\n" + data(append(good, `{}`, done)...)), results.OK, "", 2},
		{"null choices", stream(data(append(good, `{"choices":null,"usage":{"completion_tokens":3}}`, done)...)), results.OK, "", 3},
		{"usage that can't be", stream(data(append(good, `{"usage":{"completion_tokens":1e99}}`, done)...)), results.OK, "", 2},
		{"length", stream(data(delta("好"), strings.Replace(stop, "stop", "length", 1), done)), results.OK, "", 1},
		{"tool call", stream(data(calls(`{"index":0,"id":"c1","function":{"name":"pay","arguments":"{}"}}`), stop, done)), results.OK, "", 1},
		{"tool call of nobody", stream(data(calls(`{"index":0,"function":{"arguments":"{}"}}`), stop, done)), results.Malformed, "without an id or a name", 1},
		{"JSON tool call", whole(200, asJSON, `{"choices":[{"message":{"content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"pay","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}`), results.OK, "", 1},
		{"no finish_reason", stream(data(role, delta("好"), done)), results.Truncated, "it says that it is done", 1},
		{"ends early", stream(data(role, delta("好"))), results.Truncated, "the stream ended", 1},
		{"no events", stream(""), results.Truncated, "the stream ended", 0},
		{"error frame", stream(data(role, delta("好"), failed("server_error"))), results.ErrorInStream, "server_error", 1},
		{"error frame before anything was said", stream(data(role, failed("slow_down"))), results.RateLimited, "slow_down", 0},
		{"error frame of DashScope's own", stream("id:3\nevent:error\n:HTTP_STATUS/429\n" + data(`{"code":"Throttling.RateQuota","message":"Requests rate limit exceeded, please try again later.","request_id":"r"}`)), results.RateLimited, "Throttling.RateQuota", 0},
		{"the same after some words", stream(data(role, delta("好")) + "event:error\n" + data(`{"code":"InternalError","message":"An internal error has occured.","request_id":"r"}`)), results.ErrorInStream, "InternalError", 1},
		{"filtered by DashScope", stream(data(`{"error":{"code":"data_inspection_failed","message":"Output data may contain inappropriate content.","param":null,"type":"data_inspection_failed"},"request_id":"r"}`)), results.Refused, "data_inspection_failed", 0},
		{"ended by an error", stream(data(delta("好"), strings.Replace(stop, "stop", "error", 1), done)), results.ErrorInStream, "ended by error", 1},
		{"ended by abort", stream(data(delta("好"), strings.Replace(stop, "stop", "abort", 1), done)), results.Truncated, "abort", 1},
		{"too long", stream(data(delta(strings.Repeat("x", maxBody/2)), delta(strings.Repeat("y", maxBody/2+1)), stop, done)), results.Malformed, "too long", 1},
		{"finish_reason null as text", stream(data(delta("好"), strings.Replace(stop, `"stop"`, `"null"`, 1), done)), results.Truncated, "not why", 1},
		{"error frame of text", stream(data(`{"error":"boom"}`)), results.ErrorInStream, "boom", 0},
		{"null error", stream(data(append(good, `{"error":null}`, done)...)), results.OK, "", 2},
		{"broken chunk", stream(data(role, `{"choices":[{"delta":{"content":"好`)), results.Malformed, "JSON", 0},
		{"chunk in another encoding", stream(data(delta("\xc4\xe3"))), results.Malformed, "JSON", 0},
		{"no object", stream(data(`"hello"`)), results.Malformed, "JSON", 0},
		{"content of a number", stream(data(`{"choices":[{"delta":{"content":5}}]}`)), results.Malformed, "no string", 0},
		{"empty", stream(data(role, stop, done)), results.Malformed, "empty", 0},
		{"refusal of the model", stream(data(`{"choices":[{"delta":{"refusal":"I can't"}}]}`, stop, done)), results.Refused, "refusal", 0},
		{"filtered", stream(data(delta("好"), strings.Replace(stop, "stop", "content_filter", 1), done)), results.Refused, "content_filter", 1},
		{"fluent refusal", stream(data(delta("As a Large Language"), delta(" Model, I have no physical hands."), stop, done)), results.Refused, "Large Language Model", 2},
		{"fluent refusal, escaped", stream(data(delta(`\u6d3b\u52a8\u592a`), delta("火爆,请稍后再试"), stop, done)), results.Refused, "活动太火爆", 2},
		{"a phrase in a long answer", stream(data(delta(strings.Repeat("这是菜单", 200)+"系统繁忙"), stop, done)), results.OK, "", 1},

		{"JSON", whole(200, asJSON, answered("好", `"stop"`)), results.OK, "", 5},
		{"JSON without finish_reason", whole(200, asJSON, answered("好", `null`)), results.Truncated, "not why", 5},
		{"JSON, empty", whole(200, asJSON, answered("", `"stop"`)), results.Malformed, "empty", 5},
		{"JSON, broken", whole(200, asJSON, answered("好", `"stop"`)[:40]), results.Malformed, "JSON", 0},
		{"JSON, refused", whole(200, asJSON, answered("系统繁忙", `"stop"`)), results.Refused, "系统繁忙", 5},
		{"JSON error", whole(200, asJSON, failed("odd")), results.ErrorInStream, "odd", 0},
		{"JSON error, overloaded", whole(200, asJSON, failed("server_is_overloaded")), results.Unavailable, "overloaded", 0},
		{"a page", whole(200, "text/html", "<html>"), results.Malformed, "text/html", 0},
	})
}

// outcomes holds answers against what they should come to. What a stream can
// come to must all be among them.
func outcomes(t *testing.T, e scenarios.Endpoint, cases []outcomeCase) {
	unseen := map[results.Outcome]bool{
		results.OK: true, results.Refused: true, results.RateLimited: true, results.Unavailable: true,
		results.ErrorInStream: true, results.Truncated: true, results.Malformed: true,
	}
	for _, test := range cases {
		delete(unseen, test.want)
		t.Run(test.name, func(t *testing.T) {
			c, s := dial(t, test.serve), shopper()
			s.History = []byte(`{"role":"user","content":"早"}`)
			before := string(s.History)
			started := time.Now()
			r := New(e).Do(c, s, turn("来一杯"))
			if r.Outcome != test.want || !strings.Contains(r.Why, test.why) || r.Tokens != test.tokens {
				t.Errorf("%v, %q, %d tokens; want %v, %q, %d", r.Outcome, r.Why, r.Tokens, test.want, test.why, test.tokens)
			}
			if r.End.Before(started) || !r.FirstToken.IsZero() && (r.FirstToken.Before(r.FirstChunk) || r.LastToken.Before(r.FirstToken) || r.End.Before(r.LastToken)) {
				t.Errorf("times out of order: %+v", r)
			}
			if grew := string(s.History) != before; grew != (test.want == results.OK) {
				t.Errorf("%v left the history as %s", r.Outcome, s.History)
			}
			if !json.Valid([]byte("[" + string(s.History) + "]")) {
				t.Errorf("the history is no JSON any more: %s", s.History)
			}

			c, last := dial(t, test.serve), turn("来一杯")
			s.History, last.Last = []byte(before), true
			if r := New(e).Do(c, s, last); r.Outcome != test.want || (s.History == nil) != (test.want == results.OK) || s.History != nil && string(s.History) != before {
				t.Errorf("the last turn, %v, left the history as %s", r.Outcome, s.History)
			}
		})
	}
	for o := range unseen {
		t.Errorf("nothing provokes %v", o)
	}
}

// Everything that breaks on the wire, and what was measured until then.
func TestBrokenStreams(t *testing.T) {
	begin := func(w http.ResponseWriter, events ...string) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, data(events...))
		w.(http.Flusher).Flush()
	}
	hangs := func(r *http.Request) { <-r.Context().Done() }
	type answer func(begins []string) http.HandlerFunc // begins: an event without text, and one with it
	tests := []struct {
		name   string
		serve  answer
		want   results.Outcome
		tokens int
	}{
		{"silent", func([]string) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) { io.ReadAll(r.Body); hangs(r) }
		}, results.TimedOut, 0},
		{"only a role", func(b []string) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) { io.ReadAll(r.Body); begin(w, b[0]); hangs(r) }
		}, results.TimedOut, 0},
		{"falls silent", func(b []string) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) { io.ReadAll(r.Body); begin(w, b...); hangs(r) }
		}, results.Stalled, 1},
		{"cut off", func(b []string) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) { begin(w, b...); panic(http.ErrAbortHandler) }
		}, results.Truncated, 1},
		{"no answer at all", func([]string) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }
		}, results.ConnectionFailed, 0},
	}
	for _, protocol := range []string{"openai", "openai-responses"} {
		for _, test := range tests {
			t.Run(protocol+"/"+test.name, func(t *testing.T) {
				t.Parallel()
				step := turn("来一杯")
				switch test.want { // a busy machine must not look like a slow backend
				case results.TimedOut:
					step.FirstToken, step.Answer = 150*time.Millisecond, 300*time.Millisecond
				case results.Stalled:
					step.Answer = 2 * time.Second
				}
				s, begins := shopper(), []string{role, delta("好")}
				if protocol != "openai" {
					begins = []string{created, textDelta(3, "好")}
				}
				r := New(scenarios.Endpoint{Protocol: protocol}).Do(dial(t, test.serve(begins)), s, step)
				if r.Outcome != test.want || r.Why == "" || r.Tokens != test.tokens || r.End.IsZero() || len(s.History) > 0 {
					t.Errorf("%+v, history %q; want %v with %d tokens", r, s.History, test.want, test.tokens)
				}
			})
		}
	}
}

// However the network cuts a stream, the answer is the same.
func TestPieces(t *testing.T) {
	body := data(role, delta("好的,"), delta(`\u4e0b\u5355`), stop, usage, done)
	for _, size := range []int{1, 2, 3, 7, 64, len(body)} {
		c, s := dial(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for left := body; len(left) > 0; {
				n := min(size, len(left))
				io.WriteString(w, left[:n])
				if left = left[n:]; len(left) > 0 { // the last leaves with the body's end, which is not waited for
					w.(http.Flusher).Flush() // a chunk of its own
				}
			}
		}), shopper()
		r := New(scenarios.Endpoint{}).Do(c, s, turn("x"))
		const want = `{"role":"user","content":"x"},{"role":"assistant","content":"好的,\u4e0b\u5355"}`
		if r.Outcome != results.OK || r.Tokens != 17 || string(s.History) != want || !c.Reusable() {
			t.Errorf("pieces of %d: %v, %q, %d tokens, history %s", size, r.Outcome, r.Why, r.Tokens, s.History)
		}
	}
}

// A canceled connection is nobody's refusal.
func TestCanceled(t *testing.T) {
	c := dial(t, stream(""))
	c.Cancel()
	if r := New(scenarios.Endpoint{}).Do(c, shopper(), turn("x")); r.Outcome != results.Canceled {
		t.Errorf("%v, want canceled", r.Outcome)
	}
}

// The history stands in the next request as it came, and the connection can be
// used for it.
func TestConversation(t *testing.T) {
	answers := []string{
		data(role, delta(`\"hot\" \ud83c`), delta(`\udf75\n`), stop, done),
		data(delta("下单了"), stop, usage, done),
	}
	var requests []string
	var remotes []string
	c, s := dial(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		requests, remotes = append(requests, string(b)), append(remotes, r.RemoteAddr)
		stream(answers[len(requests)-1])(w, r)
	}), shopper()
	p := New(scenarios.Endpoint{Model: "m"})
	for i, say := range []string{"a \"cup\"\n", "买"} {
		if r := p.Do(c, s, turn(say)); r.Outcome != results.OK {
			t.Fatalf("turn %d: %v, %s", i, r.Outcome, r.Why)
		}
		if !c.Reusable() {
			t.Fatalf("after turn %d the connection is not reusable", i)
		}
		c.Rest()
	}
	var got struct {
		Messages []struct{ Role, Content string }
	}
	if err := json.Unmarshal([]byte(requests[1]), &got); err != nil {
		t.Fatal(err)
	}
	want := `[{user a "cup"
} {assistant "hot" 🍵
} {user 买}]`
	if have := fmt.Sprint(got.Messages); have != want {
		t.Errorf("the second request says %s, want %s", have, want)
	}
	if len(remotes) != 2 || remotes[0] != remotes[1] {
		t.Errorf("connections of the requests: %q", remotes)
	}
}

func TestRequest(t *testing.T) {
	var request string
	var body []byte
	c, s := dial(t, capture(&request, &body, answered("好", `"stop"`))), shopper()
	s.History = []byte(`{"role":"user","content":"早"},{"role":"assistant","content":"早上好\n"}`)
	step := turn("来一杯\"热\"奶茶")
	step.Attempt = 2
	if r := New(scenarios.Endpoint{Path: "/v1/", Model: "qwen-max"}).Do(c, s, step); r.Outcome != results.OK {
		t.Fatal(r.Outcome, r.Why)
	}
	if !json.Valid(body) {
		t.Errorf("the body is no JSON: %s", body)
	}
	golden(t, "turn", request)
}

func TestRetryAfter(t *testing.T) {
	date := time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)
	tests := []struct {
		header   []string
		from, to time.Duration
	}{
		{nil, 0, 0},
		{[]string{"Retry-After", "7"}, 7 * time.Second, 7 * time.Second},
		{[]string{"Retry-After", "0.5"}, 500 * time.Millisecond, 500 * time.Millisecond},
		{[]string{"Retry-After", "7", "Retry-After-Ms", "250"}, 250 * time.Millisecond, 250 * time.Millisecond},
		{[]string{"Retry-After", date}, 30 * time.Second, 90 * time.Second},
		{[]string{"Retry-After", "Mon, 01 Jan 2001 00:00:00 GMT"}, 0, 0},
		{[]string{"Retry-After", "-1"}, 0, 0},
		{[]string{"Retry-After", "NaN"}, 0, 0},
		{[]string{"Retry-After", "soon"}, 0, 0},
		{[]string{"Retry-After", "1e300"}, time.Hour, time.Hour},
		{[]string{"Retry-After-Ms", "Inf"}, time.Hour, time.Hour},
	}
	for _, test := range tests {
		r := New(scenarios.Endpoint{}).Do(dial(t, whole(429, "application/json", "{}", test.header...)), shopper(), turn("x"))
		if r.Outcome != results.RateLimited || r.RetryAfter < test.from || r.RetryAfter > test.to {
			t.Errorf("%q: %v after %v, want %v to %v", test.header, r.Outcome, r.RetryAfter, test.from, test.to)
		}
	}
}

// The first token counts from when it came, not from the end.
func TestTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pause = 60 * time.Millisecond
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			r, err := http.ReadRequest(bufio.NewReader(far))
			if err != nil {
				t.Error(err)
				return
			}
			io.ReadAll(r.Body)
			io.WriteString(far, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
			for _, e := range []string{role, delta("a"), delta("b"), stop, done} {
				time.Sleep(pause) // the backend's pace
				io.WriteString(far, data(e))
			}
		}()
		target, err := wire.NewTarget(wire.Config{URL: "http://shop.invalid"})
		if err != nil {
			t.Fatal(err)
		}
		c := wire.New(near, target)
		defer c.Close()
		start := time.Now()
		r := New(scenarios.Endpoint{}).Do(c, shopper(), turn("x"))
		for i, at := range []time.Time{r.FirstChunk, r.FirstToken, r.LastToken, r.End} {
			want := time.Duration(i+1) * pause
			if i == 3 {
				want += pause // after the one that says why it ends
			}
			if at.Sub(start) != want {
				t.Errorf("time %d is %v after the start, want %v", i, at.Sub(start), want)
			}
		}
		if r.Outcome != results.OK {
			t.Error(r.Outcome, r.Why)
		}
	})
}
