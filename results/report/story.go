package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// turnedAway are the outcomes by which a backend says no to load, not to business.
var turnedAway = []results.Outcome{results.Refused, results.RateLimited, results.Unavailable}

// muchTurnedAway is the share of the requests from which on turning away is worth
// a story.
const muchTurnedAway = 0.01

// story tells how the backend bore the surge, where there is something to tell:
// it tipped over, it turned much away, or its books are wrong.
func (p *page) story(d Document) {
	s := d.Run.Story()
	if s == nil {
		return
	}
	away, names := share{total: d.Run.Count(results.Requests, results.Tags{})}, []string{}
	for _, o := range turnedAway {
		if n := d.Run.Count(results.Requests, results.Tags{Outcome: o.String()}); n > 0 {
			away.good += n
			names = append(names, results.HumanCount(n)+" "+o.String())
		}
	}
	much := away.total > 0 && *away.ratio() > muchTurnedAway
	books := broken(d.Audit)
	if s.Tipped == nil && !much && len(books) == 0 {
		return
	}
	p.section("The day", "orders beside what was due, averaged over %s", span(s.Window))
	p.told("  tipped over  ", tipping(s))
	if s.Tipped != nil {
		p.told("  stayed down  ", lasting(s))
	}
	p.told("  retries      ", effort(s))
	if away.good > 0 {
		p.told("  turned away  ", fmt.Sprintf("%s of the requests: %s", percent(away.ratio()), strings.Join(names, ", ")))
	}
	if len(books) > 0 {
		p.told("  books        ", strings.Join(books, "; "))
	}
}

// told writes one line of a story, broken where it is long.
func (p *page) told(head, text string) {
	p.line("%s%s", head, strings.Join(wrap(text, p.width-len(head)), "\n"+strings.Repeat(" ", len(head))))
}

func tipping(s *results.Story) string {
	if s.Tipped == nil {
		return fmt.Sprintf("never: orders went on at up to %s", results.HumanRate(s.Best))
	}
	return fmt.Sprintf("at %s: orders fell from %s to %s, with %s due", moment(*s.Tipped), results.HumanRate(s.Best), results.HumanRate(s.Worst), results.HumanRate(s.Due))
}

func lasting(s *results.Story) string {
	down, after := s.Down()
	gone := ""
	if after > 0 {
		gone = fmt.Sprintf(", %s of it after %s was over", moment(after), s.Peak.Name)
	}
	if s.Recovered == nil {
		return fmt.Sprintf("for %s%s, and did not recover", moment(down), gone)
	}
	return fmt.Sprintf("for %s%s; up again at %s", moment(down), gone, moment(*s.Recovered))
}

func effort(s *results.Story) string {
	say := func(e results.Effort) string {
		if each := e.PerStep(); each > 0 {
			return decimal(&each)
		}
		return nothing
	}
	return fmt.Sprintf("requests for each step meant: %s before %s, %s in it", say(s.Before), s.Peak.Name, say(s.AtPeak))
}

func moment(d time.Duration) string { return span(d.Round(time.Second)) }

// broken lists what the audit found, each with its count.
func broken(a *results.Audit) (all []string) {
	if a == nil {
		return nil
	}
	for _, c := range a.In(results.StateBroken) {
		all = append(all, c.Invariant+": broken "+results.HumanCount(c.Count)+" ×")
	}
	return all
}
