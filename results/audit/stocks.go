package audit

import (
	"fmt"
	"slices"
	"time"
)

// A stock is one campaign of coupons, and what was issued of it.
type stock struct {
	Stock
	issued int64
	times  []int64 // of the coupons issued, where their number is limited; sorted once all are read
}

// A seating is an item that is limited, and what was sold of it.
type seating struct{ seats, sold int64 }

// readTerms reads what the others are held against.
func (a *auditor) readTerms(b Books) error {
	if b.Stocks != nil {
		for s, err := range b.Stocks {
			if err == nil && a.stocks[s.ID] != nil {
				err = fmt.Errorf("stock %q stands there twice", s.ID)
			}
			if err != nil {
				return fmt.Errorf("read the stocks: %w", err)
			}
			a.stocks[s.ID] = &stock{Stock: s}
		}
	}
	if b.Seatings != nil {
		for s, err := range b.Seatings {
			if err == nil && a.seats[s.Item] != nil {
				err = fmt.Errorf("item %q stands there twice", s.Item)
			}
			if err != nil {
				return fmt.Errorf("read the seats: %w", err)
			}
			a.seats[s.Item] = &seating{seats: s.Seats}
		}
	}
	return nil
}

// issued counts a coupon for its stock, and asks whether it could be issued at
// that moment. Both are moments of the backend, so skew matters only between
// its machines.
func (l *look) issued(c Coupon) {
	s := l.stocks[c.Stock]
	l.found.held(issuedPaused, 1)
	if s == nil {
		l.found.undecided(issuedPaused, "coupon %s: of stock %q, of which the books say nothing", c.ID, c.Stock)
		l.found.undecided(stockOver, "coupon %s: of stock %q, of which the books say nothing", c.ID, c.Stock)
		return
	}
	s.issued++
	if s.Coupons > 0 {
		s.times = append(s.times, nanos(c.Issued))
	}
	if c.Issued.IsZero() {
		return
	}
	closed := s.Paused
	if !s.From.IsZero() {
		closed = append(slices.Clip(closed), Window{Until: s.From})
	}
	if !s.Until.IsZero() {
		closed = append(slices.Clip(closed), Window{From: s.Until})
	}
	near := false
	for _, w := range closed {
		if c.Issued.Before(w.From) || !w.Until.IsZero() && !c.Issued.Before(w.Until) {
			continue
		}
		if !c.Issued.Before(w.From.Add(l.Skew)) && (w.Until.IsZero() || c.Issued.Before(w.Until.Add(-l.Skew))) {
			l.found.broken(issuedPaused, 1, "coupon %s: issued at %s, and stock %s was closed %v", c.ID, c.Issued.UTC().Format(time.RFC3339Nano), c.Stock, w)
			return
		}
		near = true
	}
	if near {
		l.found.undecided(issuedPaused, "coupon %s: issued at %s, within %v of an end of a pause", c.ID, c.Issued.UTC().Format(time.RFC3339Nano), l.Skew)
	}
}

// String says it for people.
func (w Window) String() string {
	text := ""
	if !w.From.IsZero() {
		text = "from " + w.From.UTC().Format(time.RFC3339Nano)
	}
	if !w.Until.IsZero() {
		if text != "" {
			text += " "
		}
		text += "until " + w.Until.UTC().Format(time.RFC3339Nano)
	}
	return text
}

// closeStocks judges what only all coupons and sales can tell, and makes the
// times ready to be asked.
func (a *auditor) closeStocks() {
	for id, s := range a.stocks {
		slices.Sort(s.times)
		a.found.held(stockOver, uint64(s.issued))
		if s.Coupons > 0 && s.issued > s.Coupons {
			a.found.broken(stockOver, uint64(s.issued-s.Coupons), "stock %s: %d issued of %d", id, s.issued, s.Coupons)
		}
	}
	for item, s := range a.seats {
		a.found.held(seatsOver, uint64(max(s.sold, 0)))
		if s.sold > s.seats {
			a.found.broken(seatsOver, uint64(s.sold-s.seats), "%s: %d sold of %d", item, s.sold, s.seats)
		}
	}
}

