package audit_test

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/flashcrowd/flashcrowd/results/audit"
)

const (
	line1 = `{"order_id":"o1","checkout_id":"s1","key":"k1","user":"u1","coupon":"c1","amount":900,"currency":"CNY","at":"2026-02-06T10:00:00Z"}`
	line2 = `{"order_id":"o2","key":"","amount":-1,"currency":"CNY"}`
)

func TestReadOrders(t *testing.T) {
	one := audit.Order{ID: "o1", Key: "k1", Coupon: "c1", User: "u1", Amount: 900, Currency: "CNY", At: time.Date(2026, 2, 6, 10, 0, 0, 0, time.UTC)}
	two := audit.Order{ID: "o2", Amount: -1, Currency: "CNY"}
	for _, tt := range []struct {
		name, in string
		want     []audit.Order
		err      string // a part of it
	}{
		{name: "nothing"},
		{name: "two", in: line1 + "\n" + line2 + "\n", want: []audit.Order{one, two}},
		{name: "empty lines, carriage returns, no line feed at the end", in: "\n" + line1 + "\r\n\r\n" + line2, want: []audit.Order{one, two}},
		{name: "cut off", in: line1 + "\n" + line2[:20], want: []audit.Order{one}, err: "line 2: the last line, without a line feed, may be cut off: not an order as a JSON object: unexpected end"},
		{name: "not JSON", in: line1 + "\nError: timeout\n", want: []audit.Order{one}, err: "line 2: not an order"},
		{name: "an array", in: "[" + line1 + "]\n", err: "line 1: not an order"},
		{name: "two on a line", in: line1 + line1 + "\n", err: "line 1: not an order"},
		{name: "no id", in: `{"order_id":"","key":"k","amount":1,"currency":"CNY"}` + "\n", err: "line 1: order_id is missing"},
		{name: "no key", in: `{"order_id":"o","amount":1,"currency":"CNY"}` + "\n", err: "line 1: key is missing"},
		{name: "no amount", in: `{"order_id":"o","key":"k","amount":null,"currency":"CNY"}` + "\n", err: "line 1: amount is missing"},
		{name: "no currency", in: `{"order_id":"o","key":"k","amount":1}` + "\n", err: "line 1: currency is missing"},
		{name: "half a minor unit", in: `{"order_id":"o","key":"k","amount":1.5,"currency":"CNY"}` + "\n", err: "line 1: not an order as a JSON object: json: cannot unmarshal number 1.5"},
		{name: "endless", in: strings.Repeat("x", 1<<20), err: "line 1: longer than 262144 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readAll(strings.NewReader(tt.in))
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("orders = %+v, want %+v", got, tt.want)
			}
			if err == nil && tt.err != "" || err != nil && (tt.err == "" || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error = %v, want %q", err, tt.err)
			}
		})
	}
}

func TestReadOrdersKeepsTheReadersError(t *testing.T) {
	broken := errors.New("connection reset")
	got, err := readAll(io.MultiReader(strings.NewReader(line1+"\n"+line2[:9]), iotest.ErrReader(broken)))
	if len(got) != 1 || !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "line 2: ") {
		t.Errorf("got %d orders and %v", len(got), err)
	}
}

func TestReadOrdersCanBeLeft(t *testing.T) {
	for range audit.ReadOrders(strings.NewReader(line1 + "\n" + line2 + "\n")) {
		break
	}
}

// FuzzReadOrders: whatever comes, the reader ends, gives orders with ids until
// the first error and nothing after it.
func FuzzReadOrders(f *testing.F) {
	f.Add(line1 + "\n" + line2 + "\n")
	f.Add(line1[:40])
	f.Add("\n\r\n{}\n[]\nnull\n")
	f.Add(`{"order_id":"o","key":"k","amount":9223372036854775808,"currency":"CNY"}`)
	f.Fuzz(func(t *testing.T, in string) {
		failed := false
		orders := 0
		for o, err := range audit.ReadOrders(strings.NewReader(in)) {
			if failed {
				t.Fatal("something came after the error")
			}
			if failed = err != nil; failed {
				if !strings.HasPrefix(err.Error(), "line ") {
					t.Errorf("error without its line: %v", err)
				}
				continue
			}
			if orders++; o.ID == "" {
				t.Errorf("an order without an id: %+v", o)
			}
		}
		if lines := strings.Count(in, "\n") + 1; orders > lines {
			t.Errorf("%d orders from %d lines", orders, lines)
		}
	})
}

func readAll(r io.Reader) (all []audit.Order, err error) {
	for o, err := range audit.ReadOrders(r) {
		if err != nil {
			return all, err
		}
		all = append(all, o)
	}
	return all, nil
}

