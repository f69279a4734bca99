package storefront

import (
	"context"
	"database/sql"
)

// What the journal tells of its books.

// Orders implements books.
func (j *journal) Orders(ctx context.Context, yield func(order) error) error {
	return walk(ctx, j.db, `SELECT id, session, key, user, item, quantity, subtotal, discount, amount, coalesce(coupon, 0), at, void
		FROM orders ORDER BY id`, func(rows *sql.Rows) error {
		var o order
		if err := rows.Scan(&o.number, &o.session, &o.key, &o.user, &o.item, &o.quantity, &o.subtotal, &o.discount, &o.amount,
			&o.coupon, &o.at, &o.void); err != nil {
			return err
		}
		return yield(o)
	})
}

// Coupons implements books.
func (j *journal) Coupons(ctx context.Context, yield func(coupon) error) error {
	return walk(ctx, j.db, `SELECT id, stock, user, request, value, at, valid_from, valid_until,
		coalesce(spent_on, 0), coalesce(redeemed, 0), coalesce(redeemer, '') FROM coupons ORDER BY id`, func(rows *sql.Rows) error {
		var c coupon
		if err := rows.Scan(&c.number, &c.stock, &c.user, &c.request, &c.value, &c.at, &c.from, &c.until,
			&c.order, &c.redeemed, &c.redeemer); err != nil {
			return err
		}
		return yield(c)
	})
}

// Summary implements books.
func (j *journal) Summary(ctx context.Context) (s summary, err error) {
	err = j.db.QueryRowContext(ctx, `SELECT o.n, o.amount, c.n, c.spent, (SELECT count(*) FROM bills) FROM
		(SELECT count(*) AS n, coalesce(sum(amount), 0) AS amount FROM orders WHERE NOT void) o,
		(SELECT count(*) AS n, count(spent_on) AS spent FROM coupons) c`).
		Scan(&s.orders, &s.amount, &s.issued, &s.redeemed, &s.bills)
	if err != nil {
		return s, err
	}
	if err = walk(ctx, j.db, `SELECT item, seats, sold FROM seats ORDER BY rowid`, func(rows *sql.Rows) error {
		var at seating
		err := rows.Scan(&at.item, &at.of, &at.sold)
		s.seats = append(s.seats, at)
		return err
	}); err != nil {
		return s, err
	}
	if err = walk(ctx, j.db, `SELECT id, coupons, per_user, valid_until FROM stocks ORDER BY id`, func(rows *sql.Rows) error {
		var st stock
		err := rows.Scan(&st.id, &st.coupons, &st.perUser, &st.until)
		s.stocks = append(s.stocks, st)
		return err
	}); err != nil {
		return s, err
	}
	err = walk(ctx, j.db, `SELECT stock, since, coalesce(until, 0) FROM pauses ORDER BY since`, func(rows *sql.Rows) error {
		var id string
		var w window
		err := rows.Scan(&id, &w.from, &w.until)
		for i := range s.stocks {
			if s.stocks[i].id == id {
				s.stocks[i].paused = append(s.stocks[i].paused, w)
			}
		}
		return err
	})
	return s, err
}

// walk calls each for the rows of one statement, which sees one snapshot.
func walk(ctx context.Context, db *sql.DB, query string, each func(*sql.Rows) error, args ...any) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
