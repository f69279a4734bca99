package agents_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/agents/coordinator"
	"github.com/flashcrowd/flashcrowd/agents/membership"
	"github.com/flashcrowd/flashcrowd/agents/worker"
	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/link"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/store"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// A whole fleet on loopback: a coordinator with its store, workers, and child
// processes that do all that a k6 child does but send requests.

const joinVariable = "FLASHCROWD_TEST_JOIN"

// lease outlasts a slow disk: an exchange is answered when it is stored.
const lease = 3 * time.Second

// The test binary is a child too, and a worker that can be killed.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv(link.Variable) != "":
		if err := fire(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
	case os.Getenv(joinVariable) != "":
		if err := work(context.Background(), os.Getenv(joinVariable), "victim", os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(4)
		}
	default:
		os.Exit(m.Run())
	}
}

var key = bytes.Repeat([]byte{9}, membership.KeySize)

func work(ctx context.Context, join, name, dir string, mode ...string) error {
	return workUntil(ctx, nil, join, name, dir, mode...)
}

func workUntil(ctx context.Context, retire <-chan struct{}, join, name, dir string, mode ...string) error {
	w, err := worker.New(worker.Config{
		Retire: retire,
		Name:   name, Join: []string{join}, Bind: "127.0.0.1:0", Key: key, Dir: dir,
		Exec: append([]string{os.Args[0]}, mode...), Env: map[string]string{"TOKEN": "secret"},
		Wait: 30 * time.Second, GiveUp: 3 * lease, Grace: 2 * time.Second,
	})
	if err != nil {
		return err
	}
	return w.Run(ctx)
}

// TestLeaveWithoutCoordinator: a worker that waits for one has nothing to hand
// on, so it goes when it is told to.
func TestLeaveWithoutCoordinator(t *testing.T) {
	told := make(chan struct{})
	close(told)
	if err := workUntil(t.Context(), told, "127.0.0.1:1", "idle", t.TempDir()); err != nil {
		t.Errorf("a worker that was told to leave while it waited: %v", err)
	}
}

// child is an engine without requests: a shopper stays for a moment and leaves.
type child struct {
	conn     *link.Conn
	plan     *scenarios.Plan
	recorder *results.Recorder
	stay     time.Duration

	seq    uint64
	cuts   map[uint64]time.Duration
	lease  link.Lease
	until  time.Duration
	lapsed bool
	since  scenarios.Mark // of the lapse
	roster *crowd.Roster
	inside []crowd.Due
}

func fire(modes []string) error {
	conn, err := link.Child()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(os.Getenv("HOME"), "pid"), []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		return err
	}
	for _, name := range os.Environ() {
		if strings.Contains(name, "secret") || strings.HasPrefix(name, joinVariable) {
			return conn.Send(link.Fault{Text: "the environment has " + name})
		}
	}
	first, err := conn.Receive()
	if err != nil {
		return err
	}
	setup := first.(link.Setup)
	if setup.Env["TOKEN"] != "secret" || setup.Run != "run-1" {
		return fmt.Errorf("setup: %+v", setup)
	}
	plan, err := scenarios.DecodePlan(setup.Plan)
	if err != nil {
		return err
	}
	c := &child{conn: conn, plan: plan, recorder: results.NewRecorder(setup.Worker), cuts: map[uint64]time.Duration{}, stay: 30 * time.Millisecond, roster: crowd.NewRoster(plan, lease)}
	if slices.Contains(modes, "long") {
		c.stay = time.Minute
	}
	if slices.Contains(modes, "crash") {
		time.AfterFunc(1200*time.Millisecond, func() { panic("crash as asked") })
	}
	frames := make(chan any)
	go func() {
		for {
			frame, err := conn.Receive()
			if err != nil {
				os.Exit(5) // the worker is gone: no fire without it
			}
			frames <- frame
		}
	}()
	return c.run(frames)
}

