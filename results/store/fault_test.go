package store

import (
	"bytes"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

func newRun(t *testing.T) (*Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a run with 100% of #odd? names", FileName)
	s, err := Create(path, Header{About: results.About{ID: "r1", Planned: 10}, Plan: []byte("plan"), Created: time.Unix(1, 0), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, path
}

// fill commits enough to cover many pages.
func fill(t *testing.T, s *Store) {
	t.Helper()
	for seq := range 50 {
		snap := results.NewRecorder("w").Cut(uint64(seq+1), 0, results.Health{})
		snap.Examples = []results.Example{{Stage: "s", Step: "turn", Outcome: results.Stalled, Request: strings.Repeat("r", 4000), Response: strings.Repeat("r", 4000)}}
		if err := s.Commit(results.Delivery{Worker: "w", Seq: snap.Seq, Bytes: results.Encode(snap)}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenFaults(t *testing.T) {
	// judged returns the path of a whole run that can then be spoiled.
	judged := func(t *testing.T) string {
		s, path := newRun(t)
		fill(t, s)
		s.judged = true // so that Close makes a single file
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return path
	}
	exec := func(t *testing.T, path, query string) {
		t.Helper()
		db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: path}).String())
		if err == nil {
			_, err = db.Exec(query)
		}
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T) string
		want  string
	}{
		{"missing", func(t *testing.T) string { return filepath.Join(t.TempDir(), "run.db") }, "there is no such file\nhint: flashcrowd runs"},
		{"folder missing", func(t *testing.T) string { return filepath.Join(t.TempDir(), "no", "run.db") }, "there is no such file\nhint: flashcrowd runs"},
		{"a folder", func(t *testing.T) string { return t.TempDir() }, "this is a folder\nhint:"},
		{"empty", func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "run.db")
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}, "the file is empty: its run never began"},
		{"not a database", func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "run.db")
			if err := os.WriteFile(path, []byte(strings.Repeat("name: smoke\n", 1000)), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}, "this is not a database\nhint:"},
		{"of another program", func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "run.db")
			exec(t, path, "CREATE TABLE run (id)")
			return path
		}, "this is a database, but not a run of flashcrowd"},
		{"newer", func(t *testing.T) string {
			path := judged(t)
			exec(t, path, "PRAGMA user_version = 7")
			return path
		}, "a newer flashcrowd wrote it: schema 7, and this one reads up to 3\nhint:"},
		{"truncated", func(t *testing.T) string {
			path := judged(t)
			if err := os.Truncate(path, 5000); err != nil {
				t.Fatal(err)
			}
			return path
		}, "the file is damaged: database disk image is malformed"},
		{"without its first row", func(t *testing.T) string {
			path := judged(t)
			exec(t, path, "DELETE FROM run")
			return path
		}, "the run was never begun"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := tt.spoil(t)
			before, _ := os.ReadFile(path)
			for mode, open := range map[string]func(string) (*Store, error){"open": Open, "resume": Resume} {
				s, err := open(path)
				if err == nil {
					_, err = s.Run()
					s.Close()
				}
				if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
					t.Errorf("%s: %v\nwant: %s, and the file", mode, err, tt.want)
				}
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(after, before) {
				t.Error("the file was changed")
			}
			if _, err := os.Stat(path + ".lock"); err == nil {
				t.Error("a lock file is left beside what is not a run")
			}
		})
	}
}

// Whatever bytes of the file go bad, a report says so or does not need them;
// none shows other numbers.
func TestDamagedAnywhere(t *testing.T) {
	s, path := newRun(t)
	fill(t, s)
	s.judged = true
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for at := 4096; at < len(whole); at += 4096 * 7 {
		bad := append([]byte(nil), whole...)
		for i := range 64 {
			bad[at+2000+i] ^= 0x55
		}
		spoilt := filepath.Join(t.TempDir(), FileName)
		if err := os.WriteFile(spoilt, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Open(spoilt)
		if err != nil {
			found++
			continue
		}
		n := 0
		for _, err = range r.Snapshots() {
			if err == nil {
				n++
			}
		}
		r.Close()
		if err != nil {
			found++
			if !strings.Contains(err.Error(), "damaged") {
				t.Errorf("damage at %d: %v", at, err)
			}
		} else if n != 50 {
			t.Errorf("damage at %d: %d snapshots and no error", at, n)
		}
	}
	if found == 0 {
		t.Error("no damage was found")
	}
}

// A full disk refuses a commit, keeps all before it, and the same commit
// succeeds once there is room.
func TestFullDisk(t *testing.T) {
	s, path := newRun(t)
	s.db.SetMaxOpenConns(1) // the limit below is the connection's
	if _, err := s.db.Exec("PRAGMA max_page_count = 40"); err != nil {
		t.Fatal(err)
	}
	snapshot := make([]byte, 20_000)
	seq, err := uint64(0), error(nil)
	for err == nil && seq < 100 {
		seq++
		err = s.Commit(results.Delivery{Worker: "w", Seq: seq, Bytes: snapshot})
	}
	if err == nil || !strings.Contains(err.Error(), "the disk is full") || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "\nhint: make room") {
		t.Fatalf("commit %d on a full disk: %v", seq, err)
	}
	var n uint64
	if err := s.db.QueryRow("SELECT count(*) FROM snapshots").Scan(&n); err != nil || n != seq-1 {
		t.Errorf("%d snapshots, %v, want %d", n, err, seq-1)
	}
	if _, err := s.db.Exec("PRAGMA max_page_count = 400"); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(results.Delivery{Worker: "w", Seq: seq, Bytes: snapshot}); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestCreateFaults(t *testing.T) {
	s, path := newRun(t)
	s.Close()
	if _, err := Create(path, Header{}); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("over a run: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(filepath.Join(file, "r", FileName), Header{}); err == nil || !strings.Contains(err.Error(), "not a directory\nhint: ") {
		t.Errorf("under a file: %v", err)
	}
}

// The durability that Commit promises is a setting, and a default away.
func TestDurability(t *testing.T) {
	s, _ := newRun(t)
	for pragma, want := range map[string]string{"synchronous": "2", "journal_mode": "wal"} {
		var got string
		if err := s.db.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %s, %v, want %s", pragma, got, err, want)
		}
	}
}
