package coordinator

import (
	"reflect"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// holders checks that every slot's arrivals from the frontiers on are somebody's
// exactly once, or are waiting for a release, and returns how many slots each
// worker has to the end.
func (b *table) holders() map[string]int {
	b.t.Helper()
	count, owners := map[string]int{}, make([]int, scenarios.Slots)
	for _, n := range b.machine.present() {
		for _, s := range n.spans {
			if s.To == b.machine.End {
				count[n.id]++
				owners[s.Slot]++
			}
		}
		for _, r := range n.releases {
			owners[r.Span.Slot]++
		}
	}
	for _, s := range b.machine.free {
		if s.To == b.machine.End {
			owners[s.Slot]++
		}
	}
	for slot, n := range owners {
		if n != 1 {
			b.t.Fatalf("slot %d has %d holders", slot, n)
		}
	}
	return count
}

// Of two who are lost at the same moment, neither carries on for the other.
func TestLostTogether(t *testing.T) {
	const s = time.Second
	b := begun(t, "a", "b", "c")
	b.beat(2*s, Facts{Frontier: 2 * s}, "a", "b", "c")
	b.beat(6*s, Facts{Frontier: 6 * s}, "c")
	if h := b.holders(); h["c"] != scenarios.Slots {
		t.Fatalf("%v", h)
	}
	for _, span := range b.machine.nodes["c"].spans {
		if span.Attempt > 1 {
			t.Fatalf("slot %d is carried on for the %d. time", span.Slot, span.Attempt)
		}
	}
	for _, id := range []string{"a", "b"} {
		if heirs := b.notes[id].Heirs; len(heirs) != 1 || heirs["c"] == 0 {
			t.Errorf("%s is carried on by %v", id, heirs)
		}
	}
}

// What the report tells of who came and went: who carried on, from when.
func TestPassages(t *testing.T) {
	const s = time.Second
	check := func(b *table, id string, want results.WorkerNote) {
		t.Helper()
		want.Name = id
		if got := b.notes[id]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s is noted as %+v, want %+v", id, got, want)
		}
	}
	b := begun(t, "a", "b")
	b.beat(2*s, Facts{Frontier: 2 * s, Launched: 5, Ended: 3}, "a", "b")
	b.beat(6*s, Facts{Frontier: 6 * s}, "a")
	check(b, "b", results.WorkerNote{Fate: "lost: nothing heard for 5.2 s", Slots: 2048, Gone: 6700 * time.Millisecond,
		Heirs: map[string]uint64{"a": 2}, Passed: 2 * s})

	b = begun(t, "a", "b")
	b.beat(2*s, Facts{}, "a", "b")
	b.put("c", 1, Facts{}) // at 1.5 s
	b.beat(2*s, Facts{Frontier: 2 * s}, "a", "b", "c")
	check(b, "c", results.WorkerNote{Slots: 1365, Joined: 1500 * time.Millisecond, Full: 2, FullFrom: 3500 * time.Millisecond})

	b = begun(t, "a", "b")
	b.beat(2*s, Facts{}, "a", "b")
	b.leaving["b"] = true
	b.beat(4*s, Facts{Frontier: 5 * s}, "a", "b")
	b.put("b", 0, Facts{Final: true})
	check(b, "b", results.WorkerNote{Slots: 2048, Gone: 2500 * time.Millisecond, Heirs: map[string]uint64{"a": 2}, Passed: 5 * s})

	b = begun(t, "a")
	b.pass(6 * s) // nobody is left
	check(b, "a", results.WorkerNote{Fate: "lost: nothing heard for 5.2 s", Slots: 4096, Gone: 3700 * time.Millisecond})
}

func TestTakeover(t *testing.T) {
	b := begun(t, "a", "b")
	b.beat(2*time.Second, Facts{Frontier: 2 * time.Second, Launched: 5, Ended: 3}, "a", "b")
	b.beat(6*time.Second, Facts{Frontier: 6 * time.Second}, "a")
	if h := b.holders(); h["a"] != scenarios.Slots {
		t.Errorf("a holds %d slots", h["a"])
	}
	again, plain := 0, 0
	for _, s := range b.machine.nodes["a"].spans {
		switch {
		case s.Attempt == 1 && s.From == 2*time.Second && s.Grant == 2:
			again++
		case s.Attempt == 0 && s.Grant == 2 && s.From > 6*time.Second && s.To == planEnd:
			plain++
		case s.Grant == 1 && s.Attempt == 0:
		default:
			t.Fatalf("odd span %+v", s)
		}
	}
	if again != scenarios.Slots/2 || plain != scenarios.Slots/2 {
		t.Errorf("%d spans are possibly launched twice, %d are not, want 2048 each", again, plain)
	}
}

