package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/flashcrowd/flashcrowd/agents/coordinator"
	"github.com/flashcrowd/flashcrowd/agents/membership"
	"github.com/flashcrowd/flashcrowd/ci"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/store"
	"github.com/flashcrowd/flashcrowd/results/verdict"
	"github.com/flashcrowd/flashcrowd/scenarios"
	"github.com/flashcrowd/flashcrowd/scenarios/storefront"
)

// stoppedByUser is why a run ended that was interrupted.
const stoppedByUser = "stopped by the user"

// runFlags are what `flashcrowd run` was asked for.
type runFlags struct {
	planFlags
	workers int
	design  string
	bugs    []string
	shop    []string // flags of the built-in storefront, as name=value
	json    string
	runs    string
	verbose bool
	live    string
}

func runCommand(w world) *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run CAMPAIGN",
		Short: "Run a campaign with everything on this machine, and say whether the backend held",
		Long: `Run a campaign with everything on this machine: a coordinator, --workers N worker
processes and, when neither the campaign nor --target names a backend, the
built-in storefront. CAMPAIGN is an embedded campaign's name or a path.

Ctrl-C once launches no more shoppers and lets those in flight finish; twice
ends at once. Either way the run is kept and can be read.`,
		Args: exactly(1, "one campaign ("+strings.Join(scenarios.Embedded(), ", ")+", or a path)"),
		RunE: func(c *cobra.Command, args []string) error {
			return runCampaign(c.Context(), w, args[0], f)
		},
	}
	f.add(c.Flags())
	c.Flags().IntVar(&f.workers, "workers", 1, "worker processes to share the crowd")
	c.Flags().StringVar(&f.design, "design", "guarded", "design of the built-in storefront: see flashcrowd storefront --list")
	c.Flags().StringSliceVar(&f.bugs, "bug", nil, "fault to plant into the built-in storefront: see flashcrowd storefront --list; may be repeated")
	c.Flags().StringSliceVar(&f.shop, "shop", nil, "flag of the built-in storefront, such as stock=500; may be repeated: see flashcrowd storefront --help")
	c.Flags().StringVar(&f.json, "json", "", "also write the report as JSON to this file, or to standard output with - (then without the text)")
	c.Flags().StringVar(&f.runs, "runs", "runs", "folder that keeps the runs")
	addLive(c.Flags(), &f.live)
	c.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "tell what the coordinator does")
	return c
}

// runCampaign is one run from campaign to report. Each room is entered once:
// the plan is made, the storefront opened, the store begun, the fleet led, the
// books held against the ledger, the run judged, and the report printed.
func runCampaign(ctx context.Context, w world, name string, f runFlags) (err error) {
	plan, err := f.plan(name)
	if err != nil {
		return err
	}
	if _, err := plan.Target.Resolve(os.LookupEnv); err != nil { // the workers will, with this environment
		return usage(err)
	}
	if err := checkLive(f.live, false); err != nil {
		return err
	}
	if f.workers < 1 || f.workers > maxWorkers {
		return usage(fmt.Errorf("--workers %d: 1 to %d on one machine", f.workers, maxWorkers))
	}
	keep, err := openJSON(w, f.json) // that it can't be written is found out now, not after the run
	if err != nil {
		return usage(fmt.Errorf("--json: %w", err))
	}
	defer keep.drop()
	opened, err := f.storefront(plan)
	if err != nil {
		return usage(err)
	}
	for _, warning := range plan.Warnings() {
		fmt.Fprintf(w.Talk, "warning: %s\n", warning)
	}
	newPreflight(plan, f.workers).warn(w.Talk, "warning: this machine may be too small: ")
	books, named := f.books(plan)
	if named && plan.Target.URL != "" {
		if err := books.ready(ctx); err != nil {
			return err
		}
	}
	dir, err := newRunFolder(f.runs, plan.Campaign.Name)
	if err != nil {
		return err
	}
	logs, err := os.Create(filepath.Join(dir, partsLog))
	if err != nil {
		return fmt.Errorf("keep the run: %w", err)
	}
	defer logs.Close()

	target := redactURL(plan.Target.URL)
	var shop *part
	if plan.Target.URL == "" {
		if shop, plan.Target.URL, err = startStorefront(ctx, opened, filepath.Join(dir, "books.db"), plan, logs); err != nil {
			return err
		}
		defer shop.end(shopGrace)
		target = "storefront " + strings.Join(append([]string{f.design}, f.bugs...), " with ") + " (built in)"
	}

	kept, about, err := keepRun(dir, plan, target, f.given(name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kept.Close()) }()

	key := make([]byte, membership.KeySize)
	rand.Read(key) // never fails: see its doc
	t := team{live: f.live, workers: &fleet{}, shop: shop, lost: make(chan error, 1), gone: make(chan struct{})}
	defer t.workers.end()
	began, unkept := lead(ctx, w, coordinator.Config{
		About: about, Plan: plan, Rules: plan.Campaign.Thresholds, Store: kept, Notes: kept, Version: version(),
		Workers: f.workers, Name: "coordinator", Key: key, Gossip: "127.0.0.1:0", API: "127.0.0.1:0",
		Listening: func(join string) {
			for n := range f.workers {
				if err := t.workers.start(fmt.Sprintf("worker-%d", n+1), join, key, dir, logs, f, plan); err != nil {
					t.lost <- err
					return
				}
			}
			go t.workers.watch(t.gone)
		},
	}, f.verbose, t)
	if !began {
		return unkept
	}
	var hold holding
	switch {
	case shop != nil:
		hold = auditStorefront
	case named:
		hold = books.hold
	}
	return conclude(ctx, w, keep, plan, kept, hold, unkept)
}

