package results

import "fmt"

// EndedCount is how many shoppers ended, whatever came of them.
func (a *Account) EndedCount() (n uint64) {
	for _, ended := range a.Ended {
		n += ended
	}
	return n
}

// NeverStartedCount is how many planned shoppers will never start.
func (a *Account) NeverStartedCount() (n uint64) {
	for _, s := range a.NeverStarted {
		n += s.Count
	}
	return n
}

// Closes returns nil when every planned shopper is in the account exactly once,
// else by how much it is off, and on which side. No term is ever computed as
// the remainder of the others, so this can fail; while a run goes on it does,
// by the shoppers that have yet to arrive.
func (a *Account) Closes() error {
	ended, never := a.EndedCount(), a.NeverStartedCount()
	found := ended + a.InFlight + a.Orphaned + never
	sum := fmt.Sprintf("%s planned, %s ended + %s in flight + %s orphaned + %s never started",
		HumanCount(a.Planned), HumanCount(ended), HumanCount(a.InFlight), HumanCount(a.Orphaned), HumanCount(never))
	switch {
	case found < a.Planned:
		return fmt.Errorf("%s shoppers are unaccounted for: %s", HumanCount(a.Planned-found), sum)
	case found > a.Planned:
		return fmt.Errorf("%s shoppers more than planned: %s", HumanCount(found-a.Planned), sum)
	case a.Missing > 0:
		return fmt.Errorf("%s snapshots are missing", HumanCount(a.Missing))
	}
	return nil
}
