package storefront

import (
	"context"
	"sync"
	"time"
)

// A row is what can be locked by one at a time, each for as long, and first
// come, first served.
type row struct {
	lasts time.Duration

	mu   sync.Mutex
	free time.Time // when the last of those in line has done
}

// lock waits for the row, holds it and lets it go. It is busy if that would
// take longer than most to begin; 0: it waits for as long as it takes. Who
// leaves the line is still served: the place was theirs.
func (r *row) lock(ctx context.Context, most time.Duration) error {
	if r.lasts == 0 {
		return nil
	}
	r.mu.Lock()
	now := time.Now()
	if r.free.Before(now) {
		r.free = now
	}
	if most > 0 && r.free.Sub(now) > most {
		r.mu.Unlock()
		return errBusy
	}
	r.free = r.free.Add(r.lasts)
	done := r.free
	r.mu.Unlock()
	return until(ctx, done)
}

// queue joins the line and does not wait.
func (r *row) queue() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); r.free.Before(now) {
		r.free = now
	}
	r.free = r.free.Add(r.lasts)
}

// line returns how long who comes now would wait.
func (r *row) line() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(0, time.Until(r.free))
}

// until waits for a moment.
func until(ctx context.Context, at time.Time) error {
	wait := time.Until(at)
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
