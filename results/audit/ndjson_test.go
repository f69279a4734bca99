package audit_test

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/flashcrowd/flashcrowd/results/audit"
)

const (
	line1 = `{"order_id":"o1","checkout_id":"s1","key":"k1","user":"u1","coupon":"c1","amount":900,"currency":"CNY","at":"2026-02-06T10:00:00Z"}`
	line2 = `{"order_id":"o2","key":"","amount":-1,"currency":"CNY"}`
)

func TestReadNDJSON(t *testing.T) {
	one := audit.Order{ID: "o1", Key: "k1", Coupon: "c1", User: "u1", Amount: 900, Currency: "CNY"}
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

func TestReadNDJSONKeepsTheReadersError(t *testing.T) {
	broken := errors.New("connection reset")
	got, err := readAll(io.MultiReader(strings.NewReader(line1+"\n"+line2[:9]), iotest.ErrReader(broken)))
	if len(got) != 1 || !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "line 2: ") {
		t.Errorf("got %d orders and %v", len(got), err)
	}
}

func TestReadNDJSONCanBeLeft(t *testing.T) {
	for range audit.ReadNDJSON(strings.NewReader(line1 + "\n" + line2 + "\n")) {
		break
	}
}

// FuzzReadNDJSON: whatever comes, the reader ends, gives orders with ids until
// the first error and nothing after it.
func FuzzReadNDJSON(f *testing.F) {
	f.Add(line1 + "\n" + line2 + "\n")
	f.Add(line1[:40])
	f.Add("\n\r\n{}\n[]\nnull\n")
	f.Add(`{"order_id":"o","key":"k","amount":9223372036854775808,"currency":"CNY"}`)
	f.Fuzz(func(t *testing.T, in string) {
		failed := false
		orders := 0
		for o, err := range audit.ReadNDJSON(strings.NewReader(in)) {
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
	for o, err := range audit.ReadNDJSON(r) {
		if err != nil {
			return all, err
		}
		all = append(all, o)
	}
	return all, nil
}
