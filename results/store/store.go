// Package store keeps a run in one SQLite file, runs/<run id>/run.db: the plan,
// the snapshots as workers sent them, the coordinator's lease state, its notes
// and the verdict. A snapshot that was committed is on disk (WAL,
// synchronous=FULL) before Commit returns, and everything a report shows is
// computed again from snapshots and notes, so a report of an old run and the
// report at its end are the same.
//
// The file is meant to be looked into with the sqlite3 shell as well:
//
//	sqlite3 run.db .schema                  what the tables and columns mean
//	sqlite3 run.db 'SELECT * FROM verdict'
//	sqlite3 run.db "SELECT worker, count(*), sum(length(bytes)) FROM snapshots GROUP BY worker"
//
// While a run is written, run.db-wal and run.db-shm stand beside the file and
// belong to it, and run.db.lock keeps a second writer out. Readers are welcome
// at any time. A judged run is one file that can be read from anywhere, a
// read-only folder included.
package store

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/flashcrowd/flashcrowd/results"
)

// A Header is what is known of a run before it starts.
type Header struct {
	About   results.About // Started may be zero: see Started
	Plan    []byte        // as workers get it
	Created time.Time
	Version string // of flashcrowd
	// Args are the campaign as it was asked for and the flags that were given,
	// as --name=value and without secrets, so that the run can be asked for again.
	Args []string
}

// A Store is the file of one run. Its methods may be called by several
// goroutines at once; writers wait for each other.
type Store struct {
	path   string
	db     *sql.DB
	header Header
	lock   *lock // nil when opened for reading

	hasApart bool // the file has that table: those of schema 1 and 2 did not

	write  sync.Mutex // held for the length of a transaction
	judged bool       // Finish was called; under write
}

// Create makes the file of a new run, with its folder where that is missing,
// and opens it for writing. A file that is there already is left alone and is
// an error.
func Create(path string, h Header) (_ *Store, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("create run %s: %w\nhint: choose a folder that you may write to", path, err)
	}
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("create run %s: the file is there already", path)
	}
	// What a run holds is its owner's: while it lasts, the coordinator's key among
	// it. The files beside it get the same mode.
	empty, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create run %s: %w", path, err)
	}
	if err := empty.Close(); err != nil {
		return nil, fmt.Errorf("create run %s: %w", path, err)
	}
	about, err := json.Marshal(h.About)
	if err != nil {
		return nil, fmt.Errorf("create run %s: %w", path, err)
	}
	args, err := json.Marshal(append([]string{}, h.Args...))
	if err != nil {
		return nil, fmt.Errorf("create run %s: %w", path, err)
	}
	s, err := open(path, "rwc")
	if err != nil {
		return nil, fmt.Errorf("create run %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("create run %s: %w", path, err), s.Close())
		}
	}()
	s.header, s.hasApart = h, true
	return s, s.transact(func(tx *sql.Tx) error {
		for _, q := range []string{
			fmt.Sprintf("PRAGMA application_id = %d", applicationID),
			fmt.Sprintf("PRAGMA user_version = %d", schemaVersion),
			schema,
		} {
			if _, err := tx.Exec(q); err != nil {
				return err
			}
		}
		_, err = tx.Exec("INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			h.About.ID, h.About.Campaign, h.About.Target, h.About.PlanFingerprint, int64(h.About.Planned),
			stamp(h.Created), h.Version, string(about), h.Plan, string(args))
		return err
	})
}

// Open opens a run for reading, whether it is being written or not.
func Open(path string) (*Store, error) { return openRun(path, "ro") }

// Resume opens a run to write on. Only one process at a time can.
func Resume(path string) (*Store, error) {
	// First for reading: a database of another program is not to be changed.
	r, err := Open(path)
	if err != nil {
		return nil, err
	}
	if err := r.Close(); err != nil {
		return nil, err
	}
	return openRun(path, "rw")
}

func openRun(path, mode string) (*Store, error) {
	if info, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open run %s: there is no such file\nhint: flashcrowd runs lists what there is", path)
	} else if err != nil {
		return nil, fmt.Errorf("open run %s: %w", path, err)
	} else if info.IsDir() {
		return nil, fmt.Errorf("open run %s: this is a folder\nhint: name the run.db in it", path)
	} else if info.Size() == 0 {
		return nil, fmt.Errorf("open run %s: the file is empty: its run never began", path)
	}
	s, err := open(path, mode)
	if err != nil {
		return nil, fmt.Errorf("open run %s: %w", path, err)
	}
	err = s.readHeader()
	if err == nil && mode == "rw" {
		err = s.upgrade()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open run %s: %w", path, explain(err)), s.Close())
	}
	return s, nil
}

