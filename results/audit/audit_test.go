package audit_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/audit"
)

// began is plan time 0 of the day that the tests audit.
var began = time.Date(2026, 2, 6, 0, 0, 0, 0, time.UTC)

// A day is both sides of an audit, as slices that a test can spoil.
type day struct {
	ledger  []results.Promise
	orders  []audit.Order
	coupons []audit.Coupon
	stocks  []audit.Stock
	seats   []audit.Seating
	lacks   []audit.Field
	options audit.Options
}

// quiet is a day on which everything is as it must be. Shopper i claims at
// second 10i and orders 5 seconds later; the last few do without a coupon,
// because the stock is used up, because they have one, or because their answer
// was lost.
func quiet() *day {
	d := &day{
		stocks: []audit.Stock{{ID: "s", Coupons: 20, PerUser: 1, From: began, Until: began.Add(time.Hour),
			Paused: []audit.Window{{From: began.Add(30 * time.Minute), Until: began.Add(40 * time.Minute)}}}},
		seats: []audit.Seating{{Item: "table", Seats: 30}},
		options: audit.Options{Source: "the books", Started: began, Skew: time.Second,
			Owner: func(key string) (string, bool) {
				n, ok := strings.CutPrefix(key, "key-")
				return "user-" + strings.TrimLeft(n, "co-"), ok
			},
			Mix: []audit.Share{{Of: "journey order", Planned: 30, Ended: 30}, {Of: "persona patient", Planned: 20, Ended: 20}}},
	}
	for i := range 20 {
		at := time.Duration(i) * 10 * time.Second
		c := audit.Coupon{ID: fmt.Sprint("coupon-", i), Stock: "s", User: fmt.Sprint("user-", i), Key: fmt.Sprint("key-c-", i), Value: 2500, Currency: "CNY",
			Issued: began.Add(at), From: began, Until: began.Add(24 * time.Hour)}
		d.ledger = append(d.ledger, results.Promise{Kind: results.CouponPromise, Known: true, Key: c.Key, ID: c.ID, At: at + 50*time.Millisecond, Took: 100 * time.Millisecond})
		o := audit.Order{ID: fmt.Sprint("order-", i), Key: fmt.Sprint("key-o-", i), User: c.User, Coupon: c.ID, Item: "table", Quantity: 1,
			Subtotal: 3000, Discount: 2500, Amount: 500, Currency: "CNY", At: began.Add(at + 5*time.Second)}
		c.Order, c.Redeemed, c.RedeemedBy = o.ID, o.At, o.User
		d.coupons, d.orders = append(d.coupons, c), append(d.orders, o)
		d.ledger = append(d.ledger, results.Promise{Kind: results.OrderPromise, Known: true, Key: o.Key, ID: o.ID, Coupon: c.ID, Amount: 500, Subtotal: 3000, Currency: "CNY", At: at + 5*time.Second})
	}
	d.ledger = append(d.ledger,
		results.Promise{Kind: results.CouponPromise, Key: "key-c-20", Denied: results.SoldOut, At: 5 * time.Minute, Took: 100 * time.Millisecond},
		results.Promise{Kind: results.CouponPromise, Key: "key-c-7", Denied: results.LimitReached, At: 5 * time.Minute, Took: 100 * time.Millisecond},
		results.Promise{Kind: results.CouponPromise, Key: "key-c-22", Denied: results.Paused, At: 31 * time.Minute},
		results.Promise{Kind: results.CouponPromise, Key: "key-c-23"},
		results.Promise{Kind: results.OrderPromise, Key: "key-o-23"},
		results.Promise{Kind: results.OrderPromise, Key: "key-o-24", Denied: results.DeniedOther, Coupon: "coupon-3"},
	)
	return d
}

func (d *day) order(i int) *audit.Order { return &d.orders[i] }

// bare takes the coupon off an order, on both sides of the books and in the
// ledger, and gives it back.
func (d *day) bare(i int) {
	o := d.order(i)
	d.coupons[i].Order, d.coupons[i].Redeemed, d.coupons[i].RedeemedBy = "", time.Time{}, ""
	o.Coupon, o.Discount, o.Amount = "", 0, 3000
	for n := range d.ledger {
		if p := &d.ledger[n]; p.Key == o.Key {
			p.Coupon, p.Amount = "", 3000
		}
	}
}

// promise returns the entry with a key.
func (d *day) promise(key string) *results.Promise {
	for n := range d.ledger {
		if d.ledger[n].Key == key {
			return &d.ledger[n]
		}
	}
	panic("no entry with the key " + key)
}

