package audit

import (
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// couponEntry deals an entry of the ledger that is about a coupon: to its id if
// one was promised, to its claim's key, and, if it was denied for a reason that
// the books can be asked about, to the user or to those who found it sold out.
func (l *look) couponEntry(p results.Promise) error {
	switch {
	case p.Known:
		l.buf = l.buf[:0].kind(promisedKind).text(p.ID).text(p.Key).text(l.user(p))
		if err := l.deal(&l.byCoupon, p.ID); err != nil {
			return err
		}
		l.buf = l.buf[:0].kind(promisedKind).text(p.Key).text(p.ID)
	case p.Denied != results.NotDenied:
		if err := l.denial(p); err != nil {
			return err
		}
		l.buf = l.buf[:0].kind(deniedKind).text(p.Key).number(int64(p.Denied))
	default:
		l.buf = l.buf[:0].kind(lostKind).text(p.Key).text(l.user(p))
	}
	return l.deal(&l.byClaim, p.Key)
}

// denial deals a no with the time in which it was decided: from the request to
// the answer.
func (l *look) denial(p results.Promise) error {
	answered := l.Started.Add(p.At)
	l.buf = l.buf[:0].kind(deniedKind)
	switch p.Denied {
	case results.SoldOut:
		l.buf = l.buf.text(p.Key).number(nanos(answered.Add(-p.Took))).number(nanos(answered))
		return l.deal(&l.soldOut, p.Key)
	case results.LimitReached:
		user := l.user(p)
		l.buf = l.buf.text(user).text(p.Key).number(nanos(answered.Add(-p.Took))).number(nanos(answered))
		return l.deal(&l.byUser, user)
	}
	return nil
}

// readCoupons deals the coupons that were issued.
func (a *auditor) readCoupons(books iter.Seq2[Coupon, error]) error {
	if books == nil {
		return nil
	}
	l := look{auditor: a}
	defer l.done()
	for c, err := range books {
		if err == nil {
			err = a.ctx.Err()
		}
		if err == nil {
			err = l.coupon(c)
		}
		if err != nil {
			return fmt.Errorf("read the coupons: %w", err)
		}
	}
	return nil
}

// coupon deals a row to its id and its user.
func (l *look) coupon(c Coupon) error {
	l.issued(c)
	l.buf = l.buf[:0].kind(couponKind).text(c.ID).text(c.Key).text(c.User).text(c.Currency).text(c.Order).text(c.RedeemedBy).
		number(c.Value).number(nanos(c.From)).number(nanos(c.Until)).number(nanos(c.Redeemed)).flag(c.Order != "" || !c.Redeemed.IsZero())
	if err := l.deal(&l.byCoupon, c.ID); err != nil {
		return err
	}
	l.buf = l.buf[:0].kind(couponKind).text(c.User).text(c.Stock).number(nanos(c.Issued))
	return l.deal(&l.byUser, c.User)
}

// A couponFile is what is known of one coupon's id.
type couponFile struct {
	promised bool
	key      token // it was promised to, the least if several
	claimant token // the user of that claim
	claimed  bool  // promised to several users
	failed   token // the key of an order that was denied with it, the least; empty if none was

	rows                              uint32
	user, currency, order, redeemedBy token // of the least row
	value, from, until, redeemed      int64
	spent                             bool // marked so

	sales uint32
	named bool  // one of them is the order that it is marked with
	sale  token // the least
}

// couponsPile looks at what shares a coupon's id, and deals the rows to the
// keys of their claims.
func (l *look) couponsPile(all string) error {
	files := newFiles[couponFile](len(all) / 60)
	for r := reader(all); r.more(); {
		k, id := r.kind(), r.token()
		f := files.of(id)
		switch k {
		case promisedKind:
			key, user := r.token(), r.token()
			f.claimed = f.claimed || f.promised && user != f.claimant && user != none && f.claimant != none
			known, better := f.claimant != none, user != none // a claim whose user is known says more
			if f.key == "" || better && !known || better == known && key < f.key {
				f.key, f.claimant = key, user
			}
			f.promised = true
		case deniedKind:
			f.failed = lesser(f.failed, r.token())
		case couponKind:
			f.rows++
			r.skip(1, 0)
			row := couponFile{user: r.token(), currency: r.token(), order: r.token(), redeemedBy: r.token(), value: r.number(), from: r.number(), until: r.number(), redeemed: r.number(), spent: r.flag()}
			if f.rows == 1 || row.user < f.user || row.user == f.user && row.order < f.order {
				f.user, f.currency, f.order, f.redeemedBy = row.user, row.currency, row.order, row.redeemedBy
				f.value, f.from, f.until, f.redeemed, f.spent = row.value, row.from, row.until, row.redeemed, row.spent
			}
		case orderKind:
			f.sales++
			f.sale = lesser(f.sale, r.token())
			r.skip(2, 3)
		}
	}
	for r := reader(all); r.more(); {
		k, id := r.kind(), r.token()
		switch k {
		case promisedKind:
			r.skip(2, 0)
		case deniedKind:
			r.skip(1, 0)
		case couponKind:
			key, user := r.token(), r.token()
			r.skip(3, 4)
			r.flag()
			l.buf = l.buf[:0].kind(couponKind).raw(key).raw(id).stray(files.of(id).promised, user)
			if err := l.deal(&l.byClaim, key.String()); err != nil {
				return err
			}
		case orderKind:
			f := files.of(id)
			s := sale{order: r.token(), user: r.token(), currency: r.token(), subtotal: r.number(), discount: r.number(), at: r.number()}
			f.named = f.named || s.order == f.order
			if f.rows > 0 {
				l.redeemed(id, f, s)
			}
		}
	}
	for id, f := range files.all() {
		l.closeCoupon(id, f)
	}
	return nil
}

// A sale is an order that carries a coupon.
type sale struct {
	order, user, currency  token
	subtotal, discount, at int64
}

// redeemed holds a sale against the coupon that it carries.
func (l *look) redeemed(id token, f *couponFile, s sale) {
	l.found.held(redeemedOwner, 1)
	if s.user != f.user {
		l.found.broken(redeemedOwner, 1, "coupon %s of %s: redeemed by %q on order %s", id, f.user, s.user, s.order)
	} else if f.redeemedBy != none && f.order == s.order && f.redeemedBy != f.user {
		l.found.broken(redeemedOwner, 1, "coupon %s of %s: redeemed by %s on order %s", id, f.user, f.redeemedBy, s.order)
	}

	l.found.held(redeemedValidity, 1)
	if f.order == s.order && f.redeemed != 0 { // an order may be written before or after
		s.at = f.redeemed
	}
	early, late := before(s.at, f.from), f.until != 0 && !before(s.at, f.until)
	switch skew := int64(l.Skew); {
	case s.at == 0 || !early && !late:
	case early && before(add(s.at, skew), f.from), late && !before(add(s.at, -skew), f.until):
		l.found.broken(redeemedValidity, 1, "coupon %s: redeemed at %s on order %s, valid from %s until %s", id, stamp(s.at), s.order, stamp(f.from), stamp(f.until))
	default:
		l.found.undecided(redeemedValidity, "coupon %s: redeemed at %s on order %s, within %v of an end of its validity", id, stamp(s.at), s.order, l.Skew)
	}

	l.found.held(discountValue, 1)
	switch {
	case s.discount > f.value:
		l.found.broken(discountValue, 1, "order %s: a discount of %d %s, by coupon %s of %d %s", s.order, s.discount, s.currency, id, f.value, f.currency)
	case f.currency != none && s.currency != none && s.currency != f.currency && s.discount > 0:
		l.found.broken(discountValue, 1, "order %s: in %s, by coupon %s in %s", s.order, s.currency, id, f.currency)
	}

	if s.discount == 0 && f.value > 0 && s.subtotal >= f.value && !l.lacks[OrderDiscount] && !l.lacks[OrderSubtotal] && !l.lacks[CouponValue] {
		l.found.broken(couponSwallowed, 1, "coupon %s: redeemed on order %s, which got nothing off", id, s.order)
	}
}

// closeCoupon judges what only all records of a coupon's id can tell.
func (l *look) closeCoupon(id token, f *couponFile) {
	if f.rows > 0 {
		if l.found.held(idDouble, uint64(f.rows)); f.rows > 1 {
			l.found.broken(idDouble, uint64(f.rows-1), "coupon %s: in the books %d times", id, f.rows)
		}
		l.found.held(couponSwallowed, 1)
	}
	if f.promised {
		l.found.held(couponMissing, 1)
		switch {
		case f.rows == 1 && f.claimed: // as with orders, see closeOrder
			l.found.broken(couponMissing, 1, "coupon %s: promised to %s with key %s and to others, in the books once", id, f.claimant, f.key)
		case f.rows == 0:
			l.found.broken(couponMissing, 1, "coupon %s: claimed with key %s", id, f.key)
			if f.failed != "" {
				l.found.broken(couponSwallowed, 1, "coupon %s: gone since order %s failed with it", id, f.failed)
			}
		}
		if f.claimant != none && f.rows > 0 {
			if l.found.held(couponUser, 1); f.user != f.claimant {
				l.found.broken(couponUser, 1, "coupon %s: claimed by %s with key %s, issued to %q", id, f.claimant, f.key, f.user)
			}
		}
	}
	if f.sales > 0 {
		if l.found.held(redeemedTwice, uint64(f.sales)); f.sales > 1 {
			l.found.broken(redeemedTwice, uint64(f.sales-1), "coupon %s: redeemed on %d orders, %s and others", id, f.sales, f.sale)
		}
	}
	if f.sales == 0 && !f.spent {
		return
	}
	if f.spent && f.redeemedBy != none && !f.named { // no sale was held against what the row says
		if l.found.held(redeemedOwner, 1); f.redeemedBy != f.user {
			l.found.broken(redeemedOwner, 1, "coupon %s of %s: marked as redeemed by %s on order %q", id, f.user, f.redeemedBy, f.order)
		}
	}
	l.found.held(redeemedBooks, 1)
	switch {
	case f.rows == 0:
		l.found.broken(redeemedBooks, 1, "coupon %s: on order %s, and was never issued", id, f.sale)
	case f.sales == 0 && f.failed != "":
		l.found.broken(couponSwallowed, 1, "coupon %s: spent on order %q, which is no sale; order %s failed with it", id, f.order, f.failed)
	case f.sales == 0:
		l.found.broken(couponSwallowed, 1, "coupon %s: spent on order %q, which is no sale that carries it", id, f.order)
	case !f.spent:
		l.found.broken(redeemedBooks, 1, "coupon %s: on order %s, and not marked as redeemed", id, f.sale)
	case !f.named && f.order != none:
		l.found.broken(redeemedBooks, 1, "coupon %s: on order %s, marked as redeemed on %s", id, f.sale, f.order)
	}
}

// claimsPile looks at what shares the key of a claim.
func (l *look) claimsPile(all string) error {
	files := newFiles[keyFile](len(all) / 40)
	for r := reader(all); r.more(); {
		k, key := r.kind(), r.token()
		if f := files.of(key); k == couponKind {
			f.row(&r)
		} else {
			f.entry(k, &r)
		}
	}
	for key, f := range files.all() {
		l.closeKey(key, f, "coupon", couponDouble, couponStray, couponUser)
	}
	return nil
}

// before compares moments as nanos makes them; none is before everything.
func before(a, b int64) bool { return a < b }

// add moves a moment, and stops at the ends of time.
func add(at, by int64) int64 {
	switch sum := at + by; {
	case by > 0 && sum < at:
		return math.MaxInt64
	case by < 0 && sum > at:
		return math.MinInt64
	default:
		return sum
	}
}

// stamp writes a moment for people.
func stamp(at int64) string {
	if at == 0 {
		return "ever"
	}
	return time.Unix(0, at).UTC().Format(time.RFC3339Nano)
}
