package crowd_test

import (
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// prompt answers everything, after the time that the plan expects.
type prompt scenarios.Expect

// Do implements crowd.Protocol.
func (e prompt) Do(_ *wire.Conn, s *crowd.Shopper, step scenarios.Step) scenarios.Result {
	took := e.Request
	if step.Kind == scenarios.Turn {
		took = e.Turn
	}
	time.Sleep(took) // virtual time
	return scenarios.Result{Outcome: results.OK, Coupon: "c", Session: "s", Order: "o", Amount: 1, Currency: "CNY", End: time.Now()}
}

// TestDemandIsWhatHappens: shoppers and streams at once, as a plan demands them,
// are those of the run, second by second at their height.
func TestDemandIsWhatHappens(t *testing.T) {
	const campaign = `
name: demand
crowd:
  shoppers: 4_000
  stages: [{name: dawn, for: 1m, rate: 1}, {name: noon, for: 1m, rate: [3, 9]}, {name: dusk, for: 2m, rate: 1}]
  personas: {patient: 3, double-tapper: 1}
  journeys: {order: 3, browse: 1}
  think: {median: 7s, p90: 15s}
target:
  chat: {protocol: openai, model: m}
  coupons: {protocol: wxpay-favor, stock_id: s}
  checkout: {protocol: ucp}
expect: {turn: 1500ms, request: 200ms}
`
	synctest.Test(t, func(t *testing.T) {
		p, network, zero := planned(t, campaign), newInMemory(t), time.Now()
		go func() { // nobody speaks on these
			for conn, err := network.Accept(); err == nil; conn, err = network.Accept() {
				defer conn.Close()
			}
		}()
		defer network.Close()
		const width = 1200 * time.Millisecond // as wide as the demand's bins
		var mu sync.Mutex
		shoppers, streams := map[int]time.Duration{}, map[int]time.Duration{}
		spend := func(in map[int]time.Duration, from, to time.Duration) {
			for from < to {
				edge := min((from/width+1)*width, to)
				in[int(from/width)] += edge - from
				from = edge
			}
		}
		requests, ended := 0, 0
		say := prompt(p.Campaign.Expect)
		walk(t, p, crowd.Protocols{Chat: say, Coupons: say, Checkout: say}, network, zero, func(f results.Fact) {
			mu.Lock()
			defer mu.Unlock()
			switch f := f.(type) {
			case results.Step:
				requests++
				if f.Name == "turn" {
					spend(streams, f.At-f.Response, f.At)
				}
			case results.End:
				ended++
				spend(shoppers, f.At-f.Duration, f.At)
			}
		})
		d := p.Demand()
		for _, c := range []struct {
			what      string
			got, want float64
		}{
			{"shoppers at once", highest(shoppers, width), d.Peak.Shoppers},
			{"streams at once", highest(streams, width), d.Peak.Streams},
			{"requests for each", float64(requests) / float64(ended), d.Requests},
		} {
			if math.Abs(c.got-c.want) > 0.01*c.want {
				t.Errorf("%s: %.2f in the run, %.2f in the plan", c.what, c.got, c.want)
			}
		}
		if ended != 4000 {
			t.Errorf("%d ended", ended)
		}
	})
}

func highest(in map[int]time.Duration, width time.Duration) (most float64) {
	for _, d := range in {
		most = max(most, float64(d)/float64(width))
	}
	return most
}

var _ crowd.Protocol = prompt{}
