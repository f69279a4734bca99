package extensions

import (
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/flashcrowd/flashcrowd/extensions/host"
	"github.com/flashcrowd/flashcrowd/results"
)

// meter measures this process between cuts.
type meter struct {
	at   time.Time
	cpu  time.Duration
	felt host.Strain
	root fs.FS
	last results.Health // but for memory
}

func newMeter() *meter {
	root := os.DirFS("/")
	return &meter{at: time.Now(), cpu: processorTime(), felt: host.Feel(root), root: root}
}

// briefest is the shortest stretch over which a share of the processors means
// something; a cut that follows another sooner repeats the last figure.
const briefest = cutEvery / 2

// read returns the health since the last read.
func (m *meter) read() results.Health {
	now := time.Now()
	if wall := now.Sub(m.at); wall >= briefest {
		share := func(d time.Duration, of int) float64 { return min(float64(d)/float64(wall)/float64(of), 1) }
		cpu, felt := processorTime(), host.Feel(m.root)
		m.last = results.Health{
			CPU:       share(cpu-m.cpu, runtime.GOMAXPROCS(0)),
			Throttled: share(max(felt.Throttled-m.felt.Throttled, 0), 1),
			Stalled:   share(max(felt.Stalled-m.felt.Stalled, 0), 1),
		}
		m.at, m.cpu, m.felt = now, cpu, felt
	}
	h := m.last
	h.RSS = residentBytes()
	return h
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
