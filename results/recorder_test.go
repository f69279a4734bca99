package results

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// day is the facts of n shoppers: a little of everything, the same each time.
func day(n int) []Fact {
	var facts []Fact
	for i := range n {
		who := Who{Slot: uint16(i % 4096), Number: uint32(i / 4096), Stage: [...]string{"dawn", "noon"}[i%2], Persona: "patient", Journey: "order"}
		at := time.Duration(i) * 50 * time.Millisecond
		facts = append(facts, Launch{Who: who, At: at, Hash: Sum128{Hi: uint64(i) * 0x9e3779b97f4a7c15, Lo: ^uint64(i)}})
		outcome, ordered := OK, true
		for n, name := range [...]string{"turn", "turn", "turn", "claim", "create", "update", "complete"} {
			s := Step{Who: who, Name: name, At: at + time.Duration(n)*time.Second, Lag: time.Duration(i) * time.Microsecond,
				Response: time.Duration(40+i%500) * time.Millisecond, Service: time.Duration(30+i%500) * time.Millisecond, Outcome: OK}
			if name == "turn" {
				s.FirstChunk, s.FirstToken, s.PerToken, s.Tokens, s.Answered = 20*time.Millisecond, 25*time.Millisecond, time.Millisecond, 32, n == 0
			}
			if name == "complete" && i%10 == 0 {
				outcome, ordered = Rejected, false
				s.Outcome = outcome
			}
			if name == "claim" || s.Outcome != OK {
				s.Example = &Example{Stage: who.Stage, Step: name, Outcome: s.Outcome, Shopper: fmt.Sprint(i), Request: "POST /", Response: "an answer",
					At: s.At, Took: s.Response, Service: s.Service}
			}
			facts = append(facts, s)
		}
		facts = append(facts, Promise{Who: who, Kind: CouponPromise, Known: true, Key: fmt.Sprint("c", i), ID: "coupon", At: at + 3*time.Second})
		if ordered {
			facts = append(facts, Promise{Who: who, Kind: OrderPromise, Known: true, Key: fmt.Sprint("o", i), ID: "order", Amount: 1990, Currency: "CNY", At: at + 6*time.Second})
		} else {
			facts = append(facts, Promise{Who: who, Kind: OrderPromise, Key: fmt.Sprint("o", i), At: at + 6*time.Second})
		}
		facts = append(facts, End{Who: who, At: at + 7*time.Second, Outcome: outcome, Duration: 7 * time.Second,
			MeantToClaim: true, Claimed: true, MeantToOrder: true, Ordered: ordered})
	}
	return facts
}

func record(worker string, seq uint64, facts ...Fact) Snapshot {
	r := NewRecorder(worker)
	for _, f := range facts {
		r.Add(f)
	}
	return r.Cut(seq, time.Minute, Health{CPU: 0.5, RSS: 1 << 20})
}

func TestRecorder(t *testing.T) {
	r := NewRecorder("w")
	who := Who{Stage: "noon", Persona: "patient", Journey: "order"}
	for _, f := range []Fact{
		Launch{Who: who, At: -time.Millisecond, Hash: Sum128{1, 2}},
		Launch{Who: who, At: 0, Hash: Sum128{3, 4}},
		Mark{Frontier: time.Second},
		Step{Who: who, Name: "turn", At: 1500 * time.Millisecond, Outcome: OK, Response: time.Second, Service: time.Second, Tokens: 9},
		Step{Who: who, Name: "turn", At: 1500 * time.Millisecond, Outcome: TimedOut, Response: time.Minute, Service: time.Minute},
		Promise{Who: who, Kind: OrderPromise, Known: true, Key: "k", ID: "id", At: 2 * time.Second},
		Promise{Who: who, Kind: OrderPromise, Key: "lost", At: 2 * time.Second},
		End{Who: who, At: 3 * time.Second, Outcome: OK, Duration: 3 * time.Second, MeantToOrder: true, Ordered: true},
		Mark{Skips: []Skip{{Stage: "noon", Reason: "stopped", Count: 3}, {Stage: "noon", Reason: "stopped", Count: 4}}},
	} {
		r.Add(f)
	}
	s := r.Cut(1, 4*time.Second, Health{CPU: 0.25})
	if s.Format != SnapshotFormat || s.Worker != "w" || s.Seq != 1 || s.Cut != 4*time.Second || s.Frontier != time.Second ||
		s.Launched != 2 || s.Ended != 1 || s.Sum != (Sum128{4, 6}) || s.Health.CPU != 0.25 || len(s.Ledger) != 2 {
		t.Errorf("head of the snapshot: %+v", s)
	}
	wantSeconds := []Second{{At: -1, Launched: 1}, {At: 0, Launched: 1}, {At: 1, Requests: 2, Failed: 1}, {At: 2, Orders: 1}, {At: 3, Ended: 1}}
	if !reflect.DeepEqual(s.Seconds, wantSeconds) {
		t.Errorf("seconds %+v\nwant %+v", s.Seconds, wantSeconds)
	}
	if want := []Skip{{"noon", "stopped", 7}}; !reflect.DeepEqual(s.Skips, want) {
		t.Errorf("skips %v, want %v", s.Skips, want)
	}
	var lines []string
	for _, v := range s.Series {
		lines = append(lines, strings.Join(strings.Fields(fmt.Sprint(v.Metric, v.Tags, v.Good, v.Count, v.Hist.Count())), " "))
	}
	if got, want := strings.Join(lines, "\n"), strings.TrimSpace(`
journey_duration{noon ok } 0 0 1
order_success{noon } 1 1 0
orders{noon } 0 1 0
output_tokens{noon } 0 9 0
request_success{noon turn } 1 2 0
requests{noon turn ok } 0 1 0
requests{noon turn timed_out } 0 1 0
schedule_lag{noon } 0 0 2
shoppers_ended{noon ok patient order} 0 1 0
shoppers_launched{noon } 0 2 0
step_duration{noon turn ok } 0 0 1
step_duration{noon turn timed_out } 0 0 1
step_service_time{noon turn ok } 0 0 1
step_service_time{noon turn timed_out } 0 0 1`); got != want {
		t.Errorf("series:\n%s\nwant:\n%s", got, want)
	}

	before := Encode(s)
	r.Add(Launch{Who: who, At: 5 * time.Second})
	r.Add(Step{Who: who, Name: "turn", Outcome: OK, Response: time.Hour})
	next := r.Cut(2, 6*time.Second, Health{})
	if string(Encode(s)) != string(before) {
		t.Error("the next second changed the snapshot before")
	}
	if next.Frontier != 5*time.Second+1 || next.Launched != 1 || next.Ended != 0 || len(next.Ledger)+len(next.Skips) != 0 || len(next.Series) != 6 {
		t.Errorf("the second snapshot repeats the first, or lost the frontier: %+v", next)
	}
	if empty := r.Cut(3, 7*time.Second, Health{}); len(empty.Series)+len(empty.Seconds) != 0 || empty.Sum != (Sum128{}) {
		t.Errorf("nothing happened and the snapshot says %+v", empty)
	}
}

