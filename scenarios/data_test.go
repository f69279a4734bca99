package scenarios

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// folder makes one with files of that text, by name.
func folder(t testing.TB, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// fed is a campaign of a few shoppers with files.
func fed(shoppers int, data, headers string) string {
	return fmt.Sprintf(`
name: fed
crowd: {shoppers: %d, stages: [{name: s, for: 10s, rate: 1}]}
data: %s
target:
  headers: %s
  chat: {protocol: openai, model: m}
  checkout: {protocol: ucp}
`, shoppers, data, headers)
}

// pinned plans a campaign with the files in a folder.
func pinned(t testing.TB, src, dir string) *Plan {
	t.Helper()
	p := plan(t, src, results.Factors{})
	if err := p.Pin(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Detach() })
	return p
}

const bearer = `{Authorization: "Bearer {{user.token}}"}`

// nth is shopper g of the crowd.
func nth(p *Plan, g int) Shopper { return p.Shopper(ID{Slot(g % Slots), uint32(g / Slots)}) }

// TestRowsAreShared: each shopper has its row by its place in the crowd,
// whatever the file's form, on the machine that plans and on a worker.
func TestRowsAreShared(t *testing.T) {
	const n = 9000
	var csv, nd strings.Builder
	csv.WriteString("\ufeffid,token,\"na me\"\r\n\r\n")
	for g := range n {
		fmt.Fprintf(&csv, "u-%d,\"t,\"\"%d\",x\r\n", g, g)
		fmt.Fprintf(&nd, `{"id": "u-%d", "more": {"a": [1]}, "token": "t,\"%d"}`+"\n\n", g, g)
	}
	dir := folder(t, "u.csv", csv.String(), "u.ndjson", strings.TrimSpace(nd.String()), "i.jsonl", `{"id":7,"title":"tea"}`+"\n"+`{"id":"b"}`)
	for _, name := range []string{"u.csv", "u.ndjson"} {
		p := pinned(t, fed(n, "{users: {file: "+name+"}, items: {file: i.jsonl}}", bearer), dir)
		q, err := DecodePlan(p.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Attach(dir, func(err error) { t.Error(err) }); err != nil {
			t.Fatal(err)
		}
		for _, g := range []int{0, 1, 63, 64, 4095, 4096, n - 1} {
			for _, p := range []*Plan{p, q} {
				s := nth(p, g)
				id, token := fmt.Sprintf("u-%d", g), fmt.Sprintf(`t,"%d`, g)
				if s.UserID() != id || s.Value("user.token") != token || s.Value("shopper.user") != id || s.Value("step.key") != "" {
					t.Errorf("%s, shopper %d: %q, %q", name, g, s.UserID(), s.Value("user.token"))
				}
				if got := s.Secrets(); len(got) != 1 || got[0] != token {
					t.Errorf("%s, shopper %d: secrets %q", name, g, got)
				}
				if want := []Item{{ID: "7", Title: "tea"}, {ID: "b", Title: "b"}}[g%2]; s.item().ID != want.ID || s.item().Title != want.Title {
					t.Errorf("%s, shopper %d buys %+v", name, g, s.item())
				}
			}
		}
		if err := q.Detach(); err != nil || nth(q, 0).Value("user.token") != "" {
			t.Errorf("detached: %v", err)
		}
	}
}

// TestPins: the plan's fingerprint changes with the rows, and a worker refuses
// another file, naming both.
func TestPins(t *testing.T) {
	src := fed(2, "{users: {file: u.csv}}", bearer)
	dir, other := folder(t, "u.csv", "id,token\n1,a\n2,b\n"), folder(t, "u.csv", "id,token\n1,a\n2,c\n3,d\n")
	p, q := pinned(t, src, dir), pinned(t, src, other)
	if p.Fingerprint() == q.Fingerprint() || p.Fingerprint() != pinned(t, src, dir).Fingerprint() {
		t.Error("the fingerprint does not follow the file")
	}
	if bytes.Contains(p.Encode(), []byte("1,a")) || !bytes.Contains(p.Encode(), []byte(p.Pins["users"].SHA256)) {
		t.Errorf("plan: %s", p.Encode())
	}
	worker, err := DecodePlan(p.Encode())
	if err != nil {
		t.Fatal(err)
	}
	err = worker.Attach(other, nil)
	for _, part := range []string{"users: u.csv here is another file", p.Pins["users"].SHA256, q.Pins["users"].SHA256, "(3 rows)", "(2 rows)"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("another file: %v", err)
		}
	}
	unpinned, err := DecodePlan(plan(t, src, results.Factors{}).Encode())
	if err != nil {
		t.Fatal(err)
	}
	if err := unpinned.Attach(dir, nil); err == nil {
		t.Error("a worker takes any file for a plan that was not pinned")
	}
	if err := worker.Attach("", nil); err == nil || !strings.Contains(err.Error(), "--data") {
		t.Errorf("no folder: %v", err)
	}
	if _, err := DecodePlan(bytes.Replace(p.Encode(), []byte(`"pins":{"users"`), []byte(`"pins":{"items"`), 1)); err == nil {
		t.Error("a pin of nothing is taken")
	}
}