func (c *child) run(frames chan any) error {
	tick := time.NewTicker(10 * time.Millisecond)
	beat := time.NewTicker(200 * time.Millisecond)
	if err := c.cut(false); err != nil {
		return err
	}
	for c.lease.Stop < scenarios.Done {
		select {
		case frame := <-frames:
			l, ok := frame.(link.Lease)
			if !ok { // a link.Hurry
				if err := c.cut(false); err != nil {
					return err
				}
				continue
			}
			if cut, ok := c.cuts[l.Answers]; ok && l.Length > 0 {
				c.until = max(c.until, cut+l.Length)
			}
			known := c.lease.Version
			c.lease = l
			if l.Version > known {
				c.roster.Take(crowd.Draw(c.plan, l.Version, known, l.Spans), c.now())
				c.recorder.Add(c.roster.Mark())
				if err := c.cut(false); err != nil {
					return err
				}
			}
		case <-tick.C:
			c.move()
		case <-beat.C:
			if err := c.cut(false); err != nil {
				return err
			}
		}
	}
	c.move()
	return c.cut(true)
}

func (c *child) now() scenarios.Mark { return scenarios.Clock{Zero: c.lease.Zero}.Now() }

func (c *child) move() {
	now := c.now()
	if !c.lease.Started {
		return
	}
	dead := scenarios.Boottime() > c.until
	switch {
	case dead:
		if !c.lapsed {
			c.since = c.until - c.lease.Zero
		}
		c.lapsed = true
	case c.lease.Stop == scenarios.Drain || c.lease.Stop == scenarios.Cut:
		c.roster.Abandon(c.lease.Why)
	case c.lapsed:
		c.lapsed = false
		c.roster.Resume(c.since, now)
		c.recorder.Add(c.roster.Mark())
	}
	for !dead && c.lease.Stop == scenarios.Go {
		d, ok := c.roster.Next(now)
		if !ok {
			break
		}
		s := c.plan.Shopper(d.ID)
		c.recorder.Add(results.Launch{Who: who(s), At: d.At, Hash: s.Hash(), Hole: d.Hole, Grant: d.Grant, Again: d.Attempt > 0})
		c.inside = append(c.inside, d)
	}
	c.recorder.Add(c.roster.Mark())
	stayed := c.inside[:0]
	for _, a := range c.inside {
		outcome := results.OK
		switch {
		case dead || c.lease.Stop >= scenarios.Cut:
			outcome = results.Canceled
		case now-a.When < c.stay:
			stayed = append(stayed, a)
			continue
		}
		c.recorder.Add(results.End{Who: who(c.plan.Shopper(a.ID)), At: now, Outcome: outcome, Duration: now - a.At})
	}
	c.inside = stayed
}

func (c *child) cut(final bool) error {
	c.seq++
	c.cuts[c.seq] = scenarios.Boottime()
	s := c.recorder.Cut(c.seq, c.now(), results.Health{})
	s.Final = final
	return c.conn.Send(link.Snapshot{Seq: c.seq, Bytes: results.Encode(s), Final: final})
}

func who(s scenarios.Shopper) results.Who {
	return results.Who{Slot: uint16(s.ID.Slot), Number: s.ID.Number, Stage: s.Stage, Persona: s.Persona.Name, Journey: s.Journey}
}

