package results

import (
	"reflect"
	"testing"
	"time"
)

// A worker that took over a slot has a hole before its frontier. Launches fill
// it, whether or not a mark comes between two cuts.
func TestHolesCloseAsTheyAreFilled(t *testing.T) {
	r := NewRecorder("w")
	s := time.Second
	r.Add(Mark{Frontier: 10 * s, Grant: 2, Applied: []Applied{{2, 10 * s}}, Holes: []Hole{{ID: 1, Grant: 2, From: 4 * s, To: 10 * s}}})
	r.Add(Launch{At: 5 * s, Hole: 1})
	cut := r.Cut(1, 11*s, Health{})
	if cut.Frontier != 10*s || cut.Grant != 2 || len(cut.Applied) != 1 || !reflect.DeepEqual(cut.Holes, []Hole{{1, 2, 5*s + 1, 10 * s}}) {
		t.Errorf("after a launch in the hole: %+v", cut)
	}
	r.Add(Launch{At: 12 * s})
	r.Add(Launch{At: 7 * s, Hole: 1})
	next := r.Cut(2, 13*s, Health{})
	if next.Frontier != 12*s+1 || len(next.Applied) != 0 || !reflect.DeepEqual(next.Holes, []Hole{{1, 2, 7*s + 1, 10 * s}}) {
		t.Errorf("after launches in and beyond the hole: %+v", next)
	}
	if cut.Holes[0].From != 5*s+1 {
		t.Error("a snapshot changed after its cut")
	}
	r.Add(Mark{Frontier: 14 * s, Grant: 2})
	if last := r.Cut(3, 14*s, Health{}); len(last.Holes) != 0 {
		t.Errorf("a filled hole is still there: %+v", last.Holes)
	}
}

// What the fleet itself did to a shopper is no figure of the backend's.
func TestLateShoppersAreASeriesOfTheirOwn(t *testing.T) {
	m := NewMerger(About{})
	r := NewRecorder("w")
	r.Add(Launch{Hole: 3})
	r.Add(Step{Name: "turn", Outcome: Stalled, Late: true, Response: time.Hour, Lag: time.Hour, FirstToken: time.Hour, Tokens: 2})
	r.Add(End{Outcome: Stalled, MeantToOrder: true, Late: true})
	r.Add(Launch{})
	r.Add(Step{Name: "turn", Late: true, Held: true})
	if _, err := m.Add(r.Cut(1, 0, Health{})); err != nil {
		t.Fatal(err)
	}
	run := m.Run()
	if run.Account.Late != 2 || run.Account.EndedCount() != 1 || run.Count(Requests, Tags{}) != 2 {
		t.Errorf("account %+v", run.Account)
	}
	for _, metric := range Catalogue() {
		n := run.Trend(metric, Tags{}).Count()
		if metric.Kind == Rate {
			_, n = run.Rate(metric, Tags{})
		}
		switch {
		case metric == LateResponse && n != 2:
			t.Errorf("%d late responses", n)
		case metric != LateResponse && metric.Kind != Counter && n != 0:
			t.Errorf("%s has values of late shoppers", metric.Name)
		}
	}
}
