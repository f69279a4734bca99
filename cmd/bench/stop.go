package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
)

const stopCampaign = `name: stop
seed: 1
crowd:
  stages: [{name: all, for: 1m, rate: 200/s}]
  personas: {patient: 1}
  journeys: {browse: 1}
  turns: 4
  think: {median: 100ms, p90: 300ms}
target:
  chat: {protocol: openai, path: /v1, model: m}
`

// stopWorkers are the workers of a fleet that is stopped.
const stopWorkers = 2

// An ending is a way in which load ends.
type ending struct {
	name  string
	watch time.Duration // how long the server is looked at; load that goes on shows as this
	end   func(context.Context, *leader) error
}

func (b *bench) endings() (told, cutOff ending) {
	return ending{"flashcrowd stop", 3 * time.Second, b.tell}, ending{"no coordinator (a lease is 5 s)", agents.LeaseLength + 2*time.Second, silence}
}

// stop measures how long load goes on after it was to end: from the start of
// `flashcrowd stop` to the last byte that a server sees, and from the moment at
// which the workers hear no coordinator any more. Each trial has a fleet of its
// own, of real processes. The server answers slowly, so that streams are open.
func (b *bench) stop(ctx context.Context) error {
	fmt.Printf("%d workers, 200 shoppers a second\n%-34s %8s %10s %10s %10s\n", stopWorkers, "to the last byte from", "trials", "median, s", "p95, s", "longest, s")
	told, cutOff := b.endings()
	var longest []float64
	for _, way := range []struct {
		ending
		trials int
	}{{told, b.trials}, {cutOff, (b.trials + 9) / 10}} {
		took, err := b.trial(ctx, way.ending, way.trials)
		if err != nil {
			return err
		}
		at := func(q float64) float64 { return took[min(int(q*float64(len(took))), len(took)-1)].Seconds() }
		longest = append(longest, at(1))
		fmt.Printf("%-34s %8d %10.2f %10.2f %10.2f\n", way.name, way.trials, at(0.5), at(0.95), at(1))
	}
	fmt.Printf("\nstop_longest_s: %.2f\ncut_off_longest_s: %.2f\n", longest[0], longest[1])
	return nil
}

// trial does n trials and returns how long each took, the shortest first.
func (b *bench) trial(ctx context.Context, way ending, n int) (took []time.Duration, err error) {
	for i := range n {
		d, err := b.once(ctx, way)
		if err != nil {
			return nil, fmt.Errorf("%s, trial %d: %w", way.name, i+1, err)
		}
		took = append(took, d)
	}
	slices.Sort(took)
	return took, nil
}

// tell is flashcrowd stop, as somebody would type it.
func (b *bench) tell(ctx context.Context, l *leader) error {
	out, err := exec.CommandContext(ctx, b.program, "stop", "--join", l.join, "--key", l.keyFile).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// silence freezes the coordinator: nobody answers, and no connection breaks.
func silence(_ context.Context, l *leader) error { return l.cmd.Process.Signal(syscall.SIGSTOP) }

// once runs a fleet, ends its load and returns how long that took.
func (b *bench) once(ctx context.Context, way ending) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	target, err := listenSink()
	if err != nil {
		return 0, err
	}
	defer target.close()
	lead, err := b.lead(ctx, stopCampaign, target.url(), stopWorkers)
	if err != nil {
		return 0, err
	}
	defer lead.stop()
	for range stopWorkers {
		worker := exec.CommandContext(ctx, b.program, "worker", "--join", lead.join, "--key", lead.keyFile)
		// Children end when their worker does: end of file is all they need.
		if err := worker.Start(); err != nil {
			return 0, err
		}
		defer func() {
			worker.Process.Kill()
			worker.Wait() // killed: how it ended is known
		}()
	}
	if err := target.busy(ctx, 100); err != nil {
		return 0, errors.Join(err, lead.said())
	}
	began := time.Now()
	if err := way.end(ctx, lead); err != nil {
		return 0, err
	}
	select {
	case <-time.After(time.Until(began.Add(way.watch))):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	last := target.last()
	if last.Before(began) {
		return 0, fmt.Errorf("the load ended %v before it was to", began.Sub(last))
	}
	return last.Sub(began), nil
}

// A sink answers chat turns slowly and knows when the last byte came.
type sink struct {
	net.Listener
	server *http.Server
	mu     sync.Mutex
	turns  int
	read   time.Time
}

func listenSink() (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{Listener: l}
	s.server = &http.Server{Handler: s}
	go s.server.Serve(s)
	return s, nil
}

func (s *sink) url() string { return "http://" + s.Addr().String() }
func (s *sink) close()      { s.server.Close() }

// ServeHTTP implements http.Handler: an answer of 32 deltas takes 300 ms.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.turns++
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream")
	talk(w, true)
	http.NewResponseController(w).Flush()
	select {
	case <-time.After(300 * time.Millisecond):
		talk(w, false)
	case <-r.Context().Done():
	}
}

// Accept implements net.Listener.
func (s *sink) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &clocked{c, s}, nil
}

// clocked notes when something arrived.
type clocked struct {
	net.Conn
	sink *sink
}

// Read implements net.Conn.
func (c *clocked) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.sink.mu.Lock()
		c.sink.read = time.Now()
		c.sink.mu.Unlock()
	}
	return n, err
}

func (s *sink) last() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.read
}

// busy waits until so many turns came.
func (s *sink) busy(ctx context.Context, turns int) error {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		s.mu.Lock()
		came := s.turns
		s.mu.Unlock()
		if came >= turns {
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d turns came: %w", came, turns, ctx.Err())
		}
	}
}
