package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// roomToBegin is what the folder of a run must take, in bytes, before anything
// is started: its plan, and what its workers say before the first shopper comes.
const roomToBegin = 1 << 20

// checkRoom writes so much into a run's folder and takes it away again. Without
// it, a disk that was full from the start would show in whichever process meets
// it first, which could not even log it.
func checkRoom(dir string) error {
	path := filepath.Join(dir, "room")
	err := os.WriteFile(path, make([]byte, roomToBegin), 0o600)
	if err = errors.Join(err, os.Remove(path)); err != nil {
		return fmt.Errorf("keep the run in %s: %w\nhint: make room, or choose another folder with --runs", dir, err)
	}
	return nil
}
