package wire

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
	"time"
)

// A patient is who asks twice on one connection.
type patient struct {
	name   string
	before time.Duration // patience of the first request, which is answered at once
	pause  time.Duration // after that answer
	wait   time.Duration // patience of the second; 0: none
	answer time.Duration // when that one is answered; 0: never
	cancel time.Duration // when it is canceled; 0: never
	want   Kind
	after  time.Duration
}

// TestPatienceOfASocket: the deadline of an earlier request, which the poller may
// still have, neither shortens a wait nor makes it longer.
func TestPatienceOfASocket(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []patient{
		{"longer", 50 * ms, 0, 200 * ms, 0, 0, TimedOut, 200 * ms},
		{"longer, and over meanwhile", 20 * ms, 50 * ms, 100 * ms, 0, 0, TimedOut, 100 * ms},
		{"shorter", time.Hour, 0, 60 * ms, 0, 0, TimedOut, 60 * ms},
		{"none after some", 40 * ms, 0, 0, 120 * ms, 0, 0, 120 * ms},
		{"some after none", 0, 0, 60 * ms, 0, 0, TimedOut, 60 * ms},
		{"over already", time.Hour, 0, -ms, 0, 0, TimedOut, 0},
		{"over already, like the first", 20 * ms, 40 * ms, -ms, 0, 0, TimedOut, 0},
		{"an answer before both", 200 * ms, 0, time.Hour, 20 * ms, 0, 0, 20 * ms},
		{"an answer between", 40 * ms, 0, time.Hour, 120 * ms, 0, 0, 120 * ms},
		{"an answer after the first is over", 20 * ms, 50 * ms, time.Hour, 20 * ms, 0, 0, 20 * ms},
		{"canceled before both", time.Hour, 0, time.Hour, 0, 30 * ms, Canceled, 30 * ms},
		{"canceled between", 20 * ms, 0, time.Hour, 0, 80 * ms, Canceled, 80 * ms},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for range 50 {
				if test.holds(t) {
					return
				}
			}
			t.Errorf("no first request was answered within %v", test.before)
		})
	}
}

// holds asks twice on one connection; false: the first answer came later than
// its patience.
func (test patient) holds(t *testing.T) bool {
	t.Helper()
	asked := make(chan time.Duration, 1)
	c := canned(t, func(conn *net.TCPConn) {
		for range 2 {
			n, err := conn.Read(make([]byte, 4096))
			if err != nil {
				return
			}
			if pause := <-asked; pause < 0 {
				if n, _ := io.Copy(io.Discard, conn); n > 0 {
					t.Errorf("after %d bytes came %d more", n, n)
				}
			} else {
				time.Sleep(pause) // a slow answer
			}
			io.WriteString(conn, okay)
			if n > 100 {
				t.Errorf("a request of %d bytes", n)
			}
		}
	})
	defer c.Close()
	ask := func(patience, answer time.Duration) error {
		asked <- answer
		req := &Request{Method: "GET", Path: "/", Deadline: time.Now().Add(patience)}
		if patience == 0 {
			req.Deadline = time.Time{}
		}
		r, err := c.Do(req)
		if err == nil {
			_, err = r.ReadAll(9)
		}
		return err
	}
	if err := ask(test.before, 0); kind(t, err) == TimedOut {
		return false
	} else if err != nil {
		t.Fatal(err)
	}
	time.Sleep(test.pause) // the shopper thinks
	begin := time.Now()
	if test.cancel > 0 {
		time.AfterFunc(test.cancel, c.Cancel)
	}
	answer := test.answer
	if answer == 0 {
		answer = -1
	}
	err := ask(test.wait, answer)
	if took := time.Since(begin); kind(t, err) != test.want || took < test.after || took > test.after+20*time.Second {
		t.Errorf("got %v after %v, want %v after %v", err, took, test.want, test.after)
	}
	return true
}

// TestRequestIsWrittenOnce: a request that is written while an earlier request's
// deadline ends goes out whole, and once.
func TestRequestIsWrittenOnce(t *testing.T) {
	for _, size := range []int{10, 32 << 20} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			for patience := 200 * time.Millisecond; !writtenOnce(t, size, patience); patience *= 2 {
				if patience > 10*time.Second {
					t.Fatalf("no first request was answered within %v", patience)
				}
			}
		})
	}
}

