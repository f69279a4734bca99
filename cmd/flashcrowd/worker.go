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
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/flashcrowd/flashcrowd/agents/membership"
	"github.com/flashcrowd/flashcrowd/agents/worker"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// workerFlags are what a worker was asked for.
type workerFlags struct {
	name, dir string
	join      []string
	keyFD     int
	env       []string
	allow     []string
	data      string
	attended  bool
}

func workerCommand(w world) *cobra.Command {
	var f workerFlags
	c := &cobra.Command{
		Use:    "worker",
		Short:  "Be one worker of a fleet; flashcrowd run starts its own",
		Args:   exactly(0, "no arguments"),
		Hidden: true, // fleets on several machines come with a key of their own
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return work(ctx, w, f)
		},
	}
	c.Flags().StringVar(&f.name, "name", "worker", "name in the report")
	c.Flags().StringVar(&f.dir, "dir", "", "folder for this worker's files (default: a temporary one)")
	c.Flags().StringSliceVar(&f.join, "join", nil, "host:port of the fleet's gossip")
	c.Flags().IntVar(&f.keyFD, "key-fd", 3, "descriptor to read the cluster key from")
	c.Flags().StringSliceVar(&f.env, "env", nil, "name of an environment variable that the campaign may read")
	c.Flags().StringSliceVar(&f.allow, "allow", nil, "address or prefix that may be loaded (default: loopback only)")
	c.Flags().StringVar(&f.data, "data", "", "folder of the files that the campaign names, the only one whose files it may read")
	c.Flags().BoolVar(&f.attended, "attended", false, "end when standard input does")
	return c
}

// work is one worker from joining to leaving.
func work(ctx context.Context, w world, f workerFlags) error {
	if f.attended {
		ctx = untilEOF(ctx, os.Stdin)
	}
	key, err := readKey(f.keyFD)
	if err != nil {
		return usage(err)
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
	node, err := worker.New(worker.Config{
		Name: f.name, Join: f.join, Bind: "127.0.0.1:0", Key: key,
		Exec: []string{self, "k6", "run", "--quiet", "--no-color", "--no-usage-report",
			"--no-thresholds", "--summary-mode=disabled", // they keep every value
			"--out", "flashcrowd", script},
		Env: env, Allow: f.allow, Data: f.data, Dir: f.dir, Wait: time.Minute,
		Log: slog.New(slog.NewTextHandler(w.Talk, nil)),
	})
	if err != nil {
		return usage(err)
	}
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
