package results

import (
	"iter"
	"maps"
	"slices"
)

// matching yields the series of m whose tags match sel.
func (r *Run) matching(m *Metric, sel Tags) iter.Seq[*Series] {
	return func(yield func(*Series) bool) {
		for i := range r.Series {
			s := &r.Series[i]
			if s.Metric == m.Name && s.Tags.Match(sel) && !yield(s) {
				return
			}
		}
	}
}

// Trend merges the series of m whose tags match sel; an empty field of sel
// matches all. It is never nil, and the caller's own.
func (r *Run) Trend(m *Metric, sel Tags) *Histogram {
	h := &Histogram{}
	for s := range r.matching(m, sel) {
		h.Merge(s.Hist)
	}
	return h
}

// Count adds up the series of the counter m that match sel.
func (r *Run) Count(m *Metric, sel Tags) (n uint64) {
	for s := range r.matching(m, sel) {
		n += s.Count
	}
	return n
}

// Rate adds up the series of the rate m that match sel. The ratio is good /
// total; a total of 0 means that nothing was measured.
func (r *Run) Rate(m *Metric, sel Tags) (good, total uint64) {
	for s := range r.matching(m, sel) {
		good += s.Good
		total += s.Count
	}
	return good, total
}

// Tagged lists the values of a dimension ("stage", "step", "outcome", "persona"
// or "journey") under which m measured something, sorted.
func (r *Run) Tagged(m *Metric, dimension string) []string {
	seen := map[string]bool{}
	for s := range r.matching(m, Tags{}) {
		if v := s.Tags.Value(dimension); v != "" {
			seen[v] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// Launched is how many shoppers arrived.
func (r *Run) Launched() (n uint64) {
	for _, w := range r.Workers {
		n += w.Launched
	}
	return n
}
