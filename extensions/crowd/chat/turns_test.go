package chat

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// talker is a backend that answers every turn with the same stream of 32 deltas,
// allocates nothing, and counts the bytes that it was sent.
type talker struct {
	sent   atomic.Int64
	target *wire.Target
}

func newTalker(t testing.TB) *talker {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var stream strings.Builder
	const chunk = `data: {"choices":[{"index":0,"delta":{"content":%q},"finish_reason":%s}]}` + "\n\n"
	for range 32 {
		fmt.Fprintf(&stream, chunk, "milk tea, ", "null")
	}
	fmt.Fprintf(&stream, chunk+"data: [DONE]\n\n", "", `"stop"`)
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: " + strconv.Itoa(stream.Len()) + "\r\n\r\n" + stream.String())

	s := &talker{}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(conn, answer)
		}
	}()
	if s.target, err = wire.NewTarget(wire.Config{URL: "http://" + l.Addr().String()}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *talker) serve(conn net.Conn, answer []byte) {
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 64<<10)
	for {
		length := 0
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				return
			}
			s.sent.Add(int64(len(line)))
			if digits, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
				for _, c := range bytes.TrimSpace(digits) {
					length = length*10 + int(c-'0')
				}
			}
			if len(line) <= 2 {
				break
			}
		}
		n, err := in.Discard(length)
		s.sent.Add(int64(n))
		if err != nil {
			return
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

// talk has one shopper talk for some turns and returns the bytes of its history.
func (s *talker) talk(t testing.TB, turns int) int {
	t.Helper()
	conn, err := s.target.Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	who, chat := shopper(), New(scenarios.Endpoint{Protocol: "openai", Model: "qwen-shop"})
	for n := range turns {
		step := scenarios.Step{Kind: scenarios.Turn, Key: key(n), Say: "I'd like pearl milk tea. What do you have?", Answer: time.Minute}
		if r := chat.Do(conn, who, step); r.Outcome != results.OK {
			t.Fatalf("turn %d: %v %s", n, r.Outcome, r.Why)
		}
		conn.Rest()
	}
	return len(who.History)
}

// Each turn sends the conversation so far, so the bytes that are sent grow with
// the square of the turns. What they cost must grow with the bytes, and what is
// kept with the turns.
func TestTurnsCostWhatTheySend(t *testing.T) {
	s := newTalker(t)
	s.talk(t, 40) // what is made once
	cost := func(turns int) (allocated float64, kept int) {
		var before, after runtime.MemStats
		s.sent.Store(0)
		runtime.ReadMemStats(&before)
		const shoppers = 20
		for range shoppers {
			kept = s.talk(t, turns)
		}
		runtime.ReadMemStats(&after)
		return float64(after.TotalAlloc-before.TotalAlloc) / float64(s.sent.Load()), kept
	}
	few, keptOfFew := cost(5)
	many, keptOfMany := cost(40)
	if many > few {
		t.Errorf("a byte that is sent allocates %.2f bytes in 5 turns and %.2f in 40", few, many)
	}
	if keptOfMany > keptOfFew*8+8 {
		t.Errorf("%d bytes are kept of 5 turns and %d of 40", keptOfFew, keptOfMany)
	}
}

// BenchmarkTurns tells what a byte costs that is sent, in conversations of
// several lengths. The backend is part of the time, and of nothing else.
func BenchmarkTurns(b *testing.B) {
	for _, turns := range []int{5, 10, 20, 40} {
		b.Run(strconv.Itoa(turns), func(b *testing.B) {
			s := newTalker(b)
			kept := 0
			b.ReportAllocs()
			for b.Loop() {
				kept = s.talk(b, turns)
			}
			sent := float64(s.sent.Load())
			b.ReportMetric(sent/float64(b.N), "bytes-sent/op")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/sent, "ns/byte-sent")
			b.ReportMetric(float64(kept), "bytes-kept")
		})
	}
}
