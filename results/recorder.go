package results

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// A Recorder folds the facts of one worker into snapshots. Facts are added in
// the order in which they were emitted, and a cut falls between two of them.
// It is not safe for concurrent use.
type Recorder struct {
	worker string
	table  *table
	emit   func(*Metric, Tags, int64)
	lines  timeline
	skips  skips
	proof  evidence
	takes  takeovers
	next   Snapshot // what is not kept in the fields above
}

// NewRecorder returns a recorder for the worker with that id.
func NewRecorder(worker string) *Recorder {
	r := &Recorder{
		worker: worker,
		table:  newTable(),
		lines:  timeline{},
		skips:  skips{},
		proof:  evidence{},
		takes:  takeovers{},
	}
	r.emit = r.table.observe
	return r
}

// Add folds one fact. Text that came from a backend is cut to what a snapshot
// may carry and made valid UTF-8, so that no answer can make one unreadable.
func (r *Recorder) Add(f Fact) {
	f.Observe(r.emit)
	switch f := f.(type) {
	case Launch:
		r.next.Launched++
		r.pass(f) // a cut may come before the next mark
		if f.Hole > 0 {
			r.takes.of(f.Grant).Late++
		}
		if f.Again {
			r.takes.of(f.Grant).Again++
		}
		r.next.Sum = r.next.Sum.Add(f.Hash)
		r.lines.at(second(f.At+f.Outside)).Launched++
	case Step:
		s := r.lines.at(second(f.At))
		s.Requests++
		if f.Outcome != OK {
			s.Failed++
		}
		if f.Held {
			r.takes.of(0).Late++
		}
		if f.Example != nil {
			r.example(*f.Example)
		}
	case End:
		r.next.Ended++
		r.lines.at(second(f.At)).Ended++
	case Promise:
		if f.Known && f.Kind == OrderPromise {
			r.lines.at(second(f.At)).Orders++
		}
		f.Key, f.ID = clip(f.Key, maxID), clip(f.ID, maxID)
		f.Coupon, f.User, f.Currency = clip(f.Coupon, maxID), clip(f.User, maxID), clip(f.Currency, maxName)
		r.next.Ledger = append(r.next.Ledger, f)
	case Mark:
		for _, k := range f.Skips {
			k.Reason = clip(k.Reason, maxName)
			r.skips.add(k)
		}
		for _, t := range f.Takeovers {
			r.takes.of(t.Grant).Never += t.Never
		}
		r.next.Lapses = append(r.next.Lapses, f.Lapses...)
		r.next.Frontier = max(r.next.Frontier, f.Frontier)
		r.next.Grant, r.next.Holes = f.Grant, slices.Clone(f.Holes)
		r.next.Applied = append(r.next.Applied, f.Applied...)
	}
}

// pass moves the frontier past a launch, or the hole that it fills.
func (r *Recorder) pass(l Launch) {
	if l.Hole == 0 {
		r.next.Frontier = max(r.next.Frontier, l.At+1)
		return
	}
	for i := range r.next.Holes {
		if h := &r.next.Holes[i]; h.ID == l.Hole {
			h.From = min(max(h.From, l.At+1), h.To)
		}
	}
}

// example keeps e if it is among the slowest of its kind since the last cut.
func (r *Recorder) example(e Example) {
	for _, s := range []*string{&e.Shopper, &e.Trace, &e.Why} {
		*s = clip(*s, maxID)
	}
	e.Request, e.Response = clip(e.Request, maxEvidence), clip(e.Response, maxEvidence)
	r.proof.add(e)
}

// Cut returns what was added since the last cut, as snapshot seq, cut at plan
// time at. The snapshot shares nothing with the recorder. The caller sets
// Final on the last one.
func (r *Recorder) Cut(seq uint64, at time.Duration, h Health) Snapshot {
	s := r.next
	s.Format, s.Worker, s.Seq = SnapshotFormat, r.worker, seq
	s.Cut, s.Health = at, h
	s.Series, s.Seconds, s.Skips = r.table.series(), r.lines.sorted(), r.skips.sorted()

	if len(r.proof) > 0 {
		s.Examples = r.proof.shown()
	}
	s.Takeovers = r.takes.sorted()

	r.table.reset()
	clear(r.lines)
	clear(r.skips)
	clear(r.proof)
	clear(r.takes)
	r.next = Snapshot{Frontier: s.Frontier, Grant: s.Grant, Holes: slices.Clone(s.Holes)}
	if n := len(s.Ledger); n > 0 { // the next second promises about as much
		r.next.Ledger = make([]Promise, 0, n)
	}
	return s
}

// second returns the second of plan time that at falls into; before the start
// they are negative.
func second(at time.Duration) int64 {
	s := int64(at / time.Second)
	if at%time.Second < 0 {
		s--
	}
	return s
}

// clip returns s as valid UTF-8 of at most limit bytes.
func clip(s string, limit int) string {
	if len(s) <= limit && utf8.ValidString(s) {
		return s
	}
	const more = "…"
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit-len(more)], "?") + more
	}
	return strings.ToValidUTF8(s, "?")
}
