package results

import (
	"strings"
	"time"
)

// Factors turn the day into what is replayed. Each is printed in every report:
// a replay is honest only with its factors.
type Factors struct {
	Scale    float64 `json:"scale"`    // thins the crowd: shoppers × scale
	Demand   float64 `json:"demand"`   // multiplies it: published orders were throttled completions
	Compress float64 `json:"compress"` // speeds the stages: durations ÷ compress
	Pace     float64 `json:"pace"`     // shortens think times, patience and back-off: × pace
}

// About says which run this is. It is known before the first shopper arrives.
type About struct {
	ID              string        `json:"id"`
	Campaign        string        `json:"campaign"`
	PlanFingerprint string        `json:"plan_fingerprint"`
	Target          string        `json:"target"` // "storefront guarded (built in)" or a URL without secrets
	Factors         Factors       `json:"factors"`
	Started         time.Time     `json:"started"`     // wall clock at plan time 0
	Duration        time.Duration `json:"duration_ns"` // planned length: the last stage's end
	Stages          []Stage       `json:"stages"`
	Planned         uint64        `json:"planned_count"`
	AtOnce          uint64        `json:"at_once_count,omitempty"` // closed model: shoppers at the same time, at most; 0: open
}

// Stage is a named stretch of the day as it was planned, factors applied.
type Stage struct {
	Name     string        `json:"name"`
	From     time.Duration `json:"from_ns"`
	To       time.Duration `json:"to_ns"`
	Shoppers uint64        `json:"shoppers_count"` // planned to arrive in it
}

// A Worker is one node's part of a run.
type Worker struct {
	ID        string  `json:"id"`
	Name      string  `json:"name"` // as people say it: worker-1
	Snapshots uint64  `json:"snapshots_count"`
	Slots     int     `json:"slots_count"`
	Launched  uint64  `json:"launched_count"`
	Ended     uint64  `json:"ended_count"`
	Orphaned  uint64  `json:"orphaned_count"` // launched, not ended, and the worker is gone
	CPU       float64 `json:"cpu_ratio"`      // the highest of one exchange, see Health
	RSS       uint64  `json:"rss_bytes"`      // the highest
	// The highest of one exchange in which anything was measured, see Health.
	Throttled float64 `json:"throttled_ratio,omitempty"`
	Stalled   float64 `json:"memory_stall_ratio,omitempty"`
	Finished  bool    `json:"finished"` // its last snapshot was final
	Fate      string  `json:"fate"`     // how it ended, in words; empty while it lives
	Clocks
}

// Withheld says what the machine withheld from the worker at worst, in words;
// empty if nothing.
func (w Worker) Withheld() string {
	return Health{Throttled: w.Throttled, Stalled: w.Stalled}.Withheld()
}

// Withheld says what the machine withheld, in words; empty if nothing that shows.
func (h Health) Withheld() string {
	var all []string
	if h.Throttled > 0.0005 {
		all = append(all, "throttled "+HumanShare(h.Throttled)+" of the time")
	}
	if h.Stalled > 0.0005 {
		all = append(all, "waiting for memory "+HumanShare(h.Stalled)+" of the time")
	}
	return strings.Join(all, ", ")
}

// Account holds every planned shopper exactly once:
// planned = ended + in flight + orphaned + never started.
type Account struct {
	Planned      uint64             `json:"planned"`
	Ended        map[Outcome]uint64 `json:"ended"`
	InFlight     uint64             `json:"in_flight"`
	Orphaned     uint64             `json:"orphaned"`
	NeverStarted []Skip             `json:"not_started"`
	// Late counts shoppers that the fleet itself made late. They ended, are in
	// flight or orphaned like any other: this is no further term of the sum.
	Late uint64 `json:"late,omitempty"`
	// Missing counts snapshots that later ones show to exist and that never
	// came: what they held is not in the account.
	Missing uint64 `json:"missing_snapshots,omitempty"`
}

// A Run is one execution of a plan, merged from snapshots. It is a value to
// read: Merger.Run makes it, nothing changes it afterwards.
type Run struct {
	About
	Account  Account       `json:"shoppers"`
	Load     Sum128        `json:"load_fingerprint"`
	Series   []Series      `json:"-"` // merged; sorted by metric and tags
	Seconds  []Second      `json:"seconds"`
	Workers  []Worker      `json:"workers"`
	Changes  []Change      `json:"changes"` // in the order in which they began
	Examples []Example     `json:"examples"`
	Stopped  string        `json:"stopped,omitempty"` // why load ended before its plan did
	Barred   []Barred      `json:"barred"`            // what the fleet did not let in, sorted by reason
	Apart    Apart         `json:"kept_apart"`
	Cut      time.Duration `json:"cut_ns"`   // plan time of the newest snapshot
	Warnings []string      `json:"warnings"` // doubts that did not stop the merge
}
