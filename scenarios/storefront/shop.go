package storefront

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	currency  = "CNY"
	cardValue = 2500 // what a free-order card takes off at most, fen
	leastPaid = 1    // what is paid at least, fen: on the day, an order cost 0.01 yuan
)

// A status is a checkout session's, as UCP spells it; other protocols spell it
// their way. Nothing is missing from
// a session that was accepted, so it is ready from the start.
type status string

const (
	ready      status = "ready_for_complete"
	processing status = "complete_in_progress" // the payment is on its way
	completed  status = "completed"
	canceled   status = "canceled"
)

// A session is one checkout. It is a value: a change makes another one, and
// its slices are never written to.
type session struct {
	Number int64    `json:"n"` // from 1
	User   string   `json:"u"`
	Status status   `json:"s"`
	Lines  []line   `json:"l"`
	Codes  []string `json:"c,omitempty"` // discount codes as they were sent
	Coupon int64    `json:"d,omitempty"` // the one that is applied; 0: none
	Doubts []note   `json:"w,omitempty"` // why other codes are not
	Key    string   `json:"k,omitempty"` // idempotency key that completed it
	Paid   int64    `json:"p,omitempty"` // when, Unix ns
	Order  int64    `json:"o,omitempty"` // the number of its order

	Due      int64 `json:"e,omitempty"` // when the payment is decided, Unix ns; 0: it is not on its way
	Fails    bool  `json:"f,omitempty"` // how it will be decided
	Declined bool  `json:"x,omitempty"` // how the last one was, after a wait

	Delegated allowance `json:"g,omitzero"` // what a token for this session may take
}

// An allowance is a payment that was delegated: a token may take so much.
type allowance struct {
	Most int64 `json:"m"` // fen
	At   int64 `json:"t"` // when it was given, Unix ns
}

// A line is so many of an item.
type line struct {
	Item     int   `json:"i"` // place in the catalogue
	Quantity int64 `json:"q"`
	Owed     int64 `json:"o,omitempty"` // of a bill: what it is for, fen
}

// price returns what one of it costs, fen.
func (l line) price() int64 { return cmp.Or(l.Owed, catalogue[l.Item].price) }

func (l line) total() int64 { return l.price() * l.Quantity }

func (s *session) subtotal() int64 {
	var sum int64
	for _, l := range s.Lines {
		sum += l.total()
	}
	return sum
}

// discount is what the coupon takes off: at most its value, and never so much
// that nothing is left to pay.
func (s *session) discount() int64 {
	if s.Coupon == 0 {
		return 0
	}
	return min(cardValue, s.subtotal()-leastPaid)
}

func (s *session) total() int64 { return s.subtotal() - s.discount() }

// order returns the order that a completed session makes.
func (s *session) order() order {
	o := order{
		number: s.Order, session: s.Number, key: s.Key, user: s.User, coupon: s.Coupon,
		subtotal: s.subtotal(), discount: s.discount(), amount: s.total(), at: s.Paid,
	}
	for _, l := range s.Lines {
		if id := catalogue[l.Item].id; o.item == "" || o.item == id {
			o.item = id
			o.quantity += l.Quantity
		} else {
			o.item, o.quantity = "", 0
			break
		}
	}
	return o
}

// A claim asks for a coupon.
type claim struct {
	stock   string
	user    string
	request string // the same request is the same coupon
}

// A refusal is a clear no to a claim.
type refusal string

const (
	unknownStock refusal = "there is no such stock"
	soldOut      refusal = "the stock is used up"
	overLimit    refusal = "the user has as many coupons of this stock as one can have"
	paused       refusal = "the campaign is paused"
	ended        refusal = "the campaign is over"
	otherRequest refusal = "out_request_no was used for another claim"
)

// Error implements error.
func (r refusal) Error() string { return string(r) }

// A deed is what a write does to a session.
type deed int

const (
	create deed = iota
	replace
	delegate
	complete
	cancel
)

// A write is one request to change a session, decoded.
type write struct {
	deed        deed
	number      int64 // of the session; 0 when creating or when its id made no sense
	user        string
	key         string      // idempotency key
	fingerprint fingerprint // of everything that the key stands for
	lines       []wanted    // create, replace
	codes       []string
	recode      bool  // codes were sent, though perhaps none
	most        int64 // delegate: what the token may take, fen
	byToken     bool  // complete: paid with a delegated token
	token       int64 // the session that the token is for; 0: it makes no sense
	payment     payment
	at          time.Time
}

