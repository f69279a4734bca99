// Package sources reads a backend's own books for the audit: the reference
// backend's exports, PostgreSQL and SQLite by a query, CSV and NDJSON files, and
// pages of JSON over HTTP. What the rows mean is package books' business.
//
// Every reader streams, so that memory does not grow with the books but for a
// hash of each row. All of them only read: databases in a read-only transaction
// that sees one moment, HTTP by GET. Nothing beyond loopback is dialled unless
// it is permitted, redirects are not followed, and no message holds a secret.
package sources

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/flashcrowd/flashcrowd/results/audit"
	"github.com/flashcrowd/flashcrowd/results/books"
)

// A Config says which books are read.
type Config struct {
	Mapping books.Mapping // checked, and without any ${NAME}
	Run     books.Window  // of which the books are
	Dir     string        // of the files that the mapping names
	// Permits says whether an address may be dialled; nil permits loopback.
	Permits func(netip.Addr) bool
}

// A Source is books that are open.
type Source struct {
	Name  string // for people, without secrets
	Books audit.Books

	passed map[string]uint64
	reader reader
}

// A reader is one kind of source.
type reader interface {
	// sheet opens a table; nil without an error where there is none.
	sheet(table string) (books.Sheet, error)
	close() error
}

// Open opens the books. Databases answer now whether there are such tables and
// columns; rows are read by the sequences of Books, one at a time, while ctx
// lasts. The caller closes the source.
func Open(ctx context.Context, c Config) (*Source, error) {
	s, err := open(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open the books: %w", err)
	}
	return s, nil
}

func open(ctx context.Context, c Config) (_ *Source, err error) {
	if c.Permits == nil {
		c.Permits = netip.Addr.IsLoopback
	}
	if c.Mapping.Timeout == 0 {
		c.Mapping.Timeout = books.DefaultTimeout
	}
	s := &Source{passed: map[string]uint64{}}
	switch c.Mapping.Source {
	case books.Storefront, books.HTTP:
		s.Name, s.reader, err = openHTTP(ctx, c)
	case books.Postgres:
		s.Name, s.reader, err = openPostgres(ctx, c)
	case books.SQLite:
		s.Name, s.reader, err = openSQLite(ctx, c)
	case books.Files:
		s.Name, s.reader, err = openFiles(c)
	default:
		err = fmt.Errorf("there is no source %q", c.Mapping.Source)
	}
	if err != nil {
		return nil, err
	}
	s.Books, err = c.Mapping.Read(s.reader.sheet, c.Run, func(table string) { s.passed[table]++ })
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Passed returns how many rows of a table were passed over so far, because they
// are from outside the run.
func (s *Source) Passed(table string) uint64 { return s.passed[table] }

// Close lets go of the books.
func (s *Source) Close() error { return s.reader.close() }

// A forbidden address may not be dialled.
type forbidden string

// Error implements error.
func (f forbidden) Error() string {
	return string(f) + " is beyond loopback, and nothing allows it\nhint: --allow ADDRESS"
}

// dialer returns one that dials what may be dialled. The check is on the
// address that is really connected to.
func (c Config) dialer() *net.Dialer {
	return &net.Dialer{Control: func(network, address string, _ syscall.RawConn) error {
		if network == "unix" {
			return nil
		}
		if at, err := netip.ParseAddrPort(address); err != nil || !c.Permits(at.Addr().Unmap().WithZone("")) {
			return forbidden(address)
		}
		return nil
	}}
}
