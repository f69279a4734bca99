package storefront

import (
	"context"
	"sync/atomic"
	"time"
)

// The guarded design refuses what it can't carry and keeps what it says: a
// bounded number of streams behind a bounded queue, and books on disk.

func buildGuarded(o Options) shop {
	j := newJournal(o)
	return shop{newDecoder(o), &hotRow{coupons: j, row: row{lasts: o.RowTime}}, j, j}
}

// A decoder is a chat on engines, with so many answers at once.
type decoder struct {
	slots  chan struct{} // one for each stream that flows
	queued atomic.Int64
	queue  int64
	wait   time.Duration
	engine *engine
}

func newDecoder(o Options) *decoder {
	return &decoder{slots: make(chan struct{}, o.Streams), queue: int64(o.Queue), wait: o.QueueWait, engine: newEngine(o)}
}

// Reply implements chat. When the client leaves, its stream is free at once.
func (d *decoder) Reply(ctx context.Context, a *ask, out *stream) error {
	if err := d.admit(ctx); err != nil {
		return err
	}
	defer func() { <-d.slots }()
	return d.engine.answer(ctx, a, speak(a), out)
}

// admit takes a place among the streams, waiting in the queue for it. The
// queue is first come, first served: a channel hands a free slot to whoever
// has waited longest.
func (d *decoder) admit(ctx context.Context) error {
	select {
	case d.slots <- struct{}{}:
		return nil
	default:
	}
	waiting := d.queued.Add(1)
	defer d.queued.Add(-1)
	if waiting > d.queue {
		return &overload{retryAfter: max(d.wait, time.Second)}
	}
	patience := time.NewTimer(d.wait)
	defer patience.Stop()
	select {
	case d.slots <- struct{}{}:
		return nil
	case <-patience.C:
		return &overload{retryAfter: max(d.wait, time.Second)}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A hotRow is coupons whose claims each lock the one row of the stock for some
// time, one after the other, as a database would have it. The line for it is no
// longer than patience: then it is busy.
type hotRow struct {
	coupons
	row row
}

// patience is how long a claim may wait for the row.
const patience = 300 * time.Millisecond

// Claim implements coupons.
func (h *hotRow) Claim(ctx context.Context, c claim) (int64, error) {
	if err := h.row.lock(ctx, patience); err != nil {
		return 0, err
	}
	return h.coupons.Claim(ctx, c)
}

var (
	_ chat    = (*decoder)(nil)
	_ coupons = (*hotRow)(nil)
)
