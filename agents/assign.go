package agents

import (
	"slices"

	"github.com/flashcrowd/flashcrowd/scenarios"
)

// Assign shares the slots out, each whole: [0, end) in plan time. Slot i goes
// to worker i mod n in sorted order, so that shares differ by at most one slot
// and a crowd smaller than the slots is still shared evenly. The same set of
// workers gets the same shares, in whatever order it is given; a worker named
// twice counts once. Without workers the result is empty.
func Assign(workers []string, end scenarios.Mark) map[string][]scenarios.Span {
	sorted := slices.Clone(workers)
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	shares := make(map[string][]scenarios.Span, len(sorted))
	if len(sorted) == 0 {
		return shares
	}
	for slot := range scenarios.Slots {
		w := sorted[slot%len(sorted)]
		shares[w] = append(shares[w], scenarios.Span{Slot: scenarios.Slot(slot), To: end})
	}
	return shares
}
