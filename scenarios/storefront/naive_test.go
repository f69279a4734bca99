package storefront

import (
	"context"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"
)

// What was checked is no longer true when it is acted upon: there are more
// coupons than the stock has, and more than the user may have.
func TestNaiveOverIssues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // all have checked before the clock goes on
		f := opened(t, Options{Design: "naive", Stock: 3, PerUser: 2, RowTime: 50 * time.Millisecond})
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				if status, body, _ := claimOf("ann", "r"+strconv.Itoa(i%2)).record(t, f); status != 200 {
					t.Error(status, body)
				}
			})
		}
		all.Wait()
		_, summary, _ := call{method: "GET", path: "/books/summary"}.record(t, f)
		expect(t, gjson.Parse(summary), "coupons.issued", "8", "coupons.stock", "3", "coupons.per_user", "2")
		_, later, _ := claimOf("ann", "r9").record(t, f)
		expect(t, gjson.Parse(later), "code", "NOT_ENOUGH") // by then it is known
	})
}

// left returns the context of who has left.
func left(t *testing.T) context.Context {
	ctx, leave := context.WithCancel(t.Context())
	leave()
	return ctx
}

// Every complete is an order, on the same coupon, too.
func TestNaiveOrdersTwice(t *testing.T) {
	url := start(t, Options{Design: "naive", RowTime: -1})
	path, card := checkoutWithCard(t, url)
	for _, id := range []string{"ord_1", "ord_2"} {
		expect(t, call{"POST", path + "/complete", "ann", "k2", benchPayment}.ok(t, url, 200), "status", "completed", "order.id", id)
	}
	_, books, _ := call{method: "GET", path: "/books/orders"}.do(t, url)
	if strings.Count(books, `"key":"k2"`) != 2 || strings.Count(books, `"coupon":"`+card+`"`) != 2 {
		t.Errorf("%s", books)
	}
}

// Who leaves is still written for, and while the campaign does not answer, the
// assistant talks its way out.
func TestNaiveGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, err := Options{RowTime: 1100 * time.Millisecond, Model: Model{Step: 10 * time.Millisecond}}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		c := buildNaive(o).chat.(*crammer)
		for range 3 {
			c.campaign.row.queue()
		}
		gone := left(t)
		ended := make(chan error)
		var said string
		go func() {
			w := httptest.NewRecorder()
			a := &ask{model: "m", stream: true, lines: []string{"珍珠奶茶", "两杯", "确认下单"}}
			r := httptest.NewRequestWithContext(gone, "POST", chatPath, nil)
			err := c.Reply(gone, a, &stream{face: &face{}, w: w, r: r, ask: a})
			said = w.Body.String()
			ended <- err
		}()
		synctest.Wait()
		if n := c.engine.flowing(); n != 1 {
			t.Errorf("%d streams flow to who has left", n)
		}
		<-ended
		for _, character := range "没有实体的手" {
			if !strings.Contains(said, string(character)) {
				t.Fatalf("it said %s", said)
			}
		}
	})
}
