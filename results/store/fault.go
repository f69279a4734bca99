package store

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// explain says in our words what SQLite said in its own, with the next move.
func explain(err error) error {
	switch sqliteCode(err) {
	case sqlite3.SQLITE_NOTADB:
		return errors.New("this is not a database\nhint: a run is a file named run.db; flashcrowd runs lists them")
	case sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("the file is damaged: %w\nhint: what is left of it can be saved with: sqlite3 run.db .recover", err)
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("the disk is full: %w\nhint: make room; what was stored before is safe", err)
	case sqlite3.SQLITE_READONLY:
		return fmt.Errorf("the file or its folder can't be written: %w", err)
	case sqlite3.SQLITE_BUSY:
		return fmt.Errorf("another program holds it: %w\nhint: leave the sqlite3 shell that has a transaction open", err)
	case sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("it can't be opened: %w\nhint: look at the rights of the file and its folder", err)
	}
	return err
}

// sqliteCode returns the primary code of an error of SQLite, else 0.
func sqliteCode(err error) int {
	if e := (*sqlite.Error)(nil); errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}
