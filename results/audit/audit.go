// Package audit holds the ledger, which is what shoppers were promised, against
// the backend's own books. A fast answer that lost the order is worse than a
// slow one, and only this comparison finds it.
//
// It is pure: both sides come as sequences, and neither needs an order. What
// can't be decided (the order stands in the books, but the answer that promised
// it was lost on its way) is a class of its own: never a violation, never
// silently fine.
//
// Memory is proportional to the ledger and does not depend on the books. Each
// invariant looks at one key or at one order id and at nothing else, so both
// sides can be split by a hash of the key, and once more by a hash of the id,
// audited part by part, and the counts added up. Ten million entries will need
// that; today one map for each does.
package audit

import (
	"cmp"
	"fmt"
	"iter"

	"github.com/flashcrowd/flashcrowd/results"
)

// The invariants, by the names that findings carry.
const (
	Missing     = "every promised order is in the books"
	Unpromised  = "no order is booked that nobody was promised"
	DoubleKey   = "no key has two orders"
	Shared      = "no order is promised under two keys"
	Repromised  = "no key is promised two orders"
	OtherKey    = "a booked order has the key it was placed with"
	OtherAmount = "a booked order has the amount that was promised"
)

// Invariants lists the names of what Orders checks, in the order of findings.
func Invariants() []string {
	return []string{Missing, Unpromised, DoubleKey, Shared, Repromised, OtherKey, OtherAmount}
}

// Orders holds the orders of a ledger against the books; promises of coupons
// are passed over. The caller sets the Source of what it returns.
//
// A promise heard twice, with the same key and the same id, is what an
// idempotent backend answers: it counts as one. The order of either sequence
// changes nothing, nor does it matter which promise of several comes first.
//
// An error of either sequence ends the audit: half of the books prove nothing.
//
// lost says whether an entry of the ledger with that key may have been lost,
// with a worker that died before it could report: an order that only such a
// key explains is undecided. It is nil when every worker reported to its end.
func Orders(ledger iter.Seq2[results.Promise, error], books iter.Seq2[Order, error], lost func(key string) bool) (*results.Audit, error) {
	a := auditor{lost: lost, orders: map[string]*order{}, keys: map[string]*intent{}, findings: findings{}}
	for p, err := range ledger {
		if err != nil {
			return nil, fmt.Errorf("read the ledger: %w", err)
		}
		if p.Kind == results.OrderPromise && p.Denied == results.NotDenied {
			a.promise(p)
		}
	}
	for o, err := range books {
		if err != nil {
			return nil, fmt.Errorf("read the books: %w", err)
		}
		a.book(o)
	}
	a.close()
	return &a.result, nil
}

// An order is one that the ledger knows.
type order struct {
	terms        terms  // the least of those promised
	shared       bool   // promised under several keys
	contradicted bool   // promised with several amounts
	rows, agree  uint32 // booked with its id, and how many of these keep the terms
}

// terms are what a promise says about its order.
type terms struct {
	key, currency string
	amount        int64
}

func (t terms) compare(u terms) int {
	return cmp.Or(cmp.Compare(t.key, u.key), cmp.Compare(t.currency, u.currency), cmp.Compare(t.amount, u.amount))
}

func (t terms) money() string { return fmt.Sprintf("%d %s", t.amount, t.currency) }

// An intent is what became of one key.
type intent struct {
	id    string // the order promised, the least if several; empty if every answer was lost
	twice bool   // several orders were promised
	lost  bool   // an answer was lost
	rows  uint32 // booked with this key
	stray string // booked with this key, promised to nobody; the least if several
}

type auditor struct {
	lost     func(key string) bool
	orders   map[string]*order
	keys     map[string]*intent
	findings findings
	result   results.Audit
}

func (a *auditor) promise(p results.Promise) {
	k := a.keys[p.Key]
	if k == nil {
		k = &intent{}
		a.keys[p.Key] = k
	}
	if !p.Known {
		k.lost = true
		return
	}
	t := terms{p.Key, p.Currency, p.Amount}
	o := a.orders[p.ID]
	if o == nil {
		o = &order{terms: t}
		a.orders[p.ID] = o
	}
	o.shared = o.shared || t.key != o.terms.key
	o.contradicted = o.contradicted || t.amount != o.terms.amount || t.currency != o.terms.currency
	if t.compare(o.terms) < 0 {
		o.terms = t
	}
	k.twice = k.twice || k.id != "" && k.id != p.ID
	if k.id == "" || p.ID < k.id {
		k.id = p.ID
	}
}

func (a *auditor) book(b Order) {
	a.result.Booked++
	o, k := a.orders[b.ID], a.keys[b.Key]
	if k != nil {
		k.rows++
	}
	switch {
	case o != nil:
		o.rows++
		a.compare(o, b)
	case k == nil && a.lost != nil && a.lost(b.Key):
		a.result.Undecided++
	case k == nil:
		a.findings.add(Unpromised, "order %s: nobody placed one with its key %q", b.ID, b.Key)
	case k.stray == "" || b.ID < k.stray:
		k.stray = b.ID // judged when every row with this key is known
	}
}

// compare holds a row against the promise with its id.
func (a *auditor) compare(o *order, b Order) {
	t := terms{b.Key, b.Currency, b.Amount}
	if t == o.terms {
		o.agree++
		return
	}
	if t.key != o.terms.key {
		a.findings.add(OtherKey, "order %s: placed with key %s, booked with %q", b.ID, o.terms.key, t.key)
	}
	if o.terms.currency == "" { // nobody was told an amount
		o.agree++
	} else if t.amount != o.terms.amount || t.currency != o.terms.currency {
		a.findings.add(OtherAmount, "order %s: promised %s, booked %s", b.ID, o.terms.money(), t.money())
	}
}

// close judges what only the whole of both sides can tell.
func (a *auditor) close() {
	for id, o := range a.orders {
		a.result.Promised++
		if o.rows > 0 && o.agree == o.rows {
			a.result.Matched++
		}
		if o.rows == 0 {
			a.findings.add(Missing, "order %s: placed with key %s", id, o.terms.key)
		}
		if o.shared {
			a.findings.add(Shared, "order %s: key %s and others", id, o.terms.key)
		}
		if o.contradicted {
			a.findings.add(OtherAmount, "order %s: promised %s and other amounts", id, o.terms.money())
		}
	}
	for key, k := range a.keys {
		if k.twice {
			a.findings.add(Repromised, "key %s: order %s and others", key, k.id)
		}
		switch {
		case k.rows > 1:
			a.findings.add(DoubleKey, "key %s: booked %d times", key, k.rows)
		case k.stray != "" && k.lost:
			a.result.Undecided++
		case k.stray != "":
			a.findings.add(Unpromised, "order %s: its key %s was promised order %s", k.stray, key, k.id)
		}
	}
	a.result.Findings = a.findings.list()
}
