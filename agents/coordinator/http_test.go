package coordinator

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/agents/membership"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/verdict"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// shelf is Store and Notes in memory.
type shelf struct {
	mu      sync.Mutex
	full    bool
	slow    chan struct{} // unless nil, one for each commit
	refused string        // a worker whose snapshots can't be stored
	stored  []string
	batches []int // how many were stored together
	started time.Time
	skips   []results.Skip
	stops   []string
	saves   int
	apart   []string
	noted   []results.Barred
}

func (s *shelf) SetApart(d results.Delivery) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apart = append(s.apart, fmt.Sprintf("%.4s/%d", d.Worker, d.Seq))
	return true, nil
}

func (s *shelf) Barred(all []results.Barred) error { s.noted = all; return nil }

func (s *shelf) Commit(all ...results.Delivery) error {
	if s.slow != nil {
		<-s.slow
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		return errors.New("no space left on device")
	}
	for _, d := range all {
		if d.Worker == s.refused {
			return results.ErrChanged
		}
	}
	for _, d := range all {
		s.stored = append(s.stored, fmt.Sprintf("%.4s/%d", d.Worker, d.Seq))
	}
	s.batches = append(s.batches, len(all))
	return nil
}

func (s *shelf) Save([]byte) error                       { s.saves++; return nil }
func (s *shelf) Started(at time.Time) error              { s.started = at; return nil }
func (s *shelf) Worker(string, results.WorkerNote) error { return nil }
func (s *shelf) Skips(all []results.Skip) error          { s.skips = slices.Clone(all); return nil }
func (s *shelf) Stop(why string) error                   { s.stops = append(s.stops, why); return nil }
func (s *shelf) fill(full bool)                          { s.mu.Lock(); s.full = full; s.mu.Unlock() }

