package storefront

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// ACP over REST, in the versions 2026-04-17 and 2025-09-29: the header
// API-Version chooses. The shop is its own payment provider: delegating a
// payment gives a token that is good for one session and at most the amount
// that was named. What the shop decides is a 2xx with messages while there is a
// session to show, and a flat error where there is none.
//
// Requests on one key are answered one after the other here, so that none is
// ever refused as in flight.

const (
	acpVersion = "2026-04-17"
	acpEarly   = "2025-09-29"
)

var (
	acpTongue = tongue{
		conflict: http.StatusUnprocessableEntity,
		decode: func(body string, w *write) error {
			return decodeACP(body, w, cart{lines: "line_items", id: "id", partial: true, codes: true}, "payment_data.instrument.credential.token")
		},
		status: statusACP, render: renderACP, refuse: refuseACP, canonical: canonicalJSON,
	}
	acpEarlyTongue = tongue{
		conflict: http.StatusUnprocessableEntity,
		decode: func(body string, w *write) error {
			return decodeACP(body, w, cart{lines: "items", id: "id", quantity: "quantity", partial: true}, "payment_data.token")
		},
		status: statusACP, render: renderACPEarly, refuse: refuseACP, canonical: canonicalJSON,
	}
)

func (f *face) routesACP(mux *http.ServeMux) {
	const sessions = "/acp/checkout_sessions"
	mux.HandleFunc("GET /.well-known/acp.json", f.discoverACP)
	mux.HandleFunc("POST /acp/agentic_commerce/delegate_payment", f.writesACP(delegate))
	mux.HandleFunc("POST "+sessions, f.writesACP(create))
	mux.HandleFunc("GET "+sessions+"/{id}", func(w http.ResponseWriter, r *http.Request) {
		if t := f.hearACP(w, r); t != nil {
			f.read(w, r, t)
		}
	})
	mux.HandleFunc("POST "+sessions+"/{id}", f.writesACP(replace))
	mux.HandleFunc("POST "+sessions+"/{id}/complete", f.writesACP(complete))
	mux.HandleFunc("POST "+sessions+"/{id}/cancel", f.writesACP(cancel))
}

// discoverACP is GET /.well-known/acp.json.
func (f *face) discoverACP(w http.ResponseWriter, r *http.Request) {
	f.answerJSON(w, http.StatusOK, func(b []byte) []byte {
		b = append(b, `{"protocol":{"name":"acp","version":"`+acpVersion+`","supported_versions":["`+acpEarly+`","`+acpVersion+`"]},"api_base_url":`...)
		b = appendString(b, "http://"+r.Host+"/acp")
		return append(b, `,"transports":["rest"],"capabilities":{"services":["checkout","delegate_payment"],"extensions":[{"name":"discount"}]}}`...)
	})
}

func (f *face) writesACP(d deed) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if t := f.hearACP(w, r); t != nil {
			f.write(w, r, t, d)
		}
	}
}

// hearACP returns the version that a request is in, and echoes what ACP wants
// echoed. It returns nil after refusing a version that the shop does not speak.
func (f *face) hearACP(w http.ResponseWriter, r *http.Request) *tongue {
	for _, name := range [...]string{"Idempotency-Key", "Request-Id"} {
		if v := r.Header.Get(name); v != "" {
			w.Header().Set(name, v)
		}
	}
	code := "unsupported_api_version"
	switch r.Header.Get("API-Version") {
	case acpVersion:
		return &acpTongue
	case acpEarly:
		return &acpEarlyTongue
	case "":
		code = "missing_api_version"
	}
	f.answerJSON(w, http.StatusBadRequest, func(b []byte) []byte {
		return append(b, `{"type":"invalid_request","code":"`+code+`","message":"the header API-Version names a version","supported_versions":["`+acpVersion+`","`+acpEarly+`"]}`...)
	})
	return nil
}

// decodeACP reads a body into w; token is the path of what pays.
func decodeACP(body string, w *write, c cart, token string) error {
	switch w.deed {
	case delegate:
		return decodeDelegation(body, w)
	case complete:
		r, err := parse(body)
		if err != nil {
			return err
		}
		paid := r.Get(token)
		if paid.Type != gjson.String {
			return &fault{"$." + token, "a string is needed"}
		}
		w.byToken, w.token = true, numberOf(paid.Str, tokenPrefix)
		return nil
	}
	return c.decode(body, w)
}

