package worker

import (
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// A Reading is what a machine's clocks show at one moment.
type Reading struct {
	Boot time.Duration // goes on while the machine is suspended: leases count on it
	Mono time.Duration // does not
	Wall time.Duration // since 1970; may be set
}

// What is an upset. A worker looks at its clocks every 50 ms.
const (
	stillFor = time.Second            // without a look
	asleep   = 500 * time.Millisecond // between boot clock and monotonic clock
	stepped  = 100 * time.Millisecond // between wall clock and boot clock; NTP slews by 0.05 % at most
)

// Clocks notices what a machine's clocks do and clocks should not. It is not safe
// for concurrent use. What one worker could not deliver, because it was ended
// meanwhile, the next one of its process does.
type Clocks struct {
	base  time.Time // of Reading.Mono
	last  Reading
	since int             // how many are delivered
	all   []results.Upset // At is on the boot clock
}

// NewClocks returns those of this machine, for Look.
func NewClocks() *Clocks { return &Clocks{base: time.Now()} }

// Look reads all clocks. Where somebody else had the processor in between, they
// would not be of one moment: then once more.
func (c *Clocks) Look() {
	var r Reading
	for range 5 {
		r.Boot = scenarios.Boottime()
		now := time.Now()
		r.Mono, r.Wall = now.Sub(c.base), time.Duration(now.UnixNano())
		if scenarios.Boottime()-r.Boot < time.Millisecond {
			break
		}
	}
	c.See(r)
}

// See enters what the clocks show now.
func (c *Clocks) See(r Reading) {
	before := c.last
	if c.last = r; before == (Reading{}) {
		return
	}
	boot, mono := r.Boot-before.Boot, r.Mono-before.Mono
	slept := boot - mono
	if slept > asleep {
		c.note(results.Suspended, r.Boot, slept)
	}
	if mono > stillFor {
		c.note(results.Frozen, r.Boot, mono)
	}
	if step := r.Wall - before.Wall - boot; step.Abs() > stepped {
		c.note(results.Stepped, r.Boot, step)
	}
}

func (c *Clocks) note(kind string, at, size time.Duration) {
	if len(c.all) < results.MaxUpsets {
		c.all = append(c.all, results.Upset{Kind: kind, At: at, Size: size})
	}
}

// next returns the upsets after the first n, in the plan time that begins at
// zero.
func (c *Clocks) next(n int, zero time.Duration) []results.Upset {
	var upsets []results.Upset
	for _, u := range c.all[n:] {
		u.At -= zero
		upsets = append(upsets, u)
	}
	return upsets
}
