package coordinator

import (
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// One exchange with 40 series, without TLS and disk: what decoding, deciding
// and merging cost.
func BenchmarkExchange(b *testing.B) {
	books := &shelf{}
	plan := testPlan(b, "10s")
	c, err := New(Config{
		About: results.About{ID: "bench"}, Plan: plan, Store: books, Notes: books,
		Workers: 1, Key: make([]byte, 32),
	})
	if err != nil {
		b.Fatal(err)
	}
	stages, steps := []string{"climb", "noon", "evening"}, []string{"turn", "claim", "complete"}
	var snapshots [][]byte
	recorder := results.NewRecorder("w")
	for seq := range uint64(b.N) {
		for i := range 240 {
			took := time.Duration(i) * time.Millisecond
			recorder.Add(results.Step{
				Who: results.Who{Stage: stages[i%3]}, Name: steps[i/3%3],
				Outcome: results.OK, Service: took, Response: took,
			})
		}
		snapshots = append(snapshots, results.Encode(recorder.Cut(seq+1, scenarios.Mark(seq), results.Health{})))
	}
	b.ResetTimer()
	for i, s := range snapshots {
		if _, err := c.Exchange(b.Context(), Peer{ID: "w"}, agents.Exchange{Seq: uint64(i + 1), Name: "w", Snapshot: s}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(snapshots[0])), "B/snapshot")
}
