package storefront

import (
	"net/http"
	"strconv"

	"github.com/tidwall/gjson"
)

// UCP 2026-04-08 over REST. What the shop decides is HTTP 200 (201 for a new
// session) and says in ucp.status whether it was done; other statuses are for
// requests that the shop never saw.

const ucpVersion = "2026-04-08"

// shopURL is where links lead. The shop has no pages for people.
const shopURL = "https://shop.example/"

// routesUCP registers both versions, each on a path of its own.
func (f *face) routesUCP(mux *http.ServeMux) {
	mux.HandleFunc("GET /.well-known/ucp", f.discover)
	mux.HandleFunc("POST /ucp/catalog/search", f.search)
	for path, t := range map[string]*tongue{"/ucp": &ucpTongue, "/ucp-" + january: &januaryTongue} {
		path += "/checkout-sessions"
		mux.HandleFunc("POST "+path, f.writes(t, create))
		mux.HandleFunc("GET "+path+"/{id}", f.reads(t))
		mux.HandleFunc("PUT "+path+"/{id}", f.writes(t, replace))
		mux.HandleFunc("POST "+path+"/{id}/complete", f.writes(t, complete))
		mux.HandleFunc("POST "+path+"/{id}/cancel", f.writes(t, cancel))
	}
}

// discover is GET /.well-known/ucp.
func (f *face) discover(w http.ResponseWriter, r *http.Request) {
	f.answerJSON(w, http.StatusOK, func(b []byte) []byte {
		b = append(b, `{"ucp":{"version":"`+ucpVersion+`","services":{"dev.ucp.shopping":[{"version":"`+ucpVersion+`","transport":"rest","endpoint":`...)
		b = appendString(b, "http://"+r.Host+"/ucp")
		b = append(b, `},{"version":"`+ucpVersion+`","transport":"mcp","schema":"https://ucp.dev/`+ucpVersion+`/services/shopping/mcp.openrpc.json","endpoint":`...)
		b = appendString(b, "http://"+r.Host+"/mcp")
		return append(b, `}]},`+ucpCapabilities+`}}`...)
	})
}

// ucpTongue is UCP 2026-04-08.
var ucpTongue = tongue{
	conflict: http.StatusConflict,
	decode: func(body string, w *write) error {
		if w.deed == complete {
			return decodePayment(body)
		}
		return ucpCart.decode(body, w)
	},
	status: func(d deed, a *answer) (status int, refused bool) {
		if d == create && a.Failure == nil {
			return http.StatusCreated, false
		}
		return http.StatusOK, false
	},
	render: func(b []byte, _ deed, a *answer) []byte { return a.render(b) },
	refuse: refuseUCP,
}

var ucpCart = cart{lines: "line_items", id: "item.id", quantity: "quantity", codes: true}

// refuseUCP appends a protocol error.
func refuseUCP(b []byte, _ deed, _ int, code, content string) []byte {
	b = append(b, '{')
	b = appendField(b, "code", code)
	b = appendField(b, "content", content)
	return append(b, '}')
}

// decodePayment checks the body of a complete: some instrument must be there.
func decodePayment(body string) error {
	r, err := parse(body)
	if err != nil {
		return err
	}
	instruments := r.Get("payment.instruments")
	if !instruments.IsArray() || !instruments.Get("0").Exists() {
		return &fault{"$.payment.instruments", "at least one is needed"}
	}
	at := 0
	instruments.ForEach(func(_, v gjson.Result) bool {
		for _, name := range [...]string{"id", "handler_id", "type"} {
			if f := v.Get(name); f.Type != gjson.String || f.Str == "" {
				err = &fault{"$.payment.instruments[" + strconv.Itoa(at) + "]." + name, "a string is needed"}
				return false
			}
		}
		at++
		return true
	})
	return err
}

const ucpCapabilities = `"capabilities":{"dev.ucp.shopping.checkout":[{"version":"` + ucpVersion + `"}],` +
	`"dev.ucp.shopping.discount":[{"version":"` + ucpVersion + `","extends":"dev.ucp.shopping.checkout"}]},` +
	`"payment_handlers":{"dev.flashcrowd.sandbox":[{"version":"` + ucpVersion + `","id":"sandbox"}]}`

const (
	ucpSuccess = `{"ucp":{"version":"` + ucpVersion + `","status":"success",` + ucpCapabilities + `}`
	ucpError   = `{"ucp":{"version":"` + ucpVersion + `","status":"error",` + ucpCapabilities + `}`
)

// render appends the answer as UCP's checkout object, or as its error response
// if there is no session to show. The same answer is always the same bytes.
func (a *answer) render(b []byte) []byte {
	if a.Failure == nil {
		b = append(b, ucpSuccess...)
	} else {
		b = append(b, ucpError...)
	}
	if a.Session.Number > 0 {
		b = a.Session.render(b, -1)
	}
	if a.Failure != nil || len(a.Session.Doubts) > 0 {
		b = append(b, `,"messages":`...)
		b = a.renderNotes(b, (*note).render)
	}
	return append(b, '}')
}

// render appends a session as both versions have it, but for the sign of a
// discount.
func (s *session) render(b []byte, sign int64) []byte {
	b = append(b, `,"id":"`...)
	b = appendID(b, sessionPrefix, s.Number)
	b = append(b, `","line_items":[`...)
	b = s.appendLines(b, "title", "price", appendTotal)
	b = append(b, `],"status":"`...)
	b = append(b, s.Status...)
	b = append(b, `","currency":"`+currency+`","totals":[`...)
	b = s.renderTotals(b, sign, appendTotal)
	b = append(b, ']')
	if len(s.Codes) > 0 {
		b = s.renderDiscounts(b)
	}
	b = append(b, `,"links":[{"type":"terms_of_service","url":"`+shopURL+`terms"}]`...)
	if s.Status == completed {
		b = append(b, `,"order":{"id":"`...)
		b = appendID(b, orderPrefix, s.Order)
		b = append(b, `","permalink_url":"`+shopURL+`orders/`...)
		b = appendID(b, orderPrefix, s.Order)
		b = append(b, `"}`...)
	}
	return b
}

func (s *session) renderDiscounts(b []byte) []byte {
	b = append(b, `,"discounts":{"codes":[`...)
	for i, code := range s.Codes {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, code)
	}
	b = append(b, `],"applied":[`...)
	if s.Coupon != 0 {
		b = append(b, `{"code":"`...)
		b = appendCoupon(b, s.Coupon)
		b = append(b, `","title":"免单卡","amount":`...)
		b = strconv.AppendInt(b, s.discount(), 10)
		b = append(b, '}')
	}
	return append(b, "]}"...)
}

func appendTotal(b []byte, kind string, amount int64) []byte {
	b = append(b, `{"type":"`...)
	b = append(b, kind...)
	b = append(b, `","amount":`...)
	b = strconv.AppendInt(b, amount, 10)
	return append(b, '}')
}

func (n *note) render(b []byte) []byte {
	b = append(b, '{')
	if n.Severity == "" {
		b = appendField(b, "type", "warning")
	} else {
		b = appendField(b, "type", "error")
		b = appendField(b, "severity", n.Severity)
	}
	b = appendField(b, "code", n.Code)
	if n.Path != "" {
		b = appendField(b, "path", n.Path)
	}
	b = appendField(b, "content", n.Content)
	return append(b, '}')
}
