package report

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/flashcrowd/flashcrowd/results"
)

const nothing = "–" // what was not measured

// Between these a page follows its terminal: what is narrower has tables that
// would not fit, what is wider has lines that nobody reads.
const narrowest, widest = 72, 100

// A page is the text as it grows. Everything but its own colours goes through
// clean: answers of a backend are printed here, to terminals.
type page struct {
	strings.Builder
	colour bool
	width  int // in columns
}

type colour string

const (
	bold   colour = "1"
	red    colour = "1;31"
	green  colour = "1;32"
	yellow colour = "1;33"
)

// paint writes words of our own in a colour, where colours are wanted.
func (p *page) paint(c colour, words string) {
	if p.colour {
		words = "\x1b[" + string(c) + "m" + words + "\x1b[0m"
	}
	p.WriteString(words)
}

// print writes text without a line feed at its end.
func (p *page) print(format string, args ...any) {
	p.WriteString(clean(fmt.Sprintf(format, args...)))
}

// line writes a line.
func (p *page) line(format string, args ...any) {
	p.WriteString(strings.TrimRight(clean(fmt.Sprintf(format, args...)), " "))
	p.WriteByte('\n')
}

// section begins one: an empty line, its title, and a note that says what the
// figures in it count.
func (p *page) section(title, note string, args ...any) {
	p.WriteByte('\n')
	p.paint(bold, title)
	if note != "" {
		p.print("  "+note, args...)
	}
	p.WriteByte('\n')
}

// clean replaces what could steer a terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return '·'
		}
		return r
	}, s)
}

// table writes rows in columns, the first and those in left flush left, the
// others flush right. The first heads rows are headings.
func (p *page) table(heads int, rows [][]string, left ...int) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i > 0 && !slices.Contains(left, i) {
				cell, pad = pad+cell, ""
			}
			b.WriteString("  " + cell + pad)
		}
		if n < heads {
			p.paint(bold, strings.TrimRight(b.String(), " "))
			p.line("")
			continue
		}
		p.line("%s", b.String())
	}
}

// wrap breaks text at spaces into lines of at most width columns. A word that
// is longer stays whole, and a number stays with its unit.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range words(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// words splits text at spaces, but not between a number and its unit.
func words(text string) []string {
	var all []string
	for word := range strings.FieldsSeq(text) {
		unit := slices.Contains([]string{"%", "ns", "µs", "ms", "s"}, strings.TrimRight(word, ".,;:)"))
		if n := len(all); unit && n > 0 && unicode.IsDigit(rune(all[n-1][len(all[n-1])-1])) {
			all[n-1] += " " + word
			continue
		}
		all = append(all, word)
	}
	return all
}

// cut shortens a line to width columns.
func cut(s string, width int) string {
	if runes := []rune(s); len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return s
}

func quantile(h *results.Histogram, q float64) string {
	if h.Count() == 0 {
		return nothing
	}
	return results.Human(h.Quantile(q))
}

func percent(ratio *float64) string {
	if ratio == nil {
		return nothing
	}
	return results.HumanShare(*ratio)
}

func perSecond(v *float64) string {
	if v == nil {
		return nothing
	}
	return results.HumanRate(*v)
}

// decimal formats a factor or a quotient: 8.03, 12, 0.1.
func decimal(v *float64) string {
	if v == nil {
		return nothing
	}
	return strings.TrimSuffix(results.HumanRate(*v), "/s")
}

// span formats a length of time for people, whole hours without minutes.
func span(d time.Duration) string {
	if d >= time.Hour && d%time.Hour == 0 {
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return results.Human(d)
}
