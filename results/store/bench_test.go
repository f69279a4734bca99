package store_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/store"
)

// BenchmarkCommit is the durable part of exchanges that come alone, and of those
// that wait for the disk together; a commit of many is divided by them.
func BenchmarkCommit(b *testing.B) {
	for _, together := range []int{1, 10, 100} {
		b.Run(fmt.Sprint(together), func(b *testing.B) {
			s, err := store.Create(filepath.Join(b.TempDir(), store.FileName), header())
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			wire := results.Encode(snapshots("w", 1)[0])
			b.ResetTimer()
			for i := 0; i < b.N; i += together {
				var all []results.Delivery
				for j := range together {
					all = append(all, results.Delivery{Worker: "w", Seq: uint64(i + j + 1), Bytes: wire})
				}
				if err := s.Commit(all...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
