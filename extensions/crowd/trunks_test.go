package crowd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// A backend2 speaks HTTP/2, lets so many requests share a connection, and says
// back what it was sent, when it is let.
type backend2 struct {
	*httptest.Server
	conns atomic.Int32 // that were opened
	open  atomic.Int32
	held  atomic.Int32
	let   atomic.Pointer[chan struct{}] // closed to let go
}

func newBackend2(t *testing.T, limit int) *backend2 {
	t.Helper()
	b := &backend2{}
	b.hold()
	b.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.held.Add(1)
		select {
		case <-*b.let.Load():
		case <-r.Context().Done():
		}
		b.held.Add(-1)
		io.WriteString(w, r.URL.Query().Get("who"))
	}))
	b.Config.Protocols = new(http.Protocols)
	b.Config.Protocols.SetUnencryptedHTTP2(true)
	b.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: limit}
	b.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			b.conns.Add(1)
			b.open.Add(1)
		case http.StateClosed, http.StateHijacked:
			b.open.Add(-1)
		}
	}
	b.Start()
	t.Cleanup(func() { b.CloseClientConnections(); b.Close() })
	return b
}

func (b *backend2) hold()    { let := make(chan struct{}); b.let.Store(&let) }
func (b *backend2) release() { close(*b.let.Load()) }

// stand2 is a stand that sends over HTTP/2 to a backend, on the real clock.
func stand2(t *testing.T, b *backend2, pooled bool) *stand {
	t.Helper()
	target, err := wire.NewTarget(wire.Config{URL: b.URL, HTTP2: true, Shared: pooled})
	if err != nil {
		t.Fatal(err)
	}
	s := newStand(t, echo{}, true)
	s.Pooled, s.Shared, s.Dialer = pooled, pooled, target
	return s
}

// echo is a protocol of two requests, each answered with who sent it.
type echo struct{}

func (echo) Do(c *wire.Conn, s *Shopper, step scenarios.Step) scenarios.Result {
	who := fmt.Sprintf("%p", s)
	resp, err := c.Do(&wire.Request{Method: "GET", Path: "/?who=" + who, Deadline: time.Now().Add(step.Answer)})
	var body []byte
	if err == nil {
		body, err = resp.ReadAll(1 << 10)
	}
	if err == nil {
		s.History = append(s.History, '.') // counts requests
	}
	r := scenarios.Result{Outcome: results.OK, End: time.Now(), More: len(s.History) < 2 && err == nil}
	switch {
	case err != nil:
		r.Outcome, r.Why = wire.Outcome(err), err.Error()
	case string(body) != who:
		r.Outcome, r.Why = results.Unclassified, "another's answer: "+string(body)
	}
	return r
}

// step has a shopper do one step of two requests.
func (s *stand) step(ctx context.Context, sh *Shopper, patience time.Duration) (scenarios.Result, int) {
	sh.opened, sh.History, sh.step = 0, nil, scenarios.Step{Kind: scenarios.Read, Answer: patience}
	r := s.attempt(ctx, sh, time.Now())
	s.rest(sh)
	return r, sh.opened
}

func (s *stand) shopper() *Shopper { return &Shopper{Shopper: s.plan.Shopper(scenarios.ID{})} }

