package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// A lock keeps a second writer out. It is an flock on a file of its own: the
// system lets go of it however its holder ends, and SQLite's own locks, which
// any close of the database file in this process would drop, are left alone.
type lock struct{ file *os.File }

// acquire takes the lock or says who has it.
func acquire(path string) (*lock, error) {
	for {
		l, err := tryLock(path)
		if l != nil || err != nil {
			return l, err
		}
	}
}

// tryLock returns nothing when the file was removed, by a writer that let go of
// it, between opening and locking it.
func tryLock(path string) (*lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock it: %w", err)
	}
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		who := "another process"
		if pid, err := io.ReadAll(io.LimitReader(f, 20)); err == nil && len(pid) > 0 {
			who = "process " + strings.TrimSpace(string(pid))
		}
		return nil, errors.Join(fmt.Errorf("%s is writing it\nhint: wait for that run to end, or stop it", who), f.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	opened, err := f.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	if there, err := os.Stat(path); err != nil || !os.SameFile(opened, there) {
		return nil, f.Close()
	}
	// Who holds the lock is only for people: not being able to say so is no error.
	if f.Truncate(0) == nil {
		_, _ = fmt.Fprintln(f, os.Getpid())
	}
	return &lock{file: f}, nil
}

// held reports whether somebody is writing the run with that lock file.
func held(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

// release removes the lock file before letting go of it.
func (l *lock) release() error {
	return errors.Join(os.Remove(l.file.Name()), l.file.Close())
}