func (d *day) run(t *testing.T) *results.Audit {
	t.Helper()
	a, err := audit.Run(t.Context(), seq(d.ledger), d.books(), d.options)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (d *day) books() audit.Books {
	return audit.Books{Orders: seq(d.orders), Coupons: seq(d.coupons), Stocks: seq(d.stocks), Seatings: seq(d.seats), Lacks: d.lacks}
}

func (d *day) shuffle(draw *rand.Rand) {
	draw.Shuffle(len(d.ledger), func(i, j int) { d.ledger[i], d.ledger[j] = d.ledger[j], d.ledger[i] })
	draw.Shuffle(len(d.orders), func(i, j int) { d.orders[i], d.orders[j] = d.orders[j], d.orders[i] })
	draw.Shuffle(len(d.coupons), func(i, j int) { d.coupons[i], d.coupons[j] = d.coupons[j], d.coupons[i] })
}

// seq yields all, and no error.
func seq[T any](all []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range all {
			if !yield(v, nil) {
				return
			}
		}
	}
}

// said writes what is broken or undecided, a line each.
func said(a *results.Audit) string {
	var lines []string
	for _, c := range a.Checks {
		if c.State == results.StateBroken {
			lines = append(lines, fmt.Sprintf("%s ×%d: %s", c.ID, c.Count, strings.Join(c.Examples, "; ")))
		}
		if c.Undecided > 0 {
			lines = append(lines, fmt.Sprintf("%s ?%d: %s", c.ID, c.Undecided, strings.Join(c.Doubts, "; ")))
		}
	}
	return strings.Join(lines, "\n")
}

func TestQuietDay(t *testing.T) {
	a := quiet().run(t)
	if got := said(a); got != "" {
		t.Error(got)
	}
	if a.Promised != 20 || a.Booked != 20 || a.Matched != 20 || a.Undecided != 0 || a.Source != "the books" {
		t.Errorf("%+v", a)
	}
	for _, c := range a.Checks {
		if c.State != results.StateHeld || c.Checked == 0 || c.Examples == nil || c.Doubts == nil {
			t.Errorf("%s: %+v", c.ID, c)
		}
	}
}

