package coordinator

import (
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/agents/membership"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// An event is something that reached the coordinator, with its moment on the
// boot clock.
type event interface{ isEvent() }

type (
	// exchanged: a worker has PUT a snapshot, which is decoded and its own.
	exchanged struct {
		at     time.Duration
		id     string
		name   string
		seq    uint64
		have   uint64
		digest digest
		facts  facts
	}
	// stored: the commit that the worker's exchange asked for is on disk.
	stored struct {
		at time.Duration
		id string
	}
	// unstored: it is not, and the worker will send it again.
	unstored struct{ id string }
	// stopped: somebody wants the load to end.
	stopped struct {
		at   time.Duration
		kind scenarios.Stop
		why  string
	}
	// ticked: time has passed. These members are known to gossip.
	ticked struct {
		at    time.Duration
		known []membership.Member
	}
)

func (exchanged) isEvent() {}
func (stored) isEvent()    {}
func (unstored) isEvent()  {}
func (stopped) isEvent()   {}
func (ticked) isEvent()    {}

// An action is something that the state wants done.
type action interface{ isAction() }

type (
	// commit puts the exchange that a worker has just sent on disk. Then comes
	// stored or unstored.
	commit struct{ id string }
	// save puts the lease state on disk before what follows is done.
	save struct{ leases leases }
	// merge adds the exchange that was just stored to the run.
	merge struct{ id string }
	// answer ends an exchange, with a lease or an error that says why not.
	answer struct {
		id    string
		lease agents.Lease
		err   error
	}
	// begin says when plan time 0 is.
	begin struct{ zero time.Duration }
	// note tells the run what is known of a worker.
	note struct {
		id, name, fate string
		slots          int
	}
	// lost counts the arrivals in spans from a moment on as never started.
	lost struct {
		spans []scenarios.Span
		from  scenarios.Mark
		why   string
	}
	// halt tells the run why its load ends before its plan did.
	halt struct{ why string }
	// finish ends the run.
	finish struct{ err error }
)

func (commit) isAction() {}
func (save) isAction()   {}
func (merge) isAction()  {}
func (answer) isAction() {}
func (begin) isAction()  {}
func (note) isAction()   {}
func (lost) isAction()   {}
func (halt) isAction()   {}
func (finish) isAction() {}
