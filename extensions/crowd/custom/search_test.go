package custom

import (
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

var look = scenarios.Operation{
	Request:  scenarios.Request{Method: "GET", Path: "/goods?q={{step.query}}"},
	Items:    &scenarios.Items{List: "hits", ID: "sku", Title: "name", Price: "fen", Currency: "money"},
	Rejected: []scenarios.Rule{{Path: "error", Exists: exists(true)}},
	OK:       []scenarios.Rule{{Status: status(200, 200)}},
}

// TestSearch: what can be asked for again is found, and no more of it than a
// shopper could look at.
func TestSearch(t *testing.T) {
	tea := scenarios.Offer{ID: "17", Title: "Tea", Price: 1800, Currency: "CNY"}
	for _, test := range []struct {
		name, body string
		want       results.Outcome
		offers     []scenarios.Offer
	}{
		{"one", `{"hits":[{"sku":17,"name":"Tea","fen":1800,"money":"cny"}]}`, results.OK, []scenarios.Offer{tea}},
		{"by name", `{"hits":{"a":{"sku":"17","name":"Tea","fen":1800,"money":"CNY"}}}`, results.OK, []scenarios.Offer{tea}},
		{"without a price", `{"hits":[{"sku":"17","fen":1.5}]}`, results.OK, []scenarios.Offer{{ID: "17"}}},
		{"nothing that has an id", `{"hits":[7,null,[],{"name":"Tea"},{"sku":""},{"sku":"` + strings.Repeat("x", longest+1) + `"}]}`, results.OK, nil},
		{"no list", `{"hits":"none"}`, results.OK, nil},
		{"too many", `{"hits":[` + strings.Join(repeated(mostOffers+50, `{"sku":17,"name":"Tea","fen":1800,"money":"CNY"}`), ",") + `]}`, results.OK, slices.Repeat([]scenarios.Offer{tea}, mostOffers)},
		{"a no", `{"error":"CLOSED","hits":[{"sku":17}]}`, results.Rejected, nil},
	} {
		c := dial(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("q") != `tea "hot"` {
				t.Errorf("asked for %s", r.RequestURI)
			}
			io.WriteString(w, test.body)
		})
		r := protocol(t, "search", look).Do(c, &crowd.Shopper{}, scenarios.Step{Kind: scenarios.Search, Query: `tea "hot"`, Answer: patience})
		if r.Outcome != test.want || !reflect.DeepEqual(r.Offers, test.offers) {
			t.Errorf("%s: %v, %q, %+v", test.name, r.Outcome, r.Why, r.Offers)
		}
	}
}