// Each invariant is broken on purpose, and nothing else is found than what the
// same act breaks.
func TestBroken(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(*day)
		want  string
	}{
		{"an order is gone", func(d *day) { d.bare(3); d.orders = slices.Delete(d.orders, 3, 4) },
			"order-missing ×1: order order-3: placed with key key-o-3"},
		{"an order is void", func(d *day) { d.bare(3); d.order(3).Void = true },
			"order-missing ×1: order order-3: placed with key key-o-3, void in the books"},
		{"an order of nobody", func(d *day) {
			d.orders = append(d.orders, audit.Order{ID: "x", Key: "y", Subtotal: 1, Amount: 1})
		},
			`order-stray ×1: order x: nobody asked for one with its key "y"`},
		{"an order without a key", func(d *day) { d.orders = append(d.orders, audit.Order{ID: "x"}, audit.Order{ID: "y"}) },
			`order-stray ×2: order x: nobody asked for one with its key ""`},
		{"an order for a key that was promised another", func(d *day) {
			d.bare(3)
			d.order(3).ID = "x"
		}, "order-missing ×1: order order-3: placed with key key-o-3\norder-stray ×1: order x: its key key-o-3 was promised order order-3"},
		{"an order that was told no", func(d *day) { d.orders = append(d.orders, audit.Order{ID: "x", Key: "key-o-24"}) },
			`order-stray ×1: order x: its key key-o-24 was told "no"`},
		{"an order whose answer was lost, and another user's", func(d *day) { d.orders = append(d.orders, audit.Order{ID: "x", Key: "key-o-23", User: "user-9"}) },
			"order-stray ?1: order x: the answer to its key key-o-23 was lost\norder-user ×1: order x: asked for by user-23 with key key-o-23, booked to \"user-9\""},
		{"an order whose answer was lost", func(d *day) { d.orders = append(d.orders, audit.Order{ID: "x", Key: "key-o-23", User: "user-23"}) },
			"order-stray ?1: order x: the answer to its key key-o-23 was lost"},
		{"orders of lost workers", func(d *day) {
			d.options.Lost = func(key string) bool { return key == "ours" }
			d.orders = append(d.orders, audit.Order{ID: "x", Key: "ours"}, audit.Order{ID: "z", Key: "theirs"})
		}, `order-stray ×1: order z: nobody asked for one with its key "theirs"` + "\n" +
			"order-stray ?1: order x: its key ours may be of a shopper whose worker was lost"},
		{"a second order for a key", func(d *day) { d.orders = append(d.orders, audit.Order{ID: "x", Key: "key-o-3"}) },
			"key-double ×1: key key-o-3: 2 booked"},
		{"two orders, and no answer", func(d *day) {
			d.orders = append(d.orders, audit.Order{ID: "x", Key: "key-o-23"}, audit.Order{ID: "y", Key: "key-o-23"})
		}, "key-double ×1: key key-o-23: 2 booked"},
		{"a void order and its second attempt", func(d *day) { d.orders = append(d.orders, audit.Order{ID: "x", Key: "key-o-3", Void: true}) }, ""},
		{"a key that was promised two", func(d *day) {
			d.ledger = append(d.ledger, results.Promise{Kind: results.OrderPromise, Known: true, Key: "key-o-3", ID: "x"})
		}, "order-missing ×1: order x: placed with key key-o-3\nkey-double ×1: key key-o-3: promised order x and others"},
		{"a row twice", func(d *day) { d.bare(3); d.orders = append(d.orders, *d.order(3)) },
			"key-double ×1: key key-o-3: 2 booked\nid-double ×1: order order-3: in the books 2 times"},
		{"one coupon for two users", func(d *day) { // a lost one's number was given again
			d.ledger = append(d.ledger, results.Promise{Kind: results.CouponPromise, Known: true, Key: "key-c-30", ID: "coupon-3"})
		}, "coupon-missing ×1: coupon coupon-3: promised to user-3 with key key-c-3 and to others, in the books once"},
		{"one coupon for two users, the other with the lesser key", func(d *day) {
			d.ledger = append(d.ledger, results.Promise{Kind: results.CouponPromise, Known: true, Key: "key-a-9", ID: "coupon-3"})
		}, "coupon-missing ×1: coupon coupon-3: promised to user-a-9 with key key-a-9 and to others, in the books once\n" +
			`coupon-user ×1: coupon coupon-3: claimed by user-a-9 with key key-a-9, issued to "user-3"`},
		{"a coupon's row twice", func(d *day) { d.bare(3); d.coupons[19].ID, d.coupons[19].Key = "coupon-3", "key-c-3"; d.bare(19) },
			"id-double ×1: coupon coupon-3: in the books 2 times\ncoupon-missing ×1: coupon coupon-19: claimed with key key-c-19\n" +
				"coupon-double ×1: key key-c-3: 2 booked"},
		{"another key", func(d *day) { d.order(3).Key = "key-o-23" },
			`order-key ×1: order order-3: placed with key key-o-3, booked with "key-o-23"`},
		{"one order for two keys of a user", func(d *day) {
			p := *d.promise("key-o-3")
			p.Key = "key-o-o-3"
			d.ledger = append(d.ledger, p)
		}, "order-key ×1: order order-3: promised under key key-o-3 and others"},
		{"one order for two users", func(d *day) { // a lost one's number was given again
			p := *d.promise("key-o-3")
			p.Key = "key-o-23"
			d.ledger = append(d.ledger, p)
		}, "order-missing ×1: order order-3: promised to user-3 with key key-o-3 and to others, in the books once\n" +
			"order-key ×1: order order-3: promised under key key-o-3 and others"},
		{"another user's", func(d *day) { d.bare(3); d.order(3).User = "user-4" },
			`order-user ×1: order order-3: placed by user-3, booked to "user-4"`},
		{"a minor unit less", func(d *day) { d.order(3).Amount--; d.order(3).Subtotal-- },
			"order-amount ×1: order order-3: promised 500 CNY, booked 499 CNY"},
		{"another currency", func(d *day) { d.bare(3); d.order(3).Currency = "USD" },
			"order-amount ×1: order order-3: promised 3000 CNY, booked 3000 USD"},
		{"another discount, the same amount", func(d *day) { d.order(3).Discount--; d.order(3).Subtotal-- },
			"order-amount ×1: order order-3: promised a subtotal of 3000 CNY, booked 2999"},
		{"two prices", func(d *day) {
			p := *d.promise("key-o-3")
			p.Amount = 400
			d.ledger = append(d.ledger, p)
		}, "order-amount ×1: order order-3: promised 400 CNY and other amounts"},
		{"the coupon is left out", func(d *day) {
			d.coupons[3].Order, d.coupons[3].Redeemed, d.coupons[3].RedeemedBy = "", time.Time{}, ""
			d.order(3).Coupon = ""
		}, `order-coupon ×1: order order-3: told that coupon coupon-3 was redeemed, booked with ""`},
		{"sums that do not add up", func(d *day) { d.order(3).Discount = 2400 },
			"order-amount ×1: order order-3: promised a discount of 2500 CNY, booked 2400\nsums ×1: order order-3: subtotal 3000, discount 2400, amount 500"},
		{"a negative amount", func(d *day) {
			d.orders = append(d.orders, audit.Order{ID: "x", Key: "key-o-23", User: "user-23", Amount: -1, Subtotal: -1})
		},
			"order-stray ?1: order x: the answer to its key key-o-23 was lost\nsums ×1: order x: subtotal -1, discount 0, amount -1"},
		{"more off than the card has", func(d *day) { d.coupons[3].Value = 2499 },
			"discount-value ×1: order order-3: a discount of 2500 CNY, by coupon coupon-3 of 2499 CNY"},
		{"a card in another currency", func(d *day) { d.coupons[3].Currency = "USD" },
			"discount-value ×1: order order-3: in CNY, by coupon coupon-3 in USD"},
		{"a coupon is gone", func(d *day) { d.bare(4); d.coupons = slices.Delete(d.coupons, 4, 5); d.stocks[0].Coupons-- },
			"coupon-missing ×1: coupon coupon-4: claimed with key key-c-4"},
		{"a coupon of nobody", func(d *day) { d.stocks[0].Coupons++; d.issue("x", "y", 250*time.Second) },
			`coupon-stray ×1: coupon x: nobody asked for one with its key "y"`},
		{"a coupon under an earlier key of its user", func(d *day) { d.coupons[4].Key = "key-c-old" }, ""},
		{"a coupon whose claim was told no", func(d *day) { d.stocks[0].Coupons++; d.issue("x", "key-c-20", 250*time.Second) },
			`coupon-stray ×1: coupon x: its key key-c-20 was told "sold out"`},
		{"a coupon whose answer was lost", func(d *day) {
			d.stocks[0].Coupons++
			d.issue("x", "key-c-23", 250*time.Second)
			d.coupons[20].User = "user-23"
		},
			`coupon-stray ?1: coupon x: the answer to its key key-c-23 was lost`},
		{"a claim with two coupons", func(d *day) {
			d.stocks[0].Coupons++
			d.stocks[0].PerUser++
			d.ledger = slices.DeleteFunc(d.ledger, func(p results.Promise) bool { return p.Denied == results.LimitReached })
			d.issue("x", "key-c-4", 250*time.Second)
			d.coupons[20].User = "user-4"
		}, "coupon-double ×1: key key-c-4: 2 booked"},
		{"another user's coupon", func(d *day) { d.bare(4); d.coupons[4].User = "user-40" },
			`coupon-user ×1: coupon coupon-4: claimed by user-4 with key key-c-4, issued to "user-40"`},
		{"more than the stock", func(d *day) { d.stocks[0].Coupons = 18 }, "stock-over ×2: stock s: 20 issued of 18"},
		{"coupons of no stock", func(d *day) { d.bare(4); d.coupons[4].Stock = "t"; d.stocks[0].Coupons-- },
			"stock-over ?1: coupon coupon-4: of stock \"t\", of which the books say nothing\nuser-over ?1: user user-4: 1 coupons of stock t, of which the books say nothing\nissued-paused ?1: coupon coupon-4: of stock \"t\", of which the books say nothing"},
		{"more than a user may have", func(d *day) {
			d.stocks[0].Coupons++
			d.issue("x", "key-c-23", 250*time.Second)
			d.coupons[20].User = "user-4"
			d.promise("key-c-23").User = "user-4"
		}, "coupon-stray ?1: coupon x: the answer to its key key-c-23 was lost\nuser-over ×1: user user-4: 2 coupons of stock s, which gives 1"},
		{"redeemed twice", func(d *day) {
			o := *d.order(3)
			o.ID, o.Key = "x", "key-o-3b"
			d.ledger = append(d.ledger, results.Promise{Kind: results.OrderPromise, Key: "key-o-3b", User: "user-3"})
			d.orders = append(d.orders, o)
		}, "order-stray ?1: order x: the answer to its key key-o-3b was lost\nredeemed-twice ×1: coupon coupon-3: redeemed on 2 orders, x and others"},
		{"redeemed by another", func(d *day) {
			d.ledger = slices.DeleteFunc(d.ledger, func(p results.Promise) bool { return p.Key == "key-o-3" })
			d.ledger = append(d.ledger, results.Promise{Kind: results.OrderPromise, Known: true, Key: "key-o-40", ID: "order-3"})
			d.order(3).Key, d.order(3).User = "key-o-40", "user-40"
		}, `redeemed-owner ×1: coupon coupon-3 of user-3: redeemed by "user-40" on order order-3`},
		{"redeemed too late", func(d *day) { d.coupons[3].Until = d.order(3).At.Add(-time.Minute) },
			"redeemed-validity ×1: coupon coupon-3: redeemed at 2026-02-06T00:00:35Z on order order-3, valid from 2026-02-06T00:00:00Z until 2026-02-05T23:59:35Z"},
		{"redeemed too late, on an order written before", func(d *day) {
			d.coupons[3].Until = d.order(3).At.Add(time.Minute)
			d.coupons[3].Redeemed = d.order(3).At.Add(2 * time.Minute)
		}, "redeemed-validity ×1: coupon coupon-3: redeemed at 2026-02-06T00:02:35Z on order order-3, valid from 2026-02-06T00:00:00Z until 2026-02-06T00:01:35Z"},
		{"redeemed in time, on an order written later", func(d *day) {
			d.coupons[3].Until = d.order(3).At.Add(-time.Minute)
			d.coupons[3].Redeemed = d.order(3).At.Add(-2 * time.Minute)
			d.coupons[3].From = began.Add(-time.Hour)
		}, ""},
		{"redeemed too early", func(d *day) { d.coupons[3].From = d.order(3).At.Add(2 * time.Second) },
			"redeemed-validity ×1: coupon coupon-3: redeemed at 2026-02-06T00:00:35Z on order order-3, valid from 2026-02-06T00:00:37Z until 2026-02-07T00:00:00Z"},
		{"redeemed at the very end", func(d *day) { d.coupons[3].Until = d.order(3).At.Add(-500 * time.Millisecond) },
			"redeemed-validity ?1: coupon coupon-3: redeemed at 2026-02-06T00:00:35Z on order order-3, within 1s of an end of its validity"},
		{"valid for ever", func(d *day) { d.coupons[3].Until = time.Time{}; d.coupons[4].Until = began.AddDate(5000, 0, 0) }, ""},
		{"redeemed and free again", func(d *day) { d.coupons[3].Order, d.coupons[3].Redeemed = "", time.Time{} },
			"redeemed-books ×1: coupon coupon-3: on order order-3, and not marked as redeemed"},
		{"redeemed on another order", func(d *day) { d.coupons[3].Order = "order-4" },
			"redeemed-books ×1: coupon coupon-3: on order order-3, marked as redeemed on order-4"},
		{"redeemed by another, on an order that has a coupon of its own", func(d *day) {
			d.coupons[3].Order, d.coupons[3].RedeemedBy = "order-4", "user-4"
		}, "redeemed-owner ×1: coupon coupon-3 of user-3: marked as redeemed by user-4 on order \"order-4\"\n" +
			"redeemed-books ×1: coupon coupon-3: on order order-3, marked as redeemed on order-4"},
		{"redeemed and never issued", func(d *day) {
			d.orders = append(d.orders, audit.Order{ID: "x", Key: "key-o-23", User: "user-23", Coupon: "made up", Subtotal: 2, Discount: 1, Amount: 1})
		}, "order-stray ?1: order x: the answer to its key key-o-23 was lost\nredeemed-books ×1: coupon made up: on order x, and was never issued"},
		{"swallowed", func(d *day) { d.bare(4); d.coupons[4].Order = "order-40" },
			`coupon-swallowed ×1: coupon coupon-4: spent on order "order-40", which is no sale that carries it`},
		{"swallowed by an order that failed", func(d *day) { d.bare(3); d.coupons[3].Redeemed = began },
			`coupon-swallowed ×1: coupon coupon-3: spent on order "", which is no sale; order key-o-24 failed with it`},
		{"swallowed by an order that is void", func(d *day) {
			d.orders = append(d.orders, audit.Order{ID: "x", Coupon: "coupon-4", Void: true})
			d.bare(4)
			d.coupons[4].Order = "x"
		}, `coupon-swallowed ×1: coupon coupon-4: spent on order "x", which is no sale that carries it`},
		{"swallowed, and its row gone", func(d *day) { d.bare(3); d.coupons = slices.Delete(d.coupons, 3, 4); d.stocks[0].Coupons-- },
			"coupon-missing ×1: coupon coupon-3: claimed with key key-c-3\ncoupon-swallowed ×1: coupon coupon-3: gone since order key-o-24 failed with it"},
		{"spent for nothing", func(d *day) {
			d.order(4).Discount, d.order(4).Amount = 0, 3000
			d.promise("key-o-4").Amount = 3000
		}, "coupon-swallowed ×1: coupon coupon-4: redeemed on order order-4, which got nothing off"},
		{"sold out while there were", func(d *day) { d.promise("key-c-20").At = time.Minute },
			"false-sold-out ×1: claim key-c-20: told so at 2026-02-06T00:01:00Z, when 7 of 20 had been issued"},
		{"sold out while there are still", func(d *day) { d.stocks[0].Coupons = 21 },
			"false-sold-out ×1: claim key-c-20: told so at 2026-02-06T00:05:00Z, when 20 of 21 had been issued"},
		{"sold out, and the stock has no limit", func(d *day) { d.stocks[0].Coupons = 0 },
			"false-sold-out ×1: claim key-c-20: told so at 2026-02-06T00:05:00Z, when 0 of 0 had been issued"},
		{"sold out just then", func(d *day) { d.promise("key-c-20").At = 190*time.Second - 100*time.Millisecond },
			"false-sold-out ?1: claim key-c-20: the last coupon went at about the time of its no, 2026-02-06T00:03:09.9Z"},
		{"enough, while the user had none yet", func(d *day) { d.ledger[len(d.ledger)-5].At = time.Minute },
			"false-limit ×1: claim key-c-7: user user-7 was told so at 2026-02-06T00:01:00Z, with 0 of 1 coupons"},
		{"enough, and it may have two", func(d *day) { d.stocks[0].PerUser = 2 },
			"false-limit ×1: claim key-c-7: user user-7 was told so at 2026-02-06T00:05:00Z, with 1 of 2 coupons"},
		{"enough just then", func(d *day) { d.ledger[len(d.ledger)-5].At = 70 * time.Second },
			"false-limit ?1: claim key-c-7: the user got the last coupon at about the time of its no, 2026-02-06T00:01:10Z"},
		{"issued while paused", func(d *day) { d.bare(3); d.coupons[3].Issued = began.Add(35 * time.Minute); d.soldLater() },
			"issued-paused ×1: coupon coupon-3: issued at 2026-02-06T00:35:00Z, and stock s was closed from 2026-02-06T00:30:00Z until 2026-02-06T00:40:00Z"},
		{"issued while still paused", func(d *day) { d.stocks[0].Paused = []audit.Window{{From: began.Add(185 * time.Second)}} },
			"issued-paused ×1: coupon coupon-19: issued at 2026-02-06T00:03:10Z, and stock s was closed from 2026-02-06T00:03:05Z"},
		{"issued as the pause began", func(d *day) {
			d.bare(3)
			d.coupons[3].Issued = began.Add(30*time.Minute + 100*time.Millisecond)
			d.soldLater()
		}, "issued-paused ?1: coupon coupon-3: issued at 2026-02-06T00:30:00.1Z, within 1s of an end of a pause"},
		{"issued after the campaign", func(d *day) { d.stocks[0].Until = began.Add(185 * time.Second) },
			"issued-paused ×1: coupon coupon-19: issued at 2026-02-06T00:03:10Z, and stock s was closed from 2026-02-06T00:03:05Z"},
		{"oversold", func(d *day) { d.seats[0].Seats = 17 }, "seats-over ×3: table: 20 sold of 17"},
		{"who did not come", func(d *day) { d.options.Mix[0].Ended = 27; d.options.Unseen = 2 },
			"mix ×1: journey order: 27 came, planned were 30, and only 2 of all did not come or end"},
		{"who came uninvited", func(d *day) { d.options.Mix[1].Ended = 21 }, "mix ×1: persona patient: 21 came, planned were 20"},
		{"who may have come", func(d *day) { d.options.Mix[0].Ended = 27; d.options.Unseen = 3 }, "mix ?1: journey order: 3 of 30 did not come or end"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := quiet()
			tt.spoil(d)
			for round := range 5 { // neither side has an order
				d.shuffle(rand.New(rand.NewPCG(uint64(round), 1)))
				if got := said(d.run(t)); got != tt.want {
					t.Fatalf("found:\n%s\nwant:\n%s", got, tt.want)
				}
			}
		})
	}
}

