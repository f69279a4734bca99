package storefront

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"time"
)

// The sharded-coupons design is guarded with the stock in shards, each a row of
// its own to lock. A user always comes to the same one. A shard that is empty
// takes half of what the fullest has left, so that nobody is told "sold out"
// while there is something.

// shardCount is how many rows the stock has.
const shardCount = 8

func buildSharded(o Options) shop {
	s := &shards{journal: newJournal(o)}
	for i := range s.rows {
		s.rows[i].lasts = o.RowTime
	}
	return shop{newDecoder(o), s, s, s}
}

type shards struct {
	*journal
	rows [shardCount]row

	take, fullest, give *sql.Stmt
	capped, insert      *sql.Stmt
}

// Open implements durable. What is left of the stock is spread over the shards.
func (s *shards) Open(ctx context.Context) error {
	if err := s.journal.Open(ctx); err != nil {
		return err
	}
	if err := s.spread(ctx); err != nil {
		return errors.Join(fmt.Errorf("spread the stock over shards: %w", err), s.close())
	}
	return nil
}

func (s *shards) spread(ctx context.Context) error {
	t := s.tables
	if _, err := t.conn.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS shards (
		shard   INTEGER PRIMARY KEY,
		coupons INTEGER NOT NULL CHECK (coupons >= 0)
	) STRICT`); err != nil {
		return err
	}
	for i := range int64(shardCount) {
		if _, err := t.conn.ExecContext(ctx, `INSERT OR REPLACE INTO shards
			SELECT ?1, (max(0, coupons - issued) + ?1) / ?2 FROM stocks WHERE id = ?3`, i, shardCount, s.options.StockID); err != nil {
			return err
		}
	}
	for stmt, text := range map[**sql.Stmt]string{
		&s.take:    `UPDATE shards SET coupons = coupons - 1 WHERE shard = ? AND coupons > 0`,
		&s.fullest: `SELECT shard, (coupons + 1) / 2 FROM shards ORDER BY coupons DESC LIMIT 1`,
		&s.give:    `UPDATE shards SET coupons = coupons + ? WHERE shard = ?`,
		&s.capped:  `SELECT (SELECT count(*) FROM coupons WHERE user = ?1 AND stock = stocks.id) >= per_user FROM stocks WHERE id = ?2`,
		&s.insert:  insertAnyway,
	} {
		if err := t.prepare(ctx, stmt, text); err != nil {
			return err
		}
	}
	return nil
}

// Claim implements coupons.
func (s *shards) Claim(ctx context.Context, c claim) (int64, error) {
	if c.stock != s.options.StockID {
		return 0, unknownStock
	}
	h := fnv.New32a()
	h.Write([]byte(c.user))
	shard := int64(h.Sum32() % shardCount)
	if err := s.rows[shard].lock(ctx, patience); err != nil {
		return 0, err
	}
	return s.claim(ctx, func(t *tables) (int64, refusal, error) { return s.from(t, shard, c) })
}

// from issues a coupon from a shard, or finds the one that was issued to the
// same request.
func (s *shards) from(t *tables, shard int64, c claim) (int64, refusal, error) {
	if number, no, err := t.known(c); number != 0 || no != "" || err != nil {
		return number, no, err
	}
	now := time.Now().UnixNano()
	if no, err := t.closed(c.stock, now); no != "" || err != nil {
		return 0, no, err
	}
	var full bool
	if err := s.capped.QueryRow(c.user, c.stock).Scan(&full); err != nil {
		return 0, "", err
	}
	if full {
		return 0, overLimit, nil
	}
	took, err := s.takes(shard)
	if err == nil && !took {
		if err = s.rebalance(shard); err == nil {
			took, err = s.takes(shard)
		}
	}
	if err != nil {
		return 0, "", err
	}
	if !took {
		return 0, soldOut, nil
	}
	var number int64
	if err := s.insert.QueryRow(c.stock, c.user, c.request, cardValue, now).Scan(&number); err != nil {
		return 0, "", err
	}
	_, err = t.issue.Exec(c.stock)
	return number, "", err
}

// takes takes a coupon out of a shard; false if there is none.
func (s *shards) takes(shard int64) (bool, error) {
	r, err := s.take.Exec(shard)
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n == 1, err
}

// rebalance gives a shard half of what the fullest has.
func (s *shards) rebalance(shard int64) error {
	var from, many int64
	if err := s.fullest.QueryRow().Scan(&from, &many); err != nil {
		return err
	}
	if _, err := s.give.Exec(-many, from); err != nil {
		return err
	}
	_, err := s.give.Exec(many, shard)
	return err
}

var (
	_ coupons = (*shards)(nil)
	_ durable = (*shards)(nil)
)
