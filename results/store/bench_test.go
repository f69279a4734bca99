package store_test

import (
	"path/filepath"
	"testing"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/store"
)

// BenchmarkCommit is the durable part of one exchange.
func BenchmarkCommit(b *testing.B) {
	s, err := store.Create(filepath.Join(b.TempDir(), store.FileName), header())
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	wire, state := results.Encode(snapshots("w", 1)[0]), make([]byte, 4096)
	b.ResetTimer()
	for i := range b.N {
		if err := s.Commit("w", uint64(i+1), wire, state); err != nil {
			b.Fatal(err)
		}
	}
}
