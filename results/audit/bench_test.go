package audit_test

import (
	"fmt"
	"iter"
	"runtime"
	"testing"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/audit"
)

// BenchmarkOrders is an audit of a million orders, all in order.
func BenchmarkOrders(b *testing.B) {
	const n = 1_000_000
	key := func(i int) string { return fmt.Sprintf("01900000-0000-8000-8000-%012d", i) }
	var ledger iter.Seq2[results.Promise, error] = func(yield func(results.Promise, error) bool) {
		for i := range n {
			yield(promised(key(i), key(i+n), 900), nil)
		}
	}
	var books iter.Seq2[audit.Order, error] = func(yield func(audit.Order, error) bool) {
		for i := range n {
			yield(booked(key(i), key(i+n), 900), nil)
		}
	}
	for range b.N {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		got, err := audit.Orders(ledger, books, nil)
		if err != nil || got.Matched != n {
			b.Fatal(got, err)
		}
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/n, "B/order")
	}
}
