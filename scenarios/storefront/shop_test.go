package storefront

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// each runs a test on every design that is meant to be right.
func each(t *testing.T, o Options, test func(t *testing.T, url string)) {
	for _, d := range Designs() {
		if o.Design = d.Name; d.Name == "naive" {
			continue
		}
		o.RowTime = -1
		t.Run(d.Name, func(t *testing.T) { test(t, start(t, o)) })
	}
}

func claimOf(user, request string) call {
	return call{"POST", "/v3/marketing/favor/users/" + user + "/coupons", user, "",
		`{"stock_id":"free-order","out_request_no":"` + request + `","appid":"wx1","stock_creator_mchid":"98568865"}`}
}

const oneTea = `{"line_items":[{"item":{"id":"milk-tea-1"},"quantity":1}]}`

func withCodes(codes ...string) string {
	list, _ := json.Marshal(codes)
	return oneTea[:len(oneTea)-1] + `,"discounts":{"codes":` + string(list) + `}}`
}

// ok sends c, wants that status, and returns the answer.
func (c call) ok(t testing.TB, url string, want int) gjson.Result {
	t.Helper()
	status, body, _ := c.do(t, url)
	if status != want || !gjson.Valid(body) {
		t.Fatalf("%s %s %s: %d %s, want %d", c.method, c.path, c.body, status, body, want)
	}
	return gjson.Parse(body)
}

func TestClaim(t *testing.T) {
	each(t, Options{Stock: 3, PerUser: 2}, func(t *testing.T, url string) {
		for i, tt := range []struct {
			call   call
			status int
			want   string // coupon or code
		}{
			{claimOf("ann", "r1"), 200, "1000000001"},
			{claimOf("ann", "r1"), 200, "1000000001"},
			{claimOf("bob", "r1"), 400, "PARAM_ERROR"},
			{claimOf("ann", "r2"), 200, "1000000002"},
			{claimOf("ann", "r3"), 403, "RULE_LIMIT"},
			{claimOf("bob", "r4"), 200, "1000000003"},
			{claimOf("bob", "r5"), 403, "NOT_ENOUGH"},
			{claimOf("ann", "r2"), 200, "1000000002"},
			{call{"POST", "/v3/marketing/favor/users/eve/coupons", "ann", "", claimOf("eve", "r6").body}, 400, "PARAM_ERROR"},
			{call{"POST", "/v3/marketing/favor/users/eve/coupons", "", "", strings.Replace(claimOf("eve", "r7").body, "free-order", "other", 1)}, 404, "RESOURCE_NOT_EXISTS"},
			{call{"POST", "/v3/marketing/favor/users/eve/coupons", "", "", `{"stock_id":"free-order"}`}, 400, "PARAM_ERROR"},
			{call{"POST", "/v3/marketing/favor/users/eve/coupons", "", "", `nonsense`}, 400, "PARAM_ERROR"},
			{call{"POST", "/v3/marketing/favor/users/eve/coupons", "", "", strings.Repeat(" ", longestBody+1)}, 413, "PARAM_ERROR"},
		} {
			r := tt.call.ok(t, url, tt.status)
			if got := r.Get("coupon_id").Str + r.Get("code").Str; got != tt.want || tt.status != 200 && r.Get("message").Str == "" {
				t.Errorf("%d: %s, want %s", i, r.Raw, tt.want)
			}
		}
	})
}

