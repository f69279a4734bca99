package results

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// A Takeover counts the shoppers of one grant whom the fleet did not launch as
// if nothing had happened. Grant is the version of their owner's spans with which
// they came, or 0 of those whom a lapse of the owner's own lease held back.
type Takeover struct {
	Grant uint64 `cbor:"1,keyasint,omitempty"`
	Late  uint64 `cbor:"2,keyasint,omitempty"` // due before they could be launched
	Again uint64 `cbor:"3,keyasint,omitempty"` // launched, as perhaps by an owner before: another attempt
	Never uint64 `cbor:"4,keyasint,omitempty"` // due too long before
}

// A Lapse is a time in which a worker launched nothing, because its lease had
// run out.
type Lapse struct {
	From time.Duration `cbor:"1,keyasint"` // plan time
	To   time.Duration `cbor:"2,keyasint"`
}

// WorkerNote is what only the coordinator knows of a worker. Moments are of plan
// time, and 0 for what was before the load began, or was not.
type WorkerNote struct {
	Name  string // as people say it: worker-1
	Slots int
	Fate  string // how it ended, in words; empty while it lives

	Joined   time.Duration     `json:",omitzero"` // it came in mid-run
	Full     uint64            `json:",omitzero"` // version of its spans with which it first had its share
	FullFrom time.Duration     `json:",omitzero"` // that share is its own from then
	Gone     time.Duration     `json:",omitzero"` // it asked to leave, or was ended
	Heirs    map[string]uint64 `json:",omitzero"` // who got what it had left, and with which version of the heir's spans
	Clocks   Clocks            `json:",omitzero"`
	Passed   time.Duration     `json:",omitzero"` // that is the heirs' from then; alone when nothing was left
}

// Kinds of changes.
const (
	Joined = "joined" // in mid-run
	Left   = "left"   // asked to go, and went
	Lost   = "lost"   // ended by the coordinator, or with its child
	Held   = "held"   // launched nothing, because its lease had run out
)

// A Change is a worker that came, went or stood still while the load ran, and
// what that did to the crowd. Its counts are of shoppers.
type Change struct {
	Worker string `json:"worker"` // as people say it
	ID     string `json:"id"`
	Kind   string `json:"kind"`
	Why    string `json:"why,omitempty"` // of a lost one: its fate

	// The window, in plan time: of a lost worker from its last stored word until
	// its slots were carried again; of one that left from its asking until then;
	// of one that joined from its first word until it had its share; of one that
	// was held from the first time to the end of the last. To is nil while that
	// is not so, or where it is not known.
	From time.Duration  `json:"from_ns"`
	To   *time.Duration `json:"to_ns"`

	Slots    int    `json:"slots_count"`
	Orphaned uint64 `json:"orphaned_count"`          // launched by it and without an end
	Again    uint64 `json:"taken_over_count"`        // launched by others as another attempt: it may have done so too
	Late     uint64 `json:"late_count"`              // launched late because of it
	Never    uint64 `json:"never_started_count"`     // not launched because of it
	Missing  uint64 `json:"missing_snapshots_count"` // of its own, before its last word
}

// takeovers are counted by grant.
type takeovers map[uint64]*Takeover

func (k takeovers) of(grant uint64) *Takeover {
	t := k[grant]
	if t == nil {
		t = &Takeover{Grant: grant}
		k[grant] = t
	}
	return t
}

func (k takeovers) sorted() []Takeover {
	var all []Takeover
	for _, grant := range slices.Sorted(maps.Keys(k)) {
		all = append(all, *k[grant])
	}
	return all
}

// moves are what the snapshots of a worker tell of how slots came and went.
type moves struct {
	since  map[uint64]time.Duration // the first cut with spans of that version in force
	takes  takeovers
	lapses []Lapse
	word   time.Duration // plan time of its last cut
}

func newMoves() moves { return moves{since: map[uint64]time.Duration{}, takes: takeovers{}} }

// moved enters a snapshot, and returns by how many entries that grew.
func (v *moves) moved(s *Snapshot) int {
	before := len(v.since) + len(v.takes) + len(v.lapses)
	v.word = max(v.word, s.Cut)
	if at, ok := v.since[s.Grant]; !ok || s.Cut < at {
		v.since[s.Grant] = s.Cut
	}
	for _, t := range s.Takeovers {
		sum := v.takes.of(t.Grant)
		sum.Late, sum.Again, sum.Never = sum.Late+t.Late, sum.Again+t.Again, sum.Never+t.Never
	}
	v.lapses = append(v.lapses, s.Lapses...)
	return len(v.since) + len(v.takes) + len(v.lapses) - before
}

// inForce is the plan time at which spans of a version, or a later one, were
// first in force; false if they never were.
func (v *moves) inForce(version uint64) (at time.Duration, ok bool) {
	for grant, cut := range v.since {
		if grant >= version && (!ok || cut < at) {
			at, ok = cut, true
		}
	}
	return at, ok
}

// changes lists what happened to the fleet.
func (m *Merger) changes() []Change {
	all := []Change{}
	for id, w := range m.workers {
		of := Change{Worker: w.Name, ID: id, Slots: w.Slots}
		if w.note.Joined > 0 {
			c := of
			c.Kind, c.From = Joined, w.note.Joined
			if at, ok := w.inForce(w.note.Full); ok && w.note.Full > 0 {
				c.To = new(max(at, w.note.FullFrom))
			}
			all = append(all, c)
		}
		if w.Fate != "" || w.note.Gone > 0 {
			c := of
			c.Kind, c.From = Left, w.note.Gone
			if w.Fate != "" {
				c.Kind, c.Why, c.From = Lost, w.Fate, max(w.word, 0)
				c.Orphaned = w.Launched - min(w.Ended, w.Launched)
			}
			c.Missing = w.missing()
			if at, ok := m.carried(w, len(m.workers)); ok {
				c.To = new(max(at, c.From))
			}
			for id, version := range w.note.Heirs {
				if heir := m.workers[id]; heir != nil {
					c.count(heir.takes[version])
				}
			}
			all = append(all, c)
		}
		if len(w.lapses) > 0 {
			c := of
			c.Kind, c.From, c.To = Held, w.lapses[0].From, new(w.lapses[0].To)
			for _, l := range w.lapses[1:] {
				c.From, *c.To = min(c.From, l.From), max(*c.To, l.To)
			}
			c.count(w.takes[0])
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.Worker, b.Worker), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Kind, b.Kind))
	})
	return all
}

func (c *Change) count(t *Takeover) {
	if t != nil {
		c.Late, c.Again, c.Never = c.Late+t.Late, c.Again+t.Again, c.Never+t.Never
	}
}

// carried is when others had what w left in force; where one of them went before
// that, when its own heirs had. Depth bounds what a false note could do.
func (m *Merger) carried(w *tally, depth int) (at time.Duration, ok bool) {
	at = w.note.Passed
	for id, version := range w.note.Heirs {
		heir := m.workers[id]
		if heir == nil {
			return 0, false
		}
		then, has := heir.inForce(version)
		if !has && depth > 0 {
			then, has = m.carried(heir, depth-1)
		}
		if !has {
			return 0, false
		}
		at = max(at, then)
	}
	return at, at > 0
}
