package ci

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// topLevel is what may stand at the root, beside dot files.
var topLevel = []string{
	"cmd", "agents", "scenarios", "extensions", "results", "ci",
	"go.mod", "go.sum", "README.md", "flashcrowd.go",
	"LICENSE", "Makefile", "CHANGELOG.md", "Dockerfile",
}

const (
	usualLines = 400 // a file is rarely longer
	mostLines  = 500 // and never longer, but for longFiles
)

// longFiles are the files that may be longer than mostLines, and why.
var longFiles = map[string]string{}

func TestLayout(t *testing.T) {
	holds(t, roots, lengths(longFiles))
	for _, s := range clone(t).code {
		if !s.test && s.lines > usualLines {
			t.Logf("%s: %d lines: is it still about one thing?", s.path, s.lines)
		}
	}
}

func roots(tr tree) []finding {
	var found []finding
	for _, p := range tr.paths {
		top, _, _ := strings.Cut(p, "/")
		if !strings.HasPrefix(top, ".") && !slices.Contains(topLevel, top) &&
			!slices.ContainsFunc(found, func(f finding) bool { return f.where == top }) {
			found = append(found, finding{top, "not one of the names that may stand at the top level",
				"move it into the room that it belongs to, or into .gitignore if it is made by a tool"})
		}
	}
	return found
}

// lengths holds files to mostLines, and long to files that still need it.
func lengths(long map[string]string) rule {
	return func(tr tree) []finding {
		var found []finding
		needed := map[string]bool{}
		for _, s := range tr.code {
			if s.test || s.lines <= mostLines {
				continue
			}
			needed[s.path] = true
			if long[s.path] == "" {
				found = append(found, finding{s.path, fmt.Sprintf("%d lines", s.lines),
					"split it by subject, or name it in longFiles with the reason"})
			}
		}
		for _, p := range slices.Sorted(maps.Keys(long)) {
			if !needed[p] {
				found = append(found, finding{p, "in longFiles, and not a long file any more", "take it off the list"})
			}
		}
		return found
	}
}

func TestRootsCanFail(t *testing.T) {
	catches(t, roots, misdeed{"junk", `
-- README.md --
-- .github/workflows/ci.yml --
-- flashcrowd.go --
package flashcrowd
-- pkg/a.go --
package pkg
-- pkg/b.go --
package pkg
-- notes.txt --
-- results/notes.txt --
`, []string{"notes.txt", "pkg"}})
}

func TestLengthsCanFail(t *testing.T) {
	lines := func(n int) string { return "package results\n" + strings.Repeat("\n", n-1) }
	catches(t, lengths(map[string]string{"results/known.go": "a table", "results/gone.go": "was long"}),
		misdeed{"one line more", "-- results/a.go --\n" + lines(mostLines+1) + "-- results/known.go --\n" + lines(mostLines+1),
			[]string{"results/a.go", "results/gone.go"}},
		misdeed{"just right", "-- results/a.go --\n" + lines(mostLines) + "-- results/known.go --\n" + lines(mostLines+1) +
			"-- results/gone.go --\n" + lines(mostLines+1) + "-- results/long_test.go --\n" + lines(2*mostLines), nil},
	)
}
