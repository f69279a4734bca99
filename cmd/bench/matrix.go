package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// A trial is one run whose audit is held against what was planted.
type trial struct {
	design string
	bug    string // planted; empty: none
	breaks string // the invariant that the bug breaks
	seed   int
	circumstances
}

// circumstances are what it takes for a bug to show, or what befalls a right
// design.
type circumstances struct {
	shop []string // flags of the storefront, as name=value
	run  []string // flags of the run
	kill string   // in mid-run, with SIGKILL: worker or storefront, which is started again
	taps bool     // everybody orders and pays twice with the same key
	long bool     // it lasts, so that a moment counted from the opening of the shop is in the middle
}

// needs are the circumstances of bugs that do not show by themselves.
var needs = map[string]circumstances{
	"ack-before-commit":      {kill: "storefront"},
	"keys-in-memory":         {kill: "storefront", run: []string{"--pace", "1"}, taps: true},
	"declined-booked":        {shop: []string{"decline=30%"}},
	"coupon-spent-first":     {shop: []string{"decline=30%"}},
	"release-skipped":        {shop: []string{"decline=40%", "delay=60%", "delay-for=100ms"}},
	"stock-check-then-act":   {shop: []string{"stock=100"}},
	"stock-cached":           {shop: []string{"stock=100"}},
	"sold-out-by-shard":      {shop: []string{"stock=184"}},
	"repeats-counted":        {shop: []string{"stock=160"}},
	"limit-cached":           {shop: []string{"per-user=4"}},
	"limit-per-process":      {shop: []string{"per-user=4"}},
	"limit-by-address":       {shop: []string{"per-user=10"}},
	"limit-counts-tries":     {shop: []string{"per-user=6"}},
	"pause-cached":           {shop: []string{"pause=6s-"}, long: true},
	"pause-before-queue":     {shop: []string{"pause=6s-"}, long: true},
	"validity-in-local-time": {shop: []string{"valid-until=+6s"}, run: []string{"--pace", "1/5"}, long: true},
	"validity-at-apply":      {shop: []string{"valid-until=+6s"}, long: true},
	"seats-check-then-act":   {shop: []string{"seats=6"}},
	"seats-per-process":      {shop: []string{"seats=6"}},
}

// right are the designs whose books must be clean, whatever befalls them.
var right = []string{"null", "guarded", "waiting-room", "sharded-coupons"}

// ordinary is what befalls a right design, in turn: what brings bugs out, and
// a death.
var ordinary = []circumstances{
	{shop: []string{"stock=150", "per-user=5", "seats=12"}},
	{kill: "worker"},
	{shop: []string{"decline=20%", "delay=20%", "delay-for=300ms"}},
	{kill: "storefront"},
	{shop: []string{"pause=6s-7s", "stock=300", "valid-until=+9s"}, long: true},
}

// matrix runs every bug under so many seeds, and right designs as often as it
// is told, and prints a table. It fails if a bug was missed or a right design
// accused.
func (b *bench) matrix(ctx context.Context) error {
	trials, err := b.planned(ctx)
	if err != nil {
		return err
	}
	results := make([]outcome, len(trials))
	next := make(chan int)
	var all sync.WaitGroup
	for range b.parallel {
		all.Go(func() {
			for i := range next {
				results[i] = b.try(ctx, trials[i])
				fmt.Fprintf(os.Stderr, "%d of %d: %s\n", i+1, len(trials), results[i].line(trials[i]))
			}
		})
	}
	for i := range trials {
		next <- i
	}
	close(next)
	all.Wait()
	return table(os.Stdout, trials, results)
}

// planned lists what is to be run, from what the program says that it has.
func (b *bench) planned(ctx context.Context) (trials []trial, err error) {
	out, err := exec.CommandContext(ctx, b.program, "storefront", "--list", "--json").Output()
	if err != nil {
		return nil, fmt.Errorf("list designs and bugs: %w", err)
	}
	var has struct {
		Designs []struct{ Name string }
		Bugs    []struct{ Name, Breaks string }
	}
	if err := json.Unmarshal(out, &has); err != nil {
		return nil, fmt.Errorf("list designs and bugs: %w", err)
	}
	only, err := regexp.Compile("^(" + b.only + ")$")
	if err != nil {
		return nil, err
	}
	for _, bug := range has.Bugs {
		for seed := range b.seeds {
			if only.MatchString(bug.Name) {
				trials = append(trials, trial{"guarded", bug.Name, bug.Breaks, seed + 1, needs[bug.Name]})
			}
		}
	}
	var designs []string
	for _, d := range has.Designs {
		if slices.Contains(right, d.Name) && only.MatchString(d.Name) {
			designs = append(designs, d.Name)
		}
	}
	for n := 0; n < b.clean && len(designs) > 0; n++ {
		t := trial{design: designs[n%len(designs)], seed: 1000 + n, circumstances: ordinary[n/len(designs)%len(ordinary)]}
		if t.design == "null" && t.kill == "storefront" {
			t.circumstances = circumstances{} // its books are in memory
		}
		trials = append(trials, t)
	}
	if len(trials) == 0 {
		return nil, fmt.Errorf("no bug and no design is called %q", b.only)
	}
	return trials, nil
}

