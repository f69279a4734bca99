package storefront

import (
	"errors"
	"net/http"
	"strconv"
	"time"
)

// UCP 2026-04-08 over REST. What the shop decides is HTTP 200 (201 for a new
// session) and says in ucp.status whether it was done; other statuses are for
// requests that the shop never saw.

const ucpVersion = "2026-04-08"

// shopURL is where links lead. The shop has no pages for people.
const shopURL = "https://shop.example/"

// discover is GET /.well-known/ucp.
func (f *face) discover(w http.ResponseWriter, r *http.Request) {
	f.answerJSON(w, http.StatusOK, func(b []byte) []byte {
		b = append(b, `{"ucp":{"version":"`+ucpVersion+`","services":{"dev.ucp.shopping":[{"version":"`+ucpVersion+`","transport":"rest","endpoint":`...)
		b = appendString(b, "http://"+r.Host+"/ucp")
		return append(b, `}]},`+ucpCapabilities+`}}`...)
	})
}

// readSession is GET /ucp/checkout-sessions/{id}.
func (f *face) readSession(w http.ResponseWriter, r *http.Request) {
	user := r.Header.Get("X-User-Id")
	if user == "" {
		f.checkoutError(w, http.StatusUnauthorized, "unauthorized", noUser)
		return
	}
	s, ok, err := f.shop.checkout.Read(r.Context(), sessionNumber(r.PathValue("id")))
	if err != nil {
		f.checkoutFailed(w, err)
		return
	}
	a := answer{Session: s}
	if !ok || s.User != user {
		a = answer{Failure: notFound()}
	}
	f.answerJSON(w, http.StatusOK, a.render)
}

const noUser = "the header X-User-Id is needed"

// writes returns the handler of the requests that change a session.
func (f *face) writes(d deed) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := f.body(r)
		if err == errTooLong {
			f.checkoutError(w, http.StatusRequestEntityTooLarge, "request_too_large", err.Error())
			return
		} else if err != nil {
			f.checkoutError(w, http.StatusBadRequest, "invalid_request", "the body ended early")
			return
		}
		wr := write{
			deed: d, number: sessionNumber(r.PathValue("id")), at: time.Now(),
			user: r.Header.Get("X-User-Id"), key: r.Header.Get("Idempotency-Key"),
		}
		switch {
		case wr.user == "" || len(wr.user) > longest:
			f.checkoutError(w, http.StatusUnauthorized, "unauthorized", noUser)
			return
		case wr.key == "" || len(wr.key) > longest:
			f.checkoutError(w, http.StatusBadRequest, "idempotency_key_required", "the header Idempotency-Key is needed, of at most "+strconv.Itoa(longest)+" bytes")
			return
		}
		switch d {
		case create, replace:
			err = decodeCart(body, &wr)
		case complete:
			err = decodePayment(body)
		case cancel: // has no body to speak of
		}
		if err != nil {
			f.checkoutError(w, http.StatusBadRequest, "invalid_request", err.Error())
			return
		}
		wr.fingerprint = sum(r, wr.user, body)
		a, err := f.shop.checkout.Write(r.Context(), wr)
		if err != nil {
			f.checkoutFailed(w, err)
			return
		}
		status := http.StatusOK
		if d == create && a.Failure == nil {
			status = http.StatusCreated
		}
		f.answerJSON(w, status, a.render)
	}
}

func (f *face) checkoutFailed(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, errConflict):
		f.checkoutError(w, http.StatusConflict, "idempotency_conflict", err.Error())
	case errors.Is(err, errBusy):
		f.checkoutError(w, http.StatusTooManyRequests, "rate_limited", err.Error())
	default:
		f.checkoutError(w, http.StatusInternalServerError, "internal_error", "the books could not be written; read the session back, then repeat the same request")
	}
}

// checkoutError sends a protocol error.
func (f *face) checkoutError(w http.ResponseWriter, status int, code, content string) {
	f.answerJSON(w, status, func(b []byte) []byte {
		b = append(b, '{')
		b = appendField(b, "code", code)
		b = appendField(b, "content", content)
		return append(b, '}')
	})
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
		b = a.Session.render(b)
	}
	if a.Failure != nil || len(a.Session.Doubts) > 0 {
		b = append(b, `,"messages":[`...)
		if a.Failure != nil {
			b = a.Failure.render(b)
		}
		for i := range a.Session.Doubts {
			if b[len(b)-1] == '}' {
				b = append(b, ',')
			}
			b = a.Session.Doubts[i].render(b)
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

func (s *session) render(b []byte) []byte {
	b = append(b, `,"id":"`+sessionPrefix...)
	b = strconv.AppendInt(b, s.Number, 10)
	b = append(b, `","line_items":[`...)
	for i, l := range s.Lines {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"id":"li_`...)
		b = strconv.AppendInt(b, int64(i+1), 10)
		b = append(b, `","item":{`...)
		b = appendField(b, "id", catalogue[l.Item].id)
		b = appendField(b, "title", catalogue[l.Item].chinese)
		b = append(b, `,"price":`...)
		b = strconv.AppendInt(b, catalogue[l.Item].price, 10)
		b = append(b, `},"quantity":`...)
		b = strconv.AppendInt(b, l.Quantity, 10)
		b = append(b, `,"totals":[`...)
		b = appendTotal(b, "subtotal", l.total())
		b = append(b, ',')
		b = appendTotal(b, "total", l.total())
		b = append(b, "]}"...)
	}
	b = append(b, `],"status":"`...)
	b = append(b, s.Status...)
	b = append(b, `","currency":"`+currency+`","totals":[`...)
	b = appendTotal(b, "subtotal", s.subtotal())
	if d := s.discount(); d > 0 {
		b = append(b, ',')
		b = appendTotal(b, "discount", -d)
	}
	b = append(b, ',')
	b = appendTotal(b, "total", s.total())
	b = append(b, ']')
	if len(s.Codes) > 0 {
		b = s.renderDiscounts(b)
	}
	b = append(b, `,"links":[{"type":"terms_of_service","url":"`+shopURL+`terms"}]`...)
	if s.Status == completed {
		b = append(b, `,"order":{"id":"`+orderPrefix...)
		b = strconv.AppendInt(b, s.Number, 10)
		b = append(b, `","permalink_url":"`+shopURL+`orders/`+orderPrefix...)
		b = strconv.AppendInt(b, s.Number, 10)
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
