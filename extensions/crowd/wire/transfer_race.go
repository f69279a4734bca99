//go:build linux && race

package wire

import "syscall"

// Calls of transfer.
const (
	reads = iota
	writes
)

// transfer reads or writes through package syscall, which tells the race
// detector: what was written to a socket comes before what is read from it.
func transfer(call, fd uintptr, p []byte) (n int, number syscall.Errno) {
	do := syscall.Read
	if call == writes {
		do = syscall.Write
	}
	n, err := do(int(fd), p)
	number, _ = err.(syscall.Errno)
	return n, number
}
