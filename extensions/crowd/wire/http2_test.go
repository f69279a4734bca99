package wire

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// shop2 serves HTTP/2 with net/http and returns its target.
func shop2(t testing.TB, secure bool, h http.HandlerFunc) *Target {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	config := Config{HTTP2: true}
	server.Config.Protocols = new(http.Protocols)
	if secure {
		server.EnableHTTP2 = true
		server.Config.Protocols.SetHTTP2(true)
		server.StartTLS()
		roots := x509.NewCertPool()
		roots.AddCert(server.Certificate())
		config.TLS = &tls.Config{RootCAs: roots}
	} else {
		server.Config.Protocols.SetUnencryptedHTTP2(true)
		server.Start()
	}
	t.Cleanup(server.Close)
	config.URL = server.URL + "/base"
	target, err := NewTarget(config)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func open(t testing.TB, target *Target, d *Device) *Conn {
	t.Helper()
	c, err := target.Dial(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestHTTP2(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("secure %v", secure), func(t *testing.T) {
			var from atomic.Value
			next := make(chan bool)
			target := shop2(t, secure, func(w http.ResponseWriter, r *http.Request) {
				if r.ProtoMajor != 2 || from.Swap(r.RemoteAddr) != nil && r.RemoteAddr != from.Load() {
					t.Errorf("HTTP/%d from %s", r.ProtoMajor, r.RemoteAddr)
				}
				if len(r.Header["Accept-Encoding"])+len(r.Header["User-Agent"]) > 0 {
					t.Errorf("headers that nobody gave: %v", r.Header)
				}
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				switch r.URL.Path {
				case "/base/echo":
					w.Header().Set("X-Seen", r.Method+" "+r.RequestURI+" "+r.Host+" "+r.Header.Get("A")+" "+r.Header.Get("B"))
					w.Header().Add("Set-Cookie", "c=topsecret1")
					w.Write(body)
				case "/base/elsewhere":
					http.Redirect(w, r, "/base/echo", http.StatusFound)
				case "/base/stream":
					w.Header().Set("Content-Type", "text/event-stream")
					for i := range 3 {
						fmt.Fprintf(w, "data: %d\n\n", i)
						w.(http.Flusher).Flush()
						<-next
					}
				}
			})
			c := open(t, target, nil)
			for i, body := range []string{"", "hello", strings.Repeat("x", 300<<10)} {
				req := soon()
				req.Method, req.Path, req.Header, req.Extra = "POST", "/echo?a=%20b", []byte("A: 1\r\n"), []byte("B: 2\r\n")
				if body != "" {
					req.Body = [][]byte{[]byte(body[:1]), []byte(body[1:])}
				}
				r, err := c.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				if got := r.Header("X-SEEN"); r.Status != 200 || got != "POST /base/echo?a=%20b "+target.host+" 1 2" || r.At.IsZero() {
					t.Errorf("%d: %d %q at %v", i, r.Status, got, r.At)
				}
				if got, err := r.ReadAll(1 << 20); err != nil || string(got) != body {
					t.Errorf("%d: %d bytes back, %v", i, len(got), err)
				}
				request, answer := c.Exchange()
				if !strings.HasPrefix(request, "POST /base/echo?a=%20b HTTP/2\n") || !strings.HasPrefix(answer, "HTTP/2 200\n") || strings.Contains(answer, "topsecret1") ||
					!strings.Contains(answer, body[:min(9, len(body))]) {
					t.Errorf("%d: evidence:\n%.300s\n%.300s", i, request, answer)
				}
				c.Rest()
				if !c.Reusable() {
					t.Fatal("not reusable")
				}
			}

			req := soon()
			req.Path = "/elsewhere"
			if r, err := c.Do(req); err != nil || r.Status != 302 {
				t.Errorf("the redirect: %v, %v", r, err)
			} else if _, err := r.ReadAll(1 << 10); err != nil {
				t.Error(err)
			}

			req.Path = "/stream"
			r, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			events, last := r.Events(), time.Time{}
			for i := range 3 {
				e, err := events.Next() // the server waits until this one was read
				if err != nil || string(e.Data) != fmt.Sprint(i) || !r.At.After(last) {
					t.Fatalf("event %d: %q at %v, %v", i, e.Data, r.At, err)
				}
				r.Answering()
				last = r.At
				next <- true
			}
			if _, err := events.Next(); err != io.EOF || !c.Reusable() {
				t.Errorf("at the end: %v, reusable %v", err, c.Reusable())
			}
		})
	}
}

func TestHTTP2Resumes(t *testing.T) {
	target := shop2(t, true, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.TLS.DidResume) })
	var d Device
	for _, want := range []string{"false", "true"} {
		r, err := open(t, target, &d).Do(soon())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.ReadAll(9); err != nil || string(got) != want {
			t.Errorf("resumed: %s, %v", got, err)
		}
	}
}

