package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/report"
	"github.com/flashcrowd/flashcrowd/results/store"
	"github.com/flashcrowd/flashcrowd/results/verdict"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

func runsCommand(w world) *cobra.Command {
	var dir string
	var asJSON bool
	c := &cobra.Command{
		Use:   "runs",
		Short: "List the runs that were kept, newest first",
		Args:  exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			all, err := store.List(dir)
			if err != nil {
				return err
			}
			if asJSON {
				return printRunsJSON(w, all)
			}
			t := tabwriter.NewWriter(w.Out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "RUN\tSTARTED\tVERDICT\tORDERS\tTARGET")
			for _, s := range all {
				outcome := string(s.Outcome)
				switch {
				case s.Err != nil:
					fmt.Fprintf(t, "%s\t–\tunreadable\t–\t%v\n", s.ID, s.Err)
					continue
				case s.Running:
					outcome = "running"
				case outcome == "":
					outcome = "not judged"
				}
				orders := strconv.FormatUint(s.Orders, 10)
				if s.Outcome == "" {
					orders = "–" // counted when it is judged
				}
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", s.ID, s.Started.Local().Format(time.DateTime), outcome, orders, s.Target)
			}
			return t.Flush()
		},
	}
	c.Flags().StringVar(&dir, "runs", "runs", "folder that keeps the runs")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printRunsJSON(w world, all []store.Summary) error {
	type line struct {
		ID       string    `json:"run"`
		Path     string    `json:"path"`
		Campaign string    `json:"campaign,omitempty"`
		Target   string    `json:"target,omitempty"`
		Started  time.Time `json:"started,omitzero"`
		Running  bool      `json:"running"`
		Outcome  string    `json:"verdict,omitempty"`
		Orders   uint64    `json:"orders_count"`
		Error    string    `json:"error,omitempty"`
	}
	lines := make([]line, 0, len(all))
	for _, s := range all {
		l := line{s.ID, s.Path, s.Campaign, s.Target, s.Started, s.Running, string(s.Outcome), s.Orders, ""}
		if s.Err != nil {
			l.Error = s.Err.Error()
		}
		lines = append(lines, l)
	}
	enc := json.NewEncoder(w.Out)
	enc.SetIndent("", "  ")
	return enc.Encode(lines)
}

func reportCommand(w world) *cobra.Command {
	var dir string
	var asJSON bool
	c := &cobra.Command{
		Use:   "report RUN",
		Short: "Print the report of a run again: an id, the beginning of one, a path, or latest",
		Args:  exactly(1, "one run"),
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := store.Find(dir, args[0])
			if err != nil {
				return err
			}
			return printReport(w, path, asJSON)
		},
	}
	c.Flags().StringVar(&dir, "runs", "runs", "folder that keeps the runs")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// printReport reads a run and prints what it came to. The report at the end of
// a run and the one that is asked for later are made here, from the same file.
func printReport(w world, path string, asJSON bool) error {
	kept, err := store.Open(path)
	if err != nil {
		return err
	}
	defer kept.Close() // opened for reading
	run, err := kept.Run()
	if err != nil {
		return err
	}
	judged, err := kept.Judgement()
	if err != nil {
		return err
	}
	d := report.Document{Run: run, Files: filesOf(filepath.Dir(path)), Next: nextAfter(run, judged)}
	if judged != nil {
		d.Verdict, d.Audit = judged.Verdict, judged.Audit
	} else { // still running, or ended before it could be judged
		plan, err := scenarios.DecodePlan(kept.Header().Plan)
		if err != nil {
			return fmt.Errorf("read the plan of run %s: %w", run.ID, err)
		}
		d.Verdict = verdict.Judge(run, nil, rulesOf(plan))
	}
	if asJSON {
		return report.JSON(w.Out, d)
	}
	d.Colour = w.colour()
	return report.Text(w.Out, d)
}

// rulesOf is what a plan's campaign asks of a run.
func rulesOf(p *scenarios.Plan) verdict.Rules {
	return verdict.Rules{Thresholds: p.Campaign.Thresholds, Validity: p.Campaign.Validity}
}

// filesOf lists what a run left in its folder, as far as it is there.
func filesOf(dir string) []report.File {
	var files []report.File
	for _, f := range []report.File{
		{Path: store.FileName, What: "the run: snapshots, ledger, verdict (SQLite)"},
		{Path: "books.db", What: "the storefront's books (SQLite)"},
		{Path: "parts.log", What: "what workers and storefront said"},
	} {
		path := filepath.Join(dir, f.Path)
		if _, err := os.Stat(path); err == nil {
			files = append(files, report.File{Path: path, What: f.What})
		}
	}
	return files
}

// nextAfter suggests what to do with a run.
func nextAfter(run *results.Run, j *store.Judgement) []string {
	next := []string{
		"flashcrowd report " + run.ID + "  # this report again",
	}
	if j == nil {
		return next
	}
	switch j.Outcome {
	case verdict.Fail:
		next = append(next, "flashcrowd try "+run.Campaign+"  # one shopper, each request and answer shown")
	case verdict.Invalid:
		next = append(next, "flashcrowd run "+run.Campaign+" --scale "+strconv.FormatFloat(run.Factors.Scale/2, 'g', 3, 64)+"  # half the crowd: less for this machine to do")
	default:
		next = append(next, "flashcrowd run "+run.Campaign+" --demand "+strconv.FormatFloat(run.Factors.Demand*2, 'g', 3, 64)+"  # twice the crowd")
	}
	return next
}
