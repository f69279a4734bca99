package storefront

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// The null design does as little as a shop can while its answers are still
// true: every conversation gets the same 32 pieces, rendered beforehand, and
// the books are in memory. What it can't keep up with is the limit of net/http.

func buildNull(o Options) shop {
	m := newMemory(o)
	return shop{newInstant(o.Flushes), m, m, m}
}

// An instant is a chat that takes no time.
type instant struct {
	plain, withUsage, whole    []byte
	responses, wholeOfResponse []byte
	flushes                    int // the writes in which a stream leaves
}

const (
	instantPieces = 32
	instantPrompt = 128 // the input tokens that every usage tells
)

func newInstant(flushes int) *instant {
	words := slices.Repeat([]string{"珍珠", "奶茶", "一杯", "，", "少糖", "去冰", "，", "好的"}, instantPieces/8)
	u := usage{instantPrompt, instantPieces}
	render := func(f form) (streamed, whole []byte) {
		b := f.begin(nil)
		for _, w := range words {
			b = f.delta(b, w)
		}
		return f.end(b, u), f.whole(nil, strings.Join(words, ""), nil, u)
	}
	n := &instant{flushes: flushes}
	const created = 1770336000
	n.plain, n.whole = render(newCompletion("null", "null", created, false))
	n.withUsage, _ = render(newCompletion("null", "null", created, true))
	n.responses, n.wholeOfResponse = render(newResponse("null", "null", created))
	return n
}

// Reply implements chat.
func (n *instant) Reply(_ context.Context, a *ask, out *stream) error {
	rendered := n.plain
	switch {
	case !a.stream && a.items:
		return out.Whole(n.wholeOfResponse)
	case !a.stream:
		return out.Whole(n.whole)
	case a.items:
		rendered = n.responses
	case a.usage:
		rendered = n.withUsage
	}
	if n.flushes > 1 {
		return out.Pieces(rendered, n.flushes)
	}
	return out.Whole(rendered)
}

// A memory is books that end with the process. One lock guards them; each call
// is a step of its own. Entries are added and never changed, but for sessions,
// for coupons, which are spent, and for orders that turn out void.
type memory struct {
	options     Options
	from, until int64 // when coupons are valid, Unix ns

	mu       sync.Mutex
	issued   []coupon         // coupon n is at n-1
	claims   map[string]int64 // coupon of an out_request_no
	perUser  map[string]int64 // coupons a user has
	sessions []*session       // session n is at n-1; what it points to never changes
	orders   []order
	answers  map[string]kept
	redeemed int64
	sold     map[int]int64 // seats, by item
	paid     map[settled]bool
	pauses   []window
	due      []int64 // sessions whose payments are on their way, the earliest first
}

// settled is a bill of a user, paid.
type settled struct {
	item int
	user string
}

// kept is the answer that an idempotency key stands for. The session is shared
// with the books, which saves a third of the memory.
type kept struct {
	fingerprint fingerprint
	session     *session
	failure     *note
}

func newMemory(o Options) *memory {
	from, until := o.validity(time.Now())
	return &memory{options: o, from: from.UnixNano(), until: until.UnixNano(), claims: map[string]int64{}, perUser: map[string]int64{}, answers: map[string]kept{}, sold: map[int]int64{}, paid: map[settled]bool{}}
}

