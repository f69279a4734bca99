// Package report writes what a run came to: Text for people, JSON for tools.
//
// The text begins with the verdict and the numbers that decided it, then says
// what was replayed, what the backend did with it, whether every shopper is
// accounted for, and how the generator itself fared. It fits 100 columns and
// needs no colour. Every figure says its unit and what it counts from. What was
// not measured is shown as –, or null, and never as 0.
package report

import (
	"fmt"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/verdict"
)

// A Document is all that a report shows.
type Document struct {
	Run     *results.Run
	Verdict verdict.Verdict
	Audit   *results.Audit // nil where no books were held against the ledger
	Files   []File         // where things are
	Next    []string       // commands to try next, each with what it is for after a #
	Again   string         // the command that runs the same once more, for a run that its own fleet spoiled; may be empty
	Replay  string         // the command that walks the shopper of Worst again; may be empty
	Running bool           // the run goes on: there is no verdict yet
	Colour  bool           // Text uses ANSI colours
	Width   int            // of the terminal, in columns; 0 for 100, and kept between 72 and 100
}

// state is the outcome, or why there is none: a run that goes on, or one that
// nobody closed.
func (d Document) state() verdict.Outcome {
	switch {
	case d.Verdict.Outcome != "":
		return d.Verdict.Outcome
	case d.Running:
		return "running"
	}
	return "not judged"
}

// standing is what takes the place of reasons where there is no verdict.
func (d Document) standing() string {
	if d.Running {
		return results.Human(max(0, d.Run.Cut)) + " of " + results.Human(d.Run.Duration)
	}
	return fmt.Sprintf("flashcrowd run ended at %s of %s without closing it", results.Human(max(0, d.Run.Cut)), results.Human(d.Run.Duration))
}

// A File is something that the run left.
type File struct {
	Path string `json:"path"`
	What string `json:"what"`
}
