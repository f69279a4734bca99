package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/scenarios"
	"github.com/flashcrowd/flashcrowd/scenarios/storefront"
)

// Circumstances are of bugs that there are, and the crowd's campaign is one.
func TestNeeds(t *testing.T) {
	for name := range needs {
		if !slices.ContainsFunc(storefront.Bugs(), func(b storefront.Bug) bool { return b.Name == name }) {
			t.Errorf("there is no bug %s", name)
		}
	}
	file := filepath.Join(t.TempDir(), "matrix.yaml")
	if err := os.WriteFile(file, []byte(matrixYAML), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := scenarios.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Plan(c.Factors); err != nil {
		t.Error(err)
	}
	if !strings.Contains(matrixYAML, "for: 3s, rate: 60/s") {
		t.Error("a long trial is no longer")
	}
}

func TestTrialStorefront(t *testing.T) {
	trial := trial{seed: 3, circumstances: circumstances{shop: []string{"stock=9", "valid-until=+6s"}}}
	before := time.Now()
	flags, err := trial.storefront()
	if err != nil || len(flags) != 4 || flags[0] != "seed=3" || flags[2] != "stock=9" {
		t.Fatal(flags, err)
	}
	until, err := time.Parse("valid-until="+time.RFC3339Nano, flags[3])
	if err != nil || until.Sub(before) < 6*time.Second || until.Sub(before) > time.Minute {
		t.Error(until, err)
	}
	trial.shop = []string{"valid-until=+soon"}
	if _, err := trial.storefront(); err == nil {
		t.Error("no moment")
	}
}

func TestReadFindings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.json")
	for _, tt := range []struct {
		text string
		want int
	}{
		{`{"orders":{"audit":{"invariants":[{"id":"sums","state":"broken","broken_count":2}]}}}`, 1},
		{`{"orders":{"audit":null}}`, 0}, // what was not checked does not hold
		{`{"orders":{"audit":{"invariants":[]}}}`, 0},
		{`{"orders":`, 0},
	} {
		if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		found, err := readFindings(file)
		if len(found) != tt.want || (err == nil) != (tt.want > 0) {
			t.Errorf("%s: %v, %v", tt.text, found, err)
		}
	}
}

// A bug counts as caught by its own invariant alone; what could not be checked
// is told.
func TestTable(t *testing.T) {
	sums := []finding{{ID: "sums", State: "broken", Broken: 1}, {ID: "mix", State: "held"}}
	clean := []finding{{ID: "order-missing", State: "held", Checked: 20}, {ID: "sums", State: "held"}, {ID: "mix", State: "unchecked"}}
	nothing := []finding{{ID: "order-missing", State: "held"}, {ID: "sums", State: "held"}}
	trials := []trial{
		{design: "guarded", bug: "floats", breaks: "sums"},
		{design: "guarded", bug: "floats", breaks: "sums"},
		{design: "guarded", bug: "rounding", breaks: "discount-value"},
		{design: "guarded", circumstances: circumstances{kill: "worker"}},
		{design: "guarded"},
		{design: "null"},
	}
	outcomes := []outcome{{findings: sums}, {err: errors.New("no")}, {findings: sums}, {findings: clean}, {findings: sums}, {findings: nothing}}
	var out strings.Builder
	err := table(&out, trials, outcomes)
	if err == nil || !strings.Contains(err.Error(), "4 of 6") {
		t.Error(err)
	}
	for _, want := range []string{
		"| `floats` | `sums` | 1 of 2 |  |",
		"| `rounding` | `discount-value` | 0 of 1 | `sums` |",
		"| guarded, worker killed | 1 | 1 |  | `mix` |",
		"| guarded | 1 | 0 | `sums` |  |",
		"| null | 1 | 0 |  |  |", // nothing was sold
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in\n%s", want, out.String())
		}
	}
	if err := table(&out, trials[:1], outcomes[:1]); err != nil {
		t.Error(err)
	}
}
