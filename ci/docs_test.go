package ci

import (
	"go/ast"
	"go/token"
	"strings"
	"testing"
)

func TestDocs(t *testing.T) { holds(t, packageDocs, nameDocs) }

// packageDocs wants one chapter for each package.
func packageDocs(tr tree) []finding {
	var dirs []string
	chapters := map[string]int{}
	for _, s := range tr.code {
		if s.test {
			continue
		}
		if _, seen := chapters[s.dir]; !seen {
			dirs = append(dirs, s.dir)
			chapters[s.dir] = 0
		}
		if said(s.file.Doc) {
			chapters[s.dir]++
		}
	}
	var found []finding
	for _, dir := range dirs {
		switch n := chapters[dir]; {
		case n == 0:
			found = append(found, finding{dir, "no package doc",
				"say above one of its package clauses what the room is for, what it does not do, and the way through it"})
		case n > 1:
			found = append(found, finding{dir, "a package doc in several files",
				"keep one, in the file a reader opens first; put an empty line between the others and their package clauses"})
		}
	}
	return found
}

// nameDocs wants a doc comment for each exported name. A constant or variable
// is documented by its own comment, before it or behind it, by its block's, or,
// as one of a list, by the doc of its type.
func nameDocs(tr tree) []finding {
	var found []finding
	for _, s := range tr.code {
		if s.test {
			continue
		}
		miss := func(n ast.Node, name string) {
			found = append(found, finding{s.at(n), name + " is exported and not documented",
				"say its duty, range, unit and awkward case, or don't export it"})
		}
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if name := d.Name.Name; d.Name.IsExported() && !said(d.Doc) && exported(d.Recv) {
					miss(d, name)
				}
			case *ast.GenDecl:
				nameless(d, miss)
			}
		}
	}
	return found
}

// nameless calls miss for the undocumented exported names of d.
func nameless(d *ast.GenDecl, miss func(ast.Node, string)) {
	block := d.Lparen.IsValid()
	typed := false // a constant without a value repeats the type of the one above
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Name.IsExported() && !said(spec.Doc) && (block || !said(d.Doc)) {
				miss(spec, spec.Name.Name)
			}
		case *ast.ValueSpec:
			if spec.Type != nil || spec.Values != nil || d.Tok == token.VAR {
				typed = spec.Type != nil
			}
			if said(d.Doc) || said(spec.Doc) || said(spec.Comment) || block && typed {
				continue
			}
			for _, name := range spec.Names {
				if name.IsExported() {
					miss(name, name.Name)
				}
			}
		}
	}
}

// said reports whether a comment says something to people.
func said(c *ast.CommentGroup) bool { return strings.TrimSpace(c.Text()) != "" }

// exported reports whether a method's receiver is a type that others can name.
// A function without a receiver counts as exported.
func exported(recv *ast.FieldList) bool {
	if recv == nil {
		return true
	}
	t := recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}

func TestPackageDocsCanFail(t *testing.T) {
	catches(t, packageDocs, misdeed{"none, one and two chapters", `
-- agents/agents.go --
package agents
-- agents/agents_test.go --
// Package agents is documented by its test only.
package agents
-- results/results.go --
// Package results has a chapter.
package results
-- results/run.go --
// This comment is not part of it.

package results
-- scenarios/campaign.go --
// Package scenarios holds campaigns.
package scenarios
-- scenarios/plan.go --
// Package scenarios holds plans.
package scenarios
`, []string{"agents", "scenarios"}})
}

func TestNameDocsCanFail(t *testing.T) {
	catches(t, nameDocs,
		misdeed{"documented", `
-- results/results.go --
package results

// A Role is what a member is.
type Role string

const (
	Worker Role = "worker"
	Other  Role = "other"
)

// Limits of a run.
const (
	Most = 1
	Least = 0
)

var Zero Role // means nobody

type ( // a block
	// A Run is one execution.
	Run[T any] struct{ Field int }
	heap []int
)

// Add adds.
func (r *Run[T]) Add() {}
func (h heap) Len() int { return 0 }
`, nil},
		misdeed{"silent", `
-- results/results.go --
package results

type Role string

//go:generate nothing
const Most = 1

const (
	First Role = "first"
	Second = 2
)

var Zero, One Role

func (r *Role) Add() {}
func New() {}
`, []string{
			"results/results.go:3", "results/results.go:6", "results/results.go:10",
			"results/results.go:13", "results/results.go:13", "results/results.go:15", "results/results.go:16",
		}},
	)
}
