package sources_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/flashcrowd/flashcrowd/results/audit"
	"github.com/flashcrowd/flashcrowd/results/books"
	"github.com/flashcrowd/flashcrowd/results/sources"
)

// password has what a URL must escape, and what no message may show.
const password = "p@ss/w0rd"

// server starts a PostgreSQL of its own on loopback, as Debian's package has
// it, and returns the URL of its database.
func server(t testing.TB) string {
	t.Helper()
	bin := serverBin()
	if bin == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no PostgreSQL server: apt-get install postgresql")
		}
		t.Skip("there is no PostgreSQL server: apt-get install postgresql")
	}
	dir, err := os.MkdirTemp("", "flashcrowd-pg-") // not t.TempDir, which only we may enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	write(t, dir, "password", password+"\n")
	as := &syscall.SysProcAttr{}
	if os.Getuid() == 0 { // which PostgreSQL refuses to run as
		as.Credential = unprivileged(t)
		for _, path := range []string{dir, filepath.Join(dir, "password")} {
			if err := os.Chown(path, int(as.Credential.Uid), int(as.Credential.Gid)); err != nil {
				t.Fatal(err)
			}
		}
	}
	command := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(bin, name), args...)
		cmd.Dir, cmd.SysProcAttr, cmd.Env = dir, as, append(os.Environ(), "LC_ALL=C", "PGUSER=", "HOME="+dir)
		return cmd
	}
	data := filepath.Join(dir, "data")
	if out, err := command("initdb", "-D", data, "-U", "auditor", "--pwfile", filepath.Join(dir, "password"), "-A", "scram-sha-256", "-E", "UTF8", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	port := 0
	for tries := 1; port == 0; tries++ {
		free := freePort(t) // until somebody else takes it
		log := filepath.Join(dir, fmt.Sprint("log", tries))
		start := command("pg_ctl", "-D", data, "-l", log, "-w", "-t", "60", "-o", fmt.Sprintf("-h 127.0.0.1 -p %d -k '%s' -F", free, dir), "start")
		err := start.Run()
		said, _ := os.ReadFile(log)
		switch {
		case err == nil:
			port = free
		case tries == 5 || !strings.Contains(string(said), "Address already in use"):
			t.Fatalf("start PostgreSQL: %v\n%s", err, said)
		}
	}
	t.Cleanup(func() {
		if err := command("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop").Run(); err != nil {
			t.Errorf("stop PostgreSQL: %v", err)
		}
	})
	return fmt.Sprintf("postgres://auditor:p%%40ss%%2Fw0rd@127.0.0.1:%d/postgres", port)
}

// freePort returns a port that is free on loopback.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// serverBin returns the folder of initdb and pg_ctl, the newest if there are
// several; empty if there is none.
func serverBin() string {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path)
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return ""
	}
	return filepath.Dir(slices.Max(found))
}

func unprivileged(t testing.TB) *syscall.Credential {
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, _ := strconv.ParseUint(u.Uid, 10, 32)
			gid, _ := strconv.ParseUint(u.Gid, 10, 32)
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	t.Fatal("PostgreSQL refuses to run as root, and there is no user postgres or nobody")
	return nil
}

// do runs statements on the server.
func do(t testing.TB, at, statements string) {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), statements).ReadAll(); err != nil {
		t.Fatal(err)
	}
}

