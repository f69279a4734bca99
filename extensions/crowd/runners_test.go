package crowd

import (
	"math/rand/v2"
	"testing"
)

func TestRunnersComeAndGo(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var r runners
	in := map[*Shopper]bool{}
	all := make([]Shopper, 20)
	for range 10_000 {
		s := &all[rnd.IntN(len(all))]
		switch {
		case rnd.IntN(2) == 0:
			r.remove(s)
			delete(in, s)
		case !in[s]:
			r.add(s)
			in[s] = true
		}
		if len(r) != len(in) {
			t.Fatalf("%d are running, want %d", len(r), len(in))
		}
		for i, s := range r {
			if !in[s] || s.place != i+1 {
				t.Fatalf("place %d: %v, of one who says %d", i+1, in[s], s.place)
			}
		}
	}
}
