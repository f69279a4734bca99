package coordinator

import (
	"time"

	"github.com/flashcrowd/flashcrowd/scenarios"
)

// stride is what a worker launched until one of its cuts, by its own plan time:
// snapshots that were held up on their way and come together are no burst.
type stride struct {
	cut      scenarios.Mark
	launched uint64
}

// paceOver is the length over which arrivals are averaged for their limit.
const paceOver = 10 * time.Second

// stride adds one, and forgets those that are older than is needed.
func (b *beat) stride(s stride) {
	b.strides = append(b.strides, s)
	for len(b.strides) > 2 && s.cut-b.strides[1].cut >= paceOver {
		b.strides = b.strides[1:]
	}
}

// arrivals is how many shoppers a second the worker launched lately; 0 as long as
// that says nothing.
func (b beat) arrivals() float64 {
	if len(b.strides) == 0 {
		return 0
	}
	span := b.strides[len(b.strides)-1].cut - b.strides[0].cut
	if span < paceOver {
		return 0
	}
	var sum uint64
	for _, s := range b.strides[1:] {
		sum += s.launched
	}
	return float64(sum) / span.Seconds()
}

// pace is what the fleet does at the moment, since it was asked last. The lock is
// held.
func (c *Coordinator) pace() (p scenarios.Pace) {
	for _, n := range c.machine.present() {
		b := c.beats[n.id]
		p.Arrivals += b.arrivals()
		p.Streams += b.streams
		b.streams = 0
		c.beats[n.id] = b
	}
	return p
}

// passed says which limit of the campaign the fleet has passed; nothing when
// none.
func (c *Coordinator) passed() string {
	limits := c.Plan.Campaign.Limits
	if limits == (scenarios.Limits{}) {
		return ""
	}
	run := c.View()
	c.mu.Lock()
	defer c.mu.Unlock()
	return limits.Passed(run, c.pace())
}