func plan(t *testing.T, length string) *scenarios.Plan {
	t.Helper()
	c, err := scenarios.Parse("test.yaml", []byte(`
name: test
seed: 1
crowd:
  arrivals: {process: poisson}
  stages:
    - {name: only, for: `+length+`, rate: 500/s}
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

// fleet is a coordinator and its workers, as goroutines.
type fleet struct {
	t       *testing.T
	co      *coordinator.Coordinator
	join    string
	led     chan error
	workers sync.WaitGroup
	mu      sync.Mutex
	ends    map[string]error
	books   *store.Store
	kill    context.CancelFunc // the coordinator
}

func newFleet(t *testing.T, length string, workers int, change func(*coordinator.Config)) *fleet {
	t.Helper()
	p := plan(t, length)
	about := results.About{ID: "run-1", Campaign: "test", PlanFingerprint: p.Fingerprint(), Duration: p.Duration(), Stages: p.Stages(), Planned: p.Shoppers}
	books, err := store.Create(filepath.Join(t.TempDir(), "run.db"), store.Header{About: about, Plan: p.Encode(), Created: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { books.Close() })
	listening := make(chan string, 1)
	c := coordinator.Config{
		About: about, Plan: p, Store: books, Notes: books, Workers: workers, Wait: 30 * time.Second,
		Name: "coordinator", Key: key, Gossip: "127.0.0.1:0", API: "127.0.0.1:0",
		Lead: 300 * time.Millisecond, Lease: lease, Patience: time.Second,
		Listening: func(join string) { listening <- join },
	}
	if change != nil {
		change(&c)
	}
	f := &fleet{t: t, led: make(chan error, 1), ends: map[string]error{}, books: books}
	if f.co, err = coordinator.New(c); err != nil {
		t.Fatal(err)
	}
	ctx, kill := context.WithCancel(t.Context())
	f.kill = kill
	go func() { f.led <- f.co.Run(ctx) }()
	select {
	case f.join = <-listening:
	case err := <-f.led:
		t.Fatal(err)
	}
	return f
}

func (f *fleet) worker(ctx context.Context, name, dir string, mode ...string) {
	f.workers.Go(func() {
		err := work(ctx, f.join, name, dir, mode...)
		f.mu.Lock()
		f.ends[name] = err
		f.mu.Unlock()
	})
}

// end waits for the coordinator and the workers, and returns the run.
func (f *fleet) end() *results.Run {
	f.t.Helper()
	select {
	case err := <-f.led:
		if err != nil {
			f.t.Error(err)
		}
	case <-time.After(time.Minute): // late ones are spread over a lease
		f.t.Fatal("the run did not end")
	}
	f.workers.Wait()
	run := f.co.View()
	sum := run.Account.InFlight + run.Account.Orphaned
	for _, n := range run.Account.Ended {
		sum += n
	}
	for _, s := range run.Account.NeverStarted {
		sum += s.Count
	}
	if sum != run.Account.Planned {
		f.t.Errorf("the account does not close: %d of %d: %+v", sum, run.Account.Planned, run.Account)
	}
	again, err := f.books.Run()
	if err != nil {
		f.t.Fatal(err)
	}
	if fmt.Sprint(again.Account) != fmt.Sprint(run.Account) || again.Load != run.Load || again.Stopped != run.Stopped {
		f.t.Errorf("the store has another run: %+v, want %+v", again.Account, run.Account)
	}
	return run
}

// launched waits until shoppers are on their way.
func (f *fleet) launched(n uint64) {
	f.t.Helper()
	for late := time.Now().Add(30 * time.Second); time.Now().Before(late); time.Sleep(10 * time.Millisecond) { // polling
		var sum uint64
		for _, w := range f.co.View().Workers {
			sum += w.Launched
		}
		if sum >= n {
			return
		}
	}
	f.t.Fatalf("%d shoppers were not launched in time", n)
}

// wantLoad checks that every planned shopper was launched, each counted once.
func (f *fleet) wantLoad(run *results.Run) {
	f.t.Helper()
	var want results.Sum128
	for slot := range scenarios.Slot(scenarios.Slots) {
		for a := range f.co.Plan.Arrivals(slot, 0) {
			want = want.Add(f.co.Plan.Shopper(a.ID).Hash())
		}
	}
	if run.Load != want {
		f.t.Errorf("load fingerprint %v, want %v", run.Load, want)
	}
}

func (f *fleet) wantEnd(name, want string) {
	f.t.Helper()
	err := f.ends[name]
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		f.t.Errorf("%s ended with %v, want %q", name, err, want)
	}
}

func TestOneWorkerEqualsThree(t *testing.T) {
	defer noLeaks(t)()
	var loads []results.Sum128
	for _, n := range []int{1, 3} {
		f := newFleet(t, "1500ms", n, nil)
		for i := range n {
			f.worker(t.Context(), fmt.Sprintf("worker-%d", i+1), t.TempDir())
		}
		run := f.end()
		if got := run.Account.Ended[results.OK]; got != run.Planned || run.Stopped != "" || len(run.Warnings) > 0 {
			t.Errorf("%d workers: %d of %d ended well, stopped %q, warnings %q", n, got, run.Planned, run.Stopped, run.Warnings)
		}
		if len(run.Workers) != n || run.Started.IsZero() {
			t.Errorf("%d workers: %+v, started %v", n, run.Workers, run.Started)
		}
		for _, w := range run.Workers {
			if !w.Finished || w.Fate != "" || w.Slots < scenarios.Slots/n {
				t.Errorf("worker: %+v", w)
			}
			f.wantEnd(w.Name, "")
		}
		loads = append(loads, run.Load)
	}
	if loads[0] != loads[1] || loads[0] == (results.Sum128{}) {
		t.Errorf("load fingerprints %v and %v", loads[0], loads[1])
	}
}

func TestKilledChild(t *testing.T) {
	defer noLeaks(t)()
	f := newFleet(t, "3s", 2, nil)
	dir := t.TempDir()
	f.worker(t.Context(), "worker-1", t.TempDir())
	f.worker(t.Context(), "worker-2", dir)
	f.launched(100)
	if err := syscall.Kill(pid(t, dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	run := f.end()
	f.wantEnd("worker-1", "")
	f.wantEnd("worker-2", "signal: killed")
	if run.Workers[1].Fate != "child ended: signal: killed" || len(run.Account.NeverStarted) != 0 || run.Account.Late == 0 {
		t.Errorf("%+v, %+v", run.Workers[1], run.Account)
	}
	f.wantLoad(run)
}

func TestCrashedChildSaysWhy(t *testing.T) {
	defer noLeaks(t)()
	f := newFleet(t, "3s", 1, nil)
	dir := t.TempDir()
	f.worker(t.Context(), "worker-1", dir, "crash")
	f.end()
	f.wantEnd("worker-1", "crash as asked")
	if b, err := os.ReadFile(filepath.Join(dir, "child.log")); err != nil || !bytes.Contains(b, []byte("crash as asked")) {
		t.Errorf("log: %q, %v", b, err)
	}
}

func TestKilledWorkerTakesItsChildAlong(t *testing.T) {
	defer noLeaks(t)()
	f := newFleet(t, "2500ms", 2, nil)
	dir := t.TempDir()
	f.worker(t.Context(), "worker-1", t.TempDir())
	victim := exec.Command(os.Args[0], dir)
	victim.Env = append(os.Environ(), joinVariable+"="+f.join)
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	defer victim.Wait() //nolint:errcheck // it was killed
	f.launched(100)
	child := pid(t, dir)
	if !alive(child) {
		t.Fatal("the child is gone before its worker")
	}
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	for alive(child) {
		if time.Since(killed) > 30*time.Second {
			t.Fatal("the child outlived its worker by half a minute")
		}
		time.Sleep(5 * time.Millisecond) // polling: another process has no channel
	}
	t.Logf("the child was gone after %v", time.Since(killed).Round(time.Millisecond))
	run := f.end()
	i := slices.IndexFunc(run.Workers, func(w results.Worker) bool { return w.Name == "victim" })
	if i < 0 || !strings.HasPrefix(run.Workers[i].Fate, "lost: nothing heard for") {
		t.Errorf("%+v", run.Workers)
	}
	if a := run.Account; len(a.NeverStarted) != 0 || a.Late == 0 {
		t.Errorf("%+v", a)
	}
	f.wantLoad(run)
}

func TestDrainThenCut(t *testing.T) {
	defer noLeaks(t)()
	f := newFleet(t, "5s", 2, nil)
	f.worker(t.Context(), "worker-1", t.TempDir())
	f.worker(t.Context(), "worker-2", t.TempDir(), "long") // its shoppers stay for a minute
	f.launched(100)
	f.co.Stop(scenarios.Drain, "interrupted")
	run := f.end()
	f.wantEnd("worker-1", "")
	f.wantEnd("worker-2", "")
	a := run.Account
	if run.Stopped != "interrupted" || a.Ended[results.OK] == 0 || a.Ended[results.Canceled] == 0 || a.Orphaned+a.InFlight > 0 {
		t.Errorf("stopped %q, %+v", run.Stopped, a)
	}
	if len(a.NeverStarted) != 1 || a.NeverStarted[0].Reason != "interrupted" {
		t.Errorf("never started: %+v", a.NeverStarted)
	}
}

func TestWorkerLeaves(t *testing.T) {
	defer noLeaks(t)()
	f := newFleet(t, "2s", 2, nil)
	ctx, leave := context.WithCancel(t.Context())
	f.worker(t.Context(), "worker-1", t.TempDir())
	f.worker(ctx, "worker-2", t.TempDir())
	f.launched(100)
	leave()
	run := f.end()
	if !errors.Is(f.ends["worker-2"], context.Canceled) || !run.Workers[1].Finished || run.Account.Orphaned > 0 {
		t.Errorf("%v; %+v", f.ends["worker-2"], run.Workers)
	}
	if s := run.Account.NeverStarted; len(s) != 0 {
		t.Errorf("never started: %+v", s)
	}
	f.wantLoad(run)
}

// A coordinator that ends in mid-run is followed by another: workers go on, and
// nothing is lost or late.
func TestResumedCoordinator(t *testing.T) {
	defer noLeaks(t)()
	long := func(c *coordinator.Config) { c.Lease = 4 * time.Second }
	f := newFleet(t, "5s", 2, long)
	f.worker(t.Context(), "worker-1", t.TempDir())
	f.worker(t.Context(), "worker-2", t.TempDir())
	f.launched(300)
	f.kill()
	if err := <-f.led; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	c := f.co.Config
	c.Past, c.Listening = f.books, nil
	var err error
	if f.co, err = coordinator.New(c); err != nil {
		t.Fatal(err)
	}
	go func() { f.led <- f.co.Run(t.Context()) }()
	run := f.end()
	f.wantEnd("worker-1", "")
	f.wantEnd("worker-2", "")
	if a := run.Account; a.Late > 0 || a.Orphaned > 0 || len(a.NeverStarted) > 0 || run.Stopped != "" {
		t.Errorf("%+v, stopped %q", a, run.Stopped)
	}
	f.wantLoad(run)
	if _, err := coordinator.New(c); !errors.Is(err, coordinator.ErrOver) {
		t.Errorf("resumed a run that is over: %v", err)
	}
	if state, err := f.books.State(); err != nil || len(state) == 0 || bytes.Contains(state, []byte{0x30, 0x82}) {
		t.Errorf("the key stays in the store of a run that is over: %v", err)
	}
}

// Both workers are replaced in mid-run, one after another, and nobody is late.
func TestRollingReplacement(t *testing.T) {
	defer noLeaks(t)()
	f := newFleet(t, "8s", 2, func(c *coordinator.Config) { c.Notice = 2500 * time.Millisecond })
	retire := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
	for i, name := range []string{"worker-1", "worker-2"} {
		dir := t.TempDir()
		f.workers.Go(func() {
			err := workUntil(t.Context(), retire[i], f.join, name, dir)
			f.mu.Lock()
			defer f.mu.Unlock()
			f.ends[name] = err
		})
	}
	f.launched(100)
	for i, name := range []string{"worker-3", "worker-4"} {
		f.worker(t.Context(), name, t.TempDir())
		close(retire[i])
		f.launched(uint64(1000 + 700*i))
	}
	run := f.end()
	for _, w := range run.Workers {
		f.wantEnd(w.Name, "")
		if w.Fate != "" || !w.Finished || w.Launched == 0 {
			t.Errorf("%+v", w)
		}
	}
	a := run.Account
	if len(run.Workers) != 4 || a.Late > 0 || a.Orphaned > 0 || len(a.NeverStarted) > 0 || run.Stopped != "" {
		t.Errorf("%d workers, %+v, stopped %q", len(run.Workers), a, run.Stopped)
	}
	f.wantLoad(run)
}

func TestNobodyLeads(t *testing.T) {
	defer noLeaks(t)()
	w, err := worker.New(worker.Config{
		Name: "w", Join: []string{"127.0.0.1:1"}, Bind: "127.0.0.1:0", Key: key,
		Exec: []string{os.Args[0]}, Wait: 1200 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "no coordinator seen within 1.2s") {
		t.Errorf("%v", err)
	}
}

func pid(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(string(b))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// alive says whether a process runs: a zombie does not.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !errors.Is(err, os.ErrNotExist) && syscall.Kill(pid, 0) == nil
	}
	_, state, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(state, "Z")
}

// noLeaks returns a check that no goroutine of ours is left over.
func noLeaks(t *testing.T) func() {
	t.Helper()
	before := ours()
	return func() {
		t.Helper()
		var after int
		for range 1500 {
			if after = ours(); after <= before {
				return
			}
			time.Sleep(20 * time.Millisecond) // memberlist's Shutdown does not wait for its own
		}
		all := make([]byte, 1<<20)
		t.Errorf("%d goroutines of ours, %d before:\n%s", after, before, all[:runtime.Stack(all, true)])
	}
}

// ours counts goroutines with a function of agents or link in their stack, the
// tests' own left out.
func ours() int {
	all := make([]byte, 1<<20)
	all = all[:runtime.Stack(all, true)]
	n := 0
	for _, g := range strings.Split(string(all), "\n\n") {
		if !strings.Contains(g, "testing.tRunner") && !strings.Contains(g, "testing.(*M)") &&
			(strings.Contains(g, "flashcrowd/agents") || strings.Contains(g, "extensions/link")) {
			n++
		}
	}
	return n
}
