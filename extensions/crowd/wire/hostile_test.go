package wire

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// both is a target over HTTP/1.1 and one over HTTP/2, with the same handler.
func both(t *testing.T, h http.HandlerFunc) map[string]*Target {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	one, err := NewTarget(Config{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*Target{"HTTP/1.1": one, "HTTP/2": shop2(t, false, h)}
}

// TestHostileBackends: whatever a backend does, the answer ends within its
// limits or the shopper's patience, takes no more memory than they allow, leads
// nowhere else, and leaves no goroutine behind. See TestEndlessAnswers and
// TestHTTP2Answers for answers that a server of net/http can't give.
func TestHostileBackends(t *testing.T) {
	var astray atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { astray.Add(1) }))
	defer elsewhere.Close()
	var given atomic.Int64 // bytes of bodies
	block := make([]byte, 64<<10)
	endless := func(w io.Writer, b []byte) { // 10 GB, if somebody takes them
		for n := 1; n > 0 && given.Load() < 10<<30; given.Add(int64(n)) {
			n, _ = w.Write(b)
		}
	}
	line := []byte(strings.Repeat("x", len(block)))
	for _, test := range []struct {
		name   string
		serve  http.HandlerFunc
		events bool
		body   int // of the request
		want   Kind
		status int
		most   int64 // bytes that the backend gets rid of, beside what sockets hold
	}{
		{name: "a stream without a newline", serve: func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "data: "); endless(w, line) }, events: true, want: Malformed, status: 200, most: maxEvent},
		{name: "an event without end", serve: func(w http.ResponseWriter, _ *http.Request) {
			endless(w, []byte(strings.Repeat("data: xxxxxxxxx\n", 4<<10)))
		}, events: true, want: Malformed, status: 200, most: 2 * maxEvent},
		{name: "events of nothing", serve: func(w http.ResponseWriter, _ *http.Request) {
			endless(w, []byte(strings.Repeat(": still here\n\n\n", 4<<10)))
		}, events: true, want: Malformed, status: 200, most: maxBody},
		{name: "a body without end", serve: func(w http.ResponseWriter, _ *http.Request) { endless(w, block) }, want: Malformed, status: 200, most: 1 << 20},
		{name: "a body of 10 GB", serve: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(10<<30))
			endless(w, block)
		}, want: Malformed},
		{name: "a packed bomb", serve: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			endless(w, block)
		}, want: Malformed},
		{name: "a header of a megabyte", serve: func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("A", strings.Repeat("x", 1<<20)) }, want: Malformed},
		{name: "a stream that never ends", serve: func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				io.WriteString(w, "data: x\n\n")
				w.(http.Flusher).Flush()
				time.Sleep(time.Millisecond) // a backend that is slow
			}
		}, events: true, want: Stalled, status: 200},
		{name: "no answer", serve: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, want: TimedOut},
		{name: "a request that is not read", serve: func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			select { // net/http notices who hangs up only when the request was read
			case <-r.Context().Done():
			case <-time.After(6 * patience(TimedOut)):
			}
		}, body: 32 << 20, want: TimedOut, status: -1},
		{name: "a redirect", serve: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}, status: 307},
		{name: "a redirect in a header of another kind", serve: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Alt-Svc", `h2="`+strings.TrimPrefix(elsewhere.URL, "http://")+`"; ma=99`)
			w.Header().Set("Refresh", "0; url="+elsewhere.URL)
		}, status: 200},
	} {
		for protocol, target := range both(t, test.serve) {
			t.Run(test.name+" over "+protocol, func(t *testing.T) {
				before := runtime.NumGoroutine()
				given.Store(0)
				var start, end runtime.MemStats
				runtime.ReadMemStats(&start)
				c, err := target.Dial(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				until := time.Now().Add(patience(test.want))
				req := &Request{Method: "POST", Path: "/", Deadline: until}
				if test.body > 0 {
					req.Body = [][]byte{make([]byte, test.body)}
				}
				status := 0
				r, err := c.Do(req)
				if err == nil {
					status = r.Status
					if test.events {
						for events := r.Events(); err == nil; r.Answering() {
							_, err = events.Next()
						}
					} else {
						_, err = r.ReadAll(1 << 20)
					}
				}
				runtime.ReadMemStats(&end)
				if k := kind(t, err); k != test.want || test.status >= 0 && status != test.status {
					t.Errorf("got %d, %v (%v), want %d, %v", status, k, err, test.status, test.want)
				}
				if err != nil && c.Reusable() {
					t.Error("the connection is used again")
				}
				c.Close()
				if time.Now().After(until.Add(20 * time.Second)) {
					t.Errorf("it took %v more than the patience", time.Since(until))
				}
				if most := test.most + 16<<20; given.Load() > most {
					t.Errorf("the backend got rid of %d bytes, want at most %d", given.Load(), most)
				}
				if grown := int64(end.TotalAlloc-start.TotalAlloc) - int64(5*test.body); grown > 16<<20+test.most {
					t.Errorf("it took %d bytes of memory", grown)
				}
				settles(t, before)
			})
		}
	}
	if astray.Load() > 0 {
		t.Errorf("%d requests went elsewhere", astray.Load())
	}
}

// A head that comes byte by byte does not come in time, and neither does one
// whose sender stops in the middle.
func TestSlowHead(t *testing.T) {
	for name, pause := range map[string]time.Duration{"byte by byte": 5 * time.Millisecond, "half of it": time.Hour} {
		t.Run(name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			c := canned(t, func(conn *net.TCPConn) {
				conn.Read(make([]byte, 4096))
				gone := make(chan bool)
				go func() { io.Copy(io.Discard, conn); close(gone) }()
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nA: ")
				for {
					select {
					case <-gone:
						return
					case <-time.After(pause):
						io.WriteString(conn, "x")
					}
				}
			})
			now := time.Now()
			_, err := c.Do(&Request{Method: "GET", Path: "/", Deadline: now.Add(200 * time.Millisecond)})
			if kind(t, err) != TimedOut || time.Since(now) > 20*time.Second {
				t.Errorf("got %v after %v", err, time.Since(now))
			}
			c.Close()
			settles(t, before)
		})
	}
}
