//go:build linux && !race

package wire

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Calls of transfer.
const (
	reads  = unix.SYS_READ
	writes = unix.SYS_WRITE
)

// transfer reads or writes what the socket takes or gives at once.
func transfer(call, fd uintptr, p []byte) (int, syscall.Errno) {
	n, _, err := unix.RawSyscall(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return int(n), err
}