// A target that knows HTTP/1.1 alone has no connection to give.
func TestHTTP2IsNotSpoken(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.TLS = &tls.Config{NextProtos: []string{"http/1.1"}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it finds fault with the handshake
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	target, err := NewTarget(Config{URL: server.URL, HTTP2: true, TLS: &tls.Config{RootCAs: roots}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := target.Dial(t.Context(), nil); kind(t, err) != Refused {
		t.Errorf("got %v", err)
	}
}

// A peer2 speaks frames, right or wrong, to one client.
type peer2 struct {
	*http2.Framer
	net.Conn
	stream uint32        // of the request
	gone   chan struct{} // closed when the other side has hung up
}

// head sends a response's head, and its end if last is set.
func (p *peer2) head(last bool, fields ...string) error {
	return p.WriteHeaders(http2.HeadersFrameParam{StreamID: p.stream, BlockFragment: block(fields...), EndHeaders: true, EndStream: last})
}

// block encodes names and values.
func block(fields ...string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for i := 0; i < len(fields); i += 2 {
		e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return b.Bytes()
}

// framed connects to a peer that waits for a request's head, and then does what
// it is told, and hangs up. What it counts are the requests it got. A shared
// connection is for branches.
func framed(t *testing.T, serve func(*peer2), shared ...bool) (*Conn, *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var requests atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		l.Close() // whoever comes again is refused
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		p := &peer2{Framer: http2.NewFramer(conn, conn), Conn: conn}
		p.AllowIllegalWrites = true
		p.WriteSettings()
		for p.stream == 0 {
			f, err := p.ReadFrame()
			if err != nil {
				return
			}
			if f.Header().Type == http2.FrameHeaders {
				p.stream = f.Header().StreamID
				requests.Add(1)
			}
		}
		p.gone = make(chan struct{})
		go func() {
			defer close(p.gone)
			for {
				f, err := p.ReadFrame()
				if err != nil {
					return
				}
				if f.Header().Type == http2.FrameHeaders {
					requests.Add(1)
				}
			}
		}()
		serve(p)
		conn.Close()
		<-p.gone
	}()
	target, err := NewTarget(Config{URL: "http://" + l.Addr().String(), HTTP2: true, Shared: len(shared) > 0})
	if err != nil {
		t.Fatal(err)
	}
	c, err := target.Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); l.Close(); <-done })
	return c, &requests
}

// until repeats something until the other side hangs up.
func until(do func() error) {
	for do() == nil {
	}
}

// wait returns when the other side has hung up.
func (p *peer2) wait() {
	until(func() error {
		time.Sleep(time.Millisecond) // polls: another goroutine reads
		return p.WritePing(false, [8]byte{})
	})
}

