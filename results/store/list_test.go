package store_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results/store"
	"github.com/flashcrowd/flashcrowd/results/verdict"
)

// runs makes a folder with a judged run, one that is being written, one that
// was broken off, and two that can't be read.
func runs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for i, id := range []string{"smoke-a1", "smoke-a2", "smoke-b1"} {
		h := header()
		h.About.ID = id
		s, err := store.Create(filepath.Join(dir, id, store.FileName), h)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Started(started.Add(time.Duration(i) * time.Hour)); err != nil {
			t.Fatal(err)
		}
		switch id {
		case "smoke-a1":
			commit(t, s, snapshots("w", 3))
			reasons := []verdict.Reason{{Rule: "order_success > 0.9", Measured: "0.5"}, {Rule: "turn_p99 < 2s", Measured: "1s", Held: true}}
			if err := s.Finish(verdict.Verdict{Outcome: verdict.Fail, Reasons: reasons}, nil, 3, started); err != nil {
				t.Fatal(err)
			}
			s.Close()
		case "smoke-a2":
			s.Close()
		default:
			t.Cleanup(func() { s.Close() })
		}
	}
	os.Mkdir(filepath.Join(dir, "empty"), 0o700)
	os.Mkdir(filepath.Join(dir, "noise"), 0o700)
	os.WriteFile(filepath.Join(dir, "noise", store.FileName), []byte(strings.Repeat("noise", 999)), 0o600)
	os.WriteFile(filepath.Join(dir, ".gitignore"), []byte("*\n"), 0o600)
	return dir
}

func TestList(t *testing.T) {
	dir := runs(t)
	all, err := store.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, s := range all {
		ids = append(ids, s.ID)
		if want := filepath.Join(dir, s.ID, store.FileName); s.Path != want {
			t.Errorf("path = %s, want %s", s.Path, want)
		}
	}
	if got := strings.Join(ids, " "); got != "smoke-b1 smoke-a2 smoke-a1 empty noise" {
		t.Fatalf("runs = %s", got)
	}
	if s := all[0]; !s.Running || s.Outcome != "" || s.Campaign != "smoke" || s.Err != nil || !s.Started.Equal(started.Add(2*time.Hour)) {
		t.Errorf("running: %+v", s)
	}
	if s := all[1]; s.Running || s.Outcome != "" || s.Err != nil {
		t.Errorf("broken off: %+v", s)
	}
	if s := all[2]; s.Running || s.Outcome != verdict.Fail || s.Reason != "order_success > 0.9 → 0.5" || s.Orders != 3 || s.Err != nil {
		t.Errorf("judged: %+v", s)
	}
	if s := all[3]; s.Err == nil || !strings.Contains(s.Err.Error(), "no such file") {
		t.Errorf("empty folder: %+v", s)
	}
	if s := all[4]; s.Err == nil || !strings.Contains(s.Err.Error(), "not a database") {
		t.Errorf("noise: %+v", s)
	}
	if _, err := store.List(filepath.Join(dir, "nowhere")); err == nil || !strings.Contains(err.Error(), "nowhere\nhint: flashcrowd run smoke") {
		t.Errorf("no folder: %v", err)
	}
}

func TestFind(t *testing.T) {
	dir := runs(t)
	at := func(id string) string { return filepath.Join(dir, id, store.FileName) }
	for _, tt := range []struct{ which, path, err string }{
		{which: "smoke-a1", path: at("smoke-a1")},
		{which: "smoke-b", path: at("smoke-b1")},
		{which: store.Latest, path: at("smoke-b1")},
		{which: at("smoke-a2"), path: at("smoke-a2")},
		{which: filepath.Join(dir, "smoke-a2"), path: at("smoke-a2")},
		{which: "noise", path: at("noise")}, // opening it says what is wrong
		{which: "smoke-a", err: "it could be any of smoke-a2, smoke-a1\nhint: write more of its name"},
		{which: "festival", err: `find run "festival": ` + dir + " has no such run\nhint: flashcrowd runs"},
		{which: "", err: "has no such run"},
	} {
		path, err := store.Find(dir, tt.which)
		if path != tt.path || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("find %q = %q, %v; want %q, %q", tt.which, path, err, tt.path, tt.err)
		}
	}
	if _, err := store.Find(filepath.Join(dir, "nowhere"), "smoke"); err == nil || !strings.Contains(err.Error(), "nowhere\nhint:") {
		t.Errorf("no folder: %v", err)
	}
}
