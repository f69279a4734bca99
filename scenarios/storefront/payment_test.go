package storefront

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"
)

// A checkout with a coupon and a seat, up to the payment.
func checkoutWithCard(t *testing.T, url string) (path, card string) {
	t.Helper()
	card = claimOf("ann", "r1").ok(t, url, 200).Get("coupon_id").Str
	body := strings.Replace(withCodes(card), "milk-tea-1", "film-1", 1)
	s := call{"POST", "/ucp/checkout-sessions", "ann", "k1", body}.ok(t, url, 201)
	expect(t, s, "discounts.applied.0.code", card)
	return "/ucp/checkout-sessions/" + s.Get("id").Str, card
}

// sold reads how many seats of the film are sold, and the orders and coupons
// of the books.
func sold(t *testing.T, url string) (seats int64, orders, coupons gjson.Result) {
	t.Helper()
	s := call{method: "GET", path: "/books/summary"}.ok(t, url, 200)
	_, o, _ := call{method: "GET", path: "/books/orders"}.do(t, url)
	_, c, _ := call{method: "GET", path: "/books/coupons"}.do(t, url)
	return s.Get("seats.film-1.sold").Int(), gjson.Parse(o), gjson.Parse(c)
}

func TestPaymentDeclined(t *testing.T) {
	each(t, Options{Decline: 1}, func(t *testing.T, url string) {
		path, _ := checkoutWithCard(t, url)
		for range 2 {
			s := call{"POST", path + "/complete", "ann", "k2", benchPayment}.ok(t, url, 200)
			expect(t, s, "ucp.status", "error", "status", "ready_for_complete", "messages.0.code", "payment_declined", "order", "")
		}
		seats, orders, coupons := sold(t, url)
		if seats != 0 || orders.Exists() {
			t.Errorf("%d seats, orders %s", seats, orders.Raw)
		}
		expect(t, coupons, "order_id", "", "redeemed_by", "")
	})
}

// While a payment is on its way the order is booked and not told. What is seen
// then is looked at while it takes an hour, and what becomes of it when it takes
// next to no time: nobody has to look in the middle of a moment.
func TestPaymentDelayed(t *testing.T) {
	for _, fails := range []float64{0, 1} {
		for _, wait := range []time.Duration{time.Hour, 10 * time.Millisecond} {
			t.Run(fmt.Sprintf("declined %v after %v", fails, wait), func(t *testing.T) {
				each(t, Options{Decline: fails, Delay: 1, DelayFor: wait}, func(t *testing.T, url string) {
					path, card := checkoutWithCard(t, url)
					expect(t, call{"POST", path + "/complete", "ann", "k2", benchPayment}.ok(t, url, 200), "ucp.status", "success", "status", "complete_in_progress", "order", "")
					if wait == time.Hour {
						underWay(t, url, path, card)
					} else {
						decided(t, url, path, card, fails == 1)
					}
				})
			})
		}
	}
}

// underWay looks at a checkout whose payment is not decided.
func underWay(t *testing.T, url, path, card string) {
	t.Helper()
	expect(t, call{"POST", path + "/cancel", "ann", "k3", ""}.ok(t, url, 200), "messages.0.code", "checkout_complete_in_progress")
	expect(t, call{"GET", path, "ann", "", ""}.ok(t, url, 200), "status", "complete_in_progress", "order", "")
	seats, orders, coupons := sold(t, url)
	if seats != 1 {
		t.Errorf("%d seats are taken", seats)
	}
	expect(t, orders, "key", "k2", "void", "false", "coupon", card)
	expect(t, coupons, "order_id", orders.Get("order_id").Str)
}

// decided waits for the end of a payment and looks at what became of it.
func decided(t *testing.T, url, path, card string, fails bool) {
	t.Helper()
	var s gjson.Result
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		s = call{"GET", path, "ann", "", ""}.ok(t, url, 200)
		if s.Get("status").Str != "complete_in_progress" {
			break
		}
	}
	seats, orders, coupons := sold(t, url)
	if !fails {
		expect(t, s, "status", "completed", "order.id", orders.Get("order_id").Str)
		expect(t, orders, "key", "k2", "void", "false", "coupon", card)
		expect(t, coupons, "order_id", orders.Get("order_id").Str)
		if seats != 1 {
			t.Errorf("%d seats are taken", seats)
		}
		return
	}
	expect(t, s, "status", "ready_for_complete", "messages.0.code", "payment_declined", "order", "")
	expect(t, orders, "void", "true")
	expect(t, coupons, "order_id", "", "redeemed_at", "", "redeemed_by", "")
	if seats != 0 {
		t.Errorf("%d seats stay taken", seats)
	}
	expect(t, call{"PUT", path, "ann", "k4", withCodes(card)}.ok(t, url, 200), "discounts.applied.0.code", card, "messages", "")
}

