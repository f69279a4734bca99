package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
)

// maxLine bounds one line of the books, in bytes.
const maxLine = 256 << 10

// row is one line of the storefront's GET /books/orders. Pointers tell a field
// that is missing from one that is empty: what was not exported can't be
// checked, and must not look as if it had been.
type row struct {
	ID       *string `json:"order_id"`
	Key      *string `json:"key"`
	User     string  `json:"user"`
	Coupon   string  `json:"coupon"`
	Amount   *int64  `json:"amount"`
	Currency *string `json:"currency"`
}

// ReadNDJSON reads books as the storefront writes them, one order on a line:
//
//	{"order_id":"…","checkout_id":"…","key":"…","user":"…","coupon":"…","amount":900,"currency":"CNY","at":"…"}
//
// Needed are order_id, key, amount (whole minor units) and currency; other
// fields may be there. Empty lines are passed over. The first line that can't
// be read, one cut off at the end included, is an error with its number, and
// ends the sequence.
func ReadNDJSON(r io.Reader) iter.Seq2[Order, error] {
	return func(yield func(Order, error) bool) {
		lines := bufio.NewReaderSize(r, maxLine)
		for n := 1; ; n++ {
			line, err := lines.ReadSlice('\n')
			switch {
			case errors.Is(err, bufio.ErrBufferFull):
				yield(Order{}, fmt.Errorf("line %d: longer than %d bytes", n, maxLine))
				return
			case err != nil && err != io.EOF:
				yield(Order{}, fmt.Errorf("line %d: %w", n, err))
				return
			}
			last := err == io.EOF
			if o, ok, err := parseRow(line); err != nil {
				if last {
					err = fmt.Errorf("the last line, without a line feed, may be cut off: %w", err)
				}
				yield(Order{}, fmt.Errorf("line %d: %w", n, err))
				return
			} else if ok && !yield(o, nil) {
				return
			}
			if last {
				return
			}
		}
	}
}

// parseRow reads one line; it returns false for an empty one.
func parseRow(line []byte) (Order, bool, error) {
	if len(bytes.TrimSpace(line)) == 0 {
		return Order{}, false, nil
	}
	var r row
	if err := json.Unmarshal(line, &r); err != nil {
		return Order{}, false, fmt.Errorf("not an order as a JSON object: %w", err)
	}
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"order_id", r.ID == nil || *r.ID == ""},
		{"key", r.Key == nil},
		{"amount", r.Amount == nil},
		{"currency", r.Currency == nil},
	} {
		if f.missing {
			return Order{}, false, fmt.Errorf("%s is missing", f.name)
		}
	}
	return Order{ID: *r.ID, Key: *r.Key, Coupon: r.Coupon, User: r.User, Amount: *r.Amount, Currency: *r.Currency}, true, nil
}
