package wire

import (
	"bytes"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const okay = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func TestRequestBytes(t *testing.T) {
	c := New(nil, &Target{host: "shop:8080", path: "/api"})
	got := string(c.render(nil, &Request{
		Method: "POST", Path: "/orders?x=1", Header: []byte("A: b\r\n"), Extra: []byte("C: d\r\n"),
		Body: [][]byte{[]byte("one"), nil, []byte("two")},
	}))
	want := "POST /api/orders?x=1 HTTP/1.1\r\nHost: shop:8080\r\nA: b\r\nC: d\r\nContent-Length: 6\r\n\r\nonetwo"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := string(c.render(nil, &Request{Method: "GET", Path: "/"})); strings.Contains(got, "Content-Length") {
		t.Errorf("a GET without a body says %q", got)
	}
	if got := string(c.render(nil, &Request{Method: "POST", Path: "/"})); !strings.Contains(got, "Content-Length: 0\r\n") {
		t.Errorf("an empty POST says %q", got)
	}
}

func TestReuse(t *testing.T) {
	c := canned(t, func(conn *net.TCPConn) {
		for range 3 {
			conn.Read(make([]byte, 4096))
			io.WriteString(conn, okay)
		}
		io.Copy(io.Discard, conn)
	})
	for range 3 {
		if !c.Reusable() {
			t.Fatal("not reusable")
		}
		r, err := c.Do(soon())
		if err != nil {
			t.Fatal(err)
		}
		if c.Reusable() {
			t.Error("reusable before the body was read")
		}
		if body, err := r.ReadAll(9); err != nil || string(body) != "ok" {
			t.Fatalf("got %q, %v", body, err)
		}
		c.Rest()
		if c.buf != nil {
			t.Error("buffers at rest")
		}
	}
}

// turned waits for the other side's close or word to arrive.
func turned(c *Conn) bool {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) { // polls: a socket gives no sign that its peer has closed
		if !c.Reusable() {
			return true
		}
	}
	return false
}

func TestIdleConnectionTurns(t *testing.T) {
	for name, turn := range map[string]func(*net.TCPConn){
		"closed":      func(conn *net.TCPConn) { conn.Close() },
		"reset":       func(conn *net.TCPConn) { conn.SetLinger(0); conn.Close() },
		"unsolicited": func(conn *net.TCPConn) { io.WriteString(conn, okay); io.Copy(io.Discard, conn) },
	} {
		t.Run(name, func(t *testing.T) {
			rested := make(chan bool)
			c := canned(t, func(conn *net.TCPConn) {
				once(okay, true)(conn)
				<-rested
				turn(conn)
			})
			r, err := c.Do(soon())
			if err == nil {
				_, err = r.ReadAll(9)
			}
			if err != nil || !c.Reusable() {
				t.Fatalf("%v, reusable %v", err, c.Reusable())
			}
			close(rested)
			if !turned(c) {
				t.Error("still reusable")
			}
		})
	}
}

