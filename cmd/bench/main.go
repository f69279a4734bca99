// Command bench measures flashcrowd itself: what an order costs the machine
// that sends it, what a shopper costs in memory, and how late a shopper comes.
//
//	go run ./cmd/bench [flags] engine|memory|lag|coordinator|stop|audit|matrix|surge
//
// Each client is the real program in processes of its own, alone on one core,
// against the null storefront on the other. What is counted is what the system
// says of a process: processor time in user and kernel, start-up included, and
// memory that is resident. Other work on the machine makes a client slower and
// hardly dearer, so figures are processor time and never the clock's, and the
// clients take turns.
//
// engine compares flashcrowd with the same journey in plain k6 JavaScript, in the
// k6 of the same binary, and with wrk, which repeats the requests of one shopper
// of flashcrowd's and parses nothing.
//
// audit makes a ledger and books and measures itself while it holds one against
// the other, on both cores.
//
// matrix is about truth and not about cost: it plants each bug of the storefront
// and sees whether the audit finds it, and finds nothing where none is planted.
//
// surge is about the storefront: the same day comes over each of its designs.
//
// It runs on Linux, with taskset and chrt (util-linux) and wrk (Debian's package of that
// name).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// A bench is what all measurements share.
type bench struct {
	program string // the flashcrowd to measure
	client  string // core of what is measured
	server  string // core of the storefront
	rounds  int
	rate    int   // at which the engine's shoppers come
	workers int   // of the fleet whose coordinator is measured
	minutes int64 // of its run
	trials  int   // of stopping a fleet
	entries int   // of the audit's ledger, and its orders
	dir     string
	key     bool // there is a cluster key in dir

	seeds, clean, parallel int    // matrix: runs of a bug, runs of right designs, at once
	only                   string // matrix: bugs and designs, a pattern
}

func main() {
	var b bench
	flag.StringVar(&b.program, "program", "bin/flashcrowd", "the flashcrowd to measure")
	flag.StringVar(&b.client, "client-core", "0", "core of the client that is measured")
	flag.StringVar(&b.server, "server-core", "1", "core of the storefront")
	flag.IntVar(&b.rounds, "rounds", 5, "rounds, of which the medians count")
	flag.IntVar(&b.rate, "rate", 0, "engine: shoppers a second of an open crowd; 0 for three fifths of what wrk gets out of the storefront")
	flag.IntVar(&b.workers, "workers", 500, "coordinator: simulated workers")
	flag.Int64Var(&b.minutes, "minutes", 20, "coordinator: minutes of its run, each worker exchanging once a second")
	flag.IntVar(&b.trials, "trials", 50, "stop: fleets to stop; a tenth as many are cut off")
	flag.IntVar(&b.seeds, "seeds", 20, "matrix: runs of each bug, each with a seed of its own")
	flag.IntVar(&b.clean, "clean", 100, "matrix: runs of right designs, in turn")
	flag.IntVar(&b.parallel, "parallel", 2, "matrix: runs at once")
	flag.StringVar(&b.only, "only", ".*", "matrix: the bugs and designs to run; engine: the clients, without ratios; a regular expression")
	flag.IntVar(&b.entries, "entries", 10_000_000, "audit: entries of the ledger, and orders")
	flag.Parse()
	measure := map[string]func(context.Context) error{"engine": b.engine, "memory": b.memory, "lag": b.lag, "coordinator": b.coordinator, "stop": b.stop, "audit": b.audit, "matrix": b.matrix, "surge": b.surge}[flag.Arg(0)]
	if measure == nil || flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: bench [flags] engine|memory|lag|coordinator|stop|audit|matrix|surge")
		flag.PrintDefaults()
		os.Exit(2)
	}
	if err := b.within(measure); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// within measures in a temporary folder.
func (b *bench) within(measure func(context.Context) error) (err error) {
	if b.program, err = filepath.Abs(b.program); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "flashcrowd-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Hour)
	defer cancel()
	return measure(ctx)
}