// A wanted is a line as it was asked for.
type wanted struct {
	id       string
	quantity int64
}

// A fingerprint tells requests apart that carry the same idempotency key.
type fingerprint [16]byte

// errConflict means that an idempotency key was used for something else.
var errConflict = errors.New("the idempotency key was used with another request")

// An answer is what a write came to. It is kept with its key, so that a
// repeated write is answered by the same.
type answer struct {
	Session session `json:"s"`           // Number 0: there is none to show
	Failure *note   `json:"f,omitempty"` // nil: it was done
}

// A note is one of UCP's messages.
type note struct {
	Code     string `json:"c"`
	Path     string `json:"p,omitempty"`
	Content  string `json:"t"`
	Severity string `json:"s,omitempty"` // of errors; warnings have none
}

// A ledger is what a write sees of the books, and how it changes them. Each
// design has its own; the caller makes its changes one atomic step.
type ledger interface {
	wallet
	till
	// session returns a session; false if there is none.
	session(number int64) (session, bool, error)
	// save keeps s and numbers it if it is new.
	save(s *session) error
}

// A till is what is sold.
type till interface {
	// left returns how many of an item can still be sold to a user. It is not
	// asked for goods.
	left(item int, user string) (int64, error)
	// number returns the number of the next order.
	number() (int64, error)
	// sell books the order of s and takes the seats and bills in it, of which
	// there are enough left.
	sell(s *session) error
	// refund makes the order of s void, and gives back what it took: seats,
	// bills and the coupon.
	refund(s *session) error
}

// A wallet is the coupons that were issued.
type wallet interface {
	// coupon returns a coupon; false if there is none.
	coupon(number int64) (coupon, bool, error)
	// redeem spends a coupon on the session's order at a time; false if it is
	// spent, or not valid then.
	redeem(number int64, on *session, at time.Time) (bool, error)
}

// decide carries out w on the books by the rules of the shop.
func decide(w *write, books ledger) (answer, error) {
	if w.deed == create {
		return open(w, books)
	}
	s, ok, err := books.session(w.number)
	switch {
	case err != nil:
		return answer{}, err
	case !ok || s.User != w.user:
		return answer{Failure: notFound()}, nil
	case s.Status != ready:
		return answer{s, &note{Code: "checkout_" + string(s.Status), Content: "the checkout is " + string(s.Status) + " and can't be changed", Severity: "unrecoverable"}}, nil
	}
	switch w.deed {
	case replace:
		lines, gone, err := resolve(w, books)
		if err != nil {
			return answer{}, err
		}
		if gone != nil {
			return answer{s, gone}, nil
		}
		if len(lines) > 0 { // a protocol may have them left out
			s.Lines = lines
		}
		if w.recode {
			s.Codes = w.codes
		}
		if err := s.discounted(books, w.at); err != nil {
			return answer{}, err
		}
	case delegate:
		s.Delegated = allowance{w.most, w.at.UnixNano()}
	case complete:
		if w.byToken && (w.token != s.Number || s.Delegated.Most < s.total()) {
			return answer{s, &note{Code: "payment_declined", Path: "$.payment_data", Content: "the token is for another checkout or for less than the total", Severity: "recoverable"}}, nil
		}
		if gone, err := short(s.Lines, s.User, books); err != nil || gone != nil {
			return answer{s, gone}, err
		}
		if w.payment.fails && w.payment.wait == 0 {
			return answer{s, declined()}, nil
		}
		return pay(s, w, books)
	case cancel:
		s.Status = canceled
	}
	s.Declined = false
	return answer{Session: s}, books.save(&s)
}

// pay sells what is in a session. Where the payment takes its time, the order
// is booked and nobody is told before it has come: see settle.
func pay(s session, w *write, books ledger) (a answer, err error) {
	if s.Order, err = books.number(); err != nil {
		return answer{}, err
	}
	if s.Coupon != 0 {
		ok, err := books.redeem(s.Coupon, &s, w.at)
		if err != nil {
			return answer{}, err
		}
		if !ok {
			s.Order = 0
			return reprice(s, books, w.at)
		}
	}
	s.Status, s.Key, s.Paid, s.Declined = completed, w.key, w.at.UnixNano(), false
	if w.payment.wait > 0 {
		s.Status, s.Due, s.Fails = processing, w.at.Add(w.payment.wait).UnixNano(), w.payment.fails
	}
	if err := books.sell(&s); err != nil {
		return answer{}, err
	}
	return answer{Session: s}, books.save(&s)
}

