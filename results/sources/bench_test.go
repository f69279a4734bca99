package sources_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flashcrowd/flashcrowd/results/audit"
	"github.com/flashcrowd/flashcrowd/results/books"
	"github.com/flashcrowd/flashcrowd/results/sources"
)

// BenchmarkOrders reads orders with all columns that an audit looks at, from
// each source that is a file; time and allocations are of one row.
func BenchmarkOrders(b *testing.B) {
	const rows = 100_000
	row := func(format string) func(i int) string {
		return func(i int) string {
			return fmt.Sprintf(format, i, fmt.Sprintf("00b00000-0000-8060-8616-%012d", i), fmt.Sprintf("00b00000-0000-8ff0-80b2-%012d", i), i)
		}
	}
	const columns = "order_id,key,user,coupon,item,quantity,subtotal,discount,amount,currency,at,void"
	text := func(head string, row func(int) string) string {
		var out strings.Builder
		out.WriteString(head)
		for i := range rows {
			out.WriteString(row(i))
		}
		return out.String()
	}
	dir := database(b, "CREATE TABLE orders ("+columns+")",
		fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < %d)
			INSERT INTO orders SELECT 'ord_'||i, '00b00000-0000-8060-8616-'||i, '00b00000-0000-8ff0-80b2-'||i, 'c'||i, 'milk-tea-2', 1, 1600, 1599, 1, 'CNY', '2026-02-06T12:00:01Z', 'false' FROM n`, rows))
	write(b, dir, "orders.csv", text(columns+"\n", row("ord_%d,%s,%s,c%d,milk-tea-2,1,1600,1599,1,CNY,2026-02-06T12:00:01Z,false\n")))
	write(b, dir, "orders.ndjson", text("", row(`{"order_id":"ord_%d","key":"%s","user":"%s","coupon":"c%d","item":"milk-tea-2","quantity":1,"subtotal":1600,"discount":1599,"amount":1,"currency":"CNY","at":"2026-02-06T12:00:01Z","void":false}`+"\n")))
	for _, bb := range []struct {
		name string
		m    books.Mapping
	}{
		{"csv", books.Mapping{Source: books.Files, Orders: books.Table{File: "orders.csv"}}},
		{"ndjson", books.Mapping{Source: books.Files, Orders: books.Table{File: "orders.ndjson"}}},
		{"sqlite", books.Mapping{Source: books.SQLite, File: "shop.db", Orders: books.Table{Query: "SELECT * FROM orders"}}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; n < b.N; {
				s, err := sources.Open(b.Context(), sources.Config{Dir: dir, Run: noon, Mapping: bb.m})
				if err != nil {
					b.Fatal(err)
				}
				each(s.Books.Orders, func(_ audit.Order, err error) bool {
					if err != nil {
						b.Fatal(err)
					}
					n++
					return n < b.N
				})
				s.Close()
			}
		})
	}
}
