package storefront

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// search is POST /ucp/catalog/search, of UCP 2026-04-08: what the query speaks
// of first, then whatever has it in its name. It changes nothing. What a bill
// costs depends on who asks.
func (f *face) search(w http.ResponseWriter, r *http.Request) {
	body, err := f.body(r)
	if errors.Is(err, errTooLong) {
		f.refuse(w, &ucpTongue, read, http.StatusRequestEntityTooLarge, "request_too_large", err.Error())
		return
	}
	asked, err := parse(body)
	var query string
	if err == nil {
		query, err = decodeQuery(asked)
	}
	if err != nil {
		f.refuse(w, &ucpTongue, read, http.StatusBadRequest, "invalid_request", err.Error())
		return
	}
	user := r.Header.Get("X-User-Id")
	f.answerJSON(w, http.StatusOK, func(b []byte) []byte { return renderFound(b, query, user) })
}

// decodeQuery reads what is searched for.
func decodeQuery(r gjson.Result) (string, error) {
	query := r.Get("query")
	if query.Exists() && query.Type != gjson.String {
		return "", &fault{"$.query", "text is needed"}
	}
	return query.Str, nil
}

// renderFound appends what a query finds.
func renderFound(b []byte, query, user string) []byte {
	b = append(b, `{"ucp":{"version":"`+ucpVersion+`","status":"success","capabilities":{"dev.ucp.shopping.catalog.search":[{"version":"`+ucpVersion+`"}]}},"products":[`...)
	for i, place := range matches(query) {
		if i > 0 {
			b = append(b, ',')
		}
		b = renderProduct(b, place, user)
	}
	return append(b, "]}"...)
}

// matches returns the places of what a query finds, the best first; of nothing,
// everything.
func matches(query string) []int {
	query = strings.ToLower(strings.TrimSpace(query))
	var found []int
	best := named(query)
	if best >= 0 {
		found = append(found, best)
	}
	for i := range catalogue {
		if i != best && (strings.Contains(catalogue[i].english, query) || strings.Contains(catalogue[i].chinese, query)) {
			found = append(found, i)
		}
	}
	return found
}

// renderProduct appends an item as a product with one variant.
func renderProduct(b []byte, place int, user string) []byte {
	it := &catalogue[place]
	amount := func(b []byte) []byte {
		b = append(b, `{"amount":`...)
		b = strconv.AppendInt(b, price(place, user), 10)
		return append(b, `,"currency":"`+currency+`"}`...)
	}
	b = append(b, '{')
	b = appendField(b, "id", it.id)
	b = appendField(b, "title", it.chinese)
	b = append(b, `,"description":{"plain":`...)
	b = appendString(b, it.english)
	b = amount(append(b, `},"price_range":{"min":`...))
	b = amount(append(b, `,"max":`...))
	b = append(b, `},"variants":[{`...)
	b = appendField(b, "id", it.id)
	b = appendField(b, "title", it.chinese)
	b = append(b, `,"description":{"plain":`...)
	b = appendString(b, it.english)
	b = amount(append(b, `},"price":`...))
	return append(b, "}]}"...)
}
