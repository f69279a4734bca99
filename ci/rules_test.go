package ci

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"
)

// A rule looks at the whole tree and says what breaks it. Rules read source
// text and not a build, so they see the files of every platform at once.
type rule func(tree) []finding

// A finding is one place that breaks a rule.
type finding struct {
	where   string // path, or path:line
	what    string // is wrong
	instead string // what to do
}

func (f finding) String() string { return f.where + ": " + f.what + "\n\tinstead: " + f.instead }

// A tree is the project's files: what is in git or could be added to it.
type tree struct {
	fs    fs.FS
	paths []string // sorted
	code  []*source
}

// A source is one parsed Go file outside testdata.
type source struct {
	path, dir string // dir is "." for the root
	test      bool
	lines     int
	fset      *token.FileSet
	file      *ast.File
	imports   map[string]string // local name to import path
}

func (s *source) at(n ast.Node) string {
	return s.path + ":" + strconv.Itoa(s.fset.Position(n.Pos()).Line)
}

// grow parses the Go files among paths. What does not parse is left to the
// compiler to complain about.
func grow(t *testing.T, files fs.FS, paths []string) tree {
	t.Helper()
	slices.Sort(paths)
	tr := tree{fs: files, paths: paths}
	for _, p := range paths {
		if path.Ext(p) != ".go" || slices.Contains(strings.Split(p, "/"), "testdata") {
			continue
		}
		text, err := fs.ReadFile(files, p)
		if err != nil {
			t.Fatal(err)
		}
		s := &source{
			path: p, dir: path.Dir(p), test: strings.HasSuffix(p, "_test.go"),
			lines: bytes.Count(text, []byte("\n")),
			fset:  token.NewFileSet(), imports: map[string]string{},
		}
		s.file, err = parser.ParseFile(s.fset, p, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Logf("left out: %v", err)
			continue
		}
		for _, i := range s.file.Imports {
			imported, _ := strconv.Unquote(i.Path.Value)
			name := path.Base(imported)
			if i.Name != nil {
				name = i.Name.Name
			}
			s.imports[name] = imported
		}
		tr.code = append(tr.code, s)
	}
	return tr
}

// clone is this repository.
func clone(t *testing.T) tree {
	t.Helper()
	const root = ".."
	if _, err := os.Stat(root + "/.git"); errors.Is(err, fs.ErrNotExist) {
		t.Skip("not a git clone, so nothing says which files are the project's")
	}
	// safe.directory: a pipeline's clone often belongs to another user.
	cmd := exec.Command("git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("list the project's files: %v", err)
	}
	var paths []string
	for p := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if _, err := os.Stat(root + "/" + p); err == nil { // else deleted and not yet committed
			paths = append(paths, p)
		}
		// go test keeps a result until something changes that the test looked
		// at. A folder that was looked at changes when a file comes into it.
		for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
			_, _ = os.Stat(root + "/" + dir)
		}
	}
	_, _ = os.Stat(root)
	if len(paths) < 10 {
		t.Fatalf("git lists %d files: too few for this project", len(paths))
	}
	return grow(t, os.DirFS(root), paths)
}

// holds reports everything in the clone that breaks one of the rules.
func holds(t *testing.T, rules ...rule) {
	t.Helper()
	tr := clone(t)
	for _, r := range rules {
		for _, f := range r(tr) {
			t.Error(f)
		}
	}
}

// A misdeed is a tree, in txtar form, and the places where it breaks a rule.
// An empty list means that the rule must let it pass.
type misdeed struct {
	name string
	tree string
	want []string
}

// catches shows that a rule can fail, and that it does so only where it should.
func catches(t *testing.T, r rule, misdeeds ...misdeed) {
	t.Helper()
	for _, m := range misdeeds {
		t.Run(m.name, func(t *testing.T) {
			files, paths := fstest.MapFS{}, []string{}
			for _, f := range txtar.Parse([]byte(m.tree)).Files {
				files[f.Name] = &fstest.MapFile{Data: f.Data}
				paths = append(paths, f.Name)
			}
			var got []string
			for _, f := range r(grow(t, files, paths)) {
				got = append(got, f.where)
				if f.what == "" || f.instead == "" {
					t.Errorf("%s: a finding must say what is wrong and what to do instead", f.where)
				}
			}
			if !slices.Equal(got, m.want) {
				t.Errorf("found %q, want %q", got, m.want)
			}
		})
	}
}

// within says whether dir is one of the rooms named: results is that folder,
// results/... is it and everything below, ... is everything.
func within(dir string, rooms ...string) bool {
	return slices.ContainsFunc(rooms, func(room string) bool {
		above, all := strings.CutSuffix(room, "...")
		above = strings.TrimSuffix(above, "/")
		return dir == room || all && (above == "" || dir == above || strings.HasPrefix(dir, above+"/"))
	})
}

func TestWithin(t *testing.T) {
	for _, tt := range []struct {
		dir, room string
		want      bool
	}{
		{"results", "results", true},
		{"results/store", "results", false},
		{"results/store", "results/...", true},
		{"results", "results/...", true},
		{"resultset", "results/...", false},
		{".", "...", true},
	} {
		t.Run(fmt.Sprint(tt.dir, " in ", tt.room), func(t *testing.T) {
			if got := within(tt.dir, tt.room); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}
