package coordinator

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/agents/membership"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// table drives a state without sockets: it stores what is to be committed and
// keeps what was done, as words.
type table struct {
	t     *testing.T
	state *state
	now   time.Duration
	full  bool // the disk
	done  []string
	last  *answer
	over  bool
	err   error
}

const planEnd = 10 * time.Second

func newTable(t *testing.T, workers int) *table {
	now := 1000 * time.Second
	return &table{t: t, now: now, state: newState(rules{
		workers: workers, wait: 20 * time.Second, startDelay: 1500 * time.Millisecond,
		lease: 5 * time.Second, patience: 8 * time.Second, tail: 30 * time.Second, end: planEnd,
	}, now)}
}

func (b *table) step(e event) {
	b.t.Helper()
	if b.over {
		return
	}
	b.do(b.state.step(e))
}

func (b *table) do(actions []action) {
	for _, a := range actions {
		switch a := a.(type) {
		case commit:
			if b.full {
				b.do(b.state.step(unstored(a)))
				continue
			}
			b.do(b.state.step(stored{b.now, a.id}))
		case answer:
			b.last = &a
		case merge:
			b.note("merge %s", a.id)
		case note:
			if a.fate != "" {
				b.note("%s: %s", a.id, a.fate)
			}
		case lost:
			b.note("lost %d slots from %v: %s", len(a.spans), a.from, a.why)
		case halt:
			b.note("halt %s", a.why)
		case finish:
			b.over, b.err = true, a.err
		}
	}
}

func (b *table) note(format string, args ...any) {
	b.done = append(b.done, fmt.Sprintf(format, args...))
}

// put exchanges and returns the lease; sequence 0 means the next.
func (b *table) put(id string, seq uint64, f facts, words ...byte) (agents.Lease, error) {
	b.t.Helper()
	if n := b.state.nodes[id]; seq == 0 {
		seq = 1
		if n != nil {
			seq = n.Last + 1
		}
	}
	b.last = nil
	b.step(exchanged{at: b.now, id: id, name: id, seq: seq, digest: digest{byte(seq), byte(len(words))}, facts: f})
	if b.last == nil {
		return agents.Lease{}, errUnstored
	}
	return b.last.lease, b.last.err
}

func (b *table) pass(d time.Duration) {
	b.t.Helper()
	for end := b.now + d; b.now < end && !b.over; {
		b.now += 100 * time.Millisecond
		b.step(ticked{at: b.now})
	}
}

