package storefront

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// schema is what the books look like on disk. By itself it takes everything,
// also what should never have happened: a design that double-books must be able
// to write down that it did. Moments are Unix nanoseconds, amounts fen.
const schema = `
CREATE TABLE IF NOT EXISTS stocks (
	id          TEXT PRIMARY KEY,
	coupons     INTEGER NOT NULL,
	per_user    INTEGER NOT NULL,
	valid_from  INTEGER NOT NULL,
	valid_until INTEGER NOT NULL,
	issued      INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS pauses (
	stock TEXT NOT NULL,
	since INTEGER NOT NULL,
	until INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS coupons (
	id          INTEGER PRIMARY KEY,
	stock       TEXT NOT NULL,
	user        TEXT NOT NULL,
	request     TEXT NOT NULL,
	value       INTEGER NOT NULL,
	at          INTEGER NOT NULL,
	valid_from  INTEGER NOT NULL,
	valid_until INTEGER NOT NULL,
	spent_on    INTEGER,
	redeemed    INTEGER,
	redeemer    TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS coupons_of_user ON coupons (user);
CREATE TABLE IF NOT EXISTS sessions (
	id    INTEGER PRIMARY KEY,
	state BLOB NOT NULL,
	due   INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS session_due ON sessions (due) WHERE due IS NOT NULL;
CREATE TABLE IF NOT EXISTS orders (
	id       INTEGER PRIMARY KEY,
	session  INTEGER NOT NULL,
	key      TEXT NOT NULL,
	user     TEXT NOT NULL,
	item     TEXT NOT NULL,
	quantity INTEGER NOT NULL,
	subtotal INTEGER NOT NULL,
	discount INTEGER NOT NULL,
	amount   INTEGER NOT NULL,
	coupon   INTEGER,
	at       INTEGER NOT NULL,
	void     INTEGER NOT NULL DEFAULT FALSE
) STRICT;
CREATE TABLE IF NOT EXISTS seats (
	item  TEXT PRIMARY KEY,
	seats INTEGER NOT NULL,
	sold  INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS bills (
	item TEXT NOT NULL,
	user TEXT NOT NULL,
	paid INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS answers (
	key         TEXT PRIMARY KEY,
	fingerprint BLOB NOT NULL,
	answer      BLOB NOT NULL
) STRICT, WITHOUT ROWID;`

// constraints repeat the rules of the shop: where they are, a bug can break the
// shop, but not the books. slack finds the same rows and forbids nothing.
const (
	constraints = `
CREATE UNIQUE INDEX IF NOT EXISTS coupon_of_request ON coupons (request);
CREATE UNIQUE INDEX IF NOT EXISTS order_of_session ON orders (session) WHERE NOT void;
CREATE UNIQUE INDEX IF NOT EXISTS order_of_key ON orders (key) WHERE NOT void;
CREATE UNIQUE INDEX IF NOT EXISTS order_of_coupon ON orders (coupon) WHERE NOT void;
CREATE UNIQUE INDEX IF NOT EXISTS bill_of_user ON bills (item, user);
CREATE TRIGGER IF NOT EXISTS order_adds_up BEFORE INSERT ON orders
WHEN NEW.amount <= 0 OR NEW.amount <> NEW.subtotal - NEW.discount
BEGIN SELECT raise(ABORT, 'the amounts of an order do not add up'); END;
CREATE TRIGGER IF NOT EXISTS seats_suffice BEFORE UPDATE ON seats WHEN NEW.sold > NEW.seats AND NEW.sold > OLD.sold
BEGIN SELECT raise(ABORT, 'there are not so many seats'); END;`

	slack = `
CREATE INDEX IF NOT EXISTS loose_coupon_of_request ON coupons (request);
CREATE INDEX IF NOT EXISTS loose_order_of_session ON orders (session);
CREATE INDEX IF NOT EXISTS loose_bill_of_user ON bills (item, user);`
)

// Versions of the schema, in the file's user_version. Strict books and loose
// ones can't be taken for each other, nor either for those of an earlier
// flashcrowd.
const (
	strictVersion = 2
	looseVersion  = 3
)

// makeTables makes the tables that are missing, and has them say what the shop
// has: of the stock and of seats.
func makeTables(ctx context.Context, conn *sql.Conn, o Options, loose bool) error {
	version, rules := strictVersion, constraints
	if loose {
		version, rules = looseVersion, slack
	}
	var found, tables int
	if err := conn.QueryRowContext(ctx, `SELECT (SELECT user_version FROM pragma_user_version), count(*) FROM sqlite_schema`).Scan(&found, &tables); err != nil {
		return err
	}
	if tables > 0 && found != version {
		return errors.New("the file is of another version or kind of design; choose another file")
	}
	if _, err := conn.ExecContext(ctx, fmt.Sprintf("%s%s\nPRAGMA user_version = %d", schema, rules, version)); err != nil {
		return fmt.Errorf("make the tables: %w", err)
	}
	// Dates that are not given stay what they were when the books were begun.
	from, until := o.validity(time.Now())
	if _, err := conn.ExecContext(ctx, `INSERT INTO stocks (id, coupons, per_user, valid_from, valid_until) VALUES (?1, ?2, ?3, ?4, ?5)
		ON CONFLICT (id) DO UPDATE SET coupons = excluded.coupons, per_user = excluded.per_user,
			valid_from = iif(?6, excluded.valid_from, valid_from), valid_until = iif(?7, excluded.valid_until, valid_until)`,
		o.StockID, o.Stock, o.PerUser, from.UnixNano(), until.UnixNano(), !o.ValidFrom.IsZero(), !o.ValidUntil.IsZero()); err != nil {
		return fmt.Errorf("set the stock: %w", err)
	}
	for _, it := range catalogue {
		if it.kind != seats {
			continue
		}
		if _, err := conn.ExecContext(ctx, `INSERT INTO seats (item, seats) VALUES (?, ?)
			ON CONFLICT (item) DO UPDATE SET seats = excluded.seats`, it.id, o.Seats); err != nil {
			return fmt.Errorf("set the seats: %w", err)
		}
	}
	return nil
}