// What becomes of a payment hangs on the seed and the key alone.
func TestPays(t *testing.T) {
	o := Options{Seed: 7, Decline: 0.1, Delay: 0.2, DelayFor: time.Second}
	other := o
	other.Seed = 8
	var fails, waits, differ int
	for n := range 10_000 {
		key := fmt.Sprint("k", n)
		p := o.pays(key)
		if p != o.pays(key) {
			t.Fatalf("%s: not the same again", key)
		}
		if p.fails {
			fails++
		}
		if p.wait > 0 {
			waits++
		}
		if p != other.pays(key) {
			differ++
		}
	}
	if fails < 850 || fails > 1150 || waits < 1800 || waits > 2200 || differ < 2000 {
		t.Errorf("%d fail, %d wait, %d differ under another seed", fails, waits, differ)
	}
}

func TestPause(t *testing.T) {
	each(t, Options{}, func(t *testing.T, url string) {
		first := claimOf("ann", "r1").ok(t, url, 200).Raw
		for range 2 { // twice is once
			if status, body, _ := (call{method: "POST", path: "/campaign/pause"}).do(t, url); status != 204 {
				t.Fatal(status, body)
			}
		}
		expect(t, claimOf("ann", "r2").ok(t, url, 400), "code", "INVALID_REQUEST")
		if again := claimOf("ann", "r1").ok(t, url, 200).Raw; again != first {
			t.Errorf("%s, and %s before", again, first)
		}
		_, stocks, _ := call{method: "GET", path: "/books/stocks"}.do(t, url)
		expect(t, gjson.Parse(stocks), "paused.#", "1", "paused.0.until", "")
		call{method: "POST", path: "/campaign/resume"}.do(t, url)
		call{method: "POST", path: "/campaign/resume"}.do(t, url)
		claimOf("ann", "r2").ok(t, url, 200)
		_, stocks, _ = call{method: "GET", path: "/books/stocks"}.do(t, url)
		pause := gjson.Get(stocks, "paused.0")
		if from, until := pause.Get("from").Time(), pause.Get("until").Time(); from.IsZero() || !until.After(from) {
			t.Errorf("paused: %s", pause.Raw)
		}
	})
	o, _ := Options{Design: "null"}.withDefaults()
	f := newFace(Designs()[0], o)
	if status, _, _ := (call{method: "POST", path: "/campaign/pause"}).record(t, f); status != 403 { // from 192.0.2.1
		t.Errorf("from elsewhere: %d", status)
	}
}

// A plan of pauses is kept to the moment.
func TestPausePlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, err := Options{Design: "null", Pauses: []Pause{{20 * time.Second, 30 * time.Second}, {45 * time.Second, 0}}}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		f := newFace(Designs()[0], o)
		begun := time.Now()
		if err := f.keepPauses(t.Context()); err != nil {
			t.Error(err)
		}
		s, _ := f.shop.books.Summary(t.Context())
		var got []time.Duration
		for _, w := range s.stocks[0].paused {
			got = append(got, time.Unix(0, w.from).Sub(begun))
			if w.until != 0 {
				got = append(got, time.Unix(0, w.until).Sub(begun))
			}
		}
		if fmt.Sprint(got) != "[20s 30s 45s]" {
			t.Errorf("%v", got)
		}
	})
}

func TestParsePause(t *testing.T) {
	for text, want := range map[string]Pause{
		"30s-40s": {30 * time.Second, 40 * time.Second}, "1m-": {From: time.Minute}, "0s-1.5s": {0, 1500 * time.Millisecond},
	} {
		if got, err := ParsePause(text); err != nil || got != want {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
	for _, text := range []string{"", "30s", "40s-30s", "a-b", "30-40", "-30s"} {
		if _, err := ParsePause(text); err == nil || !strings.Contains(err.Error(), "such as 30s-40s") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
