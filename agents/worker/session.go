package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/extensions/link"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// session runs one child: a goroutine reads it, a goroutine for each exchange
// waits for the answer, and the relay's events come together in one loop.
type session struct {
	client *client
	child  *child
	relay  *Relay
	log    *slog.Logger
	events chan Event
	clocks *Clocks
	poked  <-chan struct{} // the coordinator has news
	retire <-chan struct{} // closed when the worker is to go politely; may be nil
}

// run returns when the relay quits and everything it started has ended. The
// child has ended then too, by itself or killed.
func (s *session) run(ctx context.Context, setup link.Setup) error {
	// What is under way outlives ctx: a worker that is asked to leave still
	// delivers. alive ends when the relay quits.
	alive, quit := context.WithCancel(context.WithoutCancel(ctx))
	var tasks sync.WaitGroup
	tasks.Go(func() {
		err := s.child.run(alive, func(snap link.Snapshot) {
			s.tell(alive, Snapped{scenarios.Boottime(), snap})
		})
		s.tell(alive, Exited{scenarios.Boottime(), err})
	})
	tasks.Go(func() {
		if err := s.child.link.Send(setup); err != nil {
			s.log.Debug("send setup", "err", err) // the child is gone: exited says how
		}
	})
	err := s.loop(ctx, alive, &tasks)
	if err == nil {
		err = s.dismiss()
	}
	quit()
	tasks.Wait()
	return err
}

func (s *session) loop(ctx, alive context.Context, tasks *sync.WaitGroup) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	asked, resign := ctx.Done(), s.retire
	for {
		var e Event
		select {
		case e = <-s.events:
		case <-tick.C:
			e = Ticked{scenarios.Boottime()}
		case <-s.poked:
			e = Poked{}
		case <-resign:
			resign = nil
			e = Resigned{scenarios.Boottime()}
		case <-asked:
			asked = nil
			e = Left{scenarios.Boottime()}
		}
		s.clocks.Look()
		for _, a := range s.relay.Step(e) {
			switch a := a.(type) {
			case Put:
				tasks.Go(func() { s.tell(alive, s.exchange(alive, a.Exchange)) })
			case Grant:
				if err := s.child.link.Send(a.Lease); err != nil {
					s.log.Debug("send lease", "err", err) // exited follows
				}
			case Hurry:
				if err := s.child.link.Send(link.Hurry{}); err != nil {
					s.log.Debug("send hurry", "err", err) // likewise
				}
			case Kill:
				s.child.kill(a.Why)
			case Quit:
				return errors.Join(a.Err, ctx.Err())
			}
		}
	}
}

// exchange does one and says what came of it.
func (s *session) exchange(ctx context.Context, e agents.Exchange) Event {
	ctx, cancel := context.WithTimeout(ctx, agents.LeaseLength)
	defer cancel()
	sent := scenarios.Boottime()
	lease, err := s.client.put(ctx, e)
	received, wall := scenarios.Boottime(), time.Now().UnixNano()
	var no refusal
	switch {
	case errors.As(err, &no):
		return Refused{received, err}
	case err != nil:
		s.log.Debug("exchange", "seq", e.Seq, "err", err)
		return Failed{received, err}
	}
	return Leased{sent, received, time.Duration(wall), lease}
}

// tell hands an event to the loop, unless that has ended.
func (s *session) tell(alive context.Context, e Event) {
	select {
	case s.events <- e:
	case <-alive.Done():
	}
}

// dismiss gives a child whose work is done the time to exit by itself, and
// returns how it did.
func (s *session) dismiss() error {
	if s.relay.exited {
		return nil
	}
	late := time.NewTimer(s.relay.grace)
	defer late.Stop()
	for {
		select {
		case e := <-s.events:
			if e, ok := e.(Exited); ok {
				return e.Err
			}
		case <-late.C:
			return fmt.Errorf("the child did not exit within %v of its last snapshot", s.relay.grace)
		}
	}
}