// Never more than the stock, however many ask at once, and never a no while
// there is some.
func TestStockUnderConcurrency(t *testing.T) {
	const stock, claims = 40, 200
	each(t, Options{Stock: stock, PerUser: 1}, func(t *testing.T, url string) {
		var mu sync.Mutex
		answers := map[string]int{}
		coupons := map[string]bool{}
		var all sync.WaitGroup
		for i := range claims {
			all.Go(func() {
				_, body, _ := claimOf("u"+strconv.Itoa(i/2), "r"+strconv.Itoa(i)).do(t, url)
				mu.Lock()
				defer mu.Unlock()
				if id := gjson.Get(body, "coupon_id").Str; id != "" {
					coupons[id] = true
					answers["ok"]++
				} else {
					answers[gjson.Get(body, "code").Str]++
				}
			})
		}
		all.Wait()
		if answers["ok"] != stock || len(coupons) != stock || answers["ok"]+answers["NOT_ENOUGH"]+answers["RULE_LIMIT"] != claims {
			t.Errorf("%v, %d coupons", answers, len(coupons))
		}
		if n := (call{method: "GET", path: "/books/summary"}).ok(t, url, 200).Get("coupons.issued").Int(); n != stock {
			t.Errorf("the books say %d", n)
		}
	})
}

// At most so many for one user, and as many as that.
func TestCapUnderConcurrency(t *testing.T) {
	each(t, Options{PerUser: 21}, func(t *testing.T, url string) {
		var mu sync.Mutex
		n := 0
		var all sync.WaitGroup
		for i := range 60 {
			all.Go(func() {
				status, _, _ := claimOf("ann", "r"+strconv.Itoa(i)).do(t, url)
				mu.Lock()
				defer mu.Unlock()
				if status == 200 {
					n++
				}
			})
		}
		all.Wait()
		if n != 21 {
			t.Errorf("%d coupons", n)
		}
	})
}

