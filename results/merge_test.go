package results

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func about(planned uint64) About {
	return About{
		ID: "20260206-1", Campaign: "smoke", PlanFingerprint: "p", Target: "storefront null (built in)",
		Factors: Factors{1, 1, 1, 1}, Started: time.Date(2026, 2, 6, 9, 0, 0, 0, time.UTC), Duration: time.Minute,
		Stages:  []Stage{{"dawn", 0, 30 * time.Second, planned / 2}, {"noon", 30 * time.Second, time.Minute, planned - planned/2}},
		Planned: planned,
	}
}

func merged(t *testing.T, planned uint64, snapshots ...Snapshot) *Run {
	t.Helper()
	m := NewMerger(about(planned))
	for _, s := range snapshots {
		if got, err := m.Add(s); err != nil || got != Accepted {
			t.Fatalf("snapshot %d of %s: %v, %v", s.Seq, s.Worker, got, err)
		}
	}
	return m.Run()
}

// shared gives the facts of each shopper to one of n workers, and cuts after
// some shoppers.
func shared(facts []Fact, n int, rnd *rand.Rand) []Snapshot {
	recorders, seqs := make([]*Recorder, n), make([]uint64, n)
	for i := range recorders {
		recorders[i] = NewRecorder(fmt.Sprint("worker", i))
	}
	var all []Snapshot
	cut := func(i int) {
		seqs[i]++
		all = append(all, recorders[i].Cut(seqs[i], time.Minute, Health{}))
	}
	for _, f := range facts {
		var number uint32
		switch f := f.(type) {
		case Launch:
			number = uint32(f.Slot)
			if i := rnd.IntN(n); rnd.IntN(20) == 0 {
				cut(i)
			}
		case Step:
			number = uint32(f.Slot)
		case End:
			number = uint32(f.Slot)
		case Promise:
			number = uint32(f.Slot)
		}
		recorders[number%uint32(n)].Add(f)
	}
	for i := range recorders {
		cut(i)
	}
	return all
}

// dump is all of a run but who measured it.
func dump(t *testing.T, r *Run) string {
	t.Helper()
	c := *r
	c.Workers = nil
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	out.Write(b)
	for _, s := range r.Series {
		wire, err := s.Hist.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "\n%s %q %d/%d %x", s.Metric, s.Tags.values(), s.Good, s.Count, wire)
	}
	return out.String()
}

