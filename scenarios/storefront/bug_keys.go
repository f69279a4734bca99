package storefront

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Two orders for one key. In each of these shops the key is all that keeps a
// payment from being taken twice: who writes orders does not ask whether the
// checkout has one.
var keyBugs = []Bug{
	{
		"keys-in-memory",
		"remembers keys in memory alone: after a restart a repeated payment is a second order",
		"key-double",
		"a cache without persistence as the only place of the keys; Stripe keeps them for a day at least (docs.stripe.com/api/idempotent_requests)",
		func(s *site) { s.checkout = newDesk(s, 1) },
	},
	{
		"keys-per-process",
		"remembers keys in each of two processes by itself, and requests come to the two in turn",
		"key-double",
		"asked of Stripe when it presented its keys: what if the request comes to another server? (news.ycombinator.com/item?id=13707681)",
		func(s *site) { s.checkout = newDesk(s, 2) },
	},
	{
		"key-after-work",
		"looks a key up before the payment and remembers it after; every 6th payment takes 3 s, and whoever asks again meanwhile pays again",
		"key-double",
		"a timeout of 3 s and a second try while the first was under way: 34 double orders in a morning (iamanuragh.in/blog/2026-02-25-idempotency-keys-stop-duplicate-orders-production)",
		func(s *site) {
			d, slow := newDesk(s, 1), s.share(6)
			d.pay = func(ctx context.Context) error {
				if !slow.hit() {
					return nil
				}
				return sleep(context.WithoutCancel(ctx), 3*time.Second) // it goes on without the client
			}
			s.checkout = d
		},
	},
	{
		"replay-with-another-body",
		"takes a key with another body for another request, and a proxy stamps each body with its time of arrival",
		"key-double",
		"keys stored as a hash of key and body; the draft standard has a server refuse such a replay (datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header, 2.7)",
		func(s *site) {
			d := newDesk(s, 1)
			d.stamped = true
			s.checkout = d
		},
	},
}

// A desk takes payments. It keeps their keys itself, in memory.
type desk struct {
	checkout
	journal *journal
	pay     func(context.Context) error // nil: at once
	stamped bool                        // no body comes twice

	mu        sync.Mutex
	turn      int
	processes []map[string]settledKey
}

// settledKey is what became of a key.
type settledKey struct {
	fingerprint fingerprint
	answer      answer
}

func newDesk(s *site, processes int) *desk {
	d := &desk{checkout: s.checkout, journal: s.journal}
	for range processes {
		d.processes = append(d.processes, map[string]settledKey{})
	}
	return d
}

func (d *desk) Write(ctx context.Context, w write) (answer, error) {
	if w.deed != complete {
		return d.checkout.Write(ctx, w)
	}
	d.mu.Lock()
	process := d.processes[d.turn%len(d.processes)]
	d.turn++
	known, ok := process[w.key]
	d.mu.Unlock()
	switch {
	case ok && known.fingerprint == w.fingerprint && !d.stamped:
		return known.answer, nil
	case ok && !d.stamped:
		return answer{}, errConflict
	}
	if d.pay != nil {
		if err := d.pay(ctx); err != nil {
			return answer{}, err
		}
	}
	a, err := d.book(context.WithoutCancel(ctx), w)
	if err == nil && a.Failure == nil {
		d.mu.Lock()
		process[w.key] = settledKey{w.fingerprint, a}
		d.mu.Unlock()
	}
	return a, err
}

// book carries out w without asking for its key.
func (d *desk) book(ctx context.Context, w write) (answer, error) {
	got := make(chan answer, 1)
	err := d.journal.write(ctx, func(t *tables) error {
		a, err := decide(&w, &afresh{ledger: d.journal.seen(t, &w)})
		keepLast(got, a)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	return <-got, nil
}

// afresh is a ledger in which no session was ever completed.
type afresh struct {
	ledger
	before int64 // the order that the session had
}

func (l *afresh) session(number int64) (session, bool, error) {
	s, ok, err := l.ledger.session(number)
	if s.Status == completed {
		s.Status, l.before = ready, s.Order
	}
	return s, ok, err
}

// redeem takes a coupon that is spent on the same session for reserved.
func (l *afresh) redeem(number int64, on *session, at time.Time) (bool, error) {
	c, ok, err := l.coupon(number)
	if err == nil && ok && l.before != 0 && c.order == l.before {
		return true, nil
	}
	redeemed, again := l.ledger.redeem(number, on, at)
	return redeemed, errors.Join(err, again)
}

// sleep waits so long, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
