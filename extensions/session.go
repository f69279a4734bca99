package extensions

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/link"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// errWorkerGone ends the fire of a child whose worker is no more.
var errWorkerGone = errors.New("the worker is gone")

// session is this process's tie to its worker: what it was told, and when it
// cut what. A process has at most one, shared by module and output.
type session struct {
	opening sync.Once
	err     error
	link    *link.Conn
	setup   link.Setup
	hurry   chan struct{} // asks the reporter for a cut at once
	ready   chan struct{} // closed when the engine is built: from then on it may report
	streams func() int    // see crowd.Engine; set by then

	mu    sync.Mutex
	cuts  map[uint64]time.Duration // when each unanswered snapshot was cut
	clock scenarios.Clock
	began bool  // clock is set
	fault error // why the crowd did not run to its end
}

func newSession() *session {
	return &session{hurry: make(chan struct{}, 1), ready: make(chan struct{}), cuts: make(map[uint64]time.Duration)}
}

// open meets the worker, once. It returns link.ErrNoLink in a process that no
// worker started.
func (s *session) open() error {
	s.opening.Do(func() {
		if s.link, s.err = link.Child(); s.err != nil {
			return
		}
		frame, err := s.link.Receive()
		if err != nil {
			s.err = fmt.Errorf("read the setup from the worker: %w", err)
			return
		}
		setup, ok := frame.(link.Setup)
		if !ok {
			s.err = fmt.Errorf("read the setup from the worker: got a %T", frame)
			return
		}
		s.setup = setup
	})
	return s.err
}

// fail tells the worker why this child can't go on. What it cuts from then on
// is not the end of a crowd.
func (s *session) fail(err error) {
	s.mu.Lock()
	s.fault = err
	s.mu.Unlock()
	s.link.Send(link.Fault{Text: err.Error()}) // a worker that is gone need not know
}

// failed returns what fail was told.
func (s *session) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

// follow hands the worker's leases to the engine until the link ends, and then
// ends the engine: no worker, no load.
func (s *session) follow(e *crowd.Engine, end context.CancelCauseFunc) {
	stop := scenarios.Go
	for {
		frame, err := s.link.Receive()
		if err != nil {
			end(errWorkerGone)
			return
		}
		l, ok := frame.(link.Lease)
		if !ok {
			if _, ok := frame.(link.Hurry); ok {
				s.cutSoon()
			}
			continue // a newer worker may say more than this child understands
		}
		e.Lease(s.lease(l))
		if l.Stop > stop {
			stop = l.Stop
			s.cutSoon()
		}
	}
}

// cutSoon asks the reporter for a cut at once.
func (s *session) cutSoon() {
	select {
	case s.hurry <- struct{}{}:
	default:
	}
}

// lease turns the worker's words into the engine's: the length counts from
// this child's own cut of the snapshot that was answered. A frame that answers
// no cut of ours grants nothing; its stop counts all the same.
func (s *session) lease(l link.Lease) crowd.Lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	granted := crowd.Lease{
		Version: l.Version, Spans: l.Spans,
		Started: l.Started, Clock: scenarios.Clock{Zero: l.Zero},
		Stop: l.Stop, Why: l.Why,
	}
	if l.Started {
		s.clock, s.began = granted.Clock, true
	}
	if cut, ok := s.cuts[l.Answers]; ok && l.Length > 0 {
		granted.Deadline = cut + l.Length
	}
	for seq := range s.cuts {
		if seq < l.Answers {
			delete(s.cuts, seq)
		}
	}
	return granted
}

// noteCut remembers when a snapshot was cut.
func (s *session) noteCut(seq uint64, at time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cuts[seq] = at
}

// planTime returns where plan time stands; before the start moment is known it
// is one second before any.
func (s *session) planTime(now time.Duration) scenarios.Mark {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.began {
		return -time.Second
	}
	return now - s.clock.Zero
}
