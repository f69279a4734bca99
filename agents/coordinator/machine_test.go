package coordinator

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/agents/membership"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// table drives a state without sockets: it stores what is to be committed and
// keeps what was done, as words.
type table struct {
	t       *testing.T
	machine *Machine
	now     time.Duration
	full    bool           // the disk
	slow    bool           // nothing is stored by itself
	lag     scenarios.Mark // where frontiers are at least when spans come into force
	told    map[string]uint64
	leaving map[string]bool
	done    []string
	notes   map[string]results.WorkerNote
	last    *Answer
	over    bool
	err     error
}

const planEnd = 10 * time.Second

func newTable(t *testing.T, workers int) *table {
	now := 1000 * time.Second
	return &table{t: t, now: now, told: map[string]uint64{}, leaving: map[string]bool{}, notes: map[string]results.WorkerNote{}, machine: NewMachine(Rules{
		Workers: workers, Wait: 20 * time.Second, StartDelay: 1500 * time.Millisecond,
		Notice: 2 * time.Second, Lease: 5 * time.Second, Patience: 8 * time.Second, Tail: 30 * time.Second, End: planEnd,
	}, now)}
}

func (b *table) step(e Event) {
	b.t.Helper()
	if b.over {
		return
	}
	b.do(b.machine.Step(e))
}

func (b *table) do(actions []Action) {
	for _, a := range actions {
		switch a := a.(type) {
		case Commit:
			if b.slow {
				continue
			}
			if b.full {
				b.do(b.machine.Step(Unstored(a)))
				continue
			}
			b.do(b.machine.Step(Stored{b.now, a.ID}))
		case Answer:
			b.last = &a
		case Merge:
			b.note("merge %s", a.ID)
		case Note:
			b.notes[a.ID] = a.Note
			if a.Note.Fate != "" {
				b.note("%s: %s", a.ID, a.Note.Fate)
			}
		case Lost:
			slots, from := map[scenarios.Slot]bool{}, a.Spans[0].From
			for _, s := range a.Spans {
				slots[s.Slot], from = true, min(from, s.From)
			}
			b.note("lost %d slots from %v: %s", len(slots), from, a.Why)
		case Halt:
			b.note("halt %s", a.Why)
		case Finish:
			b.over, b.err = true, a.Err
		}
	}
}

func (b *table) note(format string, args ...any) {
	b.done = append(b.done, fmt.Sprintf(format, args...))
}

// put exchanges and returns the lease; sequence 0 means the next.
func (b *table) put(id string, seq uint64, f Facts, words ...byte) (agents.Lease, error) {
	b.t.Helper()
	if n := b.machine.nodes[id]; seq == 0 {
		seq = 1
		if n != nil {
			seq = n.Last + 1
		}
	}
	b.last = nil
	if n := b.machine.nodes[id]; n != nil && b.told[id] > n.Grant { // what it was told is in force
		f.Applied = append(f.Applied, results.Applied{Grant: b.told[id], Frontier: max(n.Frontier, b.lag)})
	}
	f.Grant = b.told[id]
	b.step(Exchanged{
		At: b.now, ID: id, Name: id, Seq: seq, Have: b.told[id], Leaving: b.leaving[id],
		Digest: Digest{byte(seq), byte(len(words))}, Facts: f,
	})
	if b.last == nil {
		return agents.Lease{}, errUnstored
	}
	if b.last.Err == nil && b.last.Lease.Stored == seq {
		b.told[id] = b.last.Lease.Version
	}
	return b.last.Lease, b.last.Err
}

func (b *table) pass(d time.Duration) {
	b.t.Helper()
	for end := b.now + d; b.now < end && !b.over; {
		b.now += 100 * time.Millisecond
		b.step(Ticked{At: b.now})
	}
}

// beat lets time pass with an exchange of each worker every second.
func (b *table) beat(d time.Duration, f Facts, ids ...string) {
	b.t.Helper()
	for range int(d / time.Second) {
		b.pass(time.Second)
		if b.over {
			return
		}
		for _, id := range ids {
			if _, err := b.put(id, 0, f); err != nil {
				b.t.Fatalf("%s at %v: %v", id, b.now, err)
			}
		}
	}
}

