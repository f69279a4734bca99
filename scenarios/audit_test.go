package scenarios

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/books"
)

// audited is a campaign with an audit.
func audited(audit string) string {
	b := plain()
	delete(b, "audit")
	return strings.TrimSuffix(b.String(), "}") + ", audit: " + audit + "}"
}

const inPostgres = `{source: postgres, url: "${BOOKS}", decimals: 2, zone: Asia/Shanghai, outside: skip,
  orders: {query: "SELECT * FROM orders WHERE at > '{{run.from}}'", columns: {id: no, key: "-"}, void: [CANCELLED]}}`

func TestAudit(t *testing.T) {
	c, err := Parse("", []byte(audited(inPostgres)))
	if err != nil {
		t.Fatal(err)
	}
	want := &books.Mapping{
		Source: books.Postgres, URL: "${BOOKS}", Timeout: 5 * time.Minute, Decimals: 2, Zone: "Asia/Shanghai", Outside: books.Skip,
		Orders: books.Table{Query: "SELECT * FROM orders WHERE at > '{{run.from}}'", Columns: map[string]string{"id": "no", "key": books.None}, Void: []string{"CANCELLED"}},
	}
	if !reflect.DeepEqual(c.Audit, want) {
		t.Errorf("audit:\n%+v\nwant:\n%+v", c.Audit, want)
	}
	p, err := c.Plan(results.Factors{})
	if err != nil {
		t.Fatal(err)
	}
	q, err := DecodePlan(p.Encode())
	if err != nil || !reflect.DeepEqual(q.Campaign.Audit, want) {
		t.Errorf("decoded: %+v, %v", q, err)
	}
	if names := p.Secrets(); len(names) > 0 {
		t.Errorf("workers are asked for %q", names)
	}
}

func TestAuditFaults(t *testing.T) {
	for _, tt := range []struct{ audit, want string }{
		{`{source: storefront}`, ""},
		{`{source: storefront, url: "http://127.0.0.1:9"}`, ""},
		{`{source: sqlite, file: shop.db, orders: {query: "SELECT 1"}}`, ""},
		{`{source: files, orders: {file: o.csv.gz}, seats: {file: s.ndjson}}`, ""},
		{`{source: http, url: "${SHOP}", headers: {Authorization: "Bearer ${T}"}, orders: {path: /o, rows: data, next: {by: cursor, path: next, parameter: after}}}`, ""},
		{`{source: postgres, url: "postgres://me@db/shop?sslmode=require", coupons: {query: q}}`, ""},

		{`{source: postgres, url: "postgres://me:${PW}@${HOST}/shop", coupons: {query: q}}`, ""},

		{`{}`, "audit.source: is missing"},
		{`{source: postgres, url: "postgres://me:secret@${HOST}/shop", orders: {query: q}}`, "audit.url: must not hold a password"},
		{`{source: files}`, "audit.orders: is missing"},
		{`{source: postgres, orders: {query: q}}`, "audit.url: is missing"},
		{`{source: postgres, url: "postgres://me:secret@db/shop", orders: {query: q}}`, "audit.url: must not hold a password"},
		{`{source: postgres, url: "postgres://me@db/shop?password=secret", orders: {query: q}}`, "audit.url: must not hold a password"},
		{`{source: postgres, url: "host=db password=secret", orders: {query: q}}`, "audit.url: must be a postgres URL"},
		{`{source: http, orders: {path: /o}}`, "audit.url: is missing"},
		{`{source: http, url: "ftp://shop", orders: {path: /o}}`, "audit.url: must be an http or https URL"},
		{`{source: sqlite, orders: {query: q}}`, "audit.file: is missing"},
		{`{source: sqlite, file: ../shop.db, orders: {query: q}}`, "audit.file: \"../shop.db\" must be the plain name"},
		{`{source: sqlite, file: shop.db, url: "${X}", orders: {query: q}}`, "audit.url: is not for the source sqlite"},
		{`{source: files, orders: {file: /etc/passwd}}`, "audit.orders.file: \"/etc/passwd\" must be the plain name"},
		{`{source: files, orders: {file: o.xlsx}}`, "audit.orders.file: \"o.xlsx\" must end in"},
		{`{source: files, orders: {columns: {id: no}}}`, "audit.orders.file: is missing"},
		{`{source: files, headers: {A: b}, orders: {file: o.csv}}`, "audit.headers: are for the source http"},
		{`{source: storefront, orders: {columns: {id: no}}}`, "audit.orders.columns: is not for the source storefront"},
		{`{source: http, url: "http://s", orders: {path: /o, next: {by: cursor, parameter: c}}}`, "audit.orders.next.path: is missing"},
		{`{source: http, url: "http://s", orders: {path: /o, next: {by: offset}}}`, "audit.orders.next.parameter: must be the name"},
		{`{source: http, url: "http://s", orders: {path: /o, next: {by: page, parameter: p, path: x}}}`, "audit.orders.next.path: is for link and cursor"},
		{`{source: http, url: "http://s", orders: {path: /o, next: {by: link, parameter: p}}}`, "audit.orders.next.parameter: is for cursor"},
		{`{source: files, seats: {file: s.csv, columns: {user: u}}}`, "audit.seats.columns: unknown key \"user\""},
		{`{source: files, coupons: {file: c.csv, void: [x]}}`, "audit.coupons: unknown key \"void\""},
	} {
		_, err := Parse("", []byte(audited(tt.audit)))
		if err == nil && tt.want != "" || err != nil && (tt.want == "" || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s\n  %v\nwant\n  %s", tt.audit, err, tt.want)
		}
	}
	// A plan comes from elsewhere: what the parser would not give is refused, too.
	c, err := Parse("", []byte(audited(inPostgres)))
	if err != nil {
		t.Fatal(err)
	}
	c.Audit.Orders.Columns["secret"] = "x"
	var faults Faults
	if err := c.check().err(); !errors.As(err, &faults) || faults[0].Path != "audit.orders.columns.secret" {
		t.Errorf("a column of nothing: %v", err)
	}
}

func TestResolveAudit(t *testing.T) {
	m := books.Mapping{URL: "${A}", Headers: map[string]string{"Authorization": "Bearer ${B}"}}
	got, err := ResolveAudit(m, func(name string) (string, bool) { return "the " + name, true })
	if err != nil || got.URL != "the A" || got.Headers["Authorization"] != "Bearer the B" || m.Headers["Authorization"] != "Bearer ${B}" {
		t.Errorf("%+v, %v; of %+v", got, err, m)
	}
	if _, err := ResolveAudit(m, func(string) (string, bool) { return "", false }); err == nil || !strings.Contains(err.Error(), "${A} is not set") {
		t.Errorf("not set: %v", err)
	}
}
