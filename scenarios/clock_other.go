//go:build !linux

package scenarios

import "time"

var processStart = time.Now()

// Boottime returns a monotonic time. Processes of one machine must agree on
// it, so it is the wall clock at the start plus what the monotonic clock says.
func Boottime() time.Duration {
	return time.Duration(processStart.UnixNano()) + time.Since(processStart)
}