// One worker equals seven, and shuffled and repeated snapshots, through the
// wire or not, give the same run.
func TestOneWorkerEqualsSeven(t *testing.T) {
	const shoppers = 300
	facts := day(shoppers)
	plain := merged(t, shoppers, record("alone", 1, facts...))
	want := dump(t, plain)
	for seed := range uint64(15) {
		rnd := rand.New(rand.NewPCG(seed, 4))
		snapshots := shared(facts, []int{1, 2, 7}[seed%3], rnd)
		rnd.Shuffle(len(snapshots), func(i, j int) { snapshots[i], snapshots[j] = snapshots[j], snapshots[i] })
		m := NewMerger(about(shoppers))
		for i, s := range snapshots {
			if rnd.IntN(2) == 0 {
				var err error
				if s, err = DecodeSnapshot(Encode(s)); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := m.Add(s); got != Accepted || err != nil {
				t.Fatal(got, err)
			}
			m.Run() // reading changes nothing
			again := snapshots[rnd.IntN(i+1)]
			if got, err := m.Add(again); got != Duplicate || err != nil {
				t.Fatal(got, err)
			}
		}
		r := m.Run()
		if got := dump(t, r); got != want {
			t.Fatalf("seed %d: another run:\n%s\nwant:\n%s", seed, got, want)
		}
	}
}

func TestRunGolden(t *testing.T) {
	m := NewMerger(about(25))
	facts := day(20)
	facts = facts[:len(facts)-1] // the last shopper has not ended when its worker dies
	for _, s := range shared(facts, 2, rand.New(rand.NewPCG(1, 1))) {
		s.Final = s.Worker == "worker0"
		if _, err := m.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	m.Worker("worker0", WorkerNote{Name: "worker-1", Slots: 2048, Fate: "finished"})
	m.Worker("worker1", WorkerNote{Name: "worker-2", Slots: 2048, Fate: "killed: no exchange for 5s"})
	m.Skip(Skip{Stage: "noon", Reason: "no worker held the slot", Count: 5})
	r := m.Run()
	if err := r.Account.Closes(); err != nil {
		t.Error(err)
	}
	got, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range Catalogue() {
		got = fmt.Appendf(got, "\n%-18s %v", c.Name, map[Kind]any{
			Trend:   r.Trend(c, Tags{}),
			Counter: r.Count(c, Tags{}),
			Rate:    fmt.Sprint(r.Rate(c, Tags{})),
		}[c.Kind])
	}
	path := filepath.Join("testdata", "run.golden")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("the run is not that of %s; -update rewrites it. Got:\n%s", path, got)
	}
}

func launches(n int) (facts []Fact) {
	for range n {
		facts = append(facts, Launch{Who: Who{Stage: "noon"}})
	}
	return facts
}

func ends(n int, o Outcome) (facts []Fact) {
	for range n {
		facts = append(facts, End{Who: Who{Stage: "noon"}, Outcome: o})
	}
	return facts
}

func TestAccount(t *testing.T) {
	m := NewMerger(about(20))
	add := func(s Snapshot) {
		t.Helper()
		if _, err := m.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	closes := func(want string) {
		t.Helper()
		a := m.Run().Account
		if err := a.Closes(); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("Closes: %v, want %q", err, want)
		}
	}
	closes("20 shoppers are unaccounted for: 20 planned, 0 ended + 0 in flight + 0 orphaned + 0 never started")
	add(record("a", 1, append(launches(8), ends(3, OK)...)...))
	add(record("b", 1, append(launches(6), ends(4, TimedOut)...)...))
	closes("6 shoppers are unaccounted for: 20 planned, 7 ended + 7 in flight")
	m.Skip(Skip{Reason: "stopped", Count: 6})
	closes("")
	m.Worker("b", WorkerNote{Name: "worker-2", Fate: "killed"})
	closes("")
	if a := m.Run().Account; a.InFlight != 5 || a.Orphaned != 2 || a.Ended[OK] != 3 || a.Ended[TimedOut] != 4 {
		t.Errorf("account %+v", a)
	}
	last := record("a", 3)
	last.Final = true
	add(last) // and number 2 has not come
	closes("1 snapshots are missing")
	r := m.Run()
	if r.Account.InFlight != 0 || r.Account.Orphaned != 7 {
		t.Errorf("nothing is in flight after a final snapshot: %+v", r.Account)
	}
	if want := []string{"a: 1 of 3 snapshots never came"}; !reflect.DeepEqual(r.Warnings, want) {
		t.Errorf("warnings %q, want %q", r.Warnings, want)
	}
	add(record("a", 2, ends(5, OK)...))
	closes("")
	m.Skip(Skip{Reason: "stopped", Count: 1})
	closes("1 shoppers more than planned")

	m.Stop("ctrl-c")
	m.Stop("lost the coordinator")
	if r := m.Run(); r.Stopped != "ctrl-c" || r.Launched() != 14 {
		t.Errorf("stopped %q with %d launched", r.Stopped, r.Launched())
	}
}

func TestDoubts(t *testing.T) {
	r := merged(t, 1, record("w", 1, append(launches(1), append(ends(2, OK), Step{Name: "turn", Lag: -1})...)...))
	want := []string{"schedule_lag: 1 values below zero, counted as 0", "w: 2 shoppers ended and only 1 were launched"}
	if !reflect.DeepEqual(r.Warnings, want) {
		t.Errorf("warnings %q, want %q", r.Warnings, want)
	}
	if r.Account.Closes() == nil {
		t.Error("an account with more ends than launches closes")
	}
}

// A refused snapshot changes nothing, not even that its sequence was seen.
func TestRefusedSnapshot(t *testing.T) {
	m := NewMerger(about(1))
	bad := record("w", 1, launches(1)...)
	bad.Series = append(bad.Series, Series{Metric: "no_such", Count: 1})
	before := dump(t, m.Run())
	if _, err := m.Add(bad); err == nil || !strings.Contains(err.Error(), `snapshot 1 of worker w: series 1: unknown metric "no_such"`) {
		t.Errorf("error %v", err)
	}
	many := record("w", 1)
	for i := range maxSeries + 1 {
		many.Series = append(many.Series, Series{Metric: Orders.Name, Tags: Tags{Stage: fmt.Sprint(i)}, Count: 1})
	}
	if _, err := m.Add(many); err == nil || !strings.Contains(err.Error(), "series: at most") {
		t.Errorf("error %v", err)
	}
	if after := dump(t, m.Run()); after != before {
		t.Errorf("refused snapshots left traces: %s", after)
	}
	if got, err := m.Add(record("w", 1, launches(1)...)); got != Accepted || err != nil {
		t.Error(got, err)
	}
}

func TestEvidenceIsBounded(t *testing.T) {
	m := NewMerger(about(0))
	for w := range 150 {
		s := record(fmt.Sprint("w", w), 1)
		for i := range 3 {
			s.Examples = append(s.Examples, Example{Stage: fmt.Sprint(w / 2), Step: "turn", Outcome: TimedOut, Shopper: fmt.Sprint(w, i)})
		}
		if _, err := m.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	r := m.Run() // 75 kinds, 3 kept of each, 200 shown
	kinds := map[string]int{}
	for _, e := range r.Examples {
		kinds[e.Stage]++
	}
	if len(r.Examples) != 200 || len(kinds) != 75 {
		t.Errorf("%d shown of %d kinds; want 200 of 75", len(r.Examples), len(kinds))
	}
}

func TestAccessors(t *testing.T) {
	r := merged(t, 100, record("w", 1, day(100)...))
	if got := r.Tagged(StepDuration, "step"); !reflect.DeepEqual(got, []string{"claim", "complete", "create", "turn", "update"}) {
		t.Errorf("steps %q", got)
	}
	if got := r.Tagged(Orders, "step"); len(got) != 0 {
		t.Errorf("orders have no steps: %q", got)
	}
	for _, c := range []struct {
		sel  Tags
		want uint64
	}{{Tags{}, 700}, {Tags{Step: "turn"}, 300}, {Tags{Step: "turn", Stage: "noon"}, 150}, {Tags{Outcome: "rejected"}, 10}, {Tags{Stage: "dusk"}, 0}} {
		if n, h := r.Count(Requests, c.sel), r.Trend(StepDuration, c.sel).Count(); n != c.want || h != c.want {
			t.Errorf("%+v: %d requests, %d durations, want %d", c.sel, n, h, c.want)
		}
	}
	if good, total := r.Rate(OrderSuccess, Tags{}); good != 90 || total != 100 {
		t.Errorf("order_success %d of %d, want 90 of 100", good, total)
	}
	r.Trend(ScheduleLag, Tags{}).Record(1)
	if n := r.Trend(ScheduleLag, Tags{}).Count(); n != 700 {
		t.Errorf("a trend shares counts with its run: %d values", n)
	}
}

func TestHuman(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 1: "1 ns", 999: "999 ns", 1000: "1 µs", 12_345: "12.3 µs", 999_499: "999 µs", 999_500: "1 ms", 1_234_567: "1.23 ms",
		456 * time.Millisecond: "456 ms", 999_500 * time.Microsecond: "1 s", 1234 * time.Millisecond: "1.23 s", 59_940 * time.Millisecond: "59.9 s",
		59_950 * time.Millisecond: "1m00s", 125 * time.Second: "2m05s", 3570 * time.Second: "1h00m", 9 * time.Hour: "9h00m",
		-1500 * time.Microsecond: "-1.5 ms", math.MinInt64: "-2562047h47m",
	} {
		if got := Human(d); got != want {
			t.Errorf("Human(%d) = %q, want %q", d, got, want)
		}
	}
	for share, want := range map[float64]string{0: "0 %", 1: "100 %", 0.5: "50 %", 0.992: "99.2 %", 0.9998: "99.98 %", 0.00012: "0.012 %", 0.123456: "12.3 %", 1.5: "150 %", 1e-12: "0 %"} {
		if got := HumanShare(share); got != want {
			t.Errorf("HumanShare(%v) = %q, want %q", share, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 10_000_000: "10,000,000"} {
		if got := HumanCount(n); got != want {
			t.Errorf("HumanCount(%d) = %q, want %q", n, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0 orders", 1: "1 order", 1001: "1,001 orders"} {
		if got := HumanCountOf(n, "order"); got != want {
			t.Errorf("HumanCountOf(%d) = %q, want %q", n, got, want)
		}
	}
	for rate, want := range map[float64]string{0: "0/s", 0.123: "0.12/s", 4.5: "4.5/s", 99.94: "99.9/s", 999.6: "1,000/s", 1234: "1,234/s"} {
		if got := HumanRate(rate); got != want {
			t.Errorf("HumanRate(%v) = %q, want %q", rate, got, want)
		}
	}
}
