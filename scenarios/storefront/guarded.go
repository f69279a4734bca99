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
	return shop{newDecoder(o), j, j, j}
}

// A decoder is a chat with a capacity, as a fleet of models has: so many
// answers at once, each at some speed, all of them together at no more than
// the total.
type decoder struct {
	slots   chan struct{} // one for each stream that flows
	queued  atomic.Int64
	queue   int64
	wait    time.Duration
	speed   float64 // tokens a second
	total   float64
	streams atomic.Int64
}

func newDecoder(o Options) *decoder {
	return &decoder{
		slots: make(chan struct{}, o.Streams), queue: int64(o.Queue), wait: o.QueueWait,
		speed: o.TokensPerSecond, total: o.TotalTokensPerSecond,
	}
}

// Reply implements chat. The answer flows token by token; when the client
// leaves, its stream is free at once.
func (d *decoder) Reply(ctx context.Context, a *ask, out *stream) error {
	if err := d.admit(ctx); err != nil {
		return err
	}
	defer d.release()
	answer := speak(a)
	if err := out.Begin(); err != nil {
		return err
	}
	due := time.Now()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for piece := range answer.tokens() {
		due = due.Add(interval(d.speed, d.total, d.streams.Load()))
		if early := time.Until(due); early > 0 {
			timer.Reset(early)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := piece(out); err != nil {
			return err
		}
	}
	return out.End()
}

// admit takes a place among the streams, waiting in the queue for it. The
// queue is first come, first served: a channel hands a free slot to whoever
// has waited longest.
func (d *decoder) admit(ctx context.Context) error {
	select {
	case d.slots <- struct{}{}:
		d.streams.Add(1)
		return nil
	default:
	}
	waiting := d.queued.Add(1)
	defer d.queued.Add(-1)
	if waiting > d.queue {
		return &overload{max(d.wait, time.Second)}
	}
	patience := time.NewTimer(d.wait)
	defer patience.Stop()
	select {
	case d.slots <- struct{}{}:
		d.streams.Add(1)
		return nil
	case <-patience.C:
		return &overload{max(d.wait, time.Second)}
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *decoder) release() {
	d.streams.Add(-1)
	<-d.slots
}

// interval returns the time between two tokens of a stream, where each of them
// would like speed tokens a second and all share total.
func interval(speed, total float64, streams int64) time.Duration {
	return time.Duration(float64(time.Second) / min(speed, total/float64(max(1, streams))))
}

var _ chat = (*decoder)(nil)
