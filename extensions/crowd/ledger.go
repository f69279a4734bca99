package crowd

import (
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// promised is what a shopper was promised last.
type promised struct {
	key scenarios.UUID
	id  string
}

// news says whether p is more than the shopper was told before. A second tap
// is answered by the promise of the first, which counts once; another id under
// the same key is a promise of its own, and the audit's business.
func (s *Shopper) news(p results.Promise) bool {
	if s.step.Key == s.promised.key && (!p.Known || p.ID == s.promised.id) {
		return false
	}
	if p.Known {
		s.promised = promised{s.step.Key, p.ID}
	}
	return true
}

// promise returns what a step adds to the ledger: what the backend promised,
// or what it was asked for with the answer lost or still to come, so that the
// shopper can't know whether it was done. A poll adds what is promised at last.
func promise(s *Shopper, r scenarios.Result, at time.Duration) (results.Promise, bool) {
	p := results.Promise{
		Who: s.who(), Key: s.step.Key.String(), At: at,
		Known: r.Outcome == results.OK && !r.Pending, Amount: r.Amount, Currency: r.Currency,
	}
	switch s.step.For() {
	case scenarios.Claim:
		p.Kind, p.ID = results.CouponPromise, r.Coupon
	case scenarios.Complete:
		p.Kind, p.ID, p.Coupon = results.OrderPromise, r.Order, r.Redeemed
	default:
		return results.Promise{}, false
	}
	if r.Unsent || s.step.Kind == scenarios.Poll && !p.Known {
		return results.Promise{}, false // nobody was asked for anything
	}
	switch r.Outcome {
	case results.Rejected, results.Refused, results.RateLimited:
		return results.Promise{}, false // a clear no: nothing was promised
	}
	return p, true
}
