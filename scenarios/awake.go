package scenarios

import (
	"sync"
	"sync/atomic"
	"time"
)

// A BootClock tells Boottime without a system call, most of the time: it adds
// the time that the machine slept to the time that it was awake, which Go's own
// clock tells at next to no cost, and looks at most once each millisecond
// whether it slept again. So the clock may not know of a sleep for a millisecond
// of running time after it. Else it is behind by the nanoseconds that a look
// takes. It never goes back. It is safe for concurrent use.
type BootClock struct {
	boot, awake func() time.Duration
	asleep      atomic.Int64 // in nanoseconds, since awake counts
	until       atomic.Int64 // the time awake at which to look again, in nanoseconds

	mu sync.Mutex // held by who looks
}

// looksEvery is for how long of the time awake the time asleep is kept.
const looksEvery = time.Millisecond

// NewBootClock returns a clock that agrees with Boottime.
func NewBootClock() *BootClock {
	start := time.Now()
	return newBootClock(Boottime, func() time.Duration { return time.Since(start) })
}

func newBootClock(boot, awake func() time.Duration) *BootClock {
	c := &BootClock{boot: boot, awake: awake}
	c.asleep.Store(int64(boot() - awake()))
	return c
}

// Now returns the time since this machine booted, suspension included.
func (c *BootClock) Now() time.Duration {
	now := c.awake()
	if int64(now) >= c.until.Load() {
		now = c.look()
	}
	return now + time.Duration(c.asleep.Load())
}

// look looks whether the machine slept, and returns the time awake. That is read
// last: whoever is held up in between takes the sleep for shorter than it was,
// never for longer, so the longest that was seen is the nearest.
func (c *BootClock) look() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	boot := c.boot()
	now := c.awake()
	c.asleep.Store(max(c.asleep.Load(), int64(boot-now)))
	c.until.Store(int64(now + looksEvery)) // after it: who sees this sees that
	return now
}
