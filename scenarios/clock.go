package scenarios

import "time"

// A Clock tells plan time on this machine. It reads a clock that goes on while
// the machine is suspended (CLOCK_BOOTTIME on Linux), so that a lease runs out
// while its holder sleeps, and that nobody can set.
type Clock struct {
	// Zero is the moment of plan time 0 on that clock.
	Zero time.Duration
}

// Now returns the plan time; negative before the start.
func (c Clock) Now() Mark { return Boottime() - c.Zero }