// TestPostgres reads a real server, started once for all of its parts.
func TestPostgres(t *testing.T) {
	at := server(t)
	do(t, at, `CREATE TABLE orders (no bigint, idem uuid, total numeric(10,2), cur char(3), at timestamp, seen timestamptz, state text);
		INSERT INTO orders VALUES
			(1, '0190a000-0000-8000-8000-000000000001', 9.00, 'CNY', '2026-02-06 20:00:01.5', '2026-02-06 20:00:01.5+08', 'PAID'),
			(2, NULL, 0.05, 'CNY', '2026-02-06 20:00:02', '2026-02-06 12:00:02Z', 'FAILED');
		CREATE TABLE coupons (code text, spent text, pauses json);
		INSERT INTO coupons VALUES ('c1', '1', '[{"from": "2026-02-06T12:00:00Z", "until": null}]'), ('c2', NULL, '[]')`)
	mapping := books.Mapping{
		Source: books.Postgres, URL: at, Decimals: 2, Zone: "Asia/Shanghai",
		Orders: books.Table{Columns: map[string]string{"id": "no", "key": "idem", "amount": "total", "currency": "cur", "at": "at", "void": "state"}, Void: []string{"FAILED"}},
	}
	const all = "o 1 0190a000-0000-8000-8000-000000000001 900 CNY, o 2  5 CNY"

	for _, tt := range []struct {
		name, query, want, problem string
		change                     func(*books.Mapping)
	}{
		{name: "rows", query: "SELECT * FROM orders ORDER BY no", want: all},
		{name: "the run's ends, of a clock without a zone", query: "SELECT * FROM orders WHERE at BETWEEN '{{run.from}}' AND '{{run.until}}'", want: all},
		{name: "the run's ends", query: "SELECT * FROM orders WHERE seen BETWEEN '{{run.from}}' AND '{{run.until}}'", want: all},
		{name: "times with a zone", query: "SELECT * FROM orders", want: all, change: func(m *books.Mapping) {
			m.Zone, m.Orders.Columns = "", map[string]string{"id": "no", "key": "idem", "amount": "total", "currency": "cur", "at": "seen", "void": "state"}
		}},
		{name: "coupons and stocks", query: "SELECT * FROM orders WHERE no = 1", want: strings.Split(all, ", ")[0] + ", c c1 1, c c2 , s c1 1, s c2 0", change: func(m *books.Mapping) {
			m.Coupons = books.Table{Query: "SELECT * FROM coupons", Columns: map[string]string{"id": "code", "order": "spent"}}
			m.Stocks = books.Table{Query: "SELECT code, pauses FROM coupons", Columns: map[string]string{"id": "code", "paused": "pauses"}}
		}},
		{name: "none", query: "SELECT * FROM orders WHERE no > 2"},

		{name: "no zone", query: "SELECT * FROM orders ORDER BY no", change: func(m *books.Mapping) { m.Zone = "" },
			problem: "audit.orders.query: row 1: \"at\": \"2026-02-06 20:00:01.5\" does not say its time zone\nhint: audit.zone: \"+08:00\" would put it into the run"},
		{name: "a wrong zone", query: "SELECT * FROM orders ORDER BY no", change: func(m *books.Mapping) { m.Zone = "Europe/Berlin" },
			problem: "lies 6h50m2s after the run ended, at 2026-02-06T12:10:00Z\nhint: a wrong time zone? audit.zone: \"+08:00\" would put it into the run"},
		{name: "a currency that differs", query: "SELECT * FROM orders", change: func(m *books.Mapping) { m.Currency = "USD" },
			problem: `audit.orders.query: row 1: "cur": the currency is CNY, and the campaign says that all books are in USD`},
		{name: "a column is missing", query: "SELECT no, idem, cur, at, state FROM orders", problem: `audit.orders.query: there is no column "total" (audit.orders.columns.amount)
hint: there are no, idem, cur, at, state`},
		{name: "a join that repeats rows", query: "SELECT o.* FROM orders o, generate_series(1, 2) WHERE no = 1", want: strings.Split(all, ", ")[0],
			problem: `audit.orders.query: row 2: the same row is there a second time: order "1"`},
		{name: "a table is missing", query: "SELECT * FROM bills", problem: `audit.orders.query: ERROR: relation "bills" does not exist (SQLSTATE 42P01) (at character 15)`},
		{name: "not reading", query: "DELETE FROM orders RETURNING *", problem: "audit.orders.query: ERROR: cannot execute DELETE in a read-only transaction (SQLSTATE 25006)\nhint: the audit only reads"},
		{name: "two statements", query: "COMMIT; DELETE FROM orders", problem: "audit.orders.query: ERROR: cannot insert multiple commands"},
		{name: "no rows at all", query: "COMMIT", problem: "audit.orders.query returns no rows: it is no SELECT"},
		{name: "too long", query: "SELECT o.*, pg_sleep(5)::text FROM orders o", change: func(m *books.Mapping) { m.Timeout = 50 * time.Millisecond },
			problem: "canceling statement due to statement timeout (SQLSTATE 57014)\nhint: audit.timeout: 15m"},
		{name: "it fails in the middle", query: "SELECT o.*, 1 / (2 - no) AS half FROM orders o ORDER BY no", problem: "audit.orders.query: ERROR: division by zero"},
		{name: "a wrong password", change: func(m *books.Mapping) { m.URL = strings.Replace(at, "w0rd", "word", 1) }, problem: "password authentication failed"},
		{name: "nobody there", change: func(m *books.Mapping) { m.URL = "postgres://auditor:p%40ss%2Fw0rd@127.0.0.1:1/postgres" }, problem: "connection refused"},
		{name: "beyond loopback", change: func(m *books.Mapping) { m.URL = "postgres://auditor:p%40ss%2Fw0rd@192.0.2.1/postgres" }, problem: "192.0.2.1:5432 is beyond loopback, and nothing allows it\nhint: --allow ADDRESS"},
		{name: "no URL", change: func(m *books.Mapping) { m.URL = "postgres://auditor:" + password + "@127.0.0.1/db" }, problem: "the connection URL can't be read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := mapping
			m.Orders.Query = tt.query
			if tt.change != nil {
				tt.change(&m)
			}
			rows, err := gather(t, sources.Config{Mapping: m})
			check(t, rows, err, tt.want, tt.problem)
			if err != nil && (strings.Contains(err.Error(), "w0rd") || strings.Contains(err.Error(), "p%40ss")) {
				t.Errorf("the password is in a message: %v", err)
			}
		})
	}

	t.Run("one moment", func(t *testing.T) {
		m := mapping
		m.Orders.Query = "SELECT * FROM orders ORDER BY no"
		m.Coupons = books.Table{Query: "SELECT * FROM coupons", Columns: map[string]string{"id": "code", "order": "spent"}}
		s, err := sources.Open(t.Context(), sources.Config{Mapping: m, Run: noon})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if s.Name != "PostgreSQL's postgres at "+strings.Split(strings.Split(at, "@")[1], "/")[0] {
			t.Errorf("name %q", s.Name)
		}
		n := 0
		each(s.Books.Orders, func(audit.Order, error) bool { n++; return true })
		do(t, at, "INSERT INTO coupons VALUES ('c3', NULL, '[]'); INSERT INTO orders SELECT 3, idem, total, cur, at, seen, state FROM orders WHERE no = 1")
		each(s.Books.Coupons, func(audit.Coupon, error) bool { n++; return true })
		each(s.Books.Orders, func(audit.Order, error) bool { n++; return true })
		if n != 2+2+2 {
			t.Errorf("%d rows, want the 6 of one moment", n)
		}
	})

	t.Run("rows come as they are needed", func(t *testing.T) {
		m := books.Mapping{Source: books.Postgres, URL: at, Currency: "CNY", Orders: books.Table{Query: "SELECT n AS order_id, n AS key, 1 AS amount FROM (SELECT generate_series(1, 100000000) AS n) AS endless"}}
		s, err := sources.Open(t.Context(), sources.Config{Mapping: m, Run: noon, Permits: netip.Addr.IsLoopback})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		n := 0
		for _, err := range s.Books.Orders {
			if n++; n == 1000 || err != nil {
				break
			}
		}
		if n != 1000 {
			t.Errorf("%d rows", n)
		}
		for _, err = range s.Books.Orders {
			break
		}
		if err == nil {
			t.Error("a connection that was left is read on")
		}
	})

	t.Run("a server that goes away", func(t *testing.T) {
		m := books.Mapping{Source: books.Postgres, URL: at, Currency: "CNY", Orders: books.Table{Query: "SELECT n AS order_id, n AS key, 1 AS amount FROM (SELECT generate_series(1, 10000000) AS n) AS endless"}}
		s, err := sources.Open(t.Context(), sources.Config{Mapping: m, Run: noon})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		n := 0
		for _, err = range s.Books.Orders {
			if n++; n == 10 {
				do(t, at, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'flashcrowd audit'")
			}
		}
		if err == nil || n > 9_000_000 || errors.Is(err, context.Canceled) {
			t.Errorf("%d rows and %v", n, err)
		}
	})
}
