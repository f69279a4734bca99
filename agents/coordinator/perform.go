package coordinator

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

var (
	errForeign  = errors.New("a snapshot must come from the worker that cut it")
	errBroken   = errors.New("unreadable snapshot")
	errUnstored = errors.New("the exchange could not be stored")
)

// A Peer is who TLS says is at the other end.
type Peer struct {
	ID      string // the fingerprint of its certificate
	Version string // of its flashcrowd, as it says
}

// parcel is an exchange on its way through the machine.
type parcel struct {
	delivery results.Delivery
	snapshot results.Snapshot
	clocks   results.Clocks
	version  string        // of the worker's flashcrowd
	settled  chan struct{} // closed when it is stored, or can't be
	queued   bool          // to be stored
	reply    *Answer       // nil when something that had to be stored first is not
	err      error         // why not
}

// Exchange takes a snapshot and answers with a lease. Both the snapshot and
// what follows from it are on disk by then. It returns an error when the
// snapshot is not the peer's or unreadable, when the worker's lease has ended,
// when the sequence is known with other bytes, or when it could not be stored;
// only after the last may the worker try again.
func (c *Coordinator) Exchange(ctx context.Context, from Peer, e agents.Exchange) (agents.Lease, error) {
	received := c.clock()
	clocks := results.Clocks{Plan: e.Offset, Wall: e.Wall, Upsets: e.Upsets}
	event := Exchanged{
		At: received, ID: from.ID, Name: e.Name, Seq: e.Seq, Have: e.Have, Capacity: e.Capacity, Leaving: e.Leaving,
		Clocks: clocks,
		Digest: digestOf(e.Snapshot, e.Fate), Facts: Facts{Fate: e.Fate},
	}
	p := &parcel{delivery: results.Delivery{Worker: from.ID, Seq: e.Seq, Bytes: e.Snapshot}, clocks: clocks, version: from.Version, settled: make(chan struct{})}
	if len(e.Snapshot) > 0 {
		s, err := results.DecodeSnapshot(e.Snapshot)
		if err != nil {
			return agents.Lease{}, fmt.Errorf("exchange %d: %w: %w", e.Seq, errBroken, err)
		}
		if s.Worker != from.ID || s.Seq != e.Seq {
			return agents.Lease{}, fmt.Errorf("exchange %d of %.12s: snapshot %d of %.12s: %w", e.Seq, from.ID, s.Seq, s.Worker, errForeign)
		}
		p.snapshot = s
		event.Facts = FactsOf(s)
		event.Facts.Fate = e.Fate
	}
	if err := ctx.Err(); err != nil {
		return agents.Lease{}, err // the worker has gone: what it sends again counts
	}
	c.mu.Lock()
	if err := c.merger.Admit(p.snapshot); err != nil {
		c.mu.Unlock()
		return agents.Lease{}, fmt.Errorf("exchange %d: %w: %w", e.Seq, errBroken, err)
	}
	c.conclude(event, p)
	queued := p.queued
	c.mu.Unlock()
	if queued {
		c.await(p)
	}
	if p.reply == nil {
		return agents.Lease{}, fmt.Errorf("exchange %d: %w: %w", e.Seq, errUnstored, p.err)
	}
	if p.reply.Err != nil {
		return agents.Lease{}, fmt.Errorf("exchange %d: %w", e.Seq, p.reply.Err)
	}
	return p.reply.Lease, nil
}

// conclude carries out what follows from an event about p, and notes its reply.
func (c *Coordinator) conclude(e Event, p *parcel) {
	p.reply = c.perform(c.machine.Step(e), p)
	if p.reply == nil && p.err == nil {
		p.err = c.unsaved
	}
}

// between is the least time from one transaction to the next. An exchange that
// comes alone is stored at once; of many, those that come within it share one:
// a transaction costs more than what is in it, and a worker, who asks once a
// second, does not feel the wait.
const between = 10 * time.Millisecond

// await returns when p is on disk, or can't be. Whoever gets the disk stores all
// that wait by then: the more exchanges there are, the less each of them costs.
func (c *Coordinator) await(p *parcel) {
	select {
	case c.disk <- struct{}{}:
		select {
		case <-p.settled: // somebody has just stored it
		default:
			time.Sleep(between - time.Since(c.committed))
			c.commit()
		}
		<-c.disk
		<-p.settled
	case <-p.settled:
	}
}

