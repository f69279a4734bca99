package store

import (
	"crypto/sha256"
	"database/sql"
	"fmt"
	"iter"

	"github.com/flashcrowd/flashcrowd/results"
)

// Bounds on what a run keeps of workers whose lease has ended.
const (
	maxApart      = 4 << 10  // snapshots
	maxApartBytes = 64 << 20 // in all
)

// apartTable is part of the schema, and made where a file is older.
const apartTable = `
CREATE TABLE IF NOT EXISTS apart ( -- what workers sent after their lease had ended: in no figure, for the audit alone
	n       INTEGER PRIMARY KEY,
	worker  TEXT NOT NULL,
	seq     INTEGER NOT NULL,
	sha256  BLOB NOT NULL, -- of bytes
	bytes   BLOB NOT NULL, -- CBOR
	UNIQUE (worker, seq)
) STRICT;
`

// SetApart keeps a snapshot of a worker whose lease has ended, away from what
// the run is computed from. It says whether it did: not one that it has, and
// none beyond what a run may keep.
func (s *Store) SetApart(d results.Delivery) (kept bool, err error) {
	err = s.transact(func(tx *sql.Tx) error {
		var count, size int
		if err := tx.QueryRow("SELECT count(*), coalesce(sum(length(bytes)), 0) FROM apart").Scan(&count, &size); err != nil {
			return err
		}
		if count >= maxApart || size+len(d.Bytes) > maxApartBytes {
			return nil
		}
		sum := sha256.Sum256(d.Bytes)
		done, err := tx.Exec("INSERT OR IGNORE INTO apart (worker, seq, sha256, bytes) VALUES (?, ?, ?, ?)", d.Worker, int64(d.Seq), sum[:], present(d.Bytes))
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		kept = n > 0
		return err
	})
	if err != nil {
		return false, fmt.Errorf("keep snapshot %d of worker %s apart in %s: %w", d.Seq, d.Worker, s.path, err)
	}
	return kept, nil
}

// Apart yields what SetApart kept, in that order.
func (s *Store) Apart() iter.Seq2[results.Snapshot, error] {
	if !s.hasApart {
		return func(func(results.Snapshot, error) bool) {}
	}
	return s.snapshots("apart")
}

// Superseded yields what shoppers were promised by workers whose lease had
// ended. Others may have walked the same shoppers, so it decides nothing.
func (s *Store) Superseded() iter.Seq2[results.Promise, error] { return ledger(s.Apart()) }