// beat lets time pass with an exchange of each worker every second.
func (b *table) beat(d time.Duration, f facts, ids ...string) {
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
	if b.state.stop != stop {
		b.t.Errorf("stop is %v, want %v", b.state.stop, stop)
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

var whole = facts{frontier: planEnd}

func begun(t *testing.T, ids ...string) *table {
	b := newTable(t, len(ids))
	for _, id := range ids {
		if l, err := b.put(id, 1, facts{}); err != nil || l.Started || l.Length != 5*time.Second {
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
		l, err := b.put(id, 0, facts{})
		if err != nil || !l.Started || l.Version != 1 || l.Stored != 2 || l.Now != -500*time.Millisecond {
			t.Errorf("%s: %+v, %v", id, l, err)
		}
		total += len(l.Spans)
	}
	if total != scenarios.Slots {
		t.Errorf("%d slots are shared out", total)
	}
	b.last = nil
	b.step(exchanged{at: b.now, id: "a", seq: 3, have: 1, digest: digest{3}})
	if b.last.lease.Spans != nil {
		t.Error("spans are sent to a worker that has them")
	}
}

func TestWholeRun(t *testing.T) {
	b := begun(t, "a", "b")
	b.beat(3*time.Second, facts{frontier: time.Second, launched: 2, ended: 1}, "a", "b")
	b.beat(2*time.Second, facts{frontier: planEnd}, "a", "b")
	b.want(scenarios.Go) // two shoppers of each are still in flight
	b.put("a", 0, facts{ended: 3})
	b.want(scenarios.Go)
	l, _ := b.put("b", 0, facts{ended: 3})
	if l.Stop != scenarios.Go {
		t.Errorf("the answer to the last end says %v already: it was given before the rest was known", l.Stop)
	}
	b.want(scenarios.Done)
	b.put("a", 0, facts{final: true})
	if b.over {
		t.Error("over before b has left")
	}
	l, err := b.put("b", 0, facts{final: true})
	if err != nil || !b.over || b.err != nil || l.Length != 0 {
		t.Errorf("last exchange: %+v, %v; over %v: %v", l, err, b.over, b.err)
	}
	b.want(scenarios.Done)
}

func TestSequences(t *testing.T) {
	b := begun(t, "a")
	merges := len(b.done)
	b.put("a", 2, facts{launched: 1})
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
		l, err := b.put("a", tt.seq, facts{launched: 1}, words...)
		if !errors.Is(err, tt.err) || l.Stored != tt.stored || l.Length != tt.length {
			t.Errorf("%s: stored %d for %v, %v", tt.name, l.Stored, l.Length, err)
		}
	}
	if n := b.state.nodes["a"].Launched; n != 3 {
		t.Errorf("%d launched, want 3: a repeated exchange counts once", n)
	}
	if got := len(b.done) - merges; got != 3 {
		t.Errorf("%d merges, want 3", got)
	}
}

func TestFullDiskAnswersNothing(t *testing.T) {
	b := begun(t, "a")
	b.full = true
	if _, err := b.put("a", 2, facts{launched: 1}); !errors.Is(err, errUnstored) {
		t.Errorf("%v, want an error that lets the worker try again", err)
	}
	if n := b.state.nodes["a"]; n.Last != 1 || n.Launched != 0 {
		t.Errorf("what is not stored was believed: %+v", n.record)
	}
	b.full = false
	if l, err := b.put("a", 2, facts{launched: 1}); err != nil || l.Stored != 2 {
		t.Errorf("the same again: %+v, %v", l, err)
	}
}

func TestLostWorker(t *testing.T) {
	b := begun(t, "a", "b")
	b.beat(2*time.Second, facts{frontier: 2 * time.Second, launched: 5, ended: 3}, "a", "b")
	b.beat(5*time.Second, facts{frontier: 6 * time.Second}, "a")
	b.want(scenarios.Go)
	b.beat(time.Second, facts{}, "a") // 5.1 s after b's last answer
	lostB := []string{"b: lost: nothing heard for 5.2 s", "lost 2048 slots from 2s: b lost"}
	b.want(scenarios.Go, lostB...)
	if _, err := b.put("b", 0, facts{}); !errors.Is(err, errEnded) {
		t.Errorf("an ended worker: %v, want errEnded", err)
	}
	if _, err := b.put("b", b.state.nodes["b"].Last, facts{}); !errors.Is(err, errEnded) {
		t.Errorf("an ended worker repeats its last: %v, want errEnded", err)
	}
	b.put("a", 0, facts{frontier: planEnd, ended: 4})
	b.want(scenarios.Done, lostB...)
	b.put("a", 0, facts{final: true})
	if !b.over || b.err != nil {
		t.Errorf("over %v: %v", b.over, b.err)
	}
}

func TestAllWorkersLost(t *testing.T) {
	b := begun(t, "a", "b")
	b.pass(6 * time.Second)
	b.want(scenarios.Done, "a: lost: nothing heard for 5.2 s", "lost 2048 slots from 0s: a lost",
		"b: lost: nothing heard for 5.2 s", "lost 2048 slots from 0s: b lost", "halt no worker is left")
	if !b.over || b.err != nil {
		t.Errorf("over %v: %v", b.over, b.err)
	}
}

func TestDeadChild(t *testing.T) {
	b := begun(t, "a", "b")
	b.put("a", 0, facts{frontier: time.Second, launched: 3})
	l, err := b.put("a", 0, facts{fate: "child ended: signal: killed"})
	if err != nil || l.Stored != 3 || l.Length != 0 {
		t.Errorf("%+v, %v", l, err)
	}
	b.want(scenarios.Go, "a: child ended: signal: killed", "lost 2048 slots from 1s: a child ended: signal: killed")
	if l, err = b.put("a", 3, facts{fate: "child ended: signal: killed"}); err != nil || l.Stored != 3 {
		t.Errorf("repeated, because the answer was lost: %+v, %v", l, err)
	}
	if _, err = b.put("a", 4, facts{}); !errors.Is(err, errEnded) {
		t.Errorf("after its fate: %v", err)
	}
}

func TestLapseIsForgivenUntilItIsEnded(t *testing.T) {
	b := begun(t, "a")
	b.now += 30 * time.Second // the coordinator itself was asleep
	b.step(ticked{at: b.now})
	if _, err := b.put("a", 0, facts{}); err != nil {
		t.Errorf("%v: time in which nobody could be heard was counted", err)
	}
	b.want(scenarios.Go)
}

func TestDrain(t *testing.T) {
	b := begun(t, "a")
	b.beat(2*time.Second, facts{frontier: time.Second, launched: 2, ended: 1}, "a")
	b.step(stopped{b.now, scenarios.Drain, "ctrl-c"})
	b.step(stopped{b.now, scenarios.Drain, "again"})
	if l, _ := b.put("a", 0, facts{ended: 1}); l.Stop != scenarios.Drain || l.Why != "ctrl-c" {
		t.Errorf("told %v: %q", l.Stop, l.Why)
	}
	b.put("a", 0, facts{ended: 1}) // nobody is in flight, but it was cut before the child heard
	b.want(scenarios.Drain, "halt ctrl-c")
	b.put("a", 0, facts{frontier: b.state.end}) // with it come those that the child counts as never started
	b.want(scenarios.Done, "halt ctrl-c")
	b.put("a", 0, facts{final: true})
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
		b.beat(time.Second, facts{launched: 1}, "a")
		from := b.now
		b.step(stopped{b.now, kind, "enough"})
		b.beat(time.Minute, facts{}, "a") // it never ends its shopper
		if took := b.now - from; !b.over || took > bound {
			t.Errorf("%v: over %v after %v, want at most %v", kind, b.over, took, bound)
		}
		b.want(scenarios.Done, "halt enough", "a: lost: it was told to leave and did not", "lost 4096 slots from 0s: enough")
	}
}

func TestShoppersThatNeverEnd(t *testing.T) {
	b := begun(t, "a")
	b.beat(2*time.Minute, facts{frontier: planEnd, launched: 1}, "a")
	if !b.over || b.err != nil {
		t.Errorf("over %v: %v", b.over, b.err)
	}
	b.want(scenarios.Done, "halt not done 30s after the plan's end: a", "a: lost: it was told to leave and did not")
}

func TestGatheringTimesOut(t *testing.T) {
	b := newTable(t, 4)
	b.put("a", 1, facts{})
	known := []membership.Member{{ID: "a", Role: membership.Worker, Name: "a"}, {ID: "b", Role: membership.Worker, Name: "worker-2"}, {ID: "c", Role: membership.Coordinator, Name: "c"}}
	for range 21 {
		b.now += time.Second
		b.put("a", 0, facts{})
		b.step(ticked{b.now, known})
	}
	l, _ := b.put("a", 0, facts{final: true})
	if l.Stop != scenarios.Done {
		t.Errorf("a is told %v", l.Stop)
	}
	want := "wait for workers: 1 of 4 ready after 20s; joined and then silent: worker-2; never seen: 2"
	if !b.over || b.err == nil || b.err.Error() != want {
		t.Errorf("over %v: %v, want %s", b.over, b.err, want)
	}
	b.want(scenarios.Done, "halt "+want, "lost 4096 slots from 0s: "+want)
}

func TestStopBeforeTheStart(t *testing.T) {
	b := newTable(t, 2)
	b.step(stopped{b.now, scenarios.Drain, "ctrl-c"})
	b.want(scenarios.Drain, "halt ctrl-c", "lost 4096 slots from 0s: ctrl-c")
	if !b.over || b.err != nil {
		t.Errorf("over %v: %v", b.over, b.err)
	}
}

func TestLateWorkerGetsNoSlots(t *testing.T) {
	b := begun(t, "a")
	l, err := b.put("late", 0, facts{})
	if err != nil || len(l.Spans) > 0 || l.Length == 0 || !l.Started {
		t.Errorf("%+v, %v", l, err)
	}
	b.put("a", 0, whole)
	b.want(scenarios.Done)
	b.put("a", 0, facts{final: true})
	b.put("late", 0, facts{final: true})
	if !b.over {
		t.Error("not over")
	}
}