func testPlan(t testing.TB, length string) *scenarios.Plan {
	t.Helper()
	c, err := scenarios.Parse("test.yaml", []byte(`
name: test
seed: 1
crowd:
  arrivals: {process: uniform}
  stages:
    - {name: only, for: `+length+`, rate: 100/s}
  personas: {patient: 1}
  journeys: {browse: 1}
  think: {median: 1s, p90: 2s}
target:
  chat:     {protocol: openai, path: /v1, model: m}
`))
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Plan(results.Factors{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// leading starts a coordinator and returns where to join, and a function that
// waits for the end.
func leading(t *testing.T, c Config) (co *Coordinator, join string, wait func() error) {
	t.Helper()
	c.Key = bytes.Repeat([]byte{7}, membership.KeySize)
	c.Name, c.Gossip, c.API = "coordinator", "127.0.0.1:0", "127.0.0.1:0"
	if c.Plan == nil {
		c.Plan = testPlan(t, "10s")
	}
	c.About = results.About{ID: "run-1", Planned: c.Plan.Shoppers, Stages: c.Plan.Stages()}
	listening := make(chan string, 1)
	c.Listening = func(join string) { listening <- join }
	co, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- co.Run(ctx) }()
	wait = sync.OnceValue(func() error {
		select {
		case err := <-ended:
			return err
		case <-time.After(time.Minute):
			cancel()
			return fmt.Errorf("not over in time: %w", <-ended)
		}
	})
	t.Cleanup(func() { cancel(); _ = wait() })
	select {
	case join = <-listening:
	case err := <-ended:
		t.Fatal(err)
	}
	return co, join, wait
}

// stub is a worker without a child.
type stub struct {
	t       *testing.T
	id      membership.Identity
	fleet   *membership.Fleet
	base    string
	pinned  string // the coordinator
	version string
}

func newStub(t *testing.T, name, join string) *stub {
	t.Helper()
	id, err := membership.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	s := &stub{t: t, id: id}
	s.fleet, err = membership.Join(t.Context(), membership.Config{
		Identity: id, Protocol: agents.Protocol, Role: membership.Worker, Name: name, Bind: "127.0.0.1:0",
		Seeds: []string{join}, Key: bytes.Repeat([]byte{7}, membership.KeySize),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.fleet.Leave(time.Second) })
	c, ok := s.fleet.Coordinator()
	if !ok {
		t.Fatal("no coordinator in gossip")
	}
	s.base, s.pinned = "https://"+c.API, c.ID
	// Gossip tells us of the coordinator before it takes us in.
	for late := time.Now().Add(30 * time.Second); ; {
		_, _, err := s.do(id.ClientTLS(s.pinned), http.MethodGet, "/v1/plan", nil)
		if err == nil {
			return s
		}
		if time.Now().After(late) {
			t.Fatal(err)
		}
	}
}

func (s *stub) do(config *tls.Config, method, path string, body []byte) (int, []byte, error) {
	client := http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set(agents.VersionHeader, s.version)
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, b, err
}

func (s *stub) put(seq uint64, snap results.Snapshot) (int, agents.Lease, string) {
	s.t.Helper()
	snap.Format, snap.Worker, snap.Seq = results.SnapshotFormat, s.id.ID, seq
	return s.send(seq, agents.Exchange{Seq: seq, Name: "stub", Snapshot: results.Encode(snap)})
}

func (s *stub) send(seq uint64, e agents.Exchange) (int, agents.Lease, string) {
	s.t.Helper()
	body, err := e.Encode()
	if err != nil {
		s.t.Fatal(err)
	}
	status, answer, err := s.do(s.id.ClientTLS(s.pinned), http.MethodPut, fmt.Sprintf("/v1/workers/%s/snapshots/%d", s.id.ID, seq), body)
	if err != nil {
		s.t.Fatal(err)
	}
	if status != http.StatusOK {
		return status, agents.Lease{}, string(answer)
	}
	l, err := agents.DecodeLease(answer)
	if err != nil {
		s.t.Fatal(err)
	}
	return status, l, ""
}

func TestExchangeOverTLS(t *testing.T) {
	books := &shelf{}
	var log bytes.Buffer // read when the coordinator has ended
	_, join, wait := leading(t, Config{
		Store: books, Notes: books, Workers: 1, Lead: 50 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	w := newStub(t, "worker-1", join)

	status, body, err := w.do(w.id.ClientTLS(w.pinned), http.MethodGet, "/v1/plan", nil)
	if err != nil || status != http.StatusOK {
		t.Fatalf("plan: %d %s %v", status, body, err)
	}
	brief, err := agents.DecodeBrief(body)
	if err != nil || brief.Run != "run-1" {
		t.Fatalf("%+v, %v", brief, err)
	}
	if p, err := scenarios.DecodePlan(brief.Plan); err != nil || p.Shoppers != 1000 {
		t.Errorf("plan: %+v, %v", p, err)
	}

	if status, l, text := w.put(1, results.Snapshot{}); status != 200 || l.Stored != 1 {
		t.Fatalf("first: %d %s %+v", status, text, l)
	}
	status, l, text := w.put(2, results.Snapshot{Frontier: time.Second, Launched: 3})
	if status != 200 || !l.Started || len(l.Spans) != scenarios.Slots {
		t.Fatalf("second: %d %s %+v", status, text, l)
	}
	if status, l, text = w.put(2, results.Snapshot{Frontier: time.Second, Launched: 3}); status != 200 || l.Stored != 2 {
		t.Errorf("repeated: %d %s %+v", status, text, l)
	}
	if status, _, text = w.put(2, results.Snapshot{Frontier: time.Second, Launched: 4}); status != http.StatusUnprocessableEntity {
		t.Errorf("other bytes: %d %s", status, text)
	}
	if status, l, text = w.put(9, results.Snapshot{}); status != 200 || l.Stored != 2 || l.Length != 0 {
		t.Errorf("gap: %d %s %+v", status, text, l)
	}
	books.fill(true)
	for range 3 { // as a worker does until there is room
		if status, _, text = w.put(3, results.Snapshot{}); status != http.StatusServiceUnavailable || !strings.Contains(text, "no space left") {
			t.Errorf("full disk: %d %s", status, text)
		}
	}
	books.fill(false)
	if status, l, text = w.put(3, results.Snapshot{Frontier: 10 * time.Second, Ended: 3, Grant: 1, Applied: applied(1, 0)}); status != 200 || l.Stored != 3 {
		t.Errorf("third: %d %s %+v", status, text, l)
	}
	if status, l, text = w.put(4, results.Snapshot{Frontier: 10 * time.Second, Grant: 1, Final: true}); status != 200 || l.Stop != scenarios.Done {
		t.Errorf("final: %d %s %+v", status, text, l)
	}
	if status, _, text = w.put(5, results.Snapshot{}); status != http.StatusConflict {
		t.Errorf("after the final one: %d %s", status, text)
	}
	if err := w.fleet.Leave(10 * time.Second); err != nil {
		t.Error(err)
	}
	if err := wait(); err != nil {
		t.Error(err)
	}
	if got := strings.Count(log.String(), "exchange not stored"); got != 1 {
		t.Errorf("the full disk was logged %d times, want once:\n%s", got, &log)
	}
	want := fmt.Sprintf("[%.4[1]s/1 %.4[1]s/2 %.4[1]s/3 %.4[1]s/4]", w.id.ID)
	if got := fmt.Sprint(books.stored); got != want {
		t.Errorf("stored %s, want %s", got, want)
	}
	if books.started.IsZero() || len(books.stops) > 0 || len(books.skips) > 0 {
		t.Errorf("notes: %+v", books)
	}
}

func TestWhoIsTurnedAway(t *testing.T) {
	books := &shelf{}
	co, join, _ := leading(t, Config{Store: books, Notes: books, Workers: 1})
	w, other := newStub(t, "worker-1", join), newStub(t, "worker-2", join)
	stranger, err := membership.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	cut := results.Encode(results.Snapshot{Format: results.SnapshotFormat, Worker: w.id.ID, Seq: 1})
	body, err := agents.Exchange{Seq: 1, Name: "w", Snapshot: cut}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	path := "/v1/workers/" + w.id.ID + "/snapshots/1"
	if status, text, err := w.do(stranger.ClientTLS(w.pinned), http.MethodPut, path, body); err == nil {
		t.Errorf("a certificate that is no member's: %d %s", status, text)
	}
	if status, text, err := w.do(w.id.ClientTLS(other.id.ID), http.MethodPut, path, body); err == nil {
		t.Errorf("a coordinator that is not the one in gossip: %d %s", status, text)
	}
	mine, theirs := w.id.ClientTLS(w.pinned), other.id.ClientTLS(w.pinned)
	garbage, _ := agents.Exchange{Seq: 1, Name: "w", Snapshot: []byte("garbage")}.Encode()
	exchange := func(s results.Snapshot) []byte {
		s.Format, s.Worker, s.Seq = results.SnapshotFormat, w.id.ID, 1
		b, err := agents.Exchange{Seq: 1, Name: "w", Snapshot: results.Encode(s)}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	tests := []struct {
		name, path string
		config     *tls.Config
		body       []byte
		want       int
	}{
		{"another's path", path, theirs, body, http.StatusForbidden},
		{"another's snapshot", "/v1/workers/" + other.id.ID + "/snapshots/1", theirs, body, http.StatusForbidden},
		{"truncated", path, mine, body[:len(body)-1], http.StatusBadRequest},
		{"garbage", path, mine, garbage, http.StatusBadRequest},
		{"sequence differs", "/v1/workers/" + w.id.ID + "/snapshots/2", mine, body, http.StatusBadRequest},
		{"no sequence", "/v1/workers/" + w.id.ID + "/snapshots/x", mine, body, http.StatusBadRequest},
		{"too large", path, mine, make([]byte, agents.MaxExchange+1), http.StatusRequestEntityTooLarge},
		{"spans that nobody gave it", path, mine, exchange(results.Snapshot{Grant: 7}), http.StatusUnprocessableEntity},
		{"more series than any campaign has", path, mine, exchange(results.Snapshot{Series: flood(1<<14 + 1)}), http.StatusBadRequest},
		{"unknown path", "/v2/plan", mine, nil, http.StatusNotFound},
	}
	for _, tt := range tests {
		status, text, err := w.do(tt.config, http.MethodPut, tt.path, tt.body)
		if status != tt.want {
			t.Errorf("%s: %d %s %v, want %d", tt.name, status, text, err, tt.want)
		}
	}
	if len(books.stored) > 0 || len(books.apart) > 0 {
		t.Errorf("stored: %v, apart: %v", books.stored, books.apart)
	}
	if status, _, err := w.do(mine, http.MethodGet, "/v1/status", nil); err != nil || status != http.StatusForbidden {
		t.Errorf("a worker asks for the status: %d, %v", status, err)
	}
	want := []results.Barred{
		{Reason: barredRequest, Count: 5}, {Reason: barredForeign, Count: 2}, {Reason: barredLarge, Count: 1},
		{Reason: barredForged, Count: 1}, {Reason: barredOperator, Count: 1}, {Reason: barredStranger, Count: 1},
	}
	slices.SortFunc(want, func(a, b results.Barred) int { return strings.Compare(a.Reason, b.Reason) })
	if got := co.Status().Barred; !slices.Equal(got, want) {
		t.Errorf("refused: %v\nwant:    %v", got, want)
	}
	if got := co.View().Barred; !slices.Equal(got, want) {
		t.Errorf("the run has %v", got)
	}
	if err := co.noteBarred(); err != nil || !slices.Equal(books.noted, want) {
		t.Errorf("noted: %v", books.noted)
	}
}

// flood is more series than a run may have, as no recorder makes them.
func flood(n int) (all []results.Series) {
	for i := range n {
		all = append(all, results.Series{Metric: results.Coupons.Name, Tags: results.Tags{Stage: fmt.Sprint("s", i)}, Count: 1})
	}
	return all
}

// A worker of another version gets no plan, and both sides are told.
func TestAnotherVersion(t *testing.T) {
	books := &shelf{}
	var said bytes.Buffer
	co, join, _ := leading(t, Config{Store: books, Notes: books, Workers: 1, Version: "", Log: slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelError}))})
	w := newStub(t, "worker-1", join)
	w.version = "v9.9.9 " + strings.Repeat("x", 500)
	want := fmt.Sprintf("this worker is flashcrowd %s, the coordinator is flashcrowd %s: install the same on all machines", w.version[:maxVersion], "")
	for range 3 {
		status, text, err := w.do(w.id.ClientTLS(w.pinned), http.MethodGet, "/v1/plan", nil)
		if err != nil || status != http.StatusUpgradeRequired || strings.TrimSpace(string(text)) != want {
			t.Errorf("%d %s %v", status, text, err)
		}
	}
	if got := co.Status().Barred; len(got) != 1 || got[0] != (results.Barred{Reason: barredVersion, Count: 1}) {
		t.Errorf("refused: %v", got)
	}
	if text := said.String(); strings.Count(text, "a worker was refused") != 1 || !strings.Contains(text, "worker=worker-1") || !strings.Contains(text, "v9.9.9") {
		t.Errorf("the coordinator says %s", text)
	}
	w.version = "v9.9.9"
	w.put(1, results.Snapshot{}) // in mid-run, which a resumed coordinator may lead, it is not turned away
	if m := co.Status().Members; len(m) != 1 || m[0].Version != "v9.9.9" {
		t.Errorf("status: %+v", m)
	}
}

// What an ended worker still says is refused, changes nothing, and is kept apart.
func TestSnapshotAfterTheEnd(t *testing.T) {
	books := &shelf{}
	co, join, wait := leading(t, Config{Store: books, Notes: books, Workers: 2, Lease: 2 * time.Second, Lead: time.Millisecond})
	w, other := newStub(t, "worker-1", join), newStub(t, "worker-2", join)
	w.put(1, results.Snapshot{})
	w.put(2, results.Snapshot{})
	ended := func() bool {
		return slices.ContainsFunc(co.Status().Members, func(m agents.Standing) bool { return m.ID == w.id.ID && m.State == "lost" })
	}
	// The other keeps the run going, or nobody would hear what comes late.
	seq := uint64(1)
	for late := time.Now().Add(30 * time.Second); !ended(); time.Sleep(100 * time.Millisecond) { // polling
		if time.Now().After(late) {
			t.Fatal("the lease did not end")
		}
		other.put(seq, results.Snapshot{})
		seq++
	}
	before := co.View()
	ledger := []results.Promise{{Kind: results.OrderPromise, Known: true, Key: "k", ID: "o"}}
	if status, _, text := w.put(3, results.Snapshot{Frontier: time.Second, Launched: 9, Ledger: ledger}); status != http.StatusConflict {
		t.Errorf("after the end: %d %s", status, text)
	}
	if status, _, text := w.put(2, results.Snapshot{}); status != http.StatusConflict { // one that is stored
		t.Errorf("repeated after the end: %d %s", status, text)
	}
	after := co.View()
	if after.Launched() != before.Launched() || fmt.Sprint(after.Account) != fmt.Sprint(before.Account) || after.Load != before.Load {
		t.Errorf("it changed the run: %+v, was %+v", after.Account, before.Account)
	}
	if want := (results.Apart{Snapshots: 1, Promises: 1}); after.Apart != want || co.Status().Apart != want {
		t.Errorf("kept apart: %+v", after.Apart)
	}
	if len(books.apart) != 1 || !strings.HasSuffix(books.apart[0], "/3") {
		t.Errorf("kept apart: %v", books.apart)
	}
	other.put(seq, results.Snapshot{Final: true})
	_ = w.fleet.Leave(time.Second)
	_ = other.fleet.Leave(time.Second)
	if err := wait(); err != nil {
		t.Error(err)
	}
	if want := []results.Barred{{Reason: barredEnded, Count: 2}}; !slices.Equal(books.noted, want) {
		t.Errorf("noted at the end: %v", books.noted)
	}
}

// Exchanges that wait for the disk are stored together, and one that can't be
// takes no other with it.
func TestGroupCommit(t *testing.T) {
	const workers = 8
	for refused, batches := range map[string][]int{
		"":   {1, workers - 1},
		"w3": slices.Repeat([]int{1}, workers-1), // together in vain, then one by one
	} {
		books := &shelf{slow: make(chan struct{}), refused: refused}
		c, err := New(Config{Plan: testPlan(t, "10s"), Store: books, Notes: books, Workers: workers, Key: make([]byte, membership.KeySize)})
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		put := func(id string) {
			snapshot := results.Encode(results.NewRecorder(id).Cut(1, 0, results.Health{}))
			l, err := c.Exchange(t.Context(), Peer{ID: id}, agents.Exchange{Seq: 1, Name: id, Snapshot: snapshot})
			if id == refused {
				if !errors.Is(err, results.ErrChanged) {
					t.Errorf("%s is refused with %v", id, err)
				}
			} else if err != nil || l.Stored != 1 {
				t.Errorf("%s: %+v, %v", id, l, err)
			}
		}
		waiting := func(n int) {
			// Who waits for the disk can only be looked for.
			for late := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
				c.mu.Lock()
				queued := len(c.queue)
				c.mu.Unlock()
				if queued == n {
					return
				}
				if time.Now().After(late) {
					t.Fatalf("%d wait for the disk, want %d", queued, n)
				}
			}
		}
		all.Go(func() { put("w0") })
		for len(c.disk) == 0 { // until it has the disk
			runtime.Gosched()
		}
		waiting(0)
		for i := 1; i < workers; i++ {
			all.Go(func() { put(fmt.Sprint("w", i)) })
		}
		waiting(workers - 1)
		close(books.slow)
		all.Wait()
		if !slices.Equal(books.batches, batches) {
			t.Errorf("stored in batches of %v, want %v", books.batches, batches)
		}
	}
}

// An exchange that comes alone does not wait; those that come just after it wait
// for one transaction together.
func TestCommitsAreSpaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		books := &shelf{}
		c, err := New(Config{Plan: testPlan(t, "10s"), Store: books, Notes: books, Workers: 3, Key: make([]byte, membership.KeySize)})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		stored := map[string]time.Duration{}
		var mu sync.Mutex
		put := func(id string) {
			snapshot := results.Encode(results.NewRecorder(id).Cut(1, 0, results.Health{}))
			if _, err := c.Exchange(t.Context(), Peer{ID: id}, agents.Exchange{Seq: 1, Name: id, Snapshot: snapshot}); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			stored[id] = time.Since(start)
		}
		put("w0")
		time.Sleep(between / 2) // virtual time
		var all sync.WaitGroup
		all.Go(func() { put("w1") })
		all.Go(func() { put("w2") })
		all.Wait()
		time.Sleep(2 * between) // virtual time
		put("w3")
		if want := map[string]time.Duration{"w0": 0, "w1": between, "w2": between, "w3": 3 * between}; !maps.Equal(stored, want) {
			t.Errorf("stored at %v, want %v", stored, want)
		}
		if want := []int{1, 2, 1}; !slices.Equal(books.batches, want) {
			t.Errorf("stored in batches of %v, want %v", books.batches, want)
		}
	})
}