const (
	couponLine  = `{"coupon_id":"c1","stock_id":"s","user":"u1","key":"k1","value":2500,"currency":"CNY","issued_at":"2026-02-06T18:00:00+08:00","valid_from":"","valid_until":"2026-02-07T00:00:00Z","order_id":"","redeemed_at":null,"redeemed_by":""}`
	stockLine   = `{"stock_id":"s","coupons":10,"per_user":1,"paused":[{"from":"2026-02-06T10:00:00Z","until":""}]}`
	seatingLine = `{"item":"table","seats":4}`
)

// Each kind of row is read, and one without a field that it needs is refused
// with the field's name.
func TestReadRows(t *testing.T) {
	ten := time.Date(2026, 2, 6, 10, 0, 0, 0, time.UTC)
	for c, err := range audit.ReadCoupons(strings.NewReader(couponLine)) {
		want := audit.Coupon{ID: "c1", Stock: "s", User: "u1", Key: "k1", Value: 2500, Currency: "CNY", Issued: c.Issued, Until: ten.Add(14 * time.Hour)}
		if err != nil || c != want || !c.Issued.Equal(ten) {
			t.Errorf("coupon = %+v, %v", c, err)
		}
	}
	for s, err := range audit.ReadStocks(strings.NewReader(stockLine)) {
		if err != nil || !reflect.DeepEqual(s, audit.Stock{ID: "s", Coupons: 10, PerUser: 1, Paused: []audit.Window{{From: ten}}}) {
			t.Errorf("stock = %+v, %v", s, err)
		}
	}
	for s, err := range audit.ReadSeatings(strings.NewReader(seatingLine)) {
		if err != nil || s != (audit.Seating{Item: "table", Seats: 4}) {
			t.Errorf("seating = %+v, %v", s, err)
		}
	}
	for _, tt := range []struct{ in, cut, err string }{
		{couponLine, `"coupon_id":"c1",`, "line 1: coupon_id is missing"},
		{couponLine, `"stock_id":"s",`, "line 1: stock_id is missing"},
		{couponLine, `"user":"u1",`, "line 1: user is missing"},
		{couponLine, `"key":"k1",`, "line 1: key is missing"},
		{couponLine, `"value":2500,`, "line 1: value is missing"},
		{couponLine, `"issued_at":"2026-02-06T18:00:00+08:00",`, "line 1: issued_at is missing"},
		{couponLine, `"order_id":"",`, "line 1: order_id is missing"},
		{couponLine, `+08:00`, "line 1: not a coupon as a JSON object: parsing time"},
		{stockLine, `"stock_id":"s",`, "line 1: stock_id is missing"},
		{stockLine, `"coupons":10,`, "line 1: coupons is missing"},
		{stockLine, `"per_user":1,`, "line 1: per_user is missing"},
		{stockLine, `,"paused":[{"from":"2026-02-06T10:00:00Z","until":""}]`, "line 1: paused is missing"},
		{stockLine, `"from":"2026-02-06T10:00:00Z",`, "line 1: paused.from is missing"},
		{seatingLine, `"item":"table",`, "line 1: item is missing"},
		{seatingLine, `,"seats":4`, "line 1: seats is missing"},
	} {
		in := strings.NewReader(strings.Replace(tt.in, tt.cut, "", 1) + "\n")
		var err error
		switch tt.in {
		case couponLine:
			for _, err = range audit.ReadCoupons(in) {
			}
		case stockLine:
			for _, err = range audit.ReadStocks(in) {
			}
		case seatingLine:
			for _, err = range audit.ReadSeatings(in) {
			}
		}
		if err == nil || !strings.HasPrefix(err.Error(), tt.err) {
			t.Errorf("without %s: %v, want %q", tt.cut, err, tt.err)
		}
	}
}

// FuzzReadRows: the other kinds of rows end as orders do.
func FuzzReadRows(f *testing.F) {
	f.Add(couponLine + "\n" + stockLine + "\n" + seatingLine)
	f.Add(couponLine[:90])
	f.Fuzz(func(t *testing.T, in string) {
		for c, err := range audit.ReadCoupons(strings.NewReader(in)) {
			if err == nil && (c.ID == "" || c.Issued.IsZero()) {
				t.Errorf("a coupon without id or time: %+v", c)
			}
		}
		for s, err := range audit.ReadStocks(strings.NewReader(in)) {
			if err == nil && s.ID == "" {
				t.Errorf("a stock without an id: %+v", s)
			}
		}
		for s, err := range audit.ReadSeatings(strings.NewReader(in)) {
			if err == nil && s.Item == "" {
				t.Errorf("seats of nothing: %+v", s)
			}
		}
	})
}
