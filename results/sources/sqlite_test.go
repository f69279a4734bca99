package sources_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/flashcrowd/flashcrowd/results/books"
	"github.com/flashcrowd/flashcrowd/results/sources"
)

// database makes one and returns its folder.
func database(t testing.TB, statements ...string) string {
	t.Helper()
	dir := t.TempDir()
	db, err := sql.Open("sqlite", filepath.Join(dir, "shop.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	return dir
}

const (
	shopTable = `CREATE TABLE "orders" (no INTEGER PRIMARY KEY, idem TEXT, total NUMERIC, cur TEXT, at DATETIME, state TEXT)`
	shopRows  = `INSERT INTO orders VALUES (1, 'k1', 9.00, 'CNY', '2026-02-06 20:00:01', 'PAID'), (2, NULL, 0.05, 'CNY', '2026-02-06 20:00:02', 'FAILED')`
)

func TestSQLite(t *testing.T) {
	mapping := books.Mapping{
		Source: books.SQLite, File: "shop.db", Decimals: 2, Zone: "+08:00",
		Orders: books.Table{Columns: map[string]string{"id": "no", "key": "idem", "amount": "total", "currency": "cur", "at": "at", "void": "state"}, Void: []string{"FAILED"}},
	}
	const all = "o 1 k1 900 CNY, o 2  5 CNY"
	for _, tt := range []struct{ name, query, zone, want, problem string }{
		{name: "rows", query: "SELECT * FROM orders", want: all},
		{name: "a semicolon and a comment", query: "SELECT * FROM orders -- all\n ; ", want: all},
		{name: "a common table expression", query: "WITH o AS (SELECT * FROM orders) SELECT * FROM o", want: all},
		{name: "the run's ends", query: "SELECT * FROM orders WHERE at < '{{run.until}}'", want: all},
		{name: "none", query: "SELECT * FROM orders WHERE no > 2"},
		{name: "a column is missing", query: "SELECT no, idem, cur, at, state FROM orders", problem: `audit.orders.query: there is no column "total" (audit.orders.columns.amount)
hint: there are no, idem, cur, at, state`},
		{name: "a table is missing", query: "SELECT * FROM bills", problem: "audit.orders.query: SQL logic error: no such table: bills"},
		{name: "a join that repeats rows", query: "SELECT o.* FROM orders o, (SELECT 1 UNION SELECT 2) WHERE no = 1", want: "o 1 k1 900 CNY", problem: `audit.orders.query: row 2: the same row is there a second time: order "1"`},
		{name: "no zone", query: "SELECT * FROM orders", zone: "none", problem: `audit.orders.query: row 1: "at": "2026-02-06 20:00:01" does not say its time zone
hint: audit.zone: "+08:00" would put it into the run`},
		{name: "not reading", query: "DELETE FROM orders RETURNING *", problem: "audit.orders.query: "},
		{name: "two statements", query: "SELECT * FROM orders; DELETE FROM orders", problem: "audit.orders.query: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := mapping
			m.Orders.Query = tt.query
			if tt.zone != "" {
				m.Zone = ""
			}
			dir := database(t, shopTable, shopRows)
			for range 2 { // nothing was changed
				rows, err := gather(t, sources.Config{Dir: dir, Mapping: m})
				check(t, rows, err, tt.want, tt.problem)
			}
		})
	}
}

// A file that is not whole, or no database, is not read at all.
func TestSQLiteDamaged(t *testing.T) {
	m := books.Mapping{Source: books.SQLite, File: "shop.db", Orders: books.Table{Query: "SELECT no AS order_id, idem AS key, 1 AS amount, 'CNY' AS currency FROM orders"}}
	fill := `WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i+1 FROM n WHERE i < 5000) INSERT INTO orders SELECT i, 'k'||i, 1, 'CNY', '', '' FROM n`
	for _, tt := range []struct {
		name    string
		damage  func(whole []byte) []byte
		problem string
	}{
		{"cut off", func(b []byte) []byte { return b[:len(b)/2] }, "database disk image is malformed"},
		{"cut off within a page", func(b []byte) []byte { return b[:len(b)-100] }, "the database is damaged"},
		{"a page of noughts", func(b []byte) []byte { clear(b[8192:12288]); return b }, "damaged"},
		{"no database", func([]byte) []byte { return []byte("order_id,key\n") }, "file is not a database"},
		{"empty", func([]byte) []byte { return nil }, "shop.db is no SQLite database"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := database(t, shopTable, fill)
			path := filepath.Join(dir, "shop.db")
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, tt.damage(whole), 0o600); err != nil {
				t.Fatal(err)
			}
			rows, err := gather(t, sources.Config{Dir: dir, Mapping: m})
			if err == nil {
				t.Fatalf("%d rows were read", len(rows))
			}
			check(t, rows, err, "", tt.problem)
		})
	}
	_, err := gather(t, sources.Config{Dir: t.TempDir(), Mapping: m})
	check(t, nil, err, "", "there is no file ")
}

// FuzzSQLite: whatever a file of that name holds, and whatever is asked of it,
// reading ends and the file stays as it was.
func FuzzSQLite(f *testing.F) {
	dir := database(f, shopTable, shopRows)
	whole, err := os.ReadFile(filepath.Join(dir, "shop.db"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole, "SELECT no AS order_id, idem AS key, 1 AS amount, cur AS currency FROM orders", "")
	f.Add(whole[:4096], "SELECT * FROM orders", "no")
	f.Add([]byte("SQLite format 3\x00"), "SELECT 1", `a"b`)
	f.Fuzz(func(t *testing.T, file []byte, query, column string) {
		dir := t.TempDir()
		write(t, dir, "shop.db", string(file))
		m := books.Mapping{Source: books.SQLite, File: "shop.db", Timeout: 200e6, Orders: books.Table{Query: query, Columns: map[string]string{"id": column}}}
		gather(t, sources.Config{Dir: dir, Mapping: m})
		if after, err := os.ReadFile(filepath.Join(dir, "shop.db")); err != nil || string(after) != string(file) {
			t.Errorf("the file was changed: %v", err)
		}
	})
}
