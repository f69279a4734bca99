package crowd

import (
	"cmp"
	"iter"
	"slices"
	"sort"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// Arrivals is what a roster needs of a plan; *scenarios.Plan has it.
type Arrivals interface {
	Arrivals(s scenarios.Slot, from scenarios.Mark) iter.Seq[scenarios.Arrival]
	At(id scenarios.ID) scenarios.Mark
	StageAt(m scenarios.Mark) string
	Duration() time.Duration
}

// A Roster says which shopper is launched next: it holds the arrivals of the
// spans that its owner has, and knows how far they are launched. It reads no
// clock and does no I/O: plan time comes with each call. It is not safe for
// concurrent use.
//
// Arrivals that become the owner's in time are launched when they are due.
// Those that were due before (their slots came from a worker that was lost, or
// the owner's own lease had run out) are holes before the frontier: they are
// spread over one lease, and count as late; what is older than two leases is
// never started.
type Roster struct {
	plan     Arrivals
	lease    time.Duration
	atOnce   uint64 // of a closed crowd: how many may be there at the same time, over all owners
	places   int    // the owner's part of them
	version  uint64
	spans    []scenarios.Span           // by slot and beginning
	first    [scenarios.Slots + 1]int32 // where a slot's spans begin
	queues   []*queue
	frontier scenarios.Mark
	holes    uint64 // IDs given out
	skips    []results.Skip
	applied  []results.Applied
	lapses   []results.Lapse
	missed   []results.Takeover
	news     bool // something that a mark must tell before the next launch
}

// queue is what is still to be launched of one grant, in order of arrival: four
// bytes for each shopper, whose moment the plan can tell again. It may hold
// shoppers of slots that were given up since; they are passed over.
type queue struct {
	grant uint64
	due   []uint32       // number × slots + slot, as plans number the crowd
	hole  results.Hole   // ID 0: none, its shoppers are launched on time
	cause uint64         // of a hole: the grant that came too late for it, 0 for the owner's own lapse
	tries []uint8        // of a hole: the attempts of its shoppers, who stay its holder's when their slot moves
	start scenarios.Mark // a hole's first launch
	every time.Duration  // and from each to the next
	head  Due
	some  bool // head is set
}

// A Due is a shopper to be launched.
type Due struct {
	scenarios.Arrival
	When    scenarios.Mark // the intended moment: its arrival, unless it is late
	Attempt int
	Hole    uint64 // not 0: the fleet made it late
	Grant   uint64 // see results.Takeover
}

// NewRoster returns an empty roster. Lease is the length of a lease.
func NewRoster(plan Arrivals, lease time.Duration) *Roster {
	return &Roster{plan: plan, lease: lease}
}

// Drawn is the arrivals of spans, ready to be taken into a roster.
type Drawn struct {
	version uint64
	spans   []scenarios.Span
	queues  []*queue
}

// Draw computes the arrivals of those spans that are new since version known,
// which takes some hundred milliseconds for each million: it may be done while
// the roster is in use.
func Draw(plan Arrivals, version, known uint64, spans []scenarios.Span) Drawn {
	d := Drawn{version: version, spans: slices.Clone(spans)}
	slices.SortFunc(d.spans, func(a, b scenarios.Span) int {
		return cmp.Or(cmp.Compare(a.Slot, b.Slot), cmp.Compare(a.From, b.From))
	})
	fresh := map[uint64][]scenarios.Arrival{}
	for _, s := range d.spans {
		if s.Grant <= known {
			continue
		}
		for a := range plan.Arrivals(s.Slot, s.From) {
			if a.At >= s.To {
				break
			}
			fresh[s.Grant] = append(fresh[s.Grant], a)
		}
	}
	for grant, arrivals := range fresh {
		slices.SortFunc(arrivals, inOrder)
		q := &queue{grant: grant, due: make([]uint32, len(arrivals))}
		for i, a := range arrivals {
			q.due[i] = a.ID.Number*scenarios.Slots + uint32(a.ID.Slot)
		}
		d.queues = append(d.queues, q)
	}
	slices.SortFunc(d.queues, func(a, b *queue) int { return cmp.Compare(a.grant, b.grant) })
	return d
}

// inOrder is by time, and at the same instant by identity, so that every worker
// launches in one order.
func inOrder(a, b scenarios.Arrival) int {
	return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.ID.Slot, b.ID.Slot), cmp.Compare(a.ID.Number, b.ID.Number))
}

