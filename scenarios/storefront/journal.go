package storefront

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// A journal is books in SQLite that are on disk before an answer is sent. One
// goroutine writes: it takes every operation that waits, carries them out in
// one transaction, commits, and only then lets them be answered. So a flush to
// disk is shared by as many as came during the last one, and no operation ever
// sees another half done.
type journal struct {
	options Options
	db      *sql.DB
	tables  *tables // the writer's
	remove  string  // temporary folder, to be removed at the end
	loose   bool    // its tables take what strict ones refuse
	lenses  []lens  // what planted bugs make of the ledger
	committer

	waiting chan *operation
	stopped chan struct{} // closed when nothing is written any more
}

// An operation is carried out within a transaction. It may be carried out
// again if the transaction could not be committed with others in it.
type operation struct {
	do   func(*tables) error
	done chan error // of 1
}

const (
	mostWaiting = 4096 // operations; beyond it the shop is busy
	mostAtOnce  = 256  // operations in a transaction
	mostConns   = 8    // to the file: one writes, the others read

	// betweenCommits is the least time from one transaction to the next. On a
	// fast disk, committing each operation by itself costs twice the processor
	// time at 300 journeys a second.
	betweenCommits = 2 * time.Millisecond
)

// errStopped means that the books are closed.
var errStopped = errors.New("the books are closed")

func newJournal(o Options) *journal {
	j := &journal{options: o, waiting: make(chan *operation, mostWaiting), stopped: make(chan struct{})}
	j.committer = transactions{j}
	return j
}

// Open implements durable.
func (j *journal) Open(ctx context.Context) (err error) {
	path := j.options.Books
	if path == "" {
		if j.remove, err = os.MkdirTemp("", "storefront-"); err != nil {
			return fmt.Errorf("open the books: %w", err)
		}
		path = filepath.Join(j.remove, "books.db")
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open the books in %s: %w", path, err), j.close())
		}
	}()
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	source := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{"_pragma": {
		"busy_timeout(5000)", "journal_mode(wal)", "synchronous(full)",
	}}.Encode()}
	if j.db, err = sql.Open("sqlite", source.String()); err != nil {
		return err
	}
	j.db.SetMaxOpenConns(mostConns)
	j.db.SetMaxIdleConns(mostConns)
	j.tables, err = openTables(ctx, j.db, j.options, j.loose)
	return err
}

// Run implements durable. What waits when ctx ends is still written.
func (j *journal) Run(ctx context.Context) error {
	defer close(j.stopped)
	batch := make([]*operation, 0, mostAtOnce)
	rest := time.NewTimer(0)
	for {
		<-rest.C
		var settle <-chan time.Time
		if due := j.tables.nextDue; due != 0 {
			settle = time.After(time.Until(time.Unix(0, due)))
		}
		select {
		case o := <-j.waiting:
			batch = append(batch[:0], o)
		case <-settle:
			batch = batch[:0]
		case <-ctx.Done():
			if batch = j.more(batch[:0]); len(batch) == 0 {
				return j.close()
			}
		}
		batch = j.more(batch)
		rest.Reset(betweenCommits)
		err := j.commit(batch)
		if err != nil && len(batch) > 1 { // one of them may spoil it: each for itself
			for _, o := range batch {
				o.done <- j.commit([]*operation{o})
			}
			continue
		}
		for _, o := range batch {
			o.done <- err
		}
	}
}

// more adds to batch what waits already, as far as there is room.
func (j *journal) more(batch []*operation) []*operation {
	for len(batch) < mostAtOnce {
		select {
		case o := <-j.waiting:
			batch = append(batch, o)
		default:
			return batch
		}
	}
	return batch
}

// A committer carries out a batch.
type committer interface {
	// commit carries out all of it, on disk, or nothing.
	commit(batch []*operation) error
}

// transactions are a committer that makes each batch a transaction.
type transactions struct{ *journal }

func (j transactions) commit(batch []*operation) (err error) {
	if err := j.tables.exec(j.tables.begin); err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, j.tables.exec(j.tables.rollback))
			j.tables.nextDue = 1 // look again
		}
	}()
	if err := j.tables.settle(time.Now(), j.seen(j.tables, &write{deed: read})); err != nil {
		return err
	}
	for _, o := range batch {
		if err := o.do(j.tables); err != nil {
			return err
		}
	}
	if err := j.tables.exec(j.tables.commit); err != nil {
		return fmt.Errorf("commit a transaction: %w", err)
	}
	return nil
}

func (j *journal) close() error {
	var errs []error
	if j.tables != nil {
		errs = append(errs, j.tables.close())
	}
	if j.db != nil {
		errs = append(errs, j.db.Close())
	}
	if j.remove != "" {
		errs = append(errs, os.RemoveAll(j.remove))
	}
	return errors.Join(errs...)
}

// write has do carried out and returns once that is on disk. If ctx ends
// first, do may still be carried out.
func (j *journal) write(ctx context.Context, do func(*tables) error) error {
	o := &operation{do, make(chan error, 1)}
	select {
	case <-j.stopped:
		return errStopped
	case j.waiting <- o:
	default:
		if !j.loose {
			return errBusy
		}
		select {
		case j.waiting <- o:
		case <-j.stopped:
			return errStopped
		}
	}
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-j.stopped:
		return errStopped
	}
}

// Claim implements coupons.
func (j *journal) Claim(ctx context.Context, c claim) (int64, error) {
	if c.stock != j.options.StockID {
		return 0, unknownStock
	}
	return j.claim(ctx, func(t *tables) (int64, refusal, error) { return t.claim(c) })
}

// claim has a claim carried out.
func (j *journal) claim(ctx context.Context, do func(*tables) (int64, refusal, error)) (int64, error) {
	type result struct {
		number int64
		no     refusal
	}
	got := make(chan result, 1) // not a variable: the caller may be gone
	err := j.write(ctx, func(t *tables) error {
		number, no, err := do(t)
		keepLast(got, result{number, no})
		return err
	})
	if err != nil {
		return 0, err
	}
	if r := <-got; r.no != "" {
		return 0, r.no
	} else {
		return r.number, nil
	}
}

// Pause implements coupons.
func (j *journal) Pause(ctx context.Context, paused bool) error {
	return j.write(ctx, func(t *tables) error { return t.setPaused(j.options.StockID, paused) })
}

// Write implements checkout.
func (j *journal) Write(ctx context.Context, w write) (answer, error) {
	type result struct {
		answer answer
		known  bool // the key
		same   bool // the request, too
	}
	got := make(chan result, 1)
	err := j.write(ctx, func(t *tables) error {
		a, f, known, err := t.answered(w.key)
		if err == nil && !known {
			if a, err = decide(&w, j.seen(t, &w)); err == nil {
				err = t.remember(w.key, w.fingerprint, a)
			}
		}
		keepLast(got, result{a, known, f == w.fingerprint})
		return err
	})
	if err != nil {
		return answer{}, err
	}
	r := <-got
	if r.known && !r.same {
		return answer{}, errConflict
	}
	return r.answer, nil
}

// keepLast puts v into c, which holds one, in place of what is there.
func keepLast[T any](c chan T, v T) {
	select {
	case <-c:
	default:
	}
	c <- v
}

// Read implements checkout.
func (j *journal) Read(ctx context.Context, number int64) (session, bool, error) {
	return readSession(j.db.QueryRowContext(ctx, selectSession, number))
}

var (
	_ coupons  = (*journal)(nil)
	_ checkout = (*journal)(nil)
	_ books    = (*journal)(nil)
	_ durable  = (*journal)(nil)
)