// commit stores what waits for it in one transaction. An exchange that can't be
// stored must not take others with it, so what fails together is tried one by
// one.
func (c *Coordinator) commit() {
	c.mu.Lock()
	queue := c.queue
	c.queue = nil
	c.mu.Unlock()
	if len(queue) == 0 {
		return
	}
	all := make([]results.Delivery, len(queue))
	for i, p := range queue {
		all[i] = p.delivery
	}
	c.committed = time.Now()
	err := c.Store.Commit(all...)
	for i, p := range queue {
		if p.err = err; err != nil && len(all) > 1 {
			p.err = c.Store.Commit(all[i])
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range queue {
		var e Event = Stored{c.clock(), p.delivery.Worker}
		if p.err != nil {
			if !same(p.err, c.unkept) { // the worker tries again and again
				c.Log.Error("exchange not stored", "worker", p.delivery.Worker, "seq", p.delivery.Seq, "err", p.err)
			}
			e = Unstored{p.delivery.Worker}
		}
		c.unkept = p.err
		c.conclude(e, p)
		close(p.settled)
	}
}

// same says whether two faults say the same, so that one is logged once until it
// is over.
func same(a, b error) bool { return a != nil && b != nil && a.Error() == b.Error() }

func digestOf(snapshot []byte, fate string) Digest {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(snapshot))))
	h.Write(snapshot)
	h.Write([]byte(fate))
	return Digest(h.Sum(nil))
}

// do carries out what follows from an event that is no exchange.
func (c *Coordinator) do(e Event) { c.perform(c.machine.Step(e), nil) }

// batch is actions that wait for what must be on disk first.
type batch struct {
	actions []Action
	parcel  *parcel
}

// perform carries out actions in order and returns the answer among them; nil
// when something that had to be stored first is not: then nothing that follows
// from it is done, or answered, until a later save has worked. P is the exchange
// they are about, if any; one that is to be stored is queued for that. The lock is
// held.
func (c *Coordinator) perform(actions []Action, p *parcel) *Answer {
	if c.unsaved != nil {
		if c.unsaved = c.save(c.machine.Leases()); c.unsaved == nil {
			waiting := c.waiting
			c.waiting = nil
			for _, b := range waiting {
				c.perform(b.actions, b.parcel)
			}
		}
	}
	var reply *Answer
	for i, a := range actions {
		if c.unsaved != nil {
			if _, ok := a.(Commit); !ok {
				c.waiting = append(c.waiting, batch{actions[i:], p})
				return nil
			}
		}
		switch a := a.(type) {
		case Commit:
			p.queued = true
			c.queue = append(c.queue, p)
		case Save:
			c.unsaved = c.save(a.Leases)
		case Merge:
			if len(p.delivery.Bytes) > 0 {
				c.feel(a.ID, p)
				_, err := c.merger.Add(p.snapshot)
				c.keep(err)
			}
		case Apart:
			c.setApart(p)
		case Answer:
			a.Lease.Wall = time.Duration(time.Now().UnixNano())
			reply = &a
		case Poke:
			c.poke(a.ID)
		case Begin:
			c.started = time.Now().Add(a.Zero - c.clock())
			c.keep(c.Notes.Started(c.started))
		case Note:
			c.merger.Worker(a.ID, a.Note)
			if a.Note.Fate != "" && c.machine.phase == gathering {
				c.Log.Error("a worker ended before the run began", "worker", a.Note.Name, "why", a.Note.Fate)
			}
			c.keep(c.Notes.Worker(a.ID, a.Note))
		case Lost:
			for _, s := range skips(c.Plan, loss(a)) {
				c.merger.Skip(s)
				c.skips = append(c.skips, s)
			}
			c.keep(c.Notes.Skips(c.skips))
		case Halt:
			c.merger.Stop(a.Why)
			c.keep(c.Notes.Stop(a.Why))
		case Finish:
			c.failure = a.Err
			c.forget()
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

// skips counts the arrivals of l as never started, stage by stage.
func skips(p *scenarios.Plan, l loss) []results.Skip {
	var all []results.Skip
	for _, span := range l.Spans {
		for a := range p.Arrivals(span.Slot, span.From) {
			if a.At >= span.To {
				break
			}
			stage := p.StageAt(a.At)
			i := slices.IndexFunc(all, func(s results.Skip) bool { return s.Stage == stage })
			if i < 0 {
				i = len(all)
				all = append(all, results.Skip{Stage: stage, Reason: l.Why})
			}
			all[i].Count++
		}
	}
	return all
}
