package scenarios

import (
	"fmt"
	"strings"
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

// BenchmarkRow reads a column of a row of a hundred thousand, at random.
func BenchmarkRow(b *testing.B) {
	var rows strings.Builder
	rows.WriteString("id,token\n")
	for g := range 100_000 {
		fmt.Fprintf(&rows, "user-%d,token-%d\n", g, g)
	}
	p := pinned(b, fed(100_000, "{users: {file: u.csv}}", bearer), folder(b, "u.csv", rows.String()))
	g := 0
	for b.Loop() {
		nth(p, g%100_000).Value("user.token")
		g += 7919
	}
	b.ReportAllocs()
}

// BenchmarkSay reads a line of a conversation of eight messages and 4 KB.
func BenchmarkSay(b *testing.B) {
	message := func(from string, n int) string {
		return `{"from": "` + from + `", "value": "` + strings.Repeat("word ", n) + `"}`
	}
	pair := message("human", 30) + "," + message("gpt", 150)
	one := `{"conversations": [` + strings.Repeat(pair+",", 3) + pair + "]}\n"
	p := pinned(b, talking("c.jsonl"), folder(b, "c.jsonl", strings.Repeat(one, 1000)))
	g := 0
	for b.Loop() {
		nth(p, g%10_000).say(2)
		g++
	}
	b.ReportAllocs()
}
