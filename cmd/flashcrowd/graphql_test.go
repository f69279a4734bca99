package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A graphqlShop is a backend that was not written with flashcrowd in mind: a
// GraphQL shop in the style of Vendure's, a voucher form, and an assistant whose
// events are its own. All say no in HTTP 200.
type graphqlShop struct {
	mu       sync.Mutex
	vouchers map[string]bool
	carts    map[string]*graphqlCart // by session token
	orders   int
	decline  bool
}

type graphqlCart struct {
	Item, Coupon string
	Quantity     int
}

func (g *graphqlShop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case r.URL.Path == "/assistant":
		var ask struct {
			Messages []struct{ Role, Content string }
		}
		if json.NewDecoder(r.Body).Decode(&ask) != nil || len(ask.Messages)%2 != 1 || ask.Messages[len(ask.Messages)-1].Content == "" {
			http.Error(w, "no conversation", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "data: {\"type\":\"start\",\"thread\":\"t\"}\n\n")
		for _, word := range []string{"好的", ", \\\"", "done\\n"} {
			fmt.Fprintf(w, "data: {\"type\":\"text\",\"delta\":{\"text\":\"%s\"}}\n\n", word)
		}
		fmt.Fprint(w, "data: {\"type\":\"end\",\"thread\":\"t\"}\n\n")
	case strings.HasPrefix(r.URL.Path, "/vouchers/"):
		if r.FormValue("key") == "" || r.FormValue("thread") != "t" || r.URL.Query().Get("from") != "campaign" {
			http.Error(w, "no form", http.StatusBadRequest)
			return
		}
		code := "V-" + strings.TrimPrefix(r.URL.Path, "/vouchers/")
		g.vouchers[code] = true
		fmt.Fprintf(w, `{"voucher":{"code":%q}}`, code)
	case r.URL.Path == "/shop-api":
		g.graphql(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (g *graphqlShop) graphql(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Query     string
		Variables struct {
			ID, Code string
			N        int
			M        struct{ Key string }
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	cart, v := g.carts[token], ask.Variables
	switch {
	case strings.Contains(ask.Query, "addItemToOrder("):
		token = fmt.Sprintf("session-%d", len(g.carts))
		g.carts[token] = &graphqlCart{Item: v.ID, Quantity: v.N}
		w.Header().Set("vendure-auth-token", token)
		fmt.Fprintf(w, `{"data":{"addItemToOrder":{"__typename":"Order","code":"C%d"}}}`, len(g.carts))
	case cart == nil:
		fmt.Fprint(w, `{"errors":[{"message":"no active order","extensions":{"code":"FORBIDDEN"}}]}`)
	case strings.Contains(ask.Query, "applyCouponCode("):
		if !g.vouchers[v.Code] {
			fmt.Fprint(w, `{"data":{"applyCouponCode":{"__typename":"CouponCodeInvalidError","errorCode":"COUPON_CODE_INVALID_ERROR"}}}`)
			return
		}
		cart.Coupon = v.Code
		fmt.Fprintf(w, `{"data":{"applyCouponCode":{"__typename":"Order","couponCodes":[%q]}}}`, v.Code)
	case strings.Contains(ask.Query, "addPaymentToOrder(") && g.decline:
		fmt.Fprint(w, `{"data":{"addPaymentToOrder":{"__typename":"PaymentDeclinedError","errorCode":"PAYMENT_DECLINED_ERROR"}}}`)
	case strings.Contains(ask.Query, "addPaymentToOrder("):
		g.orders++
		fmt.Fprintf(w, `{"data":{"transitionOrderToState":{"__typename":"Order"},"addPaymentToOrder":{"__typename":"Order","code":"ORDER%d","state":"PaymentSettled","totalWithTax":2500,"currencyCode":"CNY","couponCodes":[%q]}}}`, g.orders, cart.Coupon)
	}
}

// openGraphQLShop starts the shop and says where it is, and its campaign.
func openGraphQLShop(t *testing.T) (*graphqlShop, string) {
	t.Helper()
	g := &graphqlShop{vouchers: map[string]bool{}, carts: map[string]*graphqlCart{}}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	t.Setenv("SHOP", server.URL)
	campaign, err := filepath.Abs("testdata/graphql-shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(campaign); err != nil {
		t.Fatal(err)
	}
	return g, campaign
}

func TestTryGraphQLShop(t *testing.T) {
	_, campaign := openGraphQLShop(t)
	p := start(t, "try", campaign)
	p.want(0)
	for _, part := range []string{"step 7: complete", "POST /shop-api", "Authorization: [redacted]", "said      好的, \"done",
		"ORDER1", "2500 minor units of CNY", "applied   V-", "ended: ok, with a coupon and an order"} {
		if !strings.Contains(p.out.String(), part) {
			t.Errorf("%q is not in\n%s", part, p.out.String())
		}
	}
}

func TestTryGraphQLShopDeclines(t *testing.T) {
	g, campaign := openGraphQLShop(t)
	g.decline = true
	p := start(t, "try", campaign)
	p.want(3)
	if !strings.Contains(p.out.String(), "rejected (data.addPaymentToOrder.errorCode: PAYMENT_DECLINED_ERROR)") {
		t.Error(p.out.String())
	}
}

func TestRunGraphQLShop(t *testing.T) {
	g, campaign := openGraphQLShop(t)
	p := start(t, "run", campaign)
	p.want(0)
	o := p.report()
	o.accounted(t)
	g.mu.Lock()
	defer g.mu.Unlock()
	if o.Orders.Promised != 60 || g.orders != 60 || len(g.vouchers) != 60 {
		t.Errorf("%d promised, %d orders and %d vouchers at the shop", o.Orders.Promised, g.orders, len(g.vouchers))
	}
}
