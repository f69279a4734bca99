package storefront

import (
	"context"
	"sync"
	"time"
)

// Coupons that are issued while the campaign is paused.
var pauseBugs = []Bug{
	{
		"pause-cached",
		"looks every 15 s whether the campaign is paused",
		"issued-paused",
		"feature flags are polled: who turns one off waits for the interval, 15 s by default in Unleash's SDKs (docs.getunleash.io)",
		func(s *site) {
			var mu sync.Mutex
			var paused bool
			var looked time.Time
			s.coupons = claims{s.coupons, func(ctx context.Context, c claim, right coupons) (_ int64, err error) {
				mu.Lock()
				if time.Since(looked) > 15*time.Second {
					paused, err = tally{s.journal}.paused(ctx)
					looked = time.Now()
				}
				was := paused
				mu.Unlock()
				if err != nil {
					return 0, err
				}
				if was {
					return right.Claim(ctx, c)
				}
				return s.journal.issue(ctx, c, (*tables).unpaused)
			}}
		},
	},
	{
		"pause-before-queue",
		"sees that the campaign is not paused, and has the claim wait half a second in a queue",
		"issued-paused",
		"the check is at the gate, and what is in the queue behind it goes on",
		func(s *site) {
			s.coupons = claims{s.coupons, func(ctx context.Context, c claim, right coupons) (int64, error) {
				paused, err := tally{s.journal}.paused(ctx)
				if err != nil || paused {
					return right.Claim(ctx, c)
				}
				if err := sleep(ctx, 500*time.Millisecond); err != nil {
					return 0, err
				}
				return s.journal.issue(ctx, c, (*tables).unpaused)
			}}
		},
	},
}

// paused says whether the campaign is.
func (t tally) paused(ctx context.Context) (bool, error) {
	n, err := t.number(ctx, `SELECT count(*) FROM pauses WHERE stock = ? AND until IS NULL`, t.options.StockID)
	return n > 0, err
}

// unpaused has do see no pause.
func (t *tables) unpaused(do func() error) error {
	const hidden = -1
	if _, err := t.conn.ExecContext(context.Background(), `UPDATE pauses SET until = ? WHERE until IS NULL`, hidden); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	_, err := t.conn.ExecContext(context.Background(), `UPDATE pauses SET until = NULL WHERE until = ?`, hidden)
	return err
}
