package ci

import (
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/flashcrowd/flashcrowd"

// mayImport is the import table of the codemap (flashcrowd.go): each room, and the rooms it may
// import. What is not listed is forbidden.
var mayImport = map[string][]string{
	".":              {"extensions"},
	"cmd/flashcrowd": {"..."},
	"cmd/bench":      {"agents", "agents/membership", "scenarios", "results", "results/audit", "results/store"},

	"agents":             {"scenarios", "results"},
	"agents/membership":  {},
	"agents/coordinator": {"agents", "agents/membership", "scenarios", "results", "results/verdict"},
	"agents/worker":      {"agents", "agents/membership", "scenarios", "results", "extensions/link"},
	"agents/trials":      {"agents", "agents/coordinator", "scenarios", "results", "results/verdict", "results/compare", "results/audit"},

	"scenarios":            {"results", "results/verdict", "results/books"},
	"scenarios/storefront": {},

	"extensions":                 {"extensions/link", "extensions/host", "extensions/crowd/...", "scenarios", "results"},
	"extensions/link":            {"scenarios"},
	"extensions/host":            {},
	"extensions/crowd":           {"scenarios", "results", "extensions/crowd/wire"},
	"extensions/crowd/wire":      {"results"},
	"extensions/crowd/pick":      {},
	"extensions/crowd/tools":     {"scenarios"},
	"extensions/crowd/crowdtest": {"extensions/crowd", "extensions/crowd/wire", "scenarios", "results"},
	"extensions/crowd/chat":      {"extensions/crowd", "extensions/crowd/pick", "extensions/crowd/tools", "extensions/crowd/wire", "scenarios", "results"},
	"extensions/crowd/mcp":       {"extensions/crowd", "extensions/crowd/wire", "scenarios", "results"},
	"extensions/crowd/coupons":   {"extensions/crowd", "extensions/crowd/mcp", "extensions/crowd/pick", "extensions/crowd/wire", "scenarios", "results"},
	"extensions/crowd/checkout":  {"extensions/crowd", "extensions/crowd/mcp", "extensions/crowd/pick", "extensions/crowd/wire", "scenarios", "results"},
	"extensions/crowd/custom":    {"extensions/crowd", "extensions/crowd/tools", "extensions/crowd/wire", "scenarios", "results"},

	"results":         {},
	"results/store":   {"results", "results/verdict"},
	"results/verdict": {"results"},
	"results/compare": {"results"},
	"results/audit":   {"results"},
	"results/books":   {"results/audit"},
	"results/sources": {"results/audit", "results/books"},
	"results/report":  {"results", "results/verdict", "results/compare"},
	"results/live":    {"results", "results/verdict", "results/compare"},

	"ci": {"results", "results/verdict", "results/compare"},
}

// apart are the walls that must stand whatever the table grows into: from must
// not reach to, however many rooms lie between.
var apart = []struct{ from, to, because string }{
	{"agents/coordinator", "agents/worker", "the two meet only in an agents.Exchange"},
	{"agents/worker", "agents/coordinator", "the two meet only in an agents.Exchange"},
	{"agents/...", "extensions", "k6 lives in the child process that a worker starts, behind extensions/link"},
	{"agents/...", "scenarios/storefront", "the measuring side starts the storefront by re-executing the binary"},
	{"extensions/...", "scenarios/storefront", "a shopper knows a backend only by its protocols"},
	{"results/...", "agents/...", "results never knows where snapshots come from: take them as values"},
	{"results/...", "extensions/...", "results never knows where snapshots come from: take them as values"},
}

// outsiders are packages that only one room may import.
var outsiders = []struct {
	path    string // and what is below it
	only    []string
	instead string
}{
	{"go.k6.io/k6", []string{"extensions", "cmd/flashcrowd"}, "translate k6's types in package extensions and pass our own"},
	{"github.com/hashicorp/memberlist", []string{"agents/membership"}, "use membership's Join, Members, Events and Leave"},
	{"github.com/spf13/cobra", []string{"cmd/flashcrowd"}, "take values as arguments and let the command parse them"},
	{"github.com/jackc/pgx", []string{"results/sources"}, "read books through package sources"},
	{"os/signal", []string{"cmd/flashcrowd"}, "take a context and let the command cancel it"},
}

// pure rooms compute from their arguments alone.
var pure = []string{"results", "results/verdict", "results/compare", "results/audit", "results/books"}

// impure is what a pure room may not import, with what is below it.
var impure = []string{"os", "net", "syscall", "log", "database/sql", "golang.org/x/sys"}

func TestImports(t *testing.T) {
	holds(t, importTable, walls, outside, purity)
}

// importTable holds each import of one room by another against mayImport. As
// every room is in the table, this bounds what a room reaches through others.
func importTable(tr tree) []finding {
	var found []finding
	told := map[string]bool{}
	for _, s := range tr.code {
		if s.test {
			continue
		}
		allowed, known := mayImport[s.dir]
		if !known && !told[s.dir] {
			told[s.dir] = true
			found = append(found, finding{s.dir, "a room that the import table does not know",
				"put the code into one of the rooms of flashcrowd.go, or add the room there and to mayImport"})
		}
		for _, i := range s.file.Imports {
			to, ours := room(i.Path.Value)
			if ours && known && !within(to, allowed...) {
				found = append(found, finding{s.at(i), s.dir + " must not import " + to,
					fmt.Sprintf("%s may import %q: declare the interface you need there, or take the value as an argument", s.dir, allowed)})
			}
		}
	}
	return found
}

// room returns the folder that a quoted import path names, if it is ours.
func room(quoted string) (dir string, ours bool) {
	imported := strings.Trim(quoted, "`\"")
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}

// walls looks for a way from one side of apart to the other.
func walls(tr tree) []finding {
	next := map[string]map[string]bool{}
	for _, s := range tr.code {
		if s.test {
			continue
		}
		if next[s.dir] == nil {
			next[s.dir] = map[string]bool{}
		}
		for _, i := range s.file.Imports {
			if to, ours := room(i.Path.Value); ours {
				next[s.dir][to] = true
			}
		}
	}
	var found []finding
	for _, wall := range apart {
		for _, from := range slices.Sorted(maps.Keys(next)) {
			if !within(from, wall.from) {
				continue
			}
			if way := way(next, from, wall.to); way != nil {
				found = append(found, finding{from, "reaches " + strings.Join(way, " → "), wall.because})
			}
		}
	}
	return found
}

// way returns a shortest chain of imports from a room to one within to.
func way(next map[string]map[string]bool, from, to string) []string {
	seen, queue := map[string]bool{from: true}, [][]string{{from}}
	for len(queue) > 0 {
		chain := queue[0]
		queue = queue[1:]
		for _, n := range slices.Sorted(maps.Keys(next[chain[len(chain)-1]])) {
			longer := append(slices.Clone(chain), n)
			if within(n, to) {
				return longer
			}
			if !seen[n] {
				seen[n] = true
				queue = append(queue, longer)
			}
		}
	}
	return nil
}

func outside(tr tree) []finding {
	var found []finding
	for _, s := range tr.code {
		for _, i := range s.file.Imports {
			for _, o := range outsiders {
				if !s.test && within(strings.Trim(i.Path.Value, "`\""), o.path+"/...") && !within(s.dir, o.only...) {
					found = append(found, finding{s.at(i), fmt.Sprintf("only %q may import %s", o.only, o.path), o.instead})
				}
			}
		}
	}
	return found
}

func purity(tr tree) []finding {
	var found []finding
	for _, s := range tr.code {
		for _, i := range s.file.Imports {
			for _, p := range impure {
				if !s.test && within(s.dir, pure...) && within(strings.Trim(i.Path.Value, "`\""), p+"/...") {
					found = append(found, finding{s.at(i), s.dir + " does no I/O and must not import " + p,
						"take the bytes or values as arguments; reading and writing belongs to the caller"})
				}
			}
		}
	}
	return found
}

// Only the go tool knows what the modules we import import in turn, so this one
// rule asks it: no room but extensions and cmd may have k6 in its binary.
func TestOnlyExtensionsReachK6(t *testing.T) {
	var rooms []string
	for _, s := range clone(t).code {
		if !s.test && !within(s.dir, ".", "extensions", "cmd/...") {
			rooms = append(rooms, "./"+s.dir)
		}
	}
	slices.Sort(rooms)
	rooms = slices.Compact(rooms)
	deps := func(packages ...string) string {
		cmd := exec.Command("go", append([]string{"list", "-e", "-deps"}, packages...)...)
		cmd.Dir = ".."
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list -deps: %v", err)
		}
		return string(out)
	}
	const k6 = "go.k6.io/k6/"
	if !strings.Contains(deps(k6+"v2/metrics"), k6) {
		t.Fatal("this test can't see k6 where it is, so it can't see that it is not there")
	}
	if !strings.Contains(deps(rooms...), k6) {
		return
	}
	for _, r := range rooms {
		if strings.Contains(deps(r), k6) {
			t.Errorf("%s reaches k6\n\tinstead: translate k6's types in package extensions and pass our own; `go mod why` shows the way", r)
		}
	}
}

