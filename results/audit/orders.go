package audit

import (
	"cmp"
	"fmt"
	"iter"

	"github.com/flashcrowd/flashcrowd/results"
)

// orderEntry deals an entry of the ledger that is about an order: to its id if
// one was promised, to its key, and to the coupon of one that was denied.
func (l *look) orderEntry(p results.Promise) error {
	if p.Denied != results.NotDenied {
		l.buf = l.buf[:0].kind(deniedKind).text(p.Coupon).text(p.Key)
		if err := l.deal(&l.byCoupon, p.Coupon); err != nil {
			return err
		}
		l.buf = l.buf[:0].kind(deniedKind).text(p.Key).number(int64(p.Denied))
		return l.deal(&l.byKey, p.Key)
	}
	if !p.Known {
		l.buf = l.buf[:0].kind(lostKind).text(p.Key).text(l.user(p))
		return l.deal(&l.byKey, p.Key)
	}
	l.buf = l.buf[:0].kind(promisedKind).text(p.ID).text(p.Key).text(l.user(p)).text(p.Coupon).text(p.Currency).number(p.Amount).number(p.Subtotal)
	if err := l.deal(&l.byOrder, p.ID); err != nil {
		return err
	}
	l.buf = l.buf[:0].kind(promisedKind).text(p.Key).text(p.ID)
	return l.deal(&l.byKey, p.Key)
}

// user returns who asked; empty if nobody knows.
func (a *auditor) user(p results.Promise) string {
	if p.User != "" || a.Owner == nil {
		return p.User
	}
	user, _ := a.Owner(p.Key)
	return user
}

// readOrders deals the booked orders, and checks what a row says by itself.
func (a *auditor) readOrders(books iter.Seq2[Order, error]) error {
	if books == nil {
		return nil
	}
	l := look{auditor: a}
	defer l.done()
	for o, err := range books {
		if err == nil {
			err = a.ctx.Err()
		}
		if err == nil {
			err = l.order(o)
		}
		if err != nil {
			return fmt.Errorf("read the orders: %w", err)
		}
	}
	return nil
}

// order deals a row to its id and, if it is a sale, to its coupon.
func (l *look) order(o Order) error {
	l.buf = l.buf[:0].kind(orderKind).text(o.ID).text(o.Key).text(o.User).text(o.Coupon).text(o.Currency).
		number(o.Amount).number(o.Subtotal).number(o.Discount).flag(o.Void)
	if err := l.deal(&l.byOrder, o.ID); err != nil || o.Void {
		return err
	}
	l.orders.booked++
	l.found.held(sums, 1)
	if o.Amount != o.Subtotal-o.Discount || min(o.Amount, o.Subtotal, o.Discount) < 0 {
		l.found.broken(sums, 1, "order %s: subtotal %d, discount %d, amount %d", o.ID, o.Subtotal, o.Discount, o.Amount)
	}
	if s := l.seats[o.Item]; s != nil {
		s.sold += o.Quantity
	}
	if o.Coupon == "" {
		return nil
	}
	l.buf = l.buf[:0].kind(orderKind).text(o.Coupon).text(o.ID).text(o.User).text(o.Currency).number(o.Subtotal).number(o.Discount).number(nanos(o.At))
	return l.deal(&l.byCoupon, o.Coupon)
}

// terms are what a promise says about its order.
type terms struct {
	key, user, coupon, currency token
	amount, subtotal            int64
}

func (t terms) money() string { return fmt.Sprintf("%d %s", t.amount, t.currency) }

// less puts promises of one order in an order of its own, so that it does not
// matter which came first.
func (t terms) less(u terms) bool {
	for _, c := range [...][2]token{{t.key, u.key}, {t.user, u.user}, {t.coupon, u.coupon}, {t.currency, u.currency}} {
		if c[0] != c[1] {
			return c[0] < c[1]
		}
	}
	if t.amount != u.amount {
		return t.amount < u.amount
	}
	return t.subtotal < u.subtotal
}

// An orderFile is what is known of one order's id.
type orderFile struct {
	promised     bool
	terms        terms // the least of those promised
	shared       bool  // promised under several keys
	claimed      bool  // promised to several users
	contradicted bool  // promised with several amounts
	rows, sales  uint32
	differs      bool // a sale is not what was promised
}

