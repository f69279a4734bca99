package crowd

import (
	"iter"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// tens is a plan with one shopper of each slot every ten seconds: at 1, 11, 21 …
type tens struct{}

func (tens) At(id scenarios.ID) scenarios.Mark {
	return time.Duration(10*id.Number+1) * time.Second
}
func (tens) StageAt(scenarios.Mark) string { return "day" }
func (tens) Duration() time.Duration       { return 100 * time.Second }
func (p tens) Arrivals(s scenarios.Slot, from scenarios.Mark) iter.Seq[scenarios.Arrival] {
	return func(yield func(scenarios.Arrival) bool) {
		for n := range uint32(10) {
			id := scenarios.ID{Slot: s, Number: n}
			if at := p.At(id); at >= from && !yield(scenarios.Arrival{ID: id, At: at}) {
				return
			}
		}
	}
}

const leased = 5 * time.Second

// take gives a roster spans as if they had come over the wire.
func take(r *Roster, version uint64, now scenarios.Mark, spans ...scenarios.Span) {
	r.Take(Draw(tens{}, version, r.version, spans), now)
}

// launches runs a roster until a moment, in steps of 100 ms.
func launches(r *Roster, from, to scenarios.Mark) (all []Due) {
	for now := from; now <= to; now += 100 * time.Millisecond {
		for {
			d, ok := r.Next(now)
			if !ok {
				break
			}
			all = append(all, d)
		}
	}
	return all
}

func TestRosterTakesOver(t *testing.T) {
	s := time.Second
	end := tens{}.Duration()
	r := NewRoster(tens{}, leased)
	take(r, 1, 0, scenarios.Span{Slot: 1, To: end, Grant: 1})
	if got := launches(r, 0, 32*s); len(got) != 4 || got[3].At != 31*s || got[3].When != 31*s || got[3].Hole != 0 {
		t.Fatalf("its own slot: %+v", got)
	}
	r.Mark()
	// Slots 2 and 3 come from a worker that was lost: what it should have
	// launched at 21 is too old, at 31 is late.
	take(r, 2, 32*s, scenarios.Span{Slot: 1, To: end, Grant: 1},
		scenarios.Span{Slot: 2, From: 15 * s, To: 33 * s, Attempt: 1, Grant: 2}, scenarios.Span{Slot: 2, From: 33 * s, To: end, Grant: 2},
		scenarios.Span{Slot: 3, From: 15 * s, To: 33 * s, Attempt: 2, Grant: 2}, scenarios.Span{Slot: 3, From: 33 * s, To: end, Grant: 2})
	m := r.Mark()
	if len(m.Applied) != 1 || m.Applied[0].Grant != 2 || m.Applied[0].Frontier != m.Frontier {
		t.Errorf("applied %+v at %v", m.Applied, m.Frontier)
	}
	if len(m.Skips) != 1 || m.Skips[0].Count != 2 || m.Skips[0].Reason != reasonOld {
		t.Errorf("skips %+v", m.Skips)
	}
	if len(m.Takeovers) != 1 || m.Takeovers[0] != (results.Takeover{Grant: 2, Never: 2}) {
		t.Errorf("takeovers %+v", m.Takeovers)
	}
	if len(m.Holes) != 1 || m.Holes[0].From != 31*s || m.Holes[0].To != m.Frontier || m.Holes[0].Grant != 2 {
		t.Errorf("holes %+v", m.Holes)
	}
	got := launches(r, 32*s, 42*s)
	if len(got) != 5 {
		t.Fatalf("%d launches: %+v", len(got), got)
	}
	for i, want := range []Due{
		{Arrival: scenarios.Arrival{ID: scenarios.ID{Slot: 2, Number: 3}, At: 31 * s}, When: 32 * s, Attempt: 1, Hole: 1, Grant: 2},
		{Arrival: scenarios.Arrival{ID: scenarios.ID{Slot: 3, Number: 3}, At: 31 * s}, When: 34500 * time.Millisecond, Attempt: 2, Hole: 1, Grant: 2},
		{Arrival: scenarios.Arrival{ID: scenarios.ID{Slot: 1, Number: 4}, At: 41 * s}, When: 41 * s, Grant: 1},
	} {
		if got[i] != want {
			t.Errorf("launch %d: %+v, want %+v", i, got[i], want)
		}
	}
	if m := r.Mark(); len(m.Holes) != 0 {
		t.Errorf("the hole is filled and still there: %+v", m.Holes)
	}
}

func TestRosterGivesUp(t *testing.T) {
	s := time.Second
	end := tens{}.Duration()
	r := NewRoster(tens{}, leased)
	take(r, 1, 0, scenarios.Span{Slot: 1, To: end, Grant: 1}, scenarios.Span{Slot: 2, To: end, Grant: 1})
	launches(r, 0, 10*s)
	take(r, 2, 10*s, scenarios.Span{Slot: 1, To: end, Grant: 1}, scenarios.Span{Slot: 2, To: 12 * s, Grant: 1})
	if got := launches(r, 10*s, 22*s); len(got) != 3 {
		t.Errorf("slot 2 was given up from 12 s on: %+v", got)
	}
	// It comes back later: nothing is launched twice.
	take(r, 3, 22*s, scenarios.Span{Slot: 1, To: end, Grant: 1}, scenarios.Span{Slot: 2, From: 25 * s, To: end, Grant: 3})
	if got := launches(r, 22*s, 42*s); len(got) != 4 {
		t.Errorf("slot 2 is back from 25 s on: %+v", got)
	}
	r.Abandon("enough")
	m := r.Mark()
	if m.Frontier != end+1 || len(m.Skips) != 1 || m.Skips[0].Count != 10 || m.Skips[0].Reason != "enough" {
		t.Errorf("abandoned: %+v", m)
	}
	r.Abandon("again")
	if r.News() {
		t.Error("abandoned twice")
	}
}

// Whose slots are all gone still has a hole to let in, and not all at once.
func TestRosterOfAClosedCrowdWithoutSlots(t *testing.T) {
	s := time.Second
	r := NewRoster(tens{}, leased)
	r.atOnce = 5
	take(r, 1, 0, scenarios.Span{Slot: 1, To: tens{}.Duration(), Grant: 1})
	launches(r, 0, 5*s)
	r.Resume(10*s, 12*s)
	take(r, 2, 12*s)
	if got := r.Places(); got != 1 {
		t.Errorf("%d places", got)
	}
	if got := launches(r, 12*s, 20*s); len(got) != 1 || got[0].Hole == 0 {
		t.Errorf("the shopper of 11 s is still to come: %+v", got)
	}
}

// What is in a hole stays its holder's when the slot moves: the coordinator is
// told of a frontier behind it.
func TestRosterKeepsItsHoles(t *testing.T) {
	s := time.Second
	end := tens{}.Duration()
	r := NewRoster(tens{}, leased)
	take(r, 1, 0, scenarios.Span{Slot: 1, To: end, Grant: 1}, scenarios.Span{Slot: 2, To: end, Grant: 1})
	launches(r, 0, 5*s)
	r.Resume(10*s, 12*s)
	if m := r.Mark(); len(m.Holes) != 1 || m.Holes[0].From != 11*s || m.Holes[0].To != m.Frontier || len(m.Lapses) != 1 || m.Lapses[0] != (results.Lapse{From: 10 * s, To: 12 * s}) {
		t.Fatalf("after a lapse from 5 s to 12 s: %+v", m)
	}
	take(r, 2, 12*s, scenarios.Span{Slot: 1, To: end, Grant: 1}, scenarios.Span{Slot: 2, To: 8 * s, Grant: 1})
	if m := r.Mark(); m.Applied[0].Frontier <= 12*s {
		t.Errorf("applied %+v", m.Applied)
	}
	got := launches(r, 12*s, 20*s)
	if len(got) != 2 || got[0].Hole == 0 || got[0].Grant != 0 || got[1].Hole != got[0].Hole {
		t.Errorf("both shoppers of 11 s are still to come: %+v", got)
	}
}