// issue adds a coupon that was never redeemed.
func (d *day) issue(id, key string, at time.Duration) {
	d.coupons = append(d.coupons, audit.Coupon{ID: id, Stock: "s", User: "user-of-" + id, Key: key, Value: 2500, Currency: "CNY", Issued: began.Add(at)})
}

// soldLater moves the no of the stock to after everything else.
func (d *day) soldLater() { d.promise("key-c-20").At = 45 * time.Minute }

// What the books do not have or do not say is unchecked, never held.
func TestUnchecked(t *testing.T) {
	all := map[string]bool{}
	for _, c := range audit.Invariants() {
		all[c.ID] = true
	}
	for _, tt := range []struct {
		name  string
		spoil func(*audit.Books, *audit.Options)
		want  string // ids
		why   string
	}{
		{"no orders", func(b *audit.Books, _ *audit.Options) { b.Orders = nil },
			"order-missing order-stray key-double id-double order-key order-user order-amount order-coupon sums discount-value redeemed-twice redeemed-owner redeemed-validity redeemed-books coupon-swallowed seats-over",
			"the source has no orders"},
		{"no coupons", func(b *audit.Books, _ *audit.Options) { b.Coupons = nil },
			"id-double discount-value coupon-missing coupon-stray coupon-double coupon-user stock-over user-over redeemed-owner redeemed-validity redeemed-books coupon-swallowed false-sold-out false-limit issued-paused",
			"the source has no coupons"},
		{"no stocks", func(b *audit.Books, _ *audit.Options) { b.Stocks = nil }, "stock-over user-over false-sold-out false-limit issued-paused", "the source has no stocks"},
		{"no discounts", func(b *audit.Books, _ *audit.Options) { b.Lacks = []audit.Field{audit.OrderDiscount} }, "order-amount sums discount-value coupon-swallowed", "the source does not say orders.discount"},
		{"no ends of stocks", func(b *audit.Books, _ *audit.Options) { b.Lacks = []audit.Field{audit.StockUntil} }, "issued-paused", "the source does not say stocks.until"},
		{"no seats", func(b *audit.Books, _ *audit.Options) { b.Seatings = nil }, "seats-over", "the source has no seats"},
		{"no keys", func(b *audit.Books, _ *audit.Options) { b.Lacks = []audit.Field{audit.OrderKey} }, "order-stray key-double order-key", "the source does not say orders.key"},
		{"no coupons on orders", func(b *audit.Books, _ *audit.Options) { b.Lacks = []audit.Field{audit.OrderCoupon} },
			"order-coupon discount-value redeemed-twice redeemed-owner redeemed-validity redeemed-books coupon-swallowed", "the source does not say orders.coupon"},
		{"no pauses", func(b *audit.Books, _ *audit.Options) { b.Lacks = []audit.Field{audit.StockPaused} }, "issued-paused", "the source does not say stocks.paused"},
		{"no owners", func(_ *audit.Books, o *audit.Options) { o.Owner = nil }, "order-user coupon-user", "whose keys are whose is not known"},
		{"no start", func(_ *audit.Books, o *audit.Options) { o.Started = time.Time{} }, "false-sold-out false-limit", "when the run began is not known"},
		{"no plan", func(_ *audit.Books, o *audit.Options) { o.Mix = nil }, "mix", "what was planned is not known"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := quiet()
			b, o := d.books(), d.options
			tt.spoil(&b, &o)
			a, err := audit.Run(t.Context(), seq(d.ledger), b, o)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range a.In(results.StateUnchecked) {
				got = append(got, c.ID)
				if why, part := strings.CutPrefix(c.Why, "in part: "); why != tt.why || !part && c.Checked+c.Count+c.Undecided > 0 || c.Count > 0 || len(c.Examples)+len(c.Doubts) > 0 {
					t.Errorf("%+v, want %q", c, tt.why)
				}
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("unchecked:\n%s\nwant:\n%s", strings.Join(got, " "), tt.want)
			}
			if broken := a.In(results.StateBroken); len(broken) > 0 {
				t.Errorf("broken for want of what is not there: %+v", broken)
			}
		})
	}
	if len(all) != 26 {
		t.Errorf("%d ids, want 26 different ones", len(all))
	}
}

