package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
)

// door stands before a backend and sees who goes in.
type door struct {
	*httptest.Server
	mu     sync.Mutex
	last   time.Time // somebody came in
	inside int
}

func newDoor(t *testing.T, to string) *door {
	t.Helper()
	backend, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(backend)
	proxy.FlushInterval = -1
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) {} // who is cut off is nobody's fault here
	d := &door{}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		d.last = time.Now()
		d.inside++
		d.mu.Unlock()
		defer func() { d.mu.Lock(); d.inside--; d.mu.Unlock() }()
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(d.Close)
	return d
}

// quiet waits until nobody is inside and nobody has come in for a while, and
// returns when the last one came.
func (d *door) quiet(t *testing.T) time.Time {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) { // polls what other processes do
		d.mu.Lock()
		last, inside := d.last, d.inside
		d.mu.Unlock()
		if inside == 0 && time.Since(last) > 1500*time.Millisecond {
			return last
		}
	}
	t.Fatal("the load goes on")
	return time.Time{}
}

// Each way to end a run ends the load of the whole fleet, in time, and the
// verdict says why.
func TestKillSwitch(t *testing.T) {
	interrupt := func(f *fleetUnderTest) {
		f.leader.cmd.Process.Signal(os.Interrupt)
		f.leader.until("no more shoppers")
		f.leader.cmd.Process.Signal(os.Interrupt)
	}
	for _, tt := range []struct {
		name     string
		from, to string // a change to the campaign
		end      func(*fleetUnderTest)
		within   time.Duration // of end; 0 where the coordinator ends it by itself
		code     int
		want     string
	}{
		// Journeys take half a minute, so that a drain goes on for longer than this.
		{"a second Ctrl-C", "pace: 0.2", "pace: 2", interrupt, 3500 * time.Millisecond, 4, "stopped by the user"},
		{"a threshold that aborts", "thresholds:\n", "thresholds:\n  requests: [{threshold: \"count<60\", abortOnFail: true}]\n", nil, 0, 3, "it stopped the run"},
		{"a limit of tokens", "thresholds:\n", "limits: {tokens: 300}\nthresholds:\n", nil, 0, 4, "limits.tokens: 300 →"},
		{"a limit in money", "thresholds:\n", "limits: {cost: {most: 0.5, turn: 0.02}}\nthresholds:\n", nil, 0, 4, "limits.cost: 0.50 →"},
		{"a lost coordinator", "", "", func(f *fleetUnderTest) { f.leader.cmd.Process.Signal(syscall.SIGKILL) }, agents.LeaseLength + 1500*time.Millisecond, -1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, d := startFleetBehind(t, "2", func(campaign string) string { return strings.Replace(campaign, tt.from, tt.to, 1) })
			f.worker("one")
			f.worker("two")
			var ended time.Time
			if tt.end != nil { // else it may be over before it is asked
				f.reaches("launches of both", func(s agents.Status) bool {
					return len(s.Members) == 2 && s.Members[0].Launched > 0 && s.Members[1].Launched > 0
				})
				tt.end(f)
				ended = time.Now()
			}
			if code := f.leader.code(); code != tt.code {
				t.Fatalf("exit code %d, want %d\n%s%s", code, tt.code, f.leader.out.String(), f.leader.err.String())
			}
			over := time.Now()
			last := d.quiet(t)
			if tt.within > 0 && last.Sub(ended) > tt.within {
				t.Errorf("the last request came %v after the end, want %v at most", last.Sub(ended), tt.within)
			}
			if tt.within == 0 && last.After(over) {
				t.Errorf("a request came %v after the report", last.Sub(over))
			}
			if out := f.leader.out.String(); !strings.Contains(strings.Join(strings.Fields(out), " "), tt.want) {
				t.Errorf("the report does not say %q:\n%s", tt.want, out)
			}
		})
	}
}
