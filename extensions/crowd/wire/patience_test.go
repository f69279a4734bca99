package wire

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
	"time"
)

// TestPatienceOfASocket: the deadline of an earlier request, which the poller may
// still have, neither shortens a wait nor makes it longer.
func TestPatienceOfASocket(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		name   string
		before time.Duration // patience of the first request, which is answered at once
		pause  time.Duration // after that answer
		wait   time.Duration // patience of the second; 0: none
		answer time.Duration // when that one is answered; 0: never
		cancel time.Duration // when it is canceled; 0: never
		want   Kind
		after  time.Duration
	}{
		{"longer", 50 * ms, 0, 200 * ms, 0, 0, TimedOut, 200 * ms},
		{"longer, and over meanwhile", 20 * ms, 50 * ms, 100 * ms, 0, 0, TimedOut, 100 * ms},
		{"shorter", time.Hour, 0, 60 * ms, 0, 0, TimedOut, 60 * ms},
		{"none after some", 40 * ms, 0, 0, 120 * ms, 0, 0, 120 * ms},
		{"some after none", 0, 0, 60 * ms, 0, 0, TimedOut, 60 * ms},
		{"over already", time.Hour, 0, -ms, 0, 0, TimedOut, 0},
		{"over already, like the first", ms, 10 * ms, -ms, 0, 0, TimedOut, 0},
		{"an answer before both", 200 * ms, 0, time.Hour, 20 * ms, 0, 0, 20 * ms},
		{"an answer between", 40 * ms, 0, time.Hour, 120 * ms, 0, 0, 120 * ms},
		{"an answer after the first is over", 20 * ms, 50 * ms, time.Hour, 20 * ms, 0, 0, 20 * ms},
		{"canceled before both", time.Hour, 0, time.Hour, 0, 30 * ms, Canceled, 30 * ms},
		{"canceled between", 20 * ms, 0, time.Hour, 0, 80 * ms, Canceled, 80 * ms},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
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
				t.Skip("the machine is slower than the first patience")
			} else if err != nil {
				t.Fatal(err)
			}
			time.Sleep(test.pause) // the shopper thinks
			if test.cancel > 0 {
				time.AfterFunc(test.cancel, c.Cancel)
			}
			if test.answer == 0 {
				test.answer = -1
			}
			begin := time.Now()
			err := ask(test.wait, test.answer)
			if took := time.Since(begin); kind(t, err) != test.want || took < test.after || took > test.after+time.Second {
				t.Errorf("got %v after %v, want %v after %v", err, took, test.want, test.after)
			}
		})
	}
}

// TestRequestIsWrittenOnce: a request that is written while an earlier request's
// deadline ends goes out whole, and once.
func TestRequestIsWrittenOnce(t *testing.T) {
	for _, size := range []int{10, 32 << 20} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			sum := make(chan [32]byte, 1)
			c := canned(t, func(conn *net.TCPConn) {
				once(okay, true)(conn)
				time.Sleep(400 * time.Millisecond) // the socket fills, and the deadline ends
				h, in := sha256.New(), io.LimitReader(conn, int64(size)+int64(len("POST / HTTP/1.1\r\nHost: \r\nContent-Length: \r\n\r\n")+len(conn.LocalAddr().String())+len(strconv.Itoa(size))))
				io.Copy(h, in)
				sum <- [32]byte(h.Sum(nil))
				io.WriteString(conn, okay)
				if n, _ := io.Copy(io.Discard, conn); n > 0 {
					t.Errorf("%d bytes too many", n)
				}
			})
			body := make([]byte, size)
			rand.NewChaCha8([32]byte{}).Read(body)
			req := &Request{Method: "POST", Path: "/", Body: [][]byte{body}}
			want := sha256.Sum256(c.render(nil, req))
			for i, patience := range []time.Duration{200 * time.Millisecond, 10 * time.Second} {
				ask := &Request{Method: "GET", Path: "/"}
				if i > 0 {
					ask = req
				}
				ask.Deadline = time.Now().Add(patience)
				r, err := c.Do(ask)
				if err != nil {
					t.Fatal(err)
				}
				if body, err := r.ReadAll(9); err != nil || !bytes.Equal(body, []byte("ok")) {
					t.Fatalf("got %q, %v", body, err)
				}
			}
			if got := <-sum; got != want {
				t.Error("other bytes arrived than were sent")
			}
		})
	}
}

// TestStreamOutlivesFirstPatience: the poller's deadline is the first patience,
// and a drain's; neither ends what comes after it.
func TestStreamOutlivesFirstPatience(t *testing.T) {
	for range 10 {
		if streamed(t) {
			return
		}
	}
	t.Error("no body ended within a drain's patience")
}

// streamed asks for two streams on one connection; false: the end of one came
// later than a drain waits for it.
func streamed(t *testing.T) bool {
	t.Helper()
	c := canned(t, func(conn *net.TCPConn) {
		for range 2 {
			conn.Read(make([]byte, 4096))
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+chunkOf("data: a\n\n"))
			time.Sleep(150 * time.Millisecond) // longer than the first patience
			io.WriteString(conn, chunkOf("data: b\n\n"))
			time.Sleep(time.Millisecond) // so that the end is waited for
			io.WriteString(conn, "0\r\n\r\n")
		}
		io.Copy(io.Discard, conn)
	})
	for i := range 2 {
		now := time.Now()
		r, err := c.Do(&Request{Method: "GET", Path: "/", First: now.Add(100 * time.Millisecond), Deadline: now.Add(5 * time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		events := r.Events()
		for _, want := range []string{"a", "b"} {
			e, err := events.Next()
			if err != nil || string(e.Data) != want {
				t.Fatalf("request %d: got %q, %v, want %q", i, e.Data, err, want)
			}
			r.Answering()
		}
		if r.Drain() != nil {
			return false
		}
		time.Sleep(2 * drainFor) // what the poller has is over
	}
	return true
}

// A cancel is not undone by who wakes at a deadline of before and waits on.
func TestCancelAgainstWaitingOn(t *testing.T) {
	for i := range 50 {
		c := canned(t, func(conn *net.TCPConn) { io.Copy(io.Discard, conn) })
		c.until = time.Now().Add(5 * time.Millisecond)
		c.arm()
		time.AfterFunc(5*time.Millisecond+time.Duration(i-25)*10*time.Microsecond, c.Cancel)
		begin := time.Now()
		if _, err := c.Do(soon()); kind(t, err) != Canceled || time.Since(begin) > 2*time.Second {
			t.Fatalf("got %v after %v", err, time.Since(begin))
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
