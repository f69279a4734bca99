package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/flashcrowd/flashcrowd/agents/membership"
	"github.com/flashcrowd/flashcrowd/agents/worker"
	"github.com/flashcrowd/flashcrowd/extensions/host"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// workerFlags are what a worker was asked for.
type workerFlags struct {
	name, dir string
	join      []string
	key, bind string
	keyFD     int
	env       []string
	allow     []string
	data      string
	wait      time.Duration
	attended  bool
}

func workerCommand(w world) *cobra.Command {
	var f workerFlags
	c := &cobra.Command{
		Use:   "worker",
		Short: "Be one worker of a fleet, and load what its coordinator says and --allow permits",
		Long: `Be one worker of a fleet: join, wait for a coordinator, and send its share of the
crowd. It may be started before the coordinator. Several --join, or a name that
resolves to many addresses, mean all of them.

It loads nothing that is not on its own --allow list (loopback by default), and
hands no environment variable to the campaign that is not on its --env list.

Ctrl-C or SIGTERM once: it hands its slots to the others, lets its shoppers
finish, and leaves; nobody is late. Twice ends at once.`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			return work(c.Context(), w, f)
		},
	}
	c.Flags().StringVar(&f.name, "name", workerName(), "name in the report")
	c.Flags().StringVar(&f.dir, "dir", "", "folder for this worker's files (default: a temporary one)")
	c.Flags().StringSliceVar(&f.join, "join", []string{defaultGossip}, "host:port of a node of the fleet, or several")
	c.Flags().StringVar(&f.bind, "bind", "", "host:port for this node's gossip (default: the address that reaches --join, any port)")
	c.Flags().StringVar(&f.key, "key", "", "file with the cluster key (default: this machine's own, for loopback)")
	c.Flags().DurationVar(&f.wait, "wait", 0, "how long to wait for a coordinator (default: for ever)")
	c.Flags().IntVar(&f.keyFD, "key-fd", 0, "descriptor to read the cluster key from, in place of --key")
	c.Flags().StringSliceVar(&f.env, "env", nil, "name of an environment variable that the campaign may read")
	c.Flags().StringSliceVar(&f.allow, "allow", nil, "address or prefix that may be loaded (default: loopback only)")
	c.Flags().StringVar(&f.data, "data", "", "folder of the files that the campaign names, the only one whose files it may read")
	c.Flags().BoolVar(&f.attended, "attended", false, "end when standard input does")
	for _, own := range []string{"key-fd", "attended", "dir"} { // between flashcrowd run and its workers
		c.Flags().Lookup(own).Hidden = true
	}
	return c
}

// workerName is the machine's name, as far as it may be a node's.
func workerName() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		return "worker"
	}
	name := []byte(host[:min(len(host), 32)])
	for i, b := range name {
		if !('a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '-' || b == '_' || b == '.') {
			name[i] = '-'
		}
	}
	return string(name)
}

// work is one worker from joining to leaving.
func work(ctx context.Context, w world, f workerFlags) error {
	if err := checkJoin(f.join); err != nil {
		return err
	}
	if f.attended {
		ctx = untilEOF(ctx, os.Stdin)
	}
	key, err := f.clusterKey()
	if err != nil {
		return err
	}
	env := make(map[string]string)
	for _, name := range f.env {
		if v, ok := os.LookupEnv(name); ok {
			env[name] = v
		}
	}
	if f.dir == "" {
		if f.dir, err = os.MkdirTemp("", "flashcrowd-"); err != nil {
			return err
		}
		defer os.RemoveAll(f.dir)
	}
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return err
	}
	script := filepath.Join(f.dir, "crowd.js")
	if err := os.WriteFile(script, scenarios.CrowdScript, 0o600); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if f.bind == "" {
		f.bind = bindFor(f.join)
	}
	if f.key == "" && f.keyFD == 0 && !loopback(f.bind) {
		return usage(fmt.Errorf("a fleet at %s is beyond loopback, which takes its cluster key\nhint: --key FILE", strings.Join(f.join, ", ")))
	}
	ctx, retire, cancel := goodbyes(ctx, w)
	defer cancel()
	log := slog.New(slog.NewTextHandler(w.Talk, nil))
	clocks := worker.NewClocks()
	for {
		node, err := worker.New(worker.Config{
			Name: f.name, Join: f.join, Bind: f.bind, Key: key, Retire: retire, Capacity: f.capacity(), Version: version(),
			Exec: []string{self, "k6", "run", "--quiet", "--no-color", "--no-usage-report",
				"--no-thresholds", "--summary-mode=disabled", // they keep every value
				"--out", "flashcrowd", script},
			Env: env, Allow: f.allow, Data: f.data, Dir: f.dir, Wait: f.wait, Clocks: clocks, Log: log,
		})
		if err != nil {
			return usage(err)
		}
		err = oneLife(ctx, node)
		if !errors.Is(err, worker.ErrEnded) || ctx.Err() != nil {
			return err
		}
		select {
		case <-retire:
			return err
		default:
			log.Warn("joining again, as a new worker", "err", err)
		}
	}
}

// oneLife is one life of a worker. One that was told to leave gets a moment to
// deliver what it has.
func oneLife(ctx context.Context, node *worker.Worker) error {
	done := make(chan error, 1)
	go func() { done <- node.Run(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done: // it delivered its last snapshot and left
		return err
	case <-time.After(leaveGrace):
		return errors.New("told to leave, and nobody took the last snapshot")
	}
}

// goodbyes turns signals into ways to leave: the first closes retire, the second
// ends the context.
func goodbyes(ctx context.Context, w world) (_ context.Context, retire <-chan struct{}, cancel func()) {
	ctx, end := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	polite := make(chan struct{})
	go func() {
		select {
		case sig := <-signals:
			fmt.Fprintf(w.Talk, "%v: leaving when others have my slots and my shoppers have left (once more to end at once)\n", sig)
			close(polite)
		case <-ctx.Done():
			return
		}
		select {
		case <-signals:
			end()
		case <-ctx.Done():
		}
	}()
	return ctx, polite, func() { signal.Stop(signals); end() }
}

// capacity is what this machine can carry, in thousandths of a processor.
func (f *workerFlags) capacity() uint64 {
	return uint64(host.Look(os.DirFS("/"), runtime.NumCPU(), 0).Processors * 1000)
}

// clusterKey is the key from a descriptor or a file.
func (f *workerFlags) clusterKey() ([]byte, error) {
	if f.keyFD == 0 {
		return loadKey(f.key)
	}
	key, err := readKey(f.keyFD)
	return key, usage(err)
}

// leaveGrace is how long a worker that was told to leave may take to deliver
// what it has. A coordinator that was killed takes nothing any more.
const leaveGrace = 10 * time.Second

// readKey reads the cluster key from an inherited descriptor, so that it is in
// no command line, environment or file.
func readKey(fd int) ([]byte, error) {
	if fd < 3 {
		return nil, errors.New("--key-fd is 3 or higher")
	}
	f := os.NewFile(uintptr(fd), "key")
	defer f.Close()
	key, err := io.ReadAll(io.LimitReader(f, membership.KeySize+1))
	if err != nil {
		return nil, fmt.Errorf("read the cluster key: %w\nhint: flashcrowd run starts workers with a key", err)
	}
	if len(key) != membership.KeySize {
		return nil, fmt.Errorf("read the cluster key: got %d bytes, want %d", len(key), membership.KeySize)
	}
	return key, nil
}
