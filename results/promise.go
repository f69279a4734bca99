package results

import (
	"errors"
	"fmt"
	"time"
)

// A PromiseKind is what was promised.
type PromiseKind uint8

const (
	CouponPromise PromiseKind = iota + 1
	OrderPromise
)

// String returns "coupon" or "order".
func (k PromiseKind) String() string {
	switch k {
	case CouponPromise:
		return "coupon"
	case OrderPromise:
		return "order"
	}
	return "promise"
}

// A Denial is why a shopper was told a clear no.
type Denial uint8

const (
	NotDenied    Denial = iota
	DeniedOther         // for a reason that the books can't be asked about
	SoldOut             // the stock is used up
	LimitReached        // this user has as many as one may have
	Paused              // nothing is issued for now
	denials
)

// String says it in a few words.
func (d Denial) String() string {
	if d < denials {
		return [denials]string{"not denied", "no", "sold out", "limit reached", "paused"}[d]
	}
	return fmt.Sprintf("denial(%d)", uint8(d))
}

// Promise is an entry of the ledger: what a shopper was told of one coupon or
// one order. There are three of them:
//
//   - Known: it was promised, and the entry says what.
//   - Denied: it was told no. Of claims all are kept; of orders those in which
//     a coupon was given, for it must not be spent.
//   - neither: it asked, and the answer was lost, so that the backend may or may
//     not have done it.
//
// One key may have several entries: a request that is repeated keeps its key.
type Promise struct {
	Who      `cbor:"-"`
	Kind     PromiseKind   `json:"kind" cbor:"1,keyasint"`
	Known    bool          `json:"known" cbor:"2,keyasint,omitempty"`
	Key      string        `json:"key" cbor:"3,keyasint"` // the idempotency key: carries owner and intent
	ID       string        `json:"id,omitempty" cbor:"4,keyasint,omitempty"`
	Coupon   string        `json:"coupon,omitempty" cbor:"5,keyasint,omitempty"` // of an order: the coupon it was told was redeemed; of one denied, the coupon that was given
	Amount   int64         `json:"amount" cbor:"6,keyasint,omitempty"`           // minor units
	Currency string        `json:"currency,omitempty" cbor:"7,keyasint,omitempty"`
	At       time.Duration `json:"at_ns" cbor:"8,keyasint"` // plan time of the answer

	Took     time.Duration `json:"took_ns,omitempty" cbor:"9,keyasint,omitempty"` // from the actual send to the answer
	Denied   Denial        `json:"denied,omitempty" cbor:"10,keyasint,omitempty"`
	User     string        `json:"user,omitempty" cbor:"11,keyasint,omitempty"`     // who asked, where it is not the user that the key tells
	Subtotal int64         `json:"subtotal,omitempty" cbor:"12,keyasint,omitempty"` // the amount before its discounts; 0: nothing was told of them
}

// Observe implements Fact.
func (f Promise) Observe(emit func(*Metric, Tags, int64)) {
	if !f.Known {
		return
	}
	switch f.Kind {
	case CouponPromise:
		emit(Coupons, Tags{Stage: f.Stage}, 1)
	case OrderPromise:
		emit(Orders, Tags{Stage: f.Stage}, 1)
	}
}

func (p Promise) check() error {
	switch {
	case p.Kind != CouponPromise && p.Kind != OrderPromise:
		return fmt.Errorf("kind %d is neither coupon nor order", p.Kind)
	case p.Denied >= denials:
		return fmt.Errorf("unknown denial %d", p.Denied)
	case p.Known && p.Denied != NotDenied:
		return errors.New("promised and denied at once")
	case !planTime(p.At) || !planTime(p.Took) || p.Took < 0:
		return fmt.Errorf("told at %v, after %v, is beyond any plan", p.At, p.Took)
	}
	return errors.Join(short("key", p.Key, maxID), short("id", p.ID, maxID), short("coupon", p.Coupon, maxID),
		short("user", p.User, maxID), short("currency", p.Currency, maxName))
}

var _ Fact = Promise{}
