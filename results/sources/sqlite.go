package sources

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/flashcrowd/flashcrowd/results/books"
)

// lite is a SQLite file in a transaction that sees one moment.
type lite struct {
	ctx     context.Context
	db      *sql.DB
	tx      *sql.Tx
	mapping books.Mapping
	run     books.Window
}

func openSQLite(ctx context.Context, c Config) (string, reader, error) {
	path := filepath.Join(c.Dir, c.Mapping.File)
	name := c.Mapping.File
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil, fmt.Errorf("there is no file %s\nhint: it is looked for beside the campaign, or in --data DIR", path)
	case err != nil:
		return "", nil, err
	case !info.Mode().IsRegular() || info.Size() == 0:
		return "", nil, fmt.Errorf("%s is no SQLite database: it is empty, or no file", name)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", nil, err
	}
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: abs, RawQuery: url.Values{
		"mode": {"ro"}, "_pragma": {"query_only(1)", "busy_timeout(5000)", "trusted_schema(0)"}}.Encode()}
	l := &lite{ctx: ctx, mapping: c.Mapping, run: c.Run}
	if l.db, err = sql.Open("sqlite", dsn.String()); err != nil {
		return "", nil, fmt.Errorf("open %s: %w", name, err)
	}
	if err := l.begin(); err != nil {
		return "", nil, errors.Join(fmt.Errorf("read %s: %w", name, err), l.close())
	}
	return name, l, nil
}

// begin takes the moment that is seen, and looks for damage: of a file that is
// cut off or broken SQLite would otherwise give what it happens to find.
func (l *lite) begin() (err error) {
	ctx, cancel := context.WithTimeout(l.ctx, l.mapping.Timeout)
	defer cancel()
	if l.tx, err = l.db.BeginTx(l.ctx, nil); err != nil {
		return err
	}
	var found string
	if err := l.tx.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found); err != nil {
		return fmt.Errorf("%w\nhint: a damaged copy, or no SQLite database: make it with .backup or VACUUM INTO, not by copying a file in use", err)
	}
	if found != "ok" {
		return fmt.Errorf("the database is damaged: %s\nhint: make a copy with .backup or VACUUM INTO, not by copying a file in use", found)
	}
	return nil
}

func (l *lite) close() error {
	var err error
	if l.tx != nil {
		if err = l.tx.Rollback(); errors.Is(err, sql.ErrTxDone) { // its context is over
			err = nil
		}
	}
	return errors.Join(err, l.db.Close())
}

func (l *lite) sheet(table string) (books.Sheet, error) {
	query := l.mapping.Table(table).Query
	if query == "" {
		return nil, nil
	}
	query, err := l.mapping.Fill(query, l.run)
	return liteSheet{l, "audit." + table + ".query", strings.TrimRight(query, "; \t\r\n")}, err
}

// liteSheet is a query to SQLite.
type liteSheet struct {
	lite        *lite
	name, query string
}

// Where implements books.Sheet.
func (s liteSheet) Where(n int) string { return whereRow(s.name, n) }

func whereRow(name string, n int) string {
	if n == 0 {
		return name
	}
	return fmt.Sprintf("%s: row %d", name, n)
}

// Columns implements books.Sheet.
func (s liteSheet) Columns() ([]string, error) {
	ctx, cancel := context.WithTimeout(s.lite.ctx, s.lite.mapping.Timeout)
	defer cancel()
	rows, err := s.lite.tx.QueryContext(ctx, "SELECT * FROM (\n"+s.query+"\n) LIMIT 0")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	columns, err := rows.Columns()
	return columns, errors.Join(err, rows.Close())
}

// Rows implements books.Sheet. Every value is cast to text by SQLite: the
// driver would take a naive time in a column of type DATETIME for UTC.
func (s liteSheet) Rows(columns []string) iter.Seq2[books.Row, error] {
	return func(yield func(books.Row, error) bool) {
		fail := func(err error) { yield(books.Row{}, fmt.Errorf("%s: %w", s.name, err)) }
		have, err := s.Columns()
		if err != nil {
			yield(books.Row{}, err)
			return
		}
		list := make([]string, len(columns))
		for i, c := range columns {
			if !slices.Contains(have, c) { // in quotes it would be a text
				fail(fmt.Errorf("there is no column %q", c))
				return
			}
			list[i] = `CAST("` + strings.ReplaceAll(c, `"`, `""`) + `" AS TEXT)`
		}
		ctx, cancel := context.WithTimeout(s.lite.ctx, s.lite.mapping.Timeout)
		defer cancel()
		rows, err := s.lite.tx.QueryContext(ctx, "SELECT "+strings.Join(list, ", ")+" FROM (\n"+s.query+"\n)")
		if err != nil {
			fail(err)
			return
		}
		defer rows.Close()
		cells := make([]sql.NullString, len(columns))
		to := make([]any, len(columns))
		for i := range cells {
			to[i] = &cells[i]
		}
		row := books.Row{Cells: make([]books.Cell, len(columns))}
		for rows.Next() {
			row.N++
			if err := rows.Scan(to...); err != nil {
				fail(err)
				return
			}
			for i, c := range cells {
				row.Cells[i] = books.Cell{Text: c.String}
				if !c.Valid {
					row.Cells[i].State = books.Null
				}
			}
			if !yield(row, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			fail(err)
		}
	}
}
