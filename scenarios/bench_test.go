package scenarios

import (
	"testing"

	"github.com/flashcrowd/flashcrowd/results"
)

// day is the whole of spring-festival, ten million shoppers in nine hours.
func day(b *testing.B) *Plan {
	c, err := Load("spring-festival")
	if err != nil {
		b.Fatal(err)
	}
	p, err := c.Plan(results.Factors{Scale: 1, Compress: 1})
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// BenchmarkArrivals takes one slot of the whole day, 2,442 shoppers.
func BenchmarkArrivals(b *testing.B) {
	p := day(b)
	n := 0
	for b.Loop() {
		for range p.Arrivals(17, 0) {
			n++
		}
	}
	b.ReportAllocs()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/arrival")
}

func BenchmarkCount(b *testing.B) {
	p := day(b)
	n := 0
	for b.Loop() {
		n += p.Count(17, 0, p.Duration())
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/draw")
}

func BenchmarkStages(b *testing.B) {
	p := day(b)
	for b.Loop() {
		p.countStages()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(p.Shoppers), "ns/shopper")
}

func BenchmarkShopper(b *testing.B) {
	p := day(b)
	b.ReportAllocs()
	var n uint32
	for b.Loop() {
		s := p.Shopper(ID{17, n % 2000})
		n++
		if s.At < 0 {
			b.Fatal(s)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	s := day(b).Shopper(ID{17, 3})
	b.ReportAllocs()
	for b.Loop() {
		s.Hash()
	}
}

func BenchmarkWalk(b *testing.B) {
	s := day(b).Shopper(ID{17, 3})
	b.ReportAllocs()
	for b.Loop() {
		w := s.Walk()
		for _, ok := w.Next(Result{}); ok; _, ok = w.Next(Result{Outcome: results.OK, Coupon: "c", Session: "s"}) {
		}
	}
}
