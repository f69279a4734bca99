package audit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flashcrowd/flashcrowd/results"
)

// An invariant is what must hold between a ledger and books.
type invariant int

const (
	orderMissing invariant = iota
	orderStray
	keyDouble
	idDouble
	orderKey
	orderUser
	orderAmount
	orderCoupon
	sums
	discountValue
	couponMissing
	couponStray
	couponDouble
	couponUser
	stockOver
	userOver
	redeemedTwice
	redeemedOwner
	redeemedValidity
	redeemedBooks
	couponSwallowed
	falseSoldOut
	falseLimit
	issuedPaused
	seatsOver
	mix
	invariants // how many there are
)

// Tables of books, as what an invariant needs.
const (
	ordersTable  Field = "orders"
	couponsTable Field = "coupons"
	stocksTable  Field = "stocks"
	seatsTable   Field = "seats"
)

// list is every invariant, in the order in which reports show them, with what
// it needs of the books. Without what it wants it is checked in part.
var list = [invariants]struct {
	id       string
	says     string
	severity results.Severity
	needs    []Field
	wants    []Field
}{
	orderMissing:     {"order-missing", "every promised order is in the books", results.Critical, []Field{ordersTable}, nil},
	orderStray:       {"order-stray", "no order is booked without an intent: one that somebody placed and was not told no", results.Critical, []Field{OrderKey}, nil},
	keyDouble:        {"key-double", "no key has two orders", results.Critical, []Field{OrderKey}, nil},
	idDouble:         {"id-double", "no id of an order or a coupon stands in the books twice", results.Critical, nil, []Field{ordersTable, couponsTable}},
	orderKey:         {"order-key", "a booked order has the key it was placed with, and is promised under no other", results.Critical, []Field{OrderKey}, nil},
	orderUser:        {"order-user", "a booked order is its shopper's", results.Critical, []Field{OrderUser}, nil},
	orderAmount:      {"order-amount", "a booked order has the subtotal, discount, amount and currency that were promised", results.Critical, []Field{OrderAmount, OrderCurrency}, []Field{OrderSubtotal, OrderDiscount}},
	orderCoupon:      {"order-coupon", "a booked order has the coupon that its shopper was told", results.Major, []Field{OrderCoupon}, nil},
	sums:             {"sums", "in every booked order the amount is the subtotal less the discount, and nothing is negative", results.Critical, []Field{OrderSubtotal, OrderDiscount, OrderAmount}, nil},
	discountValue:    {"discount-value", "no discount is beyond the value of its coupon, or in another currency", results.Critical, []Field{OrderCoupon, OrderDiscount, CouponValue}, []Field{OrderCurrency, CouponCurrency}},
	couponMissing:    {"coupon-missing", "every promised coupon is in the books", results.Critical, []Field{couponsTable}, nil},
	couponStray:      {"coupon-stray", "no coupon is issued that nobody claimed, or whose claim was told no", results.Major, []Field{CouponKey}, nil},
	couponDouble:     {"coupon-double", "no claim has two coupons", results.Critical, []Field{CouponKey}, nil},
	couponUser:       {"coupon-user", "a coupon is issued to the user who claimed it", results.Critical, []Field{CouponUser}, nil},
	stockOver:        {"stock-over", "no more coupons are issued than the stock has", results.Critical, []Field{CouponStock, StockCoupons}, nil},
	userOver:         {"user-over", "no user has more coupons of a stock than one may have", results.Critical, []Field{CouponStock, CouponUser, StockPerUser}, nil},
	redeemedTwice:    {"redeemed-twice", "no coupon is redeemed on two orders", results.Critical, []Field{OrderCoupon}, nil},
	redeemedOwner:    {"redeemed-owner", "a coupon is redeemed by its owner", results.Critical, []Field{OrderCoupon, OrderUser, CouponUser}, nil},
	redeemedValidity: {"redeemed-validity", "a coupon is redeemed within its validity", results.Major, []Field{OrderCoupon, OrderAt, CouponFrom, CouponUntil}, nil},
	redeemedBooks:    {"redeemed-books", "orders and coupons say the same of what was redeemed", results.Critical, []Field{OrderCoupon, CouponRedeemed}, nil},
	couponSwallowed:  {"coupon-swallowed", "no coupon is spent without a sale that carries it and takes something off", results.Critical, []Field{OrderCoupon, CouponRedeemed}, []Field{OrderSubtotal, OrderDiscount, CouponValue}},
	falseSoldOut:     {"false-sold-out", "nobody is told that a stock is used up while it is not", results.Major, []Field{CouponStock, CouponIssued, StockCoupons}, nil},
	falseLimit:       {"false-limit", "nobody is told that they have enough coupons while they may have more", results.Major, []Field{CouponStock, CouponUser, CouponIssued, StockPerUser}, nil},
	issuedPaused:     {"issued-paused", "nothing is issued while the stock is paused, or outside its dates", results.Major, []Field{CouponStock, CouponIssued, StockPaused}, []Field{StockFrom, StockUntil}},
	seatsOver:        {"seats-over", "no more is sold of an item than there are seats", results.Critical, []Field{OrderItem, OrderQuantity, seatsTable}, nil},
	mix:              {"mix", "journeys and personas came as planned", results.Major, nil, nil},
}

