// Package coordinator leads one run: it waits for its workers, shares the slots
// out, answers each exchange after what it brought is on disk, merges the
// snapshots, and brings the run to its end.
//
// The decisions are in a pure state machine (machine.go); the rest of the
// package is what is around it: gossip, HTTPS, the store and the clock.
package coordinator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/agents/membership"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/verdict"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// A Store keeps what must survive the coordinator. When a call returns nil, it is
// on disk.
type Store interface {
	// Commit stores snapshots, all or none. A sequence that is stored already
	// with other bytes is an error.
	Commit(all ...results.Delivery) error
	// Save stores the lease state.
	Save(state []byte) error
	// SetApart keeps a snapshot of an ended worker in no figure, and says whether
	// it did: once, and not beyond bounds.
	SetApart(results.Delivery) (kept bool, err error)
	// Barred stores what was not let in: all of it, each time.
	Barred(all []results.Barred) error
}

// Notes keep what only the coordinator knows of a run.
type Notes interface {
	Started(at time.Time) error
	Worker(id string, n results.WorkerNote) error
	Skips(all []results.Skip) error // all of them, each time
	Stop(why string) error
}

// A Past is what a coordinator that led the run before has left.
type Past interface {
	State() ([]byte, error) // as saved last
	Snapshots() iter.Seq2[results.Snapshot, error]
	Merger() (*results.Merger, error)
	Begun() (time.Time, error)
}

// Config says which run to lead, and how. Times that are 0 take the default.
type Config struct {
	About results.About // Started is set when it is known
	Plan  *scenarios.Plan
	Rules []verdict.Threshold // those with AbortOnFail are watched
	Store Store
	Notes Notes
	Past  Past // of a run that is resumed; else nil

	Workers int           // to wait for; at least 1
	Least   int           // to start with when Wait is over; 0 means Workers
	Wait    time.Duration // for them, at most; 1 min
	Version string        // of flashcrowd, for whoever asks
	Name    string        // in gossip
	Key     []byte        // the cluster key, membership.KeySize bytes
	Gossip  string        // host:port to listen on, TCP and UDP; port 0 takes a free one
	API     string        // host:port to listen on for workers' HTTPS; likewise

	Lease    time.Duration // agents.LeaseLength
	Lead     time.Duration // from the assignment to the start moment; 1.5 s
	Notice   time.Duration // from taking a slot from its owner to the moment it changes hands; 2 s
	Patience time.Duration // how long a drain may take before it is cut; 30 s
	Tail     time.Duration // how long shoppers may be in flight after the plan's end; 5 min, and 31 days of a closed crowd, which takes as long as the backend does

	Listening func(join string) // told once where workers can join; may be nil
	Gathering func(g Gathering) // told when that changes, and every 10 s; may be nil
	Log       *slog.Logger
}

// Gathering is how far a fleet is that waits for workers.
type Gathering struct {
	Ready, Want int
	Missing     string        // who, as far as gossip knows: "; joined and then silent: …"
	Left        time.Duration // until it starts with fewer or gives up
}

// sayEvery is how often whoever waits is told that nothing has changed.
const sayEvery = 10 * time.Second

// A Coordinator leads one run.
type Coordinator struct {
	Config
	identity  membership.Identity
	brief     []byte
	done      chan struct{} // closed when the run is over
	clock     func() time.Duration
	tally     membership.Tally
	disk      chan struct{} // full while exchanges are stored
	committed time.Time     // when they were last; whoever fills disk has it

	mu      sync.Mutex // of everything below
	machine *Machine
	resumed []Action  // what a resumed machine wants done first
	unsaved error     // the lease state could not be stored: nothing goes on before it is
	waiting []batch   // for that
	unkept  error     // why the last exchange that was to be stored was not
	queue   []*parcel // exchanges to be stored
	fleet   *membership.Fleet
	merger  *results.Merger
	gossip  string // where we listen
	api     string
	started time.Time
	seen    map[string]bool // workers that were members when they first came
	ready   int             // workers, as was said last
	said    time.Duration   // and when
	beats   map[string]beat
	skips   []results.Skip    // of the coordinator's own
	before  map[string]uint64 // refused by the coordinator that led before this one
	outside map[string]uint64 // refused by gossip
	noted   []results.Barred
	faults  []error // what went wrong and did not stop the run
	failure error
}

