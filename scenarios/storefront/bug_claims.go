package storefront

import (
	"context"
	"fmt"
	"hash/fnv"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Coupons beyond the stock and beyond a user's limit, and claims that are told
// no for no reason.
var claimBugs = []Bug{
	{
		"stock-check-then-act",
		"reads what is left, asks the risk service for 250 ms, then issues",
		"stock-over",
		"Warszawski and Bailis, ACIDRain (SIGMOD 2017): 22 such races in 12 shops; a limit of 1,000 uses passed in silence (github.com/shopperlabs/shopper/issues/510)",
		func(s *site) {
			s.counting("coupons", func(ctx context.Context, t tally, c claim) (bool, error) {
				left, err := t.left(ctx)
				if err == nil && left > 0 {
					err = sleep(ctx, 250*time.Millisecond)
				}
				return left > 0, err
			})
		},
	},
	{
		"stock-cached",
		"compares with a count of the stock that is read every minute",
		"stock-over",
		"a counter in a cache, brought up to date by a job: the usual way to keep a hot row out of the way; Magento's salable quantity follows its index (github.com/magento/magento2/issues/31117)",
		func(s *site) {
			var mu sync.Mutex
			var left int64
			var read time.Time
			s.counting("coupons", func(ctx context.Context, t tally, c claim) (_ bool, err error) {
				mu.Lock()
				defer mu.Unlock()
				if time.Since(read) > time.Minute {
					left, err = t.left(ctx)
					read = time.Now()
				}
				return left > 0, err
			})
		},
	},
	{
		"limit-cached",
		"counts a user's coupons when they first claim, and remembers the number for a minute",
		"user-over",
		"a limit that is checked at one time and holds at another: one coupon for each user, in two carts (github.com/woocommerce/woocommerce/issues/12096)",
		func(s *site) {
			var mu sync.Mutex
			had := map[string]int64{}
			s.counting("per_user", func(ctx context.Context, t tally, c claim) (_ bool, err error) {
				mu.Lock()
				defer mu.Unlock()
				n, ok := had[c.user]
				if !ok {
					n, err = t.has(ctx, c.user)
					had[c.user] = n
				}
				return n < s.options.PerUser, err
			})
		},
	},
	{
		"limit-per-process",
		"counts a user's coupons in each of two processes by itself, and claims come to the two in turn",
		"user-over",
		"limits in the memory of a process hold for the process: Express's rate limiter warns of its default store (express-rate-limit.mintlify.app/reference/stores)",
		func(s *site) {
			var mu sync.Mutex
			turn := 0
			processes := [2]map[string]int64{{}, {}}
			s.counting("per_user", func(_ context.Context, _ tally, c claim) (bool, error) {
				mu.Lock()
				defer mu.Unlock()
				turn++
				had := processes[turn%2]
				had[c.user]++
				return had[c.user] <= s.options.PerUser, nil
			})
		},
	},
	{
		"claims-dropped",
		"hands out every 10th code from a batch in memory, and forgets to write it down",
		"coupon-missing",
		"numbers are taken in batches and acknowledged before they are stored: whatever is not written later never was",
		func(s *site) {
			h, next := s.share(10), new(atomic.Int64)
			var mu sync.Mutex
			batch := map[string]int64{} // by request
			s.coupons = claims{s.coupons, func(ctx context.Context, c claim, right coupons) (int64, error) {
				mu.Lock()
				number := batch[c.request]
				if number == 0 && h.hit() {
					number = 1<<30 + next.Add(1)
					batch[c.request] = number
				}
				mu.Unlock()
				if number != 0 {
					return number, nil
				}
				return right.Claim(ctx, c)
			}}
		},
	},
	{
		"claims-without-key",
		"issues another coupon when a claim is repeated",
		"coupon-double",
		"the double click on a claim: the request number is stored and not looked up",
		func(s *site) {
			var repeats atomic.Int64
			s.coupons = claims{s.coupons, func(ctx context.Context, c claim, right coupons) (int64, error) {
				key := c.request
				c.request += fmt.Sprint("#", repeats.Add(1))
				number, err := right.Claim(ctx, c)
				if err == nil {
					err = s.journal.write(ctx, func(t *tables) error {
						_, err := t.conn.ExecContext(context.Background(), `UPDATE coupons SET request = ? WHERE id = ?`, key, number)
						return err
					})
				}
				return number, err
			}}
		},
	},
	{
		"sold-out-by-shard",
		"divides the stock among eight shards by user, and says that it is used up when one of them is empty",
		"false-sold-out",
		"a hot counter split into shards, without rebalancing",
		func(s *site) {
			var mu sync.Mutex
			var issued [8]int64
			seen := map[string]bool{}
			s.coupons = claims{s.coupons, func(ctx context.Context, c claim, right coupons) (int64, error) {
				issued := &issued[shard(c.user, 8)]
				mu.Lock()
				defer mu.Unlock()
				if !seen[c.request] && *issued >= s.options.Stock/8 {
					return 0, soldOut
				}
				number, err := right.Claim(ctx, c)
				if err == nil && !seen[c.request] {
					seen[c.request] = true
					*issued++
				}
				return number, err
			}}
		},
	},
	{
		"repeats-counted",
		"takes one off the stock for every request, also for one that is repeated or refused",
		"false-sold-out",
		"decrement first, check afterwards, never put back: the counter of the usual flash-sale script on Redis (DECR, then compare) runs below zero on refusals",
		func(s *site) {
			var mu sync.Mutex
			left := s.options.Stock
			s.coupons = claims{s.coupons, func(ctx context.Context, c claim, right coupons) (int64, error) {
				mu.Lock()
				left--
				out := left < 0
				mu.Unlock()
				if out {
					return 0, soldOut
				}
				return right.Claim(ctx, c)
			}}
		},
	},
	{
		"limit-by-address",
		"counts coupons by the address that they are claimed from, and people share one",
		"false-limit",
		"one address for many subscribers behind carrier-grade NAT (RFC 6269, Issues with IP Address Sharing)",
		func(s *site) {
			var mu sync.Mutex
			issued, seen := map[string]int64{}, map[string]bool{}
			s.coupons = claims{s.coupons, func(ctx context.Context, c claim, right coupons) (int64, error) {
				host := "?"
				if conn, ok := ctx.Value(corkKey{}).(net.Conn); ok {
					host, _, _ = net.SplitHostPort(conn.RemoteAddr().String())
				}
				mu.Lock()
				defer mu.Unlock()
				if !seen[c.request] && issued[host] >= s.options.PerUser {
					return 0, overLimit
				}
				number, err := right.Claim(ctx, c)
				if err == nil && !seen[c.request] {
					seen[c.request] = true
					issued[host]++
				}
				return number, err
			}}
		},
	},
	{
		"limit-counts-tries",
		"counts a user's tries, and every 3rd claim is tried twice behind the door",
		"false-limit",
		"usage that is counted when it is tried and not when it comes about: \"usage limit has been reached\" after a failed payment (github.com/woocommerce/woocommerce/issues/27673)",
		func(s *site) {
			var mu sync.Mutex
			twice, tried := s.share(3), map[string]int64{}
			s.coupons = claims{s.coupons, func(ctx context.Context, c claim, right coupons) (int64, error) {
				mu.Lock()
				over := tried[c.user] >= s.options.PerUser
				if tried[c.user]++; twice.hit() {
					tried[c.user]++
				}
				mu.Unlock()
				if over {
					return 0, overLimit
				}
				return right.Claim(ctx, c)
			}}
		},
	},
}

// shard returns which of so many parts a user is of.
func shard(user string, parts uint32) uint32 {
	h := fnv.New32a()
	h.Write([]byte(user))
	return h.Sum32() % parts
}

// claims is coupons with another way to claim one.
type claims struct {
	coupons
	claim func(ctx context.Context, c claim, right coupons) (int64, error)
}

func (c claims) Claim(ctx context.Context, of claim) (int64, error) {
	return c.claim(ctx, of, c.coupons)
}

// A tally counts what the books say was issued.
type tally struct{ *journal }

func (t tally) number(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = t.db.QueryRowContext(ctx, query, args...).Scan(&n)
	return n, err
}

// left returns how many coupons of the stock are left.
func (t tally) left(ctx context.Context) (int64, error) {
	return t.number(ctx, `SELECT coupons - issued FROM stocks WHERE id = ?`, t.options.StockID)
}

// has returns how many coupons a user has.
func (t tally) has(ctx context.Context, user string) (int64, error) {
	return t.number(ctx, `SELECT count(*) FROM coupons WHERE stock = ? AND user = ?`, t.options.StockID, user)
}

// counting has free say, instead of a limit of the stock (a column of it),
// whether there may be one more coupon. A claim that was seen is answered as
// it should be, and so is one that may not have any.
func (s *site) counting(limit string, free func(context.Context, tally, claim) (bool, error)) {
	s.coupons = claims{s.coupons, func(ctx context.Context, c claim, right coupons) (int64, error) {
		if c.stock != s.options.StockID {
			return 0, unknownStock
		}
		t := tally{s.journal}
		switch seen, err := t.number(ctx, `SELECT count(*) FROM coupons WHERE request = ?`, c.request); {
		case err != nil:
			return 0, err
		case seen > 0:
			return right.Claim(ctx, c)
		}
		switch ok, err := free(ctx, t, c); {
		case err != nil:
			return 0, err
		case !ok && limit == "coupons":
			return 0, soldOut
		case !ok:
			return 0, overLimit
		}
		return s.journal.issue(ctx, c, func(t *tables, do func() error) error { return t.without("stocks", limit, do) })
	}}
}

// issue issues a coupon in the tables as blind has them seen.
func (j *journal) issue(ctx context.Context, c claim, blind func(t *tables, do func() error) error) (int64, error) {
	return j.claim(ctx, func(t *tables) (number int64, no refusal, err error) {
		err = blind(t, func() (err error) {
			number, no, err = t.claim(c)
			return err
		})
		return number, no, err
	})
}

// without has do see no limit: a number of that name in every row of a table.
func (t *tables) without(table, limit string, do func() error) error {
	for _, step := range []struct {
		sign string
		do   func() error
	}{{"+", do}, {"-", func() error { return nil }}} {
		if _, err := t.conn.ExecContext(context.Background(), fmt.Sprintf("UPDATE %s SET %s = %[2]s %s (1 << 40)", table, limit, step.sign)); err != nil {
			return fmt.Errorf("see no limit %s: %w", limit, err)
		}
		if err := step.do(); err != nil {
			return err
		}
	}
	return nil
}