func TestExamplesAreBounded(t *testing.T) {
	r := NewRecorder("w")
	offer := func(stage string, o Outcome, n int) {
		for i := range n {
			r.Add(Step{Name: "turn", Outcome: o, Example: &Example{Stage: stage, Step: "turn", Outcome: o, Shopper: fmt.Sprint(i), Took: time.Duration(i * 7 % 5)}})
		}
	}
	offer("noon", TimedOut, 5)
	s := r.Cut(1, 0, Health{})
	if len(s.Examples) != 3 {
		t.Fatalf("kept %d, want 3", len(s.Examples))
	}
	for i, e := range s.Examples {
		if want := time.Duration(4 - i); e.Took != want {
			t.Errorf("example %d took %v, want %v: the slowest first", i, e.Took, want)
		}
	}
	for i := range 100 {
		offer(fmt.Sprint(i), OK, 2)
	}
	offer("noon", TimedOut, 3)
	failed := 0
	s = r.Cut(2, 0, Health{})
	for _, e := range s.Examples {
		failed += int(bit(e.Outcome != OK))
	}
	if len(s.Examples) != 200 || failed != 3 {
		t.Errorf("kept %d, %d of them failed; want 200 and 3", len(s.Examples), failed)
	}
	if s := r.Cut(3, 0, Health{}); len(s.Examples) != 0 {
		t.Errorf("%d examples are told twice", len(s.Examples))
	}
}

// Whatever a backend answers, the snapshot that carries it can be read.
func TestHostileAnswers(t *testing.T) {
	for _, text := range []string{strings.Repeat("订", 1<<20), "\xff\xfe", strings.Repeat("\x80", 1<<20), "a" + strings.Repeat("é", 4<<10)} {
		s := record("w", 1,
			Promise{Kind: OrderPromise, Known: true, Key: text, ID: text, Coupon: text, Currency: text, User: text},
			Mark{Skips: []Skip{{Reason: text, Count: 1}}},
			Step{Name: "turn", Example: &Example{Shopper: text, Trace: text, Why: text, Request: text, Response: text}})
		if _, err := DecodeSnapshot(Encode(s)); err != nil {
			t.Errorf("%.8q…: %v", text, err)
		}
	}
}

func TestClip(t *testing.T) {
	for in, want := range map[string]string{"": "", "0123456789": "0123456789", "0123456789a": "0123456…", "012345é789a": "012345?…", "a\xffb": "a?b"} {
		got := clip(in, 10)
		if got != want || len(got) > 10 || !utf8.ValidString(got) {
			t.Errorf("clip(%q) = %q, want %q", in, got, want)
		}
	}
}

// One journey: a launch, seven steps, two promises, an end; the facts are made
// beforehand, as the engine makes them elsewhere.
func BenchmarkRecorder(b *testing.B) {
	facts, r := day(4_000), NewRecorder("w")
	const journey = 11
	b.ReportAllocs()
	for i := 0; b.Loop(); i = (i + journey) % len(facts) {
		for _, f := range facts[i : i+journey] {
			r.Add(f)
		}
		if i == 0 {
			r.next.Ledger = r.next.Ledger[:0] // the cut's own work, not the fold's
		}
	}
}

func BenchmarkCut(b *testing.B) {
	facts, r := day(1_000), NewRecorder("w")
	for b.Loop() {
		b.StopTimer()
		for _, f := range facts {
			r.Add(f)
		}
		b.StartTimer()
		r.Cut(1, 0, Health{})
	}
}