func TestImportTableCanFail(t *testing.T) {
	catches(t, importTable,
		misdeed{"as designed", `
-- agents/worker/worker.go --
package worker
import _ "github.com/flashcrowd/flashcrowd/extensions/link"
-- extensions/extensions.go --
package extensions
import _ "github.com/flashcrowd/flashcrowd/extensions/crowd/chat"
-- results/results_test.go --
package results_test
import _ "github.com/flashcrowd/flashcrowd/scenarios"
`, nil},
		misdeed{"against the flow", `
-- results/results.go --
package results
import "fmt"
import _ "github.com/flashcrowd/flashcrowd/scenarios"
`, []string{"results/results.go:3"}},
		misdeed{"on another platform only", `
-- agents/membership/m_windows.go --
package membership
import _ "github.com/flashcrowd/flashcrowd/agents"
`, []string{"agents/membership/m_windows.go:2"}},
		misdeed{"the root", `
-- ci/ci.go --
package ci
import _ "github.com/flashcrowd/flashcrowd"
`, []string{"ci/ci.go:2"}},
		misdeed{"a new room", `
-- helpers/a.go --
package helpers
-- helpers/b.go --
package helpers
`, []string{"helpers"}},
	)
}

func TestWallsCanFail(t *testing.T) {
	catches(t, walls,
		misdeed{"through a third room", `
-- agents/coordinator/c.go --
package coordinator
import _ "github.com/flashcrowd/flashcrowd/agents"
-- agents/agents.go --
package agents
import _ "github.com/flashcrowd/flashcrowd/agents/worker"
-- agents/worker/w.go --
package worker
`, []string{"agents/coordinator"}},
		misdeed{"a way round in a circle", `
-- agents/coordinator/c.go --
package coordinator
import _ "github.com/flashcrowd/flashcrowd/agents"
-- agents/agents.go --
package agents
import _ "github.com/flashcrowd/flashcrowd/agents/coordinator"
`, nil},
	)
}

