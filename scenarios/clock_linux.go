package scenarios

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Boottime returns the time since this machine booted, suspension included. It
// does not wait, so Go's scheduler is not told of the call, which is made under
// locks.
func Boottime() time.Duration {
	var ts unix.Timespec
	if _, _, err := unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_BOOTTIME, uintptr(unsafe.Pointer(&ts)), 0); err != 0 {
		panic("read CLOCK_BOOTTIME: " + err.Error()) // in every Linux since 2.6.39
	}
	return time.Duration(ts.Nano())
}
