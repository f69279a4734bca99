package main

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/scenarios"
)

// The journey that is measured is the one that the figures are said to be of.
func TestJourney(t *testing.T) {
	var b bytes.Buffer
	if err := campaign.Execute(&b, crowd{For: 10 * time.Second, Rate: 3}); err != nil {
		t.Fatal(err)
	}
	c, err := scenarios.Parse("journey.yaml", b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Plan(c.Factors)
	if err != nil || p.Shoppers != 30 {
		t.Fatalf("%d shoppers, %v", p.Shoppers, err)
	}
	kinds := map[scenarios.StepKind]int{}
	walk := p.Shopper(scenarios.ID{}).Walk()
	last := scenarios.Result{}
	for {
		step, more := walk.Next(last)
		if !more {
			break
		}
		if step.Think != 0 {
			t.Errorf("it thinks for %v before %v", step.Think, step.Kind)
		}
		kinds[step.Kind]++
		last = scenarios.Result{Outcome: 1, Coupon: "c", Session: "s", Order: "o"}
	}
	if kinds[scenarios.Turn] != 4 || kinds[scenarios.Claim]+kinds[scenarios.Create]+kinds[scenarios.Update]+kinds[scenarios.Complete] != steps-4 {
		t.Errorf("steps %v", kinds)
	}
}

func TestUsage(t *testing.T) {
	before, err := usageOf(os.Getpid())
	if err != nil {
		t.Skip(err) // no /proc
	}
	after := before
	for begin := time.Now(); err == nil && after.cpu <= before.cpu && time.Since(begin) < 5*time.Second; { // spins
		after, err = usageOf(os.Getpid())
	}
	if err != nil || after.cpu <= before.cpu || after.rss < kib || after.peak < after.rss {
		t.Errorf("%+v, then %+v, %v", before, after, err)
	}
	if !below(os.Getpid(), os.Getppid()) || below(os.Getppid(), os.Getpid()) {
		t.Error("who descends from whom")
	}
}

func TestMedian(t *testing.T) {
	for want, of := range map[float64][]float64{1: {1}, 2: {3, 2, 1}, 2.5: {4, 1, 2, 3}} {
		if got := median(of); got != want {
			t.Errorf("median(%v) = %v, want %v", of, got, want)
		}
	}
}

// TestAudit: the ledger and the books that are made for each other agree.
func TestAudit(t *testing.T) {
	b := bench{entries: 12_345, dir: t.TempDir()}
	if err := b.audit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestWhatHappensBetween(t *testing.T) {
	start := time.Date(2026, 2, 6, 12, 0, 0, 0, time.UTC)
	var seen []reading
	for n := range 5 { // half of a processor, looked at every two seconds
		seen = append(seen, reading{start.Add(time.Duration(2*n) * time.Second), time.Duration(n) * time.Second})
	}
	for _, c := range []struct{ from, to, want int }{{0, 8, 4}, {2, 6, 2}, {1, 5, 2}, {6, 60, 1}, {60, 70, 0}} {
		if got := processor(seen, start.Add(time.Duration(c.from)*time.Second), start.Add(time.Duration(c.to)*time.Second)); got != time.Duration(c.want)*time.Second {
			t.Errorf("from %d s to %d s it used %v, want %d s", c.from, c.to, got, c.want)
		}
	}
	var r report
	if err := json.Unmarshal([]byte(`{"seconds": [{"at_s": -1, "orders_count": 1}, {"at_s": 0, "orders_count": 2}, {"at_s": 3, "orders_count": 4}, {"at_s": 5, "orders_count": 8}]}`), &r); err != nil {
		t.Fatal(err)
	}
	if got := r.orders(0, 5*time.Second); got != 6 {
		t.Errorf("%d orders in seconds 0 to 5, want 6", got)
	}
}