func TestCheckout(t *testing.T) {
	each(t, Options{}, func(t *testing.T, url string) {
		card := claimOf("ann", "r1").ok(t, url, 200).Get("coupon_id").Str
		foreign := claimOf("bob", "r2").ok(t, url, 200).Get("coupon_id").Str

		s := call{"POST", "/ucp/checkout-sessions", "ann", "k1", oneTea}.ok(t, url, 201)
		path := "/ucp/checkout-sessions/" + s.Get("id").Str
		expect(t, s, "ucp.version", "2026-04-08", "ucp.status", "success", "status", "ready_for_complete", "currency", "CNY",
			"line_items.0.item.id", "milk-tea-1", "line_items.0.totals.1.amount", "1800", `totals.#(type=="total").amount`, "1800", "messages", "")

		s = call{"PUT", path, "ann", "k2", withCodes(card)}.ok(t, url, 200)
		expect(t, s, `totals.#(type=="discount").amount`, "-1799", `totals.#(type=="total").amount`, "1",
			"discounts.codes.0", card, "discounts.applied.0.code", card, "discounts.applied.0.amount", "1799")

		// Codes are replaced, those left out stay.
		two := `{"line_items":[{"item":{"id":"dumplings-1"},"quantity":2}]`
		expect(t, call{"PUT", path, "ann", "k3", two + `}`}.ok(t, url, 200), `totals.#(type=="total").amount`, "3900")
		expect(t, call{"PUT", path, "ann", "k4", two + `,"discounts":{"codes":[]}}`}.ok(t, url, 200), `totals.#(type=="total").amount`, "6400", "discounts", "")

		for i, tt := range []struct {
			codes []string
			want  string
			total string
		}{
			{[]string{"nonsense"}, "discount_code_invalid", "1800"},
			{[]string{"1999999999"}, "discount_code_invalid", "1800"},
			{[]string{foreign}, "discount_code_user_ineligible", "1800"},
			{[]string{card, card}, "discount_code_already_applied", "1"},
			{[]string{"x", card}, "discount_code_invalid", "1"},
		} {
			s := call{"PUT", path, "ann", fmt.Sprint("c", i), withCodes(tt.codes...)}.ok(t, url, 200)
			expect(t, s, "ucp.status", "success", "messages.0.type", "warning", "messages.0.code", tt.want, `totals.#(type=="total").amount`, tt.total)
		}
		missing := `{"line_items":[{"item":{"id":"milk-tea-1"},"quantity":1},{"item":{"id":"rocket"},"quantity":1}]}`
		s = call{"PUT", path, "ann", "k5", missing}.ok(t, url, 200)
		expect(t, s, "ucp.status", "error", "messages.0.code", "item_unavailable", "messages.0.path", "$.line_items[1]", "messages.0.severity", "recoverable", "line_items.#", "1")
		s = call{"POST", "/ucp/checkout-sessions", "ann", "k6", missing}.ok(t, url, 200)
		expect(t, s, "ucp.status", "error", "messages.0.code", "item_unavailable", "id", "")

		// Somebody else sees nothing.
		for _, c := range []call{{"GET", path, "bob", "", ""}, {"POST", path + "/complete", "bob", "b1", benchPayment}, {"GET", path + "9", "ann", "", ""}, {"GET", "/ucp/checkout-sessions/x", "ann", "", ""}} {
			expect(t, c.ok(t, url, 200), "ucp.status", "error", "messages.0.code", "not_found", "id", "")
		}

		s = call{"POST", path + "/complete", "ann", "k7", benchPayment}.ok(t, url, 200)
		expect(t, s, "ucp.status", "success", "status", "completed", "order.id", "ord_1", `totals.#(type=="total").amount`, "1")
		if got := (call{"GET", path, "ann", "", ""}).ok(t, url, 200); got.Raw != s.Raw {
			t.Errorf("read back %s, want %s", got.Raw, s.Raw)
		}
		// It is over: nothing changes it, and another key makes no second order.
		for i, c := range []call{{"POST", path + "/complete", "ann", "", benchPayment}, {"PUT", path, "ann", "", oneTea}, {"POST", path + "/cancel", "ann", "", ""}} {
			c.key = fmt.Sprint("d", i)
			expect(t, c.ok(t, url, 200), "ucp.status", "error", "status", "completed", "messages.0.code", "checkout_completed")
		}

		// A coupon is spent once, also when two sessions had it.
		card = claimOf("ann", "r3").ok(t, url, 200).Get("coupon_id").Str
		var paths []string
		for i := range 2 {
			s := call{"POST", "/ucp/checkout-sessions", "ann", fmt.Sprint("e", i), withCodes(card)}.ok(t, url, 201)
			expect(t, s, `totals.#(type=="total").amount`, "1")
			paths = append(paths, "/ucp/checkout-sessions/"+s.Get("id").Str)
		}
		call{"POST", paths[0] + "/complete", "ann", "f0", benchPayment}.ok(t, url, 200)
		s = call{"POST", paths[1] + "/complete", "ann", "f1", benchPayment}.ok(t, url, 200)
		expect(t, s, "ucp.status", "error", "status", "ready_for_complete", "messages.0.code", "discount_code_invalid", "order", "", `totals.#(type=="total").amount`, "1800")
		expect(t, call{"POST", paths[1] + "/complete", "ann", "f2", benchPayment}.ok(t, url, 200), "status", "completed", `totals.#(type=="total").amount`, "1800")

		s = call{"POST", "/ucp/checkout-sessions", "ann", "g0", oneTea}.ok(t, url, 201)
		path = "/ucp/checkout-sessions/" + s.Get("id").Str
		expect(t, call{"POST", path + "/cancel", "ann", "g1", ""}.ok(t, url, 200), "status", "canceled")
		expect(t, call{"POST", path + "/complete", "ann", "g2", benchPayment}.ok(t, url, 200), "ucp.status", "error", "messages.0.code", "checkout_canceled")
	})
}

// expect compares values of r with what is wanted: path, value, path, value.
// The value "" means that there is none.
func expect(t *testing.T, r gjson.Result, want ...string) {
	t.Helper()
	for i := 0; i < len(want); i += 2 {
		if got := r.Get(want[i]).String(); got != want[i+1] {
			t.Errorf("%s is %q, want %q, in %s", want[i], got, want[i+1], r.Raw)
		}
	}
}

