package storefront

import (
	"context"
	"crypto/rand"
	"sync"
	"sync/atomic"
	"time"
)

// Orders that were promised and are not there, that nobody placed, and that
// fail and take a coupon with them.
var orderBugs = []Bug{
	{
		"ack-before-commit",
		"answers when the transaction has the order and commits every half a second: what was not committed when it is killed is gone",
		"order-missing",
		"GitHub, 21 October 2018: seconds of acknowledged writes were not on the database that was failed over to (github.blog/2018-10-30-oct21-post-incident-analysis)",
		func(s *site) {
			e := &early{journal: s.journal}
			s.journal.committer, s.books = e, e
		},
	},
	{
		"dropped-writes",
		"answers at once, has a queue write the order, and drops what the queue has no room for",
		"order-missing",
		"RabbitMQ's x-max-length drops from the queue without a word unless overflow is reject-publish (rabbitmq.com/docs/maxlength); fire-and-forget producers in general",
		func(s *site) {
			q := &overflow{room: 4, rate: 15}
			s.look(func(l ledger, _ *tables, w *write) ledger {
				if w.deed == complete && !q.take(w.at) {
					return dropping{l}
				}
				return l
			})
		},
	},
	{
		"retry-job",
		"a job takes every 12th order for one that failed and places it again, under a key of its own",
		"order-stray",
		"duplicates days after one payment, placed by a sync command (github.com/enupal/stripe/issues/196); retries that became four orders (github.com/OpenBazaar/OpenBazaar/issues/1276)",
		func(s *site) {
			h := s.share(12)
			s.look(func(l ledger, t *tables, _ *write) ledger { return replacing{l, t, h} })
		},
	},
	{
		"declined-booked",
		"writes the order before the payment, and leaves it standing when that is declined",
		"order-stray",
		"orders are created first and paid afterwards; whoever misses the failure ships them (github.com/woocommerce/woocommerce/issues/14541)",
		func(s *site) {
			s.look(func(l ledger, _ *tables, w *write) ledger {
				if w.declined() {
					return standingOrder{l, w}
				}
				return l
			})
		},
	},
	{
		"key-cut",
		"keeps keys in a column of 32 characters, and cuts what is longer",
		"order-key",
		"MySQL without strict mode cuts what does not fit and only warns (dev.mysql.com/doc/refman/8.4/en/sql-mode.html)",
		func(s *site) {
			s.look(func(l ledger, t *tables, _ *write) ledger {
				return rewriting{l, t, `UPDATE orders SET key = substr(key, 1, 32) WHERE id = ?`, s.share(1)}
			})
		},
	},
	{
		"user-left-over",
		"books every 10th order for whoever ordered before, whose name was left in the thread",
		"order-user",
		"a thread-local user that is not cleared before the thread serves somebody else",
		func(s *site) {
			h := s.share(10)
			s.look(func(l ledger, t *tables, _ *write) ledger {
				return rewriting{l, t, `UPDATE orders SET user = coalesce((SELECT user FROM orders WHERE id < ?1 ORDER BY id DESC LIMIT 1), user) WHERE id = ?1`, h}
			})
		},
	},
	{
		"wrong-cart",
		"completes, on every 4th payment, the checkout that was opened last, whoever's it is",
		"order-user",
		"ChatGPT, 20 March 2023: a connection shared after a cancelled request gave people other people's data (openai.com/blog/march-20-chatgpt-outage); Steam, 25 December 2015: pages cached for another user",
		func(s *site) {
			h, last := s.share(4), new(atomic.Int64)
			s.look(func(l ledger, _ *tables, w *write) ledger { return crossed{l, w, h, last} })
		},
	},
	{
		"coupon-spent-first",
		"spends the coupon before the payment, and does not give it back when that is declined at once",
		"coupon-swallowed",
		"a declined card used up the coupon (github.com/awesomemotive/easy-digital-downloads/issues/3859, github.com/woocommerce/woocommerce/issues/27673)",
		func(s *site) {
			s.look(func(l ledger, _ *tables, w *write) ledger {
				if w.declined() {
					return eager{l, w}
				}
				return l
			})
		},
	},
	{
		"release-skipped",
		"makes the order void when a payment fails later, gives back the seats, and forgets the coupon",
		"coupon-swallowed",
		"coupons count as used though the order was cancelled (github.com/Adyen/adyen-magento2/issues/1089, github.com/magento/magento2/issues/19545)",
		func(s *site) { s.look(func(l ledger, _ *tables, _ *write) ledger { return forgetful{l} }) },
	},
}

// declined says that this completes a checkout whose payment fails at once.
func (w *write) declined() bool {
	return w.deed == complete && w.payment.fails && w.payment.wait == 0
}

// flushEvery is how long an early journal puts off a commit.
const flushEvery = 500 * time.Millisecond

// early is a journal that answers before it commits.
type early struct {
	*journal
	begun time.Time // the transaction that is open; zero: none
	last  atomic.Bool
}

