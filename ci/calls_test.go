package ci

import (
	"go/ast"
	"slices"
	"testing"
)

// reserved are names of other packages that only some rooms may use.
var reserved = []struct {
	names   []string
	only    []string // rooms
	not     []string // or: all but these rooms
	instead string
}{
	{
		names:   []string{"os.Exit", "log.Fatal", "log.Fatalf", "log.Fatalln"},
		only:    []string{"cmd/..."},
		instead: "return an error: the process ends in cmd and nowhere else, so that everything is joined and flushed",
	}, {
		names:   []string{"os.Stdout", "fmt.Print", "fmt.Printf", "fmt.Println"},
		only:    []string{"cmd/..."},
		instead: "take an io.Writer: stdout is the result, and cmd knows where it goes",
	}, {
		names: []string{
			"time.Now", "time.Since", "time.Until", "time.Sleep", "time.After",
			"time.AfterFunc", "time.Tick", "time.NewTimer", "time.NewTicker",
		},
		not:     pure,
		instead: "take the moment or the duration as an argument, so that a literal can test it",
	},
}

func TestReservedNames(t *testing.T) { holds(t, reservedNames) }

func reservedNames(tr tree) []finding {
	var found []finding
	for _, s := range tr.code {
		if s.test {
			continue
		}
		for n := range ast.Preorder(s.file) {
			name := s.qualified(n)
			if name == "" {
				continue
			}
			for _, r := range reserved {
				if !slices.Contains(r.names, name) || within(s.dir, r.only...) || r.not != nil && !within(s.dir, r.not...) {
					continue
				}
				found = append(found, finding{s.at(n), name + " in " + s.dir, r.instead})
			}
		}
	}
	return found
}

// qualified returns the name that n uses from an imported package, such as
// os.Exit, whatever the file calls that package.
func (s *source) qualified(n ast.Node) string {
	sel, ok := n.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if x, ok := sel.X.(*ast.Ident); ok && s.imports[x.Name] != "" {
		return s.imports[x.Name] + "." + sel.Sel.Name
	}
	return ""
}

func TestReservedNamesCanFail(t *testing.T) {
	catches(t, reservedNames,
		misdeed{"at home", `
-- cmd/flashcrowd/main.go --
package main
import ("fmt"; "os")
func main() { fmt.Println("pass"); os.Exit(0) }
-- extensions/crowd/crowd.go --
package crowd
import "time"
var now = time.Now
-- results/run_test.go --
package results
import "time"
var now = time.Now
`, nil},
		misdeed{"abroad", `
-- agents/worker/worker.go --
package worker
import (
	"fmt"
	system "os"
)
func stop() {
	fmt.Println("stopping")
	system.Exit(1)
}
-- results/run.go --
package results
import "time"
var second = time.Second
func late(at time.Time) bool { return time.Since(at) > second }
`, []string{"agents/worker/worker.go:7", "agents/worker/worker.go:8", "results/run.go:4"}},
	)
}
