package host

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"
)

// A Strain is what the system has withheld from a process so far: the figures
// only grow, and what counts is by how much.
type Strain struct {
	// Throttled is for how long a control group kept processes from the
	// processors because its quota was used up. Each processor counts, so it may
	// grow faster than time.
	Throttled time.Duration
	// Stalled is for how long some process waited for memory that had to be made
	// free or read again (pressure stall information).
	Stalled time.Duration
}

// Feel returns the strain on this process: the most of any control group that
// binds it, of both versions, and of the whole machine. What the system does not
// tell is 0.
func Feel(root fs.FS) Strain {
	s := Strain{Stalled: stalled(root, "proc/pressure/memory")}
	for _, g := range groups(root) {
		s.Throttled = max(s.Throttled, g.throttled(root))
		s.Stalled = max(s.Stalled, stalled(root, path.Join(g.dir, "memory.pressure")))
	}
	return s
}

// throttled reads cpu.stat, in which version 1 has nanoseconds and version 2
// microseconds.
func (g group) throttled(root fs.FS) time.Duration {
	word, unit := "throttled_usec", time.Microsecond
	if !g.v2 {
		word, unit = "throttled_time", time.Nanosecond
	}
	n, _ := field(root, path.Join(g.dir, "cpu.stat"), word)
	return time.Duration(min(n, uint64(longest/unit))) * unit
}

// stalled reads the total of the line "some avg10=0.00 … total=123", in
// microseconds.
func stalled(root fs.FS, name string) time.Duration {
	all := tokens(root, name)
	for i, word := range all {
		if word == "full" { // when nobody at all got on
			break
		}
		if text, ok := strings.CutPrefix(all[i], "total="); ok {
			n, _ := strconv.ParseUint(text, 10, 64) // garbage is 0
			return time.Duration(min(n, uint64(longest/time.Microsecond))) * time.Microsecond
		}
	}
	return 0
}

// longest is more than any machine was ever up.
const longest = 100 * 365 * 24 * time.Hour