// What a lost worker has said of its holes is not launched again.
func TestTakeoverOfHoles(t *testing.T) {
	n := &node{record: record{Frontier: 50, Grant: 2, Holes: []results.Hole{{ID: 1, Grant: 2, From: 20, To: 30}}}}
	tests := []struct {
		name string
		span scenarios.Span
		want []scenarios.Span
	}{
		{"before and after the frontier", scenarios.Span{From: 0, To: 100, Grant: 1}, []scenarios.Span{{From: 50, To: 100, Grant: 1}}},
		{"with a hole", scenarios.Span{From: 25, To: 100, Grant: 2}, []scenarios.Span{{From: 25, To: 30, Grant: 2}, {From: 50, To: 100, Grant: 2}}},
		{"behind the hole", scenarios.Span{From: 30, To: 40, Grant: 2}, nil},
		{"never heard of", scenarios.Span{From: 10, To: 40, Grant: 3}, []scenarios.Span{{From: 10, To: 40, Grant: 3}}},
	}
	for _, tt := range tests {
		got := n.unlaunched(tt.span)
		if len(got) != len(tt.want) {
			t.Errorf("%s: %+v", tt.name, got)
			continue
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("%s: %+v", tt.name, got)
			}
		}
	}
}

func TestJoinInMidRun(t *testing.T) {
	b := begun(t, "a")
	b.beat(2*time.Second, Facts{Frontier: time.Second}, "a")
	l, err := b.put("late", 0, Facts{})
	if err != nil || len(l.Spans) > 0 || l.Length == 0 || !l.Started {
		t.Errorf("first answer: %+v, %v", l, err)
	}
	b.holders()
	b.put("a", 0, Facts{Frontier: 2 * time.Second}) // told to give up half
	if h := b.holders(); h["late"] != 0 || h["a"] != scenarios.Slots/2 {
		t.Errorf("before the release: %v", h)
	}
	if l, _ := b.put("late", 0, Facts{}); len(l.Spans) > 0 {
		t.Errorf("slots were given before they were released")
	}
	b.put("a", 0, Facts{Frontier: 2 * time.Second})
	l, _ = b.put("late", 0, Facts{})
	if h := b.holders(); h["late"] != scenarios.Slots/2 || len(l.Spans) != scenarios.Slots/2 {
		t.Errorf("after the release: %v", h)
	}
	for _, s := range l.Spans {
		if s.Attempt != 0 || s.From < 3*time.Second {
			t.Fatalf("%+v: not in the future, or another attempt", s)
		}
	}
}

// An owner that hears too late keeps what it has launched.
func TestLateRelease(t *testing.T) {
	b := begun(t, "a", "b")
	b.beat(2*time.Second, Facts{Frontier: 2 * time.Second}, "a", "b")
	b.leaving["a"] = true
	b.put("a", 0, Facts{Frontier: 2 * time.Second})
	b.lag = 7 * time.Second
	b.put("a", 0, Facts{Frontier: 8 * time.Second})
	for _, s := range b.machine.nodes["b"].spans {
		if s.Grant == 2 && s.From != 7*time.Second {
			t.Fatalf("b was given %+v, and a launched until 7s", s)
		}
	}
	for _, s := range b.machine.nodes["a"].spans {
		if s.To != 7*time.Second {
			t.Fatalf("a has %+v", s)
		}
	}
	if h := b.holders(); h["b"] != scenarios.Slots {
		t.Errorf("%v", h)
	}
	b.beat(time.Second, Facts{Frontier: 8 * time.Second}, "b")
	l, err := b.put("a", 0, Facts{Frontier: 9 * time.Second})
	if err != nil || l.Stop != scenarios.Done {
		t.Errorf("a has nothing left and is told %v, %v", l.Stop, err)
	}
	if l, _ := b.put("b", 0, Facts{}); l.Stop != scenarios.Go {
		t.Errorf("b is told %v", l.Stop)
	}
}