// An outcome is what a trial came to.
type outcome struct {
	took     time.Duration
	findings []finding
	err      error
}

// broken lists the invariants that were broken.
func (o outcome) broken() (ids []string) {
	for _, f := range o.findings {
		if f.Broken > 0 {
			ids = append(ids, f.ID)
		}
	}
	return ids
}

// good says whether the audit said what it should.
func (o outcome) good(t trial) bool {
	if o.err != nil {
		return false
	}
	if t.bug == "" {
		return len(o.broken()) == 0 && slices.ContainsFunc(o.findings, func(f finding) bool { return f.ID == "order-missing" && f.State == "held" && f.Checked > 0 })
	}
	return slices.Contains(o.broken(), t.breaks)
}

// line says it in one.
func (o outcome) line(t trial) string {
	what := cond(t.bug != "", t.bug+" ("+t.breaks+")", t.design)
	if t.kill != "" {
		what += ", " + t.kill + " killed"
	}
	said := cond(o.good(t), "as it should be", "NOT AS IT SHOULD BE")
	if o.err != nil {
		said = "ERROR: " + o.err.Error()
	}
	text := fmt.Sprintf("%s, seed %d: %s in %.1fs; broken: %s", what, t.seed, said, o.took.Seconds(), strings.Join(o.broken(), " "))
	if o.good(t) {
		return text
	}
	for _, f := range o.findings {
		if f.Broken > 0 || f.State == "unchecked" {
			text += fmt.Sprintf("\n    %s: %s %d %s %q", f.ID, f.State, f.Broken, f.Why, f.Examples[:min(2, len(f.Examples))])
		}
	}
	return text
}

func cond(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

// table prints what came of the trials, and returns an error if something was
// not as it should be.
func table(w io.Writer, trials []trial, outcomes []outcome) error {
	var rows []*row
	byName := map[string]*row{}
	var bad int
	var took time.Duration
	for i, t := range trials {
		name := cond(t.bug != "", "`"+t.bug+"`", t.design+cond(t.kill != "", ", "+t.kill+" killed", ""))
		r := byName[name]
		if r == nil {
			r = &row{name: name, breaks: t.breaks, also: map[string]bool{}, unchecked: map[string]bool{}}
			byName[name] = r
			rows = append(rows, r)
		}
		r.runs++
		took += outcomes[i].took
		if outcomes[i].good(t) {
			r.good++
		} else {
			bad++
		}
		for _, f := range outcomes[i].findings {
			if f.Broken > 0 && f.ID != t.breaks {
				r.also[f.ID] = true
			}
			if f.State == "unchecked" {
				r.unchecked[f.ID] = true
			}
		}
	}
	fmt.Fprintf(w, "| bug | breaks | caught | breaks with it, in some runs |\n|---|---|---|---|\n")
	for _, r := range rows {
		if r.breaks != "" {
			fmt.Fprintf(w, "| %s | `%s` | %d of %d | %s |\n", r.name, r.breaks, r.good, r.runs, list(r.also))
		}
	}
	fmt.Fprintf(w, "\n| right design | runs | without a finding | findings | unchecked, in some runs |\n|---|---|---|---|---|\n")
	for _, r := range rows {
		if r.breaks == "" {
			fmt.Fprintf(w, "| %s | %d | %d | %s | %s |\n", r.name, r.runs, r.good, list(r.also), list(r.unchecked))
		}
	}
	fmt.Fprintf(w, "\n%d runs, %.1f s each.\n", len(trials), took.Seconds()/float64(max(1, len(trials))))
	if bad > 0 {
		return fmt.Errorf("%d of %d runs were not as they should be", bad, len(trials))
	}
	return nil
}

// A row is what came of one bug or design.
type row struct {
	name, breaks string
	runs, good   int

	also, unchecked map[string]bool // invariants
}

// list lists ids, as code.
func list(ids map[string]bool) string {
	var sorted []string
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		sorted = append(sorted, "`"+id+"`")
	}
	return strings.Join(sorted, ", ")
}
