package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/report"
	"github.com/flashcrowd/flashcrowd/results/store"
	"github.com/flashcrowd/flashcrowd/results/verdict"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// documentOf reads what a report of a kept run shows. A run that was not judged,
// because it goes on or was cut off, gets no verdict here either.
func documentOf(path string) (report.Document, error) {
	kept, err := store.Open(path)
	if err != nil {
		return report.Document{}, err
	}
	defer kept.Close() // opened for reading
	running := kept.Running()
	run, err := kept.Run()
	if err != nil {
		return report.Document{}, err
	}
	judged, err := kept.Judgement()
	if err != nil {
		return report.Document{}, err
	}
	if judged == nil {
		judged = &store.Judgement{}
	}
	d := document(kept, run, judged.Verdict, judged.Audit)
	d.Running = running && d.Verdict.Outcome == ""
	return d, nil
}

// document is what a report shows of a run, with what to do next.
func document(kept *store.Store, run *results.Run, v verdict.Verdict, books *results.Audit) report.Document {
	dir := filepath.Dir(kept.Path())
	a := advice{run: run, verdict: v, dir: dir, args: kept.Header().Args}
	return report.Document{Run: run, Verdict: v, Audit: books, Files: filesOf(dir, run), Next: a.next(), Again: a.again(), Replay: a.replay()}
}

// printText prints a report for people.
func printText(w world, d report.Document) error {
	d.Colour, d.Width = w.colour(), columns(w.Out)
	return report.Text(w.Out, d)
}

// rulesOf is what a plan's campaign asks of a run.
func rulesOf(p *scenarios.Plan) verdict.Rules {
	return verdict.Rules{Thresholds: p.Campaign.Thresholds, Validity: p.Campaign.Validity}
}

// partsLog is what workers and storefront said, where they are processes of
// flashcrowd run.
const partsLog = "parts.log"

// filesOf lists what a run left in its folder, as far as it is there and holds
// anything. What k6 said is listed of workers that were lost.
func filesOf(dir string, run *results.Run) []report.File {
	all := []report.File{
		{Path: store.FileName, What: "the run: snapshots, ledger, verdict (SQLite)"},
		{Path: "books.db", What: "the storefront's books (SQLite)"},
		{Path: partsLog, What: "what workers and storefront said"},
	}
	for _, w := range run.Workers {
		if lost(w) {
			all = append(all, report.File{Path: filepath.Join(filepath.Base(w.Name), "child.log"), What: "what its k6 said last"})
		}
	}
	var files []report.File
	for _, f := range all {
		path := filepath.Join(dir, f.Path)
		if info, err := os.Stat(path); err == nil && info.Size() > 0 {
			files = append(files, report.File{Path: path, What: f.What})
		}
	}
	return files
}

// lost reports whether a worker ended before it had finished.
func lost(w results.Worker) bool { return w.Fate != "" && !w.Finished }

// advice is what to do with a run, from the rule that broke.
type advice struct {
	run     *results.Run
	verdict verdict.Verdict
	dir     string
	args    []string // see store.Header; empty in a run that did not keep them
}

// next lists commands, each with what it is for.
func (a advice) next() []string {
	again := "flashcrowd report " + a.run.ID
	if runs := filepath.Dir(a.dir); runs != "runs" {
		again += " --runs " + quoted(runs)
	}
	next := []string{again + "  # this report again"}
	broke := func(rules ...string) bool {
		return slices.ContainsFunc(a.verdict.Reasons, func(r verdict.Reason) bool {
			return !r.Held && slices.ContainsFunc(rules, func(rule string) bool { return strings.HasPrefix(r.Rule, rule) })
		})
	}
	if i := slices.IndexFunc(a.run.Workers, lost); i >= 0 {
		for _, f := range filesOf(a.dir, a.run) {
			if strings.HasSuffix(f.Path, ".log") {
				next = append(next, "tail "+quoted(f.Path)+"  # why "+a.run.Workers[i].Name+" was lost")
			}
		}
		if a.verdict.Outcome == verdict.Invalid && len(a.args) > 0 {
			next = append(next, a.again()+"  # once more: "+a.run.Workers[i].Name+" was lost")
		}
		return next
	}
	switch scale, demand := a.run.Factors.Scale, a.run.Factors.Demand; {
	case len(a.args) == 0 || a.run.Stopped == stoppedByUser:
	case a.verdict.Outcome == verdict.Fail && a.replay() != "":
		next = append(next, a.replay()+"  # a shopper that failed, each step shown")
	case a.verdict.Outcome == verdict.Invalid && broke("validity.lag", "validity.cpu", "validity.withheld", "the generator has"):
		next = append(next, a.command("run", "scale", factorFlag(scale/2))+"  # half the crowd: less for this machine to do")
	case a.verdict.Outcome == verdict.Pass:
		next = append(next, a.command("run", "demand", factorFlag(demand*2))+"  # twice the crowd")
	}
	return next
}

// again is the command that runs the same once more.
func (a advice) again() string {
	if len(a.args) == 0 {
		return ""
	}
	verb := "run"
	if _, err := os.Stat(filepath.Join(a.dir, partsLog)); err != nil {
		verb = "coordinator" // its workers were no processes of this machine's own
	}
	words := []string{"flashcrowd", verb}
	for _, arg := range a.args {
		words = append(words, quoted(arg))
	}
	return strings.Join(words, " ")
}

// replay is the command that walks the shopper of the report's example.
func (a advice) replay() string {
	e := report.Worst(a.run)
	if e == nil || len(a.args) == 0 {
		return ""
	}
	var slot, number uint64
	if _, err := fmt.Sscanf(e.Shopper, "%d/%d", &slot, &number); err != nil {
		return ""
	}
	return a.command("try", "shopper", strconv.FormatUint(number*scenarios.Slots+slot, 10))
}

// command repeats how the run was asked for, with one flag set.
func (a advice) command(verb, flag, value string) string {
	words := []string{"flashcrowd", verb}
	for _, arg := range a.args {
		name, _, _ := strings.Cut(arg, "=")
		if name != "--"+flag && (verb != "try" || name != "--workers") {
			words = append(words, quoted(arg))
		}
	}
	return strings.Join(append(words, "--"+flag, value), " ")
}

func factorFlag(f float64) string { return strconv.FormatFloat(f, 'g', 3, 64) }

// quoted is an argument as a shell takes it.
func quoted(arg string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_=./:,@%+[]", r)
	}
	if cmp.Or(strings.TrimFunc(arg, plain), "") == "" && arg != "" {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}
