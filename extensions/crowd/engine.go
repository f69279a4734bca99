package crowd

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// Config is what an engine needs. All of it is required but Pooled, Shared, Boot,
// Spread and Alone.
type Config struct {
	Plan      *scenarios.Plan
	Dialer    wire.Dialer
	Protocols Protocols
	Pooled    bool // shoppers share connections: see gateway
	Shared    bool // and at the same time, as HTTP/2 lets them: see trunks

	// Header returns the request head lines of a shopper who took these values
	// when it logged in; see wire.Request.
	Header func(s scenarios.Shopper, taken map[string]string) []byte

	// Emit takes each fact. It is called from many goroutines, may block, and
	// must not drop: a launch and the marks after it come in order.
	Emit func(results.Fact)

	// Boot reads the clock that leases are counted on; a scenarios.BootClock by
	// default. Each step asks it.
	Boot func() time.Duration

	// Spread is over how long shoppers whom the fleet made late are launched: the
	// length of a lease, 5 s by default.
	Spread time.Duration

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
	gateway  gateway
	trunks   trunks

	walkers walkers
	wake    chan struct{}  // something changed before the dispatcher's alarm
	steps   sync.WaitGroup // goroutines

	mu       sync.Mutex
	lease    Lease
	roster   *Roster
	thinking thinkers
	running  runners
	live     int             // launched and not ended
	vacated  time.Duration   // of a closed crowd: when there was room last where there had been none
	streams  int             // chat turns under way
	most     int             // of them, since somebody asked
	fire     context.Context // ends what dials when the lease does
	cease    context.CancelFunc
	resumed  time.Duration // when fire was resumed last
	held     bool          // the lease ran out, or has not come
	lapsed   time.Duration // when it ran out last
	ending   bool          // nothing is sent any more
}

// New returns an engine without a lease: it launches nothing until Lease says
// so.
func New(c Config) *Engine {
	if c.Boot == nil {
		c.Boot = scenarios.NewBootClock().Now
	}
	c.Spread = cmp.Or(c.Spread, 5*time.Second)
	e := &Engine{
		Config:  c,
		wake:    make(chan struct{}, 1),
		walkers: walkers{next: make(chan *Shopper)},
		roster:  NewRoster(c.Plan, c.Spread),
		held:    true,
	}
	e.roster.atOnce = c.Plan.Campaign.Crowd.AtOnce
	return e
}

// Lease replaces the engine's lease. A deadline or a stop never shrinks, and
// spans of a version already known are kept. It may be called from any
// goroutine.
func (e *Engine) Lease(l Lease) {
	e.mu.Lock()
	known := e.lease.Version
	e.mu.Unlock()
	var drawn Drawn
	if l.Version > known { // outside the lock: launches go on meanwhile
		drawn = Draw(e.Plan, l.Version, known, l.Spans)
	}

	e.mu.Lock()
	defer e.mu.Unlock()
	if l.Stop < e.lease.Stop {
		l.Stop, l.Why = e.lease.Stop, e.lease.Why
	}
	l.Deadline = max(l.Deadline, e.lease.Deadline)
	if !l.Started {
		l.Started, l.Clock = e.lease.Started, e.lease.Clock
	}
	l.Version = max(l.Version, e.lease.Version)
	was, now := e.full(), e.Boot()
	e.roster.Take(drawn, now-l.Clock.Zero)
	if was && !e.full() { // more places
		e.vacated = now
	}
	l.Spans = nil
	e.lease = l
	e.alarm()
}

// Streams returns how many chat turns were under way at once, at most, since it
// was asked last.
func (e *Engine) Streams() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	most := e.most
	e.most = e.streams
	return most
}

// Run runs the crowd until it is told Done, until nothing is left when Alone,
// or until ctx ends, which cancels what is in flight. It returns when every
// shopper's goroutine has, so that no fact comes after it.
func (e *Engine) Run(ctx context.Context) error {
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	defer e.gateway.close()
	defer e.trunks.close()
	defer e.steps.Wait()
	defer close(e.walkers.next)
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
		// Without spans it can't speak for any arrival; and who is told to leave at
		// once has not launched what others may.
		if e.lease.Version > 0 && (stop == scenarios.Drain || stop == scenarios.Cut) {
			e.roster.Abandon(e.lease.Why)
		}
		news := e.roster.News()
		e.mu.Unlock()
		if news {
			e.mark()
		}
		if stop >= scenarios.Cut {
			e.end()
		}

		e.mu.Lock()
		if e.roster.News() { // spans came in between: a mark goes before what they bring
			e.mu.Unlock()
			continue
		}
		next, some := e.roster.When()
		left := e.live > 0 || some
		if !left && (e.lease.Stop == scenarios.Done || e.Alone && e.lease.Version > 0) {
			e.mu.Unlock()
			return 0, true
		}
		if e.held {
			e.mu.Unlock()
			return now + time.Hour, false // a lease wakes the dispatcher
		}

		due = e.lease.Deadline
		if e.lease.Started && !e.full() { // whoever leaves a full shop wakes the dispatcher
			clock := e.lease.Clock
			if d, ok := e.roster.Next(now - clock.Zero); ok {
				e.live++
				vacated := e.vacated
				e.mu.Unlock()
				e.launch(d, clock, vacated)
				continue
			}
			if some {
				due = min(due, next+clock.Zero)
			}
		}
		if s, ok := e.thinking.take(now); ok {
			e.mu.Unlock()
			e.start(s)
			continue
		}
		if len(e.thinking) > 0 {
			due = min(due, e.thinking[0].due)
		}
		e.mu.Unlock()
		return due, false
	}
}

// full says that somebody of a closed crowd has to leave before another can
// come in; e.mu is held.
func (e *Engine) full() bool {
	places := e.roster.Places()
	return places > 0 && e.live >= places
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
		e.held, e.lapsed = true, min(e.Boot(), e.lease.Deadline)
		e.cease()
		for _, s := range e.running {
			s.cancel()
		}
	case !lapsed && (e.held || e.fire == nil) && !e.ending:
		if e.fire != nil && e.lease.Started {
			e.resume()
		}
		e.held = false
		e.fire, e.cease = context.WithCancel(context.Background())
	}
}

// resume goes on after a lease that had run out: what was due meanwhile, the
// fleet has made late. It is spread, or all of it would be sent at once. e.mu is
// held.
func (e *Engine) resume() {
	now := e.Boot()
	e.resumed = now
	e.roster.Resume(e.lapsed-e.lease.Clock.Zero, now-e.lease.Clock.Zero)
	var late []*Shopper
	for s, ok := e.thinking.take(now - 1); ok; s, ok = e.thinking.take(now - 1) {
		late = append(late, s)
	}
	for i, s := range late {
		s.delay(now + e.Spread*time.Duration(i)/time.Duration(len(late)))
		e.thinking.add(s)
	}
}

// end cancels what is in flight and ends whoever thinks. It is idempotent.
func (e *Engine) end() {
	e.mu.Lock()
	e.ending, e.held = true, true
	if e.cease != nil {
		e.cease()
	}
	for _, s := range e.running {
		s.cancel()
	}
	idle := e.thinking
	e.thinking = nil
	e.mu.Unlock()
	for _, t := range idle {
		e.leave(t.s, true)
	}
}

// mark tells how far the roster is. The dispatcher alone launches, so every
// launch before the frontier has been emitted when it does.
func (e *Engine) mark() {
	e.mu.Lock()
	m := e.roster.Mark()
	e.mu.Unlock()
	e.Emit(m)
}

// alarm makes the dispatcher look again.
func (e *Engine) alarm() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}
