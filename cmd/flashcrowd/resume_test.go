package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/store"
)

// A coordinator of another version can't lead the workers of a run, which are of
// the version that began it.
func TestResumeByAnotherVersion(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	kept, err := store.Create(filepath.Join(runs, "smoke-1", store.FileName),
		store.Header{About: results.About{ID: "smoke-1", Planned: 1}, Version: "v0.0.1", Plan: []byte("{}"), Created: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if err := kept.Close(); err != nil {
		t.Fatal(err)
	}
	p := start(t, "coordinator", "--resume", "latest", "--runs", runs)
	p.want(2)
	if said := p.err.String(); !strings.Contains(said, "begun by flashcrowd v0.0.1") || !strings.Contains(said, "hint: resume it with the one that began it") {
		t.Errorf("it says %q", said)
	}
}
