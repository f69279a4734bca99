package chat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// canned is a connection whose other side has said all it will.
type canned struct {
	net.Conn
	*bytes.Reader
}

func (c canned) Read(b []byte) (int, error)      { return c.Reader.Read(b) }
func (c canned) Write(b []byte) (int, error)     { return len(b), nil }
func (c canned) SetDeadline(time.Time) error     { return nil }
func (c canned) SetReadDeadline(time.Time) error { return nil }
func (c canned) Close() error                    { return nil }

// Whatever a stream says, the answer is an outcome, OK only if there was text
// and an end, and the history stays what the next request can carry.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		data(role, delta("好的"), stop, usage, done), data(delta("a")), data(done), data(failed("x")),
		data(delta(`\u6d3b\ud83c`), delta(`\udf75`), stop), answered("好", `"stop"`), failed("slow_down"), "", "data:",
		data(`{"choices":[{"delta":{"content":"a","content":"b\"}`),
		data(calls(`{"index":0,"id":"c\"1","function":{"name":"pay","arguments":"{\"a\":"}}`), calls(`{"index":0,"function":{"arguments":"\ud83c"}}`), stop, done),
	} {
		f.Add(body, true, false)
		f.Add(body, false, false)
	}
	for _, body := range []string{
		data(created, textDelta(3, "好的"), itemDone(0, message("好的")), ended("completed", outputUsage)), data(itemDone(0, callItem), ended("completed", "")),
		data(textDelta(3, `\ud83c`), textDelta(4, `\udf75`), ended("incomplete", `,"incomplete_details":{"reason":"max_output_tokens"}`)),
		response("completed", outputUsage, thoughtItem, message("好")), data(`{"type":"error","code":"x","message":"y"}`),
	} {
		f.Add(body, true, true)
		f.Add(body, false, true)
	}
	target, err := wire.NewTarget(wire.Config{URL: "http://127.0.0.1:1"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body string, events, other bool) {
		e := scenarios.Endpoint{Protocol: "openai"}
		if other {
			e.Protocol = "openai-responses"
		}
		kind := "application/json"
		if events {
			kind = "text/event-stream"
		}
		raw := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", kind, len(body), body)
		c, s := wire.New(canned{Reader: bytes.NewReader([]byte(raw))}, target), shopper()
		r := New(e).Do(c, s, turn("x"))
		if (r.Outcome == results.OK) != (len(s.History) > 0) {
			t.Fatalf("%v with the history %q", r.Outcome, s.History)
		}
		if !json.Valid([]byte("[" + string(s.History) + "]")) {
			t.Fatalf("the history is no JSON any more: %q", s.History)
		}
		if r.Outcome == results.OK && (r.FirstToken.IsZero() || r.FirstToken.Before(r.FirstChunk) || r.Tokens == 0 && r.Reasoning == 0) {
			t.Fatalf("ok without a token: %+v", r)
		}
		if r.Outcome != results.OK && r.Why == "" {
			t.Fatalf("%v without a reason", r.Outcome)
		}
	})
}
