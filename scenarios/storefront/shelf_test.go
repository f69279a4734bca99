package storefront

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tidwall/gjson"
)

func ticketsFor(item string, n int) string {
	return fmt.Sprintf(`{"line_items":[{"item":{"id":%q},"quantity":%d}]}`, item, n)
}

const (
	ucpSessions = "/ucp/checkout-sessions"
	shortOf     = `messages.#(type=="error").code`
)

// Seats are sold when they are paid, never more than there are, and a clear no
// says so, in each protocol.
func TestSeats(t *testing.T) {
	each(t, Options{Seats: 3}, func(t *testing.T, url string) {
		s := call{"POST", ucpSessions, "ann", "k1", ticketsFor("film-1", 2)}.ok(t, url, 201)
		expect(t, s, "status", "ready_for_complete", `totals.#(type=="total").amount`, "9000")
		call{"POST", ucpSessions, "bob", "k2", ticketsFor("film-1", 2)}.ok(t, url, 201) // looking takes none
		expect(t, call{"POST", ucpSessions, "eve", "k3", ticketsFor("film-1", 4)}.ok(t, url, 200),
			"ucp.status", "error", "id", "", shortOf, "out_of_stock", `messages.0.path`, "$.line_items[0]", "messages.0.severity", "unrecoverable")
		twice := `{"line_items":[{"item":{"id":"film-1"},"quantity":2},{"item":{"id":"table-1"},"quantity":1},{"item":{"id":"film-1"},"quantity":2}]}`
		expect(t, call{"POST", ucpSessions, "eve", "k4", twice}.ok(t, url, 200), shortOf, "out_of_stock", "messages.0.path", "$.line_items[2]")

		expect(t, call{"POST", ucpSessions + "/chk_1/complete", "ann", "k5", benchPayment}.ok(t, url, 200), "status", "completed", "order.id", "ord_1")
		sold := call{"POST", ucpSessions + "/chk_2/complete", "bob", "k6", benchPayment}
		expect(t, sold.ok(t, url, 200), "status", "ready_for_complete", "ucp.status", "error", shortOf, "out_of_stock", "messages.0.severity", "recoverable")
		expect(t, sold.ok(t, url, 200), shortOf, "out_of_stock") // the same request, the same answer
		expect(t, call{"PUT", ucpSessions + "/chk_2", "bob", "k7", ticketsFor("film-1", 2)}.ok(t, url, 200), shortOf, "out_of_stock")
		call{"PUT", ucpSessions + "/chk_2", "bob", "k8", ticketsFor("film-1", 1)}.ok(t, url, 200)
		expect(t, call{"POST", ucpSessions + "/chk_2/complete", "bob", "k9", benchPayment}.ok(t, url, 200), "order.id", "ord_2")
		for _, v := range []struct{ name, cart, code string }{
			{acpVersion, strings.Replace(acpTea, "milk-tea-1", "film-1", 1), "out_of_stock"},
			{acpEarly, strings.Replace(acpEarlyTea, "milk-tea-1", "film-1", 1), "out_of_stock"},
		} {
			expect(t, call{"POST", acpSessions, "eve", "k" + v.name, v.cart}.speak(t, url, v.name, 400), "code", v.code)
		}
		expect(t, call{method: "GET", path: "/books/summary"}.ok(t, url, 200), "orders", "2", "seats.film-1.sold", "3", "seats.film-1.of", "3", "seats.table-1.sold", "0")
	})
}

// An ACP session that was sold out in the meantime says so in a message.
func TestSeatsACP(t *testing.T) {
	for _, v := range []struct {
		name, cart string
		pay        func(string) string
	}{
		{acpVersion, strings.Replace(acpTea, "milk-tea-1", "table-1", 1), acpPay},
		{acpEarly, strings.Replace(acpEarlyTea, "milk-tea-1", "table-1", 1), acpEarlyPay},
	} {
		each(t, Options{Seats: 1}, func(t *testing.T, url string) {
			for i, user := range []string{"ann", "bob"} {
				n := strconv.Itoa(i + 1)
				call{"POST", acpSessions, user, "c" + n, v.cart}.speak(t, url, v.name, 201)
				call{"POST", acpDelegate, user, "d" + n, delegation("chk_"+n, 8800)}.speak(t, url, v.name, 201)
			}
			expect(t, call{"POST", acpSessions + "/chk_1/complete", "ann", "p1", v.pay("vt_1")}.speak(t, url, v.name, 200), "status", "completed")
			expect(t, call{"POST", acpSessions + "/chk_2/complete", "bob", "p2", v.pay("vt_2")}.speak(t, url, v.name, 200),
				"status", "ready_for_payment", shortOf, "out_of_stock")
		})
	}
}

