package main

import (
	"fmt"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// glance is how long a look at the clock may take.
const glance = 100 * time.Microsecond

// withheld returns how much of a core, and how long at most at once, is kept from
// a thread that does nothing but look at the clock.
func withheld(core string, long time.Duration) (sum, longest time.Duration, err error) {
	n, err := strconv.Atoi(core)
	if err != nil {
		return 0, 0, fmt.Errorf("core %q: %w", core, err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		runtime.LockOSThread() // and never unlocked: the thread ends with its affinity
		var here unix.CPUSet
		here.Set(n)
		if err = unix.SchedSetaffinity(0, &here); err != nil {
			return
		}
		for begin, last := time.Now(), time.Now(); last.Sub(begin) < long; {
			now := time.Now()
			if gap := now.Sub(last); gap > glance {
				sum, longest = sum+gap, max(longest, gap)
			}
			last = now
		}
	}()
	<-over
	return sum, longest, err
}
