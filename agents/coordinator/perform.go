package coordinator

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/results"
)

var (
	errForeign  = errors.New("a snapshot must come from the worker that cut it")
	errBroken   = errors.New("unreadable snapshot")
	errUnstored = errors.New("the exchange could not be stored")
)

// A Peer is who TLS says is at the other end.
type Peer struct {
	ID string // the fingerprint of its certificate
}

// parcel is an exchange on its way through the state machine.
type parcel struct {
	exchange agents.Exchange
	snapshot results.Snapshot
	err      error // why it could not be stored
}

// Exchange takes a snapshot and answers with a lease. Both the snapshot and
// what follows from it are on disk by then. It returns an error when the
// snapshot is not the peer's or unreadable, when the worker's lease has ended,
// when the sequence is known with other bytes, or when it could not be stored;
// only after the last may the worker try again.
func (c *Coordinator) Exchange(ctx context.Context, from Peer, e agents.Exchange) (agents.Lease, error) {
	received := c.clock()
	event := exchanged{
		at: received, id: from.ID, name: e.Name, seq: e.Seq, have: e.Have,
		digest: digestOf(e), facts: facts{fate: e.Fate},
	}
	p := &parcel{exchange: e}
	if len(e.Snapshot) > 0 {
		s, err := results.DecodeSnapshot(e.Snapshot)
		if err != nil {
			return agents.Lease{}, fmt.Errorf("exchange %d: %w: %w", e.Seq, errBroken, err)
		}
		if s.Worker != from.ID || s.Seq != e.Seq {
			return agents.Lease{}, fmt.Errorf("exchange %d of %.12s: snapshot %d of %.12s: %w", e.Seq, from.ID, s.Seq, s.Worker, errForeign)
		}
		p.snapshot = s
		event.facts.frontier, event.facts.launched, event.facts.ended, event.facts.final = s.Frontier, s.Launched, s.Ended, s.Final
	}
	if err := ctx.Err(); err != nil {
		return agents.Lease{}, err // the worker has gone: what it sends again counts
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.perform(c.state.step(event), p)
	if a == nil {
		return agents.Lease{}, fmt.Errorf("exchange %d: %w: %w", e.Seq, errUnstored, p.err)
	}
	if a.err != nil {
		return agents.Lease{}, fmt.Errorf("exchange %d: %w", e.Seq, a.err)
	}
	return a.lease, nil
}

func digestOf(e agents.Exchange) digest {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(e.Snapshot))))
	h.Write(e.Snapshot)
	h.Write([]byte(e.Fate))
	return digest(h.Sum(nil))
}

// do carries out what follows from an event that is no exchange.
func (c *Coordinator) do(e event) { c.perform(c.state.step(e), nil) }

// perform carries out actions in order and returns the answer among them. p is
// the exchange they are about, if any. The lock is held, so nothing comes in
// between: a commit is one write to a local disk.
func (c *Coordinator) perform(actions []action, p *parcel) *answer {
	var reply *answer
	for _, a := range actions {
		switch a := a.(type) {
		case commit:
			if p.err = c.Store.Commit(a.id, p.exchange.Seq, p.exchange.Snapshot, nil); p.err != nil {
				c.Log.Error("exchange not stored", "worker", p.exchange.Name, "seq", p.exchange.Seq, "err", p.err)
				return c.perform(c.state.step(unstored(a)), p)
			}
			reply = c.perform(c.state.step(stored{c.clock(), a.id}), p)
		case save:
			state, err := a.leases.encode()
			if err == nil {
				err = c.Store.Save(state)
			}
			c.keep(err)
		case merge:
			if len(p.exchange.Snapshot) > 0 {
				_, err := c.merger.Add(p.snapshot)
				c.keep(err)
			}
		case answer:
			reply = &a
		case begin:
			c.started = time.Now().Add(a.zero - c.clock())
			c.keep(c.Notes.Started(c.started))
		case note:
			n := results.WorkerNote{Name: a.name, Slots: a.slots, Fate: a.fate}
			c.merger.Worker(a.id, n)
			c.keep(c.Notes.Worker(a.id, n))
		case lost:
			c.skip(a)
		case halt:
			c.merger.Stop(a.why)
			c.keep(c.Notes.Stop(a.why))
		case finish:
			c.failure = a.err
			close(c.done)
		}
	}
	return reply
}

// keep remembers a fault that must not stop the machine, for Run to return.
func (c *Coordinator) keep(err error) {
	if err == nil {
		return
	}
	const enough = 10
	if len(c.faults) < enough {
		c.faults = append(c.faults, err)
	}
}

// skip counts the arrivals of l as never started, stage by stage.
func (c *Coordinator) skip(l lost) {
	for _, stage := range c.Plan.Stages() {
		count := 0
		for _, span := range l.spans {
			from, to := max(span.From, l.from, stage.From), min(span.To, stage.To)
			if from < to {
				count += c.Plan.Count(span.Slot, from, to)
			}
		}
		if count > 0 {
			s := results.Skip{Stage: stage.Name, Reason: l.why, Count: uint64(count)}
			c.merger.Skip(s)
			c.keep(c.Notes.Skip(s))
		}
	}
}