// reaches waits until something is true.
func reaches(t *testing.T, what string, true func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !true(); time.Sleep(time.Millisecond) { // polls: nothing tells
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// calm waits for the goroutines that came since to end.
func calm(t *testing.T, before int) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) { // polls: nothing tells of a goroutine's end
		if time.Now().After(end) {
			stacks := make([]byte, 64<<10)
			t.Fatalf("%d goroutines, before there were %d:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// A pooled crowd over HTTP/2 opens a connection for as many as the backend lets
// share one, and keeps them; without a pool each shopper has its own.
func TestTrunks(t *testing.T) {
	const crowd = 60
	for _, test := range []struct {
		limit, least, most int
		pooled             bool
	}{{1, 60, 60, true}, {3, 20, 24, true}, {100, 1, 1, true}, {100, 60, 60, false}} {
		t.Run(fmt.Sprintf("limit %d pooled %v", test.limit, test.pooled), func(t *testing.T) {
			before := runtime.NumGoroutine()
			b := newBackend2(t, test.limit)
			s := stand2(t, b, test.pooled)
			shoppers := make([]*Shopper, crowd)
			for i := range shoppers {
				shoppers[i] = s.shopper()
			}
			for round := range 3 {
				var opened atomic.Int32
				var all sync.WaitGroup
				for _, sh := range shoppers {
					all.Go(func() {
						r, n := s.step(t.Context(), sh, 30*time.Second)
						if r.Outcome != results.OK {
							t.Errorf("%v %s", r.Outcome, r.Why)
						}
						opened.Add(int32(n))
					})
				}
				reaches(t, "all at once", func() bool { return b.held.Load() == crowd })
				n := int(b.conns.Load())
				b.release()
				all.Wait()
				b.hold()
				if round == 0 && (n < test.least || n > test.most || int(opened.Load()) < n) {
					t.Errorf("%d connections, %d said to be opened, want %d to %d", n, opened.Load(), test.least, test.most)
				}
				if again := int(b.conns.Load()); round > 0 && (test.limit > 3 && int(opened.Load()) > 0 || again > test.most+crowd/4) {
					t.Errorf("round %d: %d connections, %d said to be opened", round, again, opened.Load())
				}
			}
			if s.gateway.take() != nil {
				t.Error("a trunk is taken for a connection of one")
			}
			for _, sh := range shoppers {
				s.part(sh)
			}
			s.trunks.close()
			reaches(t, "connections are left open", func() bool { return b.open.Load() == 0 })
			b.Close()
			calm(t, before)
		})
	}
}

// The backend dies and comes back in the middle: who was under way fails, each
// for itself, and the others go on on new connections.
func TestTrunksDie(t *testing.T) {
	const crowd, steps = 40, 50
	before := runtime.NumGoroutine()
	b := newBackend2(t, 0)
	b.release()
	s := stand2(t, b, true)
	var bad, done, opened atomic.Int32
	var all sync.WaitGroup
	for range crowd {
		all.Go(func() {
			sh := s.shopper()
			for range steps {
				r, n := s.step(t.Context(), sh, 30*time.Second)
				opened.Add(int32(n))
				switch done.Add(1); r.Outcome {
				case results.OK:
				case results.ConnectionFailed, results.Truncated:
					bad.Add(1)
				default:
					t.Errorf("%v %s", r.Outcome, r.Why)
				}
			}
		})
	}
	for i := range int32(3) {
		reaches(t, "steps", func() bool { return done.Load() >= crowd*steps*(i+1)/5 })
		b.CloseClientConnections()
	}
	all.Wait()
	if n := bad.Load(); n > 3*crowd {
		t.Errorf("%d of %d steps failed", n, crowd*steps)
	}
	if n, of := opened.Load(), b.conns.Load(); n < 2 || n > 12 || n > of || n < of-3 { // it may die as it is opened
		t.Errorf("%d connections said to be opened, of %d", n, of)
	}
	t.Logf("%d failed, %d connections", bad.Load(), opened.Load())
	s.trunks.close()
	b.Close()
	calm(t, before)
}

// The end of the lease cancels every branch, and whoever waits for one; who is
// impatient leaves the others alone.
func TestTrunksAreCanceled(t *testing.T) {
	const crowd = 30
	before := runtime.NumGoroutine()
	b := newBackend2(t, 10)
	s := stand2(t, b, true)
	s.lease(1, 0, scenarios.Slots, time.Hour, scenarios.Go)
	s.Engine.mu.Lock()
	s.hold(false)
	s.Engine.mu.Unlock()
	outcomes := make([]results.Outcome, crowd+10)
	var all, early sync.WaitGroup
	for i := range outcomes {
		sh := s.shopper()
		sh.step = scenarios.Step{Kind: scenarios.Read, Answer: time.Minute}
		wg := &all
		if i >= crowd {
			wg, sh.step.Answer = &early, 300*time.Millisecond
		}
		wg.Go(func() {
			now, verdict := s.begin(sh)
			if verdict != send {
				t.Error("may not begin")
				return
			}
			outcomes[i] = s.do(now, sh).Outcome
		})
	}
	early.Wait()
	reaches(t, "those who are patient stay", func() bool { return b.held.Load() == crowd })
	s.Engine.mu.Lock()
	s.hold(true)
	s.Engine.mu.Unlock()
	all.Wait()
	for i, o := range outcomes {
		if want := map[bool]results.Outcome{true: results.Canceled, false: results.TimedOut}[i < crowd]; o != want {
			t.Errorf("%d: %v, want %v", i, o, want)
		}
	}
	reaches(t, "canceled there, too", func() bool { return b.held.Load() == 0 })
	s.trunks.close()
	reaches(t, "connections are left open", func() bool { return b.open.Load() == 0 })
	b.Close()
	calm(t, before)
}

// One dials while it is not known how much room a connection has. If it fails,
// the next one does; who waits too long, or is not wanted any more, leaves.
func TestTrunksAreDialledInTurn(t *testing.T) {
	b := newBackend2(t, 4)
	target, err := wire.NewTarget(wire.Config{URL: b.URL, HTTP2: true, Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	type call chan error // what the dial shall come to
	calls := make(chan call)
	var k trunks
	var mu sync.Mutex
	var out []func() // give a branch back
	join := func(ctx context.Context) chan error {
		came := make(chan error, 1)
		go func() {
			c, trunk, err := k.join(ctx, nil, func() (*wire.Conn, error) {
				c := make(call)
				calls <- c
				if err := <-c; err != nil {
					return nil, err
				}
				return target.Dial(context.Background(), nil)
			})
			if err == nil {
				mu.Lock()
				out = append(out, func() { c.Close(); k.give(trunk) })
				mu.Unlock()
			}
			came <- err
		}()
		return came
	}
	waits := func(n int) {
		t.Helper()
		reaches(t, fmt.Sprintf("%d wait", n), func() bool {
			k.mu.Lock()
			defer k.mu.Unlock()
			return k.waiting.Len() == n
		})
	}
	refused := errors.New("refused")
	first := join(t.Context())
	one := <-calls
	impatient, cancel := context.WithCancel(t.Context())
	left := join(impatient)
	var rest []chan error
	for range 9 {
		rest = append(rest, join(t.Context()))
	}
	waits(10) // although nobody knows for how many there will be room
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who left: %v", err)
	}
	one <- refused
	if err := <-first; err != refused {
		t.Errorf("who dialled: %v", err)
	}
	two := <-calls // one of those who waited
	waits(8)
	two <- nil
	// Four have room now. Of the other five two dial, with room for the rest.
	three, four := <-calls, <-calls
	waits(3)
	select {
	case <-calls:
		t.Error("one dials too many")
	case <-time.After(50 * time.Millisecond): // too short would miss it
	}
	reaches(t, "four have room", func() bool { mu.Lock(); defer mu.Unlock(); return len(out) == 4 })
	out[0]()
	waits(2) // one goes on where room was given back
	three <- nil
	waits(0) // before the other dial is over
	four <- nil
	for i, c := range rest {
		if err := <-c; err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	if n := b.conns.Load(); n != 3 {
		t.Errorf("%d connections", n)
	}
}

// Nobody waits for ever, whatever happens at the same time.
func TestTrunksHurry(t *testing.T) {
	before := runtime.NumGoroutine()
	b := newBackend2(t, 3)
	b.release()
	target, err := wire.NewTarget(wire.Config{URL: b.URL, HTTP2: true, Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	var k trunks
	var all sync.WaitGroup
	var came atomic.Int32
	for range 50 {
		all.Go(func() {
			for range 40 {
				ctx, cancel := context.WithCancel(t.Context())
				if rand.IntN(4) == 0 {
					time.AfterFunc(time.Duration(rand.IntN(2000))*time.Microsecond, cancel)
				}
				c, trunk := k.take(nil)
				var err error
				if c == nil {
					c, trunk, err = k.join(ctx, nil, func() (*wire.Conn, error) {
						if rand.IntN(3) == 0 {
							return nil, errors.New("refused")
						}
						return target.Dial(ctx, nil)
					})
				}
				if err == nil {
					came.Add(1)
					if rand.IntN(2) == 0 {
						if r, err := c.Do(&wire.Request{Method: "GET", Path: "/", Deadline: time.Now().Add(30 * time.Second)}); err == nil {
							r.ReadAll(9)
						}
					}
					c.Close()
					k.give(trunk)
				}
				cancel()
			}
		})
	}
	all.Wait()
	if k.waiting.Len() > 0 || k.dialling > 0 || came.Load() < 500 {
		t.Errorf("%d wait, %d dial, %d came", k.waiting.Len(), k.dialling, came.Load())
	}
	for _, trunk := range k.roomy {
		if trunk.out != 0 || !trunk.listed {
			t.Errorf("%+v", trunk)
		}
	}
	k.close()
	reaches(t, "connections are left open", func() bool { return b.open.Load() == 0 })
	b.Close()
	calm(t, before)
}

// Who is called as it leaves hands the call on.
func TestTrunksCallIsHandedOn(t *testing.T) {
	for range 20 {
		var k trunks
		wait := func(ctx context.Context) chan error {
			k.mu.Lock()
			before := k.waiting.Len()
			k.mu.Unlock()
			came := make(chan error, 1)
			go func() {
				k.mu.Lock()
				defer k.mu.Unlock()
				came <- k.wait(ctx)
			}()
			reaches(t, "it waits", func() bool { k.mu.Lock(); defer k.mu.Unlock(); return k.waiting.Len() > before })
			return came
		}
		ctx, cancel := context.WithCancel(t.Context())
		first, second := wait(ctx), wait(t.Context())
		k.mu.Lock()
		cancel()  // it is on its way out
		k.call(1) // and does not know
		k.mu.Unlock()
		if err := <-first; err == nil {
			t.Fatal("it stayed")
		}
		select {
		case <-second:
		case <-time.After(30 * time.Second):
			t.Fatal("nobody calls the second")
		}
	}
}
