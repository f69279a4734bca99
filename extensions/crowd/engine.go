package crowd

import (
	"context"
	"sync"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// Config is what an engine needs. All of it is required but Boot and Alone.
type Config struct {
	Plan      *scenarios.Plan
	Dialer    wire.Dialer
	Protocols Protocols

	// Header returns the request head lines of a shopper who took these values
	// when it logged in; see wire.Request.
	Header func(s scenarios.Shopper, taken map[string]string) []byte

	// Emit takes each fact. It is called from many goroutines, may block, and
	// must not drop: a launch and the marks after it come in order.
	Emit func(results.Fact)

	// Boot reads the clock that leases are counted on; scenarios.Boottime by
	// default.
	Boot func() time.Duration

	// Alone makes Run return when nothing is left to do. In a fleet it waits to
	// be told, because more spans may come.
	Alone bool
}

// A Lease is the right to launch the arrivals of the spans until a deadline.
type Lease struct {
	Version  uint64           // of the spans; those of a version already known are not looked at
	Spans    []scenarios.Span // the whole of what is owned
	Deadline time.Duration    // on the engine's clock
	Started  bool             // Clock is set
	Clock    scenarios.Clock
	Stop     scenarios.Stop
	Why      string // of the stop: the reason that never-started shoppers carry
}

// markEvery is how often the frontier is told when nobody arrives.
const markEvery = 100 * time.Millisecond

// An Engine runs the crowd, or the part of it that its leases name.
type Engine struct {
	Config
	evidence evidence

	wake  chan struct{} // something changed before the dispatcher's alarm
	steps sync.WaitGroup

	mu       sync.Mutex
	lease    Lease
	schedule schedule
	last     scenarios.Arrival // the one launched last
	frontier scenarios.Mark
	thinking thinkers
	running  map[*Shopper]struct{}
	live     int             // launched and not ended
	fire     context.Context // ends what dials when the lease does
	cease    context.CancelFunc
	held     bool // the lease ran out, or has not come
	ending   bool // nothing is sent any more
}

// New returns an engine without a lease: it launches nothing until Lease says
// so.
func New(c Config) *Engine {
	if c.Boot == nil {
		c.Boot = scenarios.Boottime
	}
	return &Engine{
		Config:  c,
		wake:    make(chan struct{}, 1),
		running: make(map[*Shopper]struct{}),
		held:    true,
		last:    scenarios.Arrival{At: -1},
	}
}

// Lease replaces the engine's lease. A deadline or a stop never shrinks, and
// spans of a version already known are kept. It may be called from any
// goroutine.
func (e *Engine) Lease(l Lease) {
	e.mu.Lock()
	known, from := e.lease.Version, e.frontier
	e.mu.Unlock()
	fresh := l.Version > known
	var s schedule
	if fresh { // drawn outside the lock: launches go on meanwhile
		s = newSchedule(e.Plan, l.Spans, from)
	}

	e.mu.Lock()
	defer e.mu.Unlock()
	if fresh && l.Version > e.lease.Version {
		s.forward(e.last, e.frontier)
		e.schedule = s
	} else {
		l.Version = e.lease.Version
	}
	if l.Stop < e.lease.Stop {
		l.Stop, l.Why = e.lease.Stop, e.lease.Why
	}
	l.Deadline = max(l.Deadline, e.lease.Deadline)
	if !l.Started {
		l.Started, l.Clock = e.lease.Started, e.lease.Clock
	}
	l.Spans = nil
	e.lease = l
	e.alarm()
}

// Run runs the crowd until it is told Done, until nothing is left when Alone,
// or until ctx ends, which cancels what is in flight. It returns when every
// shopper's goroutine has, so that no fact comes after it.
func (e *Engine) Run(ctx context.Context) error {
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	defer e.steps.Wait()
	e.steps.Add(1)
	over := make(chan struct{})
	defer close(over)
	go e.watch(over)
	marked := time.Duration(0)
	for {
		if ctx.Err() != nil {
			e.end()
			e.mark()
			return context.Cause(ctx)
		}
		due, done := e.dispatch()
		now := e.Boot()
		if done || now-marked >= markEvery {
			e.mark()
			marked = now
		}
		if done {
			return nil
		}
		alarm.Reset(min(due, marked+markEvery) - now)
		select {
		case <-ctx.Done():
		case <-e.wake:
		case <-alarm.C:
		}
	}
}

// dispatch launches and resumes what is due and says when to look again.
func (e *Engine) dispatch() (due time.Duration, done bool) {
	for {
		e.mu.Lock()
		now := e.Boot()
		e.hold(now >= e.lease.Deadline)
		stop := e.lease.Stop
		skips := e.abandon()
		e.mu.Unlock()
		if len(skips) > 0 {
			e.Emit(results.Mark{Frontier: e.Plan.Duration() + 1, Skips: skips})
		}
		if stop >= scenarios.Cut {
			e.end()
		}

		e.mu.Lock()
		left := e.live > 0 || e.schedule.next < len(e.schedule.arrivals)
		if !left && (e.lease.Stop == scenarios.Done || e.Alone && e.lease.Version > 0) {
			e.mu.Unlock()
			return 0, true
		}
		if e.held {
			e.mu.Unlock()
			return now + time.Hour, false // a lease wakes the dispatcher
		}

		at := now - e.lease.Clock.Zero
		due = e.lease.Deadline
		arrival, some := e.schedule.peek()
		if some = some && e.lease.Started; some {
			due = min(due, arrival.At+e.lease.Clock.Zero)
		}
		if some && arrival.At <= at {
			e.schedule.next++
			e.last = arrival
			e.live++
			clock := e.lease.Clock
			e.mu.Unlock()
			e.launch(arrival, clock)
			continue
		}
		if e.lease.Started { // everything up to this instant has been launched
			e.frontier = max(e.frontier, at+1)
		}
		if s, ok := e.thinking.take(now); ok {
			e.mu.Unlock()
			e.steps.Add(1)
			go e.walk(s)
			continue
		}
		if len(e.thinking) > 0 {
			due = min(due, e.thinking[0].due)
		}
		e.mu.Unlock()
		return due, false
	}
}

// watchEvery is how late the end of a lease may be noticed when the dispatcher
// is held up, because whoever takes the facts is slow.
const watchEvery = 50 * time.Millisecond

// watch ends fire with the lease, whatever the dispatcher is doing.
func (e *Engine) watch(over <-chan struct{}) {
	defer e.steps.Done()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
			e.mu.Lock()
			e.hold(e.Boot() >= e.lease.Deadline)
			e.mu.Unlock()
		}
	}
}

