package books

import (
	"time"

	"github.com/flashcrowd/flashcrowd/results/audit"
)

// A field is a Field with what to do with its cells.
type field[T any] struct {
	name, column string
	must, blank  bool
	read         func(to *T, t *tongue, text string) error
}

// A kind is a table with its fields.
type kind[T any] struct {
	name, one string
	fields    []field[T]
	id        func(T) string
	moment    func(T) time.Time // nil: rows are not of one moment of the run
	currency  func(*T) *string
}

// Each of these makes the read of a field from where its value goes.

func text[T any](to func(*T) *string) func(*T, *tongue, string) error {
	return func(v *T, _ *tongue, s string) error { *to(v) = s; return nil }
}

func parsed[T, V any](to func(*T) *V, parse func(*tongue, string) (V, error)) func(*T, *tongue, string) error {
	return func(v *T, t *tongue, s string) (err error) {
		*to(v), err = parse(t, s)
		return err
	}
}

func orders() kind[audit.Order] {
	type o = audit.Order
	return kind[o]{
		name: "orders", one: "order",
		fields: []field[o]{
			{"id", "order_id", true, false, text(func(r *o) *string { return &r.ID })},
			{"key", "key", true, true, text(func(r *o) *string { return &r.Key })},
			{"user", "user", false, true, text(func(r *o) *string { return &r.User })},
			{"coupon", "coupon", false, true, text(func(r *o) *string { return &r.Coupon })},
			{"item", "item", false, true, text(func(r *o) *string { return &r.Item })},
			{"quantity", "quantity", false, true, parsed(func(r *o) *int64 { return &r.Quantity }, (*tongue).count)},
			{"subtotal", "subtotal", false, false, parsed(func(r *o) *int64 { return &r.Subtotal }, (*tongue).money)},
			{"discount", "discount", false, true, parsed(func(r *o) *int64 { return &r.Discount }, (*tongue).money)},
			{"amount", "amount", true, false, parsed(func(r *o) *int64 { return &r.Amount }, (*tongue).money)},
			{"currency", "currency", true, false, parsed(func(r *o) *string { return &r.Currency }, (*tongue).code)},
			{"at", "at", false, false, parsed(func(r *o) *time.Time { return &r.At }, (*tongue).moment)},
			{"void", "void", false, true, parsed(func(r *o) *bool { return &r.Void }, (*tongue).flag)},
		},
		id:       func(r o) string { return r.ID },
		moment:   func(r o) time.Time { return r.At },
		currency: func(r *o) *string { return &r.Currency },
	}
}

func coupons() kind[audit.Coupon] {
	type c = audit.Coupon
	return kind[c]{
		name: "coupons", one: "coupon",
		fields: []field[c]{
			{"id", "coupon_id", true, false, text(func(r *c) *string { return &r.ID })},
			{"stock", "stock_id", false, true, text(func(r *c) *string { return &r.Stock })},
			{"user", "user", false, true, text(func(r *c) *string { return &r.User })},
			{"key", "key", false, true, text(func(r *c) *string { return &r.Key })},
			{"value", "value", false, true, parsed(func(r *c) *int64 { return &r.Value }, (*tongue).money)},
			{"currency", "currency", false, true, parsed(func(r *c) *string { return &r.Currency }, (*tongue).code)},
			{"issued", "issued_at", false, false, parsed(func(r *c) *time.Time { return &r.Issued }, (*tongue).moment)},
			{"from", "valid_from", false, true, parsed(func(r *c) *time.Time { return &r.From }, (*tongue).moment)},
			{"until", "valid_until", false, true, parsed(func(r *c) *time.Time { return &r.Until }, (*tongue).moment)},
			{"order", "order_id", false, true, text(func(r *c) *string { return &r.Order })},
			{"redeemed", "redeemed_at", false, true, parsed(func(r *c) *time.Time { return &r.Redeemed }, (*tongue).moment)},
			{"redeemed_by", "redeemed_by", false, true, text(func(r *c) *string { return &r.RedeemedBy })},
		},
		id:       func(r c) string { return r.ID },
		moment:   func(r c) time.Time { return r.Issued },
		currency: func(r *c) *string { return &r.Currency },
	}
}

func stocks() kind[audit.Stock] {
	type s = audit.Stock
	return kind[s]{
		name: "stocks", one: "stock",
		fields: []field[s]{
			{"id", "stock_id", true, false, text(func(r *s) *string { return &r.ID })},
			{"coupons", "coupons", false, true, parsed(func(r *s) *int64 { return &r.Coupons }, (*tongue).count)},
			{"per_user", "per_user", false, true, parsed(func(r *s) *int64 { return &r.PerUser }, (*tongue).count)},
			{"from", "valid_from", false, true, parsed(func(r *s) *time.Time { return &r.From }, (*tongue).moment)},
			{"until", "valid_until", false, true, parsed(func(r *s) *time.Time { return &r.Until }, (*tongue).moment)},
			{"paused", "paused", false, true, parsed(func(r *s) *[]audit.Window { return &r.Paused }, (*tongue).windows)},
		},
		id: func(r s) string { return r.ID },
	}
}

func seats() kind[audit.Seating] {
	type s = audit.Seating
	return kind[s]{
		name: "seats", one: "item",
		fields: []field[s]{
			{"item", "item", true, false, text(func(r *s) *string { return &r.Item })},
			{"seats", "seats", true, false, parsed(func(r *s) *int64 { return &r.Seats }, (*tongue).count)},
		},
		id: func(r s) string { return r.Item },
	}
}

// A Field is what a column can be.
type Field struct {
	Name   string // in a campaign's columns
	Column string // what the column is called where the campaign does not say
	Needed bool   // a table without the column is refused, unless the campaign says None
	Blank  bool   // a cell may hold nothing
}

// Fields lists what the columns of a table can be.
func Fields(table string) []Field {
	switch table {
	case "orders":
		return orders().list()
	case "coupons":
		return coupons().list()
	case "stocks":
		return stocks().list()
	case "seats":
		return seats().list()
	}
	return nil
}

func (k kind[T]) list() (all []Field) {
	for _, f := range k.fields {
		all = append(all, Field{f.name, f.column, f.must, f.blank})
	}
	return all
}
