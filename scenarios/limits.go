package scenarios

import (
	"fmt"
	"math"
	"strconv"

	"github.com/flashcrowd/flashcrowd/results"
)

// Limits are what the campaign may do at most; 0 means no limit. A plan that
// means to pass that of arrivals is refused; the others are for what turns out
// otherwise than planned. The coordinator looks each second, over the whole
// fleet, and ends the load when one is passed: nothing is throttled.
type Limits struct {
	Arrivals float64 `json:"arrivals_per_s,omitempty"` // per second
	Streams  uint64  `json:"streams,omitempty"`        // chat turns under way at once
	Tokens   uint64  `json:"tokens,omitempty"`         // streamed by the backend, reasoning included
	Cost     *Cost   `json:"cost,omitempty"`
}

// Cost is a limit in money, of whichever currency the prices are in.
type Cost struct {
	Most          float64 `json:"most"`
	MillionTokens float64 `json:"million_tokens,omitempty"` // price of a million streamed tokens
	Turn          float64 `json:"turn,omitempty"`           // price of a chat turn, each attempt, beside its tokens
}

// maxMoney bounds prices and costs, far beyond any campaign's.
const maxMoney = 1e12

func (r *reader) limits(f field) (l Limits) {
	fields := r.mapping(f, "arrivals", "streams", "tokens", "cost")
	limit := unknownRate
	r.rate(fields["arrivals"], &limit)
	switch {
	case math.IsNaN(limit.value):
	case !limit.absolute || limit.value <= 0:
		r.wrong(fields["arrivals"], "a rate above 0 with its unit, such as 1500/s")
	default:
		l.Arrivals = limit.value
	}
	r.some(fields["streams"], &l.Streams)
	r.some(fields["tokens"], &l.Tokens)
	if fields["cost"].node != nil {
		prices := r.mapping(fields["cost"], "most", "million_tokens", "turn")
		l.Cost = &Cost{}
		r.number(prices["most"], &l.Cost.Most)
		r.number(prices["million_tokens"], &l.Cost.MillionTokens)
		r.number(prices["turn"], &l.Cost.Turn)
	}
	return l
}

// some reads a count above 0.
func (r *reader) some(f field, to *uint64) {
	read(r, f, to, "a whole number above 0, such as 10_000_000", func(s string) (uint64, error) {
		s, err := digits(s)
		if err != nil {
			return 0, err
		}
		n, err := strconv.ParseUint(s, 10, 64)
		if n == 0 && err == nil {
			err = errNumber
		}
		return n, err
	})
}

func (k *checker) limits(l Limits) {
	if l.Arrivals < 0 || l.Arrivals > maxRate {
		k.fault("limits.arrivals", "", "must be between 0/s and %d/s", maxRate)
	}
	if l.Cost == nil {
		return
	}
	for _, v := range []struct {
		key  string
		is   float64
		free bool // may be 0
	}{{"most", l.Cost.Most, false}, {"million_tokens", l.Cost.MillionTokens, true}, {"turn", l.Cost.Turn, true}} {
		if !(v.is >= 0 && v.is <= maxMoney) || v.is == 0 && !v.free {
			k.fault("limits.cost."+v.key, "", "must be an amount above 0, at most 10¹²")
		}
	}
	if l.Cost.MillionTokens == 0 && l.Cost.Turn == 0 {
		k.fault("limits.cost", "", "has no price: set million_tokens, turn, or both")
	}
}

// of returns what a run has cost.
func (c *Cost) of(r *results.Run) float64 {
	return float64(tokens(r))/1e6*c.MillionTokens + float64(r.Count(results.Requests, results.Tags{Step: Turn.String()}))*c.Turn
}

func tokens(r *results.Run) uint64 {
	return r.Count(results.OutputTokens, results.Tags{}) + r.Count(results.ReasoningTokens, results.Tags{})
}

// A Pace is what a fleet does at a moment, as far as it has told.
type Pace struct {
	Arrivals float64 // per second, over the last ten
	Streams  uint64  // under way at once, at most in the last second
}

// chance is how far arrivals may stand above their limit before it counts as
// passed: they are random, and those of a lost worker come together.
const chance = 1.25

// Passed says which limit a run has passed, in words for its verdict; nothing
// when none.
func (l Limits) Passed(r *results.Run, now Pace) string {
	count := results.HumanCount
	switch n := tokens(r); {
	case l.Arrivals > 0 && now.Arrivals > l.Arrivals*chance+5*math.Sqrt(l.Arrivals/10): // 5 standard deviations of ten seconds
		return fmt.Sprintf("limits.arrivals: %s → %s, over 10 s", results.HumanRate(l.Arrivals), results.HumanRate(now.Arrivals))
	case l.Streams > 0 && now.Streams > l.Streams:
		return fmt.Sprintf("limits.streams: %s → %s at once", count(l.Streams), count(now.Streams))
	case l.Tokens > 0 && n > l.Tokens:
		return fmt.Sprintf("limits.tokens: %s → %s streamed", count(l.Tokens), count(n))
	case l.Cost != nil && l.Cost.of(r) > l.Cost.Most:
		return fmt.Sprintf("limits.cost: %.2f → %.2f, for %s tokens and %s turns", l.Cost.Most, l.Cost.of(r), count(n),
			count(r.Count(results.Requests, results.Tags{Step: Turn.String()})))
	}
	return ""
}
