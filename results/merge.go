package results

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Bounds on what all snapshots of a run may add up to, so that no worker can
// grow the merger's memory at will.
const (
	maxSeries  = 1 << 14
	maxSeconds = 1 << 19 // six days
	maxSkips   = 1 << 12 // stages × reasons
	maxMoves   = 1 << 18 // takeovers, lapses, and versions of spans
)

// A Merger folds the snapshots of all workers into a Run. The order in which
// they come, and how often, does not matter. The ledger is not kept: whoever
// stores snapshots stores it. A Merger is not safe for concurrent use.
type Merger struct {
	about   About
	table   *table
	lines   timeline
	skips   skips
	workers map[string]*tally
	proof   evidence
	load    Sum128
	cut     time.Duration
	stopped string
	moves   int // what fleets keep of changes: see maxMoves
	barred  []Barred
	apart   Apart
}

// tally is what the snapshots of one worker add up to.
type tally struct {
	Worker
	through uint64          // every sequence up to here was seen
	beyond  map[uint64]bool // and these, after a gap
	last    uint64          // the highest of them
	note    WorkerNote
	moves
}

// Acceptance says what became of a snapshot.
type Acceptance uint8

const (
	Accepted  Acceptance = iota + 1
	Duplicate            // already seen, by (Worker, Seq): nothing changed
)

// NewMerger returns a merger for the run that about describes.
func NewMerger(about About) *Merger {
	return &Merger{
		about:   about,
		table:   newTable(),
		lines:   timeline{},
		skips:   skips{},
		workers: map[string]*tally{},
		proof:   evidence{},
	}
}

// Add merges s into the run. Order does not matter, and a snapshot already
// seen, by (Worker, Seq), is reported as Duplicate and changes nothing.
//
// An error means that s is not a snapshot that a Recorder cut, or would grow
// the run beyond any campaign; then nothing changed either. Doubts that do not
// stop the merge (gaps, ends without launches) end up in Run.Warnings.
func (m *Merger) Add(s Snapshot) (Acceptance, error) {
	err := s.check()
	if err == nil {
		err = m.Admit(s)
	}
	if err != nil {
		return 0, fmt.Errorf("merge snapshot %d of worker %.12s: %w", s.Seq, s.Worker, err)
	}
	w := m.worker(s.Worker)
	if !w.see(s.Seq) {
		return Duplicate, nil
	}
	w.Snapshots++
	w.Launched += s.Launched
	w.Ended += s.Ended
	w.CPU, w.RSS = max(w.CPU, s.Health.CPU), max(w.RSS, s.Health.RSS)
	if len(s.Series) > 0 { // its start, before any shopper came, is nobody's measurement
		w.Throttled, w.Stalled = max(w.Throttled, s.Health.Throttled), max(w.Stalled, s.Health.Stalled)
	}
	w.Finished = w.Finished || s.Final
	m.moves += w.moved(&s)

	for _, from := range s.Series {
		to := m.table.cell(MetricByName(from.Metric), from.Tags)
		to.count += from.Count
		to.good += from.Good
		to.hist.Merge(from.Hist)
	}
	for _, sec := range s.Seconds {
		m.lines.add(sec)
	}
	for _, skip := range s.Skips {
		m.skips.add(skip)
	}
	for _, e := range s.Examples {
		m.proof.add(e)
	}
	m.load = m.load.Add(s.Sum)
	m.cut = max(m.cut, s.Cut)
	return Accepted, nil
}

// Admit says why s, which DecodeSnapshot took, can't be added: it would grow the
// run beyond any campaign. Whoever stores snapshots asks before it does.
func (m *Merger) Admit(s Snapshot) error {
	series, seconds := m.table.size, len(m.lines)
	for _, v := range s.Series {
		if !m.table.has(MetricByName(v.Metric), v.Tags) {
			series++
		}
	}
	for _, v := range s.Seconds {
		if m.lines[v.At] == nil {
			seconds++
		}
	}
	switch {
	case series > maxSeries:
		return fmt.Errorf("the run would have %d series: at most %d", series, maxSeries)
	case seconds > maxSeconds:
		return fmt.Errorf("the run would have %d seconds: at most %d", seconds, maxSeconds)
	case len(m.skips)+len(s.Skips) > maxSkips:
		return fmt.Errorf("the run would have more than %d reasons why shoppers never start", maxSkips)
	case m.moves+len(s.Takeovers)+len(s.Lapses) >= maxMoves:
		return fmt.Errorf("the run would have more than %d changes of its fleet", maxMoves)
	}
	return nil
}

