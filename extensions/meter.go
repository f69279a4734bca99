package extensions

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/flashcrowd/flashcrowd/results"
)

// meter measures this process between cuts.
type meter struct {
	at   time.Time
	cpu  time.Duration
	last float64
}

func newMeter() *meter { return &meter{at: time.Now(), cpu: processorTime()} }

// briefest is the shortest stretch over which a share of the processors means
// something; a cut that follows another sooner repeats the last figure.
const briefest = cutEvery / 2

// read returns the health since the last read.
func (m *meter) read() results.Health {
	now := time.Now()
	if wall := now.Sub(m.at); wall >= briefest {
		cpu := processorTime()
		m.last = min(float64(cpu-m.cpu)/float64(wall)/float64(runtime.GOMAXPROCS(0)), 1)
		m.at, m.cpu = now, cpu
	}
	return results.Health{CPU: m.last, RSS: residentBytes()}
}

// processorTime returns user and system time of the process.
func processorTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// residentBytes returns the memory in use; 0 where the system does not tell.
func residentBytes() uint64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseUint(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}
