package coordinator

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/agents/membership"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// beat is what the last exchange of a worker told of how it fares.
type beat struct {
	at     time.Duration
	rate   float64              // launches per second
	lags   []*results.Histogram // of its shoppers, by stage
	health results.Health
	clocks results.Clocks
	is     string // its version

	strides []stride // see pace
	streams uint64   // at most, since that was asked
}

// feel notes how a worker fares.
func (c *Coordinator) feel(id string, p *parcel) {
	before, now := c.beats[id], c.clock()
	b := beat{at: now, health: p.snapshot.Health, clocks: p.clocks, is: p.version,
		strides: before.strides, streams: max(before.streams, p.snapshot.Health.Streams)}
	b.stride(stride{p.snapshot.Cut, p.snapshot.Launched})
	if gap := now - before.at; before.at > 0 && gap > 0 {
		b.rate = float64(p.snapshot.Launched) / gap.Seconds()
	}
	for _, s := range p.snapshot.Series {
		if s.Metric == results.ScheduleLag.Name {
			b.lags = append(b.lags, s.Hist)
		}
	}
	c.beats[id] = b
}

// lag is the 99th percentile of how late its shoppers were; 0 if there were none.
// It is added up here, for who asks, and not for each exchange.
func (b beat) lag() time.Duration {
	all := &results.Histogram{}
	for _, h := range b.lags {
		all.Merge(h)
	}
	return all.Quantile(0.99)
}

// Status returns the fleet as it stands.
func (c *Coordinator) Status() agents.Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, now := c.machine, c.clock()
	s := agents.Status{
		Run: c.About.ID, Campaign: c.About.Campaign, Version: c.Version, Protocol: agents.Protocol,
		Term: m.term, Started: m.started, Duration: m.End, Stop: m.stop.String(), Why: m.why,
		Planned: c.About.Planned, Members: []agents.Standing{},
		Barred: c.barred(), Apart: c.merger.Run().Apart,
	}
	if m.started {
		s.Elapsed = now - m.zero
	}
	for _, span := range m.free {
		if span.To == m.End {
			s.Waiting++
		}
	}
	for _, id := range m.order {
		n, b := m.nodes[id], c.beats[id]
		state := agents.Standing{
			ID: id, Name: n.name, Fate: n.Fate, Slots: n.slots(m.End), Capacity: n.capacity,
			Launched: n.Launched, InFlight: n.Launched - min(n.Ended, n.Launched),
			Rate: b.rate, LagP99: b.lag(), Health: b.health, Offset: b.clocks.Plan, Wall: b.clocks.Wall, Version: b.is, Heard: now - b.at, State: "ready",
		}
		switch {
		case n.Fate != "":
			state.State = "lost"
		case n.closed:
			state.State = "left"
		case n.Leaving:
			state.State = "leaving"
		}
		s.Members = append(s.Members, state)
	}
	return s
}

// operator says whether somebody with that certificate may look and stop: gossip
// lets in who has the cluster key.
func (c *Coordinator) operator(r *http.Request) error {
	from, err := peer(r)
	if err != nil {
		return err
	}
	if m, ok := c.member(from.ID); ok && m.Role == membership.Operator {
		return nil
	}
	c.tally.Add(barredOperator)
	return fmt.Errorf("%w: no operator of this fleet", errForeign)
}

func (c *Coordinator) serveStatus(w http.ResponseWriter, r *http.Request) {
	if err := c.operator(r); err != nil {
		http.Error(w, err.Error(), status(err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(c.Status()) // whoever has gone asks again
}

// maxStop is how long a request to stop may be, in bytes.
const maxStop = 4 << 10

func (c *Coordinator) serveStop(w http.ResponseWriter, r *http.Request) {
	err := c.operator(r)
	var body []byte
	if err == nil {
		body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxStop))
	}
	var request agents.StopRequest
	if err == nil {
		if err = json.Unmarshal(body, &request); err != nil {
			err = fmt.Errorf("%w: %w", errRequest, err)
		}
	}
	if err != nil {
		http.Error(w, err.Error(), status(err))
		return
	}
	if request.Why == "" {
		request.Why = "stopped by an operator"
	}
	kind := scenarios.Cut
	if request.Drain {
		kind = scenarios.Drain
	}
	c.Log.Warn("stop", "kind", kind.String(), "why", request.Why)
	c.Stop(kind, request.Why)
	w.WriteHeader(http.StatusNoContent)
}
