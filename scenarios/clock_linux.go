package scenarios

import (
	"time"

	"golang.org/x/sys/unix"
)

// Boottime returns the time since this machine booted, suspension included.
func Boottime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("read CLOCK_BOOTTIME: " + err.Error()) // in every Linux since 2.6.39
	}
	return time.Duration(ts.Nano())
}