// Never more than the seats, however many pay at once, and never a no while
// there is one; a coupon of who came too late is still theirs.
func TestSeatsUnderConcurrency(t *testing.T) {
	const places, buyers = 25, 100
	each(t, Options{Seats: places}, func(t *testing.T, url string) {
		var mu sync.Mutex
		answers := map[string]int{}
		var all sync.WaitGroup
		for i := range buyers {
			all.Go(func() {
				user, n := "u"+strconv.Itoa(i), strconv.Itoa(i)
				card := claimOf(user, "r"+n).ok(t, url, 200).Get("coupon_id").Str
				cart := strings.TrimSuffix(ticketsFor("concert-1", 1), "}") + `,"discounts":{"codes":["` + card + `"]}}`
				_, body, _ := call{"POST", ucpSessions, user, "c" + n, cart}.do(t, url)
				id := gjson.Get(body, "id").Str
				if id != "" {
					_, body, _ = call{"POST", ucpSessions + "/" + id + "/complete", user, "p" + n, benchPayment}.do(t, url)
				}
				mu.Lock()
				defer mu.Unlock()
				answers[gjson.Get(body, "status").Str+gjson.Get(body, shortOf).Str]++
			})
		}
		all.Wait()
		if answers["completed"] != places || answers["out_of_stock"]+answers["ready_for_completeout_of_stock"] != buyers-places {
			t.Errorf("%v", answers)
		}
		expect(t, call{method: "GET", path: "/books/summary"}.ok(t, url, 200),
			"orders", strconv.Itoa(places), "seats.concert-1.sold", strconv.Itoa(places), "coupons.redeemed", strconv.Itoa(places))
	})
}

// A bill costs what the user owes, takes no coupon, and is paid once.
func TestBills(t *testing.T) {
	each(t, Options{}, func(t *testing.T, url string) {
		card := claimOf("ann", "r1").ok(t, url, 200).Get("coupon_id").Str
		owed := strconv.FormatInt(price(find("bill-power"), "ann"), 10)
		withCard := strings.TrimSuffix(ticketsFor("bill-power", 1), "}") + `,"discounts":{"codes":["` + card + `"]}}`
		expect(t, call{"POST", ucpSessions, "ann", "k1", withCard}.ok(t, url, 201),
			`totals.#(type=="total").amount`, owed, "line_items.0.item.price", owed, "messages.0.code", "discount_code_invalid", "discounts.applied.#", "0")
		call{"POST", ucpSessions, "ann", "k2", ticketsFor("bill-power", 1)}.ok(t, url, 201)
		expect(t, call{"POST", ucpSessions, "ann", "k3", ticketsFor("bill-power", 2)}.ok(t, url, 200), shortOf, "item_unavailable")

		expect(t, call{"POST", ucpSessions + "/chk_1/complete", "ann", "k4", benchPayment}.ok(t, url, 200), "order.id", "ord_1")
		expect(t, call{"POST", ucpSessions + "/chk_2/complete", "ann", "k5", benchPayment}.ok(t, url, 200), "order", "", shortOf, "item_unavailable")
		expect(t, call{"POST", ucpSessions, "ann", "k6", ticketsFor("bill-power", 1)}.ok(t, url, 200), shortOf, "item_unavailable")
		call{"POST", ucpSessions, "ann", "k7", ticketsFor("bill-phone", 1)}.ok(t, url, 201)
		call{"POST", ucpSessions, "bob", "k8", ticketsFor("bill-power", 1)}.ok(t, url, 201)
		expect(t, call{method: "GET", path: "/books/summary"}.ok(t, url, 200), "amount", owed, "bills", "1", "coupons.redeemed", "0")
	})
}

// What was sold is still sold after the shop has closed, also where it opens
// with fewer seats than that.
func TestShelfIsKept(t *testing.T) {
	o := Options{Books: filepath.Join(t.TempDir(), "books.db"), Seats: 2}
	t.Run("first", func(t *testing.T) {
		url := start(t, o)
		for _, c := range []call{
			{"POST", ucpSessions, "ann", "k1", ticketsFor("film-1", 2)}, {"POST", ucpSessions, "ann", "k2", ticketsFor("bill-phone", 1)},
			{"POST", ucpSessions + "/chk_1/complete", "ann", "k3", benchPayment}, {"POST", ucpSessions + "/chk_2/complete", "ann", "k4", benchPayment},
		} {
			c.do(t, url)
		}
	})
	o.Seats = 1
	url := start(t, o)
	expect(t, call{method: "GET", path: "/books/summary"}.ok(t, url, 200), "orders", "2", "seats.film-1.sold", "2", "bills", "1")
	for i, item := range []string{"film-1", "bill-phone"} {
		expect(t, call{"POST", ucpSessions, "ann", "again" + strconv.Itoa(i), ticketsFor(item, 1)}.ok(t, url, 200), "ucp.status", "error")
	}
}