func TestCheckoutErrors(t *testing.T) {
	const sessions = "/ucp/checkout-sessions"
	each(t, Options{}, func(t *testing.T, url string) {
		for _, tt := range []struct {
			call   call
			status int
			code   string
		}{
			{call{"POST", sessions, "", "k", oneTea}, 401, "unauthorized"},
			{call{"GET", sessions + "/chk_1", "", "", ""}, 401, "unauthorized"},
			{call{"POST", sessions, "u", "", oneTea}, 400, "idempotency_key_required"},
			{call{"POST", sessions, "u", strings.Repeat("k", 129), oneTea}, 400, "idempotency_key_required"},
			{call{"POST", sessions, "u", "k", ``}, 400, "invalid_request"},
			{call{"POST", sessions, "u", "k", `[]`}, 400, "invalid_request"},
			{call{"POST", sessions, "u", "k", `{"line_items":[]}`}, 400, "invalid_request"},
			{call{"POST", sessions, "u", "k", `{"line_items":[{}]}`}, 400, "invalid_request"},
			{call{"POST", sessions, "u", "k", strings.Replace(oneTea, ":1}", ":0}", 1)}, 400, "invalid_request"},
			{call{"POST", sessions, "u", "k", strings.Replace(oneTea, ":1}", ":1.5}", 1)}, 400, "invalid_request"},
			{call{"POST", sessions, "u", "k", strings.Replace(oneTea, ":1}", ":1e9}", 1)}, 400, "invalid_request"},
			{call{"POST", sessions, "u", "k", withCodes()[:len(withCodes())-3] + `"x"}}`}, 400, "invalid_request"},
			{call{"POST", sessions + "/chk_1/complete", "u", "k", `{}`}, 400, "invalid_request"},
			{call{"POST", sessions + "/chk_1/complete", "u", "k", `{"payment":{"instruments":[{"id":"i"}]}}`}, 400, "invalid_request"},
			{call{"POST", sessions, "u", "k", strings.Repeat(" ", longestBody+1)}, 413, "request_too_large"},
			{call{"POST", sessions, "u", "k", oneTea}, 201, ""},
			{call{"POST", sessions, "u", "k", withCodes("x")}, 409, "idempotency_conflict"},
			{call{"POST", sessions, "v", "k", oneTea}, 409, "idempotency_conflict"},
			{call{"PUT", sessions + "/chk_1", "u", "k", oneTea}, 409, "idempotency_conflict"},
		} {
			r := tt.call.ok(t, url, tt.status)
			if r.Get("code").Str != tt.code || tt.code != "" && r.Get("content").Str == "" {
				t.Errorf("%s %s %.80s: %s, want %s", tt.call.method, tt.call.path, tt.call.body, r.Raw, tt.code)
			}
		}
	})
}

// The same key and the same body are one write, however often and at once.
func TestIdempotency(t *testing.T) {
	each(t, Options{}, func(t *testing.T, url string) {
		same := func(c call, want int) gjson.Result {
			t.Helper()
			bodies := make([]string, 20)
			var all sync.WaitGroup
			for i := range bodies {
				all.Go(func() {
					var status int
					if status, bodies[i], _ = c.do(t, url); status != want {
						t.Errorf("%d %s", status, bodies[i])
					}
				})
			}
			all.Wait()
			for _, b := range bodies {
				if b != bodies[0] {
					t.Fatalf("%s and %s", b, bodies[0])
				}
			}
			return gjson.Parse(bodies[0])
		}
		same(claimOf("ann", "r1"), 200)
		path := "/ucp/checkout-sessions/" + same(call{"POST", "/ucp/checkout-sessions", "ann", "k1", oneTea}, 201).Get("id").Str
		same(call{"PUT", path, "ann", "k2", withCodes("1000000001")}, 200)
		same(call{"POST", path + "/complete", "ann", "k3", benchPayment}, 200)
		// An answer stays what it was, though the session went on.
		expect(t, call{"POST", "/ucp/checkout-sessions", "ann", "k1", oneTea}.ok(t, url, 201), "status", "ready_for_complete")
		s := call{method: "GET", path: "/books/summary"}.ok(t, url, 200)
		expect(t, s, "orders", "1", "amount", "1", "coupons.issued", "1", "coupons.redeemed", "1")
	})
}

