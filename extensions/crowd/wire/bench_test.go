package wire

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// The server of a benchmark answers every request, whose size it knows, with
// the same bytes in one write.
func benchmarkServer(b *testing.B, answer string) (*Target, *int) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	size, bytes := new(int), []byte(answer)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		request := make([]byte, *size)
		for {
			if _, err := io.ReadFull(conn, request); err != nil {
				return
			}
			if _, err := conn.Write(bytes); err != nil {
				return
			}
		}
	}()
	target, err := NewTarget(Config{URL: "http://" + l.Addr().String()})
	if err != nil {
		b.Fatal(err)
	}
	return target, size
}

func benchmarkExchange(b *testing.B, answer string, read func(*Response) error) {
	target, size := benchmarkServer(b, answer)
	req := &Request{
		Method: "POST", Path: "/v1/chat",
		Header: []byte("Content-Type: application/json\r\nAuthorization: Bearer shopper-7\r\n"),
		Body:   [][]byte{[]byte(`{"messages":[`), []byte(`{"role":"user","content":"milk tea"}`), []byte(`]}`)},
	}
	*size = len(New(nil, target).render(nil, req))
	c, err := target.Dial(b.Context(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	b.ReportAllocs()
	for b.Loop() {
		if !c.Reusable() {
			b.Fatal("not reusable")
		}
		req.First = time.Now().Add(time.Minute)
		req.Deadline = req.First.Add(time.Minute)
		r, err := c.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		if err := read(r); err != nil {
			b.Fatal(err)
		}
		c.Rest()
	}
}

func BenchmarkLength(b *testing.B) {
	answer := "HTTP/1.1 200 OK\r\nDate: Fri, 06 Feb 2026 12:00:00 GMT\r\nContent-Type: application/json\r\nContent-Length: 46\r\n\r\n" +
		`{"order_id":"o-123456","status":"completed"}` + "\r\n"
	benchmarkExchange(b, answer, func(r *Response) error {
		if r.Header("Content-Type") == "" {
			return io.ErrUnexpectedEOF
		}
		_, err := r.ReadAll(1 << 20)
		return err
	})
}

// An event of a stream, and the head before it.
const (
	delta  = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1770379200,"model":"qwen-shop","choices":[{"index":0,"delta":{"content":"milk"},"finish_reason":null}]}` + "\n\n"
	stream = "HTTP/1.1 200 OK\r\nDate: Fri, 06 Feb 2026 12:00:00 GMT\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)

func BenchmarkEvents(b *testing.B) {
	answer := stream + strings.Repeat(chunkOf(delta), 32) + "0\r\n\r\n"
	benchmarkExchange(b, answer, func(r *Response) error {
		if r.Header("Content-Type") == "" {
			return io.ErrUnexpectedEOF
		}
		events := r.Events()
		for n := 0; ; n++ {
			_, err := events.Next()
			if err == io.EOF && n == 32 {
				return nil
			}
			if err != nil {
				return err
			}
			r.Answering()
		}
	})
}

// again is a connection that gives the same answer to each request.
type again struct {
	memory
	answer []byte
}

func (a *again) Write(b []byte) (int, error) {
	a.in = a.answer
	return len(b), nil
}

// What an answer costs beside the system: its head and a short body.
func BenchmarkHead(b *testing.B) {
	c := New(&again{answer: []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nVary: Origin\r\nDate: Fri, 06 Feb 2026 12:00:00 GMT\r\nContent-Length: 2\r\n\r\n{}")}, &Target{host: "127.0.0.1:8080"})
	req := &Request{Method: "POST", Path: "/v1/chat", Header: []byte("Content-Type: application/json\r\n"), Body: [][]byte{[]byte("{}")}}
	b.ReportAllocs()
	for b.Loop() {
		r, err := c.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.ReadAll(9); err != nil || kindOf(r) == "" || RetryAfter(r, r.At) != 0 {
			b.Fatal(err)
		}
		c.Rest()
	}
}

// What a stream costs beside the system, by the chunks its events come in.
func BenchmarkStream(b *testing.B) {
	for name, body := range map[string]string{
		"one chunk":        chunkOf(strings.Repeat(delta, 32)),
		"a chunk for each": strings.Repeat(chunkOf(delta), 32),
	} {
		b.Run(name, func(b *testing.B) {
			c := New(&again{answer: []byte(stream + body + "0\r\n\r\n")}, &Target{host: "127.0.0.1:8080"})
			b.ReportAllocs()
			for b.Loop() {
				r, err := c.Do(&Request{Method: "POST", Path: "/v1/chat"})
				if err != nil {
					b.Fatal(err)
				}
				events, n := r.Events(), 0
				for _, err = events.Next(); err == nil; _, err = events.Next() {
					n++
				}
				if n != 32 || err != io.EOF {
					b.Fatal(n, err)
				}
				c.Rest()
			}
		})
	}
}

// kindOf keeps the value, as a caller may.
//
//go:noinline
func kindOf(r *Response) string { return r.Header("Content-Type") }