// claimed returns the stock that a denied claim was about; nil if that can't be
// told.
func (a *auditor) claimed() *stock {
	if s := a.stocks[a.Stock]; s != nil {
		return s
	}
	if len(a.stocks) == 1 {
		for _, s := range a.stocks {
			return s
		}
	}
	return nil
}

// A truth is what the books say of a no.
type truth int

const (
	right truth = iota
	unsure
	wrong
)

// denied says whether a no was right that was decided between two moments:
// times, sorted, are those of what was issued, and from as many on as most it
// was right. What became right only meanwhile, or so soon afterwards that two
// clocks may disagree on it, is unsure.
func (a *auditor) denied(times []int64, most, from, to int64) truth {
	switch {
	case most == 0 || int64(len(times)) < most:
		return wrong
	case times[most-1] < from:
		return right
	case times[most-1] <= add(to, int64(a.Skew)):
		return unsure
	}
	return wrong
}

// soldOutPile looks at those who were told that the stock is used up.
func (l *look) soldOutPile(all string) error {
	s := l.claimed()
	for r := reader(all); r.more(); {
		r.kind()
		key, from, to := r.token(), r.number(), r.number()
		l.found.held(falseSoldOut, 1)
		if s == nil {
			l.found.undecided(falseSoldOut, "claim %s: which stock it was about can't be told", key)
			continue
		}
		switch l.denied(s.times, s.Coupons, from, to) {
		case right:
		case unsure:
			l.found.undecided(falseSoldOut, "claim %s: the last coupon went at about the time of its no, %s", key, stamp(to))
		case wrong:
			l.found.broken(falseSoldOut, 1, "claim %s: told so at %s, when %d of %d had been issued", key, stamp(to), issuedBy(s.times, to), s.Coupons)
		}
	}
	return nil
}

// issuedBy returns how many of the times are not after a moment.
func issuedBy(times []int64, at int64) int {
	n, _ := slices.BinarySearch(times, add(at, 1))
	return n
}

// A userFile is what is known of one user.
type userFile struct {
	stocks map[token][]int64 // when it got coupons, by stock
	noes   []no
}

// A no is a claim that was denied because the user has enough.
type no struct {
	key      token
	from, to int64
}

// usersPile looks at what shares a user.
func (l *look) usersPile(all string) error {
	files := newFiles[userFile](len(all) / 40)
	for r := reader(all); r.more(); {
		k, user := r.kind(), r.token()
		f := files.of(user)
		if k == deniedKind {
			f.noes = append(f.noes, no{r.token(), r.number(), r.number()})
			continue
		}
		if f.stocks == nil {
			f.stocks = make(map[token][]int64, 1)
		}
		id, at := r.token(), r.number()
		f.stocks[id] = append(f.stocks[id], at)
	}
	asked := l.claimed()
	for user, f := range files.all() {
		for id, times := range f.stocks {
			s, n := l.stocks[id.String()], int64(len(times))
			l.found.held(userOver, uint64(n))
			switch {
			case user == none:
				l.found.undecided(userOver, "%d coupons of stock %s are nobody's", n, id)
			case s == nil:
				l.found.undecided(userOver, "user %s: %d coupons of stock %s, of which the books say nothing", user, n, id)
			case s.PerUser > 0 && n > s.PerUser:
				l.found.broken(userOver, uint64(n-s.PerUser), "user %s: %d coupons of stock %s, which gives %d", user, n, id, s.PerUser)
			}
		}
		for _, d := range f.noes {
			l.found.held(falseLimit, 1)
			if asked == nil || user == none {
				l.found.undecided(falseLimit, "claim %s: whose it is, or which stock it was about, can't be told", d.key)
				continue
			}
			times := f.stocks[newToken(asked.ID)]
			slices.Sort(times)
			switch l.denied(times, asked.PerUser, d.from, d.to) {
			case right:
			case unsure:
				l.found.undecided(falseLimit, "claim %s: the user got the last coupon at about the time of its no, %s", d.key, stamp(d.to))
			case wrong:
				l.found.broken(falseLimit, 1, "claim %s: user %s was told so at %s, with %d of %d coupons", d.key, user, stamp(d.to), issuedBy(times, d.to), asked.PerUser)
			}
		}
	}
	return nil
}
