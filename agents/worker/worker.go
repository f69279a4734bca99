// Package worker is one node of a fleet: it joins, starts the k6 child that
// fires, relays the child's snapshots to the coordinator and its leases back.
//
// The decisions are in a pure state machine (relay.go); the rest of the package
// is what is around it: gossip, HTTPS, the child process and the clock.
package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/agents/membership"
	"github.com/flashcrowd/flashcrowd/extensions/link"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// Config says which fleet to join, and how. Times that are 0 take the default.
type Config struct {
	Name string   // as people say it
	Join []string // host:port of members' gossip; a name that resolves to many means all of them
	Bind string   // host:port for this node's gossip; port 0 takes a free one
	Key  []byte   // the cluster key, membership.KeySize bytes

	Exec     []string          // the child's program and arguments
	Env      map[string]string // what the campaign's ${NAME}s may be: only names that the user allowed
	Allow    []string          // hosts, addresses or prefixes that the child may fire at
	Data     string            // folder of the campaign's files, the only one that the child reads; may be empty
	Capacity uint64            // what this machine can carry, in thousandths of a processor
	Version  string            // of flashcrowd: a coordinator of another one refuses it
	Dir      string            // for the child's log and files; empty means a temporary one

	// Clocks outlives the worker where its process joins again; nil makes new ones.
	Clocks *Clocks

	// Retire is closed when the worker is to go politely: others take its slots
	// over, its shoppers finish, and Run returns; at once where it has none yet. It
	// may be nil.
	Retire <-chan struct{}

	Wait   time.Duration // for a coordinator, at most; 0 means forever
	GiveUp time.Duration // without an answer, or a word from the child; 2 min
	Grace  time.Duration // for a child that was told to end; 5 s
	Log    *slog.Logger
}

// A Worker is one node of a fleet.
type Worker struct {
	Config
	identity membership.Identity
}

// New returns a worker with a fresh identity. It does nothing yet: see Run.
func New(c Config) (*Worker, error) {
	var faults []error
	if len(c.Exec) == 0 {
		faults = append(faults, errors.New("no program for the child"))
	}
	if len(c.Join) == 0 {
		faults = append(faults, errors.New("nobody to join"))
	}
	if len(c.Key) != membership.KeySize {
		faults = append(faults, fmt.Errorf("a cluster key of %d bytes, want %d", len(c.Key), membership.KeySize))
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("set up worker: %w", errors.Join(faults...))
	}
	c.GiveUp = cmp.Or(c.GiveUp, 2*time.Minute)
	c.Grace = cmp.Or(c.Grace, 5*time.Second)
	if c.Clocks == nil {
		c.Clocks = NewClocks()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	identity, err := membership.NewIdentity()
	if err != nil {
		return nil, fmt.Errorf("set up worker: %w", err)
	}
	return &Worker{c, identity}, nil
}

// Run joins the fleet and works for its coordinator until that says that
// everything has ended and the last snapshot is stored, or it leaves before it
// has a plan; then it returns nil.
// Any other end is an error, and says how the child ended where that is why.
// When ctx ends, the child is asked to end, its last snapshot is delivered, and
// Run returns the context's error. Run is called once.
func (w *Worker) Run(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("worker %s: %w", w.Name, err)
		}
	}()
	fleet, err := membership.Join(ctx, membership.Config{
		Identity: w.identity, Protocol: agents.Protocol, Role: membership.Worker, Name: w.Name,
		Bind: w.Bind, Seeds: w.Join, Key: w.Key, Log: w.Log,
	})
	if err != nil {
		return err
	}
	defer func() {
		if left := fleet.Leave(time.Second); left != nil {
			w.Log.Debug("leave", "err", left) // others will notice by themselves
		}
	}()
	coordinator, err := w.find(ctx, fleet)
	if err != nil {
		return unlessRetired(err)
	}
	client := newClient(w.identity, coordinator, w.Version)
	defer client.close()
	brief, err := w.fetch(ctx, client)
	if err != nil {
		return unlessRetired(err)
	}
	return w.work(ctx, fleet, client, brief)
}

// errRetired ends the wait of a worker that is to go: it has nothing to hand on.
var errRetired = errors.New("told to leave before there was anything to do")

func unlessRetired(err error) error {
	if errors.Is(err, errRetired) {
		return nil
	}
	return err
}

// find waits until gossip knows a coordinator, and tries the seeds each second
// until then. What keeps it waiting is said, once for each reason.
func (w *Worker) find(ctx context.Context, fleet *membership.Fleet) (membership.Member, error) {
	if w.Wait > 0 {
		limited, cancel := context.WithTimeoutCause(ctx, w.Wait, fmt.Errorf("no coordinator seen within %v", w.Wait))
		defer cancel()
		ctx = limited
	}
	again := time.NewTicker(time.Second)
	defer again.Stop()
	var last error
	said := ""
	for {
		if c, ok := fleet.Coordinator(); ok {
			return c, nil
		}
		select {
		case <-fleet.Events():
		case <-again.C:
			last = fleet.Seek(ctx)
			if errors.Is(last, membership.ErrProtocol) {
				return membership.Member{}, last
			}
			if last != nil && last.Error() != said {
				said = last.Error()
				w.Log.Info("waiting for a coordinator", "err", said)
			}
		case <-w.Retire:
			return membership.Member{}, errRetired
		case <-ctx.Done():
			return membership.Member{}, errors.Join(context.Cause(ctx), last)
		}
	}
}

// fetch asks for the plan until it has it.
func (w *Worker) fetch(ctx context.Context, c *client) (agents.Brief, error) {
	ctx, cancel := context.WithTimeout(ctx, w.GiveUp)
	defer cancel()
	for tries := 1; ; tries++ {
		brief, err := c.plan(ctx)
		var refused refusal
		if err == nil || errors.As(err, &refused) {
			return brief, err
		}
		w.Log.Debug("no plan yet", "err", err)
		select {
		case <-time.After(backoff(tries)):
		case <-w.Retire:
			return agents.Brief{}, errRetired
		case <-ctx.Done():
			return agents.Brief{}, err
		}
	}
}

// work runs the child and the relay until one of them is done.
func (w *Worker) work(ctx context.Context, fleet *membership.Fleet, client *client, brief agents.Brief) error {
	dir := w.Dir
	if dir == "" {
		temporary, err := os.MkdirTemp("", "flashcrowd-worker-")
		if err != nil {
			return fmt.Errorf("make a directory for the child: %w", err)
		}
		defer os.RemoveAll(temporary)
		dir = temporary
	}
	child, err := startChild(w.Exec, dir)
	if err != nil {
		return err
	}
	s := &session{
		client: client, child: child, log: w.Log,
		relay:  NewRelay(w.Name, w.Capacity, w.GiveUp, w.Grace, scenarios.Boottime(), w.Clocks),
		events: make(chan Event), poked: fleet.Poked(), retire: w.Retire, clocks: w.Clocks,
	}
	setup := link.Setup{Worker: w.identity.ID, Run: brief.Run, Plan: brief.Plan, Env: w.Env, Allow: w.Allow, Data: w.Data}
	return s.run(ctx, setup)
}
