package storefront

import (
	"time"
)

// Records are what the books hold, as they go out in exports. They say what
// was really done, right or wrong: nothing here is corrected. Moments are Unix
// nanoseconds, amounts fen.

// An order is one sale.
type order struct {
	number   int64
	session  int64 // the checkout that it came from
	key      string
	user     string
	item     string // empty if there were several
	quantity int64
	subtotal int64
	discount int64
	amount   int64 // what was charged
	coupon   int64 // 0: none
	at       int64
	void     bool // failed or cancelled later: a record, not a sale
}

// A coupon is one that was issued, and what became of it.
type coupon struct {
	number      int64
	stock       string
	user        string
	request     string // out_request_no of its claim
	value       int64
	at          int64 // when it was issued
	from, until int64 // it is valid in [from, until)
	order       int64 // the one it was redeemed on; 0: none
	redeemed    int64 // when
	redeemer    string
}

// valid says whether a coupon may be redeemed at a time.
func (c *coupon) valid(at time.Time) bool {
	return c.from <= at.UnixNano() && at.UnixNano() < c.until
}

// A stock is one campaign of coupons.
type stock struct {
	id               string
	coupons, perUser int64
	until            int64
	paused           []window
}

// A window is a time in which nothing was issued.
type window struct{ from, until int64 } // until 0: it lasts

// seating is an item of which there are so many.
type seating struct {
	item     string
	of, sold int64
}

// A summary is the books in a few numbers.
type summary struct {
	orders, amount   int64 // of sales, fen
	issued, redeemed int64 // coupons
	bills            int64 // paid
	stocks           []stock
	seats            []seating // in the order of the catalogue
}