func TestLastWorkerLeaves(t *testing.T) {
	b := begun(t, "a")
	b.beat(2*time.Second, Facts{Frontier: 2 * time.Second}, "a")
	b.leaving["a"] = true
	b.put("a", 0, Facts{Frontier: 2 * time.Second})
	b.put("a", 0, Facts{Frontier: 3 * time.Second})
	l, _ := b.put("a", 0, Facts{Frontier: 5 * time.Second})
	if l.Stop != scenarios.Done {
		t.Fatalf("told %v", l.Stop)
	}
	b.put("a", 0, Facts{Frontier: 5 * time.Second, Final: true})
	b.want(scenarios.Done, "halt no worker is left", "lost 4096 slots from 3.5s: no worker is left")
}

// Who waits outside with a worker that asked to go comes in with the others,
// before the plan's end and after it: it has no places for them any more.
func TestLeavingAClosedCrowd(t *testing.T) {
	const s = time.Second
	for _, after := range []time.Duration{3 * s, 14 * s} {
		b := newTable(t, 2)
		b.machine.Closed = true
		b.put("a", 1, Facts{})
		b.put("b", 1, Facts{})
		outside := Facts{Frontier: s} // both shops are full
		b.beat(after, outside, "a", "b")
		b.leaving["b"] = true
		b.beat(6*s, outside, "a", "b")
		var theirs time.Duration
		for _, span := range b.machine.nodes["a"].spans {
			if span.Grant > 1 {
				theirs += span.To - span.From
			}
			if span.Attempt > 0 {
				t.Fatalf("%v: nobody can have launched %+v", after, span)
			}
		}
		if theirs != scenarios.Slots/2*(planEnd-s) {
			t.Errorf("%v: a took %v of each slot over, want %v", after, theirs/(scenarios.Slots/2), planEnd-s)
		}
		if l, _ := b.put("b", 0, outside); l.Stop != scenarios.Done {
			t.Errorf("%v: b is told %v", after, l.Stop)
		}
	}
}

// A resumed machine knows what the old one decided, and what workers told since.
func TestResume(t *testing.T) {
	b := begun(t, "a", "b")
	b.beat(2*time.Second, Facts{Frontier: 2 * time.Second}, "a", "b")
	b.put("c", 0, Facts{}) // slots begin to move
	bytes, err := b.machine.Leases().Encode()
	if err != nil {
		t.Fatal(err)
	}
	saved, err := DecodeLeases(bytes)
	if err != nil {
		t.Fatal(err)
	}
	b.put("a", 0, Facts{Frontier: 3 * time.Second})
	b.put("b", 0, Facts{Frontier: 3 * time.Second})
	a := b.machine.nodes["a"]
	told := []Memory{
		{ID: "a", Seq: a.Last - 1, Facts: Facts{}},
		{ID: "a", Seq: a.Last, Digest: Digest{byte(a.Last)}, Facts: Facts{Frontier: 3 * time.Second, Launched: 1, Grant: 2, Applied: applied(2, 2*time.Second)}},
	}
	b.now += 20 * time.Second
	m, _, err := Resume(b.machine.Rules, saved, told, b.now)
	if err != nil {
		t.Fatal(err)
	}
	b.machine = m
	if m.term != 2 || !m.started || m.nodes["a"].Launched != 1 {
		t.Errorf("resumed: term %d, started %v, %+v", m.term, m.started, m.nodes["a"].record)
	}
	b.pass(5 * time.Second)
	b.want(scenarios.Go)
	if h := b.holders(); h["c"] == 0 {
		t.Errorf("what a released went to nobody: %v", h)
	}
	if l, err := b.put("b", 0, Facts{}); err != nil || l.Term != 2 {
		t.Errorf("b: %+v, %v", l, err)
	}
	b.pass(time.Second)
	b.want(scenarios.Go, "a: lost: nothing heard for 5.2 s", "c: lost: nothing heard for 5.2 s")
}

func applied(grant uint64, frontier scenarios.Mark) []results.Applied {
	return []results.Applied{{Grant: grant, Frontier: frontier}}
}