// decodeDelegation reads the body of a delegated payment into w.
func decodeDelegation(body string, w *write) error {
	r, err := parse(body)
	if err != nil {
		return err
	}
	for _, name := range [...]string{"payment_method.number", "payment_method.display_card_funding_type", "allowance.merchant_id", "allowance.expires_at"} {
		if r.Get(name).Str == "" {
			return &fault{"$." + name, "a string is needed"}
		}
	}
	for name, want := range map[string]string{"payment_method.type": "card", "allowance.reason": "one_time", "allowance.currency": strings.ToLower(currency)} {
		if r.Get(name).Str != want {
			return &fault{"$." + name, "only " + want + " is taken"}
		}
	}
	most := r.Get("allowance.max_amount")
	if most.Type != gjson.Number || most.Num < leastPaid || most.Num >= 1<<53 {
		return &fault{"$.allowance.max_amount", "an amount is needed"}
	}
	w.most, w.number = most.Int(), sessionNumber(r.Get("allowance.checkout_session_id").Str)
	return nil
}

// canonicalJSON returns JSON with the keys in order and without spaces: ACP
// compares what is repeated by what it means.
func canonicalJSON(body string) string {
	var v any
	if json.Unmarshal([]byte(body), &v) != nil {
		return body
	}
	b, err := json.Marshal(v)
	if err != nil {
		return body
	}
	return string(b)
}

func statusACP(d deed, a *answer) (status int, refused bool) {
	switch {
	case a.Session.Number == 0:
		return noSession(a), true
	case a.Failure != nil && d == cancel:
		return http.StatusMethodNotAllowed, true
	case a.Failure != nil && d == delegate:
		return http.StatusBadRequest, true
	case a.Failure == nil && (d == create || d == delegate):
		return http.StatusCreated, false
	}
	return http.StatusOK, false
}

// refuseACP appends a protocol error. The codes of a delegation are a closed
// list, in which whatever is wrong with a request is the card.
func refuseACP(b []byte, d deed, status int, code, content string) []byte {
	kind := "invalid_request"
	switch {
	case status == http.StatusTooManyRequests && d == delegate:
		kind, code = "rate_limit_exceeded", "too_many_requests"
	case status == http.StatusTooManyRequests:
		kind = "service_unavailable"
	case status >= 500:
		kind = "processing_error"
	case d == delegate && !strings.HasPrefix(code, "idempotency_"):
		code = "invalid_card"
	}
	b = append(b, '{')
	b = appendField(b, "type", kind)
	b = appendField(b, "code", code)
	b = appendField(b, "message", content)
	return append(b, '}')
}

// renderToken appends what a delegated payment gives.
func (s *session) renderToken(b []byte) []byte {
	b = append(b, `{"id":"`...)
	b = appendID(b, tokenPrefix, s.Number)
	b = append(b, `","created":"`...)
	b = appendTime(b, s.Delegated.At)
	return append(b, `","metadata":{}}`...)
}

func renderACP(b []byte, d deed, a *answer) []byte {
	s := &a.Session
	if d == delegate {
		return s.renderToken(b)
	}
	b = s.renderACPHead(b)
	b = append(b, `,"protocol":{"version":"`+acpVersion+`"},"capabilities":{"payment":{"handlers":[`+sandbox+`"version":"`+acpVersion+
		`","requires_delegate_payment":true,"requires_pci_compliance":false,"psp":"sandbox"}]},"extensions":["discount"]},"line_items":[`...)
	b = s.appendLines(b, "name", "unit_amount", appendNamedTotal)
	b = append(b, ']')
	if len(s.Codes) > 0 {
		b = s.renderDiscountsACP(b)
	}
	return a.renderACPTail(b, (*note).renderACP, s.Status == completed)
}

// renderDiscountsACP appends the codes, and what became of each. Doubts are in
// the order of the codes, and there is one for each but the one that is applied.
func (s *session) renderDiscountsACP(b []byte) []byte {
	b = append(b, `,"discounts":{"codes":[`...)
	for i, code := range s.Codes {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, code)
	}
	b = append(b, `],"applied":[`...)
	if s.Coupon != 0 {
		b = append(b, `{"id":"discount_1","code":"`...)
		b = appendCoupon(b, s.Coupon)
		b = append(b, `","coupon":{"id":"`...)
		b = appendCoupon(b, s.Coupon)
		b = append(b, `","name":"免单卡","amount_off":`...)
		b = strconv.AppendInt(b, cardValue, 10)
		b = append(b, `,"currency":"`+acpCurrency+`"},"amount":`...)
		b = strconv.AppendInt(b, s.discount(), 10)
		b = append(b, '}')
	}
	b = append(b, `],"rejected":[`...)
	doubts, used := s.Doubts, false
	for _, code := range s.Codes {
		if !used && s.Coupon != 0 && couponNumber(code) == s.Coupon {
			used = true
			continue
		}
		if len(doubts) == 0 {
			break
		}
		if b[len(b)-1] == '}' {
			b = append(b, ',')
		}
		b = append(b, '{')
		b = appendField(b, "code", code)
		b = appendField(b, "reason", doubts[0].Code)
		b = appendField(b, "message", doubts[0].Content)
		b = append(b, '}')
		doubts = doubts[1:]
	}
	return append(b, "]}"...)
}