func TestLostWorkerIsAccountedFor(t *testing.T) {
	books := &shelf{}
	co, join, wait := leading(t, Config{Store: books, Notes: books, Workers: 1, Lease: 2 * time.Second, Lead: time.Millisecond})
	w := newStub(t, "worker-1", join)
	w.put(1, results.Snapshot{})
	w.put(2, results.Snapshot{})
	w.put(3, results.Snapshot{Frontier: 4 * time.Second, Launched: 400, Grant: 1, Applied: applied(1, 0)})
	_ = w.fleet.Leave(time.Second)
	if err := wait(); err != nil {
		t.Fatal(err)
	}
	due := 0
	for slot := range scenarios.Slot(scenarios.Slots) {
		due += co.Plan.Count(slot, 4*time.Second, 10*time.Second)
	}
	run := co.View()
	const why = "no worker is left: stub lost: nothing heard for "
	if !strings.HasPrefix(run.Stopped, why) {
		t.Errorf("stopped: %q", run.Stopped)
	}
	want := results.Skip{Stage: "only", Reason: run.Stopped, Count: uint64(due)}
	if len(books.skips) != 1 || books.skips[0] != want {
		t.Errorf("never started: %+v, want %+v", books.skips, want)
	}
	if run.Account.Orphaned != 400 || run.Started.IsZero() {
		t.Errorf("account %+v, stopped %q, started %v", run.Account, run.Stopped, run.Started)
	}
}

