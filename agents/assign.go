package agents

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/flashcrowd/flashcrowd/scenarios"
)

// A Share is a worker and what it can carry, relative to the others.
type Share struct {
	Worker   string
	Capacity uint64 // 0 counts as 1
}

// Assign says who is to own each slot, when owners do now ("" for nobody, nil
// for no slot owned). Everybody gets slots in proportion to what it can carry,
// to within one; nobody gives up more than what it has beyond that, nor gets
// any that another should keep. What is free is dealt in turn, so that a crowd
// of fewer shoppers than slots is shared evenly too. The order of shares means
// nothing, and one worker is named once. Without shares nobody owns anything.
func Assign(shares []Share, owners []string) []string {
	next := make([]string, scenarios.Slots)
	if len(shares) == 0 {
		return next
	}
	shares = slices.SortedFunc(slices.Values(shares), func(a, b Share) int { return cmp.Compare(a.Worker, b.Worker) })
	has := make(map[string]int, len(shares))
	for _, o := range owners {
		has[o]++
	}
	quota := quotas(shares, has)
	index := make(map[string]int, len(shares))
	for i, s := range shares {
		index[s.Worker] = i
	}

	// Whoever has too much keeps an even selection of it.
	seen, lacks := make([]int, len(shares)), slices.Clone(quota)
	for slot, o := range owners {
		i, known := index[o]
		if !known || o == "" {
			continue
		}
		had, may := has[o], min(quota[i], has[o])
		if (seen[i]+1)*may/had > seen[i]*may/had {
			next[slot] = o
			lacks[i]--
		}
		seen[i]++
	}
	needs := slices.Clone(lacks)
	for slot, o := range next {
		if o != "" {
			continue
		}
		neediest := 0
		for i := range lacks { // by the share of its need that is not met yet
			if lacks[i]*max(needs[neediest], 1) > lacks[neediest]*max(needs[i], 1) {
				neediest = i
			}
		}
		next[slot] = shares[neediest].Worker
		lacks[neediest]--
	}
	return next
}

// quotas returns how many slots each is to have. What division leaves over goes
// to the largest remainders, and among equal ones to who has more already.
func quotas(shares []Share, has map[string]int) []int {
	var total uint64
	for _, s := range shares {
		total += max(s.Capacity, 1)
	}
	quota, rest := make([]int, len(shares)), make([]uint64, len(shares))
	left, order := scenarios.Slots, make([]int, len(shares))
	for i, s := range shares {
		hi, lo := bits.Mul64(max(s.Capacity, 1), scenarios.Slots)
		q, r := bits.Div64(hi, lo, total)
		quota[i], rest[i], order[i] = int(q), r, i
		left -= int(q)
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(rest[b], rest[a]), cmp.Compare(has[shares[b].Worker], has[shares[a].Worker]))
	})
	for _, i := range order[:left] {
		quota[i]++
	}
	return quota
}
