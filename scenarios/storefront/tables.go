package storefront

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const (
	// insertCoupon checks and issues in one statement.
	insertCoupon = `
INSERT INTO coupons (stock, user, request, value, at, valid_from, valid_until)
SELECT id, ?2, ?3, ?4, ?5, valid_from, valid_until FROM stocks
WHERE id = ?1 AND issued < coupons
  AND (SELECT count(*) FROM coupons WHERE user = ?2 AND stock = ?1) < per_user
  AND NOT EXISTS (SELECT 1 FROM coupons WHERE request = ?3)
  AND ?5 < valid_until AND NOT EXISTS (SELECT 1 FROM pauses WHERE stock = ?1 AND until IS NULL)
RETURNING id`
	// insertAnyway issues, whatever there is left.
	insertAnyway = `
INSERT INTO coupons (stock, user, request, value, at, valid_from, valid_until)
SELECT id, ?2, ?3, ?4, ?5, valid_from, valid_until FROM stocks WHERE id = ?1 RETURNING id`
	selectClaim  = `SELECT id, user FROM coupons WHERE request = ?`
	selectWhyNot = `
SELECT EXISTS (SELECT 1 FROM pauses WHERE stock = ?1 AND until IS NULL), ?2 >= valid_until, issued >= coupons
FROM stocks WHERE id = ?1`
	selectSession = `SELECT id, state FROM sessions WHERE id = ?`
)

// tables are the statements of the writer, on a connection of its own. They
// are the ledger of guarded.
type tables struct {
	conn *sql.Conn
	all  []*sql.Stmt

	begin, commit, rollback    *sql.Stmt
	coupons, issue             *sql.Stmt
	claimed, whyNot            *sql.Stmt
	pause, resume              *sql.Stmt
	sessions, added, changed   *sql.Stmt
	due, firstDue              *sql.Stmt
	card, spend, unspend       *sql.Stmt
	book, void                 *sql.Stmt
	seats, seat, unseat        *sql.Stmt
	bills, settled, unsettle   *sql.Stmt
	answers, answersRemembered *sql.Stmt

	lastOrder int64 // its number
	nextDue   int64 // when the next payment is decided, Unix ns, or before; 0: none is on its way
}

