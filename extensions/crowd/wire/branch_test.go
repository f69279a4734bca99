package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// A station serves HTTP/2 to trunks: /echo says at once what was sent, /hold
// when it is let go. It knows its connections and how many requests it holds.
type station struct {
	*httptest.Server
	target *Target
	let    chan struct{} // closed to let go

	mu    sync.Mutex
	conns map[string]http.ConnState
	held  int
	gone  int // of them, those that were broken off
}

func newStation(t *testing.T, secure bool, limit int) *station {
	t.Helper()
	s := &station{let: make(chan struct{}), conns: map[string]http.ConnState{}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: limit}
	s.Config.ConnState = func(c net.Conn, state http.ConnState) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.conns[c.RemoteAddr().String()] = state
	}
	s.Config.Protocols = new(http.Protocols)
	config := Config{HTTP2: true, Shared: true}
	if secure {
		s.EnableHTTP2 = true
		s.Config.Protocols.SetHTTP2(true)
		s.StartTLS()
		roots := x509.NewCertPool()
		roots.AddCert(s.Certificate())
		config.TLS = &tls.Config{RootCAs: roots}
	} else {
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Start()
	}
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	config.URL = s.URL
	var err error
	if s.target, err = NewTarget(config); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *station) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if strings.HasSuffix(r.URL.Path, "/begun") {
		io.WriteString(w, "begun ")
		w.(http.Flusher).Flush()
	}
	if strings.HasPrefix(r.URL.Path, "/hold") {
		s.mu.Lock()
		s.held++
		let := s.let
		s.mu.Unlock()
		select {
		case <-let:
		case <-r.Context().Done():
			s.mu.Lock()
			s.gone++
			s.mu.Unlock()
			return
		}
	}
	w.Write(body)
}

// reaches waits until something is true.
func (s *station) reaches(t *testing.T, what string, true func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) { // polls: nothing tells
		s.mu.Lock()
		ok := true()
		s.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: held %d, broken off %d, connections %v", what, s.held, s.gone, s.conns)
		}
	}
}

// connections is how many there were.
func (s *station) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// ask sends a body and returns what comes back; heard are told when that begins.
func ask(c *Conn, path, body string, deadline time.Time, heard ...func()) (string, error) {
	defer c.Rest()
	r, err := c.Do(&Request{Method: "POST", Path: path, Body: [][]byte{[]byte(body)}, Deadline: deadline})
	if err != nil {
		return "", err
	}
	for _, tell := range heard {
		tell()
	}
	got, err := r.ReadAll(1 << 20)
	return string(got), err
}

// asked is what came of requests, by number.
type asked struct {
	branches []*Conn
	answers  []string
	errs     []error
	heard    atomic.Int32 // of first answers, those that have begun
	done     sync.WaitGroup
}

// together asks on n branches of c.
func together(t *testing.T, c *Conn, n int, path func(i int) string, deadline func(i int) time.Time) *asked {
	t.Helper()
	a := &asked{answers: make([]string, n), errs: make([]error, n)}
	for i := range n {
		b := c.Branch()
		if b == nil {
			t.Fatalf("no room for the branch %d", i)
		}
		a.branches = append(a.branches, b)
		a.done.Go(func() {
			a.answers[i], a.errs[i] = ask(b, path(i), fmt.Sprintf("I am %d", i), deadline(i), func() { a.heard.Add(1) })
			if a.errs[i] == nil { // as the requests of one step
				a.answers[i], a.errs[i] = repeat(b, a.answers[i])
			}
			b.Close()
		})
	}
	return a
}

// repeat sends what the first request brought in a second one, if there is room for
// it, and returns what comes back.
func repeat(b *Conn, first string) (string, error) {
	if !b.Reusable() {
		return first, nil
	}
	return ask(b, "/echo", first, time.Now().Add(30*time.Second))
}

func in(d time.Duration) func(int) time.Time {
	return func(int) time.Time { return time.Now().Add(d) }
}

// Requests of many are under way at once on one connection, and everybody gets
// the answer that is its own. A branch is used twice, and so is its room.
func TestBranches(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("secure %v", secure), func(t *testing.T) {
			const n = 50
			s := newStation(t, secure, n)
			before := runtime.NumGoroutine()
			trunk := open(t, s.target, nil)
			for range 3 {
				s.mu.Lock()
				s.let, s.held = make(chan struct{}), 0
				s.mu.Unlock()
				a := together(t, trunk, n, func(i int) string { return []string{"/hold", "/hold/begun"}[i%2] }, in(30*time.Second))
				s.reaches(t, "all at once", func() bool { return s.held == n })
				if trunk.Branch() != nil || trunk.Gone() {
					t.Errorf("a branch where there is no room, or the connection is gone")
				}
				close(s.let)
				a.done.Wait()
				for i := range n {
					if want := []string{"", "begun "}[i%2] + fmt.Sprintf("I am %d", i); a.errs[i] != nil || a.answers[i] != want {
						t.Errorf("%d got %q, %v", i, a.answers[i], a.errs[i])
					}
				}
				if s.connections() != 1 || trunk.Room() != n {
					t.Errorf("%d connections, room for %d", s.connections(), trunk.Room())
				}
			}
			trunk.Close()
			s.CloseClientConnections()
			settles(t, before)
		})
	}
}

