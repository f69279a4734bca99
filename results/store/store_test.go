package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/store"
	"github.com/flashcrowd/flashcrowd/results/verdict"
)

var started = time.Date(2026, 11, 21, 9, 30, 0, 123456789, time.UTC)

func header() store.Header {
	return store.Header{
		About: results.About{
			ID: "smoke-1", Campaign: "smoke", PlanFingerprint: "00ff", Target: "storefront guarded (built in)",
			Factors:  results.Factors{Scale: 0.001, Demand: 1, Compress: 60, Pace: 0.1},
			Duration: 30 * time.Second, Planned: 100,
			Stages: []results.Stage{{Name: "all", To: 30 * time.Second, Shoppers: 100}},
		},
		Plan: []byte("plan\x00bytes"), Created: started.Add(-time.Minute), Version: "0.1.0",
		Args: []string{"mine.yaml", "--seed=7"},
	}
}

// snapshots returns n snapshots of a worker, each with two shoppers of whom one
// orders.
func snapshots(worker string, n int) []results.Snapshot {
	r := results.NewRecorder(worker)
	var all []results.Snapshot
	for i := range n {
		at := time.Duration(i) * time.Second
		who := results.Who{Stage: "all", Persona: "patient", Journey: "order", Number: uint32(2 * i)}
		key := fmt.Sprintf("key-%s-%d", worker, i)
		for _, f := range []results.Fact{
			results.Launch{Who: who, At: at, Hash: results.Sum128{Lo: uint64(i)}},
			results.Launch{Who: who, At: at, Hash: results.Sum128{Hi: uint64(i)}},
			results.Step{Who: who, Name: "complete", Outcome: results.OK, At: at, Response: time.Millisecond * time.Duration(i+1), Service: time.Millisecond},
			results.Promise{Who: who, Kind: results.OrderPromise, Known: true, Key: key, ID: "order-" + key, Amount: 900, Currency: "CNY", At: at},
			results.End{Who: who, At: at, Outcome: results.OK, Duration: time.Second, MeantToOrder: true, Ordered: true},
			results.End{Who: who, At: at, Outcome: results.TimedOut, Duration: time.Second, MeantToOrder: true},
			results.Mark{Frontier: at},
		} {
			r.Add(f)
		}
		s := r.Cut(uint64(i+1), at, results.Health{CPU: 0.3, RSS: 1 << 20})
		s.Final = i == n-1
		all = append(all, s)
	}
	return all
}

func create(t *testing.T) (*store.Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "runs", "smoke-1", store.FileName)
	s, err := store.Create(path, header())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, path
}

func commit(t *testing.T, s *store.Store, all []results.Snapshot) {
	t.Helper()
	for _, snap := range all {
		if err := s.Commit(delivery(snap)); err != nil {
			t.Fatal(err)
		}
	}
}

func delivery(s results.Snapshot) results.Delivery {
	return results.Delivery{Worker: s.Worker, Seq: s.Seq, Bytes: results.Encode(s)}
}

// A run read back is the run that was merged while it was written, whoever
// reads it and when.
func TestRunIsTheSameAgain(t *testing.T) {
	s, path := create(t)
	about := header().About
	about.Started = started
	m := results.NewMerger(about)
	one, two := snapshots("worker-a", 5), snapshots("worker-b", 3)
	for _, snap := range slices.Concat(one, two) {
		if _, err := m.Add(snap); err != nil {
			t.Fatal(err)
		}
	}
	commit(t, s, one)
	commit(t, s, two)
	note := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	note(s.Started(started.Add(-time.Hour)))
	note(s.Started(started))
	for _, n := range []results.WorkerNote{{Name: "worker-1", Slots: 2048}, {Name: "worker-1", Slots: 2048, Fate: "killed"}} {
		note(s.Worker("worker-a", n))
		m.Worker("worker-a", n)
	}
	skips := []results.Skip{{Stage: "all", Reason: "drained", Count: 3}, {Stage: "all", Reason: "drained", Count: 4}}
	note(s.Skips(skips[:1]))
	note(s.Skips(skips)) // the last stands
	for _, k := range skips {
		m.Skip(k)
	}
	for _, why := range []string{"interrupted", "again"} {
		note(s.Stop(why))
		m.Stop(why)
	}
	want := m.Run()
	if want.Stopped == "" || len(want.Account.NeverStarted) == 0 || want.Count(results.Orders, results.Tags{}) != 8 {
		t.Fatalf("the run is too tame to prove anything: %+v", want)
	}
	v := verdict.Verdict{Outcome: verdict.Fail, Reasons: []verdict.Reason{{Rule: "orders: count>9", Measured: "8 orders", Kind: "threshold"}}}
	audit := &results.Audit{Source: "storefront", Promised: 8, Booked: 8, Matched: 8, Checks: []results.Check{{ID: "sums", State: results.StateHeld, Examples: []string{}, Doubts: []string{}}}}
	ended := started.Add(time.Minute)

	check := func(when string, s *store.Store) {
		t.Helper()
		got, err := s.Run()
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n%+v\nwant:\n%+v", when, got, want)
		}
	}
	check("by the writer", s)
	r, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	check("by a reader beside the writer", r)
	if j, err := r.Judgement(); j != nil || err != nil {
		t.Errorf("judgement before the end = %v, %v", j, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Finish(v, audit, 8, ended); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("a judged run leaves %v, want one file", files)
	}
	r, err = store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	check("after the end", r)
	j, err := r.Judgement()
	if err != nil {
		t.Fatal(err)
	}
	if wantJ := (&store.Judgement{Verdict: v, Audit: audit, Orders: 8, Ended: ended}); !reflect.DeepEqual(j, wantJ) {
		t.Errorf("judgement = %+v, want %+v", j, wantJ)
	}
	h := header()
	h.About.Started = started
	if got := r.Header(); !reflect.DeepEqual(got, h) {
		t.Errorf("header = %+v, want %+v", got, h)
	}
}