func TestHTTP2Answers(t *testing.T) {
	log.SetOutput(io.Discard) // net/http finds fault with these peers
	defer log.SetOutput(os.Stderr)
	const ok = ":status"
	for _, test := range []struct {
		name  string
		serve func(*peer2)
		want  Kind
		clean bool // the connection can be used again
	}{
		{"whole", func(p *peer2) { p.head(false, ok, "200"); p.WriteData(1, true, []byte("ok")); p.wait() }, 0, true},
		{"with a trailer", func(p *peer2) {
			p.head(false, ok, "200")
			p.WriteData(1, false, []byte("ok"))
			p.head(true, "grpc-status", "0")
			p.wait()
		}, 0, true},
		{"whole, then it goes away", func(p *peer2) {
			p.head(false, ok, "200")
			p.WriteGoAway(1, http2.ErrCodeNo, nil)
			p.WriteData(1, true, []byte("ok"))
			p.wait()
		}, 0, false},
		{"whole, with room for no other", func(p *peer2) {
			p.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1})
			p.head(false, ok, "200")
			p.WriteData(1, true, []byte("ok"))
			p.wait()
		}, 0, true},
		{"after interim ones", func(p *peer2) {
			p.head(false, ok, "103")
			p.head(false, ok, "200")
			p.WriteData(1, true, []byte("ok"))
			p.wait()
		}, 0, true},
		{"none, hangs up", func(*peer2) {}, Lost, false},
		{"goes away before it began", func(p *peer2) { p.WriteGoAway(0, http2.ErrCodeNo, nil); p.wait() }, Unprocessed, false},
		{"goes away when it began", func(p *peer2) { p.WriteGoAway(1, http2.ErrCodeNo, nil) }, Lost, false},
		{"goes away, calm down", func(p *peer2) { p.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, nil); p.wait() }, Lost, false},
		{"refuses the stream", func(p *peer2) { p.WriteRSTStream(1, http2.ErrCodeRefusedStream); p.wait() }, Unprocessed, false},
		{"refuses what it has begun to answer", func(p *peer2) {
			p.head(false, ok, "200")
			p.WriteData(1, false, []byte("o"))
			p.WriteRSTStream(1, http2.ErrCodeRefusedStream)
			p.wait()
		}, Truncated, false},
		{"goes away before what it has begun to answer", func(p *peer2) {
			p.head(false, ok, "200")
			p.WriteData(1, false, []byte("o"))
			p.WriteGoAway(0, http2.ErrCodeNo, nil)
			p.wait()
		}, Truncated, false},
		{"resets before an answer", func(p *peer2) { p.WriteRSTStream(1, http2.ErrCodeInternal); p.wait() }, Lost, false},
		{"finds fault with the request", func(p *peer2) { p.WriteRSTStream(1, http2.ErrCodeProtocol); p.wait() }, Lost, false},
		{"resets inside the body", func(p *peer2) {
			p.head(false, ok, "200")
			p.WriteData(1, false, []byte("o"))
			p.WriteRSTStream(1, http2.ErrCodeInternal)
			p.wait()
		}, Truncated, false},
		{"hangs up inside the body", func(p *peer2) { p.head(false, ok, "200"); p.WriteData(1, false, []byte("o")) }, Truncated, false},
		{"shorter than it said", func(p *peer2) {
			p.head(false, ok, "200", "content-length", "9")
			p.WriteData(1, true, []byte("ok"))
			p.wait()
		}, Truncated, false},
		{"longer than it said", func(p *peer2) {
			p.head(false, ok, "200", "content-length", "1")
			p.WriteData(1, true, []byte("ok"))
			p.wait()
		}, Malformed, false},
		{"longer than we read", func(p *peer2) { p.head(false, ok, "200", "content-length", "99999999999"); p.wait() }, Malformed, false},
		{"compressed", func(p *peer2) { p.head(false, ok, "200", "content-encoding", "gzip"); p.wait() }, Malformed, false},
		{"no status", func(p *peer2) { p.head(false, "a", "b"); p.wait() }, Malformed, false},
		{"status in words", func(p *peer2) { p.head(false, ok, "fine"); p.wait() }, Malformed, false},
		{"a line break in a header", func(p *peer2) { p.head(false, ok, "200", "a", "b\r\nc: d"); p.wait() }, Malformed, false},
		{"a header of a megabyte", func(p *peer2) {
			b := block(ok, "200", "a", strings.Repeat("\x00", 1<<20)) // no Huffman code is shorter
			p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:9]})
			for b = b[9:]; len(b) > 16<<10; b = b[16<<10:] {
				p.WriteContinuation(1, false, b[:16<<10])
			}
			p.WriteContinuation(1, true, b)
			p.wait()
		}, Malformed, false},
		{"a head without end", func(p *peer2) {
			p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(ok, "200")})
			until(func() error { return p.WriteContinuation(1, false, block("a", strings.Repeat("b", 1000))) })
		}, Malformed, false},
		{"a trailer without end", func(p *peer2) {
			p.head(false, ok, "200")
			p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block("a", "b"), EndStream: true})
			until(func() error { return p.WriteContinuation(1, false, block("a", strings.Repeat("b", 1000))) })
		}, Malformed, false},
		{"interim ones without end", func(p *peer2) { until(func() error { return p.head(false, ok, "103") }) }, Malformed, false},
		{"a header list of a bomb", func(p *peer2) { // one long entry of the table, many times
			b := block("a", strings.Repeat("b", 3900))
			for range 16 << 10 {
				b = append(b, 0x80|62)
			}
			p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: append(block(ok, "200"), b...), EndHeaders: true})
			p.wait()
		}, Malformed, false},
		{"HTTP/1.1", func(p *peer2) { io.WriteString(p.Conn, "HTTP/1.1 400 Bad Request\r\n\r\n"); p.wait() }, Malformed, false},
		{"a frame of a stream that is none", func(p *peer2) { p.WriteData(7, false, []byte("x")); p.wait() }, Malformed, false},
		{"a window that overflows", func(p *peer2) { p.WriteWindowUpdate(0, 1<<31-1); p.WriteWindowUpdate(0, 1<<31-1); p.wait() }, Malformed, false},
		{"half a head", func(p *peer2) {
			p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(ok, "200")})
			<-p.gone
		}, TimedOut, false},
		{"nothing", func(p *peer2) { p.wait() }, TimedOut, false},
		{"settings without end", func(p *peer2) { until(func() error { return p.WriteSettings() }) }, TimedOut, false},
		{"pings without end", func(p *peer2) { until(func() error { return p.WritePing(false, [8]byte{}) }) }, TimedOut, false},
		{"frames without data", func(p *peer2) {
			p.head(false, ok, "200")
			until(func() error { return p.WriteData(1, false, nil) })
		}, TimedOut, false},
		{"a body without end", func(p *peer2) {
			p.head(false, ok, "200")
			until(func() error { return p.WriteData(1, false, make([]byte, 16<<10)) })
		}, Malformed, false},
		{"stalls", func(p *peer2) { p.head(false, ok, "200"); p.WriteData(1, false, []byte("o")); p.wait() }, Stalled, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			c, requests := framed(t, test.serve)
			var start, end runtime.MemStats
			runtime.ReadMemStats(&start)
			until := time.Now().Add(patience(test.want))
			r, err := c.Do(&Request{Method: "GET", Path: "/", Deadline: until})
			if err == nil {
				var body []byte
				if body, err = r.ReadAll(8 << 10); err == nil && string(body) != "ok" {
					t.Errorf("got %q", body)
				}
			}
			runtime.GC() // what is kept counts
			runtime.ReadMemStats(&end)
			if k := kind(t, err); k != test.want || c.Reusable() != test.clean {
				t.Errorf("got %v (%v), want %v; reusable %v", k, err, test.want, c.Reusable())
			}
			if c.Unprocessed() != (test.want == Unprocessed) {
				t.Errorf("unprocessed: %v", c.Unprocessed())
			}
			if requests.Load() != 1 {
				t.Errorf("%d requests were sent", requests.Load())
			}
			if end.HeapAlloc > start.HeapAlloc+16<<20 {
				t.Errorf("the heap grew by %d bytes", end.HeapAlloc-start.HeapAlloc)
			}
			c.Close()
			settles(t, before)
		})
	}
}

