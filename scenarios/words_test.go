package scenarios

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/flashcrowd/flashcrowd/results"
)

// with is the small campaign with further keys of its crowd.
func with(keys string) string { return strings.Replace(small, "shoppers:", keys+"\n  shoppers:", 1) }

// TestOnlyLooks: who browses never says what an assistant would take for an order.
func TestOnlyLooks(t *testing.T) {
	for _, turns := range []string{"1", "2", "3", "5"} {
		p := plan(t, with("turns: "+turns), results.Factors{})
		for slot := range Slot(50) {
			s, err := p.Shopper(ID{slot, 0}).As("naive", "browse")
			if err != nil {
				t.Fatal(err)
			}
			for i := range s.turns() {
				for _, says := range []part{choose, confirm} {
					for _, line := range phrases[s.language()][says] {
						if line = strings.NewReplacer("{item}", s.item().Title, "{n}", fmt.Sprint(s.item().Quantity)).Replace(line); s.say(i) == line {
							t.Errorf("%s turns: in turn %d it says %q", turns, i, line)
						}
					}
				}
			}
		}
	}
}

// TestTurns: a conversation has as many turns as it was given or drew, then
// comes the rest of the journey; places and keys fit the longest.
func TestTurns(t *testing.T) {
	for _, tt := range []struct {
		turns string
		parts []part
	}{
		{"1", []part{choose}},
		{"2", []part{browse, confirm}},
		{"3", []part{browse, choose, confirm}},
		{"5", []part{browse, ask, ask, choose, confirm}},
		{"50", append(append([]part{browse}, slices.Repeat([]part{ask}, 47)...), choose, confirm)},
	} {
		p := plan(t, with("turns: "+tt.turns), results.Factors{})
		s, err := p.Shopper(ID{3, 0}).As("naive", "order")
		if err != nil {
			t.Fatal(err)
		}
		var parts []part
		for i := range s.turns() {
			parts = append(parts, s.part(i))
		}
		if !slices.Equal(parts, tt.parts) {
			t.Errorf("%s turns: %v, want %v", tt.turns, parts, tt.parts)
		}
		keys := map[UUID]string{}
		w := s.Walk()
		said := 0
		for step, ok := w.Next(Result{}); ok; {
			what := fmt.Sprint(step.Kind, step.Index, step.Attempt)
			if before := keys[step.Key]; before != "" && step.Kind == Turn {
				t.Errorf("%s turns: %s has the key of %s", tt.turns, what, before)
			}
			keys[step.Key] = what
			r := Result{Outcome: results.OK}
			if step.Kind == Turn && step.Attempt < 9 {
				r.Outcome = results.Refused
			} else if step.Kind == Turn {
				said++
			}
			step, ok = w.Next(r)
		}
		if said != len(tt.parts) || !w.End().Ordered {
			t.Errorf("%s turns: %d were said, ended %+v", tt.turns, said, w.End())
		}
	}
}

func TestTurnsAreDrawn(t *testing.T) {
	p := plan(t, with("turns: {median: 7, p90: 11}"), results.Factors{}) // tau-bench's airline episodes
	var all []int
	for i := range 10_000 {
		all = append(all, p.Shopper(ID{Slot(i % Slots), uint32(i / Slots)}).turns())
	}
	slices.Sort(all)
	if all[0] < 1 || all[len(all)-1] > maxTurns || all[5000] != 7 || math.Abs(float64(all[9000]-11)) > 1 {
		t.Errorf("from %d to %d, median %d, p90 %d", all[0], all[len(all)-1], all[5000], all[9000])
	}
}

// TestWares: each journey speaks of what it buys, in both languages, and a bill
// is one.
func TestWares(t *testing.T) {
	p := plan(t, small, results.Factors{})
	prefixes := map[string][]string{"booking": {"film-", "concert-", "table-"}, "bill": {"bill-"}}
	for journey, want := range prefixes {
		seen, tongues := map[string]bool{}, map[language]bool{}
		for i := range 200 {
			s, err := p.Shopper(ID{Slot(i), 0}).As("", journey)
			if err != nil {
				t.Fatal(err)
			}
			item := s.item()
			if !slices.ContainsFunc(want, func(p string) bool { return strings.HasPrefix(item.ID, p) }) || journey == "bill" && item.Quantity != 1 {
				t.Fatalf("%s buys %+v", journey, item)
			}
			for turn := range 3 {
				line := s.say(turn)
				if strings.ContainsAny(line, "{}") || turn == 0 && !strings.Contains(line, item.Title) {
					t.Errorf("%s, turn %d: %q about %s", journey, turn, line, item.Title)
				}
			}
			seen[item.ID], tongues[s.language()] = true, true
		}
		if len(seen) < len(want) || len(tongues) != int(languages) {
			t.Errorf("%s: %v in %v", journey, seen, tongues)
		}
	}
}