// mayFire says whether the lease holds at this moment. An engine that never had
// one is somebody's who watches a single shopper: see Try.
func (e *Engine) mayFire() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lease.Version == 0 || !e.held && e.Boot() < e.lease.Deadline
}

// hold stops or resumes fire; e.mu is held.
func (e *Engine) hold(lapsed bool) {
	switch {
	case lapsed && !e.held:
		e.held = true
		e.cease()
		for s := range e.running {
			s.cancel()
		}
	case !lapsed && (e.held || e.fire == nil) && !e.ending:
		e.held = false
		e.fire, e.cease = context.WithCancel(context.Background())
	}
}

// abandon empties the schedule of an engine that was told to stop and returns
// what was in it, to be counted as never started; e.mu is held.
func (e *Engine) abandon() []results.Skip {
	if e.lease.Stop < scenarios.Drain || e.lease.Version == 0 {
		return nil // without spans it can't speak for any arrival
	}
	e.frontier = e.Plan.Duration() + 1
	return e.schedule.abandon(e.Plan, e.lease.Why)
}

// end cancels what is in flight and ends whoever thinks. It is idempotent.
func (e *Engine) end() {
	e.mu.Lock()
	e.ending, e.held = true, true
	if e.cease != nil {
		e.cease()
	}
	for s := range e.running {
		s.cancel()
	}
	idle := e.thinking
	e.thinking = nil
	e.mu.Unlock()
	for _, s := range idle {
		e.leave(s, true)
	}
}

// mark tells the frontier. The dispatcher alone launches, so every launch
// before the frontier has been emitted when it does.
func (e *Engine) mark() {
	e.mu.Lock()
	f := e.frontier
	e.mu.Unlock()
	e.Emit(results.Mark{Frontier: f})
}

// alarm makes the dispatcher look again.
func (e *Engine) alarm() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}