// storefront returns the arguments of the storefront to start, if there is no
// other backend.
func (f *runFlags) storefront(plan *scenarios.Plan) ([]string, error) {
	if plan.Target.URL != "" {
		if len(f.bugs)+len(f.shop) > 0 {
			return nil, errors.New("--bug and --shop are of the built-in storefront, and there is a target\nhint: start it with flashcrowd storefront")
		}
		return nil, nil
	}
	if !slices.ContainsFunc(storefront.Designs(), func(d storefront.Design) bool { return d.Name == f.design }) {
		return nil, fmt.Errorf("--design %s: there is no such design\nhint: flashcrowd storefront --list", f.design)
	}
	return shopArgs(f.design, f.bugs, f.shop)
}

// team is the parts of a run that are processes of this machine; none of it is
// where workers are elsewhere.
type team struct {
	live    string // host:port of the live view; empty for none
	workers *fleet
	shop    *part
	lost    chan error    // why a worker could not be started
	gone    chan struct{} // closed when every worker has ended
}

// lead runs the coordinator, shows progress, and returns when the run is over.
// Signals become stops. It says whether the load began; then an error is about
// what could not be kept of it, and what was kept is judged.
func lead(ctx context.Context, w world, config coordinator.Config, verbose bool, t team) (began bool, err error) {
	level := slog.LevelError
	if verbose {
		level = slog.LevelDebug
	}
	config.Log = slog.New(slog.NewTextHandler(w.Talk, &slog.HandlerOptions{Level: level}))
	c, err := coordinator.New(config)
	if err != nil {
		return false, err
	}
	defer func() { _, began = c.Elapsed() }()
	endLive, err := serveLive(w, t.live, c, config.Plan.Campaign.Validity)
	if err != nil {
		return false, err
	}
	defer endLive()
	shopGone := make(<-chan struct{})
	if t.shop != nil {
		shopGone = t.shop.done
	}
	gone := t.gone

	leading, abandon := context.WithCancel(ctx)
	defer abandon()
	led := make(chan error, 1)
	go func() { led <- c.Run(leading) }()

	signals := make(chan os.Signal, 3)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	view := newProgress(w, config)
	defer view.close()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	interrupts := 0
	for {
		select {
		case err := <-led:
			view.show(c)
			return began, err
		case err := <-t.lost:
			abandon()
			return began, errors.Join(err, ignoreCanceled(<-led))
		case <-gone:
			// Before the start nobody else would say why. After it the
			// coordinator knows what each worker reported last.
			gone = nil
			if _, started := c.Elapsed(); !started {
				abandon()
				return began, errors.Join(t.workers.fault(), ignoreCanceled(<-led))
			}
		case <-shopGone:
			shopGone = nil
			c.Stop(scenarios.Cut, fmt.Sprintf("the storefront ended: %v", t.shop.err))
		case sig := <-signals:
			switch interrupts++; interrupts {
			case 1:
				fmt.Fprintf(view.talk(), "%v: no more shoppers; those in flight may finish (once more to end at once)\n", sig)
				c.Stop(scenarios.Drain, stoppedByUser)
			case 2:
				fmt.Fprintf(view.talk(), "%v: ending at once\n", sig)
				c.Stop(scenarios.Cut, stoppedByUser)
			default:
				abandon()
				return began, errors.Join(errors.New("ended by a third signal"), ignoreCanceled(<-led))
			}
		case <-second.C:
			view.show(c)
		}
	}
}