// The books say what was answered, line by line.
func TestBooks(t *testing.T) {
	each(t, Options{}, func(t *testing.T, url string) {
		begun := time.Now()
		var orders, coupons []string
		for i := range 90 {
			user, key := "u"+strconv.Itoa(i%30), strconv.Itoa(i)
			card := claimOf(user, "r"+key).ok(t, url, 200).Get("coupon_id").Str
			codes, spent, discount, on := []string{card}, card, "1799", " "+user
			if i%3 == 0 {
				codes, spent, discount, on = []string{}, "", "0", " "
			}
			s := call{"POST", "/ucp/checkout-sessions", user, "c" + key, withCodes(codes...)}.ok(t, url, 201)
			s = call{"POST", "/ucp/checkout-sessions/" + s.Get("id").Str + "/complete", user, "o" + key, benchPayment}.ok(t, url, 200)
			orders = append(orders, strings.Join([]string{s.Get("order.id").Str, s.Get("id").Str, "o" + key, user, "milk-tea-1 1 1800", discount, s.Get(`totals.#(type=="total").amount`).Raw, "CNY", spent, "false"}, " "))
			redeemed := ""
			if spent != "" {
				redeemed = s.Get("order.id").Str
			}
			coupons = append(coupons, strings.Join([]string{card, "free-order", "r" + key, user, "2500 CNY", redeemed}, " ")+on)
		}
		for _, tt := range []struct {
			path   string
			want   []string
			fields []string
		}{
			{"/books/orders", orders, []string{"order_id", "checkout_id", "key", "user", "item", "quantity", "subtotal", "discount", "amount", "currency", "coupon", "void"}},
			{"/books/coupons", coupons, []string{"coupon_id", "stock_id", "key", "user", "value", "currency", "order_id", "redeemed_by"}},
		} {
			_, body, header := call{method: "GET", path: tt.path}.do(t, url)
			if got := header.Get("Content-Type"); got != "application/x-ndjson" {
				t.Errorf("Content-Type %s", got)
			}
			lines := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
			if len(lines) != len(tt.want) {
				t.Fatalf("%s: %d lines, want %d", tt.path, len(lines), len(tt.want))
			}
			for i, l := range lines {
				var got []string
				for _, f := range tt.fields {
					got = append(got, gjson.Get(l, f).String())
				}
				if !gjson.Valid(l) || strings.Join(got, " ") != tt.want[i] {
					t.Errorf("%s, want %s", l, tt.want[i])
				}
				if at := gjson.Get(l, "at").Time(); tt.path == "/books/orders" && (at.Before(begun) || at.After(time.Now())) {
					t.Errorf("booked at %v", at)
				}
			}
		}
		if _, body, _ := (call{method: "GET", path: "/healthz"}).do(t, url); body != "ok\n" {
			t.Errorf("healthz: %q", body)
		}
	})
}

func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		options Options
		want    string
	}{
		{Options{}, ""},
		{Options{Design: "null"}, ""},
		{Options{Design: "nul"}, "there are [null"},
		{Options{Stock: -1, Engines: -1}, "Engines must be more than 0\n--stock must"},
		{Options{Decline: 2}, "--decline must be a share"},
		{Options{ValidFrom: time.Unix(2, 0), ValidUntil: time.Unix(1, 0)}, "--valid-until must be after --valid-from"},
	} {
		_, err := New(tt.options)
		if got := fmt.Sprint(err); (tt.want == "") != (err == nil) || !strings.Contains(got, tt.want) {
			t.Errorf("%+v: %v, want %q", tt.options, err, tt.want)
		}
	}
}

