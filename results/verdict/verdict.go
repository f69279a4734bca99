// Package verdict says whether a run held: thresholds in k6's grammar, the
// validity of the measurement itself, and the outcome that follows from both.
package verdict

import (
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// A Threshold is one rule a campaign sets, such as turn_ttft: p(99)<2s.
type Threshold struct {
	Metric         *results.Metric
	Select         results.Tags // the {stage:noon} part; an empty field matches all
	Source         string       // as written, for people: turn_ttft{stage:noon}: p(95)<3s
	AbortOnFail    bool
	DelayAbortEval time.Duration

	expr expression
}

// Validity is what must hold for the numbers to be trusted at all. Beyond any
// of these limits the run is invalid, because the generator was measured and
// not the backend.
type Validity struct {
	Late     float64       // shoppers the fleet itself made late / planned
	Orphaned float64       // shoppers whose worker died / planned
	LagP99   time.Duration // 99th percentile of the schedule lag
	CPU      float64       // highest share of its processors that a worker's child took
	Clock    time.Duration // how far a worker's clock was from the coordinator's, or was set in mid-run
	Withheld float64       // highest share of a second in which its machine throttled it or had it wait for memory
}

// DefaultValidity is used for what a campaign does not set.
var DefaultValidity = Validity{Late: 0.005, Orphaned: 0.001, LagP99: 10 * time.Millisecond, CPU: 0.95, Clock: time.Second, Withheld: 0.05}

// An Outcome is what a run came to.
type Outcome string

const (
	Pass         Outcome = "pass"
	Fail         Outcome = "fail"
	Invalid      Outcome = "invalid"
	Inconclusive Outcome = "inconclusive" // only comparisons
)

// A Verdict is the outcome and the numbers that decided it, worst first.
type Verdict struct {
	Outcome Outcome  `json:"outcome"`
	Reasons []Reason `json:"reasons"` // what decided; for a pass, what held
}

// A Reason is one rule, what was measured and whether it held.
type Reason struct {
	Rule     string `json:"rule"`     // as the campaign writes it
	Measured string `json:"measured"` // with unit
	Held     bool   `json:"held"`
	Kind     string `json:"kind"` // one of the kinds below
}

// Kinds of reasons, by where the rule comes from.
const (
	KindThreshold = "threshold" // the campaign
	KindValidity  = "validity"  // the generator itself
	KindAccount   = "account"   // every shopper is accounted for, and the plan ran to its end
	KindAudit     = "audit"     // the backend's own books
	KindTarget    = "target"    // the least a backend must do: answer at all
)
