package scenarios

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/flashcrowd/flashcrowd/results"
)

// answered is a backend whose answers depend on nothing but the request and a
// seed, so that two shoppers who send the same are told the same.
func answered(seed uint64, s Step) Result {
	r := Result{Outcome: results.OK, Coupon: "c" + s.Key.String(), Session: "s" + s.Key.String(), Token: "t", Order: "o", Amount: 5, Currency: "CNY"}
	draw := rand.New(rand.NewPCG(seed, uint64(s.Key[1])<<24|uint64(s.Key[5])<<16|uint64(s.Kind)<<8|uint64(s.Attempt)))
	if outcomes := results.Outcomes(); seed > 0 && draw.IntN(4) == 0 {
		r = Result{Outcome: outcomes[draw.IntN(len(outcomes)-1)]} // but not canceled, the last
	}
	return r
}

// walked returns the steps of a journey that is left alone.
func walked(s Shopper, seed uint64) (steps []Step, end Ending) {
	j, last := s.Walk(), Result{}
	for {
		step, ok := j.Next(last)
		if !ok {
			return steps, j.End()
		}
		steps = append(steps, step)
		last = answered(seed, step)
	}
}

// TestLed: who is led through its journey sends what it would have sent alone:
// the same keys, lines, think times and repetitions.
func TestLed(t *testing.T) {
	p := plan(t, small, results.Factors{})
	for _, persona := range Personas() {
		for _, journey := range Journeys() {
			for seed := range uint64(12) {
				s, err := p.Shopper(ID{Slot: Slot(seed), Number: 3}).As(persona, journey)
				if err != nil {
					t.Fatal(err)
				}
				s.Persona.Reinstalls = 0 // who is led does not start over
				want, end := walked(s, seed)
				var got []Step
				l := s.Led(false)
				ask := func(err error) bool {
					if err != nil {
						t.Fatal(err)
					}
					last := Result{}
					for {
						step, ok := l.Next(last)
						if !ok {
							return l.Last().Outcome == results.OK
						}
						got = append(got, step)
						last = answered(seed, step)
					}
				}
				think := func() {
					if d := l.Thinks(); len(got) < len(want) && want[len(got)].Think != d {
						t.Errorf("%s %s %d: thinks %v before step %d, alone %v", persona, journey, seed, d, len(got), want[len(got)].Think)
					}
				}
				lead(l, s, think, ask)
				for i := range min(len(got), len(want)) {
					if i == 0 || got[i].Kind != got[i-1].Kind || got[i].Index != got[i-1].Index {
						if got[i].Think == 0 { // the leader's to keep
							got[i].Think = want[i].Think
						}
					}
					if got[i].Last {
						t.Fatalf("%s %s %d, step %d is the last turn, though the leader may go on", persona, journey, seed, i)
					}
					want[i].Last = false
					if !reflect.DeepEqual(got[i], want[i]) {
						t.Fatalf("%s %s %d, step %d:\n%+v, alone\n%+v", persona, journey, seed, i, got[i], want[i])
					}
				}
				if len(got) != len(want) || l.End().Claimed != end.Claimed || l.End().Ordered != end.Ordered {
					t.Fatalf("%s %s %d: %s, %+v, alone %s, %+v", persona, journey, seed, kinds(got), l.End(), kinds(want), end)
				}
			}
		}
	}
}

// lead asks for a journey, as a script does that goes on while all is well.
func lead(l *Led, s Shopper, think func(), ask func(error) bool) {
	for turn := range s.turns() {
		if turn > 0 {
			think()
		}
		if !ask(l.Chat("")) {
			return
		}
	}
	steps := script(s.Journey, s.turns())
	if slices.Contains(steps, Claim) {
		if think(); !ask(l.Claim()) && l.Last().Outcome != results.Rejected || s.Drops() {
			return
		}
	}
	if slices.Contains(steps, Complete) {
		think()
		ask(l.Checkout())
	}
}

func kinds(steps []Step) string {
	var all []string
	for _, s := range steps {
		all = append(all, fmt.Sprint(s.Kind, s.Attempt))
	}
	return strings.Join(all, " ")
}
