package scenarios

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// ParseFactor reads a factor: a number such as 0.1 or a fraction such as
// 1/1000.
func ParseFactor(s string) (float64, error) {
	numerator, denominator, fraction := strings.Cut(strings.TrimSpace(s), "/")
	f, err := parseNumber(numerator)
	if err == nil && fraction {
		var d float64
		if d, err = parseNumber(denominator); err == nil {
			f /= d
		}
	}
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return 0, fmt.Errorf("factor %q is neither a number nor a fraction such as 1/1000", clip(s, 40))
	}
	return f, nil
}

// A factorRange is a factor, and whether it is in its range.
type factorRange struct {
	name  string
	value float64
	want  string
	ok    bool
}

func factorRanges(f results.Factors) []factorRange {
	return []factorRange{
		{"scale", f.Scale, "more than 0 and at most 1", f.Scale > 0 && f.Scale <= 1},
		{"demand", f.Demand, "more than 0 and at most 1000", f.Demand > 0 && f.Demand <= 1000},
		{"compress", f.Compress, "at least 1 and at most 100000", f.Compress >= 1 && f.Compress <= 100_000},
		{"pace", f.Pace, "more than 0 and at most 10", f.Pace > 0 && f.Pace <= 10},
	}
}

// Plan expands the campaign for one run. A factor of 0 takes the campaign's
// own suggestion. It returns an error when a factor is out of its range, when
// nobody or more than MaxShoppers would come, when a stage would be shorter
// than a millisecond, or when the arrivals would exceed the campaign's limit.
func (c *Campaign) Plan(f results.Factors) (*Plan, error) {
	f.Scale = cmp.Or(f.Scale, c.Factors.Scale)
	f.Demand = cmp.Or(f.Demand, c.Factors.Demand)
	f.Compress = cmp.Or(f.Compress, c.Factors.Compress)
	f.Pace = cmp.Or(f.Pace, c.Factors.Pace)
	p, err := c.plan(f)
	if err != nil {
		return nil, fmt.Errorf("plan %s: %w", c.Name, err)
	}
	return p, nil
}

func (c *Campaign) plan(f results.Factors) (*Plan, error) {
	var faults []error
	for _, r := range factorRanges(f) {
		if !r.ok {
			faults = append(faults, fmt.Errorf("%s must be %s, not %v", r.name, r.want, r.value))
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	planned := math.Round(c.published() * f.Scale * f.Demand)
	if planned < 1 || planned > MaxShoppers {
		return nil, fmt.Errorf("%.0f shoppers × scale %v × demand %v are %.0f; a plan has 1 to %d\nhint: change scale or demand",
			c.published(), f.Scale, f.Demand, planned, MaxShoppers)
	}
	for _, s := range c.Crowd.Stages {
		if length := time.Duration(float64(s.For) / f.Compress); length < time.Millisecond {
			return nil, fmt.Errorf("stage %s would last %v\nhint: compress the day less", s.Name, length)
		}
	}
	p := newPlan(c, f, uint64(planned))
	if peak, stage := p.peak(); c.Limits.Arrivals > 0 && peak > c.Limits.Arrivals*(1+1e-9) {
		return nil, fmt.Errorf("stage %s would reach %.1f arrivals/s, and limits.arrivals is %v/s\nhint: lower scale or demand, compress less, or raise the limit",
			stage, peak, c.Limits.Arrivals)
	}
	return p, nil
}

// published returns how many shoppers come without any factor: as many as the
// campaign says, or the integral of its absolute rates.
func (c *Campaign) published() float64 {
	if c.Crowd.Shoppers > 0 {
		return float64(c.Crowd.Shoppers)
	}
	var area float64
	for _, s := range c.Crowd.Stages {
		area += (s.From + s.To) / 2 * s.For.Seconds()
	}
	return area
}
