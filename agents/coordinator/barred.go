package coordinator

import (
	"errors"
	"maps"
	"net/http"
	"slices"

	"github.com/flashcrowd/flashcrowd/results"
)

// Why somebody is not let in to the API; membership has its own for gossip.
const (
	barredStranger = "stranger at the API"       // its certificate is no member's; counted once
	barredVersion  = "worker of another version" // likewise
	barredOperator = "status or stop, asked for by no operator"
	barredForeign  = "exchange in another's name"
	barredRequest  = "exchange that can't be read" // cut short, or nothing of ours
	barredLarge    = "exchange that is too large"
	barredChanged  = "exchange repeated with other bytes"
	barredForged   = "exchange with spans that nobody gave it"
	barredEnded    = "exchange after the end of its lease"
)

// Barriers lists the reasons for which the API does not let somebody in.
func Barriers() []string {
	return []string{barredStranger, barredVersion, barredOperator, barredForeign, barredRequest, barredLarge,
		barredChanged, barredForged, barredEnded}
}

// turnDown counts an exchange that was refused. One that could not be stored is
// none.
func (c *Coordinator) turnDown(err error) {
	var large *http.MaxBytesError
	switch {
	case errors.Is(err, errForeign):
		c.tally.Add(barredForeign)
	case errors.Is(err, errEnded):
		c.tally.Add(barredEnded)
	case errors.Is(err, errConflict), errors.Is(err, results.ErrChanged):
		c.tally.Add(barredChanged)
	case errors.Is(err, errForged):
		c.tally.Add(barredForged)
	case errors.As(err, &large):
		c.tally.Add(barredLarge)
	case errors.Is(err, errRequest), errors.Is(err, errBroken):
		c.tally.Add(barredRequest)
	}
}

// barred returns all that was not let in since the run began, by reason. The
// lock is held.
func (c *Coordinator) barred() []results.Barred {
	if c.fleet != nil {
		c.outside = c.fleet.Barred()
	}
	sum := map[string]uint64{}
	for _, counts := range []map[string]uint64{c.before, c.outside, c.tally.Counts()} {
		for reason, n := range counts {
			sum[reason] += n
		}
	}
	all := []results.Barred{}
	for _, reason := range slices.Sorted(maps.Keys(sum)) {
		all = append(all, results.Barred{Reason: reason, Count: sum[reason]})
	}
	return all
}

// noteBarred keeps them, where they have changed.
func (c *Coordinator) noteBarred() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.barred()
	if slices.Equal(all, c.noted) {
		return nil
	}
	if err := c.Store.Barred(all); err != nil {
		return err
	}
	c.noted = all
	return nil
}

// recallBarred goes on with the counts of the coordinator that led before.
func (c *Coordinator) recallBarred() {
	c.before = map[string]uint64{}
	c.noted = c.merger.Run().Barred
	for _, r := range c.noted {
		c.before[r.Reason] += r.Count
	}
}

// setApart keeps what an ended worker still reports.
func (c *Coordinator) setApart(p *parcel) {
	if len(p.delivery.Bytes) == 0 {
		return
	}
	kept, err := c.Store.SetApart(p.delivery)
	if err != nil {
		c.Log.Error("snapshot of an ended worker not kept", "worker", p.delivery.Worker, "seq", p.delivery.Seq, "err", err)
		return
	}
	if kept {
		c.merger.Apart(p.snapshot)
	}
}
