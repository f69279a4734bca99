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
	sum := fmt.Sprintf("%d planned, %d ended + %d in flight + %d orphaned + %d never started",
		a.Planned, ended, a.InFlight, a.Orphaned, never)
	switch {
	case found < a.Planned:
		return fmt.Errorf("%d shoppers are unaccounted for: %s", a.Planned-found, sum)
	case found > a.Planned:
		return fmt.Errorf("%d shoppers more than planned: %s", found-a.Planned, sum)
	case a.Missing > 0:
		return fmt.Errorf("%d snapshots are missing", a.Missing)
	}
	return nil
}