// Two claims of one user at once, and another claimant whose cap is reached by
// its own lost claim: no is right, whatever the shopper knows.
func TestLimitByALostClaim(t *testing.T) {
	d := quiet()
	d.stocks[0].Coupons++
	d.coupons = append(d.coupons, audit.Coupon{ID: "x", Stock: "s", User: "user-23", Key: "key-c-23", Issued: began.Add(250 * time.Second)})
	d.ledger = append(d.ledger, results.Promise{Kind: results.CouponPromise, Key: "key-c-23", Denied: results.LimitReached, At: 260 * time.Second, Took: time.Second})
	if got, want := said(d.run(t)), "coupon-stray ?1: coupon x: the answer to its key key-c-23 was lost"; got != want {
		t.Errorf("found:\n%s\nwant:\n%s", got, want)
	}
}

// riot is a day of n entries on which everything goes wrong, by chance.
func riot(n int, draw *rand.Rand) *day {
	d := quiet()
	pick := func(what string) string { return fmt.Sprint(what, draw.IntN(n/3)) }
	at := func() time.Duration { return time.Duration(draw.IntN(4000)) * time.Second }
	for range n {
		p := results.Promise{Kind: results.PromiseKind(1 + draw.IntN(2)), Key: pick("key-"), At: at(), Took: time.Second, User: pick("user-")}
		switch draw.IntN(4) {
		case 0:
			p.Denied = results.Denial(1 + draw.IntN(4))
			p.Coupon = pick("coupon-")
		case 1:
		default:
			p.Known, p.Amount, p.Currency, p.Subtotal, p.Coupon = true, int64(draw.IntN(2)), "CNY", int64(draw.IntN(3)), pick("coupon-")
			p.ID = pick(p.Kind.String() + "-")
		}
		d.ledger = append(d.ledger, p)
		d.orders = append(d.orders, audit.Order{ID: pick("order-"), Key: pick("key-"), User: pick("user-"), Coupon: pick("coupon-"), Item: "table", Quantity: 1,
			Subtotal: int64(draw.IntN(3)), Discount: int64(draw.IntN(2)), Amount: int64(draw.IntN(2)), Currency: "CNY", At: began.Add(at()), Void: draw.IntN(9) == 0})
		d.coupons = append(d.coupons, audit.Coupon{ID: pick("coupon-"), Stock: "s", User: pick("user-"), Key: pick("key-"), Value: int64(draw.IntN(2)), Currency: "CNY",
			Issued: began.Add(at()), Until: began.Add(at()), Order: pick("order-"), RedeemedBy: pick("user-")})
	}
	d.options.Mix[0].Ended++
	d.stocks[0].Coupons = int64(n) * 9 / 10
	return d
}

