package store

import (
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// Snapshots yields what is stored, in the order of commits. The first that is
// damaged is an error that names it, and ends the sequence.
func (s *Store) Snapshots() iter.Seq2[results.Snapshot, error] { return s.snapshots("snapshots") }

func (s *Store) snapshots(table string) iter.Seq2[results.Snapshot, error] {
	return func(yield func(results.Snapshot, error) bool) {
		fail := func(err error) {
			yield(results.Snapshot{}, fmt.Errorf("read the snapshots in %s: %w", s.path, explain(err)))
		}
		rows, err := s.db.Query("SELECT worker, seq, sha256, bytes FROM " + table + " WHERE length(bytes) > 0 ORDER BY n")
		if err != nil {
			fail(err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var (
				worker    string
				seq       int64
				sum, wire []byte
			)
			if err := rows.Scan(&worker, &seq, &sum, &wire); err != nil {
				fail(err)
				return
			}
			if got := sha256.Sum256(wire); string(got[:]) != string(sum) {
				fail(fmt.Errorf("number %d of worker %s is not what was stored: the file is damaged", seq, worker))
				return
			}
			snapshot, err := results.DecodeSnapshot(wire)
			if err != nil {
				fail(fmt.Errorf("number %d of worker %s: %w", seq, worker, err))
				return
			}
			if !yield(snapshot, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			fail(err)
		}
	}
}

// Ledger yields what shoppers were promised, in the order in which it was
// stored, one snapshot in memory at a time.
func (s *Store) Ledger() iter.Seq2[results.Promise, error] { return ledger(s.Snapshots()) }

func ledger(snapshots iter.Seq2[results.Snapshot, error]) iter.Seq2[results.Promise, error] {
	return func(yield func(results.Promise, error) bool) {
		for snapshot, err := range snapshots {
			if err != nil {
				yield(results.Promise{}, err)
				return
			}
			for _, p := range snapshot.Ledger {
				if !yield(p, nil) {
					return
				}
			}
		}
	}
}

// Run merges what is stored, snapshots and notes, into the run: the same as the
// coordinator's own at the end.
func (s *Store) Run() (*results.Run, error) {
	m, err := s.Merger()
	if err != nil {
		return nil, err
	}
	return m.Run(), nil
}

// Merger returns a merger to which everything that is stored has been told.
func (s *Store) Merger() (*results.Merger, error) {
	about := s.header.About
	started, err := s.Begun()
	if err != nil {
		return nil, err
	}
	if !started.IsZero() {
		about.Started = started
	}
	m := results.NewMerger(about)
	if err := s.applyNotes(m); err != nil {
		return nil, fmt.Errorf("read the notes in %s: %w", s.path, explain(err))
	}
	for snapshot, err := range s.Snapshots() {
		if err != nil {
			return nil, err
		}
		if _, err := m.Add(snapshot); err != nil {
			return nil, fmt.Errorf("read run %s: %w", s.path, err)
		}
	}
	for snapshot, err := range s.Apart() {
		if err != nil {
			return nil, err
		}
		m.Apart(snapshot)
	}
	return m, nil
}

// Begun returns the wall clock at plan time 0, as it was noted last; the zero
// time if it was not.
func (s *Store) Begun() (time.Time, error) {
	at, err := s.started()
	if err != nil {
		return time.Time{}, fmt.Errorf("read the notes in %s: %w", s.path, explain(err))
	}
	return at, nil
}

// started returns the last note of that kind; the zero time if there is none.
func (s *Store) started() (at time.Time, err error) {
	var note []byte
	err = s.db.QueryRow("SELECT note FROM notes WHERE kind = ? ORDER BY n DESC LIMIT 1", noteStarted).Scan(&note)
	if errors.Is(err, sql.ErrNoRows) {
		return at, nil
	}
	if err == nil {
		err = json.Unmarshal(note, &at)
	}
	return at, err
}

// applyNotes tells m what the coordinator noted.
func (s *Store) applyNotes(m *results.Merger) error {
	rows, err := s.db.Query("SELECT kind, subject, note FROM notes WHERE kind <> ? ORDER BY n", noteStarted)
	if err != nil {
		return err
	}
	defer rows.Close()
	var skips []results.Skip
	for rows.Next() {
		var (
			kind, subject string
			note          []byte
		)
		err := rows.Scan(&kind, &subject, &note)
		switch {
		case err != nil:
		case kind == noteSkips:
			skips = nil
			err = json.Unmarshal(note, &skips)
		default:
			err = apply(m, kind, subject, note)
		}
		if err != nil {
			return err
		}
	}
	for _, k := range skips {
		m.Skip(k)
	}
	return rows.Err()
}

func apply(m *results.Merger, kind, subject string, note []byte) error {
	switch kind {
	case noteWorker:
		var w results.WorkerNote
		if err := json.Unmarshal(note, &w); err != nil {
			return err
		}
		m.Worker(subject, w)
	case noteStop:
		var why string
		if err := json.Unmarshal(note, &why); err != nil {
			return err
		}
		m.Stop(why)
	case noteBarred:
		var all []results.Barred
		if err := json.Unmarshal(note, &all); err != nil {
			return err
		}
		m.Bar(all)
	default:
		return fmt.Errorf("unknown kind %q", kind)
	}
	return nil
}
