package scenarios

import (
	"slices"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// Expect is how long the target is taken to need for an answer, before anybody
// measured it. It is for planning alone: no request depends on it, and no
// fingerprint covers it.
type Expect struct {
	Turn    time.Duration // of the chat, to the end of the answer
	Request time.Duration // any other request
}

// What a target needs where its campaign does not say: an assistant that
// streams some hundred tokens, and a shop behind it.
const (
	expectedTurn    = 2 * time.Second
	expectedRequest = 100 * time.Millisecond
)

// Demand is what a plan asks of whoever sends it and of whoever answers, if
// every answer is a yes and comes as expected. A backend that is slower, or says
// no, has more shoppers at once: they wait, and try again.
type Demand struct {
	Expect   Expect
	Sampled  uint64        // shoppers that were walked through their journeys to find it out; the first of the crowd
	Pooled   bool          // shoppers share connections
	Toll     Toll          // of each connection
	Requests float64       // for each shopper
	Visit    time.Duration // from a shopper's arrival to its end, on average
	Stages   []Traffic     // in order, and last what goes on after the plan's end
	Peak     Traffic       // the highest of each, and Name the stage with the most shoppers at once
}

// Traffic is what goes on in a stretch of plan time, at its height.
type Traffic struct {
	Name     string
	Arrivals float64 // shoppers per second
	Requests float64 // begun per second
	Shoppers float64 // at once: arrived and not ended
	InFlight float64 // requests under way at once
	Streams  float64 // of them turns of the chat
}

// AfterTheEnd is the name of what goes on after a plan's last stage.
const AfterTheEnd = "(after the end)"

// demandSample is how many shoppers are walked at most: a crowd's first are a
// crowd like the whole, and so many leave a sampling error of some per cent.
const demandSample = 20_000

// Demand walks shoppers through their journeys and says what they add up to. It
// is pure, and takes some tenths of a second for a large crowd.
//
// Concurrency is the time that shoppers spend, added up by when they spend it:
// Little's law, L = λW, in each stretch of time, with the think times that were
// drawn and not their mean, and with what the stage before left behind.
func (p *Plan) Demand() Demand { return p.demand(demandSample) }

func (p *Plan) demand(most uint64) Demand {
	d := Demand{Expect: p.Campaign.Expect, Sampled: min(p.Shoppers, most), Pooled: p.Target.Connections == Pooled, Toll: p.Target.toll()}
	c := newCourse(p.Duration())
	var requests int
	var visits time.Duration
	for g := range d.Sampled {
		n, visit := p.walk(ID{Slot(g % Slots), uint32(g / Slots)}, d.Expect, c)
		requests += n
		visits += visit
	}
	d.Requests = float64(requests) / float64(d.Sampled)
	d.Visit = visits / time.Duration(d.Sampled)

	each := float64(p.Shoppers) / float64(d.Sampled)
	for i, s := range p.Campaign.Crowd.Stages {
		l := c.height(p.curve.marks[i], p.curve.marks[i+1], each)
		l.Name, l.Arrivals = s.Name, max(s.From, s.To)*p.perRate()
		d.Stages = append(d.Stages, l)
	}
	rest := c.height(p.Duration(), c.end(), each)
	rest.Name = AfterTheEnd
	d.Stages = append(d.Stages, rest)
	if most := float64(p.Campaign.Crowd.AtOnce); most > 0 {
		for i := range d.Stages {
			d.close(&d.Stages[i], most)
		}
	}
	for _, l := range d.Stages {
		if l.Shoppers > d.Peak.Shoppers {
			d.Peak.Name, d.Peak.Shoppers = l.Name, l.Shoppers
		}
		d.Peak.Arrivals = max(d.Peak.Arrivals, l.Arrivals)
		d.Peak.Requests = max(d.Peak.Requests, l.Requests)
		d.Peak.InFlight = max(d.Peak.InFlight, l.InFlight)
		d.Peak.Streams = max(d.Peak.Streams, l.Streams)
	}
	return d
}

// close makes traffic that of a full shop where there would be more shoppers
// than a closed crowd has: by Little's law, so many come as leave.
func (d *Demand) close(t *Traffic, most float64) {
	if t.Shoppers <= most {
		return
	}
	part := most / t.Shoppers
	t.Shoppers, t.InFlight, t.Streams = most, t.InFlight*part, t.Streams*part
	t.Arrivals = most / d.Visit.Seconds()
	t.Requests = t.Arrivals * d.Requests
}

// walk takes one shopper through its journey, every answer a yes, enters it
// into the course and says how many requests it sent and how long it stayed. An
// assistant that drives calls tools once the shopper has said its lines.
func (p *Plan) walk(id ID, e Expect, c *course) (requests int, visit time.Duration) {
	s := p.Shopper(id)
	journey, now := s.Walk(), s.At
	last, calls, lines := Result{}, s.obliged(), s.turns()
	for ; requests < longestWalk; requests++ {
		step, more := journey.Next(last)
		if !more {
			break
		}
		begin := now + step.Think
		took := e.Request
		if step.Kind == Turn {
			took = e.Turn
		}
		now = begin + took
		c.at(begin).requests++
		c.spend(begin, now, func(b *bin, d time.Duration) {
			b.inFlight += d
			if step.Kind == Turn {
				b.streams += d
			}
		})
		last = yes
		if step.Offer {
			if lines--; lines <= 0 && len(calls) > 0 {
				last.Calls, calls = calls[:1], calls[1:]
			}
		}
	}
	c.spend(s.At, now, func(b *bin, d time.Duration) { b.shoppers += d })
	return requests, now - s.At
}

// yes is an answer that gives whatever was asked for.
var yes = Result{Outcome: results.OK, Coupon: "c", Session: "s", Token: "t", Order: "o", Amount: 1, Currency: "CNY"}

// obliged are the calls of an assistant that does what the shopper came for and
// is told yes: each tool once, in the order in which they are offered, one in
// each answer.
func (s Shopper) obliged() (calls []ToolCall) {
	t, wants := &s.plan.Target, script(s.Journey, s.turns())
	names := t.calls()
	for _, kind := range t.tools() {
		if kind != Search && !slices.Contains(wants, kind) {
			continue
		}
		said := map[string]string{}
		switch {
		case kind == Create, kind == Complete && !t.Checkout.offers(Create):
			said[names.named("item")] = "i"
		case kind == Update:
			said[names.named("coupon")] = yes.Coupon
			fallthrough
		case kind == Complete:
			said[names.named("checkout")] = yes.Session
		}
		calls = append(calls, ToolCall{ID: kind.String(), Name: names.named(kind.String()), Arguments: string(marshal(said))})
	}
	return calls
}

// longestWalk is more requests than any journey has whose answers are all yes.
const longestWalk = 10_000

// A course is plan time in bins of one width.
type course struct {
	width time.Duration
	bins  []bin
}

// A bin adds up what was spent in its time.
type bin struct {
	requests                    int
	shoppers, inFlight, streams time.Duration
}

// newCourse chooses the width of the bins: short enough to tell a peak from its
// shoulders, long enough for a mean.
func newCourse(length time.Duration) *course {
	return &course{width: max(length/200, min(time.Second, length/10), time.Millisecond)}
}

// lastBin bounds what a day of long thinkers takes; what is later counts there.
const lastBin = 1 << 16

func (c *course) at(t time.Duration) *bin {
	i := min(int(t/c.width), lastBin)
	if i >= len(c.bins) {
		c.bins = append(c.bins, make([]bin, i+1-len(c.bins))...)
	}
	return &c.bins[i]
}

// spend gives each bin its part of [from, to).
func (c *course) spend(from, to time.Duration, add func(b *bin, d time.Duration)) {
	for from < to {
		edge := min((from/c.width+1)*c.width, to)
		add(c.at(from), edge-from)
		from = edge
	}
}

func (c *course) end() time.Duration { return time.Duration(len(c.bins)) * c.width }

// height is the highest of each in [from, to), with as many shoppers for each
// that was walked. A bin that two stages share counts for both.
func (c *course) height(from, to time.Duration, each float64) (l Traffic) {
	for i := int(from / c.width); i < len(c.bins) && time.Duration(i)*c.width < to; i++ {
		b := &c.bins[i]
		at := func(d time.Duration) float64 { return each * float64(d) / float64(c.width) }
		l.Requests = max(l.Requests, each*float64(b.requests)/c.width.Seconds())
		l.Shoppers = max(l.Shoppers, at(b.shoppers))
		l.InFlight = max(l.InFlight, at(b.inFlight))
		l.Streams = max(l.Streams, at(b.streams))
	}
	return l
}

// What it costs to send a request and to be a shopper. Memory is what the
// engine's own memory benchmark is held to, so an upper bound. Processor time is
// twice that of the reference journey (four streamed turns, four other requests)
// at 4,000 orders for each second of a processor.
const (
	bytesPerShopper = 32 << 10  // that thinks, with a connection of its own
	bytesPerPooled  = 12 << 10  // that thinks, without one
	bytesPerStream  = 40 << 10  // with a request under way
	bytesPerWorker  = 120 << 20 // before the first shopper: worker, k6, the plan
	cpuPerRequest   = 2 * time.Second / (4_000 * 8)
	filesPerWorker  = 64 // without a shopper
)

// Lingering is how long a port stays taken after the side that holds it has hung
// up: TIME_WAIT, a minute on Linux, where it is not reused for the same target.
const Lingering = time.Minute

// Needs is what a demand takes of the machine that meets it.
type Needs struct {
	Processors  float64 // busy at once
	Memory      uint64  // bytes, of all workers
	Files       uint64  // open at once in the worker that has the most
	Connections uint64  // at once to the target, of all workers
	Ports       uint64  // taken at once: connections, and those that linger
}

// WorkersFor is how many workers share the connections of the demand when each
// may open so many files; 0 if no number of workers is enough.
func (d Demand) WorkersFor(files uint64) int {
	if files <= filesPerWorker {
		return 0
	}
	return int(d.connections())/int(files-filesPerWorker) + 1
}

// connections is how many there are at once. Pooled ones are as many as there
// are requests under way; over HTTP/2 at most, as how many share one is known
// when the target has said so.
func (d Demand) connections() uint64 {
	if d.Pooled {
		return uint64(d.Peak.InFlight + 1)
	}
	return uint64(d.Peak.Shoppers + 1)
}

// Needs says what it takes to meet the demand with so many workers on one
// machine, at least 1. Hung-up connections linger unless the target is on the
// same machine, where Linux uses their ports again; pooled ones are kept.
func (d Demand) Needs(workers int, sameMachine bool) Needs {
	share := uint64(max(workers, 1))
	connections, each := d.connections(), uint64(bytesPerShopper)
	if d.Pooled {
		each = bytesPerPooled
	}
	shoppers := uint64(d.Peak.Shoppers + 1)
	busy := min(uint64(d.Peak.InFlight+1), shoppers)
	n := Needs{
		Processors:  d.Peak.Requests * (cpuPerRequest + d.Toll.Request).Seconds(),
		Memory:      share*bytesPerWorker + busy*bytesPerStream + (shoppers-busy)*each + connections*d.Toll.Memory,
		Files:       (connections+share-1)/share + filesPerWorker,
		Connections: connections,
		Ports:       connections,
	}
	if !d.Pooled {
		n.Processors += d.Peak.Arrivals * d.Toll.Dial.Seconds()
	}
	if !sameMachine && !d.Pooled {
		n.Ports += uint64(d.Peak.Arrivals * Lingering.Seconds())
	}
	return n
}
