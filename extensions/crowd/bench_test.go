package crowd

import (
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// yes is a backend that takes no time.
type yes struct{}

func (yes) Do(*wire.Conn, *Shopper, scenarios.Step) scenarios.Result {
	return scenarios.Result{Outcome: results.OK, End: time.Now(), Coupon: "c", Session: "s", Order: "o", Amount: 1, Currency: "CNY"}
}

// BenchmarkVisits tells what a shopper costs from its arrival to its end, without
// what its requests and the facts cost.
func BenchmarkVisits(b *testing.B) {
	c, err := scenarios.Parse("visits.yaml", []byte(`
name: visits
seed: 7
crowd:
  shoppers: 100000
  stages: [{name: rush, for: 10s, rate: 1}]
  personas: {patient: 1}
  journeys: {order: 1}
  turns: 4
  think: {median: 0s, p90: 0s}
target:
  url: http://127.0.0.1:1
  chat: {protocol: openai, model: m}
  coupons: {protocol: wxpay-favor, stock_id: s}
  checkout: {protocol: ucp, version: 2026-04-08}
`))
	if err != nil {
		b.Fatal(err)
	}
	plan, err := c.Plan(results.Factors{})
	if err != nil {
		b.Fatal(err)
	}
	steps := 0
	e := New(Config{
		Plan: plan, Dialer: dialer{}, Protocols: Protocols{Chat: yes{}, Coupons: yes{}, Checkout: yes{}}, Pooled: true,
		Header: func(scenarios.Shopper, map[string]string) []byte { return nil },
		Emit: func(f results.Fact) {
			if _, ok := f.(results.Step); ok {
				steps++
			}
		},
	})
	e.Lease(Lease{Version: 1, Deadline: e.Boot() + time.Hour, Started: true})
	e.hold(false)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		drawn := plan.Shopper(scenarios.ID{Slot: scenarios.Slot(n % scenarios.Slots), Number: uint32(n / scenarios.Slots % 20)})
		n++
		s := &Shopper{Shopper: drawn, journey: drawn.Walk(), due: e.Boot()}
		e.live++
		e.next(s, scenarios.Result{})
		e.walk(s)
	}
	if each := float64(steps) / float64(b.N); each < 7 {
		b.Errorf("%v steps each", each)
	}
}
