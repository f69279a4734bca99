package ci

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

func TestSkipsAndSleeps(t *testing.T) { holds(t, skips, sleeps) }

// skips wants a reason for each test that is skipped.
func skips(tr tree) []finding {
	var found []finding
	for _, s := range tr.code {
		if !s.test {
			continue
		}
		for n := range ast.Preorder(s.file) {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				continue
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				continue
			}
			name, silent := sel.Sel.Name, len(call.Args) == 0
			if !silent {
				first, literal := call.Args[0].(*ast.BasicLit)
				silent = literal && strings.Trim(first.Value, "`\" ") == ""
			}
			if x, ok := sel.X.(*ast.Ident); !ok || !slices.Contains([]string{"t", "b", "f", "tb"}, x.Name) {
				continue
			}
			if name == "SkipNow" || silent && (name == "Skip" || name == "Skipf") {
				found = append(found, finding{s.at(n), "a test is skipped without a reason",
					"t.Skip with what is missing here and how to get it"})
			}
		}
	}
	return found
}

// sleeps wants a comment, on the line or the one before, for each time.Sleep in
// a test. Inside synctest.Test time is virtual and a sleep hides nothing.
func sleeps(tr tree) []finding {
	var found []finding
	for _, s := range tr.code {
		if !s.test {
			continue
		}
		commented := map[int]bool{}
		for _, group := range s.file.Comments {
			for _, c := range group.List {
				commented[s.fset.Position(c.End()).Line] = true
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			name, line := s.qualified(call.Fun), s.fset.Position(call.Pos()).Line
			if name == "time.Sleep" && !commented[line] && !commented[line-1] {
				found = append(found, finding{s.at(n), "a test sleeps and does not say why",
					"wait for the event itself, use testing/synctest, or write the reason on the line before"})
			}
			return name != "testing/synctest.Test"
		})
	}
	return found
}

func TestSkipsCanFail(t *testing.T) {
	catches(t, skips, misdeed{"with and without a reason", `
-- results/run_test.go --
package results
func TestA(t *testing.T) {
	t.Skip()
	t.Skip("")
	t.SkipNow()
	t.Skip("needs network namespaces")
	t.Skipf("needs %d processors", 4)
	reader.Skip()
}
`, []string{"results/run_test.go:3", "results/run_test.go:4", "results/run_test.go:5"}})
}

func TestSleepsCanFail(t *testing.T) {
	catches(t, sleeps, misdeed{"with and without a reason", `
-- results/run_test.go --
package results
import ("testing/synctest"; "time")
func TestA(t *testing.T) {
	time.Sleep(1)

	// The kernel gives no event for this.
	time.Sleep(1)
	time.Sleep(1) // as above
	go func() {
		time.Sleep(1)
	}()
	synctest.Test(t, func(t *testing.T) { time.Sleep(1) })
}
`, []string{"results/run_test.go:4", "results/run_test.go:10"}})
}
