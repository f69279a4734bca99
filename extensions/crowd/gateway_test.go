package crowd

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// watched is a protocol that sees which connections are in use.
type watched struct {
	shop
	t     *testing.T
	mu    sync.Mutex
	busy  map[*wire.Conn]bool
	most  int
	known map[*wire.Conn]bool
}

func (w *watched) use(c *wire.Conn, busy bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if busy && w.busy[c] {
		w.t.Error("two shoppers use one connection at once")
	}
	w.busy[c] = busy
	if !busy {
		delete(w.busy, c)
	}
	w.known[c] = true
	w.most = max(w.most, len(w.busy))
}

func (w *watched) Do(c *wire.Conn, s *Shopper, step scenarios.Step) scenarios.Result {
	w.use(c, true)
	defer w.use(c, false)
	return w.shop.Do(c, s, step)
}

// Shoppers who share connections open as many as are needed at once; the others
// one each.
func TestPooled(t *testing.T) {
	for _, pooled := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := &watched{shop: serve(300 * time.Millisecond), t: t, busy: map[*wire.Conn]bool{}, known: map[*wire.Conn]bool{}}
			s := newStand(t, w, true)
			s.Pooled = pooled
			s.lease(1, 0, scenarios.Slots, time.Hour, scenarios.Go)
			if err := s.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := 200
			if pooled {
				want = w.most
			}
			opened := 0
			for _, f := range of[results.Step](&s.diary) {
				opened += f.Opened
			}
			if len(w.known) != want || opened != want || w.most < 2 || w.most > 100 {
				t.Errorf("pooled %v: %d connections, %d said to be opened, %d in use at once, want %d", pooled, len(w.known), opened, w.most, want)
			}
			if len(s.gateway.idle) != 0 {
				t.Errorf("%d connections are left open", len(s.gateway.idle))
			}
		})
	}
}

// A shared connection that died while nobody used it is not used again.
func TestPooledConnectionDied(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }))
	defer server.Close()
	target, err := wire.NewTarget(wire.Config{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	s := newStand(t, &exchange{}, true)
	s.Pooled, s.Dialer = true, target
	one, two := s.plan.Shopper(scenarios.ID{}), s.plan.Shopper(scenarios.ID{Slot: 1})
	step := func(who scenarios.Shopper) (scenarios.Result, int) {
		sh := &Shopper{Shopper: who, step: scenarios.Step{Kind: scenarios.Turn, Answer: 30 * time.Second}}
		r := s.attempt(context.Background(), sh, time.Now())
		s.rest(sh)
		return r, sh.opened
	}
	for i, tt := range []struct {
		who    scenarios.Shopper
		closes bool // the server closes idle connections before
		opened int
	}{{one, false, 1}, {two, false, 0}, {one, true, 1}, {two, false, 0}} {
		if tt.closes {
			server.CloseClientConnections()
			reaches(t, "the end of the connection has not come", func() bool { return !s.gateway.idle[0].Reusable() })
		}
		if r, opened := step(tt.who); r.Outcome != results.OK || opened != tt.opened {
			t.Errorf("%d: %v %s, opened %d, want %d", i, r.Outcome, r.Why, opened, tt.opened)
		}
	}
	s.gateway.close()
}

// exchange is a protocol of one request.
type exchange struct{}

func (exchange) Do(c *wire.Conn, _ *Shopper, step scenarios.Step) scenarios.Result {
	resp, err := c.Do(&wire.Request{Method: "GET", Path: "/", Deadline: time.Now().Add(step.Answer)})
	if err == nil {
		_, err = resp.ReadAll(1 << 10)
	}
	if err != nil {
		return scenarios.Result{Outcome: wire.Outcome(err), Why: err.Error(), End: time.Now()}
	}
	return scenarios.Result{Outcome: results.OK, End: resp.At}
}
