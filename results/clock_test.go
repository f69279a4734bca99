package results

import (
	"testing"
	"time"
)

func TestClocksKeepTheWorst(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		seen  []Clocks
		size  time.Duration
		words string
	}{
		{nil, 0, ""},
		{[]Clocks{{Wall: 2 * s, Plan: s}, {Wall: -s}}, 2 * s, "its wall clock was 2 s ahead of the coordinator's"},
		{[]Clocks{{Wall: 2 * s}, {Wall: -3 * s}}, 3 * s, "its wall clock was 3 s behind the coordinator's"},
		{[]Clocks{{Wall: 1, Plan: -s}}, s, "its plan time was 1 s behind the coordinator's"},
		{[]Clocks{{Wall: s, Upsets: []Upset{{Frozen, s, 60 * s}, {Stepped, 90 * s, -5 * s}}}, {Upsets: []Upset{{Stepped, 91 * s, 4 * s}}}}, 5 * s, "its wall clock was set back by 5 s at 1m30s"},
	} {
		var c Clocks
		for _, next := range tt.seen {
			c.See(next)
		}
		if size, words := c.Worst(); size != tt.size || words != tt.words {
			t.Errorf("%+v: %v, %q", tt.seen, size, words)
		}
	}
	var c Clocks
	for range 3 {
		c.See(Clocks{Upsets: make([]Upset, MaxUpsets/2+1)})
	}
	if len(c.Upsets) != MaxUpsets {
		t.Errorf("%d upsets are kept", len(c.Upsets))
	}
}

func TestUpsetsInWords(t *testing.T) {
	for want, u := range map[string]Upset{
		"it stood still for 30 s, until 36 s":             {Frozen, 36 * time.Second, 30 * time.Second},
		"its machine was suspended for 8h00m, until 0 s":  {Suspended, -time.Second, 8 * time.Hour},
		"its wall clock was set forward by 1.5 s at 12 s": {Stepped, 12 * time.Second, 1500 * time.Millisecond},
	} {
		if got := u.String(); got != want || u.Check() != nil {
			t.Errorf("%q, want %q (%v)", got, want, u.Check())
		}
	}
	for _, u := range []Upset{{"odd", 0, 0}, {Frozen, maxPlanTime, 0}} {
		if u.Check() == nil {
			t.Errorf("%+v is taken", u)
		}
	}
}

// What a change of the fleet is told by: who inherits from whom, also where an
// heir is lost before it has anything in force.
func TestHeirsOfHeirs(t *testing.T) {
	const s = time.Second
	m := NewMerger(About{Planned: 1})
	add := func(id string, seq uint64, cut time.Duration, grant uint64, takes ...Takeover) {
		t.Helper()
		r := NewRecorder(id)
		r.Add(Mark{Grant: grant, Takeovers: takes})
		if _, err := m.Add(r.Cut(seq, cut, Health{})); err != nil {
			t.Fatal(err)
		}
	}
	add("a", 1, 6*s, 1)
	add("b", 1, 7*s, 1)
	add("c", 1, 11*s, 1)
	add("c", 3, 12500*time.Millisecond, 3, Takeover{Grant: 2, Never: 3}, Takeover{Grant: 3, Never: 4}) // 2 came and went in between
	m.Worker("a", WorkerNote{Name: "a", Fate: "lost", Gone: 11 * s, Heirs: map[string]uint64{"b": 2, "c": 2}, Passed: 6 * s})
	m.Worker("b", WorkerNote{Name: "b", Fate: "lost", Gone: 12 * s, Heirs: map[string]uint64{"c": 3}, Passed: 6 * s})
	m.Worker("c", WorkerNote{Name: "c", Fate: "lost", Heirs: map[string]uint64{"nobody": 1}})
	all := m.Run().Changes
	if len(all) != 3 {
		t.Fatalf("%+v", all)
	}
	for i, want := range []struct {
		to    time.Duration
		never uint64
	}{{12500 * time.Millisecond, 3}, {12500 * time.Millisecond, 4}} {
		if c := all[i]; c.To == nil || *c.To != want.to || c.Never != want.never {
			t.Errorf("%+v, want until %v with %d", c, want.to, want.never)
		}
	}
	if c := all[2]; c.To != nil || c.Missing != 1 {
		t.Errorf("%+v: nobody took over, and one snapshot is missing", c)
	}
	m.Worker("c", WorkerNote{Name: "c", Fate: "lost", Gone: 13 * s, Heirs: map[string]uint64{"c": 9}}) // a false note must end
	m.Run()
}