func TestAbortingThreshold(t *testing.T) {
	rule, err := verdict.ParseThreshold("order_success", "rate>0.9", true, 0)
	if err != nil {
		t.Fatal(err)
	}
	books := &shelf{}
	_, join, wait := leading(t, Config{Store: books, Notes: books, Workers: 1, Rules: []verdict.Threshold{rule}, Lead: time.Millisecond})
	w := newStub(t, "worker-1", join)
	bad := []results.Series{{Metric: results.OrderSuccess.Name, Tags: results.Tags{Stage: "only"}, Count: 100, Good: 10}}
	w.put(1, results.Snapshot{})
	w.put(2, results.Snapshot{Frontier: time.Second, Launched: 100, Ended: 100, Series: bad})
	seq := uint64(2)
	for late := time.Now().Add(30 * time.Second); time.Now().Before(late); time.Sleep(50 * time.Millisecond) { // as a worker would
		seq++
		_, l, _ := w.put(seq, results.Snapshot{Frontier: time.Second})
		if l.Stop != scenarios.Go {
			break
		}
	}
	if len(books.stops) == 0 || books.stops[0] != rule.StopReason() {
		t.Errorf("stopped because of %q, want %q", books.stops, rule.StopReason())
	}
	w.put(seq+1, results.Snapshot{Frontier: time.Second, Final: true})
	_ = w.fleet.Leave(time.Second)
	if err := wait(); err != nil {
		t.Error(err)
	}
}