// Everything that can be found is found on a day of riot, and the same in any
// order, in memory and by way of scratch, examples included.
func TestOrderDoesNotMatter(t *testing.T) {
	draw := rand.New(rand.NewPCG(1, 2))
	d := riot(6_000, draw)
	first := d.run(t)
	for _, c := range first.Checks {
		if c.State != results.StateBroken || len(c.Examples) == 0 || len(c.Examples) > 5 || !slices.IsSorted(c.Examples) {
			t.Errorf("the riot is too tame: %+v", c)
		}
	}
	for round := range 4 {
		d.shuffle(draw)
		file := &memory{}
		if round%2 == 1 {
			d.options = audit.InBlocks(d.options, 512)
			d.options.Scratch = func() (audit.Scratch, error) { return file, nil }
		} else {
			d.options.Scratch = nil
		}
		again := d.run(t)
		if !reflect.DeepEqual(first, again) {
			t.Errorf("shuffled:\n%s\nwant:\n%s", said(again), said(first))
		}
		if used := len(file.bytes) > 0; used != (round%2 == 1) || used && !file.closed {
			t.Errorf("round %d: scratch of %d bytes, closed: %v", round, len(file.bytes), file.closed)
		}
	}
}

// The days of two crowds that share nothing, audited apart, add up to both
// audited together.
func TestSplit(t *testing.T) {
	draw := rand.New(rand.NewPCG(3, 4))
	a, b := riot(900, draw), riot(900, draw)
	rename := func(s *string) {
		if *s != "" {
			*s = "b-" + *s
		}
	}
	for i := range b.ledger {
		p := &b.ledger[i]
		p.User = b.owner(*p)
		for _, s := range []*string{&p.Key, &p.ID, &p.Coupon, &p.User} {
			rename(s)
		}
	}
	for i := range b.orders {
		o := &b.orders[i]
		for _, s := range []*string{&o.ID, &o.Key, &o.User, &o.Coupon} {
			rename(s)
		}
	}
	for i := range b.coupons {
		c := &b.coupons[i]
		for _, s := range []*string{&c.ID, &c.Key, &c.User, &c.Order, &c.RedeemedBy} {
			rename(s)
		}
	}
	for i := range a.ledger { // a's owner function knows no keys of b
		a.ledger[i].User = a.owner(a.ledger[i])
	}
	both := *a
	both.ledger, both.orders, both.coupons = slices.Concat(a.ledger, b.ledger), slices.Concat(a.orders, b.orders), slices.Concat(a.coupons, b.coupons)
	whole, left, right := both.run(t), a.run(t), b.run(t)
	shared := map[string]bool{"stock-over": true, "false-sold-out": true, "seats-over": true, "mix": true} // of the one stock, item and plan
	for i, c := range whole.Checks {
		l, r := left.Checks[i], right.Checks[i]
		if !shared[c.ID] && (c.Count != l.Count+r.Count || c.Undecided != l.Undecided+r.Undecided || c.Checked != l.Checked+r.Checked) {
			t.Errorf("%s: %d, apart %d and %d", c.ID, c.Count, l.Count, r.Count)
		}
	}
	if whole.Promised != left.Promised+right.Promised || whole.Matched != left.Matched+right.Matched {
		t.Errorf("%+v", whole)
	}
}

