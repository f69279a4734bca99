package crowd

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// TestLedgerEntries: what each answer to a claim or a completion adds to the
// ledger, once for both taps.
func TestLedgerEntries(t *testing.T) {
	const took = 50 * time.Millisecond
	for _, tt := range []struct {
		name   string
		of     scenarios.StepKind
		answer scenarios.Result
		want   []results.Promise // of one shopper, but for who, key and time
	}{
		{"a coupon and an order", scenarios.Complete,
			scenarios.Result{Outcome: results.OK, Order: "o", Redeemed: "c", Amount: 1, Subtotal: 2501, Currency: "CNY"},
			[]results.Promise{{Kind: results.CouponPromise, Known: true, ID: "c"}, {Kind: results.OrderPromise, Known: true, ID: "o", Coupon: "c", Amount: 1, Subtotal: 2501, Currency: "CNY"}}},
		{"sold out, then bought without", scenarios.Claim, scenarios.Result{Outcome: results.Rejected, Denied: results.SoldOut},
			[]results.Promise{{Kind: results.CouponPromise, Denied: results.SoldOut}, {Kind: results.OrderPromise, Known: true, ID: "o"}}},
		{"enough", scenarios.Claim, scenarios.Result{Outcome: results.Rejected, Denied: results.LimitReached},
			[]results.Promise{{Kind: results.CouponPromise, Denied: results.LimitReached}, {Kind: results.OrderPromise, Known: true, ID: "o"}}},
		{"no, and no more said", scenarios.Claim, scenarios.Result{Outcome: results.Rejected},
			[]results.Promise{{Kind: results.CouponPromise, Denied: results.DeniedOther}, {Kind: results.OrderPromise, Known: true, ID: "o"}}},
		{"an order that failed with a coupon in it", scenarios.Complete, scenarios.Result{Outcome: results.Rejected},
			[]results.Promise{{Kind: results.CouponPromise, Known: true, ID: "c"}, {Kind: results.OrderPromise, Denied: results.DeniedOther, Coupon: "c"}}},
		{"lost", scenarios.Complete, scenarios.Result{Outcome: results.Truncated},
			[]results.Promise{{Kind: results.CouponPromise, Known: true, ID: "c"}, {Kind: results.OrderPromise}}},
		{"never sent", scenarios.Complete, scenarios.Result{Outcome: results.ConnectionFailed, Unsent: true},
			[]results.Promise{{Kind: results.CouponPromise, Known: true, ID: "c"}}},
		{"throttled", scenarios.Complete, scenarios.Result{Outcome: results.RateLimited},
			[]results.Promise{{Kind: results.CouponPromise, Known: true, ID: "c"}}},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := with(t, "double-tapper", shop(func(s *Shopper, step scenarios.Step) scenarios.Result {
				time.Sleep(took)
				if step.Kind == tt.of {
					return tt.answer
				}
				r := scenarios.Result{Outcome: results.OK, Session: "s"}
				switch step.Kind {
				case scenarios.Claim:
					r.Coupon = "c"
				case scenarios.Complete:
					r.Order = "o"
				}
				return r
			}))
			s.run(t)
			all := map[uint16]map[uint32][]results.Promise{}
			for _, p := range of[results.Promise](&s.diary) {
				if _, ok := scenarios.ParseUUID(p.Key); ok != nil || p.At < 3*took || p.Took != took || p.User != "" {
					t.Fatalf("%s: %+v", tt.name, p)
				}
				if all[p.Slot] == nil {
					all[p.Slot] = map[uint32][]results.Promise{}
				}
				who := p.Who
				p.Who, p.Key, p.At, p.Took = results.Who{}, "", 0, 0
				if l := all[who.Slot][who.Number]; len(l) == 0 || l[len(l)-1] != p || p.Known || p.Denied > 0 { // a lost answer that is repeated may be told again
					all[who.Slot][who.Number] = append(l, p)
				}
			}
			shoppers := 0
			for _, slot := range all {
				for _, got := range slot {
					shoppers++
					if len(got) != len(tt.want) {
						t.Fatalf("%s: %+v", tt.name, got)
					}
					for i := range got {
						if got[i] != tt.want[i] {
							t.Fatalf("%s: %+v, want %+v", tt.name, got[i], tt.want[i])
						}
					}
				}
			}
			if shoppers != 200 {
				t.Errorf("%s: %d shoppers in the ledger, want 200", tt.name, shoppers)
			}
		})
	}
}

// TestLedgerUsers: an entry names its user only where the key does not.
func TestLedgerUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := with(t, "abuser", serve(time.Millisecond))
		s.run(t)
		own, others := 0, map[string]bool{}
		for _, p := range of[results.Promise](&s.diary) {
			if p.Kind != results.CouponPromise {
				continue
			}
			if p.User == "" {
				own++
			}
			others[p.User] = true
		}
		if own != 200 || len(others) != 1+800 {
			t.Errorf("%d claims are from the key's user, %d other users", own, len(others)-1)
		}
	})
}
