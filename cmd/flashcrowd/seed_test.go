package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// A sight is one request as a backend saw it.
type sight struct {
	user, key, line   string // the line that was said last, of a turn
	tap               int    // 1 for the second request with that key
	arrived, answered time.Time
}

// String is what a seed decides of it.
func (s sight) String() string {
	return fmt.Sprintf("%s %s %d %s", s.user, s.key, s.tap, s.line)
}

// witness stands before a backend and writes down what it is asked.
type witness struct {
	backend http.Handler
	mu      sync.Mutex
	seen    []sight
}

// ServeHTTP implements http.Handler.
func (w *witness) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	s := sight{user: r.Header.Get("X-User-Id"), key: r.Header.Get("Idempotency-Key"), arrived: time.Now()}
	body, _ := io.ReadAll(r.Body)
	if messages := gjson.GetBytes(body, "messages").Array(); len(messages) > 0 {
		s.line = messages[len(messages)-1].Get("content").Str
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := &stamped{ResponseWriter: out}
	w.backend.ServeHTTP(answer, r)
	s.answered = answer.last
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, s)
}

// stamped notes when each part of an answer is sent, just before: whoever gets
// the last may go on at once.
type stamped struct {
	http.ResponseWriter
	last time.Time
}

// WriteHeader implements http.ResponseWriter.
func (s *stamped) WriteHeader(status int) {
	s.last = time.Now()
	s.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (s *stamped) Write(b []byte) (int, error) {
	s.last = time.Now()
	return s.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController, which flushes.
func (s *stamped) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// take returns what was seen, in order, and begins anew.
func (w *witness) take() []sight {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.seen
	w.seen = nil
	slices.SortStableFunc(all, func(a, b sight) int { return a.arrived.Compare(b.arrived) })
	taps := map[string]int{}
	for i := range all {
		all[i].tap = taps[all[i].key]
		taps[all[i].key]++
	}
	return all
}

// TestSameSeedSameCrowd: what arrives at a backend is what the plan draws, on
// one worker and on four: users, keys, lines and how often they are sent. Think
// times are as drawn, as far as a backend can tell.
func TestSameSeedSameCrowd(t *testing.T) {
	t.Parallel()
	campaign, err := filepath.Abs("testdata/drawn.yaml")
	if err != nil {
		t.Fatal(err)
	}
	src, err := os.ReadFile(campaign)
	if err != nil {
		t.Fatal(err)
	}
	c, err := scenarios.Parse(campaign, src)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := c.Plan(results.Factors{})
	if err != nil {
		t.Fatal(err)
	}
	want, thinks := drawn(plan)

	shop := start(t, "storefront", "--design", "null", "--listen", "127.0.0.1:0")
	defer func() {
		shop.cmd.Process.Signal(os.Interrupt)
		shop.code()
	}()
	backend, err := url.Parse(shop.listens())
	if err != nil {
		t.Fatal(err)
	}
	w := &witness{backend: &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(backend) },
		FlushInterval: -1,
	}}
	server := httptest.NewServer(w)
	defer server.Close()

	var load string
	for _, workers := range []string{"1", "4"} {
		p := start(t, "run", campaign, "--workers", workers, "--target", server.URL)
		p.want(0)
		o := p.report()
		o.accounted(t)
		if load = cmp.Or(load, o.LoadFingerprint); o.LoadFingerprint != load { // personas are in it
			t.Errorf("%s workers: load fingerprint %s, before %s", workers, o.LoadFingerprint, load)
		}
		seen := w.take()
		got := map[string]int{}
		for _, s := range seen {
			got[s.String()]++
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s workers: %d different requests, %d were drawn, or not the same", workers, len(got), len(want))
		}
		early, late, measured := 0, 0, 0
		before := map[string]time.Time{}
		for _, s := range seen {
			if last, some := before[s.user]; some {
				measured++
				switch paused := s.arrived.Sub(last) - thinks[fmt.Sprint(s.key, s.tap)]; {
				case paused < -20*time.Millisecond: // the answer was on its way
					early++
				case paused > 300*time.Millisecond: // a busy machine
					late++
				}
			}
			before[s.user] = s.answered
		}
		if early > 0 || late > measured/10 || measured < 200 {
			t.Errorf("%s workers: of %d pauses %d were shorter than drawn and %d longer by 300 ms", workers, measured, early, late)
		}
	}
}

// drawn lists the requests that a plan's crowd sends when every answer is a yes,
// and how long it thinks before each.
func drawn(p *scenarios.Plan) (requests map[string]int, thinks map[string]time.Duration) {
	requests, thinks = map[string]int{}, map[string]time.Duration{}
	for g := range p.Shoppers {
		s := p.Shopper(scenarios.ID{Slot: scenarios.Slot(g % scenarios.Slots), Number: uint32(g / scenarios.Slots)})
		journey, taps := s.Walk(), map[string]int{}
		last := scenarios.Result{}
		for {
			step, more := journey.Next(last)
			if !more {
				break
			}
			key := step.Key.String()
			requests[sight{user: step.User.String(), key: key, tap: taps[key], line: step.Say}.String()]++
			thinks[fmt.Sprint(key, taps[key])] = step.Think
			taps[key]++
			last = scenarios.Result{Outcome: results.OK, Coupon: "c", Session: "s", Order: "o", Amount: 1, Currency: "CNY"}
		}
	}
	return requests, thinks
}

// listens waits for where a storefront says that it listens.
func (p *process) listens() string {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) { // polls what another process says
		if line, _, ok := strings.Cut(p.out.String(), "\n"); ok {
			url, _, _ := strings.Cut(strings.TrimPrefix(line, storefrontSays), " ")
			return url
		}
	}
	p.t.Fatal("the storefront does not start")
	return ""
}
