package report

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/flashcrowd/flashcrowd/results"
)

const chartHeight = 5

// A curve is a number for each column of plan time, in things a second.
type curve []float64

func (c curve) peak() (top float64) {
	for _, v := range c {
		top = max(top, v)
	}
	return top
}

// A timeline is the plan, and what came after its end, in columns.
type timeline struct {
	end   float64 // seconds
	width int     // columns
}

func newTimeline(r *results.Run, width int) timeline {
	end := r.Duration.Seconds()
	for _, s := range r.Seconds {
		end = max(end, float64(s.At+1))
	}
	return timeline{end, width}
}

// column is where a moment of plan time stands, in columns.
func (t timeline) column(seconds float64) float64 { return seconds / t.end * float64(t.width) }

// curve shares out what of says about each second over the columns that the
// second covers.
func (t timeline) curve(seconds []results.Second, of func(results.Second) uint64) curve {
	c := make(curve, t.width)
	for _, s := range seconds {
		from, to := t.column(float64(s.At)), t.column(float64(s.At+1))
		for i := max(0, int(from)); i < t.width && float64(i) < to; i++ {
			c[i] += float64(of(s)) * (min(to, float64(i+1)) - max(from, float64(i)))
		}
	}
	return c
}

var eighths = []rune(" ▁▂▃▄▅▆▇█")

// rows draws c as bars, height rows from top to bottom, in eighths of a row.
// What is not 0 is never drawn as nothing.
func (c curve) rows(height int) []string {
	top := c.peak()
	rows := make([]string, height)
	for i := range rows {
		floor := (height - 1 - i) * 8
		var b strings.Builder
		for _, v := range c {
			level := 0
			if top > 0 && v > 0 {
				level = max(1, int(v/top*float64(height)*8+0.5))
			}
			b.WriteRune(eighths[min(8, max(0, level-floor))])
		}
		rows[i] = strings.TrimRight(b.String(), " ")
	}
	return rows
}

// axis draws the base line with a tick where each stage begins, and below it
// their names and their moments, as far as they fit. Where
// the axis goes beyond the plan, its end has a tick upwards.
func (t timeline) axis(stages []results.Stage, duration time.Duration) (line, names, moments string) {
	base, below := []rune(strings.Repeat("─", t.width)), []rune(strings.Repeat(" ", t.width))
	at := slices.Clone(below)
	for i, s := range stages {
		from, to := int(t.column(s.From.Seconds())), t.width
		if i+1 < len(stages) {
			to = int(t.column(stages[i+1].From.Seconds()))
		}
		if to <= from {
			continue // too short to be seen
		}
		base[from] = '┬'
		copy(below[from:to], []rune(cut(s.Name, max(1, to-from-1))))
		if when := []rune(span(s.From)); len(when) < to-from {
			copy(at[from:to], when)
		}
	}
	if planned := duration.Seconds(); t.end > planned {
		i := min(t.width-1, int(t.column(planned)))
		base[i] = '┴'
		before(below, i, "plan ends")
		before(at, i, span(duration))
	}
	return string(base), strings.TrimRight(string(below), " "), strings.TrimRight(string(at), " ")
}

// before writes label into row so that it ends in column i, where there is room.
func before(row []rune, i int, label string) {
	from := i + 1 - utf8.RuneCountInString(label)
	if from < 1 || strings.TrimSpace(string(row[from-1:i+1])) != "" {
		return
	}
	copy(row[from:], []rune(label))
}

// chart draws arrivals, orders and failures over plan time.
func (p *page) chart(r *results.Run) {
	t := newTimeline(r, p.width-12)
	arrivals := t.curve(r.Seconds, func(s results.Second) uint64 { return s.Launched })
	if arrivals.peak() == 0 {
		return
	}
	p.section("Arrivals", "shoppers a second over %s; orders and failed requests a second below",
		span(time.Duration(t.end*float64(time.Second))))
	p.bars("", arrivals, chartHeight)
	line, names, moments := t.axis(r.Stages, r.Duration)
	p.line("%9s └%s", "", line)
	p.line("%9s  %s", "", names)
	p.line("%9s  %s", "plan time", moments)
	p.bars("orders", t.curve(r.Seconds, func(s results.Second) uint64 { return s.Orders }), 2)
	p.bars("failed", t.curve(r.Seconds, func(s results.Second) uint64 { return s.Failed }), 2)
}

// bars draws a curve with its peak as the label of the first row.
func (p *page) bars(label string, c curve, height int) {
	if c.peak() == 0 {
		p.line("%9s │ none", label)
		return
	}
	for i, row := range c.rows(height) {
		head := ""
		switch i {
		case 0:
			head = results.HumanRate(c.peak())
		case height - 1:
			head = label
		}
		p.line("%9s │%s", head, row)
	}
}