// Claim implements coupons.
func (m *memory) Claim(_ context.Context, c claim) (int64, error) {
	if c.stock != m.options.StockID {
		return 0, unknownStock
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now().UnixNano()
	switch n := m.claims[c.request]; {
	case n != 0 && m.issued[n-1].user != c.user:
		return 0, otherRequest
	case n != 0:
		return n, nil
	case m.pausedNow():
		return 0, paused
	case now >= m.until:
		return 0, ended
	case m.perUser[c.user] >= m.options.PerUser:
		return 0, overLimit
	case int64(len(m.issued)) >= m.options.Stock:
		return 0, soldOut
	}
	n := int64(len(m.issued)) + 1
	m.issued = append(m.issued, coupon{
		number: n, stock: c.stock, user: c.user, request: c.request, value: cardValue, at: now, from: m.from, until: m.until,
	})
	m.claims[c.request] = n
	m.perUser[c.user]++
	return n, nil
}

// Pause implements coupons.
func (m *memory) Pause(_ context.Context, paused bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now().UnixNano()
	switch {
	case paused && !m.pausedNow():
		m.pauses = append(m.pauses, window{from: now})
	case !paused && m.pausedNow():
		m.pauses = slices.Clone(m.pauses) // others may read the old ones
		m.pauses[len(m.pauses)-1].until = now
	}
	return nil
}

func (m *memory) pausedNow() bool { return len(m.pauses) > 0 && m.pauses[len(m.pauses)-1].until == 0 }

// settle decides the payments that are due; the lock is held.
func (m *memory) settle() {
	now := time.Now().UnixNano()
	for len(m.due) > 0 && m.sessions[m.due[0]-1].Due <= now {
		s := *m.sessions[m.due[0]-1]
		m.due = m.due[1:]
		_ = settle(s, memoryLedger{m}) // which has no errors
	}
}

// Write implements checkout.
func (m *memory) Write(_ context.Context, w write) (answer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settle()
	if k, ok := m.answers[w.key]; ok {
		if k.fingerprint != w.fingerprint {
			return answer{}, errConflict
		}
		a := answer{Failure: k.failure}
		if k.session != nil {
			a.Session = *k.session
		}
		return a, nil
	}
	l := memoryLedger{m}
	a, err := decide(&w, l)
	if err != nil {
		return a, err
	}
	k := kept{w.fingerprint, nil, a.Failure}
	if n := a.Session.Number; n > 0 {
		k.session = m.sessions[n-1]
	}
	m.answers[w.key] = k
	return a, nil
}

// Read implements checkout.
func (m *memory) Read(_ context.Context, number int64) (session, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settle()
	return memoryLedger{m}.session(number)
}

// Orders implements books.
func (m *memory) Orders(_ context.Context, yield func(order) error) error {
	m.mu.Lock()
	m.settle()
	orders := m.orders // a snapshot: entries don't change
	m.mu.Unlock()
	for _, o := range orders {
		if err := yield(o); err != nil {
			return err
		}
	}
	return nil
}

// Coupons implements books.
func (m *memory) Coupons(_ context.Context, yield func(coupon) error) error {
	m.mu.Lock()
	m.settle()
	issued := slices.Clone(m.issued)
	m.mu.Unlock()
	for _, c := range issued {
		if err := yield(c); err != nil {
			return err
		}
	}
	return nil
}

// Summary implements books.
func (m *memory) Summary(context.Context) (summary, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settle()
	s := summary{issued: int64(len(m.issued)), redeemed: m.redeemed, bills: int64(len(m.paid))}
	for place, it := range catalogue {
		if it.kind == seats {
			s.seats = append(s.seats, seating{it.id, m.options.Seats, m.sold[place]})
		}
	}
	s.stocks = []stock{{m.options.StockID, m.options.Stock, m.options.PerUser, m.until, m.pauses}}
	for _, o := range m.orders {
		if !o.void {
			s.orders++
			s.amount += o.amount
		}
	}
	return s, nil
}

// A memoryLedger is the books with the lock held.
type memoryLedger struct{ *memory }

func (l memoryLedger) session(number int64) (session, bool, error) {
	if number < 1 || number > int64(len(l.sessions)) {
		return session{}, false, nil
	}
	return *l.sessions[number-1], true, nil
}

func (l memoryLedger) coupon(number int64) (coupon, bool, error) {
	if number < 1 || number > int64(len(l.issued)) {
		return coupon{}, false, nil
	}
	return l.issued[number-1], true, nil
}

func (l memoryLedger) redeem(number int64, on *session, at time.Time) (bool, error) {
	c := &l.issued[number-1]
	if c.order != 0 || !c.valid(at) {
		return false, nil
	}
	c.order, c.redeemed, c.redeemer = on.Order, at.UnixNano(), on.User
	l.memory.redeemed++
	return true, nil
}

func (l memoryLedger) left(item int, user string) (int64, error) {
	switch {
	case catalogue[item].kind == seats:
		return l.options.Seats - l.sold[item], nil
	case l.paid[settled{item, user}]:
		return 0, nil
	}
	return 1, nil
}

func (l memoryLedger) save(s *session) error {
	if s.Number == 0 {
		s.Number = int64(len(l.sessions)) + 1
		l.memory.sessions = append(l.sessions, nil)
	}
	saved := *s
	l.sessions[s.Number-1] = &saved
	if s.Due != 0 {
		l.memory.due = append(l.due, s.Number)
	}
	return nil
}

func (l memoryLedger) number() (int64, error) { return int64(len(l.orders)) + 1, nil }

func (l memoryLedger) sell(s *session) error {
	l.memory.orders = append(l.orders, s.order())
	for _, line := range s.Lines {
		switch catalogue[line.Item].kind {
		case seats:
			l.sold[line.Item] += line.Quantity
		case bill:
			l.paid[settled{line.Item, s.User}] = true
		}
	}
	return nil
}

func (l memoryLedger) refund(s *session) error {
	l.memory.orders = slices.Clone(l.orders) // others may read the old ones
	l.orders[s.Order-1].void = true
	if s.Coupon != 0 {
		c := &l.issued[s.Coupon-1]
		c.order, c.redeemed, c.redeemer = 0, 0, ""
		l.memory.redeemed--
	}
	for _, line := range s.Lines {
		switch catalogue[line.Item].kind {
		case seats:
			l.sold[line.Item] -= line.Quantity
		case bill:
			delete(l.paid, settled{line.Item, s.User})
		}
	}
	return nil
}

var (
	_ chat     = (*instant)(nil)
	_ coupons  = (*memory)(nil)
	_ checkout = (*memory)(nil)
	_ books    = (*memory)(nil)
	_ ledger   = memoryLedger{}
)
