package results_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/audit"
	"github.com/flashcrowd/flashcrowd/results/report"
	"github.com/flashcrowd/flashcrowd/results/store"
	"github.com/flashcrowd/flashcrowd/results/verdict"
)

// These tests hold README.md to the code. -update writes the tables between
// markers anew.

func readme(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// holdsTable compares what stands between <!-- name --> and <!-- /name -->.
func holdsTable(t *testing.T, name, want string) {
	t.Helper()
	text := readme(t)
	before, rest, begins := strings.Cut(text, "<!-- "+name+" -->\n")
	got, after, ends := strings.Cut(rest, "<!-- /"+name+" -->\n")
	switch {
	case !begins || !ends:
		t.Fatalf("README.md has no table %s between markers", name)
	case got == want:
	case flag.Lookup("update").Value.String() != "true":
		t.Errorf("table %s of README.md differs (write it anew with -update):\n%s\nwant:\n%s", name, got, want)
	default:
		text = before + "<!-- " + name + " -->\n" + want + "<!-- /" + name + " -->\n" + after
		if err := os.WriteFile("README.md", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// rowsUnder returns the rows, split into cells, of every table with that head.
func rowsUnder(t *testing.T, head string) (rows [][]string) {
	t.Helper()
	for _, rest := range strings.Split(readme(t), head+"\n")[1:] {
		for i, line := range strings.Split(rest, "\n") {
			if !strings.HasPrefix(line, "|") {
				break
			}
			if i > 0 {
				rows = append(rows, strings.Split(strings.Trim(line, "| "), " | "))
			}
		}
	}
	if len(rows) == 0 {
		t.Fatalf("README.md has no table %s", head)
	}
	return rows
}

func unquoted(cell string) string { return strings.Trim(cell, "`") }

func TestDocsMetrics(t *testing.T) {
	kinds := map[results.Kind]string{results.Trend: "trend", results.Counter: "counter", results.Rate: "rate"}
	out := "| metric | kind | unit | what | of | tags |\n|---|---|---|---|---|---|\n"
	for _, m := range results.Catalogue() {
		out += fmt.Sprintf("| `%s` | %s | %s | %s | %s | %s |\n", m.Name, kinds[m.Kind], m.Unit, m.Help, m.Of, strings.Join(m.Tags, ", "))
	}
	holdsTable(t, "metrics", out)
}

func TestDocsOutcomes(t *testing.T) {
	var got, want []string
	for _, cells := range rowsUnder(t, "| outcome | means |") {
		got = append(got, unquoted(cells[0]))
	}
	for _, o := range results.Outcomes() {
		want = append(want, o.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("README.md lists %v\nthe code %v", got, want)
	}
}

func TestDocsInvariants(t *testing.T) {
	out := "| id | invariant | severity |\n|---|---|---|\n"
	for _, c := range audit.Invariants() {
		out += fmt.Sprintf("| `%s` | %s | %s |\n", c.ID, c.Invariant, c.Severity)
	}
	holdsTable(t, "invariants", out)
}

func TestDocsThresholds(t *testing.T) {
	for _, cells := range rowsUnder(t, "| selector | expression | holds when |") {
		if _, err := verdict.ParseThreshold(unquoted(cells[0]), unquoted(cells[1]), false, 0); err != nil {
			t.Error(err)
		}
	}
	for _, cells := range rowsUnder(t, "| selector | expression | refused with |") {
		_, err := verdict.ParseThreshold(unquoted(cells[0]), unquoted(cells[1]), false, 0)
		if err == nil || !strings.Contains(err.Error(), unquoted(cells[2])) {
			t.Errorf("%s: %s\n  README.md: %s\n  parser:    %v", cells[0], cells[1], cells[2], err)
		}
	}
}

func TestDocsDefaults(t *testing.T) {
	d, got := verdict.DefaultValidity, map[string]string{}
	for _, cells := range rowsUnder(t, "| rule | measured | default |") {
		got[unquoted(cells[0])] = cells[2]
	}
	for rule, want := range map[string]string{
		"late": results.HumanShare(d.Late), "orphaned": results.HumanShare(d.Orphaned),
		"lag_p99": results.Human(d.LagP99), "cpu": results.HumanShare(d.CPU),
		"clock": results.Human(d.Clock),
	} {
		if got[rule] != want {
			t.Errorf("the default of %s is %s, README.md says %q", rule, want, got[rule])
		}
	}
}

// measured is a small run, in which every metric has a value.
func measured(t *testing.T) *results.Run {
	t.Helper()
	r := results.NewRecorder("w")
	who := results.Who{Stage: "noon", Persona: "patient", Journey: "order"}
	for _, f := range []results.Fact{
		results.Launch{Who: who},
		results.Step{Who: who, Name: "turn", Outcome: results.OK, Response: 3, Service: 2, FirstChunk: 1, Reasoning: 1, FirstToken: 1, PerToken: 1, Tokens: 2, Thoughts: 1, Answered: true},
		results.Step{Who: who, Name: "claim", Outcome: results.Rejected, Example: &results.Example{Stage: "noon", Why: "sold out"}},
		results.Promise{Who: who, Kind: results.OrderPromise, Known: true},
		results.Promise{Who: who, Kind: results.CouponPromise, Known: true},
		results.End{Who: who, MeantToClaim: true, MeantToOrder: true},
	} {
		r.Add(f)
	}
	m := results.NewMerger(results.About{ID: "r", Campaign: "c", Planned: 1, Started: time.Unix(1, 0), Duration: time.Second,
		Stages: []results.Stage{{Name: "noon", To: time.Second, Shoppers: 1}}})
	if _, err := m.Add(r.Cut(1, time.Second, results.Health{Throttled: 0.01, Stalled: 0.01})); err != nil {
		t.Fatal(err)
	}
	m.Worker("w", results.WorkerNote{Name: "w", Fate: "killed", Clocks: results.Clocks{Upsets: []results.Upset{{Kind: results.Frozen, Size: 2}}}})
	m.Stop("for this test")
	return m.Run()
}

// Each key of the report's first level has a row, in its order, and each key
// that a row names is in the report.
func TestDocsReportKeys(t *testing.T) {
	var b bytes.Buffer
	d := report.Document{Run: measured(t), Audit: &results.Audit{Checks: audit.Invariants()}, Files: []report.File{{Path: "p"}}, Verdict: verdict.Verdict{Reasons: []verdict.Reason{{}}}}
	if err := report.JSON(&b, d); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	var top map[string]any
	if err := json.Unmarshal(b.Bytes(), &top); err != nil {
		t.Fatal(err)
	}
	var documented []string
	name := regexp.MustCompile("`([a-z0-9_]+)`")
	for _, cells := range rowsUnder(t, "| key | value |") {
		for _, n := range name.FindAllStringSubmatch(cells[0], -1) {
			documented = append(documented, n[1])
		}
		for _, n := range name.FindAllStringSubmatch(strings.Join(cells, " "), -1) {
			if n[1] != "null" && !strings.Contains(text, `"`+n[1]+`":`) {
				t.Errorf("the report has no key %s", n[1])
			}
		}
	}
	slices.Sort(documented)
	var want []string
	for key := range top {
		want = append(want, key)
	}
	slices.Sort(want)
	if !slices.Equal(documented, want) {
		t.Errorf("README.md has rows for %v\nthe report has %v", documented, want)
	}
}

// The tables are those of a run's file, and the queries run on it.
func TestDocsStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), store.FileName)
	s, err := store.Create(path, store.Header{About: results.About{ID: "r", Planned: 1}, Plan: []byte("{}"), Created: time.Unix(1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Finish(verdict.Verdict{Outcome: verdict.Pass, Reasons: []verdict.Reason{{Rule: "r"}}}, nil, 0, time.Unix(2, 0)); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(results.Delivery{Worker: "w", Seq: 1, Bytes: results.Encode(results.NewRecorder("w").Cut(1, 0, results.Health{}))}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var tables string
	if err := db.QueryRow("SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid)").Scan(&tables); err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, cells := range rowsUnder(t, "| table | rows | holds |") {
		documented = append(documented, unquoted(cells[0]))
	}
	if got := strings.Join(documented, " "); got != tables {
		t.Errorf("README.md has the tables %s, the file %s", got, tables)
	}
	queries := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(readme(t), -1)
	if len(queries) < 2 {
		t.Fatal("README.md has no queries")
	}
	for _, q := range queries {
		rows, err := db.Query(q[1])
		if err != nil {
			t.Errorf("%s%v", q[1], err)
			continue
		}
		if !rows.Next() {
			t.Errorf("%sgives nothing", q[1])
		}
		rows.Close()
	}
}