// Take replaces the spans by drawn ones, from now on. What of them was due
// before makes a hole. A version that is not newer changes nothing.
func (r *Roster) Take(d Drawn, now scenarios.Mark) {
	if d.version <= r.version {
		return
	}
	r.version, r.spans = d.version, d.spans
	slot := 0
	for i, s := range r.spans {
		for ; slot <= int(s.Slot); slot++ {
			r.first[slot] = int32(i)
		}
	}
	for ; slot <= scenarios.Slots; slot++ {
		r.first[slot] = int32(len(r.spans))
	}
	r.places = r.share()
	r.applied = append(r.applied, results.Applied{Grant: d.version, Frontier: r.frontier})
	r.news = true
	for _, q := range r.queues {
		q.some = false // its head may not be the owner's any more
	}
	for _, q := range d.queues {
		r.queues = append(r.queues, q)
		r.split(q, q.grant, r.frontier, now)
	}
}

// Places is how many of a closed crowd the owner may have at the same time; 0 if
// the crowd is open.
func (r *Roster) Places() int { return r.places }

// share is the owner's part of a closed crowd's places: as large as its part of
// the slots, rounded down, so that all owners together have no more than there
// are; but one at least, or what it still owns or holds would never come.
func (r *Roster) share() int {
	if r.atOnce == 0 {
		return 0
	}
	slots := uint64(0)
	for _, s := range r.spans {
		if s.To >= r.plan.Duration() { // it is not on its way to somebody else
			slots++
		}
	}
	return int(max(r.atOnce*slots/scenarios.Slots, 1))
}

// Resume goes on after a time, since some moment, in which nothing could be
// launched: what was due in it is late.
func (r *Roster) Resume(since, now scenarios.Mark) {
	r.lapses = append(r.lapses, results.Lapse{From: min(since, now), To: now})
	r.frontier = max(r.frontier, now+1)
	r.news = true
	for _, q := range slices.Clone(r.queues) {
		q.some = false
		if q.hole.ID == 0 {
			r.split(q, 0, r.frontier, now)
			continue
		}
		r.spread(q, now)
	}
}

// split makes a hole of what q holds from before a moment.
func (r *Roster) split(q *queue, cause uint64, before, now scenarios.Mark) {
	n := sort.Search(len(q.due), func(i int) bool { return r.at(q.due[i]) >= before })
	if n == 0 {
		return
	}
	r.holes++
	late := &queue{grant: q.grant, cause: cause, hole: results.Hole{ID: r.holes, Grant: q.grant, To: before}}
	for _, g := range q.due[:n] {
		if s, ok := r.span(g, q.grant); ok {
			late.due, late.tries = append(late.due, g), append(late.tries, s.Attempt)
		}
	}
	q.due = q.due[n:]
	r.queues = append(r.queues, late)
	r.spread(late, now)
}

// reasonOld is why late shoppers are never started.
const reasonOld = "due more than two leases before anybody could launch them"

// spread gives up what is too old in a hole, and shares one lease out among the
// rest.
func (r *Roster) spread(q *queue, now scenarios.Mark) {
	old := 0 // of a closed crowd nobody: who waits outside has been due for long
	if r.atOnce == 0 {
		old = sort.Search(len(q.due), func(i int) bool { return r.at(q.due[i]) >= now-2*r.lease })
	}
	for _, g := range q.due[:old] {
		r.skip(g, reasonOld)
	}
	if old > 0 {
		r.missed = append(r.missed, results.Takeover{Grant: q.cause, Never: uint64(old)})
	}
	q.due, q.tries = q.due[old:], q.tries[old:]
	q.start, q.every = now, r.lease/time.Duration(max(len(q.due), 1))
	q.some = false
	r.fill(q)
}

// fill moves the beginning of a hole to what is first in it.
func (r *Roster) fill(q *queue) {
	q.hole.From = q.hole.To
	if len(q.due) > 0 {
		q.hole.From = r.at(q.due[0])
	}
}

// skip counts a shopper as never started.
func (r *Roster) skip(g uint32, why string) {
	stage := r.plan.StageAt(r.at(g))
	for i := range r.skips {
		if s := &r.skips[i]; s.Stage == stage && s.Reason == why {
			s.Count++
			return
		}
	}
	r.skips = append(r.skips, results.Skip{Stage: stage, Reason: why, Count: 1})
}