func TestSpentConnectionSendsNothing(t *testing.T) {
	raw := &memory{in: []byte("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 No\r\n\r\n")}
	c := New(raw, &Target{})
	r, err := c.Do(&Request{Method: "GET", Path: "/"})
	if err == nil {
		_, err = r.ReadAll(9)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(&Request{Method: "GET", Path: "/"}); kind(t, err) != Lost || raw.writes != 1 {
		t.Errorf("got %v after %d writes, want lost after one", err, raw.writes)
	}
}

func TestDrain(t *testing.T) {
	for size, clean := range map[int]bool{0: true, 9: true, 1 << 20: false} {
		answer := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunkOf("data: [DONE]\n\n")
		if size > 0 {
			answer += chunkOf(strings.Repeat("x", size))
		}
		c := New(&memory{in: []byte(answer + "0\r\n\r\n")}, &Target{})
		r, err := c.Do(&Request{Method: "GET", Path: "/"})
		if err == nil {
			_, err = r.Events().Next()
		}
		if err == nil {
			err = r.Drain()
		}
		if err != nil || c.Reusable() != clean {
			t.Errorf("%d bytes more: %v, reusable %v, want %v", size, err, c.Reusable(), clean)
		}
	}
	c := New(&memory{in: []byte("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")}, &Target{})
	r, err := c.Do(&Request{Method: "GET", Path: "/"})
	if err == nil {
		err = r.Drain()
	}
	if kind(t, err) != Truncated {
		t.Errorf("got %v, want truncated", err)
	}
}

// The server refuses after a few bytes of a body that is larger than what the
// sockets hold, and resets the connection.
func TestEarlyAnswer(t *testing.T) {
	for answer, want := range map[string]Kind{
		"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 4\r\n\r\nwait": 0,
		"HTTP/1.1 429 Too": Truncated,
		"":                 Lost,
	} {
		c := canned(t, once(answer, true))
		req := soon()
		req.Method, req.Body = "POST", [][]byte{bytes.Repeat([]byte("x"), 32<<20)}
		r, err := c.Do(req)
		if k := kind(t, err); k != want {
			t.Fatalf("%q: got %v, want %v", answer, err, want)
		}
		if err != nil {
			continue
		}
		if body, err := r.ReadAll(9); r.Status != 429 || err != nil || string(body) != "wait" || c.Reusable() {
			t.Errorf("got %d %q, %v, reusable %v", r.Status, body, err, c.Reusable())
		}
	}
}

func TestPatience(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\n\r\n"
	for _, test := range []struct {
		name     string
		at       []time.Duration // when a piece is sent, an event each
		want     Kind
		after    time.Duration
		deadline time.Duration // 10 s if zero
	}{
		{"nothing counts in time", nil, TimedOut, 2 * time.Second, 0},
		{"it counts too late", []time.Duration{3 * time.Second}, TimedOut, 2 * time.Second, 0},
		{"it begins and stalls", []time.Duration{time.Second}, Stalled, 10 * time.Second, 0},
		{"the whole patience is the shorter", nil, TimedOut, time.Second, time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				var peer sync.WaitGroup
				defer peer.Wait()
				defer near.Close()
				peer.Go(func() {
					defer far.Close()
					far.Read(make([]byte, 4096))
					io.WriteString(far, head)
					begin := time.Now()
					for _, at := range test.at {
						time.Sleep(at - time.Since(begin))
						io.WriteString(far, "data: x\n\n")
					}
					io.Copy(io.Discard, far)
				})
				if test.deadline == 0 {
					test.deadline = 10 * time.Second
				}
				begin := time.Now()
				c := New(near, &Target{})
				r, err := c.Do(&Request{Method: "GET", Path: "/", First: begin.Add(2 * time.Second), Deadline: begin.Add(test.deadline)})
				if err != nil {
					t.Fatal(err)
				}
				for events := r.Events(); err == nil; r.Answering() {
					if _, err = events.Next(); err != nil {
						break
					}
				}
				if k := kind(t, err); k != test.want || time.Since(begin) != test.after {
					t.Errorf("got %v after %v, want %v after %v", err, time.Since(begin), test.want, test.after)
				}
			})
		})
	}
}

func TestCancel(t *testing.T) {
	serve := once("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", false)
	t.Run("while reading", func(t *testing.T) {
		c := canned(t, serve)
		r, err := c.Do(soon())
		if err != nil {
			t.Fatal(err)
		}
		var cancels sync.WaitGroup
		for range 4 {
			cancels.Go(c.Cancel)
		}
		if _, err := r.ReadAll(9); kind(t, err) != Canceled {
			t.Errorf("got %v, want canceled", err)
		}
		cancels.Wait()
		if c.Reusable() {
			t.Error("reusable")
		}
	})
	t.Run("before", func(t *testing.T) {
		c := canned(t, serve)
		c.Cancel()
		if _, err := c.Do(soon()); kind(t, err) != Canceled {
			t.Errorf("got %v, want canceled", err)
		}
	})
	// A cancel between any two steps must not be undone by a new deadline.
	t.Run("against new deadlines", func(t *testing.T) {
		for range 200 {
			near, far := net.Pipe()
			c := New(near, &Target{})
			var cancel sync.WaitGroup
			cancel.Go(c.Cancel)
			c.patience(time.Now().Add(30 * time.Second))
			cancel.Wait()
			if _, err := near.Read(make([]byte, 1)); !os.IsTimeout(err) {
				t.Fatal(err)
			}
			far.Close()
			near.Close()
		}
	})
}
