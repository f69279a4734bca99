package extensions

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
)

// Where the live heap is small, Go collects it many times a second, at a cost
// that has to do with the stacks and not with what is freed. So the heap of a
// worker's child may always grow by leastGrowth before it is collected, at most
// mostPercent of what lives; a heap that is larger than that is Go's own 100 %.
const (
	leastGrowth = 64 << 20
	mostPercent = 800
)

// heap tunes the collector of this process to what lives. Who set GOGC is left
// alone.
type heap struct {
	live    []metrics.Sample
	percent int
}

func newHeap() *heap {
	return &heap{live: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}}
}

// tune is called now and then.
func (h *heap) tune() {
	if os.Getenv("GOGC") != "" {
		return
	}
	metrics.Read(h.live)
	if percent := percentFor(h.live[0].Value.Uint64()); percent < h.percent || percent > h.percent*5/4 { // setting it stops the world
		h.percent = percent
		debug.SetGCPercent(percent)
	}
}

// percentFor returns the GOGC for a heap of which so many bytes live.
func percentFor(live uint64) int {
	return int(min(max(leastGrowth*100/max(live, 1), 100), mostPercent))
}
