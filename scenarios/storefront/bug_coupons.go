package storefront

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Coupons that are redeemed twice, by somebody else, or when they are not valid.
var couponBugs = []Bug{
	{
		"codes-from-replica",
		"takes the next free code from a replica that lags by 30 ms, so that two claims get the same one, and asks the replica, too, whether a code is spent",
		"redeemed-twice",
		"Magento: a coupon for one use was used by all who placed their orders at once (github.com/magento/magento2/issues/38017, github.com/OpenMage/magento-lts/issues/1408); nopCommerce: CVE-2024-58248",
		func(s *site) {
			p := &pool{lag: 30 * time.Millisecond}
			s.coupons = claims{s.coupons, p.claim}
			s.look(func(l ledger, t *tables, w *write) ledger { return bearer{l, t, w} })
		},
	},
	{
		"freed-twice",
		"puts the code of a repeated claim back among the free ones, though the first claim has it, and again when it was spent",
		"redeemed-twice",
		"a double free: what two paths give back is given out twice; Starbucks gift cards paid twice when moved twice at once (E. Homakov, 2015)",
		func(s *site) {
			p := &pool{free: true}
			s.coupons = claims{s.coupons, p.claim}
			s.look(func(l ledger, t *tables, w *write) ledger { return bearer{l, t, w} })
		},
	},
	{
		"claims-crossed",
		"answers every 4th claim with the code of the claim before, and whoever has a code may spend it",
		"redeemed-owner",
		"ChatGPT, 20 March 2023: a reply left in a shared connection went to the next request (openai.com/blog/march-20-chatgpt-outage)",
		func(s *site) {
			p := &pool{crossed: s.share(4)}
			s.coupons = claims{s.coupons, p.claim}
			s.look(func(l ledger, t *tables, w *write) ledger { return bearer{l, t, w} })
		},
	},
	{
		"discount-cached",
		"remembers for half a second which coupon a cart is paid with, by what is in it and not by whose it is",
		"redeemed-owner",
		"Steam, 25 December 2015: pages of one user cached for all (store.steampowered.com/news/19852)",
		func(s *site) {
			held := map[string]cached{} // by what is in the cart; the writer's alone
			s.look(func(l ledger, t *tables, _ *write) ledger { return hoard{l, t, held} })
		},
	},
	{
		"released-in-use",
		"a job takes every 8th order for an abandoned cart and frees its coupon, which is spent",
		"redeemed-books",
		"releasing by age and not by state: carts that time out while they are paid",
		func(s *site) {
			h := s.share(8)
			s.look(func(l ledger, t *tables, _ *write) ledger {
				return rewriting{l, t, `UPDATE coupons SET spent_on = NULL, redeemed = NULL, redeemer = NULL WHERE spent_on = ?`, h}
			})
		},
	},
	{
		"validity-in-local-time",
		"reads the end of a coupon's validity as UTC, though it is Beijing's time: it ends eight hours late",
		"redeemed-validity",
		"coupons that ended hours early or late for their zone (github.com/mitodl/mitxpro/issues/991, github.com/awesomemotive/easy-digital-downloads/issues/7492)",
		func(s *site) {
			s.look(func(l ledger, t *tables, _ *write) ledger { return lasting{l, t, 8 * time.Hour} })
		},
	},
	{
		"validity-at-apply",
		"checks the validity when a code is applied and not when the order is paid, and a payment takes a second",
		"redeemed-validity",
		"a coupon is checked when it is added to the cart (github.com/woocommerce/woocommerce/issues/17736)",
		func(s *site) {
			s.checkout = &slowPayer{s.checkout}
			s.look(func(l ledger, t *tables, w *write) ledger {
				if w.deed == complete {
					return lasting{l, t, 365 * 24 * time.Hour}
				}
				return l
			})
		},
	},
}

// A pool hands out codes that somebody has already.
type pool struct {
	lag     time.Duration // for so long after a claim, the same code is free
	free    bool          // the code of a repeated claim is free
	crossed *share        // claims that get the code of the claim before

	mu     sync.Mutex
	last   int64 // the code that was handed out last, to whom and when
	holder string
	at     time.Time
	given  map[string]int64 // by request
	freed  []int64
}

func (p *pool) claim(ctx context.Context, c claim, right coupons) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.given == nil {
		p.given = map[string]int64{}
	}
	if number, again := p.given[c.request]; again {
		if p.free && !slices.Contains(p.freed, number) {
			p.freed = append(p.freed, number)
		}
		return number, nil
	}
	number := int64(0)
	switch others := p.last != 0 && p.holder != c.user; {
	case others && time.Since(p.at) < p.lag, others && p.crossed != nil && p.crossed.hit():
		number = p.last
	case len(p.freed) > 0:
		number, p.freed = p.freed[0], p.freed[1:]
	default:
		var err error
		if number, err = right.Claim(ctx, c); err != nil {
			return 0, err
		}
		p.last, p.holder, p.at = number, c.user, time.Now()
	}
	p.given[c.request] = number
	return number, nil
}

// bearer is a ledger in which a code is whoever's brings it, also when it is
// spent.
type bearer struct {
	ledger
	t *tables
	w *write
}

func (b bearer) coupon(number int64) (coupon, bool, error) {
	c, ok, err := b.ledger.coupon(number)
	c.user, c.order = b.w.user, 0
	return c, ok, err
}

func (b bearer) redeem(number int64, on *session, at time.Time) (bool, error) {
	c, ok, err := b.coupon(number)
	if err != nil || !ok || !c.valid(at) {
		return false, err
	}
	return true, b.t.spendAnyway(number, on, at)
}

// spendAnyway redeems a coupon, whoever's and however.
func (t *tables) spendAnyway(number int64, on *session, at time.Time) error {
	_, err := t.conn.ExecContext(context.Background(),
		`UPDATE coupons SET spent_on = ?, redeemed = ?, redeemer = ? WHERE id = ?`, on.Order, at.UnixNano(), on.User, number)
	return err
}

// hoard is a ledger that remembers which coupon a cart was paid with.
type hoard struct {
	ledger
	t    *tables
	held map[string]cached
}

// cached is the coupon that a cart like it was paid with, and when.
type cached struct {
	number int64
	at     time.Time
}

func (h hoard) redeem(number int64, on *session, at time.Time) (bool, error) {
	cart := fmt.Sprint(on.Lines)
	if c, ok := h.held[cart]; ok && at.Sub(c.at) < 500*time.Millisecond {
		return true, h.t.spendAnyway(c.number, on, at)
	}
	h.held[cart] = cached{number, at}
	return h.ledger.redeem(number, on, at)
}

// lasting is a ledger in which coupons are valid for longer.
type lasting struct {
	ledger
	t  *tables
	by time.Duration
}

func (l lasting) coupon(number int64) (coupon, bool, error) {
	c, ok, err := l.ledger.coupon(number)
	c.until += int64(l.by)
	return c, ok, err
}

func (l lasting) redeem(number int64, on *session, at time.Time) (bool, error) {
	c, ok, err := l.coupon(number)
	if err != nil || !ok || c.order != 0 || c.user != on.User || !c.valid(at) {
		return false, err
	}
	return true, l.t.spendAnyway(number, on, at)
}

// A slowPayer takes a second from the click to the payment.
type slowPayer struct{ checkout }

func (p *slowPayer) Write(ctx context.Context, w write) (answer, error) {
	if w.deed == complete {
		if err := sleep(ctx, time.Second); err != nil {
			return answer{}, err
		}
		w.at = time.Now()
	}
	return p.checkout.Write(ctx, w)
}