// TestBadFiles: what can't be used is said at once, with its line.
func TestBadFiles(t *testing.T) {
	long := strings.Repeat("x", maxRow)
	for name, tt := range map[string]struct{ file, text, want string }{
		"missing":                {"other.csv", "", "no such file"},
		"empty":                  {"u.csv", "", "u.csv: has no rows"},
		"header alone":           {"u.csv", "id,token\n", "u.csv: has no rows"},
		"missing column":         {"u.csv", "id,tokn\n1,a\n", `u.csv: line 1: the header has no column "token" (did you mean tokn?)`},
		"duplicate header":       {"u.csv", "token,token\n1,a\n", `u.csv: line 1: the header has "token" twice`},
		"nameless column":        {"u.csv", "token,\n1,a\n", "u.csv: line 1: column 2 of the header has no name"},
		"ragged":                 {"u.csv", "id,token\n1,a\n2\n3,c\n", "u.csv: line 3: has 1 cells, the header 2"},
		"ragged, longer":         {"u.csv", "id,token\n1,a\n\n2,b,c\n", "u.csv: line 4: has 3 cells, the header 2"},
		"truncated":              {"u.csv", "id,token\n1,a\n2,\"b", `u.csv: line 3: has a " that nothing closes`},
		"line break in a cell":   {"u.csv", "id,token\n1,\"a\nb\"\n", `u.csv: line 2: has a " that nothing closes`},
		"text after a quote":     {"u.csv", "id,token\n1,\"a\"b\n", `u.csv: line 2: has text after a closing "`},
		"quote in a cell":        {"u.csv", "id,token\n1,a\"b\n", `u.csv: line 2: has a " inside`},
		"NUL":                    {"u.csv", "id,token\n1,a\x00b\n", "u.csv: line 2: has a control character"},
		"carriage return":        {"u.csv", "id,token\n1,a\rX-Evil: 1\n", "u.csv: line 2: has a control character"},
		"Latin-1":                {"u.csv", "id,token\n1,\xe9\n", "u.csv: line 2: is not UTF-8"},
		"UTF-16":                 {"u.csv", "\xff\xfei\x00d\x00", "u.csv: is UTF-16"},
		"huge line":              {"u.csv", "id,token\n1,a\n2," + long + "\n", "u.csv: the line after row 1 has more than 4194304 bytes"},
		"too few":                {"u.csv", "id,token\n1,a\n2,b", "u.csv has 2 rows and 3 shoppers come: 1 are missing"},
		"truncated JSON":         {"u.ndjson", `{"token":"a"}` + "\n" + `{"token":"b`, "u.ndjson: line 2: is no JSON object on one line"},
		"a list":                 {"u.ndjson", `["token"]`, "u.ndjson: line 1: is no JSON object"},
		"no such key":            {"u.ndjson", `{"token":"a"}` + "\n" + `{"id":"b"}`, `u.ndjson: line 2: has no "token"`},
		"null":                   {"u.ndjson", `{"token":null}`, `u.ndjson: line 1: has no "token"`},
		"an object":              {"u.ndjson", `{"token":{"a":1}}`, `u.ndjson: line 1: "token" is not a text`},
		"line break in a string": {"u.ndjson", `{"token":"a\r\nX-Evil: 1"}`, `u.ndjson: line 1: "token" has a control character`},
		"line break in an id":    {"u.ndjson", `{"token":"a","id":"b\n"}`, `u.ndjson: line 1: "id" has a control character`},
	} {
		t.Run(name, func(t *testing.T) {
			used := "u.csv"
			if strings.HasSuffix(tt.file, ".ndjson") {
				used = tt.file
			}
			err := plan(t, fed(3, "{users: {file: "+used+"}}", bearer), results.Factors{}).Pin(folder(t, tt.file, tt.text))
			if err == nil || !strings.HasPrefix(err.Error(), "data.users: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

// TestFilesStayInside: a plan, which may come from anybody who leads the fleet,
// reads nothing but plain files in the folder.
func TestFilesStayInside(t *testing.T) {
	outside := folder(t, "secret.csv", "id,token\n1,a\n")
	dir := folder(t)
	for link, to := range map[string]string{"link.csv": filepath.Join(outside, "secret.csv"), "up.csv": "../" + filepath.Base(outside) + "/secret.csv"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.csv"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"link.csv", "up.csv", "folder.csv"} {
		if err := plan(t, fed(1, "{users: {file: "+name+"}}", bearer), results.Factors{}).Pin(dir); err == nil {
			t.Errorf("%s was read", name)
		}
	}
	for _, name := range []string{"../u.csv", "/etc/u.csv", `..\\u.csv`, ".env.csv", "..", "u.txt", "a/u.csv", "c:u.csv", "u\u0000.csv"} {
		_, err := Parse("f", []byte(fed(1, `{users: {file: "`+name+`"}}`, bearer)))
		if err == nil || !strings.Contains(err.Error(), "data.users.file") {
			t.Errorf("%q: %v", name, err)
		}
	}
	p := plan(t, fed(1, "{users: {file: u.csv}}", bearer), results.Factors{})
	forged := bytes.Replace(p.Encode(), []byte(`"file":"u.csv"`), []byte(`"file":"../u.csv"`), 1)
	if _, err := DecodePlan(forged); err == nil || !strings.Contains(err.Error(), "plain name") {
		t.Errorf("a forged plan: %v", err)
	}
}

// TestPlaceholdersOfRows: what no file can give is a fault of the campaign.
func TestPlaceholdersOfRows(t *testing.T) {
	for header, want := range map[string]string{
		"{{user.token}}":    "",
		"{{shopper.id}}":    "",
		"{{item.id}}":       "there is no placeholder {{item.id}} here (known: shopper.id, shopper.user, user.COLUMN)",
		"{{user.}}":         "there is no placeholder",
		"{{user.a.b}}":      "there is no placeholder",
		"{{user.a|@this}}":  "there is no placeholder",
		"{{step.key}}":      "there is no placeholder",
		"{{user.token":      "holds a {{ that is no {{name}}",
		"{{user.to ken }}x": "there is no placeholder",
	} {
		_, err := Parse("f", []byte(fed(1, "{users: {file: u.csv}}", `{X-A: "`+header+`"}`)))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", header, err, want)
		}
	}
}

// TestFileChangesDuringTheRun: whoever runs the plan is told, once, and what is
// read from then on is empty.
func TestFileChangesDuringTheRun(t *testing.T) {
	dir := folder(t, "u.csv", "id,token\n1,a\n2,b\n")
	p, err := DecodePlan(pinned(t, fed(2, "{users: {file: u.csv}}", bearer), dir).Encode())
	if err != nil {
		t.Fatal(err)
	}
	var told []error
	if err := p.Attach(dir, func(err error) { told = append(told, err) }); err != nil {
		t.Fatal(err)
	}
	defer p.Detach()
	if nth(p, 1).Value("user.token") != "b" {
		t.Fatal("no row")
	}
	if err := os.WriteFile(filepath.Join(dir, "u.csv"), []byte("id,token\n1,a\n2,c\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(dir, "u.csv"), time.Time{}, time.Unix(1, 0)); err != nil { // clocks may be coarse
		t.Fatal(err)
	}
	for range 3 {
		if v := nth(p, 1).Value("user.token"); v != "" {
			t.Errorf("a row of another file: %q", v)
		}
	}
	if len(told) != 1 || !errors.Is(told[0], errChanged) || !strings.Contains(told[0].Error(), "u.csv") {
		t.Errorf("told %v", told)
	}
}

// FuzzRows: whatever a file holds, it is refused, or each of its rows is read
// again as it was when it was checked.
func FuzzRows(f *testing.F) {
	for _, text := range []string{
		"id,token\n1,a\n2,b\n", "\ufeffid,token\r\n\r\n\"1\",\"a\"\"b,\"\r\n", "id,token\n1,\"a\n", "\xff\xfei\x00", "\n \n", "id,id\n",
		`{"id":1,"token":"a"}` + "\n\n" + `{"token":true}`, `{"token":"a`, `{"token":"\u0000"}`, "[]", `{"token":{"token":1},"token":"b"}`,
		"id,token\n" + strings.Repeat("12345678,abcdefgh\n", 600),
	} {
		f.Add([]byte(text))
	}
	dir := f.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		f.Fatal(err)
	}
	needed := []string{"token"}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, name := range []string{"f.csv", "f.ndjson"} {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := openSheet(root, name, needed)
			if err != nil {
				continue
			}
			for i := range s.count {
				row, err := s.row(i)
				if err != nil {
					t.Fatalf("row %d of %d: %v", i, s.count, err)
				}
				if s.columns == nil {
					err = checkObject(row, needed)
				} else {
					_, err = s.checkCells(string(row), needed)
				}
				if v, unread := s.value(i, "token"); err != nil || unread != nil || strings.ContainsFunc(v, isControl) {
					t.Fatalf("row %d: %v, %q, %v", i, err, v, unread)
				}
			}
			s.file.Close()
		}
	})
}