// holding holds the ledger of a run that is over against the backend's books.
type holding func(ctx context.Context, plan *scenarios.Plan, run *results.Run, kept *store.Store) (*results.Audit, error)

// conclude audits, judges, keeps the verdict and prints the report. The error
// carries the exit code. hold is nil where nobody knows of any books.
func conclude(ctx context.Context, w world, keep *jsonFile, plan *scenarios.Plan, kept *store.Store, hold holding, unkept error) error {
	run, err := kept.Run()
	if err != nil {
		return errors.Join(unkept, err)
	}
	var books *results.Audit
	var unread error
	if hold != nil {
		books, unread = hold(ctx, plan, run, kept)
	}
	v := verdict.Judge(run, books, rulesOf(plan))
	if unread != nil {
		v = v.Without(booksRule, unread)
	}
	if unkept != nil {
		v = v.Without("everything that the coordinator knew is kept", unkept)
	}
	if err := kept.Finish(v, books, run.Count(results.Orders, results.Tags{}), time.Now()); err != nil {
		return err
	}
	d := document(kept, run, v, books)
	if !keep.instead {
		if err := printText(w, d); err != nil {
			return err
		}
	}
	if err := keep.write(d); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if code := ci.Code(v.Outcome); code != ci.Pass {
		return exit{code: code}
	}
	return nil
}

// keepRun begins the file of a run in its folder.
func keepRun(dir string, plan *scenarios.Plan, target string, args []string) (*store.Store, results.About, error) {
	about := results.About{
		ID: filepath.Base(dir), Campaign: plan.Campaign.Name, PlanFingerprint: plan.Fingerprint(), Target: target,
		Factors: plan.Factors, Duration: plan.Duration(), Stages: plan.Stages(), Planned: plan.Shoppers, AtOnce: plan.Campaign.Crowd.AtOnce,
	}
	kept, err := store.Create(filepath.Join(dir, store.FileName), store.Header{
		About: about, Plan: plan.Encode(), Created: time.Now(), Version: version(), Args: args,
	})
	return kept, about, err
}

// newRunFolder makes the folder of a new run, named after the moment and the
// campaign, on a disk that has room.
func newRunFolder(runs, campaign string) (dir string, err error) {
	id := time.Now().Format("20060102-150405") + "-" + campaign
	if err := os.MkdirAll(runs, 0o755); err != nil {
		return "", fmt.Errorf("keep the run: %w\nhint: choose another folder with --runs", err)
	}
	for try := 0; ; try++ {
		name := id
		if try > 0 {
			b := make([]byte, 2)
			rand.Read(b)
			name += "-" + hex.EncodeToString(b)
		}
		dir = filepath.Join(runs, name)
		err := os.Mkdir(dir, 0o755)
		if err == nil {
			if err := checkRoom(dir); err != nil {
				return "", errors.Join(err, os.Remove(dir))
			}
			return dir, nil
		}
		if !errors.Is(err, os.ErrExist) || try > 20 {
			return "", fmt.Errorf("keep the run: %w\nhint: choose another folder with --runs", err)
		}
	}
}

func ignoreCanceled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
