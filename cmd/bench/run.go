package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"text/template"
	"time"
)

//go:embed testdata/journey.yaml
var journeyYAML string

var campaign = template.Must(template.New("journey").Parse(journeyYAML))

// A crowd is what flashcrowd is given to run.
type crowd struct {
	For    time.Duration // of arrivals
	Rate   int           // shoppers a second
	Turns  int           // 0: four
	Think  time.Duration // the same for all; 0: nobody thinks
	AtOnce int           // 0: an open crowd
	Pooled bool
	Urgent bool // the child has a real-time priority
}

// report is what is needed of a run's JSON.
type report struct {
	Started time.Time `json:"started"` // zero of plan time
	Orders  struct {
		Promised int `json:"promised"`
	} `json:"orders"`
	Shoppers struct {
		Planned int            `json:"planned"`
		Ended   map[string]int `json:"ended"`
	} `json:"shoppers"`
	Seconds []struct {
		At       int64 `json:"at_s"`
		Launched int   `json:"launched_count"`
		Ended    int   `json:"ended_count"`
		Orders   int   `json:"orders_count"`
	} `json:"seconds"`
	Metrics map[string]struct {
		Values map[string]float64 `json:"values"`
	} `json:"metrics"`
}

// live returns the most shoppers who were there at once.
func (r report) live() (most int) {
	now := 0
	for _, s := range r.Seconds {
		now += s.Launched
		most = max(most, now)
		now -= s.Ended
	}
	return most
}

// orders returns how many were promised between two moments of plan time, which
// are whole seconds.
func (r report) orders(from, to time.Duration) (sum int) {
	for _, s := range r.Seconds {
		if at := time.Duration(s.At) * time.Second; from <= at && at < to {
			sum += s.Orders
		}
	}
	return sum
}

// watchEvery is how often a child is looked at; what it uses after the last
// look is not seen.
const watchEvery = 20 * time.Millisecond

// crowd runs a crowd with one worker, whose k6 child has the client's core for
// itself, and returns the report and what the child used. A watcher sees each reading and may end
// the run by returning false; then there is no report.
func (b *bench) crowd(ctx context.Context, target string, c crowd, watch func(usage) bool) (r report, last usage, err error) {
	dir, err := os.MkdirTemp(b.dir, "run-")
	if err != nil {
		return r, last, err
	}
	defer os.RemoveAll(dir)
	var yaml bytes.Buffer
	if err := campaign.Execute(&yaml, c); err != nil {
		return r, last, err
	}
	file, out := filepath.Join(dir, "bench.yaml"), filepath.Join(dir, "report.json")
	if err := os.WriteFile(file, yaml.Bytes(), 0o600); err != nil {
		return r, last, err
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	cmd := pinned(ctx, b.server, b.program, "run", file, "--target", target, "--workers", "1", "--runs", filepath.Join(dir, "runs"), "--json", out)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return r, last, err
	}
	over := make(chan error, 1)
	go func() { over <- cmd.Wait() }()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	pid, ok := 0, false
	for {
		select {
		case <-tick.C:
			if !ok {
				if pid, ok = child(b.program, cmd.Process.Pid); ok {
					if said, err := exec.CommandContext(ctx, "taskset", "-a", "-c", "-p", b.client, strconv.Itoa(pid)).CombinedOutput(); err != nil {
						return r, last, fmt.Errorf("give the child its core: %w: %s", err, said)
					}
					if c.Urgent {
						if said, err := exec.CommandContext(ctx, "chrt", "--all-tasks", "--fifo", "--pid", realTime, strconv.Itoa(pid)).CombinedOutput(); err != nil {
							return r, last, fmt.Errorf("give the child its priority: %w: %s", err, said)
						}
					}
				}
				continue
			}
			now, err := usageOf(pid)
			if err != nil || now.rss == 0 {
				continue // it is ending
			}
			last = now
			if watch != nil && !watch(now) {
				end()
				<-over
				return r, last, nil
			}
			continue
		case err = <-over: // a verdict is not what is asked here: the report says what came of it
		}
		break
	}
	if last.rss == 0 {
		return r, last, fmt.Errorf("%w: %w: %s", errNoChild, err, said.Bytes())
	}
	text, err := os.ReadFile(out)
	if err != nil {
		return r, last, fmt.Errorf("%w: %s", err, said.Bytes())
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, last, err
	}
	if good := r.Shoppers.Ended["ok"]; good != r.Shoppers.Planned {
		return r, last, fmt.Errorf("of %d shoppers %d got what they came for: %v", r.Shoppers.Planned, good, r.Shoppers.Ended)
	}
	return r, last, nil
}
