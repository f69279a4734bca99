package store

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/verdict"
)

// Commit stores snapshots in one transaction, so that many cost the disk as much
// as one, and all are on disk when it returns nil. After an error none of them is
// stored, and the same call may be made again.
//
// A sequence that is stored already with the same bytes stays as it is; with
// other bytes the error wraps results.ErrChanged.
func (s *Store) Commit(all ...results.Delivery) error {
	err := s.transact(func(tx *sql.Tx) error {
		insert, err := tx.Prepare("INSERT INTO snapshots (worker, seq, sha256, bytes) VALUES (?, ?, ?, ?) ON CONFLICT (worker, seq) DO NOTHING")
		if err != nil {
			return err
		}
		defer insert.Close()
		for _, d := range all {
			if err := put(tx, insert, d); err != nil {
				return fmt.Errorf("snapshot %d of worker %s: %w", d.Seq, d.Worker, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store snapshots in %s: %w", s.path, err)
	}
	return nil
}

// put stores d, or finds it stored.
func put(tx *sql.Tx, insert *sql.Stmt, d results.Delivery) error {
	sum := sha256.Sum256(d.Bytes)
	done, err := insert.Exec(d.Worker, int64(d.Seq), sum[:], present(d.Bytes))
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n > 0 {
		return err
	}
	var stored []byte
	if err := tx.QueryRow("SELECT sha256 FROM snapshots WHERE worker = ? AND seq = ?", d.Worker, int64(d.Seq)).Scan(&stored); err != nil {
		return err
	}
	if !bytes.Equal(stored, sum[:]) {
		return results.ErrChanged
	}
	return nil
}

// Save stores the coordinator's lease state, on disk when it returns nil.
func (s *Store) Save(state []byte) error {
	err := s.transact(func(tx *sql.Tx) error {
		_, err := tx.Exec("INSERT INTO lease VALUES (1, ?) ON CONFLICT DO UPDATE SET state = excluded.state", present(state))
		return err
	})
	if err != nil {
		return fmt.Errorf("store the lease state in %s: %w", s.path, err)
	}
	return nil
}

// State returns the lease state stored last; nil if there is none.
func (s *Store) State() ([]byte, error) {
	var state []byte
	if err := s.db.QueryRow("SELECT state FROM lease").Scan(&state); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("read the lease state in %s: %w", s.path, explain(err))
	}
	return state, nil
}

// The kinds of notes.
const (
	noteStarted = "started"
	noteWorker  = "worker"
	noteSkips   = "skips"
	noteStop    = "stop"
	noteBarred  = "barred"
)

// Started notes the wall clock at plan time 0; the last note stands.
func (s *Store) Started(at time.Time) error { return s.note(noteStarted, "", at.UTC()) }

// Worker notes what the coordinator knows of a worker; the last note stands.
func (s *Store) Worker(id string, n results.WorkerNote) error { return s.note(noteWorker, id, n) }

// Skips notes all planned shoppers that the coordinator itself knows will never
// start; the last note stands.
func (s *Store) Skips(all []results.Skip) error { return s.note(noteSkips, "", all) }

// Barred notes what was not let in, all of it; the last note stands.
func (s *Store) Barred(all []results.Barred) error { return s.note(noteBarred, "", all) }

// Stop notes why load ended before its plan did; the first reason stands.
func (s *Store) Stop(why string) error { return s.note(noteStop, "", why) }

func (s *Store) note(kind, subject string, note any) error {
	text, err := json.Marshal(note)
	if err == nil {
		err = s.transact(func(tx *sql.Tx) error {
			_, err := tx.Exec("INSERT INTO notes (kind, subject, note) VALUES (?, ?, ?)", kind, subject, string(text))
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("note %s in %s: %w", kind, s.path, err)
	}
	return nil
}

// A Judgement is what a run came to.
type Judgement struct {
	verdict.Verdict
	Audit  *results.Audit // nil where no books were held against the ledger
	Orders uint64         // promised to shoppers
	Ended  time.Time
}

// Finish stores what the run came to; a is nil where no books were held against
// the ledger, and orders is how many shoppers were promised. A run that was resumed may finish again.
func (s *Store) Finish(v verdict.Verdict, a *results.Audit, orders uint64, ended time.Time) error {
	if err := s.finish(v, a, orders, ended); err != nil {
		return fmt.Errorf("store the verdict in %s: %w", s.path, err)
	}
	return nil
}

func (s *Store) finish(v verdict.Verdict, a *results.Audit, orders uint64, ended time.Time) error {
	reasons, err := json.Marshal(v.Reasons)
	if err != nil {
		return err
	}
	var audit sql.NullString
	if a != nil {
		text, err := json.Marshal(a)
		if err != nil {
			return err
		}
		audit = sql.NullString{String: string(text), Valid: true}
	}
	err = s.transact(func(tx *sql.Tx) error {
		_, err := tx.Exec("INSERT OR REPLACE INTO verdict VALUES (1, ?, ?, ?, ?, ?)",
			string(v.Outcome), int64(orders), stamp(ended), string(reasons), audit)
		return err
	})
	if err == nil {
		s.write.Lock()
		s.judged = true
		s.write.Unlock()
	}
	return err
}

// Judgement returns what the run came to; nil if it was not judged yet.
func (s *Store) Judgement() (*Judgement, error) {
	var (
		j              Judgement
		ended, reasons string
		audit          sql.NullString
	)
	err := s.db.QueryRow("SELECT outcome, orders, ended, reasons, audit FROM verdict").Scan((*string)(&j.Outcome), &j.Orders, &ended, &reasons, &audit)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err == nil {
		j.Ended, err = time.Parse(time.RFC3339Nano, ended)
	}
	if err == nil {
		err = json.Unmarshal([]byte(reasons), &j.Reasons)
	}
	if err == nil && audit.Valid {
		err = json.Unmarshal([]byte(audit.String), &j.Audit)
	}
	if err != nil {
		return nil, fmt.Errorf("read the verdict in %s: %w", s.path, explain(err))
	}
	return &j, nil
}

// present returns b, or an empty slice for nil, which SQL would take for NULL.
func present(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
