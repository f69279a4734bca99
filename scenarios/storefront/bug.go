package storefront

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
)

// A Bug is a fault that shops had in earnest, planted on purpose: whoever looks
// for such faults is tried on it. The books still say what was really done.
//
// A bug stands beside the code that is right, in a bug_*.go, and puts itself
// before a coupons, a checkout or a ledger. Nothing there knows of bugs.
type Bug struct {
	Name   string `json:"name"`
	Does   string `json:"does"`   // in a sentence
	Breaks string `json:"breaks"` // the invariant, by the id that the audit has for it
	Source string `json:"source"` // where it was seen

	plant func(*site)
}

// Bugs lists the bugs there are, by what they break.
func Bugs() []Bug {
	return slices.Concat(orderBugs, keyBugs, claimBugs, pauseBugs, couponBugs, amountBugs, seatBugs)
}

// A site is where bugs are planted: a shop whose books are in a journal.
type site struct {
	*shop
	journal *journal
	options Options
}

// infest plants the bugs that o names.
func (s *shop) infest(o Options) error {
	var faults []error
	j, ok := s.books.(*journal)
	for _, name := range o.Bugs {
		at := slices.IndexFunc(Bugs(), func(b Bug) bool { return b.Name == name })
		switch {
		case at < 0:
			var names []string
			for _, b := range Bugs() {
				names = append(names, b.Name)
			}
			faults = append(faults, fmt.Errorf("no bug %q: there are %s", name, strings.Join(names, ", ")))
		case !ok:
			faults = append(faults, fmt.Errorf("bug %s: the design %s keeps no books on disk to plant it in", name, o.Design))
		default:
			j.loose = true // strict tables would refuse what the bug does
			Bugs()[at].plant(&site{s, j, o})
		}
	}
	return errors.Join(faults...)
}

// A lens is what a bug makes of the ledger that a write sees. It is new for
// each write, and t is the ledger as it really is.
type lens func(of ledger, t *tables, w *write) ledger

// look puts l before the lenses that are there.
func (s *site) look(l lens) { s.journal.lenses = append(s.journal.lenses, l) }

// seen is the ledger as w sees it.
func (j *journal) seen(t *tables, w *write) ledger {
	var l ledger = t
	for _, through := range j.lenses {
		l = through(l, t, w)
	}
	return l
}

// A share is every so manieth of something. The seed says which comes first.
type share struct {
	every int64
	count atomic.Int64
}

func (s *site) share(every int64) *share {
	h := &share{every: every}
	h.count.Store(int64(s.options.Seed % uint64(every)))
	return h
}

// hit counts one, and says whether it is of the share.
func (s *share) hit() bool { return s.count.Add(1)%s.every == 0 }
