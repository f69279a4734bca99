// Package report writes what a run came to: Text for people, JSON for tools.
//
// The text begins with the verdict and the numbers that decided it, then says
// what was replayed, what the backend did with it, whether every shopper is
// accounted for, and how the generator itself fared. It fits 100 columns and
// needs no colour. Every figure says its unit and what it counts from. What was
// not measured is shown as –, or null, and never as 0.
package report

import (
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
	Colour  bool           // Text uses ANSI colours
}

// A File is something that the run left.
type File struct {
	Path string `json:"path"`
	What string `json:"what"`
}