// Who is canceled, late or leaves in the middle leaves the others alone: before
// the answer, inside it, and with a request that was not sent yet.
func TestBranchesEndAlone(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for _, path := range []string{"/hold", "/hold/begun"} {
			t.Run(fmt.Sprintf("secure %v %s", secure, path), func(t *testing.T) {
				for patience := 200 * time.Millisecond; !endAlone(t, secure, path, patience); patience *= 2 {
					if patience > 10*time.Second {
						t.Fatalf("requests do not begin within %v", patience)
					}
				}
			})
		}
	}
}

// endAlone has some of those who wait on a path canceled, and some late after
// their patience; false: this was over before all had begun.
func endAlone(t *testing.T, secure bool, path string, patience time.Duration) bool {
	t.Helper()
	const n, broken, limit = 20, 8, 30 // who is being broken off counts twice for a moment
	s := newStation(t, secure, limit)
	before := runtime.NumGoroutine()
	trunk := open(t, s.target, nil)
	late := time.Now().Add(patience)
	a := together(t, trunk, n, func(int) string { return path }, func(i int) time.Time {
		if i < broken && i%2 == 0 {
			return late
		}
		return late.Add(time.Minute)
	})
	s.reaches(t, "all begun", func() bool {
		return s.held == n && (path == "/hold" || a.heard.Load() == n) || time.Now().After(late)
	})
	if time.Now().After(late) {
		s.CloseClientConnections()
		a.done.Wait()
		return false
	}
	for i := 1; i < broken; i += 2 {
		a.branches[i].Cancel()
	}
	unsent := trunk.Branch()
	unsent.Cancel()
	if _, err := ask(unsent, "/echo", "x", late.Add(time.Minute)); kind(t, err) != Canceled {
		t.Errorf("canceled before it was sent: %v", err)
	}
	unsent.Close()
	s.reaches(t, "broken off", func() bool { return s.gone == broken })
	close(s.let)
	a.done.Wait()
	for i := range n {
		want := Kind(0)
		if i < broken {
			if want = Canceled; i%2 == 0 {
				want = map[string]Kind{"/hold": TimedOut, "/hold/begun": Stalled}[path]
			}
		}
		if got := kind(t, a.errs[i]); got != want || want == 0 && !strings.HasSuffix(a.answers[i], fmt.Sprintf("I am %d", i)) {
			t.Errorf("%d: %q, %v, want %v", i, a.answers[i], a.errs[i], want)
		}
	}
	s.reaches(t, "room", func() bool { return trunk.Room() == limit })
	left := trunk.Branch() // leaves without a word
	left.Close()
	b := trunk.Branch()
	if got, err := ask(b, "/echo", "hello", time.Now().Add(30*time.Second)); err != nil || got != "hello" || s.connections() != 1 {
		t.Errorf("after all that: %q, %v, %d connections", got, err, s.connections())
	}
	b.Close()
	if trunk.Room() != limit {
		t.Errorf("room for %d, want %d", trunk.Room(), limit)
	}
	trunk.Close()
	s.CloseClientConnections()
	settles(t, before)
	return true
}

// As many branches as the other side takes from the first moment, and room at
// once when one has ended well.
func TestBranchLimit(t *testing.T) {
	for _, limit := range []int{1, 3, 100} {
		s := newStation(t, false, limit)
		trunk := open(t, s.target, nil)
		var all []*Conn
		for b := trunk.Branch(); b != nil; b = trunk.Branch() {
			all = append(all, b)
		}
		if len(all) != limit || trunk.Room() != 0 || trunk.Gone() {
			t.Errorf("limit %d: %d branches, room for %d, gone %v", limit, len(all), trunk.Room(), trunk.Gone())
		}
		for i := range 200 { // room for one: its own
			b := all[0]
			if got, err := ask(b, "/echo", fmt.Sprint(i), time.Now().Add(30*time.Second)); err != nil || got != fmt.Sprint(i) {
				t.Fatalf("limit %d, %d: %q, %v", limit, i, got, err)
			}
			if i%2 == 0 {
				if !b.Reusable() {
					t.Fatalf("limit %d, %d: not reusable", limit, i)
				}
				continue
			}
			b.Close()
			if all[0] = trunk.Branch(); all[0] == nil {
				t.Fatalf("limit %d, %d: no room", limit, i)
			}
		}
		for _, b := range all {
			b.Close()
		}
		if trunk.Room() != limit {
			t.Errorf("limit %d: room for %d in the end", limit, trunk.Room())
		}
	}
}

