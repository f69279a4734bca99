package crowd

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// A moody speaks HTTP/2 in frames, and asks what to do with each request, by the
// number of its connection: answer, refuse, goaway, begin (and then refuse),
// cancel (and then refuse) or nothing. One that is closed takes none.
type moody struct {
	net.Listener
	mood            func(conn int32) string
	cancel          func()
	conns, requests atomic.Int32
	all             sync.WaitGroup
}

func newMoody(t *testing.T, mood func(int32) string, cancel func()) *moody {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &moody{Listener: l, mood: mood, cancel: cancel}
	m.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			m.all.Go(func() { m.serve(c, m.conns.Add(1)) })
		}
	})
	return m
}

func (m *moody) serve(c net.Conn, number int32) {
	defer c.Close()
	io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
	f := http2.NewFramer(c, c)
	if m.mood(number) == "closed" {
		var both bytes.Buffer // in one piece
		f = http2.NewFramer(&both, c)
		f.WriteSettings()
		f.WriteGoAway(0, http2.ErrCodeNo, nil)
		c.Write(both.Bytes())
		io.Copy(io.Discard, c)
		return
	}
	f.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 10})
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		if frame.Header().Type != http2.FrameHeaders {
			continue
		}
		m.requests.Add(1)
		id := frame.Header().StreamID
		var head bytes.Buffer
		hpack.NewEncoder(&head).WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
		switch mood := m.mood(number); mood {
		case "answer", "begin":
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: head.Bytes(), EndHeaders: true})
			f.WriteData(id, mood == "answer", []byte("ok"))
			if mood == "begin" {
				f.WriteRSTStream(id, http2.ErrCodeRefusedStream)
			}
		case "cancel", "refuse":
			if mood == "cancel" {
				m.cancel()
			}
			f.WriteRSTStream(id, http2.ErrCodeRefusedStream)
		case "goaway":
			f.WriteGoAway(id-1, http2.ErrCodeNo, nil)
		}
	}
}

// once is a protocol of one request, and keeps how patient each was.
type once struct{ patience []time.Duration }

func (o *once) Do(c *wire.Conn, s *Shopper, step scenarios.Step) scenarios.Result {
	o.patience = append(o.patience, step.Answer)
	resp, err := c.Do(&wire.Request{Method: "POST", Path: "/", Body: [][]byte{[]byte("x")}, Deadline: time.Now().Add(step.Answer)})
	if err == nil {
		_, err = resp.ReadAll(9)
	}
	if err != nil {
		return scenarios.Result{Outcome: wire.Outcome(err), Why: err.Error(), End: time.Now()}
	}
	return scenarios.Result{Outcome: results.OK, End: resp.At}
}

// What a backend says it did not process is sent again on another connection, a
// few times, within one step and its patience. Nothing else is.
func TestResend(t *testing.T) {
	first := func(n int32, mood, then string) func(int32) string {
		return func(conn int32) string {
			if conn <= n {
				return mood
			}
			return then
		}
	}
	for _, test := range []struct {
		name     string
		mood     func(int32) string
		want     results.Outcome
		requests int32
		conns    [2]int32 // per shopper, and pooled, where an earlier one may be used again
	}{
		{"refused once", first(1, "refuse", "answer"), results.OK, 2, [2]int32{2, 2}},
		{"sent away three times", first(3, "goaway", "answer"), results.OK, 4, [2]int32{4, 4}},
		{"sent away always", first(99, "goaway", ""), results.ConnectionFailed, 4, [2]int32{4, 4}},
		{"refused always", first(99, "refuse", ""), results.ConnectionFailed, 4, [2]int32{4, 2}},
		{"refused, then nothing", first(1, "refuse", "nothing"), results.TimedOut, 2, [2]int32{2, 2}},
		{"the answer had begun", first(1, "begin", "answer"), results.Truncated, 1, [2]int32{1, 1}},
		{"canceled meanwhile", first(99, "cancel", ""), results.Canceled, 1, [2]int32{1, 1}},
		{"closed twice", first(2, "closed", "answer"), results.OK, 1, [2]int32{3, 3}},
		{"closed always", first(99, "closed", ""), results.ConnectionFailed, 0, [2]int32{4, 4}},
	} {
		for i, pooled := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, pooled %v", test.name, pooled), func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				m := newMoody(t, test.mood, cancel)
				target, err := wire.NewTarget(wire.Config{URL: "http://" + m.Addr().String(), HTTP2: true, Shared: pooled})
				if err != nil {
					t.Fatal(err)
				}
				o := &once{}
				s := newStand(t, o, true)
				s.Pooled, s.Shared, s.Dialer = pooled, pooled, target
				sh, patience := s.shopper(), 20*time.Second
				if test.want == results.TimedOut {
					patience = 2 * time.Second
				}
				sh.step = scenarios.Step{Kind: scenarios.Read, Answer: patience}
				r := s.do(s.begun(ctx, sh), sh)
				facts := of[results.Step](&s.diary)
				if len(facts) != 1 || r.Outcome != test.want || facts[0].Outcome != test.want {
					t.Errorf("%d steps, %v %s, want %v", len(facts), r.Outcome, r.Why, test.want)
				}
				if m.requests.Load() != test.requests || m.conns.Load() != test.conns[i] || facts[0].Opened != int(test.conns[i]) {
					t.Errorf("%d requests, %d connections, %d said to be opened", m.requests.Load(), m.conns.Load(), facts[0].Opened)
				}
				if !slices.IsSortedFunc(o.patience, func(a, b time.Duration) int { return int(b - a) }) || len(o.patience) > 0 && o.patience[0] >= patience {
					t.Errorf("patience %v", o.patience)
				}
				s.part(sh)
				s.trunks.close()
				m.Close()
				m.all.Wait()
			})
		}
	}
}

