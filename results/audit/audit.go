// Package audit holds the ledger, which is what shoppers were told, against the
// backend's own books. A fast answer that lost the order is worse than a slow
// one, and only this comparison finds it.
//
// It is pure: both sides come as sequences, and neither needs an order. What is
// looked at together is dealt into piles by a hash of what it shares (an order's
// id, a key, a coupon's id, a user), and audited pile by pile. A pile that grows
// goes to a scratch file, so that memory does not grow with the books.
//
// Each invariant holds, is broken, or could not be checked, and says so. What
// can't be decided (the answer was lost on its way, the worker that heard it
// died, two clocks do not agree well enough) is counted apart: never a finding,
// never silently fine.
//
// Where a moment matters, a no is held against the whole time from its request
// to its answer: it is false only if it was false at every moment of it.
package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"runtime"
	"sync"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// Options are what an audit knows beside ledger and books. The zero value
// checks what can be checked without.
type Options struct {
	Source string // the books, as a report names them

	// Started is the wall clock at plan time 0. Without it no moment of the
	// ledger can be held against one of the books.
	Started time.Time
	// Skew is how far two clocks may be apart: the shoppers' and the backend's,
	// or those of two of its machines. What is decided by less is undecided.
	Skew time.Duration
	// Stock is the one that the shoppers claim from; where books have a single
	// stock it need not be said.
	Stock string
	// Owner returns whose key it is, as the backend knows its users; false for
	// a key that is nobody's of this crowd.
	Owner func(key string) (user string, ours bool)
	// Lost says whether an entry with that key may have been lost, with a worker
	// that died before it could report: what only such a key explains is
	// undecided. It is nil when every worker reported to its end.
	Lost func(key string) bool
	// Mix is who was planned and who came; nil if nobody knows. Unseen counts
	// the shoppers of the plan whose end nobody reported.
	Mix    []Share
	Unseen uint64
	// Scratch opens a file for what does not fit in memory; nil keeps it there:
	// some 250 bytes for each entry and row.
	Scratch func() (Scratch, error)

	block int // bytes of a pile before they go to scratch; 0: blockSize
}

// A Share is how many shoppers of one kind were planned, and how many ended.
type Share struct {
	Of             string // journey order, persona patient
	Planned, Ended uint64
}

// Run holds a ledger against books. It reads each of the sequences once, the
// ledger and the books at the same time, and returns what every invariant came
// to; a broken one is no error.
//
// An error of any sequence ends the audit: half of the books prove nothing. So
// does the end of the context, and scratch that is full.
func Run(ctx context.Context, ledger iter.Seq2[results.Promise, error], books Books, o Options) (_ *results.Audit, err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	a := &auditor{
		Options: o, ctx: ctx, stop: stop, seed: maphash.MakeSeed(), stocks: map[string]*stock{}, seats: map[string]*seating{},
		scratch: scratch{open: o.Scratch, block: cmp.Or(o.block, blockSize)},
	}
	defer func() { err = errors.Join(err, a.scratch.close()) }()
	a.tell(books)
	if err := a.readTerms(books); err != nil {
		return nil, err
	}
	var reading sync.WaitGroup
	reading.Go(func() { a.failed(a.readLedger(ledger)) })
	reading.Go(func() { a.failed(errors.Join(a.readOrders(books.Orders), a.readCoupons(books.Coupons))) })
	reading.Wait()
	a.closeStocks()
	for _, v := range []struct {
		piles *view
		look  func(*look, string) error
	}{
		{&a.byOrder, (*look).ordersPile}, {&a.byKey, (*look).keysPile},
		{&a.byCoupon, (*look).couponsPile}, {&a.byClaim, (*look).claimsPile},
		{&a.byUser, (*look).usersPile}, {&a.soldOut, (*look).soldOutPile},
	} {
		a.each(v.piles, v.look)
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return a.result(books), nil
}

// An auditor is an audit that is going on.
type auditor struct {
	Options
	ctx     context.Context
	stop    context.CancelCauseFunc
	seed    maphash.Seed
	scratch scratch
	lacks   map[Field]bool // of the books, whole tables too

	byOrder, byKey, byCoupon, byClaim, byUser, soldOut view

	stocks map[string]*stock // by id; read by all, written by the books' reader alone
	seats  map[string]*seating

	mu    sync.Mutex
	found tally
	orders
}

// orders are the figures of an audit.
type orders struct{ promised, booked, matched uint64 }

// failed ends the audit with its first error.
func (a *auditor) failed(err error) {
	if err != nil {
		a.stop(err)
	}
}

// tell notes what the books lack, so that nothing is asked of it.
func (a *auditor) tell(b Books) {
	a.lacks = map[Field]bool{ordersTable: b.Orders == nil, couponsTable: b.Coupons == nil, stocksTable: b.Stocks == nil, seatsTable: b.Seatings == nil}
	for _, f := range b.Lacks {
		a.lacks[f] = true
	}
}

// A look is one processor's work on piles: what it finds is its own until the
// piles are done.
type look struct {
	*auditor
	found  tally
	buf    record
	orders orders
}

// deal puts what l.buf holds into a view.
func (l *look) deal(v *view, name string) error {
	return v.add(&l.scratch, l.seed, name, l.buf)
}

// each looks at every pile of a view, on all processors.
func (a *auditor) each(v *view, at func(*look, string) error) {
	next := make(chan *pile)
	var looking sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		looking.Go(func() {
			l := look{auditor: a}
			for p := range next {
				all, err := p.take(&a.scratch)
				if err == nil {
					err = at(&l, all)
				}
				a.failed(err)
			}
			l.done()
		})
	}
	for i := range v {
		if a.ctx.Err() != nil {
			break
		}
		if !v[i].empty() {
			next <- &v[i]
		}
	}
	close(next)
	looking.Wait()
}

// done adds what was found to the audit's.
func (l *look) done() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.auditor.found.add(&l.found)
	o := &l.auditor.orders
	o.promised, o.booked, o.matched = o.promised+l.orders.promised, o.booked+l.orders.booked, o.matched+l.orders.matched
}

// readLedger deals the entries.
func (a *auditor) readLedger(ledger iter.Seq2[results.Promise, error]) error {
	l := look{auditor: a}
	defer l.done()
	for p, err := range ledger {
		if err == nil {
			err = a.ctx.Err()
		}
		if err == nil && p.Kind == results.OrderPromise {
			err = l.orderEntry(p)
		} else if err == nil {
			err = l.couponEntry(p)
		}
		if err != nil {
			return fmt.Errorf("read the ledger: %w", err)
		}
	}
	return nil
}

// result puts together what was found.
func (a *auditor) result(b Books) *results.Audit {
	for _, s := range a.Mix {
		a.found.held(mix, s.Planned)
		switch {
		case s.Ended > s.Planned:
			a.found.broken(mix, s.Ended-s.Planned, "%s: %d came, planned were %d", s.Of, s.Ended, s.Planned)
		case s.Planned-s.Ended > a.Unseen:
			a.found.broken(mix, s.Planned-s.Ended-a.Unseen, "%s: %d came, planned were %d, and only %d of all did not come or end", s.Of, s.Ended, s.Planned, a.Unseen)
		case s.Planned > s.Ended:
			a.found.undecided(mix, "%s: %d of %d did not come or end", s.Of, s.Planned-s.Ended, s.Planned)
		}
	}
	r := &results.Audit{Source: a.Source, Promised: a.promised, Booked: a.booked, Matched: a.matched, Checks: a.found.checks(b, a.Options)}
	for _, c := range r.Checks {
		r.Undecided += c.Undecided
	}
	return r
}