// patience is short where the whole of it is waited for. An answer that begins
// has longer for that: a busy machine must not look like a slow peer.
func patience(want Kind) time.Duration {
	switch want {
	case TimedOut:
		return 500 * time.Millisecond
	case Stalled:
		return 2 * time.Second
	}
	return 20 * time.Second
}

// settles waits for the goroutines that came since to end.
func settles(t *testing.T, before int) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) { // polls: nothing tells of a goroutine's end
		if time.Now().After(end) {
			stacks := make([]byte, 64<<10)
			t.Fatalf("%d goroutines, before there were %d:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

func TestHTTP2Cancel(t *testing.T) {
	for name, begun := range map[string]bool{"before the answer": false, "inside it": true} {
		t.Run(name, func(t *testing.T) {
			var c *Conn
			reached := make(chan bool, 1)
			c, _ = framed(t, func(p *peer2) {
				if begun {
					p.head(false, ":status", "200")
				}
				reached <- true
				p.wait()
			})
			go func() { <-reached; c.Cancel() }()
			r, err := c.Do(soon())
			if err == nil {
				_, err = r.ReadAll(9)
			}
			if kind(t, err) != Canceled || c.Reusable() {
				t.Errorf("got %v, reusable %v", err, c.Reusable())
			}
			if _, err := c.Do(soon()); err == nil {
				t.Error("it takes another request")
			}
		})
	}
}