func renderACPEarly(b []byte, d deed, a *answer) []byte {
	s := &a.Session
	if d == delegate {
		return s.renderToken(b)
	}
	b = s.renderACPHead(b)
	b = append(b, `,"payment_provider":{"provider":"stripe","supported_payment_methods":["card"]},"line_items":[`...)
	for i, l := range s.Lines {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"id":"`...)
		b = appendID(b, linePrefix, int64(i+1))
		b = append(b, `","item":{`...)
		b = appendField(b, "id", catalogue[l.Item].id)
		b = append(b, `,"quantity":`...)
		b = strconv.AppendInt(b, l.Quantity, 10)
		b = append(b, `},"base_amount":`...)
		b = strconv.AppendInt(b, l.total(), 10)
		b = append(b, `,"discount":0,"subtotal":`...)
		b = strconv.AppendInt(b, l.total(), 10)
		b = append(b, `,"tax":0,"total":`...)
		b = strconv.AppendInt(b, l.total(), 10)
		b = append(b, '}')
	}
	b = append(b, ']')
	return a.renderACPTail(b, (*note).renderACPEarly, s.Status == completed && d == complete && a.Failure == nil)
}

// acpCurrency is the currency as ACP spells it.
const acpCurrency = "cny"

// renderACPHead appends the beginning of a session in either version.
func (s *session) renderACPHead(b []byte) []byte {
	b = append(b, `{"id":"`...)
	b = appendID(b, sessionPrefix, s.Number)
	b = append(b, `","status":"`...)
	switch s.Status {
	case ready:
		b = append(b, "ready_for_payment"...)
	case processing:
		b = append(b, "in_progress"...)
	default:
		b = append(b, s.Status...)
	}
	return append(b, `","currency":"`+acpCurrency+`","fulfillment_options":[],"links":[{"type":"terms_of_use","url":"`+shopURL+`terms"}]`...)
}

// renderACPTail appends the end of a session in either version. The first one
// shows the order once, in the answer to the complete that made it.
func (a *answer) renderACPTail(b []byte, render func(*note, []byte) []byte, ordered bool) []byte {
	s := &a.Session
	b = append(b, `,"totals":[`...)
	b = s.renderTotals(b, 1, appendNamedTotal)
	b = append(b, `],"messages":`...)
	b = a.renderNotes(b, render)
	if ordered {
		b = append(b, `,"order":{"id":"`...)
		b = appendID(b, orderPrefix, s.Order)
		b = append(b, `","checkout_session_id":"`...)
		b = appendID(b, sessionPrefix, s.Number)
		b = append(b, `","permalink_url":"`+shopURL+`orders/`...)
		b = appendID(b, orderPrefix, s.Order)
		b = append(b, `"}`...)
	}
	return append(b, '}')
}

// appendNamedTotal appends a total with a text to show.
func appendNamedTotal(b []byte, kind string, amount int64) []byte {
	b = append(b, '{')
	b = appendField(b, "type", kind)
	b = appendField(b, "display_text", kind)
	b = append(b, `,"amount":`...)
	b = strconv.AppendInt(b, amount, 10)
	return append(b, '}')
}

// renderACP appends a message. The codes of warnings are UCP's; those of errors
// are a list of their own.
func (n *note) renderACP(b []byte) []byte {
	if n.Severity == "" {
		return n.renderMessage(b, "warning", n.Code)
	}
	switch n.Code {
	case "payment_declined", "out_of_stock":
		return n.renderMessage(b, "error", n.Code)
	case "discount_code_invalid":
		return n.renderMessage(b, "error", "coupon_invalid")
	case "item_unavailable":
		return n.renderMessage(b, "error", "invalid")
	}
	return n.renderMessage(b, "error", "conflict")
}

// renderACPEarly appends a message with one of the few codes of the first version.
func (n *note) renderACPEarly(b []byte) []byte {
	if n.Code == "payment_declined" || n.Code == "out_of_stock" {
		return n.renderMessage(b, "error", n.Code)
	}
	return n.renderMessage(b, "error", "invalid")
}

func (n *note) renderMessage(b []byte, kind, code string) []byte {
	b = append(b, '{')
	b = appendField(b, "type", kind)
	b = appendField(b, "code", code)
	if n.Path != "" {
		b = appendField(b, "param", n.Path)
	}
	b = appendField(b, "content_type", "plain")
	b = appendField(b, "content", n.Content)
	return append(b, '}')
}
