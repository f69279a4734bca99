package verdict

import (
	"slices"
	"strings"

	"github.com/flashcrowd/flashcrowd/results"
)

// Names of rules that count what became of the fleet. What follows a name in a
// rule is its limit.
const (
	ruleLate     = "validity.late"
	ruleOrphaned = "validity.orphaned"
	ruleGivenUp  = "no request is given up by the generator"
	ruleClosed   = "every planned shopper is accounted for"
)

// Counting returns the rules of v that count what a change of the fleet did, as
// they came out for the whole run. None means that the change cost the
// measurement nothing, or that there is no verdict yet.
func (v Verdict) Counting(c results.Change) []Reason {
	var rules []string
	if c.Orphaned > 0 {
		rules = append(rules, ruleOrphaned)
	}
	if c.Late+c.Never > 0 {
		rules = append(rules, ruleLate)
	}
	if c.Kind == results.Held {
		rules = append(rules, ruleGivenUp)
	}
	if c.Missing > 0 {
		rules = append(rules, ruleClosed)
	}
	var counting []Reason
	for _, r := range v.Reasons {
		if slices.ContainsFunc(rules, func(name string) bool { return strings.HasPrefix(r.Rule, name) }) {
			counting = append(counting, r)
		}
	}
	return counting
}