// writtenOnce sends a request while the patience of the one before ends; false:
// that one was not answered in time.
func writtenOnce(t *testing.T, size int, patience time.Duration) bool {
	t.Helper()
	sum := make(chan [32]byte, 1)
	c := canned(t, func(conn *net.TCPConn) {
		once(okay, true)(conn)
		time.Sleep(2 * patience) // the socket fills, and the deadline ends
		h, in := sha256.New(), io.LimitReader(conn, int64(size)+int64(len("POST / HTTP/1.1\r\nHost: \r\nContent-Length: \r\n\r\n")+len(conn.LocalAddr().String())+len(strconv.Itoa(size))))
		io.Copy(h, in)
		sum <- [32]byte(h.Sum(nil))
		io.WriteString(conn, okay)
		if n, _ := io.Copy(io.Discard, conn); n > 0 {
			t.Errorf("%d bytes too many", n)
		}
	})
	defer c.Close()
	body := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(body)
	req := &Request{Method: "POST", Path: "/", Body: [][]byte{body}}
	want := sha256.Sum256(c.render(nil, req))
	for i, patience := range []time.Duration{patience, 30 * time.Second} {
		ask := &Request{Method: "GET", Path: "/"}
		if i > 0 {
			ask = req
		}
		ask.Deadline = time.Now().Add(patience)
		r, err := c.Do(ask)
		var body []byte
		if err == nil {
			body, err = r.ReadAll(9)
		}
		if i == 0 && kind(t, err) == TimedOut {
			return false
		}
		if err != nil || !bytes.Equal(body, []byte("ok")) {
			t.Fatalf("got %q, %v", body, err)
		}
	}
	if got := <-sum; got != want {
		t.Error("other bytes arrived than were sent")
	}
	return true
}

// TestStreamOutlivesFirstPatience: the poller's deadline is the first patience,
// and a drain's; neither ends what comes after it.
func TestStreamOutlivesFirstPatience(t *testing.T) {
	var err error
	for i := range 10 {
		if err = streamed(t, 100*time.Millisecond<<min(i, 4)); err == nil {
			return
		}
	}
	t.Error(err)
}

// streamed asks for two streams on one connection. An error may be the machine's:
// an answer came later than its patience, or the end than a drain waits for it.
func streamed(t *testing.T, patience time.Duration) error {
	t.Helper()
	c := canned(t, func(conn *net.TCPConn) {
		for range 2 {
			conn.Read(make([]byte, 4096))
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+chunkOf("data: a\n\n"))
			time.Sleep(3 * patience / 2) // longer than the first patience
			io.WriteString(conn, chunkOf("data: b\n\n"))
			time.Sleep(time.Millisecond) // so that the end is waited for
			io.WriteString(conn, "0\r\n\r\n")
		}
		io.Copy(io.Discard, conn)
	})
	for i := range 2 {
		now := time.Now()
		r, err := c.Do(&Request{Method: "GET", Path: "/", First: now.Add(patience), Deadline: now.Add(30 * time.Second)})
		if err != nil {
			return err
		}
		events := r.Events()
		for _, want := range []string{"a", "b"} {
			e, err := events.Next()
			if err != nil {
				return fmt.Errorf("request %d, %s: %w", i, want, err)
			}
			if string(e.Data) != want {
				t.Fatalf("request %d: got %q, want %q", i, e.Data, want)
			}
			r.Answering()
		}
		if err := r.Drain(); err != nil {
			return err
		}
		time.Sleep(2 * drainFor) // what the poller has is over
	}
	return nil
}

// A cancel is not undone by who wakes at a deadline of before and waits on.
func TestCancelAgainstWaitingOn(t *testing.T) {
	for i := range 50 {
		c := canned(t, func(conn *net.TCPConn) { io.Copy(io.Discard, conn) })
		c.until = time.Now().Add(5 * time.Millisecond)
		c.arm()
		time.AfterFunc(5*time.Millisecond+time.Duration(i-25)*10*time.Microsecond, c.Cancel)
		if _, err := c.Do(soon()); kind(t, err) != Canceled {
			t.Fatalf("got %v", err)
		}
		c.Close()
	}
}

// TestDrainOfWhatHasCome: a body whose end came with the rest is drained without
// a word to the poller.
func TestDrainOfWhatHasCome(t *testing.T) {
	c := canned(t, once("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+chunkOf("data: [DONE]\n\n")+"0\r\n\r\n", false))
	defer c.Close()
	req := soon()
	r, err := c.Do(req)
	if err == nil {
		_, err = r.Events().Next()
	}
	armed := c.armed
	if err == nil {
		err = r.Drain()
	}
	if err != nil || !c.armed.Equal(armed) || !c.armed.Equal(req.Deadline) {
		t.Errorf("%v; the poller's deadline was %v and is %v, the request's %v", err, armed, c.armed, req.Deadline)
	}
}
