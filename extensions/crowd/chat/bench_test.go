package chat

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// parrot is a connection that gives the same answer to whatever is written to
// it.
type parrot struct {
	net.Conn
	answer string
	left   string
}

func (p *parrot) Read(b []byte) (int, error) {
	n := copy(b, p.left)
	p.left = p.left[n:]
	return n, nil
}

func (p *parrot) Write(b []byte) (int, error)     { p.left = p.answer; return len(b), nil }
func (p *parrot) SetDeadline(time.Time) error     { return nil }
func (p *parrot) SetReadDeadline(time.Time) error { return nil }
func (p *parrot) Close() error                    { return nil }

// BenchmarkTurn tells what a turn costs without the socket: the first of a
// conversation, answered by a stream of 32 deltas with the fields that OpenAI's
// have.
func BenchmarkTurn(b *testing.B) {
	const chunk = `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1770336000,"model":"qwen-shop","choices":[{"index":0,"delta":{%s},"logprobs":null,"finish_reason":%s}],"usage":null}`
	lines := []string{fmt.Sprintf(chunk, `"role":"assistant","content":""`, "null")}
	for range 4 {
		for _, w := range []string{"珍珠", "奶茶", "一杯", "，", "少糖", "去冰", "，", "好的"} {
			lines = append(lines, fmt.Sprintf(chunk, `"content":"`+w+`"`, "null"))
		}
	}
	lines = append(lines, fmt.Sprintf(chunk, "", `"stop"`),
		`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1770336000,"model":"qwen-shop","choices":[],"usage":{"prompt_tokens":128,"completion_tokens":32,"total_tokens":160}}`, done)
	stream := data(lines...)
	answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nDate: Fri, 06 Feb 2026 12:00:00 GMT\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n%s", len(stream), stream)
	target, err := wire.NewTarget(wire.Config{URL: "http://127.0.0.1:1"})
	if err != nil {
		b.Fatal(err)
	}
	conn, who, chat := wire.New(&parrot{answer: answer}, target), shopper(), New(scenarios.Endpoint{Protocol: "openai", Model: "qwen-shop"})
	step := scenarios.Step{Kind: scenarios.Turn, Key: key(0), Say: "来一杯珍珠奶茶，少糖，去冰，送到公司", FirstToken: time.Minute, Answer: time.Minute}
	b.ReportAllocs()
	for b.Loop() {
		who.History = who.History[:0]
		if r := chat.Do(conn, who, step); r.Outcome != results.OK || r.Tokens != 32 {
			b.Fatalf("%v %s", r.Outcome, r.Why)
		}
		conn.Rest()
	}
}