func TestLedger(t *testing.T) {
	s, _ := create(t)
	all := snapshots("worker-a", 4)
	commit(t, s, all)
	var got, want []results.Promise
	for p, err := range s.Ledger() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, p)
	}
	for _, snap := range all {
		for _, p := range snap.Ledger {
			p.Who = results.Who{} // does not travel: the key carries it
			want = append(want, p)
		}
	}
	if len(want) != 4 || !reflect.DeepEqual(got, want) {
		t.Errorf("ledger = %+v, want %+v", got, want)
	}
	for range s.Ledger() { // can be left
		break
	}
	if err := s.Stop("still writable"); err != nil {
		t.Error(err)
	}
}

func TestCommitTwice(t *testing.T) {
	s, _ := create(t)
	all := snapshots("worker-a", 3)
	first := delivery(all[0])
	for range 3 {
		if err := s.Commit(first, first); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, s); n != 1 {
		t.Errorf("%d snapshots, want 1", n)
	}
	forged := first
	forged.Bytes = append(slices.Clone(first.Bytes), 0)
	err := s.Commit(delivery(all[1]), forged, delivery(all[2]))
	if !errors.Is(err, results.ErrChanged) || !strings.Contains(err.Error(), "snapshot 1 of worker worker-a") {
		t.Errorf("other bytes: %v", err)
	}
	if n := count(t, s); n != 1 {
		t.Errorf("%d snapshots, want 1: of what is refused nothing is kept", n)
	}
	if err := s.Commit(delivery(all[1]), first, delivery(all[2])); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s); n != 3 {
		t.Errorf("%d snapshots, want 3", n)
	}
}

// A worker whose child died without a snapshot still has a sequence to store.
func TestCommitWithoutSnapshot(t *testing.T) {
	s, _ := create(t)
	if err := s.Commit(results.Delivery{Worker: "worker-a", Seq: 1}); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(results.Delivery{Worker: "worker-a", Seq: 1, Bytes: []byte{}}); err != nil {
		t.Errorf("again: %v", err)
	}
	if err := s.Commit(results.Delivery{Worker: "worker-a", Seq: 1, Bytes: []byte{1}}); !errors.Is(err, results.ErrChanged) {
		t.Errorf("other bytes: %v", err)
	}
	if state, err := s.State(); state != nil || err != nil {
		t.Errorf("state = %q, %v", state, err)
	}
	if n := count(t, s); n != 0 {
		t.Errorf("%d snapshots, want 0", n)
	}
}

