package storefront

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// lockBooks keeps a second storefront from the books in path, by an flock on a
// file beside them: the system lets go of it however the holder ends, and
// SQLite's own locks on the books are left alone. Who is done removes the file,
// then closes it.
func lockBooks(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
		case errors.Is(err, syscall.EWOULDBLOCK):
			who := "another storefront"
			if pid, err := io.ReadAll(io.LimitReader(f, 20)); err == nil && len(pid) > 0 {
				who += ", process " + strings.TrimSpace(string(pid)) + ","
			}
			return nil, errors.Join(fmt.Errorf("%s has them open\nhint: stop it, or choose another file with --books", who), f.Close())
		case err != nil:
			return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
		}
		mine, err := f.Stat()
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if there, err := os.Stat(f.Name()); err != nil || !os.SameFile(mine, there) {
			f.Close() // its holder removed it between opening and locking
			continue
		}
		// Who holds it is only for people: not being able to say so is no error.
		if f.Truncate(0) == nil {
			_, _ = fmt.Fprintln(f, os.Getpid())
		}
		return f, nil
	}
}
