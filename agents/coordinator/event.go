package coordinator

import (
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/agents/membership"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// An Event is something that reached the coordinator, with its moment on the
// boot clock.
type Event interface{ isEvent() }

type (
	// Exchanged: a worker has PUT a snapshot, which is decoded and its own.
	Exchanged struct {
		At       time.Duration
		ID       string
		Name     string
		Seq      uint64
		Have     uint64 // version of the spans that its child was told
		Capacity uint64
		Leaving  bool
		Clocks   results.Clocks
		Digest   Digest
		Facts    Facts
	}
	// Stored: the commit that the worker's exchange asked for is on disk.
	Stored struct {
		At time.Duration
		ID string
	}
	// Unstored: it is not, and the worker will send it again.
	Unstored struct{ ID string }
	// Stopped: somebody wants the load to end.
	Stopped struct {
		At   time.Duration
		Kind scenarios.Stop
		Why  string
	}
	// Ticked: time has passed. These members are known to gossip.
	Ticked struct {
		At    time.Duration
		Known []membership.Member
	}
)

func (Exchanged) isEvent() {}
func (Stored) isEvent()    {}
func (Unstored) isEvent()  {}
func (Stopped) isEvent()   {}
func (Ticked) isEvent()    {}

// Facts are what an exchange changes in a worker's record.
type Facts struct {
	Frontier scenarios.Mark
	Launched uint64
	Ended    uint64
	Final    bool
	Fate     string
	Grant    uint64
	Applied  []results.Applied
	Holes    []results.Hole
}

// FactsOf returns what a snapshot tells the coordinator.
func FactsOf(s results.Snapshot) Facts {
	return Facts{
		Frontier: s.Frontier, Launched: s.Launched, Ended: s.Ended, Final: s.Final,
		Grant: s.Grant, Applied: s.Applied, Holes: s.Holes,
	}
}

// An Action is something that the machine wants done.
type Action interface{ isAction() }

type (
	// Commit puts the exchange that a worker has just sent on disk. Then comes
	// Stored or Unstored.
	Commit struct{ ID string }
	// Save puts the lease state on disk before what follows is done.
	Save struct{ Leases Leases }
	// Merge adds the exchange that was just stored to the run.
	Merge struct{ ID string }
	// Apart keeps the exchange of an ended worker, away from the run.
	Apart struct{ ID string }
	// Answer ends an exchange, with a lease or an error that says why not.
	Answer struct {
		ID    string
		Lease agents.Lease
		Err   error
	}
	// Poke asks a worker to exchange at once: its next answer has news.
	Poke struct{ ID string }
	// Begin says when plan time 0 is.
	Begin struct{ Zero time.Duration }
	// Note tells the run what is known of a worker.
	Note struct {
		ID   string
		Note results.WorkerNote
	}
	// Lost counts the arrivals in spans as never started.
	Lost struct {
		Spans []scenarios.Span
		Why   string
	}
	// Halt tells the run why its load ends before its plan did.
	Halt struct{ Why string }
	// Finish ends the run.
	Finish struct{ Err error }
)

func (Commit) isAction() {}
func (Save) isAction()   {}
func (Merge) isAction()  {}
func (Apart) isAction()  {}
func (Answer) isAction() {}
func (Poke) isAction()   {}
func (Begin) isAction()  {}
func (Note) isAction()   {}
func (Lost) isAction()   {}
func (Halt) isAction()   {}
func (Finish) isAction() {}