// A limit of the campaign that is passed cuts the load of everybody, and the
// verdict says which.
func TestLimits(t *testing.T) {
	tokens := []results.Series{{Metric: results.OutputTokens.Name, Tags: results.Tags{Stage: "only"}, Count: 900}, {Metric: results.ReasoningTokens.Name, Tags: results.Tags{Stage: "only"}, Count: 200}}
	for _, tt := range []struct {
		name   string
		limits scenarios.Limits
		told   results.Snapshot // by one worker, each time
		want   string           // of both together
	}{
		{"tokens", scenarios.Limits{Tokens: 2000}, results.Snapshot{Series: tokens}, "limits.tokens: 2,000 → 2,200 streamed"},
		{"streams", scenarios.Limits{Streams: 100}, results.Snapshot{Health: results.Health{Streams: 60}}, "limits.streams: 100 → 120 at once"},
		{"arrivals", scenarios.Limits{Arrivals: 100}, results.Snapshot{Launched: 800}, "limits.arrivals: 100/s → 145/s, over 10 s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			books := &shelf{}
			p := testPlan(t, "10s")
			p.Campaign.Limits = tt.limits
			co, join, wait := leading(t, Config{Store: books, Notes: books, Workers: 2, Plan: p, Lead: time.Millisecond})
			all := []*stub{newStub(t, "worker-1", join), newStub(t, "worker-2", join)}
			for seq := range uint64(2) {
				for _, w := range all {
					told := tt.told
					told.Frontier, told.Cut = 10*time.Second, time.Duration(seq)*11*time.Second
					if seq == 0 {
						told.Series, told.Launched, told.Health = nil, 0, results.Health{}
					}
					w.put(seq+1, told)
				}
			}
			seq := uint64(2)
			stopped := false
			for late := time.Now().Add(30 * time.Second); !stopped && time.Now().Before(late); time.Sleep(20 * time.Millisecond) { // as workers would
				seq++
				for _, w := range all {
					_, l, _ := w.put(seq, results.Snapshot{Frontier: 10 * time.Second, Cut: 11 * time.Second, Health: tt.told.Health})
					stopped = l.Stop >= scenarios.Cut && l.Why == tt.want
				}
			}
			if !stopped || len(books.stops) == 0 || books.stops[0] != tt.want {
				t.Errorf("stopped because of %q, want %q", books.stops, tt.want)
			}
			v := verdict.Judge(co.View(), nil, verdict.Rules{})
			if !slices.ContainsFunc(v.Reasons, func(r verdict.Reason) bool { return !r.Held && strings.Contains(r.Measured, tt.want) }) {
				t.Errorf("the verdict does not say why: %+v", v.Reasons)
			}
			for _, w := range all {
				w.put(seq+1, results.Snapshot{Frontier: 10 * time.Second, Ended: tt.told.Launched, Final: true})
				_ = w.fleet.Leave(time.Second)
			}
			if err := wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNewListsEveryFault(t *testing.T) {
	_, err := New(Config{})
	for _, want := range []string{"a plan, books and notes", "0 workers", "a cluster key of 0 bytes"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want something with %q", err, want)
		}
	}
}

// Whoever waits for workers is told who is missing, and that it goes on.
func TestGatheringIsTold(t *testing.T) {
	var told []Gathering
	now := 1000 * time.Second
	co, err := New(Config{
		Plan: testPlan(t, "1s"), Store: &shelf{}, Notes: &shelf{}, Workers: 2, Wait: 25 * time.Second,
		Key: bytes.Repeat([]byte{7}, membership.KeySize), Gathering: func(g Gathering) { told = append(told, g) },
	})
	if err != nil {
		t.Fatal(err)
	}
	co.clock = func() time.Duration { return now }
	co.machine.since = now
	known := []membership.Member{{ID: "b", Role: membership.Worker, Name: "worker-2"}}
	for range 220 { // 22 s
		co.tick(known)
		now += 100 * time.Millisecond
	}
	missing := "; joined and then silent: worker-2; never seen: 1"
	if want := []Gathering{{0, 2, missing, 25 * time.Second}, {0, 2, missing, 15 * time.Second}, {0, 2, missing, 5 * time.Second}}; !slices.Equal(told, want) {
		t.Errorf("told %+v, want %+v", told, want)
	}
}