// What nobody reads holds nobody up, and is room that the others get back.
func TestBranchUnread(t *testing.T) {
	s := newStation(t, false, 10)
	trunk := open(t, s.target, nil)
	long := strings.Repeat("x", streamWindow)
	var unread []*Conn
	for i := range 3 * sharedWindow / streamWindow {
		b := trunk.Branch()
		if _, err := b.Do(&Request{Method: "POST", Path: "/echo", Body: [][]byte{[]byte(long)}, Deadline: time.Now().Add(30 * time.Second)}); err != nil {
			t.Fatal(err)
		}
		h := b.raw.(*http2Conn)
		for end := time.Now().Add(30 * time.Second); h.client.InFlight() > 0; time.Sleep(time.Millisecond) { // polls until all of it lies there
			if time.Now().After(end) {
				t.Fatalf("the answer %d is held up", i)
			}
		}
		if unread = append(unread, b); i < 8 {
			continue
		}
		for _, b := range unread {
			b.Close()
		}
		unread = nil
		s.reaches(t, "room", func() bool { return trunk.Room() == 10 })
	}
	b := trunk.Branch()
	if got, err := ask(b, "/echo", long, time.Now().Add(30*time.Second)); err != nil || got != long {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// A server that goes away finishes what it has begun. The connection takes
// nothing more, and is closed after its last answer.
func TestBranchGoAway(t *testing.T) {
	for _, secure := range []bool{false, true} {
		const n = 10
		s := newStation(t, secure, 100)
		before := runtime.NumGoroutine()
		trunk := open(t, s.target, nil)
		a := together(t, trunk, n, func(i int) string { return []string{"/hold", "/hold/begun"}[i%2] }, in(30*time.Second))
		s.reaches(t, "all begun", func() bool { return s.held == n })
		over := make(chan error)
		go func() { over <- s.Config.Shutdown(t.Context()) }()
		s.reaches(t, "no room", func() bool {
			b := trunk.Branch()
			if b != nil {
				b.Close()
			}
			return b == nil
		})
		if trunk.Gone() {
			t.Error("gone, with requests under way")
		}
		close(s.let)
		a.done.Wait()
		for i := range n {
			if a.errs[i] != nil || !strings.HasSuffix(a.answers[i], fmt.Sprintf("I am %d", i)) {
				t.Errorf("%d: %q, %v", i, a.answers[i], a.errs[i])
			}
		}
		if !trunk.Gone() {
			t.Error("not gone when all have ended")
		}
		if err := <-over; err != nil {
			t.Error(err)
		}
		settles(t, before) // without a Close: nothing was left to close
	}
}

// What crosses a GOAWAY was not processed, nor is what comes after it; what came
// before is. Who is canceled or late is that first of all.
func TestBranchCrossesGoAway(t *testing.T) {
	for _, code := range []http2.ErrCode{http2.ErrCodeNo, http2.ErrCodeEnhanceYourCalm} {
		var c *Conn
		var requests *atomic.Int32
		var all [4]*Conn
		ready := make(chan bool)
		c, requests = framed(t, func(p *peer2) {
			<-ready
			for requests.Load() < 3 {
				time.Sleep(time.Millisecond) // polls: another goroutine reads
			}
			p.WriteGoAway(1, code, nil)
			p.head(true, ":status", "200")
			p.wait()
		}, true)
		for i := range all { // the last one sends when the other side has gone away
			if all[i] = c.Branch(); all[i] == nil {
				t.Fatal("no room")
			}
		}
		close(ready)
		errs := make([]error, len(all))
		var sent sync.WaitGroup
		for i, b := range all[:3] {
			sent.Go(func() { _, errs[i] = ask(b, "/", "", time.Now().Add(5*time.Second)) })
			for end := time.Now().Add(5 * time.Second); requests.Load() < int32(i+1) && time.Now().Before(end); {
				time.Sleep(time.Millisecond) // polls: nothing tells
			}
		}
		sent.Wait()
		_, errs[3] = ask(all[3], "/", "", time.Now().Add(5*time.Second))
		for i, want := range []Kind{0, Unprocessed, Unprocessed, Unprocessed} {
			if got := kind(t, errs[i]); got != want || all[i].Unprocessed() != (want != 0) {
				t.Errorf("%v, %d: %v, want %v; unprocessed %v", code, i, errs[i], want, all[i].Unprocessed())
			}
			all[i].Close()
		}
		if requests.Load() != 3 {
			t.Errorf("%d requests were sent", requests.Load())
		}
	}
}

// An answer that was whole when its patience ended is one; the branch is not used
// again.
func TestBranchLateButWhole(t *testing.T) {
	s := newStation(t, false, 10)
	b := open(t, s.target, nil).Branch()
	defer b.Close()
	r, err := b.Do(&Request{Method: "POST", Path: "/echo", Body: [][]byte{[]byte("x")}, Deadline: time.Now().Add(time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	h := b.raw.(*http2Conn)
	for end := time.Now().Add(10 * time.Second); !h.wasLate() && time.Now().Before(end); {
		time.Sleep(time.Millisecond) // polls: nothing tells
	}
	if got, err := r.ReadAll(9); err != nil || string(got) != "x" {
		t.Fatalf("%q, %v", got, err)
	}
	if b.Reusable() {
		t.Error("it takes another request")
	}
}

// Goes away while nobody asks anything: that is known without a request.
func TestBranchGoAwayIdle(t *testing.T) {
	c, _ := framed(t, func(p *peer2) {
		p.head(true, ":status", "200")
		time.Sleep(50 * time.Millisecond) // until the stream has ended; too short would miss what this is about
		p.WriteGoAway(1, http2.ErrCodeNo, nil)
		p.wait()
	}, true)
	b := c.Branch()
	if _, err := ask(b, "/", "", time.Now().Add(30*time.Second)); err != nil {
		t.Fatal(err)
	}
	b.Close()
	for end := time.Now().Add(30 * time.Second); !c.Gone(); time.Sleep(time.Millisecond) { // polls: nothing tells
		if time.Now().After(end) {
			t.Fatal("not gone")
		}
	}
	if c.Branch() != nil {
		t.Error("it takes another")
	}
}

// A connection that dies takes all its answers with it, each for itself.
func TestBranchesDie(t *testing.T) {
	for _, secure := range []bool{false, true} {
		const n = 50
		s := newStation(t, secure, 100)
		before := runtime.NumGoroutine()
		trunk := open(t, s.target, nil)
		a := together(t, trunk, n, func(i int) string { return []string{"/hold", "/hold/begun"}[i%2] }, in(30*time.Second))
		s.reaches(t, "all begun", func() bool { return s.held == n && a.heard.Load() == n/2 })
		s.CloseClientConnections()
		a.done.Wait()
		for i := range n {
			if got, want := kind(t, a.errs[i]), []Kind{Lost, Truncated}[i%2]; got != want {
				t.Errorf("%d: %v, want %v", i, a.errs[i], want)
			}
		}
		if !trunk.Gone() || trunk.Branch() != nil {
			t.Error("it takes another")
		}
		settles(t, before)
	}
}

// A connection for branches is there when the other side has said what it takes,
// in whatever pieces; who does not say it does not speak HTTP/2.
func TestGreeting(t *testing.T) {
	settings := "\x00\x00\x06\x04\x00\x00\x00\x00\x00" + "\x00\x03\x00\x00\x00\x02" // two at once
	for name, test := range map[string]struct {
		serve func(net.Conn)
		want  Kind
		room  int
	}{
		"at once": {func(c net.Conn) { io.WriteString(c, settings); io.Copy(io.Discard, c) }, 0, 2},
		"in pieces": {func(c net.Conn) {
			for _, b := range []byte(settings) {
				c.Write([]byte{b})
				time.Sleep(3 * time.Millisecond) // else it is one piece
			}
			io.Copy(io.Discard, c)
		}, 0, 2},
		"with more": {func(c net.Conn) {
			io.WriteString(c, settings+"\x00\x00\x00\x04\x01\x00\x00\x00\x00\x00\x00\x08\x06")
			io.Copy(io.Discard, c)
		}, 0, 2},
		"none at all": {func(c net.Conn) { io.Copy(io.Discard, c) }, TimedOut, 0},
		"half":        {func(c net.Conn) { io.WriteString(c, settings[:11]); io.Copy(io.Discard, c) }, TimedOut, 0},
		"hangs up":    {func(c net.Conn) {}, Refused, 0},
		"HTTP/1.1":    {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); io.Copy(io.Discard, c) }, Refused, 0},
		"another frame": {func(c net.Conn) {
			io.WriteString(c, "\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678"+settings)
			io.Copy(io.Discard, c)
		}, Refused, 0},
	} {
		t.Run(name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				if c, err := l.Accept(); err == nil {
					test.serve(c)
					c.Close()
				}
			}()
			target, err := NewTarget(Config{URL: "http://" + l.Addr().String(), HTTP2: true, Shared: true})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience(test.want))
			defer cancel()
			c, err := target.Dial(ctx, nil)
			if kind(t, err) != test.want {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if err == nil {
				if c.Room() != test.room {
					t.Errorf("room for %d, want %d", c.Room(), test.room)
				}
				c.Close()
			}
			cancel()
			settles(t, before)
		})
	}
}