// promise adds one. What it does not tell, another may have told.
func (f *orderFile) promise(t terms) {
	if !f.promised {
		f.promised, f.terms = true, t
		return
	}
	old := &f.terms
	if t.coupon == none {
		t.coupon = old.coupon
	} else if old.coupon == none {
		old.coupon = t.coupon
	}
	if t.currency == none {
		t.currency, t.amount, t.subtotal = old.currency, old.amount, old.subtotal
	} else if old.currency == none {
		old.currency, old.amount, old.subtotal = t.currency, t.amount, t.subtotal
	}
	if t.currency == old.currency && t.amount == old.amount {
		t.subtotal, old.subtotal = cmp.Or(t.subtotal, old.subtotal), cmp.Or(old.subtotal, t.subtotal)
	}
	f.shared = f.shared || t.key != old.key
	f.claimed = f.claimed || t.user != old.user && t.user != none && old.user != none
	f.contradicted = f.contradicted || t.amount != old.amount || t.currency != old.currency || t.subtotal != old.subtotal
	if t.less(*old) {
		*old = t
	}
}

// ordersPile looks at what shares an order's id, and deals the sales to their keys.
func (l *look) ordersPile(all string) error {
	files := newFiles[orderFile](len(all) / 80)
	for r := reader(all); r.more(); {
		kind, id := r.kind(), r.token()
		f := files.of(id)
		if kind == orderKind {
			f.rows++
			r.skip(4, 3)
			r.flag()
			continue
		}
		t := terms{key: r.token(), user: r.token(), coupon: r.token(), currency: r.token(), amount: r.number(), subtotal: r.number()}
		f.promise(t)
	}
	for r := reader(all); r.more(); {
		kind, id := r.kind(), r.token()
		if kind != orderKind {
			r.skip(4, 2)
			continue
		}
		b := terms{key: r.token(), user: r.token(), coupon: r.token(), currency: r.token(), amount: r.number(), subtotal: r.number()}
		discount, void := r.number(), r.flag()
		if void {
			continue
		}
		f := files.of(id)
		f.sales++
		if f.promised {
			l.compare(id, f, b, discount)
		}
		l.buf = l.buf[:0].kind(orderKind).raw(b.key).raw(id).stray(f.promised, b.user)
		if err := l.deal(&l.byKey, b.key.String()); err != nil {
			return err
		}
	}
	for id, f := range files.all() {
		l.closeOrder(id, f)
	}
	return nil
}

// compare holds a sale against the promise of its id.
func (l *look) compare(id token, f *orderFile, b terms, discount int64) {
	differs := func(v invariant, format string, args ...any) {
		l.found.broken(v, 1, format, args...)
		f.differs = true
	}
	t := f.terms
	if b.key != t.key && !f.shared && !l.lacks[OrderKey] {
		differs(orderKey, "order %s: placed with key %s, booked with %q", id, t.key, b.key)
	}
	if t.user != none && !l.lacks[OrderUser] {
		if l.found.held(orderUser, 1); b.user != t.user {
			differs(orderUser, "order %s: placed by %s, booked to %q", id, t.user, b.user)
		}
	}
	if t.coupon != none && !l.lacks[OrderCoupon] {
		if l.found.held(orderCoupon, 1); b.coupon != t.coupon {
			differs(orderCoupon, "order %s: told that coupon %s was redeemed, booked with %q", id, t.coupon, b.coupon)
		}
	}
	if t.currency == none || f.contradicted { // nobody was told an amount, or it is a finding already
		return
	}
	l.found.held(orderAmount, 1)
	switch off := t.subtotal - t.amount; {
	case b.amount != t.amount && !l.lacks[OrderAmount], b.currency != t.currency && !l.lacks[OrderCurrency]:
		differs(orderAmount, "order %s: promised %s, booked %s", id, t.money(), b.money())
	case t.subtotal == 0: // nor of discounts
	case b.subtotal != t.subtotal && !l.lacks[OrderSubtotal]:
		differs(orderAmount, "order %s: promised a subtotal of %d %s, booked %d", id, t.subtotal, t.currency, b.subtotal)
	case discount != off && !l.lacks[OrderDiscount]:
		differs(orderAmount, "order %s: promised a discount of %d %s, booked %d", id, off, t.currency, discount)
	}
}