// settle decides a payment that was on its way. If it fails, the order is void
// and the checkout as it was before, with its coupon.
func settle(s session, books ledger) error {
	s.Status, s.Due = completed, 0
	if s.Fails {
		if err := books.refund(&s); err != nil {
			return err
		}
		s.Status, s.Order, s.Key, s.Paid, s.Fails, s.Declined = ready, 0, "", 0, false, true
	}
	return books.save(&s)
}

func declined() *note {
	return &note{Code: "payment_declined", Path: "$.payment", Content: "the payment was declined; try another one", Severity: "recoverable"}
}

// open makes a new session.
func open(w *write, books ledger) (answer, error) {
	lines, gone, err := resolve(w, books)
	if err != nil {
		return answer{}, err
	}
	if gone != nil {
		gone.Severity = "unrecoverable" // there is no session to mend
		return answer{Failure: gone}, nil
	}
	s := session{User: w.user, Status: ready, Lines: lines, Codes: w.codes}
	if err := s.discounted(books, w.at); err != nil {
		return answer{}, err
	}
	err = books.save(&s)
	return answer{Session: s}, err
}

// reprice takes the coupon off a session that could not be completed because
// another order has spent it: nobody is charged a price that was not shown.
func reprice(s session, books ledger, at time.Time) (answer, error) {
	if err := s.discounted(books, at); err != nil {
		return answer{}, err
	}
	failure := &note{Code: "discount_code_invalid", Path: "$.discounts.codes", Content: "the coupon was spent on another order; the total has changed", Severity: "recoverable"}
	return answer{s, failure}, books.save(&s)
}

func notFound() *note {
	return &note{Code: "not_found", Content: "there is no such checkout session", Severity: "unrecoverable"}
}

// discounted applies the first code that is a free coupon of the user, and
// notes what is wrong with the others. No coupon pays a bill.
func (s *session) discounted(books ledger, at time.Time) error {
	s.Coupon, s.Doubts = 0, nil
	for i, code := range s.Codes {
		doubt := func(reason, content string) {
			s.Doubts = append(s.Doubts, note{Code: "discount_code_" + reason, Path: "$.discounts.codes[" + strconv.Itoa(i) + "]", Content: content})
		}
		number := couponNumber(code)
		c, ok, err := books.coupon(number)
		switch {
		case err != nil:
			return err
		case !ok:
			doubt("invalid", "there is no such coupon")
		case c.user != s.User:
			doubt("user_ineligible", "the coupon belongs to another user")
		case c.order != 0:
			doubt("invalid", "the coupon was spent on another order")
		case at.UnixNano() < c.from:
			doubt("invalid", "the coupon is not valid yet")
		case !c.valid(at):
			doubt("expired", "the coupon is not valid any more")
		case slices.ContainsFunc(s.Lines, func(l line) bool { return catalogue[l.Item].kind == bill }):
			doubt("invalid", "a bill is paid without a coupon")
		case s.Coupon == number:
			doubt("already_applied", "the coupon is applied already")
		case s.Coupon != 0:
			doubt("combination_disallowed", "an order takes one coupon")
		default:
			s.Coupon = number
		}
	}
	return nil
}

// Ids are numbers in dress.
const (
	sessionPrefix = "chk_"
	orderPrefix   = "ord_"
	linePrefix    = "li_"
	tokenPrefix   = "vt_"
	firstCoupon   = 1_000_000_000 // coupon ids are digits, as WeChat Pay's are
)

// sessionNumber returns the number behind a session's id, or 0.
func sessionNumber(id string) int64 { return numberOf(id, sessionPrefix) }

// numberOf returns the number behind an id with a prefix, or 0.
func numberOf(id, prefix string) int64 {
	digits, ok := strings.CutPrefix(id, prefix)
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil {
		return 0
	}
	return max(0, n)
}

// couponNumber returns the number behind a coupon's id, or 0.
func couponNumber(id string) int64 {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return 0
	}
	return max(0, n-firstCoupon)
}

func appendCoupon(b []byte, number int64) []byte {
	return strconv.AppendInt(b, firstCoupon+number, 10)
}
