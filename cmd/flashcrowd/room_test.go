package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A disk that is full is told before anything is started, with its folder.
func TestCheckRoom(t *testing.T) {
	dir := t.TempDir()
	if err := checkRoom(dir); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Fatalf("left behind: %v, %v", left, err)
	}
	if err := os.Symlink("/dev/full", filepath.Join(dir, "room")); err != nil {
		t.Fatal(err)
	}
	err := checkRoom(dir)
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "\nhint: make room") {
		t.Errorf("on a full disk: %v", err)
	}
}
