package results

import (
	"cmp"
	"maps"
	"slices"
)

// table holds series while they grow: a recorder's since its last cut, a
// merger's since the start.
type table struct {
	groups map[Tags]*group
	recent [4]*group // facts come in runs of the same few tags
	oldest int
	size   int
}

// group is the series that share tags. They are few, so finding one is a walk;
// a map keyed by metric and tags took twice as long for each fact.
type group struct {
	tags  Tags
	cells []*cell
}

type cell struct {
	metric      *Metric
	count, good uint64
	hist        Histogram
}

func newTable() *table { return &table{groups: map[Tags]*group{}} }

// cell returns the cell of m under t, and makes it where there is none.
func (b *table) cell(m *Metric, t Tags) *cell {
	g := b.group(t)
	if g == nil {
		g = &group{tags: t}
		b.groups[t] = g
	}
	for _, c := range g.cells {
		if c.metric == m {
			return c
		}
	}
	c := &cell{metric: m}
	g.cells = append(g.cells, c)
	b.size++
	return c
}

func (b *table) group(t Tags) *group {
	for _, g := range b.recent {
		if g != nil && g.tags == t {
			return g
		}
	}
	g := b.groups[t]
	if g != nil {
		b.recent[b.oldest] = g
		b.oldest = (b.oldest + 1) % len(b.recent)
	}
	return g
}

// has reports whether there is a series of m under t.
func (b *table) has(m *Metric, t Tags) bool {
	g := b.group(t)
	return g != nil && slices.ContainsFunc(g.cells, func(c *cell) bool { return c.metric == m })
}

// observe folds one value as Fact.Observe emits it.
func (b *table) observe(m *Metric, t Tags, value int64) {
	c := b.cell(m, t)
	switch m.Kind {
	case Trend:
		c.hist.Record(value)
	case Counter:
		c.count += uint64(max(value, 0))
	case Rate:
		c.count++
		if value > 0 {
			c.good++
		}
	}
}

// series returns copies of the series that hold something, sorted.
func (b *table) series() []Series {
	all := make([]Series, 0, b.size)
	for _, g := range b.groups {
		for _, c := range g.cells {
			s := Series{Metric: c.metric.Name, Tags: g.tags, Count: c.count, Good: c.good}
			if c.hist.count > 0 {
				s.Hist = c.hist.Clone()
			}
			if s.Count > 0 || s.Hist != nil {
				all = append(all, s)
			}
		}
	}
	slices.SortFunc(all, func(a, b Series) int {
		return cmp.Or(cmp.Compare(a.Metric, b.Metric), a.Tags.compare(b.Tags))
	})
	return all
}

// reset empties every series and keeps its memory: the next second has much the same.
func (b *table) reset() {
	for _, g := range b.groups {
		for _, c := range g.cells {
			c.count, c.good = 0, 0
			c.hist.reset()
		}
	}
}

func (t Tags) compare(u Tags) int {
	return cmp.Or(
		cmp.Compare(t.Stage, u.Stage), cmp.Compare(t.Step, u.Step), cmp.Compare(t.Outcome, u.Outcome),
		cmp.Compare(t.Persona, u.Persona), cmp.Compare(t.Journey, u.Journey))
}

// skips counts shoppers that never start, by stage and reason.
type skips map[Skip]uint64 // keys have no count

func (k skips) add(s Skip) { k[Skip{Stage: s.Stage, Reason: s.Reason}] += s.Count }

func (k skips) sorted() []Skip {
	all := make([]Skip, 0, len(k))
	for s, n := range k {
		s.Count = n
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Skip) int {
		return cmp.Or(cmp.Compare(a.Stage, b.Stage), cmp.Compare(a.Reason, b.Reason))
	})
	return all
}

// timeline is seconds of plan time by their number.
type timeline map[int64]*Second

func (l timeline) at(second int64) *Second {
	s := l[second]
	if s == nil {
		s = &Second{At: second}
		l[second] = s
	}
	return s
}

func (l timeline) add(s Second) {
	t := l.at(s.At)
	t.Launched += s.Launched
	t.Ended += s.Ended
	t.Orders += s.Orders
	t.Requests += s.Requests
	t.Failed += s.Failed
}

func (l timeline) sorted() []Second {
	all := make([]Second, 0, len(l))
	for _, at := range slices.Sorted(maps.Keys(l)) {
		all = append(all, *l[at])
	}
	return all
}
