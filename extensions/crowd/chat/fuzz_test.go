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
		f.Add(body, true)
		f.Add(body, false)
	}
	target, err := wire.NewTarget(wire.Config{URL: "http://127.0.0.1:1"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body string, events bool) {
		kind := "application/json"
		if events {
			kind = "text/event-stream"
		}
		raw := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", kind, len(body), body)
		c, s := wire.New(canned{Reader: bytes.NewReader([]byte(raw))}, target), shopper()
		r := New(scenarios.Endpoint{}).Do(c, s, turn("x"))
		if (r.Outcome == results.OK) != (len(s.History) > 0) {
			t.Fatalf("%v with the history %q", r.Outcome, s.History)
		}
		if !json.Valid([]byte("[" + string(s.History) + "]")) {
			t.Fatalf("the history is no JSON any more: %q", s.History)
		}
		if r.Outcome == results.OK && (!bytes.Contains([]byte(body), []byte("finish_reason")) && !bytes.Contains([]byte(body), []byte(`\u`)) || r.FirstToken.IsZero()) {
			t.Fatalf("ok without an end or a token: %q", body)
		}
		if r.Outcome != results.OK && r.Why == "" {
			t.Fatalf("%v without a reason", r.Outcome)
		}
	})
}