// closeOrder judges what only all records of an id can tell.
func (l *look) closeOrder(id token, f *orderFile) {
	if f.rows > 0 {
		if l.found.held(idDouble, uint64(f.rows)); f.rows > 1 {
			l.found.broken(idDouble, uint64(f.rows-1), "order %s: in the books %d times", id, f.rows)
		}
	}
	if !f.promised {
		return
	}
	l.orders.promised++
	l.found.held(orderMissing, 1)
	l.found.held(orderKey, 1)
	switch {
	case f.sales == 0 && f.rows > 0:
		l.found.broken(orderMissing, 1, "order %s: placed with key %s, void in the books", id, f.terms.key)
	case f.sales == 0:
		l.found.broken(orderMissing, 1, "order %s: placed with key %s", id, f.terms.key)
	case f.sales == 1 && f.claimed: // it can be one user's only, and what the others were promised is nowhere
		l.found.broken(orderMissing, 1, "order %s: promised to %s with key %s and to others, in the books once", id, f.terms.user, f.terms.key)
	}
	if f.shared {
		l.found.broken(orderKey, 1, "order %s: promised under key %s and others", id, f.terms.key)
	}
	if f.contradicted {
		l.found.broken(orderAmount, 1, "order %s: promised %s and other amounts", id, f.terms.money())
	}
	if f.sales == 1 && f.rows == 1 && !f.shared && !f.contradicted && !f.differs {
		l.orders.matched++
	}
}

// A keyFile is what is known of one key: of an order or of a claim.
type keyFile struct {
	id     token // promised, the least if several; empty if none was
	twice  bool  // several were promised
	lost   bool  // an answer was lost
	asked  token // by whom it was asked for, where an answer was lost
	denied results.Denial
	rows   uint32
	stray  token // a row that nobody was promised, the least if several
	of     token // whose that is
	strays uint32
}

// entry adds an entry of the ledger.
func (f *keyFile) entry(k kind, r *reader) {
	switch k {
	case promisedKind:
		id := r.token()
		f.twice = f.twice || f.id != "" && f.id != id
		f.id = lesser(f.id, id)
	case lostKind:
		f.lost, f.asked = true, max(f.asked, r.token())
	case deniedKind:
		f.denied = max(f.denied, results.Denial(r.number()))
	}
}

// row adds a row of the books.
func (f *keyFile) row(r *reader) {
	f.rows++
	id := r.token()
	if promised := r.flag(); promised {
		return
	}
	f.strays++
	if of := r.token(); f.stray == "" || id < f.stray {
		f.stray, f.of = id, of
	}
}

// lesser returns the lesser of two tokens; an empty one is none.
func lesser(a, b token) token {
	if a == "" {
		return b
	}
	return min(a, b)
}

// keysPile looks at what shares the key of an order.
func (l *look) keysPile(all string) error {
	files := newFiles[keyFile](len(all) / 40)
	for r := reader(all); r.more(); {
		k, key := r.kind(), r.token()
		if f := files.of(key); k == orderKind {
			f.row(&r)
		} else {
			f.entry(k, &r)
		}
	}
	for key, f := range files.all() {
		l.closeKey(key, f, "order", keyDouble, orderStray, orderUser)
	}
	return nil
}

// closeKey judges what only all records of a key can tell. An empty key is
// nobody's, and has as many rows as there are without one.
func (l *look) closeKey(key token, f *keyFile, what string, double, stray, user invariant) {
	l.found.held(stray, uint64(f.rows))
	if key != none {
		l.found.held(double, 1)
	}
	switch {
	case f.rows > 1 && key != none:
		l.found.broken(double, 1, "key %s: %d booked", key, f.rows)
	case f.twice:
		l.found.broken(double, 1, "key %s: promised %s %s and others", key, what, f.id)
	}
	known := f.id != "" || f.lost || f.denied != results.NotDenied
	switch {
	case f.strays == 0, f.rows > 1 && known && key != none: // none, or a finding already
	case f.lost:
		l.found.undecided(stray, "%s %s: the answer to its key %s was lost", what, f.stray, key)
		if f.asked != none { // whose it must be is known all the same
			if l.found.held(user, 1); f.of != f.asked {
				l.found.broken(user, 1, "%s %s: asked for by %s with key %s, booked to %q", what, f.stray, f.asked, key, f.of)
			}
		}
	case f.id != "":
		l.found.broken(stray, 1, "%s %s: its key %s was promised %s %s", what, f.stray, key, what, f.id)
	case f.denied != results.NotDenied:
		l.found.broken(stray, 1, "%s %s: its key %s was told %q", what, f.stray, key, f.denied)
	case l.Lost != nil && l.Lost(key.String()):
		for range f.strays {
			l.found.undecided(stray, "%s %s: its key %s may be of a shopper whose worker was lost", what, f.stray, key)
		}
	default:
		l.found.broken(stray, uint64(f.strays), "%s %s: nobody asked for one with its key %q", what, f.stray, key)
	}
}