func identity(g uint32) scenarios.ID {
	return scenarios.ID{Slot: scenarios.Slot(g % scenarios.Slots), Number: g / scenarios.Slots}
}

func (r *Roster) at(g uint32) scenarios.Mark { return r.plan.At(identity(g)) }

// span returns the owner's span of a grant that a shopper is in.
func (r *Roster) span(g uint32, grant uint64) (scenarios.Span, bool) {
	id := identity(g)
	at := r.plan.At(id)
	for _, s := range r.spans[r.first[id.Slot]:r.first[id.Slot+1]] {
		if s.Grant == grant && s.From <= at && at < s.To {
			return s, true
		}
	}
	return scenarios.Span{}, false
}

// peek sets the head of q to its next shopper that is still the owner's.
func (r *Roster) peek(q *queue) bool {
	for !q.some && len(q.due) > 0 {
		g := q.due[0]
		attempt := uint8(0)
		if q.hole.ID > 0 {
			attempt = q.tries[0]
		} else if s, ok := r.span(g, q.grant); ok {
			attempt = s.Attempt
		} else {
			q.due = q.due[1:]
			continue
		}
		id := identity(g)
		q.head = Due{Arrival: scenarios.Arrival{ID: id, At: r.plan.At(id)}, Attempt: int(attempt), Hole: q.hole.ID, Grant: q.grant}
		if q.hole.ID > 0 {
			q.head.Grant = q.cause
		}
		q.some = true
	}
	return q.some
}

// when is the moment at which the head of q is launched.
func (q *queue) when() scenarios.Mark {
	if q.hole.ID == 0 {
		return q.head.At
	}
	return q.start
}

// earliest returns the queue whose head is launched first; nil if all are empty.
func (r *Roster) earliest() *queue {
	var first *queue
	for _, q := range r.queues {
		if r.peek(q) && (first == nil || cmp.Or(cmp.Compare(q.when(), first.when()), inOrder(q.head.Arrival, first.head.Arrival)) < 0) {
			first = q
		}
	}
	return first
}

// Next returns the shopper that is due at plan time now, if there is one;
// otherwise everything up to now was launched, and the frontier moves past it.
func (r *Roster) Next(now scenarios.Mark) (Due, bool) {
	q := r.earliest()
	if q == nil || q.when() > now {
		r.frontier = max(r.frontier, now+1)
		return Due{}, false
	}
	d := q.head
	d.When = q.when()
	q.due, q.some = q.due[1:], false
	if d.Hole == 0 {
		r.frontier = max(r.frontier, d.At+1)
	} else {
		q.tries = q.tries[1:]
		q.start += q.every
		r.fill(q)
	}
	return d, true
}

// When returns the moment of the next launch; false if there is none.
func (r *Roster) When() (scenarios.Mark, bool) {
	q := r.earliest()
	if q == nil {
		return 0, false
	}
	return q.when(), true
}

// Abandon gives up all that was not launched, and counts it as never started.
func (r *Roster) Abandon(why string) {
	if len(r.queues) == 0 && r.frontier > r.plan.Duration() {
		return
	}
	for _, q := range r.queues {
		for _, g := range q.due {
			if _, mine := r.span(g, q.grant); mine || q.hole.ID > 0 {
				r.skip(g, why)
			}
		}
	}
	r.queues, r.news = nil, true
	r.frontier = max(r.frontier, r.plan.Duration()+1)
}

// Mark tells how far the roster is, with what happened since the last mark. It
// goes out before the launches that follow.
func (r *Roster) Mark() results.Mark {
	m := results.Mark{Frontier: r.frontier, Skips: r.skips, Grant: r.version, Applied: r.applied, Lapses: r.lapses, Takeovers: r.missed}
	r.skips, r.applied, r.lapses, r.missed, r.news = nil, nil, nil, nil, false
	r.queues = slices.DeleteFunc(r.queues, func(q *queue) bool { return !r.peek(q) })
	for _, q := range r.queues {
		if q.hole.ID > 0 {
			m.Holes = append(m.Holes, q.hole)
		}
	}
	return m
}

// News says that something happened that a mark must tell before the next
// launch.
func (r *Roster) News() bool { return r.news }
