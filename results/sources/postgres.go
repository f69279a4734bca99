package sources

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/flashcrowd/flashcrowd/results/books"
)

// postgres is one connection to PostgreSQL, in a read-only transaction that
// sees one moment. Values come in the server's text form, in UTC: package books
// reads text, and nothing of a type is lost on the way.
type postgres struct {
	ctx     context.Context
	conn    *pgconn.PgConn
	mapping books.Mapping
	run     books.Window
	secret  string // the password, which no message may hold
	broken  bool   // a result was left in the middle: the connection is of no more use
}

// connecting is how long a server may take to let us in.
const connecting = 20 * time.Second

func openPostgres(ctx context.Context, c Config) (string, reader, error) {
	config, err := pgconn.ParseConfig(c.Mapping.URL)
	if err != nil || !unmistakable(c.Mapping.URL) {
		return "", nil, errors.New("the connection URL can't be read\nhint: postgres://user:password@host:5432/database?sslmode=verify-full, with % codes for special characters in the password") // without it: it holds a secret
	}
	config.DialFunc = c.dialer().DialContext
	config.ConnectTimeout = connecting
	config.RuntimeParams["application_name"] = "flashcrowd audit"
	p := &postgres{ctx: ctx, mapping: c.Mapping, run: c.Run, secret: config.Password}
	if p.conn, err = pgconn.ConnectConfig(ctx, config); err != nil {
		return "", nil, p.explain(err)
	}
	begin := fmt.Sprintf("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = %d; SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO'; SELECT 1",
		c.Mapping.Timeout.Milliseconds()) // the last one takes the moment that is seen
	if _, err := p.conn.Exec(ctx, begin).ReadAll(); err != nil {
		return "", nil, errors.Join(p.explain(err), p.close())
	}
	host := config.Host
	if !strings.HasPrefix(host, "/") {
		host = net.JoinHostPort(host, fmt.Sprint(config.Port))
	}
	return fmt.Sprintf("PostgreSQL's %s at %s", config.Database, host), p, nil
}

// unmistakable says whether no part of a password can have been taken for part
// of an address, as that of u:a/b@host is, and so come into a message.
func unmistakable(at string) bool {
	u, err := url.Parse(at)
	if err != nil || u.Scheme == "" {
		return !strings.Contains(at, "://") // keywords and values
	}
	return strings.Count(at, "@") == 0 || strings.Count(at, "@") == 1 && u.User != nil
}

// explain adds the next move and takes the password out.
func (p *postgres) explain(err error) error {
	hint := ""
	var not forbidden
	if errors.As(err, &not) {
		return not // once, and not for each way to the same address
	}
	var server *pgconn.PgError
	if errors.As(err, &server) {
		switch {
		case server.Code == "57014":
			hint = "\nhint: audit.timeout: 15m, or a query that does less"
		case server.Code == "25006":
			hint = "\nhint: the audit only reads"
		case strings.HasPrefix(server.Code, "42"):
			hint = "\nhint: try the query in psql"
			if server.Position > 0 {
				hint = fmt.Sprintf(" (at character %d)", server.Position) + hint
			}
		}
	}
	text := err.Error() + hint
	if p.secret != "" && strings.Contains(text, p.secret) {
		return errors.New(strings.ReplaceAll(text, p.secret, "…"))
	}
	if hint == "" {
		return err
	}
	return fmt.Errorf("%w%s", err, hint)
}

func (p *postgres) close() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), time.Second)
	defer cancel()
	_ = p.conn.Close(ctx) // nothing was written
	return nil
}

func (p *postgres) sheet(table string) (books.Sheet, error) {
	query := p.mapping.Table(table).Query
	if query == "" {
		return nil, nil
	}
	query, err := p.mapping.Fill(query, p.run)
	if err != nil {
		return nil, err
	}
	s := &pgSheet{postgres: p, name: "audit." + table + ".query", statement: "audit_" + table}
	// A statement is one: nothing can end the transaction and go on.
	described, err := p.conn.Prepare(p.ctx, s.statement, query, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, p.explain(err))
	}
	for _, f := range described.Fields {
		s.columns = append(s.columns, f.Name)
	}
	return s, nil
}

// pgSheet is a query to PostgreSQL.
type pgSheet struct {
	postgres        *postgres
	name, statement string
	columns         []string
}

// Where implements books.Sheet.
func (s *pgSheet) Where(n int) string { return whereRow(s.name, n) }

// Columns implements books.Sheet.
func (s *pgSheet) Columns() ([]string, error) {
	if len(s.columns) == 0 {
		return nil, fmt.Errorf("%s returns no rows: it is no SELECT", s.name)
	}
	return s.columns, nil
}

// Rows implements books.Sheet. Who leaves in the middle closes the connection:
// what is left of the result would have to be read first.
func (s *pgSheet) Rows(columns []string) iter.Seq2[books.Row, error] {
	return func(yield func(books.Row, error) bool) {
		p := s.postgres
		fail := func(err error) { yield(books.Row{}, fmt.Errorf("%s: %w", s.name, p.explain(err))) }
		if p.broken {
			fail(errors.New("the connection was given up in the middle of a result"))
			return
		}
		at := make([]int, len(columns))
		for i, c := range columns {
			if at[i] = slices.Index(s.columns, c); at[i] < 0 {
				fail(fmt.Errorf("there is no column %q", c))
				return
			}
		}
		ctx, leave := context.WithCancel(p.ctx)
		defer leave()
		result := p.conn.ExecPrepared(ctx, s.statement, nil, nil, nil)
		row := books.Row{Cells: make([]books.Cell, len(columns))}
		for result.NextRow() {
			row.N++
			values := result.Values()
			for i, from := range at {
				row.Cells[i] = books.Cell{Text: string(values[from])}
				if values[from] == nil {
					row.Cells[i].State = books.Null
				}
			}
			if !yield(row, nil) {
				p.broken = true
				return
			}
		}
		if _, err := result.Close(); err != nil {
			fail(err)
		}
	}
}
