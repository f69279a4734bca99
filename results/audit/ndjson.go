package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"
)

// maxLine bounds one line of the books, in bytes.
const maxLine = 256 << 10

// ReadOrders reads orders as the storefront exports them, one JSON object on a
// line:
//
//	{"order_id":"…","key":"…","user":"…","item":"…","quantity":1,"subtotal":3400,"discount":2500,"amount":900,
//	 "currency":"CNY","coupon":"…","at":"2026-02-06T12:00:00.123+08:00","void":false}
//
// Needed are order_id, key, amount (whole minor units) and currency; other
// fields may be there. Empty lines are passed over. The first line that can't
// be read, one cut off at the end included, is an error with its number, and
// ends the sequence.
func ReadOrders(r io.Reader) iter.Seq2[Order, error] { return readLines(r, "an order", orderRow.order) }

// ReadCoupons reads coupons as ReadOrders reads orders:
//
//	{"coupon_id":"…","stock_id":"…","user":"…","key":"…","value":2500,"currency":"CNY","issued_at":"…","valid_from":"…",
//	 "valid_until":"…","order_id":"","redeemed_at":"","redeemed_by":""}
//
// Needed are coupon_id, stock_id, user, key, value, issued_at and order_id.
func ReadCoupons(r io.Reader) iter.Seq2[Coupon, error] {
	return readLines(r, "a coupon", couponRow.coupon)
}

// ReadStocks reads stocks as ReadOrders reads orders:
//
//	{"stock_id":"…","coupons":100,"per_user":1,"valid_from":"…","valid_until":"…","paused":[{"from":"…","until":""}]}
//
// Needed are stock_id, coupons, per_user and paused.
func ReadStocks(r io.Reader) iter.Seq2[Stock, error] { return readLines(r, "a stock", stockRow.stock) }

// ReadSeatings reads what is limited as ReadOrders reads orders:
//
//	{"item":"…","seats":200}
func ReadSeatings(r io.Reader) iter.Seq2[Seating, error] {
	return readLines(r, "an item with seats", seatingRow.seating)
}

// The lines as they are written. Pointers tell a field that is missing from one
// that is empty: what was not exported can't be checked, and must not look as
// if it had been.
type (
	orderRow struct {
		ID       *string `json:"order_id"`
		Key      *string `json:"key"`
		User     string  `json:"user"`
		Item     string  `json:"item"`
		Quantity int64   `json:"quantity"`
		Subtotal int64   `json:"subtotal"`
		Discount int64   `json:"discount"`
		Amount   *int64  `json:"amount"`
		Currency *string `json:"currency"`
		Coupon   string  `json:"coupon"`
		At       moment  `json:"at"`
		Void     bool    `json:"void"`
	}
	couponRow struct {
		ID         *string `json:"coupon_id"`
		Stock      *string `json:"stock_id"`
		User       *string `json:"user"`
		Key        *string `json:"key"`
		Value      *int64  `json:"value"`
		Currency   string  `json:"currency"`
		Issued     *moment `json:"issued_at"`
		From       moment  `json:"valid_from"`
		Until      moment  `json:"valid_until"`
		Order      *string `json:"order_id"`
		Redeemed   moment  `json:"redeemed_at"`
		RedeemedBy string  `json:"redeemed_by"`
	}
	stockRow struct {
		ID      *string      `json:"stock_id"`
		Coupons *int64       `json:"coupons"`
		PerUser *int64       `json:"per_user"`
		From    moment       `json:"valid_from"`
		Until   moment       `json:"valid_until"`
		Paused  *[]windowRow `json:"paused"`
	}
	windowRow struct {
		From  *moment `json:"from"`
		Until moment  `json:"until"`
	}
	seatingRow struct {
		Item  *string `json:"item"`
		Seats *int64  `json:"seats"`
	}
)

// A moment is RFC 3339 with its zone; empty text and null are the zero time.
type moment struct{ time.Time }

func (m *moment) UnmarshalJSON(b []byte) error {
	if string(b) == `""` || string(b) == "null" {
		m.Time = time.Time{}
		return nil
	}
	return m.Time.UnmarshalJSON(b)
}