// What there is of coupons and seats, and since when.
func TestStocksAndSeats(t *testing.T) {
	from := time.Now().Add(-time.Hour).Truncate(time.Second)
	each(t, Options{Stock: 7, PerUser: 2, Seats: 5, ValidFrom: from}, func(t *testing.T, url string) {
		claimOf("ann", "r1").ok(t, url, 200)
		_, stocks, _ := call{method: "GET", path: "/books/stocks"}.do(t, url)
		expect(t, gjson.Parse(stocks), "stock_id", "free-order", "coupons", "7", "per_user", "2", "paused.#", "0",
			"valid_from", "",
			"valid_until", from.UTC().Add(22*24*time.Hour).Format("2006-01-02T15:04:05.000000000Z07:00"))
		_, coupon, _ := call{method: "GET", path: "/books/coupons"}.do(t, url)
		expect(t, gjson.Parse(coupon), "valid_from", from.UTC().Format("2006-01-02T15:04:05.000000000Z07:00"), "valid_until", gjson.Get(stocks, "valid_until").Str,
			"order_id", "", "redeemed_at", "", "redeemed_by", "")
		_, seats, _ := call{method: "GET", path: "/books/seats"}.do(t, url)
		if want := `{"item":"film-1","seats":5}
{"item":"concert-1","seats":5}
{"item":"table-1","seats":5}
`; seats != want {
			t.Errorf("%s", seats)
		}
	})
}

// A coupon is redeemed within its validity and not outside.
func TestValidity(t *testing.T) {
	for _, tt := range []struct {
		name        string
		from, until time.Duration // from now
		want        string
	}{
		{"valid", -time.Minute, time.Minute, ""},
		{"later", time.Minute, time.Hour, "discount_code_invalid"},
		{"over", -time.Hour, -time.Minute, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := Options{ValidFrom: time.Now().Add(tt.from), ValidUntil: time.Now().Add(tt.until)}
			each(t, o, func(t *testing.T, url string) {
				if tt.name == "over" {
					expect(t, claimOf("ann", "r1").ok(t, url, 400), "code", "INVALID_REQUEST")
					return
				}
				card := claimOf("ann", "r1").ok(t, url, 200).Get("coupon_id").Str
				s := call{"POST", "/ucp/checkout-sessions", "ann", "k1", withCodes(card)}.ok(t, url, 201)
				expect(t, s, "messages.0.code", tt.want)
			})
		})
	}
}

// Strict books refuse what a design would do wrong, loose ones write it down,
// and neither opens the other's file.
func TestLooseBooks(t *testing.T) {
	for _, loose := range []bool{false, true} {
		o, err := Options{Books: filepath.Join(t.TempDir(), "books.db")}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		j := newJournal(o)
		j.loose = loose
		if err := j.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		first := order{number: 1, session: 1, key: "k", user: "u", subtotal: 3, discount: 1, amount: 2, coupon: 1}
		if err := j.tables.record(first); err != nil {
			t.Fatal(err)
		}
		number := first.number
		for what, change := range map[string]func(*order){
			"the key":     func(o *order) { o.session, o.coupon = 2, 0 },
			"the session": func(o *order) { o.key, o.coupon = "l", 0 },
			"the coupon":  func(o *order) { o.key, o.session = "m", 3 },
			"the sums":    func(o *order) { o.key, o.session, o.coupon, o.amount = "n", 4, 0, 3 },
		} {
			second := first
			number++
			second.number = number
			change(&second)
			if err := j.tables.record(second); (err == nil) != loose {
				t.Errorf("loose %v, %s again: %v", loose, what, err)
			}
		}
		if err := j.close(); err != nil {
			t.Error(err)
		}
		other := newJournal(o)
		other.loose = !loose
		if err := other.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "choose another file") {
			t.Errorf("opened as the other kind: %v", err)
		}
	}
}