func (b *table) want(stop scenarios.Stop, done ...string) {
	b.t.Helper()
	if b.machine.stop != stop {
		b.t.Errorf("stop is %v, want %v", b.machine.stop, stop)
	}
	var got []string
	for _, d := range b.done {
		if !strings.HasPrefix(d, "merge") {
			got = append(got, d)
		}
	}
	if strings.Join(got, "\n") != strings.Join(done, "\n") {
		b.t.Errorf("done:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(done, "\n"))
	}
}

func begun(t *testing.T, ids ...string) *table {
	b := newTable(t, len(ids))
	for _, id := range ids {
		if l, err := b.put(id, 1, Facts{}); err != nil || l.Started || l.Length != 5*time.Second {
			t.Fatalf("first exchange of %s: %+v, %v", id, l, err)
		}
	}
	b.pass(time.Second)
	return b
}

func TestStart(t *testing.T) {
	b := begun(t, "a", "b", "c")
	total := 0
	for _, id := range []string{"a", "b", "c"} {
		l, err := b.put(id, 0, Facts{})
		if err != nil || !l.Started || l.Version != 1 || l.Stored != 2 || l.Now != -500*time.Millisecond {
			t.Errorf("%s: %+v, %v", id, l, err)
		}
		total += len(l.Spans)
	}
	if total != scenarios.Slots {
		t.Errorf("%d slots are shared out", total)
	}
	b.last = nil
	b.step(Exchanged{At: b.now, ID: "a", Seq: 3, Have: 1, Digest: Digest{3}})
	if b.last.Lease.Spans != nil {
		t.Error("spans are sent to a worker that has them")
	}
}

func TestWholeRun(t *testing.T) {
	b := begun(t, "a", "b")
	b.beat(3*time.Second, Facts{Frontier: time.Second, Launched: 2, Ended: 1}, "a", "b")
	b.beat(2*time.Second, Facts{Frontier: planEnd}, "a", "b")
	b.want(scenarios.Go) // two shoppers of each are still in flight
	b.put("a", 0, Facts{Ended: 3})
	b.want(scenarios.Go)
	l, _ := b.put("b", 0, Facts{Ended: 3})
	if l.Stop != scenarios.Go {
		t.Errorf("the answer to the last end says %v already: it was given before the rest was known", l.Stop)
	}
	b.want(scenarios.Done)
	b.put("a", 0, Facts{Final: true})
	if b.over {
		t.Error("over before b has left")
	}
	l, err := b.put("b", 0, Facts{Final: true})
	if err != nil || !b.over || b.err != nil || l.Length != 0 {
		t.Errorf("last exchange: %+v, %v; over %v: %v", l, err, b.over, b.err)
	}
	b.want(scenarios.Done)
}

func TestSequences(t *testing.T) {
	b := begun(t, "a")
	merges := len(b.done)
	b.put("a", 2, Facts{Launched: 1})
	tests := []struct {
		name   string
		seq    uint64
		other  bool
		err    error
		stored uint64
		length time.Duration
	}{
		{"the next", 3, false, nil, 3, 5 * time.Second},
		{"repeated", 3, false, nil, 3, 5 * time.Second},
		{"other bytes", 3, true, errConflict, 0, 0},
		{"an old one", 1, false, errConflict, 0, 0},
		{"a gap", 5, false, nil, 3, 0},
		{"after the gap", 4, false, nil, 4, 5 * time.Second},
	}
	for _, tt := range tests {
		var words []byte
		if tt.other {
			words = []byte("x")
		}
		l, err := b.put("a", tt.seq, Facts{Launched: 1}, words...)
		if !errors.Is(err, tt.err) || l.Stored != tt.stored || l.Length != tt.length {
			t.Errorf("%s: stored %d for %v, %v", tt.name, l.Stored, l.Length, err)
		}
	}
	if n := b.machine.nodes["a"].Launched; n != 3 {
		t.Errorf("%d launched, want 3: a repeated exchange counts once", n)
	}
	if got := len(b.done) - merges; got != 3 {
		t.Errorf("%d merges, want 3", got)
	}
}

func TestFullDiskAnswersNothing(t *testing.T) {
	b := begun(t, "a")
	b.full = true
	if _, err := b.put("a", 2, Facts{Launched: 1}); !errors.Is(err, errUnstored) {
		t.Errorf("%v, want an error that lets the worker try again", err)
	}
	if n := b.machine.nodes["a"]; n.Last != 1 || n.Launched != 0 {
		t.Errorf("what is not stored was believed: %+v", n.record)
	}
	b.full = false
	if l, err := b.put("a", 2, Facts{Launched: 1}); err != nil || l.Stored != 2 {
		t.Errorf("the same again: %+v, %v", l, err)
	}
}

// A worker of whom nothing could be stored is no part of the run: it does not
// keep the run from ending when the others are gone.
func TestNothingStoredOfAWorker(t *testing.T) {
	b := begun(t, "a")
	b.full = true
	if _, err := b.put("g", 1, Facts{}); !errors.Is(err, errUnstored) {
		t.Fatal(err)
	}
	b.full = false
	b.pass(6 * time.Second)
	if b.machine.stop != scenarios.Done {
		t.Errorf("the run goes on with nobody: %v", b.machine.stop)
	}
	b.put("g", 1, Facts{}) // too late, and no panic
}

func TestLostWorker(t *testing.T) {
	b := begun(t, "a", "b")
	b.beat(2*time.Second, Facts{Frontier: 2 * time.Second, Launched: 5, Ended: 3}, "a", "b")
	b.beat(5*time.Second, Facts{Frontier: 6 * time.Second}, "a")
	b.want(scenarios.Go)
	b.beat(time.Second, Facts{}, "a") // 5.1 s after b's last answer
	lostB := []string{"b: lost: nothing heard for 5.2 s"}
	b.want(scenarios.Go, lostB...)
	if _, err := b.put("b", 0, Facts{}); !errors.Is(err, errEnded) {
		t.Errorf("an ended worker: %v, want errEnded", err)
	}
	if _, err := b.put("b", b.machine.nodes["b"].Last, Facts{}); !errors.Is(err, errEnded) {
		t.Errorf("an ended worker repeats its last: %v, want errEnded", err)
	}
	b.put("a", 0, Facts{Frontier: planEnd, Ended: 4})
	b.want(scenarios.Done, lostB...)
	b.put("a", 0, Facts{Final: true})
	if !b.over || b.err != nil {
		t.Errorf("over %v: %v", b.over, b.err)
	}
}

func TestAllWorkersLost(t *testing.T) {
	b := begun(t, "a", "b")
	b.pass(6 * time.Second)
	why := "no worker is left: b lost: nothing heard for 5.2 s"
	b.want(scenarios.Done, "a: lost: nothing heard for 5.2 s", "b: lost: nothing heard for 5.2 s",
		"halt "+why, "lost 4096 slots from 0s: "+why)
	if !b.over || b.err != nil {
		t.Errorf("over %v: %v", b.over, b.err)
	}
}

func TestDeadChild(t *testing.T) {
	b := begun(t, "a", "b")
	b.put("a", 0, Facts{Frontier: time.Second, Launched: 3})
	l, err := b.put("a", 0, Facts{Fate: "child ended: signal: killed"})
	if err != nil || l.Stored != 3 || l.Length != 0 {
		t.Errorf("%+v, %v", l, err)
	}
	b.want(scenarios.Go, "a: child ended: signal: killed")
	if l, err = b.put("a", 3, Facts{Fate: "child ended: signal: killed"}); err != nil || l.Stored != 3 {
		t.Errorf("repeated, because the answer was lost: %+v, %v", l, err)
	}
	if _, err = b.put("a", 4, Facts{}); !errors.Is(err, errEnded) {
		t.Errorf("after its Fate: %v", err)
	}
}

func TestLapseIsForgivenUntilItIsEnded(t *testing.T) {
	b := begun(t, "a")
	b.now += 30 * time.Second // the coordinator itself was asleep
	b.step(Ticked{At: b.now})
	if _, err := b.put("a", 0, Facts{}); err != nil {
		t.Errorf("%v: time in which nobody could be heard was counted", err)
	}
	b.want(scenarios.Go)
}

func TestDrain(t *testing.T) {
	b := begun(t, "a")
	b.beat(2*time.Second, Facts{Frontier: time.Second, Launched: 2, Ended: 1}, "a")
	b.step(Stopped{b.now, scenarios.Drain, "ctrl-c"})
	b.step(Stopped{b.now, scenarios.Drain, "again"})
	if l, _ := b.put("a", 0, Facts{Ended: 1}); l.Stop != scenarios.Drain || l.Why != "ctrl-c" {
		t.Errorf("told %v: %q", l.Stop, l.Why)
	}
	b.put("a", 0, Facts{Ended: 1}) // nobody is in flight, but it was cut before the child heard
	b.want(scenarios.Drain, "halt ctrl-c")
	b.put("a", 0, Facts{Frontier: b.machine.End}) // with it come those that the child counts as never started
	b.want(scenarios.Done, "halt ctrl-c")
	b.put("a", 0, Facts{Final: true})
	b.want(scenarios.Done, "halt ctrl-c")
	if !b.over || b.err != nil {
		t.Errorf("over %v: %v", b.over, b.err)
	}
}

// Whatever workers do, a stop ends the run in bounded time.
func TestStopIsBounded(t *testing.T) {
	for kind, bound := range map[scenarios.Stop]time.Duration{
		scenarios.Drain: 24 * time.Second, // patience 8, lease 5, twice the lease to leave
		scenarios.Cut:   16 * time.Second,
		scenarios.Done:  11 * time.Second,
	} {
		b := begun(t, "a")
		b.beat(time.Second, Facts{Launched: 1}, "a")
		from := b.now
		b.step(Stopped{b.now, kind, "enough"})
		b.beat(time.Minute, Facts{}, "a") // it never ends its shopper
		if took := b.now - from; !b.over || took > bound {
			t.Errorf("%v: over %v after %v, want at most %v", kind, b.over, took, bound)
		}
		b.want(scenarios.Done, "halt enough", "a: lost: it was told to leave and did not", "lost 4096 slots from 0s: enough")
	}
}

func TestShoppersThatNeverEnd(t *testing.T) {
	b := begun(t, "a")
	b.beat(2*time.Minute, Facts{Frontier: planEnd, Launched: 1}, "a")
	if !b.over || b.err != nil {
		t.Errorf("over %v: %v", b.over, b.err)
	}
	b.want(scenarios.Done, "halt not done 30s after the plan's end: a", "a: lost: it was told to leave and did not")
}

func TestGatheringTimesOut(t *testing.T) {
	b := newTable(t, 4)
	b.put("a", 1, Facts{})
	known := []membership.Member{{ID: "a", Role: membership.Worker, Name: "a"}, {ID: "b", Role: membership.Worker, Name: "worker-2"}, {ID: "c", Role: membership.Coordinator, Name: "c"}}
	for range 21 {
		b.now += time.Second
		b.put("a", 0, Facts{})
		b.step(Ticked{b.now, known})
	}
	l, _ := b.put("a", 0, Facts{Final: true})
	if l.Stop != scenarios.Done {
		t.Errorf("a is told %v", l.Stop)
	}
	want := "wait for workers: 1 of 4 ready after 20s; joined and then silent: worker-2; never seen: 2"
	if !b.over || b.err == nil || b.err.Error() != want {
		t.Errorf("over %v: %v, want %s", b.over, b.err, want)
	}
	b.want(scenarios.Done, "halt "+want, "lost 4096 slots from 0s: "+want)
}

// A worker whose wall clock is too far off takes no part; once it launches, it
// is the verdict's to judge.
func TestWallClockTooFarOff(t *testing.T) {
	off := func(b *table, id string, wall time.Duration, f Facts) error {
		b.t.Helper()
		n := b.machine.nodes[id]
		f.Grant = b.told[id]
		b.step(Exchanged{At: b.now, ID: id, Name: id, Seq: n.Last + 1, Have: b.told[id], Digest: Digest{byte(n.Last + 1)}, Facts: f, Clocks: results.Clocks{Wall: wall}})
		return b.last.Err
	}
	b := newTable(t, 2)
	b.machine.Clock = time.Second
	b.put("a", 1, Facts{})
	if err := off(b, "a", -time.Second, Facts{}); err != nil {
		t.Errorf("a second is allowed: %v", err)
	}
	err := off(b, "a", -3*time.Second, Facts{})
	if want := "turned away: its wall clock was 3 s behind the coordinator's, at most 1s is allowed: set it (NTP), or raise validity.clock"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if status(err) != http.StatusForbidden {
		t.Errorf("status %d", status(err))
	}
	b.put("b", 1, Facts{})
	b.pass(time.Second)
	if b.machine.started {
		t.Error("started without the one that was turned away")
	}
	if got, want := b.machine.missing(), "; a turned away: its wall clock was 3 s behind the coordinator's"; got != want {
		t.Errorf("missing%s, want %s", got, want)
	}
	b.put("c", 1, Facts{})
	b.pass(time.Second)
	if err := off(b, "c", 2*time.Second, Facts{}); err == nil { // the load has not begun
		t.Error("c is not turned away before the start")
	}
	b.beat(2*time.Second, Facts{Frontier: time.Second}, "b")
	if h := b.holders(); h["b"] != scenarios.Slots {
		t.Errorf("b has %d slots", h["b"])
	}
	if err := off(b, "b", time.Hour, Facts{Launched: 1}); err != nil {
		t.Errorf("a worker that launches: %v", err)
	}
	b.step(Exchanged{At: b.now, ID: "b", Name: "b", Seq: b.machine.nodes["b"].Last + 1, Digest: Digest{99}, Facts: Facts{Grant: b.told["b"]},
		Clocks: results.Clocks{Plan: -1, Upsets: []results.Upset{{Kind: results.Stepped, Size: time.Hour}}}})
	if got := b.notes["b"].Clocks; got.Wall != time.Hour || got.Plan != -1 || len(got.Upsets) != 1 {
		t.Errorf("noted %+v", got)
	}
	b.want(scenarios.Go, "a: turned away: its wall clock was 3 s behind the coordinator's", "c: turned away: its wall clock was 2 s ahead of the coordinator's")
}

func TestStopBeforeTheStart(t *testing.T) {
	b := newTable(t, 2)
	b.step(Stopped{b.now, scenarios.Drain, "ctrl-c"})
	b.want(scenarios.Drain, "halt ctrl-c", "lost 4096 slots from 0s: ctrl-c")
	if !b.over || b.err != nil {
		t.Errorf("over %v: %v", b.over, b.err)
	}
}

// What a disk is still busy with is neither lost nor taken twice.
func TestSlowDisk(t *testing.T) {
	b := newTable(t, 1)
	b.slow = true
	exchange := func(seq uint64) Exchanged {
		return Exchanged{At: b.now, ID: "a", Name: "a", Seq: seq, Digest: Digest{byte(seq)}}
	}
	b.step(exchange(1))
	b.step(exchange(1))
	if b.last == nil || !errors.Is(b.last.Err, errBusy) {
		t.Errorf("again, before it is stored: %+v", b.last)
	}
	b.now += time.Minute
	b.step(Stopped{b.now, scenarios.Done, "enough"})
	b.now += time.Minute
	b.step(Ticked{At: b.now})
	if n := b.machine.nodes["a"]; n.closed || b.over {
		t.Errorf("ended while its exchange was being stored: %+v", n.record)
	}
	b.step(Stored{b.now, "a"})
	if b.last.Err != nil || b.last.Lease.Stored != 1 || b.last.Lease.Stop != scenarios.Done {
		t.Errorf("stored: %+v", b.last)
	}
	b.now += time.Minute
	b.step(Ticked{At: b.now})
	if n := b.machine.nodes["a"]; !n.Gone || !b.over {
		t.Errorf("silent since: %+v, over %v", n.record, b.over)
	}
}