// see notes that sequence seq came, and reports whether it is new.
func (w *tally) see(seq uint64) bool {
	if seq <= w.through || w.beyond[seq] {
		return false
	}
	w.beyond[seq] = true
	w.last = max(w.last, seq)
	for w.beyond[w.through+1] {
		w.through++
		delete(w.beyond, w.through)
	}
	return true
}

// missing is how many sequences before the last never came.
func (w *tally) missing() uint64 { return w.last - w.through - uint64(len(w.beyond)) }

// Worker notes what the coordinator knows of a worker; the last note stands.
// Once a fate is given, the shoppers it launched that have not ended are
// orphaned and no longer in flight.
func (m *Merger) Worker(id string, n WorkerNote) {
	w := m.worker(id)
	w.Name, w.Slots, w.Fate, w.note = n.Name, n.Slots, n.Fate, n
	w.Clocks = n.Clocks
}

func (m *Merger) worker(id string) *tally {
	w := m.workers[id]
	if w == nil {
		w = &tally{Worker: Worker{ID: id, Name: fmt.Sprintf("%.12s", id)}, beyond: map[uint64]bool{}, moves: newMoves()}
		m.workers[id] = w
	}
	return w
}

// Skip counts planned shoppers that will never start, where the coordinator is
// the only one to know.
func (m *Merger) Skip(s Skip) { m.skips.add(s) }

// Stop notes why load ended before its plan did. The first reason stands.
func (m *Merger) Stop(why string) { m.stopped = cmp.Or(m.stopped, why) }

// Run returns the run as merged so far. It shares nothing with the merger, and
// is cheap enough to be asked for each second.
func (m *Merger) Run() *Run {
	r := &Run{
		About:    m.about,
		Account:  Account{Planned: m.about.Planned, Ended: map[Outcome]uint64{}, NeverStarted: m.skips.sorted()},
		Load:     m.load,
		Series:   m.table.series(),
		Seconds:  m.lines.sorted(),
		Stopped:  m.stopped,
		Cut:      m.cut,
		Barred:   append([]Barred{}, m.barred...),
		Apart:    m.apart,
		Warnings: []string{},
	}
	r.Stages = slices.Clone(m.about.Stages)
	for _, o := range Outcomes() {
		if n := r.Count(ShoppersEnded, Tags{Outcome: o.String()}); n > 0 {
			r.Account.Ended[o] = n
		}
	}
	r.Account.Late = r.Count(ShoppersLate, Tags{})
	for _, w := range m.workers {
		r.settle(w)
	}
	slices.SortFunc(r.Workers, func(a, b Worker) int { // worker-2 before worker-10
		return cmp.Or(cmp.Compare(len(a.Name), len(b.Name)), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	for _, s := range r.Series {
		if n := s.Hist.Negative(); n > 0 {
			r.Warnings = append(r.Warnings, fmt.Sprintf("%s: %d values below zero, counted as 0", s.Metric, n))
		}
	}
	slices.Sort(r.Warnings)
	r.Examples = m.proof.shown()
	r.Changes = m.changes()
	return r
}

// settle enters one worker and its shoppers without an end into the account.
func (r *Run) settle(w *tally) {
	v := w.Worker
	if v.Ended > v.Launched {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s: %d shoppers ended and only %d were launched", v.Name, v.Ended, v.Launched))
	}
	open := v.Launched - min(v.Ended, v.Launched)
	if v.Fate != "" || v.Finished {
		v.Orphaned = open
		r.Account.Orphaned += open
	} else {
		r.Account.InFlight += open
	}
	if n := w.missing(); n > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s: %d of %d snapshots never came", v.Name, n, w.last))
		r.Account.Missing += n
	}
	v.Upsets = append([]Upset{}, v.Upsets...)
	r.Workers = append(r.Workers, v)
}
