package main

import (
	"fmt"
	"io"

	"golang.org/x/term"

	"github.com/flashcrowd/flashcrowd/agents/coordinator"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/live"
	"github.com/flashcrowd/flashcrowd/results/verdict"
)

// progress is the view of a run while it lasts: one line that is rewritten in a
// terminal, a line a second elsewhere.
type progress struct {
	terminal *live.Terminal
	limits   verdict.Validity
	previous *results.Run
}

// newProgress announces what is about to run.
func newProgress(w world, c coordinator.Config) *progress {
	p := &progress{terminal: live.NewTerminal(w.Talk, columns(w.Talk)), limits: c.Plan.Campaign.Validity}
	about := c.About
	fmt.Fprintf(p.terminal, "%s: %s in %s against %s, %s\n",
		about.Campaign, results.HumanCountOf(about.Planned, "shopper"), results.Human(about.Duration), about.Target, results.HumanCountOf(uint64(c.Workers), "worker"))
	return p
}

// show prints where the run stands.
func (p *progress) show(c *coordinator.Coordinator) {
	if _, started := c.Elapsed(); !started {
		return
	}
	run := c.View()
	if p.previous == nil && run.Cut <= 0 {
		return // nothing was measured yet
	}
	p.terminal.Show(live.Line(run, p.previous, p.limits)) // a terminal that is gone is nobody's loss
	p.previous = run
}

// talk is where everything else is said while the view is up.
func (p *progress) talk() io.Writer { return p.terminal }

func (p *progress) close() { p.terminal.Close() }

// columns is how wide the terminal is that out goes to; 0 if it is none.
func columns(out io.Writer) int {
	f, ok := out.(interface{ Fd() uintptr })
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}
