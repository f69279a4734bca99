package report

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/flashcrowd/flashcrowd/results"
)

// account holds every planned shopper exactly once.
func (p *page) account(d Document) {
	a := d.Run.Account
	closes := ""
	if err := a.Closes(); err != nil && !d.Running {
		closes = "; it does not close"
	}
	p.section("Account", "every planned shopper, once%s", closes)
	p.line("  %s planned = %s ended + %s in flight + %s orphaned + %s never started", results.HumanCount(a.Planned),
		results.HumanCount(a.EndedCount()), results.HumanCount(a.InFlight), results.HumanCount(a.Orphaned), results.HumanCount(a.NeverStartedCount()))
	var ended []string
	for _, o := range results.Outcomes() {
		if n := a.Ended[o]; n > 0 {
			ended = append(ended, results.HumanCount(n)+" "+o.String())
		}
	}
	if len(ended) > 0 {
		p.line("  ended: %s", strings.Join(wrap(strings.Join(ended, ", "), p.width-9), "\n         "))
	}
	for _, s := range a.NeverStarted {
		p.line("  never started: %s in %s, %s", results.HumanCount(s.Count), cmp.Or(s.Stage, "no stage"), s.Reason)
	}
	if a.Late > 0 {
		p.line("  %s of them were made late by the fleet, not by the backend", results.HumanCount(a.Late))
	}
}

// fateWidth is how much of a worker's end stands in its row; a longer one
// follows below the table.
const fateWidth = 22

// workers is how the generator itself fared.
func (p *page) workers(r *results.Run) {
	lag := r.Trend(results.ScheduleLag, results.Tags{})
	p.section("Generator", "schedule lag p50 %s, p99 %s, max %s: a step's intended moment to its start",
		quantile(lag, 0.5), quantile(lag, 0.99), quantile(lag, 1))
	rows := [][]string{{"worker", "launched", "ended", "orphaned", "cpu max", "memory max", "clock", "end"}}
	for _, w := range r.Workers {
		rows = append(rows, []string{
			w.Name, results.HumanCount(w.Launched),
			results.HumanCount(w.Ended), results.HumanCount(w.Orphaned), measured(w, results.HumanShare(w.CPU)), measured(w, megabytes(w.RSS)),
			measured(w, offset(w.Wall)), brief(w),
		})
	}
	defer p.doors(r)
	if len(r.Workers) == 0 {
		p.line("  no worker took part")
		return
	}
	p.table(1, rows, 7)
	for _, w := range r.Workers {
		if what := w.Withheld(); what != "" {
			p.line("  %s: %s, in its worst second", w.Name, what)
		}
		if utf8.RuneCountInString(w.Fate) > fateWidth {
			p.line("  %s", strings.Join(wrap(w.Name+": "+w.Fate, p.width-2), "\n    "))
		}
		for _, u := range w.Upsets {
			p.line("  %s: %s", w.Name, u)
		}
	}
}

// doors says what the fleet did not let in, and what of it was kept.
func (p *page) doors(r *results.Run) {
	var all []string
	for _, b := range r.Barred {
		all = append(all, fmt.Sprintf("%s (%s)", b.Reason, results.HumanCount(b.Count)))
	}
	if len(all) > 0 {
		p.line("  not let in: %s", strings.Join(wrap(strings.Join(all, ", "), p.width-14), "\n              "))
	}
	if r.Apart.Snapshots > 0 {
		p.line("  kept apart: snapshots (%s) and promises (%s) after the end of a lease; they are in no figure",
			results.HumanCount(r.Apart.Snapshots), results.HumanCount(r.Apart.Promises))
	}
}

// brief is how a worker ended where that fits its row.
func brief(w results.Worker) string {
	if utf8.RuneCountInString(fate(w)) > fateWidth {
		return "see below"
	}
	return fate(w)
}

// measured is what a worker reported of itself; it reports both or nothing.
func measured(w results.Worker, s string) string {
	if w.RSS == 0 {
		return nothing
	}
	return s
}

// offset is by how much a wall clock was ahead of the coordinator's, at most.
func offset(d time.Duration) string {
	if d > 0 {
		return "+" + results.Human(d)
	}
	return results.Human(d)
}

func megabytes(bytes uint64) string { return results.HumanCount((bytes+500_000)/1_000_000) + " MB" }

func fate(w results.Worker) string {
	switch {
	case w.Fate != "":
		return w.Fate
	case w.Finished:
		return "finished"
	}
	return "unknown"
}

// excerpt is how many lines of a request or an answer are shown.
const excerpt = 8

// example shows one exchange of the most frequent bad outcome.
func (p *page) example(d Document) {
	r := d.Run
	e := Worst(r)
	if e == nil {
		return
	}
	p.section("Example", "one of %s that ended as %s", results.HumanCountOf(r.Count(results.Requests, results.Tags{Outcome: e.Outcome.String()}), "request"), e.Outcome.String())
	attempt := ""
	if e.Attempt > 0 {
		attempt = fmt.Sprintf(", attempt %d", e.Attempt+1)
	}
	p.line("  %s in %s%s, ended at %s after %s", e.Step, e.Stage, attempt, results.Human(e.At), results.Human(e.Took))
	p.line("  shopper %s, trace %s", e.Shopper, cmp.Or(e.Trace, nothing))
	if e.Why != "" {
		p.line("  %s", strings.Join(wrap(e.Why, p.width-2), "\n  "))
	}
	p.exchange(">", e.Request)
	p.exchange("<", e.Response)
	if d.Replay != "" {
		p.line("  again: %s", d.Replay)
	}
}

// exchange shows the first lines of a request or an answer, long ones broken.
func (p *page) exchange(sign, text string) {
	if text == "" {
		return // it did not come to that
	}
	var lines []string
	for l := range strings.SplitSeq(strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), "\n") {
		runes := []rune(l)
		for len(runes) > p.width-4 {
			lines = append(lines, string(runes[:p.width-4]))
			runes = runes[p.width-4:]
		}
		lines = append(lines, string(runes))
	}
	for i, l := range lines {
		if i == excerpt {
			p.line("  %s … %s more", sign, results.HumanCountOf(uint64(len(lines)-i), "line"))
			return
		}
		p.line("  %s %s", sign, l)
	}
}

// Worst returns an example of the bad outcome that most requests had; nil if
// none was kept.
func Worst(r *results.Run) (found *results.Example) {
	most := uint64(0)
	for i := range r.Examples {
		e := &r.Examples[i]
		if e.Outcome == results.OK {
			continue
		}
		if n := r.Count(results.Requests, results.Tags{Outcome: e.Outcome.String()}); found == nil || n > most {
			found, most = e, n
		}
	}
	return found
}

// endnotes say where things are and what to try next.
func (p *page) endnotes(d Document) {
	if len(d.Files) > 0 {
		p.section("Files", "")
		width := 0
		for _, f := range d.Files {
			width = max(width, utf8.RuneCountInString(f.Path))
		}
		for _, f := range d.Files {
			p.line("  %-*s  %s", width, f.Path, f.What)
		}
	}
	if len(d.Next) > 0 {
		p.section("Next", "")
		for _, n := range d.Next {
			p.line("  %s", n)
		}
	}
}
