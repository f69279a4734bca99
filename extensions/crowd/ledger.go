package crowd

import (
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// told is what a shopper was told last of something that it asked for.
type told struct {
	key    scenarios.UUID
	id     string // of what was promised; empty for a no
	denied results.Denial
}

// news says whether p is more than the shopper was told before. A second tap
// is answered by the promise of the first, which counts once; another id under
// the same key is a promise of its own, and the audit's business. So is a no
// after a promise; a lost answer after either says nothing new.
func (s *Shopper) news(p results.Promise) bool {
	lost := !p.Known && p.Denied == results.NotDenied
	if s.step.Key == s.told.key && (lost || p.ID == s.told.id && p.Denied == s.told.denied) {
		return false
	}
	if !lost {
		s.told = told{s.step.Key, p.ID, p.Denied}
	}
	return true
}

// promise returns what a step adds to the ledger: what the backend promised or
// denied, or what it was asked for with the answer lost or still to come, so
// that the shopper can't know whether it was done. A poll adds what is promised
// or denied at last.
func promise(s *Shopper, r *scenarios.Result, at time.Duration) (results.Promise, bool) {
	var kind results.PromiseKind
	switch s.step.For() {
	case scenarios.Claim:
		kind = results.CouponPromise
	case scenarios.Complete:
		kind = results.OrderPromise
	default:
		return results.Promise{}, false
	}
	p := results.Promise{Who: s.who(), Kind: kind, Key: s.step.Key.String(), At: at, Took: max(r.End.Sub(r.Start), 0)}
	if given := s.GivenID(); s.User != s.Key(scenarios.UserStep, 0) || given != "" && given != s.User.String() {
		p.User = s.UserID()
	}
	polled := s.step.Kind == scenarios.Poll
	switch r.Outcome {
	case results.OK:
		if p.Known = !r.Pending; p.Known && p.Kind == results.CouponPromise {
			p.ID = r.Coupon
		} else if p.Known {
			p.ID, p.Coupon, p.Amount, p.Currency, p.Subtotal = r.Order, r.Redeemed, r.Amount, r.Currency, r.Subtotal
		}
	case results.Rejected:
		if p.Denied = max(r.Denied, results.DeniedOther); polled { // decided at a moment that nobody knows
			p.Denied = results.DeniedOther
		}
		if p.Kind == results.OrderPromise {
			p.Coupon = s.step.Coupon
			return p, p.Coupon != ""
		}
		return p, true
	case results.Refused, results.RateLimited:
		return results.Promise{}, false // a clear no to the request: nothing was looked at
	}
	if r.Unsent || polled && !p.Known {
		return results.Promise{}, false // nobody was asked for anything
	}
	return p, true
}