// New returns the coordinator of a run. It does nothing yet: see Run.
func New(c Config) (*Coordinator, error) {
	var faults []error
	if c.Plan == nil || c.Store == nil || c.Notes == nil {
		faults = append(faults, errors.New("a plan, books and notes are needed"))
	}
	if c.Workers < 1 {
		faults = append(faults, fmt.Errorf("%d workers, want at least 1", c.Workers))
	}
	if len(c.Key) != membership.KeySize {
		faults = append(faults, fmt.Errorf("a cluster key of %d bytes, want %d", len(c.Key), membership.KeySize))
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("set up coordinator: %w", errors.Join(faults...))
	}
	c.Wait = cmp.Or(c.Wait, time.Minute)
	c.Lease = cmp.Or(c.Lease, agents.LeaseLength)
	c.Lead = cmp.Or(c.Lead, 1500*time.Millisecond)
	c.Notice = cmp.Or(c.Notice, 2*time.Second)
	c.Patience = cmp.Or(c.Patience, 30*time.Second)
	if c.Plan.Campaign.Crowd.AtOnce > 0 {
		c.Tail = cmp.Or(c.Tail, 31*24*time.Hour)
	}
	c.Tail = cmp.Or(c.Tail, 5*time.Minute)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	identity, err := membership.NewIdentity()
	if err != nil {
		return nil, fmt.Errorf("set up coordinator: %w", err)
	}
	brief, err := agents.Brief{Run: c.About.ID, Plan: c.Plan.Encode()}.Encode()
	if err != nil {
		return nil, fmt.Errorf("set up coordinator: %w", err)
	}
	co := &Coordinator{
		Config: c, identity: identity, brief: brief,
		done: make(chan struct{}), disk: make(chan struct{}, 1), clock: scenarios.Boottime,
		merger: results.NewMerger(c.About), seen: map[string]bool{}, beats: map[string]beat{},
	}
	rules := Rules{
		Workers: c.Workers, Least: c.Least, Wait: c.Wait, StartDelay: c.Lead, Notice: c.Notice, Lease: c.Lease,
		Patience: c.Patience, Tail: c.Tail, End: c.Plan.Duration(),
		Closed: c.Plan.Campaign.Crowd.AtOnce > 0, Clock: c.Plan.Campaign.Validity.Clock,
	}
	if c.Past != nil {
		if err := co.recall(rules); err != nil {
			return nil, fmt.Errorf("resume run %s: %w", c.About.ID, err)
		}
		return co, nil
	}
	co.machine = NewMachine(rules, co.clock())
	return co, nil
}

// Run leads the run: it listens, joins gossip, and returns when every worker
// has left or was lost; View then has all of it. An error means that there was
// no run, or that something of it could not be kept. When ctx ends, Run
// abandons the workers, whose leases run out; the polite way is Stop. Run is
// called once.
func (c *Coordinator) Run(ctx context.Context) (err error) {
	listener, err := net.Listen("tcp", c.API)
	if err != nil {
		return fmt.Errorf("run coordinator: %w", err)
	}
	server := c.server()
	served := make(chan error, 1)
	go func() { served <- server.ServeTLS(listener, "", "") }()
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(closing) != nil { // whoever is being answered gets it
			server.Close()
		}
		<-served
		err = errors.Join(err, c.noteBarred())
	}()

	fleet, err := membership.Join(ctx, membership.Config{
		Identity: c.identity, Protocol: agents.Protocol, Role: membership.Coordinator, Name: c.Name, API: listener.Addr().String(),
		Bind: c.Gossip, Key: c.Key, Log: c.Log,
	})
	if err != nil {
		return fmt.Errorf("run coordinator: %w", err)
	}
	defer func() { err = errors.Join(err, c.leave(fleet)) }()
	c.mu.Lock()
	c.fleet = fleet
	c.gossip, c.api = fleet.Addr(), listener.Addr().String()
	c.machine.since = c.clock()
	c.perform(c.resumed, nil)
	c.mu.Unlock()
	if c.Listening != nil {
		c.Listening(fleet.Addr())
	}
	if err := c.lead(ctx, fleet, served); err != nil {
		return fmt.Errorf("run coordinator: %w", err)
	}
	c.linger(ctx, fleet)
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(append(c.faults, c.failure)...)
}