// commit implements committer.
func (e *early) commit(batch []*operation) error {
	if e.begun.IsZero() {
		if err := e.tables.exec(e.tables.begin); err != nil {
			return err
		}
		e.begun = time.Now()
	}
	if err := e.tables.settle(time.Now(), e.seen(e.tables, &write{deed: read})); err != nil {
		return err
	}
	for _, o := range batch {
		if err := o.do(e.tables); err != nil {
			return err
		}
	}
	if time.Since(e.begun) < flushEvery && !e.last.Load() {
		return nil
	}
	e.begun = time.Time{}
	return e.tables.exec(e.tables.commit)
}

// Run implements durable. Something has to be written for a commit to come.
func (e *early) Run(ctx context.Context) error {
	nothing := func(*tables) error { return nil }
	writing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ran := make(chan error, 1)
	go func() { ran <- e.journal.Run(writing) }()
	tick := time.NewTicker(flushEvery / 4)
	defer tick.Stop()
	for {
		select {
		case err := <-ran:
			return err
		case <-tick.C:
			e.write(writing, nothing) // busy: then others commit
		case <-ctx.Done():
			e.last.Store(true)
			e.write(writing, nothing)
			stop()
			return <-ran
		}
	}
}

// An overflow is a queue that is written from at some rate.
type overflow struct {
	room, rate float64 // entries, entries a second

	mu   sync.Mutex
	fill float64
	at   time.Time
}

// take says whether there is room for one more, which is then taken.
func (q *overflow) take(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.After(q.at) {
		q.fill, q.at = max(0, q.fill-now.Sub(q.at).Seconds()*q.rate), now
	}
	if q.fill+1 > q.room {
		return false
	}
	q.fill++
	return true
}

// dropping is a ledger in which no order is written.
type dropping struct{ ledger }

func (d dropping) redeem(int64, *session, time.Time) (bool, error) { return true, nil }

func (d dropping) sell(*session) error { return nil }

// replacing places some orders again.
type replacing struct {
	ledger
	t *tables
	h *share
}

func (r replacing) sell(s *session) (err error) {
	if err = r.ledger.sell(s); err != nil || !r.h.hit() {
		return err
	}
	again := s.order()
	if again.number, err = r.number(); err != nil {
		return err
	}
	again.key, again.at = "retry-"+rand.Text(), time.Now().UnixNano()
	again.coupon, again.discount, again.amount = 0, 0, again.subtotal // it is spent
	return r.t.record(again)
}

// crossed gives some payments somebody else's session.
type crossed struct {
	ledger
	w    *write
	h    *share
	last *atomic.Int64 // the session that was opened last
}

func (c crossed) session(number int64) (session, bool, error) {
	last := c.last.Load()
	if c.w.deed != complete || last == 0 || last == number {
		return c.ledger.session(number)
	}
	other, ok, err := c.ledger.session(last)
	if err != nil || !ok || other.Status != ready || other.User == c.w.user || !c.h.hit() {
		return c.ledger.session(number)
	}
	c.w.user = other.User
	return other, true, nil
}

func (c crossed) save(s *session) error {
	opened := s.Number == 0
	err := c.ledger.save(s)
	if opened {
		c.last.Store(s.Number)
	}
	return err
}

// eager spends the coupon of a payment that will be declined.
type eager struct {
	ledger
	w *write
}

func (e eager) session(number int64) (session, bool, error) {
	s, ok, err := e.ledger.session(number)
	if err != nil || !ok || s.Status != ready || s.User != e.w.user || s.Coupon == 0 {
		return s, ok, err
	}
	spending := s
	if spending.Order, err = e.number(); err == nil {
		_, err = e.redeem(s.Coupon, &spending, e.w.at)
	}
	return s, ok, err
}

// standingOrder books the order of a payment that will be declined, and takes
// no coupon for it.
type standingOrder struct {
	ledger
	w *write
}

func (o standingOrder) session(number int64) (session, bool, error) {
	s, ok, err := o.ledger.session(number)
	if err != nil || !ok || s.Status != ready || s.User != o.w.user {
		return s, ok, err
	}
	booked := s
	booked.Status, booked.Coupon, booked.Key, booked.Paid = completed, 0, o.w.key, o.w.at.UnixNano()
	if booked.Order, err = o.number(); err == nil {
		err = o.sell(&booked)
	}
	return s, ok, err
}

// rewriting changes some orders once they are booked.
type rewriting struct {
	ledger
	t     *tables
	query string // of an order's number
	h     *share
}

func (r rewriting) sell(s *session) error {
	if err := r.ledger.sell(s); err != nil || !r.h.hit() {
		return err
	}
	_, err := r.t.conn.ExecContext(context.Background(), r.query, s.Order)
	return err
}

// forgetful is a ledger that gives no coupon back.
type forgetful struct{ ledger }

func (f forgetful) refund(s *session) error {
	without := *s
	without.Coupon = 0
	return f.ledger.refund(&without)
}