func (d *day) owner(p results.Promise) string {
	if p.User != "" {
		return p.User
	}
	user, _ := d.options.Owner(p.Key)
	return user
}

// memory is scratch that is none.
type memory struct {
	mu     sync.Mutex
	bytes  []byte
	closed bool
	room   int // before it is full; 0: endless
}

var errFull = errors.New("no space left on device")

func (m *memory) WriteAt(b []byte, at int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	end := int(at) + len(b)
	if m.room > 0 && end > m.room {
		return 0, errFull
	}
	if end > len(m.bytes) {
		m.bytes = append(m.bytes, make([]byte, end-len(m.bytes))...)
	}
	return copy(m.bytes[at:], b), nil
}

func (m *memory) ReadAt(b []byte, at int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return copy(b, m.bytes[at:]), nil
}

func (m *memory) Close() error { m.closed = true; return nil }

func TestScratchFails(t *testing.T) {
	d := riot(3_000, rand.New(rand.NewPCG(5, 6)))
	d.options = audit.InBlocks(d.options, 512)
	file := &memory{room: 200 << 10}
	d.options.Scratch = func() (audit.Scratch, error) { return file, nil }
	_, err := audit.Run(t.Context(), seq(d.ledger), d.books(), d.options)
	if !errors.Is(err, errFull) || !strings.Contains(err.Error(), "write to the scratch file") || !file.closed {
		t.Errorf("full: %v, closed: %v", err, file.closed)
	}
	broken := errors.New("read-only file system")
	d.options.Scratch = func() (audit.Scratch, error) { return nil, broken }
	if _, err := audit.Run(t.Context(), seq(d.ledger), d.books(), d.options); !errors.Is(err, broken) {
		t.Errorf("not to be opened: %v", err)
	}
}

