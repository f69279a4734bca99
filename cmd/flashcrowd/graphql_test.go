package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// A graphqlShop is a backend that was not written with flashcrowd in mind: a shop
// with the mutations, result unions, order states and session tokens of Vendure's
// Shop API, a voucher form, and an assistant whose events are its own. All say no
// in HTTP 200.
type graphqlShop struct {
	mu       sync.Mutex
	vouchers map[string]bool
	carts    map[string]*graphqlCart // by session token
	orders   int
	decline  bool
}

// A graphqlCart is a session's active order.
type graphqlCart struct {
	Item, Coupon, State         string
	Quantity                    int
	Customer, Address, Shipping bool
}

// transition moves the order to be paid, as the default order process does: not
// without a customer and a shipping method.
func (c *graphqlCart) transition() (no string) {
	switch {
	case c.State != "AddingItems":
		return "cannot transition from " + c.State
	case !c.Customer:
		return "message.cannot-transition-to-payment-without-customer"
	case !c.Address || !c.Shipping:
		return "message.cannot-transition-to-payment-without-shipping-method"
	}
	c.State = "ArrangingPayment"
	return ""
}

// failed renders an ErrorResult.
func failed(kind, code, message string) string {
	return fmt.Sprintf(`{"__typename":%q,"errorCode":%q,"message":%q}`, kind, code, message)
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

// graphql carries out the mutations of one document, one after another.
func (g *graphqlShop) graphql(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Query     string
		Variables struct {
			ID, Code, Mail string
			N              int
			M              struct{ Key string }
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	cart, v := g.carts[token], ask.Variables
	var data []string
	for _, called := range mutations.FindAllStringSubmatch(ask.Query, -1) {
		name, result := called[1], `{"__typename":"Order"}`
		if cart == nil && name != "addItemToOrder" {
			result = failed("NoActiveOrderError", "NO_ACTIVE_ORDER_ERROR", "There is no active Order associated with the current session")
			data = append(data, fmt.Sprintf("%q:%s", name, result))
			continue
		}
		switch name {
		case "addItemToOrder":
			if v.N < 0 {
				result = failed("NegativeQuantityError", "NEGATIVE_QUANTITY_ERROR", "negative")
				break
			}
			token = fmt.Sprintf("session-%d", len(g.carts))
			cart = &graphqlCart{Item: v.ID, Quantity: v.N, State: "AddingItems"}
			g.carts[token] = cart
			w.Header().Set("vendure-auth-token", token)
			result = fmt.Sprintf(`{"__typename":"Order","code":"C%d"}`, len(g.carts))
		case "applyCouponCode":
			if !g.vouchers[v.Code] {
				result = failed("CouponCodeInvalidError", "COUPON_CODE_INVALID_ERROR", "invalid")
				break
			}
			cart.Coupon = v.Code
			result = fmt.Sprintf(`{"__typename":"Order","couponCodes":[%q]}`, v.Code)
		case "setCustomerForOrder":
			cart.Customer = strings.HasSuffix(v.Mail, "@shop.invalid")
		case "setOrderShippingAddress":
			cart.Address = true
		case "setOrderShippingMethod":
			cart.Shipping = true
		case "transitionOrderToState":
			if no := cart.transition(); no != "" {
				result = failed("OrderStateTransitionError", "ORDER_STATE_TRANSITION_ERROR", no)
			}
		case "addPaymentToOrder":
			switch {
			case cart.State != "ArrangingPayment":
				result = failed("OrderPaymentStateError", "ORDER_PAYMENT_STATE_ERROR", "A Payment may only be added when Order is in \"ArrangingPayment\" state")
			case g.decline:
				result = failed("PaymentDeclinedError", "PAYMENT_DECLINED_ERROR", "The payment was declined")
			default:
				g.orders++
				cart.State = "PaymentSettled"
				result = fmt.Sprintf(`{"__typename":"Order","code":"ORDER%d","state":"PaymentSettled","totalWithTax":2500,"currencyCode":"CNY","couponCodes":[%q]}`, g.orders, cart.Coupon)
			}
		default:
			fmt.Fprintf(w, `{"errors":[{"message":"Cannot query field %s on type Mutation","extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}`, name)
			return
		}
		data = append(data, fmt.Sprintf("%q:%s", name, result))
	}
	fmt.Fprintf(w, `{"data":{%s}}`, strings.Join(data, ","))
}

// mutations finds what a document calls.
var mutations = regexp.MustCompile(`(\w+)\((?:\w+: |input)`)

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

// An order that is not ready to be paid is a no of the mutation before the
// payment, and is told as such.
func TestTryGraphQLShopNotReady(t *testing.T) {
	_, campaign := openGraphQLShop(t)
	src, err := os.ReadFile(campaign)
	if err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "broken.yaml")
	text := strings.Replace(strings.Replace(string(src), "@shop.invalid", "", 1), "        - {path: data.addPaymentToOrder.errorCode, exists: true}\n", "", 1)
	if err := os.WriteFile(broken, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, "try", broken)
	p.want(3)
	if !strings.Contains(p.out.String(), "rejected (data.@values.#.errorCode|0: ORDER_STATE_TRANSITION_ERROR)") {
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
