package extensions

import (
	"sync"
	"time"

	"go.k6.io/k6/v2/metrics"

	"github.com/flashcrowd/flashcrowd/results"
)

// A fact waits for others at most courierWaits, and courierHolds of them go together:
// each container that k6 is given wakes a goroutine of k6's and passes two
// channels, which was a twentieth of an order's processor time when every fact
// had one of its own. k6 hands over what it has every 50 ms.
const (
	courierHolds = 64
	courierWaits = 5 * time.Millisecond
)

// A courier takes facts to k6, in the order in which they were emitted. While k6
// has no room, whoever emits waits.
type courier struct {
	out chan<- metrics.SampleContainer

	mu    sync.Mutex
	facts []results.Fact // not handed over yet
	clock *time.Timer    // set while there are some
}

func newCourier(out chan<- metrics.SampleContainer) *courier {
	c := &courier{out: out}
	c.clock = time.AfterFunc(courierWaits, c.flush)
	return c
}

// emit is what an engine emits into.
func (c *courier) emit(f results.Fact) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.facts == nil {
		c.facts = make([]results.Fact, 0, courierHolds)
		c.clock.Reset(courierWaits)
	}
	if c.facts = append(c.facts, f); len(c.facts) == courierHolds {
		c.handOver()
	}
}

// flush hands over what there is. After the last fact it leaves nothing behind
// that could still be sent.
func (c *courier) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handOver()
}

// handOver is flush with the lock held, which keeps the order.
func (c *courier) handOver() {
	if c.facts == nil {
		return
	}
	c.clock.Stop()
	c.out <- &parcel{facts: c.facts}
	c.facts = nil
}
