package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flashcrowd/flashcrowd/agents/coordinator"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/store"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// defaultGossip is where a coordinator listens, and where others look for it,
// unless told otherwise: memberlist's usual port, on loopback.
const defaultGossip = "127.0.0.1:7946"

// coordinatorFlags are what `flashcrowd coordinator` was asked for.
type coordinatorFlags struct {
	planFlags
	runFlags  runFlags
	least     int
	wait      time.Duration
	key       string
	bind, api string
	resume    string
}

func coordinatorCommand(w world) *cobra.Command {
	var f coordinatorFlags
	c := &cobra.Command{
		Use:   "coordinator CAMPAIGN | --resume RUN",
		Short: "Lead a fleet: share a campaign out to workers on other machines, and judge the run",
		Long: `Lead a fleet: wait for --workers N, share the campaign out to them, collect what
they measure, and say whether the backend held. Start the workers before or after:

  flashcrowd worker --join HOST:PORT --key FILE --allow ADDRESS

A coordinator that was killed is started again with --resume RUN, and goes on
where it was; within the length of a lease (5 s) the load has no gap.

Ctrl-C once launches no more shoppers and lets those in flight finish; twice ends
at once, on all machines.`,
		Args: func(c *cobra.Command, args []string) error {
			if f.resume != "" {
				return exactly(0, "either a campaign or --resume RUN")(c, args)
			}
			return exactly(1, "one campaign ("+strings.Join(scenarios.Embedded(), ", ")+", or a path)")(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			if f.resume != "" {
				return resumeFleet(c.Context(), w, f)
			}
			return leadFleet(c.Context(), w, args[0], f)
		},
	}
	f.planFlags.add(c.Flags())
	c.Flags().IntVar(&f.runFlags.workers, "workers", 1, "workers to wait for")
	c.Flags().IntVar(&f.least, "min-workers", 0, "workers to start with when --wait is over (default: all of --workers)")
	c.Flags().DurationVar(&f.wait, "wait", 5*time.Minute, "how long to wait for workers")
	c.Flags().StringVar(&f.key, "key", "", "file with the cluster key, from flashcrowd keygen (default: this machine's own, for loopback)")
	c.Flags().StringVar(&f.bind, "bind", defaultGossip, "host:port for gossip, TCP and UDP, where workers join")
	c.Flags().StringVar(&f.api, "api", "", "host:port for the workers' HTTPS (default: the host of --bind, any port)")
	c.Flags().StringVar(&f.resume, "resume", "", "run to go on with: its id, the path of its file, or latest")
	c.Flags().StringVar(&f.runFlags.json, "json", "", "also write the report as JSON to this file, or to standard output with - (then without the text)")
	c.Flags().StringVar(&f.runFlags.runs, "runs", "runs", "folder that keeps the runs")
	addLive(c.Flags(), &f.runFlags.live)
	c.Flags().BoolVarP(&f.runFlags.verbose, "verbose", "v", false, "tell what the coordinator does")
	return c
}

// config is what the flags say of a coordinator.
func (f *coordinatorFlags) config() (coordinator.Config, error) {
	key, err := loadKey(f.key)
	if err != nil {
		return coordinator.Config{}, err
	}
	host, _, err := net.SplitHostPort(f.bind)
	if err != nil {
		return coordinator.Config{}, usage(fmt.Errorf("--bind %s: want host:port", f.bind))
	}
	if f.api == "" {
		f.api = net.JoinHostPort(host, "0")
	}
	for flag, at := range map[string]string{"bind": f.bind, "api": f.api} {
		if f.key == "" && !loopback(at) {
			return coordinator.Config{}, usage(fmt.Errorf("--%s %s is beyond loopback, which takes a cluster key\nhint: flashcrowd keygen FILE, and --key FILE on each machine", flag, at))
		}
	}
	if err := checkLive(f.runFlags.live, f.key != ""); err != nil {
		return coordinator.Config{}, err
	}
	return coordinator.Config{
		Workers: f.runFlags.workers, Least: f.least, Wait: f.wait, Version: version(),
		Name: "coordinator", Key: key, Gossip: f.bind, API: f.api,
	}, nil
}

// leadFleet is one run from campaign to report, with workers elsewhere.
func leadFleet(ctx context.Context, w world, name string, f coordinatorFlags) (err error) {
	plan, err := f.plan(name)
	if err != nil {
		return err
	}
	if plan.Target.URL == "" {
		return usage(errors.New("a fleet needs a target\nhint: --target URL; for the built-in one start flashcrowd storefront, or use flashcrowd run"))
	}
	if f.runFlags.workers < 1 || f.least < 0 || f.least > f.runFlags.workers {
		return usage(fmt.Errorf("--workers %d --min-workers %d: want at least one, and no more to start with than to wait for", f.runFlags.workers, f.least))
	}
	config, err := f.config()
	if err != nil {
		return err
	}
	keep, err := openJSON(w, f.runFlags.json)
	if err != nil {
		return usage(fmt.Errorf("--json: %w", err))
	}
	defer keep.drop()
	for _, warning := range plan.Warnings() {
		fmt.Fprintf(w.Talk, "warning: %s\n", warning)
	}
	if books, named := f.books(plan); named {
		if err := books.ready(ctx); err != nil {
			return err
		}
	}
	dir, err := newRunFolder(f.runFlags.runs, plan.Campaign.Name)
	if err != nil {
		return err
	}
	kept, about, err := keepRun(dir, plan, redactURL(plan.Target.URL), f.given(name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kept.Close()) }()
	return f.lead(ctx, w, config, plan, about, kept, keep)
}

// resumeFleet goes on with a run whose coordinator is no more.
func resumeFleet(ctx context.Context, w world, f coordinatorFlags) (err error) {
	config, err := f.config()
	if err != nil {
		return err
	}
	path, err := store.Find(f.runFlags.runs, f.resume)
	if err != nil {
		return usage(err)
	}
	kept, err := store.Resume(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kept.Close()) }()
	if began := kept.Header().Version; began != version() {
		return usage(fmt.Errorf("run %s was begun by flashcrowd %s, this is %s, and its workers would be turned away\nhint: resume it with the one that began it", kept.Header().About.ID, began, version()))
	}
	plan, err := scenarios.DecodePlan(kept.Header().Plan)
	if err != nil {
		return fmt.Errorf("read the plan of %s: %w", path, err)
	}
	keep, err := openJSON(w, f.runFlags.json)
	if err != nil {
		return usage(fmt.Errorf("--json: %w", err))
	}
	defer keep.drop()
	config.Past = kept
	return f.lead(ctx, w, config, plan, kept.Header().About, kept, keep)
}