// A net/http server that sends its connections away again and again, as nginx
// does after some requests, fails nobody. It does so when everybody has had an
// answer since: who is sent away is not sent away for ever.
func TestResendUnderLoad(t *testing.T) {
	for _, pooled := range []bool{false, true} {
		t.Run(fmt.Sprintf("pooled %v", pooled), func(t *testing.T) {
			const crowd, times = 20, 50
			b := newBackend2(t, 0)
			b.release()
			var mu sync.Mutex
			var away atomic.Int32
			answered := map[string]bool{}
			echo := b.Config.Handler
			b.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				if answered[r.URL.Query().Get("who")] = true; len(answered) == crowd {
					clear(answered)
					away.Add(1)
					w.Header().Set("Connection", "close") // a graceful GOAWAY
				}
				mu.Unlock()
				echo.ServeHTTP(w, r)
			})
			s := stand2(t, b, pooled)
			var opened atomic.Int32
			var all sync.WaitGroup
			for range crowd {
				all.Go(func() {
					sh := s.shopper()
					for away.Load() < times {
						r, n := s.step(t.Context(), sh, 20*time.Second)
						if opened.Add(int32(n)); r.Outcome != results.OK {
							t.Errorf("%v %s", r.Outcome, r.Why)
						}
					}
					s.part(sh)
				})
			}
			all.Wait()
			if opened.Load() < times || opened.Load() != b.conns.Load() {
				t.Errorf("%d connections said to be opened, of %d", opened.Load(), b.conns.Load())
			}
			s.trunks.close()
		})
	}
}

// A door is a listener of connections that others take, too.
type door struct {
	net.Listener // somebody else's: for its address
	conns        chan net.Conn
	shut         chan struct{}
	once         sync.Once
}

func (d *door) Close() error { d.once.Do(func() { close(d.shut) }); return nil }

func (d *door) Accept() (net.Conn, error) {
	select {
	case <-d.shut:
		return nil, net.ErrClosed
	case c := <-d.conns:
		select {
		case <-d.shut: // when this came: for the next
			d.conns <- c
			return nil, net.ErrClosed
		default:
			return c, nil
		}
	}
}

// A backend that is restarted in turn, while a pooled crowd asks, fails nobody:
// each server is shut down when the next one takes connections.
func TestResendOverRestarts(t *testing.T) {
	const crowd, restarts = 20, 10
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conns := make(chan net.Conn, 100)
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			conns <- c
		}
	}()
	target, err := wire.NewTarget(wire.Config{URL: "http://" + l.Addr().String(), HTTP2: true, Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	// A request is held over each restart: a server closes what has none.
	var holding atomic.Pointer[chan struct{}]
	held := make(chan bool)
	start := func() (*http.Server, *atomic.Int32) {
		served := new(atomic.Int32)
		server := &http.Server{Protocols: new(http.Protocols)}
		server.Protocols.SetUnencryptedHTTP2(true)
		server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if let := holding.Swap(nil); let != nil {
				held <- true
				<-*let
			}
			served.Add(1)
			io.WriteString(w, r.URL.Query().Get("who"))
		})
		go server.Serve(&door{Listener: l, conns: conns, shut: make(chan struct{})})
		return server, served
	}
	s := newStand(t, echo{}, true)
	s.Pooled, s.Shared, s.Dialer = true, true, target
	old, _ := start()
	var over atomic.Bool
	var all sync.WaitGroup
	for range crowd {
		all.Go(func() {
			sh := s.shopper()
			for !over.Load() {
				if r, _ := s.step(t.Context(), sh, 20*time.Second); r.Outcome != results.OK {
					t.Errorf("%v %s", r.Outcome, r.Why)
				}
			}
			s.part(sh)
		})
	}
	for range restarts {
		let := make(chan struct{})
		holding.Store(&let)
		<-held
		next, served := start()
		down := make(chan error)
		go func() { down <- old.Shutdown(t.Context()) }()
		reaches(t, "the crowd goes on", func() bool { return served.Load() > 10*crowd })
		close(let)
		if err := <-down; err != nil {
			t.Error(err)
		}
		old = next
	}
	over.Store(true)
	all.Wait()
	s.trunks.close()
	old.Close()
}