// Invariants lists everything that an audit checks, as checks that nothing was
// held against yet.
func Invariants() []results.Check {
	all := make([]results.Check, invariants)
	for i, v := range list {
		all[i] = results.Check{ID: v.id, Invariant: v.says, Severity: v.severity, State: results.StateUnchecked, Examples: []string{}, Doubts: []string{}}
	}
	return all
}

// lacking says what of the fields the books do not have, or nothing.
func lacking(b Books, fields []Field) string {
	has := map[Field]bool{ordersTable: b.Orders != nil, couponsTable: b.Coupons != nil, stocksTable: b.Stocks != nil, seatsTable: b.Seatings != nil}
	for _, f := range fields {
		table, _, _ := strings.Cut(string(f), ".")
		if !has[Field(table)] {
			return fmt.Sprintf("the source has no %s", table)
		}
		if slices.Contains(b.Lacks, f) {
			return fmt.Sprintf("the source does not say %s", f)
		}
	}
	return ""
}

// unchecked says why an invariant can't be checked, or nothing if it can.
func (v invariant) unchecked(b Books, o Options) string {
	if why := lacking(b, list[v].needs); why != "" {
		return why
	}
	switch {
	case (v == orderUser || v == couponUser) && o.Owner == nil:
		return "whose keys are whose is not known"
	case (v == falseSoldOut || v == falseLimit) && o.Started.IsZero():
		return "when the run began is not known"
	case v == mix && o.Mix == nil:
		return "what was planned is not known"
	}
	return ""
}

// maxExamples is how many examples a check keeps: the least by their text, so
// that the order of what was read does not show.
const maxExamples = 5

// A tally counts what was found of each invariant. Several can be added up.
type tally [invariants]struct {
	checked, broken, undecided uint64
	examples, doubts           least
}

// held counts n things that an invariant was held against.
func (t *tally) held(v invariant, n uint64) { t[v].checked += n }

// broken adds a finding that counts as n.
func (t *tally) broken(v invariant, n uint64, format string, args ...any) {
	t[v].broken += n
	t[v].examples.add(fmt.Sprintf(format, args...))
}

// undecided adds what can't be decided.
func (t *tally) undecided(v invariant, format string, args ...any) {
	t[v].undecided++
	t[v].doubts.add(fmt.Sprintf(format, args...))
}

func (t *tally) add(u *tally) {
	for v := range t {
		t[v].checked += u[v].checked
		t[v].broken += u[v].broken
		t[v].undecided += u[v].undecided
		for _, e := range u[v].examples {
			t[v].examples.add(e)
		}
		for _, e := range u[v].doubts {
			t[v].doubts.add(e)
		}
	}
}

// checks returns what the tally comes to.
func (t *tally) checks(b Books, o Options) []results.Check {
	all := Invariants()
	for v := range invariants {
		c := &all[v]
		if c.Why = v.unchecked(b, o); c.Why != "" {
			continue
		}
		c.Checked, c.Count, c.Undecided = t[v].checked, t[v].broken, t[v].undecided
		part := lacking(b, list[v].wants)
		switch {
		case c.Count > 0:
			c.State = results.StateBroken
		case part != "": // nothing was found, of what could be looked at
			c.Why = "in part: " + part
		default:
			c.State = results.StateHeld
		}
		c.Examples, c.Doubts = append(c.Examples, t[v].examples...), append(c.Doubts, t[v].doubts...)
	}
	return all
}

// least is the least few of some texts, sorted.
type least []string

func (l *least) add(text string) {
	at, _ := slices.BinarySearch(*l, text)
	if at >= maxExamples {
		return
	}
	*l = slices.Insert(*l, at, text)
	*l = (*l)[:min(len(*l), maxExamples)]
}