func TestOutsideCanFail(t *testing.T) {
	catches(t, outside,
		misdeed{"at home", `
-- extensions/module.go --
package extensions
import _ "go.k6.io/k6/v2/js/modules"
-- agents/membership/m.go --
package membership
import _ "github.com/hashicorp/memberlist"
-- cmd/flashcrowd/main.go --
package main
import _ "github.com/spf13/cobra"
import _ "go.k6.io/k6/v2/cmd"
import _ "os/signal"
`, nil},
		misdeed{"abroad", `
-- extensions/crowd/crowd.go --
package crowd
import _ "go.k6.io/k6/v2/metrics"
-- agents/agents.go --
package agents
import ml "github.com/hashicorp/memberlist"
-- results/report/report.go --
package report
import (
	_ "github.com/spf13/cobra"
	_ "os/signal"
)
`, []string{"agents/agents.go:2", "extensions/crowd/crowd.go:2", "results/report/report.go:3", "results/report/report.go:4"}},
	)
}

func TestPurityCanFail(t *testing.T) {
	catches(t, purity, misdeed{"files and sockets", `
-- results/run.go --
package results
import (
	_ "fmt"
	_ "net/netip"
	_ "os"
)
-- results/store/store.go --
package store
import _ "os"
`, []string{"results/run.go:4", "results/run.go:5"}})
}
