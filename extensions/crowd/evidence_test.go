package crowd

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// TestEvidenceIsTheSlowest: whatever comes, the slowest three that were rendered
// are the slowest three there were, but for a tenth; and few are rendered.
func TestEvidenceIsTheSlowest(t *testing.T) {
	const n = 100_000
	rnd := rand.New(rand.NewPCG(1, 2))
	for name, c := range map[string]struct {
		took func(i int) time.Duration
		most int // rendered
	}{
		"steady":   {func(int) time.Duration { return time.Duration(1e7 * math.Exp(rnd.NormFloat64())) }, 60},
		"slower":   {func(i int) time.Duration { return time.Duration(i+1) * time.Millisecond }, 400},
		"faster":   {func(i int) time.Duration { return time.Duration(n-i) * time.Millisecond }, 3},
		"the same": {func(int) time.Duration { return time.Second }, 3},
		"nothing":  {func(int) time.Duration { return 0 }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			var e evidence
			var all, kept []time.Duration
			for i := range n {
				f := results.Step{Who: results.Who{Stage: "noon"}, Name: "turn", Outcome: results.OK, Response: c.took(i)}
				all = append(all, f.Response)
				if e.wants(&f) {
					kept = append(kept, f.Response)
				}
			}
			slices.Sort(all)
			slices.Sort(kept)
			if len(kept) < examplesEach || len(kept) > c.most {
				t.Fatalf("%d were rendered, want %d to %d", len(kept), examplesEach, c.most)
			}
			for i := 1; i <= examplesEach; i++ {
				if got, want := kept[len(kept)-i], all[len(all)-i]; got+got/10 < want {
					t.Errorf("the %d. slowest is %v, kept is %v", i, want, got)
				}
			}
		})
	}
}

// TestEvidenceOfEachKind: stages, steps and outcomes do not crowd each other
// out, however many shoppers ask at once.
func TestEvidenceOfEachKind(t *testing.T) {
	var e evidence
	var mu sync.Mutex
	kept := map[kind]int{}
	var askers sync.WaitGroup
	for range 8 {
		askers.Go(func() {
			for _, stage := range []string{"dawn", "noon"} {
				for _, o := range results.Outcomes() {
					for range 10 {
						f := results.Step{Who: results.Who{Stage: stage}, Name: "turn", Outcome: o, Response: time.Second}
						if e.wants(&f) {
							mu.Lock()
							kept[kind{stage, "turn", o}]++
							mu.Unlock()
						}
					}
				}
			}
		})
	}
	askers.Wait()
	if len(kept) != 2*len(results.Outcomes()) {
		t.Errorf("%d kinds", len(kept))
	}
	for k, n := range kept {
		if n != examplesEach {
			t.Errorf("%d of %v", n, k)
		}
	}
}

// Every step asks, and next to all are told no.
func BenchmarkEvidenceWantsNoMore(b *testing.B) {
	var e evidence
	for _, stage := range []string{"opening", "climb", "noon", "evening"} {
		for _, name := range []string{"turn", "claim", "create", "update", "complete"} {
			for range examplesEach {
				e.wants(&results.Step{Who: results.Who{Stage: stage}, Name: name, Outcome: results.OK, Response: time.Second})
			}
		}
	}
	f := results.Step{Who: results.Who{Stage: "noon"}, Name: "turn", Outcome: results.OK, Response: time.Millisecond}
	b.ReportAllocs()
	for b.Loop() {
		if e.wants(&f) {
			b.Fatal("wanted")
		}
	}
}