// open opens the file in one of SQLite's modes: ro, rw, or rwc to make it.
func open(path, mode string) (*Store, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path}
	pragmas := url.Values{"mode": {mode}, "_pragma": {"busy_timeout(5000)"}}
	if mode != "ro" {
		if s.lock, err = acquire(path + ".lock"); err != nil {
			return nil, err
		}
		pragmas["_pragma"] = append(pragmas["_pragma"], "journal_mode(wal)", "synchronous(full)")
		pragmas.Set("_txlock", "immediate")
	}
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: abs, RawQuery: pragmas.Encode()}
	if s.db, err = sql.Open("sqlite", dsn.String()); err == nil {
		err = s.db.Ping()
	}
	if err != nil {
		return nil, errors.Join(explain(err), s.Close())
	}
	return s, nil
}

// upgrade makes what an older program did not write.
func (s *Store) upgrade() error {
	if s.hasApart {
		return nil
	}
	s.hasApart = true
	return s.transact(func(tx *sql.Tx) error {
		_, err := tx.Exec(apartTable)
		return err
	})
}

// readHeader refuses what is not a run that this program can read.
func (s *Store) readHeader() error {
	var application, version int64
	if err := s.db.QueryRow("SELECT application_id, user_version FROM pragma_application_id, pragma_user_version").Scan(&application, &version); err != nil {
		return err
	}
	if err := s.db.QueryRow("SELECT count(*) FROM sqlite_schema WHERE name = 'apart'").Scan(&s.hasApart); err != nil {
		return err
	}
	if application != applicationID {
		return errors.New("this is a database, but not a run of flashcrowd")
	}
	if version > schemaVersion {
		return fmt.Errorf("a newer flashcrowd wrote it: schema %d, and this one reads up to %d\nhint: read it with the flashcrowd that wrote it, or a later one", version, schemaVersion)
	}
	args := "args"
	if version < 2 {
		args = "'[]'" // schema 1 did not know them
	}
	var created, about string
	err := s.db.QueryRow("SELECT created, version, about, plan, "+args+" FROM run").Scan(&created, &s.header.Version, &about, &s.header.Plan, &args)
	if errors.Is(err, sql.ErrNoRows) {
		return errors.New("the run was never begun: its first row is missing")
	} else if err != nil {
		return err
	}
	if s.header.Created, err = time.Parse(time.RFC3339Nano, created); err != nil {
		return fmt.Errorf("read when it was created: %w", err)
	}
	if err := json.Unmarshal([]byte(about), &s.header.About); err != nil {
		return fmt.Errorf("read what it is about: %w", err)
	}
	if err := json.Unmarshal([]byte(args), &s.header.Args); err != nil {
		return fmt.Errorf("read how it was asked for: %w", err)
	}
	started, err := s.started()
	if err != nil {
		return fmt.Errorf("read when it started: %w", err)
	}
	if !started.IsZero() {
		s.header.About.Started = started
	}
	return nil
}

// Path returns the file's name as it was given.
func (s *Store) Path() string { return s.path }

// Header returns what was known of the run before its start, and when it
// started if that was noted before the file was opened.
func (s *Store) Header() Header { return s.header }

// Running reports whether somebody is writing the run at this moment.
func (s *Store) Running() bool { return held(s.path + ".lock") }

// Close lets go of the file. Of a judged run it makes a single file.
func (s *Store) Close() error {
	s.write.Lock()
	defer s.write.Unlock()
	var err error
	if s.db != nil {
		if s.judged {
			// Refused while somebody reads; the files beside it then stay.
			_, _ = s.db.Exec("PRAGMA journal_mode = DELETE")
		}
		if err = s.db.Close(); err != nil {
			err = fmt.Errorf("close run %s: %w", s.path, explain(err))
		}
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.release())
	}
	return err
}

// transact runs do in one transaction, on disk when it returns nil.
func (s *Store) transact(do func(*sql.Tx) error) error {
	if s.lock == nil {
		return errors.New("it was opened for reading")
	}
	s.write.Lock()
	defer s.write.Unlock()
	tx, err := s.db.Begin()
	if err != nil {
		return explain(err)
	}
	if err := do(tx); err != nil {
		return errors.Join(explain(err), rollback(tx))
	}
	return explain(tx.Commit())
}

// rollback undoes a transaction that SQLite may have undone by itself.
func rollback(tx *sql.Tx) error {
	if err := tx.Rollback(); err != nil && sqliteCode(err) == 0 {
		return err
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
