package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// What a simulated worker does in a second: 500 of them are 15,000 shoppers a
// second, fifty times the day's.
const (
	secondShoppers = 30
	secondSeries   = 40
)

// second is one second of a busy worker, as its recorder cuts it: 40 series with
// the histograms of 240 requests, what 30 shoppers were promised, and evidence.
// Another seed gives other durations.
func second(worker string, seed uint64) results.Snapshot {
	r, rng := results.NewRecorder(worker), rand.New(rand.NewPCG(seed, 1))
	took := func(typical time.Duration) time.Duration {
		return time.Duration(float64(typical) * (0.5 + rng.ExpFloat64()))
	}
	for n := range secondShoppers {
		who := results.Who{Slot: uint16(rng.Uint32() % 4096), Number: rng.Uint32(), Stage: "noon", Persona: "patient", Journey: "order"}
		r.Add(results.Launch{Who: who, At: time.Duration(n) * time.Millisecond, Hash: results.Sum128{Lo: rng.Uint64()}})
		lost := n == 0
		for i, name := range []string{"turn", "turn", "turn", "turn", "claim", "create", "update", "complete"} {
			s := results.Step{
				Who: who, Name: name, At: 300 * time.Millisecond, Outcome: results.OK,
				Lag: took(200 * time.Microsecond), Service: took(20 * time.Millisecond), Answered: i == 0, Opened: (8 - i) / 8,
			}
			if lost && i == 7 {
				s.Outcome, s.Attempt = results.Unavailable, 1
				s.Example = &results.Example{
					Stage: who.Stage, Step: name, Outcome: s.Outcome, Shopper: fmt.Sprint(who.Slot, "/", who.Number), Trace: fmt.Sprintf("%032x", rng.Uint64()),
					Request: fmt.Sprintf("%01000d", n), Response: fmt.Sprintf("%0500d", n), Took: s.Service,
				}
			}
			s.Response = s.Lag + s.Service
			if name == "turn" {
				s.FirstChunk, s.FirstToken, s.PerToken, s.Tokens = s.Response/4, s.Response/3, took(time.Millisecond), 32
			}
			r.Add(s)
		}
		if !lost {
			key := fmt.Sprintf("%08x-0000-8000-8000-%012x", rng.Uint32(), rng.Uint32())
			r.Add(results.Promise{Who: who, Kind: results.CouponPromise, Known: true, Key: key, ID: "coupon-" + key, At: 300 * time.Millisecond})
			r.Add(results.Promise{Who: who, Kind: results.OrderPromise, Known: true, Key: key, ID: "order-" + key, Coupon: "coupon-" + key, Amount: 1290, Currency: "CNY", At: 400 * time.Millisecond})
		}
		outcome := results.OK
		if lost {
			outcome = results.Unavailable
		}
		r.Add(results.End{
			Who: who, At: 400 * time.Millisecond, Outcome: outcome, Duration: 400 * time.Millisecond,
			MeantToClaim: true, Claimed: !lost, MeantToOrder: true, Ordered: !lost,
		})
	}
	return r.Cut(1, 0, results.Health{CPU: 0.4, RSS: 100 << 20})
}

// at makes a second of a worker's from another: the same facts at another time.
func at(s results.Snapshot, worker string, seq uint64, second int64) results.Snapshot {
	s.Worker, s.Seq = worker, seq
	s.Cut = time.Duration(second+1) * time.Second
	s.Frontier = s.Cut
	s.Seconds = append([]results.Second{}, s.Seconds...)
	for i := range s.Seconds {
		s.Seconds[i].At = second
	}
	return s
}
