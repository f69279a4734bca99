package audit

import (
	"iter"
	"time"
)

// Books are the backend's own records, as a source reads them. Each sequence
// is read once, in any order of rows; its first error ends it. A nil sequence
// is a record that the source does not have: what would need it is reported as
// not checked, never as holding.
type Books struct {
	Orders   iter.Seq2[Order, error]
	Coupons  iter.Seq2[Coupon, error]
	Stocks   iter.Seq2[Stock, error]
	Seatings iter.Seq2[Seating, error]

	// Lacks are fields that no row says: they are zero in all of them, and
	// that means nothing. What needs one of them is not checked either.
	Lacks []Field
}

// A Field is one that books may lack, as table.column.
type Field string

// The fields that some invariant needs. The others, the ids of orders, coupons
// and stocks, are what a row is.
const (
	OrderKey       Field = "orders.key"
	OrderUser      Field = "orders.user"
	OrderCoupon    Field = "orders.coupon"
	OrderItem      Field = "orders.item"
	OrderQuantity  Field = "orders.quantity"
	OrderSubtotal  Field = "orders.subtotal"
	OrderDiscount  Field = "orders.discount"
	OrderAmount    Field = "orders.amount"
	OrderCurrency  Field = "orders.currency"
	OrderAt        Field = "orders.at"
	CouponStock    Field = "coupons.stock"
	CouponUser     Field = "coupons.user"
	CouponKey      Field = "coupons.key"
	CouponValue    Field = "coupons.value"
	CouponCurrency Field = "coupons.currency"
	CouponIssued   Field = "coupons.issued"
	CouponFrom     Field = "coupons.from"
	CouponUntil    Field = "coupons.until"
	CouponRedeemed Field = "coupons.order" // which order a coupon was redeemed on
	StockCoupons   Field = "stocks.coupons"
	StockPerUser   Field = "stocks.per_user"
	StockPaused    Field = "stocks.paused"
	StockFrom      Field = "stocks.from"
	StockUntil     Field = "stocks.until"
)

// An Order is one row of the orders.
type Order struct {
	ID       string
	Key      string // the idempotency key it was placed with; empty if it had none
	User     string
	Coupon   string // the id of the coupon redeemed on it, if any
	Item     string // what was sold
	Quantity int64
	// Money is in minor units. What was charged is Amount, and it is to be
	// Subtotal less Discount.
	Subtotal, Discount, Amount int64
	Currency                   string    // ISO 4217
	At                         time.Time // when it was booked
	Void                       bool      // canceled, or failed later: a record, not a sale
}

// A Coupon is one row of the coupons that were issued.
type Coupon struct {
	ID, Stock, User string
	Key             string // of the claim
	Value           int64  // at most so much off, minor units
	Currency        string // ISO 4217
	Issued          time.Time
	From, Until     time.Time // when it may be redeemed: from From to just before Until; zero: no bound
	// The order that it was redeemed on, when, and by whom; all are empty where
	// it was not redeemed, or was given back.
	Order      string
	Redeemed   time.Time
	RedeemedBy string
}

// A Stock is one campaign of coupons.
type Stock struct {
	ID          string
	Coupons     int64     // how many may be issued; 0: no limit
	PerUser     int64     // and to one user; 0: no limit
	From, Until time.Time // when they may be issued; zero: no bound
	Paused      []Window  // when they may not
}

// A Window is a stretch of time, from From to just before Until; a zero Until
// means that it still lasts.
type Window struct{ From, Until time.Time }

// A Seating is how much there is of an item that is limited. What no row names
// is not.
type Seating struct {
	Item  string
	Seats int64
}