func (r orderRow) order() (Order, error) {
	err := needs(need{"order_id", r.ID == nil || *r.ID == ""}, need{"key", r.Key == nil}, need{"amount", r.Amount == nil}, need{"currency", r.Currency == nil})
	if err != nil {
		return Order{}, err
	}
	return Order{ID: *r.ID, Key: *r.Key, User: r.User, Coupon: r.Coupon, Item: r.Item, Quantity: r.Quantity,
		Subtotal: r.Subtotal, Discount: r.Discount, Amount: *r.Amount, Currency: *r.Currency, At: r.At.Time, Void: r.Void}, nil
}

func (r couponRow) coupon() (Coupon, error) {
	err := needs(need{"coupon_id", r.ID == nil || *r.ID == ""}, need{"stock_id", r.Stock == nil}, need{"user", r.User == nil}, need{"key", r.Key == nil},
		need{"value", r.Value == nil}, need{"issued_at", r.Issued == nil || r.Issued.IsZero()}, need{"order_id", r.Order == nil})
	if err != nil {
		return Coupon{}, err
	}
	return Coupon{ID: *r.ID, Stock: *r.Stock, User: *r.User, Key: *r.Key, Value: *r.Value, Currency: r.Currency, Issued: r.Issued.Time,
		From: r.From.Time, Until: r.Until.Time, Order: *r.Order, Redeemed: r.Redeemed.Time, RedeemedBy: r.RedeemedBy}, nil
}

func (r stockRow) stock() (Stock, error) {
	err := needs(need{"stock_id", r.ID == nil || *r.ID == ""}, need{"coupons", r.Coupons == nil}, need{"per_user", r.PerUser == nil}, need{"paused", r.Paused == nil})
	if err != nil {
		return Stock{}, err
	}
	s := Stock{ID: *r.ID, Coupons: *r.Coupons, PerUser: *r.PerUser, From: r.From.Time, Until: r.Until.Time}
	for _, w := range *r.Paused {
		if err := needs(need{"paused.from", w.From == nil || w.From.IsZero()}); err != nil {
			return Stock{}, err
		}
		s.Paused = append(s.Paused, Window{w.From.Time, w.Until.Time})
	}
	return s, nil
}

func (r seatingRow) seating() (Seating, error) {
	if err := needs(need{"item", r.Item == nil || *r.Item == ""}, need{"seats", r.Seats == nil}); err != nil {
		return Seating{}, err
	}
	return Seating{*r.Item, *r.Seats}, nil
}

// A need is a field without which a row says nothing.
type need struct {
	name    string
	missing bool
}

func needs(all ...need) error {
	for _, n := range all {
		if n.missing {
			return fmt.Errorf("%s is missing", n.name)
		}
	}
	return nil
}

// readLines reads a row from each line that is not empty.
func readLines[R, T any](r io.Reader, what string, row func(R) (T, error)) iter.Seq2[T, error] {
	parse := func(line []byte) (v T, err error) {
		var fields R
		if err := json.Unmarshal(line, &fields); err != nil {
			return v, fmt.Errorf("not %s as a JSON object: %w", what, err)
		}
		return row(fields)
	}
	return func(yield func(T, error) bool) {
		var none T
		lines := bufio.NewReaderSize(r, maxLine)
		for n := 1; ; n++ {
			line, err := lines.ReadSlice('\n')
			switch {
			case errors.Is(err, bufio.ErrBufferFull):
				yield(none, fmt.Errorf("line %d: longer than %d bytes", n, maxLine))
				return
			case err != nil && err != io.EOF:
				yield(none, fmt.Errorf("line %d: %w", n, err))
				return
			}
			last := err == io.EOF
			if len(bytes.TrimSpace(line)) > 0 {
				v, err := parse(line)
				if err != nil {
					if last {
						err = fmt.Errorf("the last line, without a line feed, may be cut off: %w", err)
					}
					yield(none, fmt.Errorf("line %d: %w", n, err))
					return
				}
				if !yield(v, nil) {
					return
				}
			}
			if last {
				return
			}
		}
	}
}
