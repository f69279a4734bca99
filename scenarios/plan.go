package scenarios

import (
	"cmp"
	"fmt"
	"iter"
	"math/bits"
	"slices"
	"sync"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// A Plan is a campaign expanded for one run, as a recipe: the canonical
// campaign, the seed and the factors. Workers get it whole and compute what is
// theirs. Campaign.Plan and DecodePlan make one; all its methods may be called
// at the same time.
type Plan struct {
	Campaign *Campaign
	Factors  results.Factors // as they apply: none is 0
	Shoppers uint64          // planned, factors applied
	Target   Target          // where this run goes; its URL is not part of the fingerprint
	Pins     map[string]Pin  // of its files, by what they are for

	curve    *curve
	draws    draws
	offset   uint64 // of the evenly spaced arrivals
	personas []Persona
	think    Think // before the pace
	stages   func() []results.Stage
	data     *data // open files; nil without
}

// MaxShoppers is the largest crowd of a plan, factors applied.
const MaxShoppers = 1_000_000_000

// newPlan builds the plan of a checked campaign and checked factors.
func newPlan(c *Campaign, f results.Factors, shoppers uint64) *Plan {
	p := &Plan{
		Campaign: c, Factors: f, Shoppers: shoppers, Target: c.Target,
		curve: newCurve(c.Crowd.Stages, f.Compress, c.Crowd.Bursts, newDraws(c.Seed)),
		draws: newDraws(c.Seed),
		think: c.Crowd.Think,
	}
	p.offset = p.draws.bits(ID{}, 0, forOffset)
	for _, w := range c.Crowd.Personas {
		persona, _ := personaNamed(w.Name)
		p.personas = append(p.personas, persona.paced(f.Pace))
	}
	p.stages = sync.OnceValue(p.countStages)
	return p
}

// Duration returns the plan's length: the end of the last stage. Shoppers that
// arrived before it are still at it afterwards.
func (p *Plan) Duration() time.Duration { return p.curve.marks[len(p.curve.marks)-1] }

// Stages returns the stages as they are replayed, with the shoppers that
// arrive in each, counted one by one: the first call takes some milliseconds
// for each million.
func (p *Plan) Stages() []results.Stage { return slices.Clone(p.stages()) }

func (p *Plan) countStages() []results.Stage {
	stages := make([]results.Stage, len(p.Campaign.Crowd.Stages))
	for i, s := range p.Campaign.Crowd.Stages {
		stages[i] = results.Stage{Name: s.Name, From: p.curve.marks[i], To: p.curve.marks[i+1]}
	}
	for s := range Slot(Slots) {
		for n := range p.count(s) {
			stages[p.curve.segment(p.share(ID{s, n})).stage].Shoppers++
		}
	}
	return stages
}

// RateAt returns the planned arrivals per second at m, without bursts; 0
// outside the plan.
func (p *Plan) RateAt(m Mark) float64 {
	i := p.curve.stageAt(m)
	if i < 0 {
		return 0
	}
	s, from, to := p.Campaign.Crowd.Stages[i], p.curve.marks[i], p.curve.marks[i+1]
	rate := s.From + (s.To-s.From)*float64(m-from)/float64(to-from)
	return rate * p.perRate()
}

// perRate returns the arrivals per second that a rate of 1 in the campaign
// stands for in this plan.
func (p *Plan) perRate() float64 {
	return float64(p.Shoppers) / p.curve.area * p.Factors.Compress
}

// StageAt returns the name of the stage at m; the last one's from its end on.
func (p *Plan) StageAt(m Mark) string {
	stages := p.Campaign.Crowd.Stages
	i := p.curve.stageAt(m)
	if i < 0 {
		i = len(stages) - 1
	}
	return stages[i].Name
}

// peak returns the highest rate of the plan, bursts included, and the stage it
// is reached in.
func (p *Plan) peak() (perSecond float64, stage string) {
	for _, s := range p.curve.segments {
		if r := max(s.a, s.b) * p.perRate(); r > perSecond {
			perSecond, stage = r, p.Campaign.Crowd.Stages[s.stage].Name
		}
	}
	return perSecond, stage
}

// count returns how many shoppers a slot has.
func (p *Plan) count(s Slot) uint32 {
	if s >= Slots {
		return 0
	}
	n := p.Shoppers / Slots
	if uint64(s) < p.Shoppers%Slots {
		n++
	}
	return uint32(n)
}

// share returns where the shopper stands in the cumulative curve, of 2^64:
// its own uniform draw, which makes the crowd a Poisson process with a known
// count, or its place in the golden-ratio sequence, which is evenly spaced for
// every prefix of the crowd.
func (p *Plan) share(id ID) uint64 {
	if p.Campaign.Crowd.Process == Uniform {
		return (uint64(id.Number)*Slots+uint64(id.Slot))*golden + p.offset
	}
	return p.draws.bits(id, 0, forArrival)
}

// At returns the moment at which a shopper is due.
func (p *Plan) At(id ID) Mark {
	u := p.share(id)
	return p.curve.segment(u).at(u)
}

// Count returns how many shoppers of slot s arrive in [from, to).
func (p *Plan) Count(s Slot, from, to Mark) int {
	count := 0
	for n := range p.count(s) {
		if at := p.At(ID{s, n}); from <= at && at < to {
			count++
		}
	}
	return count
}

// Arrivals yields the shoppers of slot s that are due at from or later, in the
// order of their arrivals; those of one instant by their numbers. It holds the
// whole slot while it is read, about 20 bytes for each shopper.
func (p *Plan) Arrivals(s Slot, from Mark) iter.Seq[Arrival] {
	return func(yield func(Arrival) bool) {
		due := p.arrivals(s)
		first, _ := slices.BinarySearchFunc(due, from, func(a Arrival, m Mark) int { return cmp.Compare(a.At, m) })
		for _, a := range due[first:] {
			if !yield(a) {
				return
			}
		}
	}
}

// arrivals returns a slot's arrivals in order. Whatever the curve, the shares
// are spread evenly, so putting each into one of as many buckets as there are
// shoppers leaves next to nothing to sort; slices.SortFunc takes five times as
// long.
func (p *Plan) arrivals(s Slot) []Arrival {
	n := p.count(s)
	if n == 0 {
		return nil
	}
	width := bits.Len32(n)
	bucket := func(u uint64) uint64 { return u >> (64 - width) }
	next := make([]uint32, 1<<width+1) // where a bucket's next arrival goes
	for i := range n {
		next[bucket(p.share(ID{s, i}))+1]++
	}
	for b := 1; b < len(next); b++ {
		next[b] += next[b-1]
	}
	due := make([]Arrival, n)
	for i := range n {
		id := ID{s, i}
		u := p.share(id)
		due[next[bucket(u)]] = Arrival{id, p.curve.segment(u).at(u)}
		next[bucket(u)]++
	}
	for i := 1; i < len(due); i++ {
		for j := i; j > 0 && due[j].before(due[j-1]); j-- {
			due[j], due[j-1] = due[j-1], due[j]
		}
	}
	return due
}

func (a Arrival) before(b Arrival) bool {
	return a.At < b.At || a.At == b.At && a.ID.Number < b.ID.Number
}

// Warnings says what makes the replay less faithful than it looks, for people.
func (p *Plan) Warnings() []string {
	var longest time.Duration
	var journey string
	for _, w := range p.Campaign.Crowd.Journeys {
		steps := len(script(w.Name, int(p.Campaign.Crowd.Turns.Median)))
		if d := pace(p.think.mean(), p.Factors.Pace) * time.Duration(steps-1); w.Share > 0 && d > longest {
			longest, journey = d, w.Name
		}
	}
	var warnings []string
	for i, s := range p.Campaign.Crowd.Stages {
		length := p.curve.marks[i+1] - p.curve.marks[i]
		if s.From+s.To > 0 && longest > length {
			warnings = append(warnings, fmt.Sprintf(
				"stage %s lasts %v, but the think times of %s journey add up to about %v: its load smears into the stages after it (a pace of %.2g would fit)",
				s.Name, length, journey, longest.Round(time.Millisecond), p.Factors.Pace*float64(length)/float64(longest)/2))
		}
	}
	return warnings
}
