package checkout

import (
	"reflect"
	"strings"
	"testing"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

func product(id, price string) string {
	return `{"id":"p","title":"Tea \u003cb\u003e","description":{"plain":"x"},"price_range":{"min":` + price + `,"max":` + price + `},"variants":[{"id":"` + id + `","title":"Tea","description":{"plain":"x"},"price":` + price + `}]}`
}

func searched(products ...string) string {
	return `{"ucp":{"version":"2026-04-08","status":"success"},"products":[` + strings.Join(products, ",") + `]}`
}

const yuan18 = `{"amount":1800,"currency":"CNY"}`

// TestSearch: a search asks the catalogue, changes nothing, and finds what can
// be bought.
func TestSearch(t *testing.T) {
	tea := scenarios.Offer{ID: "tea-1", Title: "Tea <b>", Price: 1800, Currency: "CNY"}
	for _, test := range []struct {
		name, body string
		want       results.Outcome
		offers     []scenarios.Offer
	}{
		{"one", searched(product("tea-1", yuan18)), results.OK, []scenarios.Offer{tea}},
		{"none", searched(), results.OK, nil},
		{"not to be bought", searched(product("", yuan18), product("x", `{"amount":"18","currency":"CNY"}`), product("tea-1", yuan18), `{"id":"p"}`, `7`), results.OK, []scenarios.Offer{tea}},
		{"too many", searched(strings.Split(strings.Repeat(product("tea-1", yuan18)+"|", 200), "|")[:200]...), results.OK, nil},
		{"no list", `{"ucp":{"version":"2026-04-08"}}`, results.Malformed, nil},
		{"a no", `{"ucp":{"status":"error"},"messages":[{"type":"error","code":"not_found"}]}`, results.Rejected, nil},
	} {
		var request string
		var body []byte
		s := step(scenarios.Search)
		s.Query = `tea "hot"`
		r := New(endpoint).Do(dial(t, capture(&request, &body, test.body)), shopper(), s)
		if test.name == "too many" {
			if len(r.Offers) != mostOffers {
				t.Errorf("%d offers were taken", len(r.Offers))
			}
		} else if r.Outcome != test.want || !reflect.DeepEqual(r.Offers, test.offers) {
			t.Errorf("%s: %+v, want %v with %+v", test.name, r, test.want, test.offers)
		}
		line, _, _ := strings.Cut(request, "\n")
		if line != "POST /ucp/catalog/search" || string(body) != `{"query":"tea \"hot\""}` || strings.Contains(request, "Idempotency-Key") {
			t.Errorf("sent\n%s\n%s", request, body)
		}
	}
}

func FuzzSearch(f *testing.F) {
	f.Add([]byte(searched(product("tea-1", yuan18))))
	f.Add([]byte(`{"ucp":{},"products":[{"variants":[{"id":"x","price":{"amount":1e300,"currency":"CNY"}}]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := classify(ucp{}, step(scenarios.Search), 200, body)
		if r.Outcome != results.OK && (r.Why == "" || len(r.Offers) > 0) || len(r.Offers) > mostOffers {
			t.Fatalf("%+v", r)
		}
		for _, o := range r.Offers {
			if o.ID == "" || len(o.ID) > longest || o.Price < 0 || o.Price >= 1<<53 {
				t.Fatalf("%+v", o)
			}
		}
	})
}