// openTables makes the tables that are missing and sets the stock to what o
// says. Loose tables take what strict ones refuse.
func openTables(ctx context.Context, db *sql.DB, o Options, loose bool) (*tables, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	t := &tables{conn: conn}
	if err := makeTables(ctx, conn, o, loose); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	for _, s := range []struct {
		stmt **sql.Stmt
		text string
	}{
		{&t.begin, `BEGIN IMMEDIATE`}, {&t.commit, `COMMIT`}, {&t.rollback, `ROLLBACK`},
		{&t.coupons, insertCoupon},
		{&t.issue, `UPDATE stocks SET issued = issued + 1 WHERE id = ?`},
		{&t.claimed, selectClaim}, {&t.whyNot, selectWhyNot},
		{&t.pause, `INSERT INTO pauses (stock, since) SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM pauses WHERE stock = ?1 AND until IS NULL)`},
		{&t.resume, `UPDATE pauses SET until = ?2 WHERE stock = ?1 AND until IS NULL`},
		{&t.sessions, selectSession},
		{&t.added, `INSERT INTO sessions (state) VALUES (?)`},
		{&t.changed, `UPDATE sessions SET state = ?, due = nullif(?, 0) WHERE id = ?`},
		{&t.due, `SELECT id, state FROM sessions WHERE due <= ? LIMIT 1`},
		{&t.firstDue, `SELECT coalesce(min(due), 0) FROM sessions WHERE due IS NOT NULL`},
		{&t.unspend, `UPDATE coupons SET spent_on = NULL, redeemed = NULL, redeemer = NULL WHERE id = ? AND spent_on = ?`},
		{&t.void, `UPDATE orders SET void = TRUE WHERE id = ?`},
		{&t.unseat, `UPDATE seats SET sold = sold - ? WHERE item = ?`},
		{&t.unsettle, `DELETE FROM bills WHERE paid = ?`},
		{&t.card, `SELECT user, valid_from, valid_until, coalesce(spent_on, 0) FROM coupons WHERE id = ?`},
		{&t.spend, `UPDATE coupons SET spent_on = ?1, redeemed = ?2, redeemer = ?3
			WHERE id = ?4 AND user = ?3 AND spent_on IS NULL AND valid_from <= ?2 AND ?2 < valid_until`},
		{&t.book, `INSERT INTO orders (id, session, key, user, item, quantity, subtotal, discount, amount, coupon, at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, 0), ?)`},
		{&t.seats, `SELECT seats - sold FROM seats WHERE item = ?`},
		{&t.seat, `UPDATE seats SET sold = sold + ?1 WHERE item = ?2 AND sold + ?1 <= seats`},
		{&t.bills, `SELECT count(*) FROM bills WHERE item = ? AND user = ?`},
		{&t.settled, `INSERT INTO bills (item, user, paid) VALUES (?, ?, ?)`},
		{&t.answers, `SELECT fingerprint, answer FROM answers WHERE key = ?`},
		{&t.answersRemembered, `INSERT INTO answers (key, fingerprint, answer) VALUES (?, ?, ?)`},
	} {
		if err := t.prepare(ctx, s.stmt, s.text); err != nil {
			return nil, errors.Join(err, t.close())
		}
	}
	if err := conn.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM orders`).Scan(&t.lastOrder); err != nil {
		return nil, errors.Join(err, t.close())
	}
	if err := t.firstDue.QueryRow().Scan(&t.nextDue); err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

// prepare prepares a statement, to be closed with the others.
func (t *tables) prepare(ctx context.Context, s **sql.Stmt, text string) (err error) {
	// Without the caller's context: a statement with one that can end
	// costs a goroutine, and a transaction must not end half way.
	if *s, err = t.conn.PrepareContext(context.WithoutCancel(ctx), text); err != nil {
		return fmt.Errorf("prepare %q: %w", text, err)
	}
	t.all = append(t.all, *s)
	return nil
}

// close closes the statements, without which SQLite would not fold its log
// into the file, and gives the connection back.
func (t *tables) close() error {
	var errs []error
	for _, s := range t.all {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, t.conn.Close())...)
}

func (t *tables) exec(s *sql.Stmt) error {
	_, err := s.Exec()
	return err
}

// claim issues a coupon, or finds the one that was issued to the same request.
func (t *tables) claim(c claim) (int64, refusal, error) {
	var number int64
	now := time.Now().UnixNano()
	err := t.coupons.QueryRow(c.stock, c.user, c.request, cardValue, now).Scan(&number)
	if err == nil {
		_, err = t.issue.Exec(c.stock)
		return number, "", err
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return 0, "", err
	}
	if number, no, err := t.known(c); number != 0 || no != "" || err != nil {
		return number, no, err
	}
	if no, err := t.closed(c.stock, now); no != "" || err != nil {
		return 0, no, err
	}
	return 0, overLimit, nil
}

// known returns the coupon that was issued to the same request; 0 if none was.
func (t *tables) known(c claim) (number int64, no refusal, err error) {
	var owner string
	switch err := t.claimed.QueryRow(c.request).Scan(&number, &owner); {
	case errors.Is(err, sql.ErrNoRows):
		return 0, "", nil
	case err != nil:
		return 0, "", err
	case owner != c.user:
		return 0, otherRequest, nil
	}
	return number, "", nil
}

// closed returns why nothing of a stock is issued to anybody.
func (t *tables) closed(stock string, now int64) (refusal, error) {
	var resting, over, out bool
	err := t.whyNot.QueryRow(stock, now).Scan(&resting, &over, &out)
	if err != nil {
		return "", err
	}
	return reasonOf(resting, over, out, false), nil
}

// reasonOf is the reason that a claim is told, of those that there are.
func reasonOf(resting, over, out, full bool) refusal {
	switch {
	case resting:
		return paused
	case over:
		return ended
	case out:
		return soldOut
	case full:
		return overLimit
	}
	return ""
}

// setPaused stops issuing a stock, or resumes it.
func (t *tables) setPaused(stock string, paused bool) error {
	change := t.resume
	if paused {
		change = t.pause
	}
	_, err := change.Exec(stock, time.Now().UnixNano())
	return err
}

// answered returns the answer to the write with a key, and that write's fingerprint.
func (t *tables) answered(key string) (a answer, f fingerprint, known bool, err error) {
	var print, text sql.RawBytes
	rows, err := t.answers.Query(key)
	if err != nil {
		return a, f, false, err
	}
	defer rows.Close()
	if !rows.Next() {
		return a, f, false, rows.Err()
	}
	if err := rows.Scan(&print, &text); err != nil {
		return a, f, false, err
	}
	copy(f[:], print)
	return a, f, true, json.Unmarshal(text, &a)
}

// remember keeps the answer to the write with a key.
func (t *tables) remember(key string, f fingerprint, a answer) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	_, err = t.answersRemembered.Exec(key, f[:], text)
	return err
}

func (t *tables) session(number int64) (session, bool, error) {
	return readSession(t.sessions.QueryRow(number))
}

func readSession(row *sql.Row) (s session, ok bool, err error) {
	var number int64
	var text []byte
	if err := row.Scan(&number, &text); errors.Is(err, sql.ErrNoRows) {
		return s, false, nil
	} else if err != nil {
		return s, false, err
	}
	err = json.Unmarshal(text, &s)
	s.Number = number // a new one was saved before it had one
	return s, err == nil, err
}

func (t *tables) coupon(number int64) (coupon, bool, error) {
	c := coupon{number: number}
	err := t.card.QueryRow(number).Scan(&c.user, &c.from, &c.until, &c.order)
	if errors.Is(err, sql.ErrNoRows) {
		return c, false, nil
	}
	return c, err == nil, err
}

func (t *tables) redeem(number int64, on *session, at time.Time) (bool, error) {
	r, err := t.spend.Exec(on.Order, at.UnixNano(), on.User, number)
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n == 1, err
}

func (t *tables) save(s *session) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if s.Number == 0 {
		r, err := t.added.Exec(text)
		if err == nil {
			s.Number, err = r.LastInsertId()
		}
		return err
	}
	if s.Due != 0 && (t.nextDue == 0 || s.Due < t.nextDue) {
		t.nextDue = s.Due
	}
	_, err = t.changed.Exec(text, s.Due, s.Number)
	return err
}

// number implements till. A number is not used again if what it was for fails.
func (t *tables) number() (int64, error) {
	t.lastOrder++
	return t.lastOrder, nil
}

func (t *tables) sell(s *session) error {
	if err := t.record(s.order()); err != nil {
		return err
	}
	return t.take(s)
}

func (t *tables) refund(s *session) error {
	if _, err := t.void.Exec(s.Order); err != nil {
		return err
	}
	if _, err := t.unspend.Exec(s.Coupon, s.Order); err != nil {
		return err
	}
	for _, l := range s.Lines {
		if it := &catalogue[l.Item]; it.kind == seats {
			if _, err := t.unseat.Exec(l.Quantity, it.id); err != nil {
				return err
			}
		}
	}
	_, err := t.unsettle.Exec(s.Order)
	return err
}

// settle decides the payments that are due.
func (t *tables) settle(now time.Time, books ledger) error {
	for t.nextDue != 0 && t.nextDue <= now.UnixNano() {
		s, ok, err := readSession(t.due.QueryRow(now.UnixNano()))
		if err == nil && ok {
			err = settle(s, books)
		}
		if err == nil && !ok {
			err = t.firstDue.QueryRow().Scan(&t.nextDue)
		}
		if err != nil {
			return fmt.Errorf("settle payments: %w", err)
		}
	}
	return nil
}

// record books an order.
func (t *tables) record(o order) error {
	_, err := t.book.Exec(o.number, o.session, o.key, o.user, o.item, o.quantity, o.subtotal, o.discount, o.amount, o.coupon, o.at)
	return err
}

// left implements ledger. A transaction sees its own changes, and only one runs.
func (t *tables) left(item int, user string) (n int64, err error) {
	it := &catalogue[item]
	if it.kind == seats {
		err = t.seats.QueryRow(it.id).Scan(&n)
		return n, err
	}
	err = t.bills.QueryRow(it.id, user).Scan(&n)
	return 1 - n, err
}

// take takes the seats and bills of a completed session.
func (t *tables) take(s *session) error {
	for _, l := range s.Lines {
		switch it := &catalogue[l.Item]; it.kind {
		case seats:
			r, err := t.seat.Exec(l.Quantity, it.id)
			if err != nil {
				return err
			}
			if n, err := r.RowsAffected(); err != nil || n != 1 {
				return errors.Join(fmt.Errorf("sell %d seats of %s: there are not so many left", l.Quantity, it.id), err)
			}
		case bill:
			if _, err := t.settled.Exec(it.id, s.User, s.Order); err != nil {
				return err
			}
		}
	}
	return nil
}

var _ ledger = (*tables)(nil)
