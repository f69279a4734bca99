package coordinator

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/flashcrowd/flashcrowd/agents/membership"
	"github.com/flashcrowd/flashcrowd/results"
)

// legacy is what a coordinator leaves to the one that may resume its run. It
// holds the key by which workers know it, as long as the run lasts.
type legacy struct {
	Leases   Leases    `cbor:"1,keyasint"`
	Identity []byte    `cbor:"2,keyasint,omitempty"`
	Gossip   string    `cbor:"3,keyasint"`
	API      string    `cbor:"4,keyasint"`
	Boot     string    `cbor:"5,keyasint"` // the boot on whose clock Leases.Zero is
	Started  time.Time `cbor:"6,keyasint"` // the wall clock at that moment
}

func (c *Coordinator) save(f Leases) error {
	l := legacy{
		Leases: f, Identity: c.identity.Secret(), Gossip: c.gossip, API: c.api, Boot: bootID(),
		Started: time.Now().Add(f.Zero - c.clock()),
	}
	if err := c.store(l); err != nil {
		if !same(err, c.unsaved) { // it is tried again ten times a second
			c.Log.Error("lease state not stored", "err", err)
		}
		return err
	}
	return nil
}

func (c *Coordinator) store(l legacy) error {
	b, err := cbor.Marshal(l)
	if err != nil {
		return fmt.Errorf("encode the lease state: %w", err)
	}
	return c.Store.Save(b)
}

// forget takes the key out of the store: nobody will resume a run that is over.
func (c *Coordinator) forget() { c.keep(c.store(legacy{Leases: c.machine.Leases()})) }

// recall takes up a run where another coordinator left it: its key and its
// addresses, what it had decided, and what workers told it.
func (c *Coordinator) recall(r Rules) error {
	state, err := c.Past.State()
	if err != nil {
		return err
	}
	if state == nil {
		return errors.New("it never got as far as deciding anything: start it anew")
	}
	var l legacy
	if err := cbor.Unmarshal(state, &l); err != nil {
		return fmt.Errorf("read its lease state: %w", err)
	}
	if len(l.Identity) == 0 {
		return ErrOver
	}
	if c.identity, err = membership.IdentityOf(l.Identity); err != nil {
		return err
	}
	c.Gossip, c.API = l.Gossip, l.API
	if l.Leases.Started && l.Boot != bootID() { // the machine was started anew, and its boot clock with it
		l.Leases.Zero = c.clock() - time.Since(l.Started)
	}
	told, err := c.told()
	if err != nil {
		return err
	}
	if c.machine, c.resumed, err = Resume(r, l.Leases, told, c.clock()); err != nil {
		return err
	}
	for id := range c.machine.nodes {
		c.seen[id] = true
	}
	for _, lost := range l.Leases.Lost {
		c.skips = append(c.skips, skips(c.Plan, lost)...)
	}
	if err := c.Notes.Skips(c.skips); err != nil {
		return err
	}
	if c.merger, err = c.Past.Merger(); err != nil {
		return err
	}
	c.recallBarred()
	if c.started, err = c.Past.Begun(); err != nil {
		return err
	}
	if c.started.IsZero() && l.Leases.Started {
		c.started = l.Started
		return c.Notes.Started(c.started)
	}
	return nil
}

// told returns what the stored snapshots tell the machine. Merges that it asks
// for have been done by the store.
func (c *Coordinator) told() (all []Memory, err error) {
	for s, err := range c.Past.Snapshots() {
		if err != nil {
			return nil, err
		}
		all = append(all, Memory{ID: s.Worker, Seq: s.Seq, Facts: FactsOf(s), Digest: digestOf(results.Encode(s), "")})
	}
	return all, nil
}

// bootID names this start of the machine; empty where the system does not tell,
// and its clock is one that goes on over a restart.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