func TestErrorsEndTheAudit(t *testing.T) {
	broken := errors.New("the cable is out")
	for name, spoil := range map[string]func(*audit.Books){
		"read the orders: ":  func(b *audit.Books) { b.Orders = cut(b.Orders, broken) },
		"read the coupons: ": func(b *audit.Books) { b.Coupons = cut(b.Coupons, broken) },
		"read the stocks: ":  func(b *audit.Books) { b.Stocks = cut(b.Stocks, broken) },
		"read the seats: ":   func(b *audit.Books) { b.Seatings = cut(b.Seatings, broken) },
	} {
		d := quiet()
		b := d.books()
		spoil(&b)
		if a, err := audit.Run(t.Context(), seq(d.ledger), b, d.options); a != nil || !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s%v", name, err)
		}
	}
	d := quiet()
	if _, err := audit.Run(t.Context(), cut(seq(d.ledger), broken), d.books(), d.options); !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "read the ledger: ") {
		t.Error(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := audit.Run(gone, seq(d.ledger), d.books(), d.options); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	d.stocks = append(d.stocks, d.stocks[0])
	if _, err := audit.Run(t.Context(), seq(d.ledger), d.books(), d.options); err == nil || err.Error() != `read the stocks: stock "s" stands there twice` {
		t.Error(err)
	}
}

// cut ends a sequence with an error.
func cut[T any](all iter.Seq2[T, error], err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for v := range all {
			if !yield(v, nil) {
				return
			}
			break
		}
		var none T
		yield(none, err)
	}
}
