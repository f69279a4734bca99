package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/verdict"
)

// What a change of the fleet keeps out of which figures.
const (
	lateFigures     = "late shoppers' times are in late_response alone: no threshold, no lag and no rate has them"
	orphanedFigures = "orphaned shoppers never ended: shoppers_ended, journey_duration, order_success and claim_success leave them out"
	silentFigures   = "what it sent after its last word is in no figure"
)

// change is a change of the fleet as tools read it.
type change struct {
	results.Change
	Rules       []verdict.Reason `json:"rules"`       // those that count it, as they came out for the whole run
	Invalidates bool             `json:"invalidates"` // one of them broke
	Excluded    []string         `json:"excluded"`    // what of it is in which figures not
	Next        string           `json:"next"`        // a command; empty where there is nothing to do
}

func changed(d Document, c results.Change) change {
	out := change{Change: c, Rules: some(d.Verdict.Counting(c)), Excluded: []string{}}
	out.Invalidates = slices.ContainsFunc(out.Rules, func(r verdict.Reason) bool { return !r.Held })
	if c.Late > 0 {
		out.Excluded = append(out.Excluded, lateFigures)
	}
	if c.Orphaned > 0 {
		out.Excluded = append(out.Excluded, orphanedFigures)
	}
	if c.Kind == results.Lost {
		out.Excluded = append(out.Excluded, silentFigures)
	}
	if out.Invalidates {
		out.Next = d.Again
	}
	return out
}

// changesShown is how many changes of a fleet are told in full.
const changesShown = 12

// changes tells who came and went while the load ran, and what it cost.
func (p *page) changes(d Document) {
	all := d.Run.Changes
	if len(all) == 0 {
		return
	}
	p.section("Changes", "of the fleet while the load ran, in plan time, and what they cost the measurement")
	next := ""
	for i, c := range all {
		if i == changesShown {
			p.line("  … and %d more: --json has all", len(all)-i)
			break
		}
		told := changed(d, c)
		next = cmp.Or(next, told.Next)
		p.line("  %s", strings.Join(wrap(headline(c), p.width-2), "\n    "))
		for _, l := range told.lines(d) {
			p.line("    %s", strings.Join(wrap(l, p.width-6), "\n      "))
		}
	}
	if next != "" {
		p.line("  again: %s", next)
	}
}

// headline says what happened and when.
func headline(c results.Change) string {
	to, length := "", time.Duration(0)
	if c.To != nil {
		to, length = results.Human(*c.To), *c.To-c.From
	}
	from := results.Human(c.From)
	switch {
	case c.Kind == results.Joined && c.To == nil:
		return fmt.Sprintf("%s joined at %s and never had its share", c.Worker, from)
	case c.Kind == results.Joined:
		return fmt.Sprintf("%s joined at %s and had its share at %s, %s later", c.Worker, from, to, results.Human(length))
	case c.Kind == results.Held:
		return fmt.Sprintf("%s launched nothing from %s to %s: its lease had run out, because nobody answered it or it stood still", c.Worker, from, to)
	case c.Kind == results.Left && c.To == nil:
		return fmt.Sprintf("%s asked to leave at %s, and nobody took its slots over", c.Worker, from)
	case c.Kind == results.Left:
		return fmt.Sprintf("%s asked to leave at %s, and others carried its slots from %s", c.Worker, from, to)
	case c.To == nil:
		return fmt.Sprintf("%s was lost after %s, and nothing that is stored says that others carried its slots: %s", c.Worker, from, c.Why)
	}
	return fmt.Sprintf("%s was lost from %s, its last word, to %s, when others carried its slots: %s", c.Worker, from, to, c.Why)
}

// lines say what a change cost.
func (c change) lines(d Document) []string {
	var counts []string
	for _, n := range []struct {
		count uint64
		what  string
	}{
		{c.Orphaned, "orphaned"}, {c.Again, "taken over as another attempt"}, {c.Late, "late"},
		{c.Never, "never started"}, {c.Missing, "snapshots missing"},
	} {
		if n.count > 0 {
			counts = append(counts, results.HumanCount(n.count)+" "+n.what)
		}
	}
	lines := []string{"shoppers: " + cmp.Or(strings.Join(counts, ", "), "none late, none orphaned")}
	for _, r := range c.Rules {
		effect := "held"
		if !r.Held {
			effect = "broken, so the run is invalid"
		}
		lines = append(lines, fmt.Sprintf("%s → %s: %s", r.Rule, r.Measured, effect))
	}
	if len(counts) > 0 && d.Verdict.Outcome == "" {
		lines = append(lines, "validity: not judged yet")
	}
	for _, e := range c.Excluded {
		lines = append(lines, "figures: "+e)
	}
	return lines
}