func (f *coordinatorFlags) lead(ctx context.Context, w world, config coordinator.Config, plan *scenarios.Plan, about results.About, kept *store.Store, keep *jsonFile) error {
	config.About, config.Plan, config.Rules, config.Store, config.Notes = about, plan, plan.Campaign.Thresholds, kept, kept
	config.Listening = func(join string) {
		key := ""
		if f.key != "" {
			key = " --key " + f.key
		}
		fmt.Fprintf(w.Talk, "workers join with: flashcrowd worker --join %s%s\n", join, key)
	}
	config.Gathering = func(g coordinator.Gathering) {
		if g.Ready < g.Want {
			fmt.Fprintf(w.Talk, "%d of %d workers are ready, %s left%s\n", g.Ready, g.Want, g.Left.Round(time.Second), g.Missing)
		}
	}
	began, unkept := lead(ctx, w, config, f.runFlags.verbose, team{live: f.runFlags.live})
	if !began {
		return unkept
	}
	var hold holding
	if books, named := f.books(plan); named {
		hold = books.hold
	}
	return conclude(ctx, w, keep, plan, kept, hold, unkept)
}

// loopback says whether host:port is on this machine alone.
func loopback(at string) bool {
	host, _, err := net.SplitHostPort(at)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// checkJoin refuses nodes that nobody could ever reach, which a worker would
// wait for.
func checkJoin(nodes []string) error {
	for _, node := range nodes {
		if _, port, err := net.SplitHostPort(node); err != nil || port == "" {
			return usage(fmt.Errorf("--join %s: want host:port, such as %s", node, defaultGossip))
		}
	}
	return nil
}

// bindFor returns where a node listens that joins others: on the address from
// which it reaches them.
func bindFor(join []string) string {
	for _, to := range join {
		conn, err := net.Dial("udp", to) // sends nothing
		if err != nil {
			continue
		}
		host, _, err := net.SplitHostPort(conn.LocalAddr().String())
		conn.Close()
		if err == nil {
			return net.JoinHostPort(host, "0")
		}
	}
	return "127.0.0.1:0"
}