// lead ticks until the run is over.
func (c *Coordinator) lead(ctx context.Context, fleet *membership.Fleet, served chan error) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	watch := time.NewTicker(time.Second)
	defer watch.Stop()
	note := time.NewTicker(10 * time.Second)
	defer note.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-served:
			served <- err // Run waits for it too
			return fmt.Errorf("serve workers: %w", err)
		case <-c.done:
			return nil
		case <-tick.C:
			c.tick(fleet.Members())
		case <-watch.C:
			c.watch()
		case <-note.C:
			if err := c.noteBarred(); err != nil {
				c.Log.Error("what was not let in is not noted", "err", err) // they are noted again at the end
			}
		}
	}
}

// tick lets time pass, and tells whoever waits for the start how far it is.
func (c *Coordinator) tick(members []membership.Member) {
	c.mu.Lock()
	c.do(Ticked{c.clock(), members})
	var news *Gathering
	if m, now := c.machine, c.clock(); m.phase == gathering && c.Gathering != nil {
		ready := len(m.ready())
		if c.said == 0 || ready != c.ready || now >= c.said+sayEvery {
			c.ready, c.said = ready, now
			news = &Gathering{Ready: ready, Want: c.Workers, Missing: m.missing(), Left: max(m.since+m.Wait-now, 0)}
		}
	}
	c.mu.Unlock()
	if news != nil {
		c.Gathering(*news)
	}
}

// known says whether id is, or was, a member of this fleet: gossip lets in, but
// it does not end a lease.
func (c *Coordinator) known(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen[id] {
		return true
	}
	if c.fleet != nil {
		if m, ok := c.fleet.Member(id); ok && m.Role != membership.Coordinator {
			c.seen[id] = true
			c.tally.Forgive(barredStranger, id) // it was faster than gossip
			return true
		}
	}
	c.tally.Once(barredStranger, id)
	return false
}

// watch stops the run when it has passed a limit of the campaign, or when a
// threshold that may abort it is broken.
func (c *Coordinator) watch() {
	c.mu.Lock()
	elapsed, running := c.clock()-c.machine.zero, c.machine.started && c.machine.stop == scenarios.Go
	c.mu.Unlock()
	if !running || elapsed <= 0 {
		return
	}
	if why := c.passed(); why != "" {
		c.Stop(scenarios.Cut, why)
		return
	}
	var run *results.Run
	for _, rule := range c.Rules {
		if !rule.AbortOnFail || elapsed < rule.DelayAbortEval {
			continue
		}
		if run == nil {
			run = c.View()
		}
		if rule.Aborts(run, elapsed) {
			c.Stop(scenarios.Cut, rule.StopReason())
			return
		}
	}
}

// Stop ends the load: Drain lets shoppers in flight finish, Cut cancels them.
// It is sticky and only ever grows; the first reason stands. Run returns when
// the workers have left.
func (c *Coordinator) Stop(kind scenarios.Stop, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.do(Stopped{c.clock(), kind, why})
}

// View returns the run as merged so far.
func (c *Coordinator) View() *results.Run {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.merger.Bar(c.barred())
	run := c.merger.Run()
	run.Started = c.started
	return run
}

// Elapsed returns the plan time; negative before the start, and false while
// the start moment is not set.
func (c *Coordinator) Elapsed() (scenarios.Mark, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clock() - c.machine.zero, c.machine.started
}

// linger keeps answering until the workers have left gossip, so that a worker
// whose last answer was lost can ask again. Nobody waits for those that were
// lost.
func (c *Coordinator) linger(ctx context.Context, fleet *membership.Fleet) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for slices.ContainsFunc(fleet.Members(), c.expected) {
		select {
		case <-fleet.Events():
		case <-ctx.Done():
			return
		}
	}
}

func (c *Coordinator) expected(m membership.Member) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.machine.nodes[m.ID]
	return n != nil && !n.Gone
}

// poke asks a worker to exchange at once. It is no more than a hint: whoever
// does not get it exchanges within a second.
func (c *Coordinator) poke(id string) {
	if c.fleet != nil {
		c.fleet.Poke(id)
	}
}

func (c *Coordinator) leave(fleet *membership.Fleet) error {
	c.mu.Lock()
	c.outside = fleet.Barred()
	c.fleet = nil
	c.mu.Unlock()
	if err := fleet.Leave(time.Second); err != nil {
		c.Log.Debug("leave", "err", err) // others will notice by themselves
	}
	return nil
}
