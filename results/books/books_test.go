package books_test

import (
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results/audit"
	"github.com/flashcrowd/flashcrowd/results/books"
)

// A sheet in memory: the first line has the columns, cells are parted by |, and
// a cell of NULL holds nothing. Where the first line is empty, rows name their
// own columns: name=value.
type sheet string

func (s sheet) lines() []string { return strings.Split(strings.TrimSuffix(string(s), "\n"), "\n") }

func (s sheet) Columns() ([]string, error) {
	if head := s.lines()[0]; head != "" {
		return strings.Split(head, "|"), nil
	}
	return nil, nil
}

func (s sheet) Rows(columns []string) iter.Seq2[books.Row, error] {
	return func(yield func(books.Row, error) bool) {
		names, _ := s.Columns()
		for i, line := range s.lines()[1:] {
			row := books.Row{N: i + 2, Cells: make([]books.Cell, len(columns))}
			for at, want := range columns {
				row.Cells[at].State = books.Absent
				for j, cell := range strings.Split(line, "|") {
					name, value, own := strings.Cut(cell, "=")
					if names != nil {
						name, value = names[j], cell
					}
					if (own || names != nil) && name == want {
						row.Cells[at] = books.Cell{Text: value}
						if value == "NULL" {
							row.Cells[at] = books.Cell{State: books.Null}
						}
					}
				}
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

func (sheet) Where(n int) string {
	if n == 0 {
		return "x.csv"
	}
	return fmt.Sprintf("x.csv, line %d", n)
}

var _ books.Sheet = sheet("")

// noon is a run of ten minutes.
var noon = books.Window{From: moment("2026-02-06T12:00:00Z"), Until: moment("2026-02-06T12:10:00Z")}

func moment(s string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return at
}

// read reads one table of a mapping.
func read(m books.Mapping, table, text string, run books.Window) (b audit.Books, rows []any, err error) {
	b, err = m.Read(func(name string) (books.Sheet, error) {
		if name == table {
			return sheet(text), nil
		}
		return nil, nil
	}, run, func(string) {})
	if err != nil {
		return b, nil, err
	}
	switch table {
	case "orders":
		rows, err = all(b.Orders)
	case "coupons":
		rows, err = all(b.Coupons)
	case "stocks":
		rows, err = all(b.Stocks)
	case "seats":
		rows, err = all(b.Seatings)
	}
	return b, rows, err
}

func all[T any](rows iter.Seq2[T, error]) (all []any, err error) {
	for v, err := range rows {
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, nil
}

func TestRead(t *testing.T) {
	const plain = "order_id|key|amount|currency"
	inCNY := books.Mapping{Currency: "CNY"}
	for _, tt := range []struct {
		name    string
		m       books.Mapping
		table   string // orders
		in      string
		want    []any
		lacks   string
		problem string // the error; what comes before it is in want
	}{
		{name: "nothing", in: plain + "\n"},
		{
			name: "as the storefront exports it",
			in: "order_id|key|user|coupon|item|quantity|subtotal|discount|amount|currency|at|void|more\n" +
				"o1|k1|u1|c1|tea|2|1800|900|900|CNY|2026-02-06T12:00:01.5Z|false|x\n" +
				"o2||NULL|||0|5|0|5|CNY|2026-02-06T12:00:02Z|true|x\n",
			want: []any{
				audit.Order{ID: "o1", Key: "k1", User: "u1", Coupon: "c1", Item: "tea", Quantity: 2, Subtotal: 1800, Discount: 900, Amount: 900, Currency: "CNY", At: moment("2026-02-06T12:00:01.5Z")},
				audit.Order{ID: "o2", Subtotal: 5, Amount: 5, Currency: "CNY", At: moment("2026-02-06T12:00:02Z"), Void: true},
			},
		},
		{
			name: "other names, decimals, one currency, one zone, a state",
			m: books.Mapping{Currency: "CNY", Decimals: 2, Zone: "Asia/Shanghai", Orders: books.Table{
				Columns: map[string]string{"id": "no", "key": "idem", "amount": "total", "at": "created", "void": "state"}, Void: []string{"CANCELLED", "FAILED"}}},
			in:    "no|idem|total|created|state\n1|k|9.00|2026-02-06 20:00:01|PAID\n2|k2|0.1|2026-02-06 20:00:01+08|FAILED\n",
			lacks: "orders.user orders.coupon orders.item orders.quantity orders.subtotal orders.discount",
			want: []any{
				audit.Order{ID: "1", Key: "k", Amount: 900, Currency: "CNY", At: moment("2026-02-06T12:00:01Z")},
				audit.Order{ID: "2", Key: "k2", Amount: 10, Currency: "CNY", At: moment("2026-02-06T12:00:01Z"), Void: true},
			},
		},
		{
			name:  "no keys in these books",
			m:     books.Mapping{Currency: "CNY", Orders: books.Table{Columns: map[string]string{"key": books.None}}},
			in:    "order_id|amount\no1|900\n",
			lacks: "orders.key orders.user orders.coupon orders.item orders.quantity orders.subtotal orders.discount orders.at orders.void",
			want:  []any{audit.Order{ID: "o1", Amount: 900, Currency: "CNY"}},
		},
		{
			name:  "rows that name their columns",
			in:    "\norder_id=o1|key=k|amount=900|currency=CNY|item=tea\n" + "order_id=o2|key=NULL|amount=5|currency=CNY|item=NULL\n",
			lacks: "orders.user orders.coupon orders.quantity orders.subtotal orders.discount orders.at orders.void",
			want: []any{
				audit.Order{ID: "o1", Key: "k", Amount: 900, Currency: "CNY", Item: "tea"},
				audit.Order{ID: "o2", Amount: 5, Currency: "CNY"},
			},
		},
		{
			name: "seconds since 1970", m: books.Mapping{Currency: "CNY", Format: "unix", Orders: books.Table{Columns: map[string]string{"user": books.None}}},
			in:    plain + "|at\no1|k|900|cny|1770379201.25\n",
			lacks: "orders.user orders.coupon orders.item orders.quantity orders.subtotal orders.discount orders.void",
			want:  []any{audit.Order{ID: "o1", Key: "k", Amount: 900, Currency: "CNY", At: moment("2026-02-06T12:00:01.25Z")}},
		},
		{
			name: "coupons", table: "coupons",
			in: "coupon_id|stock_id|user|key|value|currency|issued_at|valid_from|valid_until|order_id|redeemed_at|redeemed_by\n" +
				"c1|s|u|k|900|CNY|2026-02-06T12:00:00Z|NULL|2026-03-01T00:00:00+08:00|o1|2026-02-06T12:00:02Z|u\n" +
				"c2|s|u|k|900|CNY|2026-02-06T12:00:00Z|||||\n",
			want: []any{
				audit.Coupon{ID: "c1", Stock: "s", User: "u", Key: "k", Value: 900, Currency: "CNY", Issued: moment("2026-02-06T12:00:00Z"), Until: moment("2026-03-01T00:00:00+08:00"),
					Order: "o1", Redeemed: moment("2026-02-06T12:00:02Z"), RedeemedBy: "u"},
				audit.Coupon{ID: "c2", Stock: "s", User: "u", Key: "k", Value: 900, Currency: "CNY", Issued: moment("2026-02-06T12:00:00Z")},
			},
		},
		{
			name: "stocks", table: "stocks",
			in: "stock_id|coupons|per_user|valid_from|valid_until|paused\n" +
				`s|100|1|2026-02-01T00:00:00Z||[{"from":"2026-02-06T12:01:00Z","until":"2026-02-06T12:02:00Z"},{"from":"2026-02-06T12:03:00Z","until":""}]` + "\n",
			want: []any{audit.Stock{ID: "s", Coupons: 100, PerUser: 1, From: moment("2026-02-01T00:00:00Z"), Paused: []audit.Window{
				{From: moment("2026-02-06T12:01:00Z"), Until: moment("2026-02-06T12:02:00Z")}, {From: moment("2026-02-06T12:03:00Z")}}}},
		},
		{name: "seats", table: "seats", in: "item|seats\nt1|40\n", want: []any{audit.Seating{Item: "t1", Seats: 40}}},

		{name: "a column is missing", in: "order_id|key|total\n", problem: `x.csv: there is no column "amount" (audit.orders.columns.amount), nor "currency" (audit.orders.columns.currency)
hint: there are order_id, key, total; audit.orders.columns says which is what, or "-" where the books do not say it`},
		{name: "a column that the campaign names is missing", m: books.Mapping{Orders: books.Table{Columns: map[string]string{"user": "buyer"}}}, in: plain + "|user\n",
			problem: `x.csv: there is no column "buyer" (audit.orders.columns.user)`},
		{name: "a row lacks it", in: "\norder_id=o1|key=k|currency=CNY\n", problem: `x.csv, line 2: it has no "amount"
hint: audit.orders.columns.amount says what the column is called`},
		{name: "the first row lacks it", in: "\norder_id=o1|key=k|amount=9|currency=CNY\norder_id=o2|key=k|amount=9|currency=CNY|void=true\n", lacks: "*",
			want: []any{audit.Order{ID: "o1", Key: "k", Amount: 9, Currency: "CNY"}},
			problem: `x.csv, line 3: it has "void", which the first row has not
hint: have every row say it, if only as null`},
		{name: "the same row twice", in: plain + "\no1|k|900|CNY\no2|k2|900|CNY\no1|k|900|CNY\n", lacks: "*", want: []any{
			audit.Order{ID: "o1", Key: "k", Amount: 900, Currency: "CNY"}, audit.Order{ID: "o2", Key: "k2", Amount: 900, Currency: "CNY"}},
			problem: `x.csv, line 4: the same row is there a second time: order "o1"`},
		{name: "no id", in: plain + "\n|k|900|CNY\n", lacks: "*", problem: `x.csv, line 2: "order_id" is empty`},
		{name: "no amount", in: plain + "\no1|k|NULL|CNY\n", lacks: "*", problem: `x.csv, line 2: "amount" is empty`},
		{name: "an amount in major units", in: plain + "\no1|k|9.00|CNY\n", lacks: "*", problem: `x.csv, line 2: "amount": "9.00" is no whole number of minor units
hint: audit.decimals: 2 for amounts that are written as 9.00`},
		{name: "more decimals than there are", m: books.Mapping{Decimals: 2}, in: plain + "\no1|k|9.005|CNY\n", lacks: "*", problem: `x.csv, line 2: "amount": "9.005" has more than the 2 decimals`},
		{name: "an amount with its sign", in: plain + "\no1|k|¥9|CNY\n", lacks: "*", problem: `x.csv, line 2: "amount": "¥9" is no amount`},
		{name: "an amount beyond 64 bits", in: plain + "\no1|k|9223372036854775808|CNY\n", lacks: "*", problem: `"9223372036854775808" is too large an amount`},
		{name: "another currency than the books are in", m: inCNY, in: plain + "\no1|k|900|CNY\n", lacks: "*", want: []any{audit.Order{ID: "o1", Key: "k", Amount: 900, Currency: "CNY"}}},
		{name: "a currency that differs", m: books.Mapping{Currency: "CNY", Orders: books.Table{Columns: map[string]string{"currency": "currency"}}}, in: plain + "\no1|k|900|CNY\no2|k|900|USD\n", lacks: "*",
			want:    []any{audit.Order{ID: "o1", Key: "k", Amount: 900, Currency: "CNY"}},
			problem: `x.csv, line 3: "currency": the currency is USD, and the campaign says that all books are in CNY`},
		{name: "no currency", in: plain + "\no1|k|900|RMB¥\n", lacks: "*", problem: `x.csv, line 2: "currency": "RMB¥" is no currency of three letters (ISO 4217)`},
		{name: "no zone", in: plain + "|at\no1|k|900|CNY|2026-02-06 20:00:01\n", lacks: "*", problem: `x.csv, line 2: "at": "2026-02-06 20:00:01" does not say its time zone
hint: audit.zone: "+08:00" would put it into the run`},
		{name: "a wrong zone", m: books.Mapping{Zone: "UTC"}, in: plain + "|at\no1|k|900|CNY|2026-02-06 17:30:01\n", lacks: "*", problem: `x.csv, line 2: its time, 2026-02-06T17:30:01Z, lies 5h20m1s after the run ended, at 2026-02-06T12:10:00Z
hint: a wrong time zone? audit.zone: "+05:30" would put it into the run`},
		{name: "a wrong zone in the source itself", in: plain + "|at\no1|k|900|CNY|2026-02-06T04:00:01Z\n", lacks: "*", problem: `x.csv, line 2: its time, 2026-02-06T04:00:01Z, lies 7h59m59s before the run began, at 2026-02-06T12:00:00Z
hint: a wrong time zone? As the clock of -08:00 it would lie in the run: have the source write the zone that it means, or none and audit.zone: "-08:00"`},
		{name: "last week", in: plain + "|at\no1|k|900|CNY|2026-01-30T12:00:01Z\n", lacks: "*", problem: `x.csv, line 2: its time, 2026-01-30T12:00:01Z, lies 167h59m59s before the run began, at 2026-02-06T12:00:00Z
hint: leave out what is not the run's`},
		{name: "last week is passed over", m: books.Mapping{Outside: books.Skip}, in: plain + "|at\no1|k|900|CNY|2026-01-30T12:00:01Z\no2|k|900|CNY|2026-02-06T12:00:01Z\n", lacks: "*",
			want: []any{audit.Order{ID: "o2", Key: "k", Amount: 900, Currency: "CNY", At: moment("2026-02-06T12:00:01Z")}}},
		{name: "nothing is left", m: books.Mapping{Outside: books.Skip, Zone: "UTC"}, in: plain + "|at\no1|k|900|CNY|2026-02-06 20:00:01\n", lacks: "*",
			problem: "x.csv: no row is of the run; of the first, its time, 2026-02-06T20:00:01Z, lies 7h50m1s after the run ended, at 2026-02-06T12:10:00Z\nhint: a wrong time zone?"},
		{name: "no time", in: plain + "|at\no1|k|900|CNY|yesterday\n", lacks: "*", problem: `x.csv, line 2: "at": "yesterday" is no time`},
		{name: "no flag", in: plain + "|void\no1|k|900|CNY|PAID\n", lacks: "*", problem: `x.csv, line 2: "void": "PAID" is neither true nor false
hint: audit.orders.void lists`},
		{name: "less than nothing sold", in: plain + "|quantity\no1|k|900|CNY|-1\n", lacks: "*", problem: `x.csv, line 2: "quantity": "-1" is no whole number`},
		{name: "no list of pauses", table: "stocks", in: "stock_id|paused\ns|yes\n", lacks: "*", problem: `x.csv, line 2: "paused": "yes" is no list such as`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.table == "" {
				tt.table = "orders"
			}
			b, got, err := read(tt.m, tt.table, tt.in, noon)
			for i, v := range got {
				if o, ok := v.(audit.Order); ok {
					o.At = o.At.UTC()
					got[i] = o
				}
			}
			same := len(got) == len(tt.want)
			for i := range min(len(got), len(tt.want)) {
				same = same && fmt.Sprint(got[i]) == fmt.Sprint(tt.want[i])
			}
			if !same {
				t.Errorf("rows:\n%+v\nwant:\n%+v", got, tt.want)
			}
			if err == nil && tt.problem != "" || err != nil && (tt.problem == "" || !strings.Contains(err.Error(), tt.problem)) {
				t.Errorf("error:\n%v\nwant:\n%s", err, tt.problem)
			}
			var lacks []string
			for _, f := range b.Lacks {
				lacks = append(lacks, string(f))
			}
			if text := strings.Join(lacks, " "); tt.lacks != "*" && tt.problem == "" && tt.in != plain+"\n" && text != tt.lacks {
				t.Errorf("lacks %s, want %s", text, tt.lacks)
			}
		})
	}
}

// Reading twice gives the same: rows are not taken for repeated ones.
func TestReadAgain(t *testing.T) {
	m := books.Mapping{}
	b, rows, err := read(m, "seats", "item|seats\na|1\nb|2\n", noon)
	if err != nil {
		t.Fatal(err)
	}
	again, err := all(b.Seatings)
	if err != nil || !reflect.DeepEqual(rows, again) {
		t.Errorf("%v, %v; want %v", again, err, rows)
	}
	for range b.Seatings {
		break // and it can be left
	}
}

func TestFill(t *testing.T) {
	for _, tt := range []struct{ zone, format, want string }{
		{"", "", "2026-02-06T11:59:00Z 2026-02-06T12:11:00Z"},
		{"+08:00", "", "2026-02-06T19:59:00+08:00 2026-02-06T20:11:00+08:00"},
		{"Asia/Kolkata", "2006-01-02 15:04", "2026-02-06 17:29 2026-02-06 17:41"},
		{"", "unix", "1770379140 1770379860"},
		{"", "unix_ms", "1770379140000 1770379860000"},
	} {
		m := books.Mapping{Zone: tt.zone, Format: tt.format}
		if got, err := m.Fill("{{run.from}} {{run.until}}", noon); got != tt.want || err != nil {
			t.Errorf("%q %q: %s, %v; want %s", tt.zone, tt.format, got, err, tt.want)
		}
	}
}

func TestParseZone(t *testing.T) {
	for _, ok := range []string{"UTC", "+08:00", "-03:30", "Asia/Shanghai", "Europe/Berlin"} {
		if _, err := books.ParseZone(ok); err != nil {
			t.Errorf("%s: %v", ok, err)
		}
	}
	for _, wrong := range []string{"", "Local", "Beijing", "8", "../etc/passwd"} {
		if at, err := books.ParseZone(wrong); err == nil {
			t.Errorf("%s: %v", wrong, at)
		}
	}
}

// The words of a campaign are the audit's: what a table can lack is told by the
// names of its fields.
func TestFields(t *testing.T) {
	var known []audit.Field
	for _, table := range books.Tables() {
		if len(books.Fields(table)) < 2 {
			t.Errorf("%s has the fields %v", table, books.Fields(table))
		}
		for _, f := range books.Fields(table) {
			known = append(known, audit.Field(table+"."+f.Name))
		}
	}
	for _, f := range []audit.Field{audit.OrderKey, audit.OrderUser, audit.OrderCoupon, audit.OrderItem, audit.OrderQuantity, audit.OrderSubtotal, audit.OrderDiscount,
		audit.OrderAmount, audit.OrderCurrency, audit.OrderAt, audit.CouponStock, audit.CouponUser, audit.CouponKey, audit.CouponValue, audit.CouponCurrency,
		audit.CouponIssued, audit.CouponFrom, audit.CouponUntil, audit.CouponRedeemed, audit.StockCoupons, audit.StockPerUser, audit.StockPaused} {
		if !slices.Contains(known, f) {
			t.Errorf("the audit knows %s, the books do not", f)
		}
	}
	if books.Fields("bills") != nil {
		t.Error("bills have fields")
	}
}

// FuzzValues: whatever a cell holds, a row has it or there is an error that
// names the line, and amounts keep their text.
func FuzzValues(f *testing.F) {
	f.Add("900", "CNY", "2026-02-06T12:00:01Z", "false", `[]`, "unix", "+08:00", 0)
	f.Add("-0.5", "cny", "2026-02-06 20:00:01", "CANCELLED", `[{"from":1,"until":null}]`, "", "Asia/Shanghai", 2)
	f.Add("9.", "", "1770379201.25", "", `[{}]`, "unix", "", 6)
	f.Add("9223372036854775807", "€", "06/02/2026 12:00", "t", "null", "02/01/2006 15:04", "UTC", 1)
	f.Fuzz(func(t *testing.T, amount, currency, at, void, paused, format, zone string, decimals int) {
		if strings.ContainsAny(amount+currency+at+void+paused, "|\n") || decimals < 0 || decimals > 6 {
			return
		}
		m := books.Mapping{Format: format, Zone: zone, Decimals: decimals}
		_, rows, err := read(m, "orders", "order_id|key|amount|currency|at|void\no|k|"+amount+"|"+currency+"|"+at+"|"+void+"\n", books.Window{})
		if err == nil {
			o := rows[0].(audit.Order)
			if len(o.Currency) != 3 {
				t.Errorf("currency %q", o.Currency)
			}
			if decimals == 0 && fmt.Sprint(o.Amount) != strings.TrimPrefix(strings.TrimLeft(amount, "+"), "") && !strings.HasPrefix(strings.Trim(amount, "+-"), "0") {
				t.Errorf("%q became %d", amount, o.Amount)
			}
		}
		read(m, "stocks", "stock_id|paused\ns|"+paused+"\n", noon)
		m.Fill(at, noon)
	})
}