func TestSave(t *testing.T) {
	s, path := create(t)
	for _, state := range []string{"one", "two"} {
		if err := s.Save([]byte(state)); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	again, err := store.Resume(path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if state, err := again.State(); err != nil || string(state) != "two" {
		t.Errorf("state = %q, %v", state, err)
	}
	if err := again.Save([]byte("three")); err != nil {
		t.Error(err)
	}
}

func count(t *testing.T, s *store.Store) (n int) {
	t.Helper()
	for _, err := range s.Snapshots() {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// A run is its owner's, the files beside it too.
func TestNobodyElseReadsIt(t *testing.T) {
	s, path := create(t)
	if err := s.Save([]byte("state")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

// What ended workers sent is kept apart: in no figure and no ledger, once, and
// within bounds. Files that are older get a place for it.
func TestApart(t *testing.T) {
	s, path := create(t)
	snapshot := func(seq uint64, ledger int) results.Delivery {
		cut := results.NewRecorder("w").Cut(seq, 0, results.Health{})
		cut.Launched = 7
		for i := range ledger {
			cut.Ledger = append(cut.Ledger, results.Promise{Kind: results.OrderPromise, Known: true, Key: fmt.Sprint("k", i), ID: fmt.Sprint("o", i)})
		}
		return results.Delivery{Worker: "w", Seq: seq, Bytes: results.Encode(cut)}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("DROP TABLE apart; PRAGMA user_version = 2"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	old, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if run, err := old.Run(); err != nil || run.Apart != (results.Apart{}) {
		t.Errorf("an older file: %+v, %v", run, err)
	}
	old.Close()
	if s, err = store.Resume(path); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i, want := range []bool{true, false} {
		if kept, err := s.SetApart(snapshot(4, 3)); err != nil || kept != want {
			t.Errorf("time %d: kept %v, %v", i, kept, err)
		}
	}
	if kept, err := s.SetApart(results.Delivery{Worker: "w", Seq: 5, Bytes: make([]byte, 64<<20)}); err != nil || kept {
		t.Errorf("beyond bounds: kept %v, %v", kept, err)
	}
	refused := []results.Barred{{Reason: "stranger", Count: 3}}
	if err := errors.Join(s.Barred([]results.Barred{{Reason: "stranger", Count: 1}}), s.Barred(refused)); err != nil {
		t.Fatal(err)
	}
	run, err := s.Run()
	if err != nil {
		t.Fatal(err)
	}
	if want := (results.Apart{Snapshots: 1, Promises: 3}); run.Apart != want || run.Launched() != 0 || len(run.Workers) != 0 {
		t.Errorf("the run has %+v, %d launched", run.Apart, run.Launched())
	}
	if !slices.Equal(run.Barred, refused) {
		t.Errorf("refused: %v", run.Barred)
	}
	for p, err := range s.Ledger() {
		t.Errorf("in the ledger: %v, %v", p, err)
	}
	superseded := 0
	for _, err := range s.Superseded() {
		if err != nil {
			t.Fatal(err)
		}
		superseded++
	}
	if superseded != 3 {
		t.Errorf("%d promises for the audit", superseded)
	}
}

func TestOneWriter(t *testing.T) {
	s, path := create(t)
	want := fmt.Sprintf("process %d is writing it", os.Getpid())
	if _, err := store.Resume(path); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a second writer got %v, want %q", err, want)
	}
	r, err := store.Open(path)
	if err != nil {
		t.Fatalf("a reader beside the writer: %v", err)
	}
	defer r.Close()
	if err := r.Commit(results.Delivery{Worker: "w", Seq: 1, Bytes: []byte{1}}); err == nil || !strings.Contains(err.Error(), "opened for reading") {
		t.Errorf("a reader that writes: %v", err)
	}
	if err := s.Save([]byte("x")); err != nil {
		t.Errorf("the writer after all this: %v", err)
	}
}

// What was committed survives kill -9 in the middle of the next commits.
func TestKilledWriter(t *testing.T) {
	if path := os.Getenv("FLASHCROWD_TEST_WRITE"); path != "" {
		s, err := store.Resume(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, snap := range snapshots("worker-a", 3000) {
			if err := s.Commit(delivery(snap)); err != nil {
				t.Fatal(err)
			}
			fmt.Println("stored", snap.Seq)
		}
	}
	s, path := create(t)
	s.Close()
	child := exec.Command(os.Args[0], "-test.run=^TestKilledWriter$")
	child.Env = append(os.Environ(), "FLASHCROWD_TEST_WRITE="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := 0
	for {
		var seq int
		if _, err := fmt.Fscanf(out, "stored %d\n", &seq); err != nil {
			break
		}
		if acknowledged = seq; seq == 50 {
			child.Process.Kill()
		}
	}
	child.Wait()
	again, err := store.Resume(path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	n := count(t, again)
	if n < acknowledged || acknowledged < 50 {
		t.Errorf("%d snapshots stored, %d were acknowledged", n, acknowledged)
	}
}

// A file of schema 1, which did not keep how the run was asked for, can be read.
func TestSchema1(t *testing.T) {
	path := filepath.Join(t.TempDir(), store.FileName)
	s, err := store.Create(path, header())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("ALTER TABLE run DROP COLUMN args; PRAGMA user_version = 1"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	s, err = store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := s.Header(); len(got.Args) != 0 || got.About.ID != header().About.ID {
		t.Errorf("header = %+v", got)
	}
}
