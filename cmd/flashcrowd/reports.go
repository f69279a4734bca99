package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/report"
	"github.com/flashcrowd/flashcrowd/results/store"
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
			fmt.Fprintln(t, "RUN\tSTARTED (UTC)\tVERDICT\tORDERS\tTARGET\tREASON")
			for _, s := range all {
				outcome := string(s.Outcome)
				switch {
				case s.Err != nil:
					reason, _, _ := strings.Cut(s.Err.Error(), "\n")
					fmt.Fprintf(t, "%s\t–\tunreadable\t–\t–\t%s\n", s.ID, reason)
					continue
				case s.Running:
					outcome = "running"
				case outcome == "":
					outcome = "not judged"
				}
				orders := results.HumanCount(s.Orders)
				if s.Outcome == "" {
					orders = "–" // counted when it is judged
				}
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", s.ID, s.Started.UTC().Format(time.DateTime), outcome, orders, s.Target, s.Reason)
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
		Reason   string    `json:"reason,omitempty"`
		Orders   uint64    `json:"orders_count"`
		Error    string    `json:"error,omitempty"`
	}
	lines := make([]line, 0, len(all))
	for _, s := range all {
		l := line{s.ID, s.Path, s.Campaign, s.Target, s.Started, s.Running, string(s.Outcome), s.Reason, s.Orders, ""}
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
			d, err := documentOf(path)
			if err != nil {
				return err
			}
			if asJSON {
				return report.JSON(w.Out, d)
			}
			return printText(w, d)
		},
	}
	c.Flags().StringVar(&dir, "runs", "runs", "folder that keeps the runs")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
