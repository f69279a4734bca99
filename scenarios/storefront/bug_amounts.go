package storefront

import (
	"context"
	"math"
	"time"
)

// Amounts that are not what was promised, do not add up, or take off more than
// the card is worth. In each a service of its own charges, and books what it
// makes of the session; the answer says what the session says.
var amountBugs = []Bug{
	{
		"price-at-charge",
		"shows prices from a cache and charges those of the list, which rises by a fen every 100 ms",
		"order-amount",
		"the charge before the lock: what was shown and what is taken are read at two times (ACIDRain, SIGMOD 2017, on carts and totals)",
		func(s *site) {
			opened := time.Now()
			s.charging(func(o *order) {
				rise := 1 + (o.at-opened.UnixNano())/int64(100*time.Millisecond)
				o.subtotal += o.quantity * rise
				o.amount += o.quantity * rise
			})
		},
	},
	{
		"quantity-lost",
		"books one of what was ordered forty times",
		"order-amount",
		"an integration between checkout and order service that leaves a field out, and a default of one at the other end",
		func(s *site) {
			s.charging(func(o *order) {
				if o.quantity < 2 {
					return
				}
				o.subtotal /= o.quantity
				o.quantity = 1
				o.discount = min(o.discount, o.subtotal-leastPaid)
				o.amount = o.subtotal - o.discount
			})
		},
	},
	{
		"money-in-floats",
		"holds money in yuan as a float and cuts it to fen",
		"sums",
		"19.99 × 100 is 1998.99…: totals off by a cent (github.com/woocommerce/woocommerce/issues/15372)",
		func(s *site) {
			cut := func(fen int64) int64 { return int64(float64(fen) / 100 * 100) }
			s.charging(func(o *order) { o.discount = cut(o.discount) })
		},
	},
	{
		"change-forgone",
		"rounds what is charged down to the jiao and leaves the discount as it was",
		"sums",
		"rounding of totals beside unrounded lines (github.com/umbraco/Umbraco.Commerce.Issues/issues/126, github.com/cubecart/v6/issues/1469)",
		func(s *site) {
			s.charging(func(o *order) { o.amount = max(leastPaid, o.amount/10*10) })
		},
	},
	{
		"discount-rounded-up",
		"spreads the discount over the cups and rounds each share up",
		"discount-value",
		"(price − discount ÷ quantity) × quantity is not what was taken off (github.com/woocommerce/woocommerce/issues/13802, github.com/chameleon-system/chameleon-system/issues/236)",
		func(s *site) {
			s.charging(func(o *order) {
				if o.coupon == 0 || o.quantity == 0 {
					return
				}
				each := math.Ceil(float64(o.discount) / float64(o.quantity))
				o.discount = int64(each) * o.quantity
				o.amount = o.subtotal - o.discount
			})
		},
	},
	{
		"discount-per-item",
		"takes the card off each item and not off the order",
		"discount-value",
		"a fixed amount for the cart, applied to each line",
		func(s *site) {
			s.charging(func(o *order) {
				if o.coupon == 0 {
					return
				}
				o.discount = min(o.quantity*o.discount, o.subtotal-leastPaid)
				o.amount = o.subtotal - o.discount
			})
		},
	},
}

// charging has an order booked as charge makes it.
func (s *site) charging(charge func(*order)) {
	s.look(func(l ledger, t *tables, _ *write) ledger { return charged{l, t, charge} })
}

// charged is a ledger that books other amounts than the session's.
type charged struct {
	ledger
	t      *tables
	charge func(*order)
}

func (c charged) sell(s *session) error {
	if err := c.ledger.sell(s); err != nil {
		return err
	}
	o := s.order()
	c.charge(&o)
	_, err := c.t.conn.ExecContext(context.Background(),
		`UPDATE orders SET quantity = ?, subtotal = ?, discount = ?, amount = ? WHERE id = ?`, o.quantity, o.subtotal, o.discount, o.amount, o.number)
	return err
}
