package scenarios

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Faults is everything that is wrong with a campaign, in the order of its
// lines. It is an error when there is any.
type Faults []Fault

// A Fault is one thing that is wrong with a campaign.
type Fault struct {
	File    string
	Line    int    // from 1; 0 when the campaign did not come from a file
	Column  int    // from 1, in characters
	Path    string // where it is in the campaign: crowd.stages[1].for; empty for the whole file
	Message string
	Hint    string // the next move, where there is one

	onKey bool // the key is wrong, not its value
}

// Error lists the faults, one on a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

// String returns file:line:column: path: message (hint).
func (f Fault) String() string {
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File + ":")
	}
	if f.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", f.Line, f.Column)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Message)
	if f.Hint != "" {
		b.WriteString(" (" + f.Hint + ")")
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' ' // one line, and no codes for the terminal
		}
		return r
	}, b.String())
}

// maxFaults is how many faults are reported at once.
const maxFaults = 100

// err returns the faults, sorted, or nil when there are none. Beyond maxFaults
// the last one counts the rest.
func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	slices.SortStableFunc(f, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if over := len(f) - maxFaults; over > 0 {
		f = f[:maxFaults]
		last := &f[maxFaults-1]
		*last = Fault{File: last.File, Line: last.Line, Column: last.Column, Message: fmt.Sprintf("%d more faults from here on", over+1)}
	}
	return f
}

// Nearest returns the names that are a slip of the keyboard away from name, at
// most three, nearest first.
func Nearest(name string, names []string) []string {
	type candidate struct {
		name     string
		distance int
	}
	var near []candidate
	name = strings.ToLower(clip(name, 60))
	for _, n := range names {
		d := distance(name, n)
		if d <= max(1, len(n)/3) || len(name) > 3 && strings.HasPrefix(n, name) {
			near = append(near, candidate{n, d})
		}
	}
	slices.SortStableFunc(near, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	var found []string
	for _, c := range near[:min(len(near), 3)] {
		found = append(found, c.name)
	}
	return found
}

// distance returns the edits (insert, delete, replace, swap neighbours) that
// turn a into b.
func distance(a, b string) int {
	previous, current, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range current {
		current[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		for j := range len(b) {
			replace := 1
			if a[i] == b[j] {
				replace = 0
			}
			next[j+1] = min(current[j]+replace, current[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], previous[j-1]+1)
			}
		}
		previous, current, next = current, next, previous
	}
	return current[len(b)]
}

// didYouMean suggests names near to name, or lists them all when there are few.
func didYouMean(name string, names []string) string {
	if near := Nearest(name, names); len(near) > 0 {
		return "did you mean " + strings.Join(near, " or ") + "?"
	}
	return "known: " + strings.Join(names, ", ")
}

// clip cuts s to at most n bytes for a message, at a character's end.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
