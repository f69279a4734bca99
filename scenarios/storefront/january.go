package storefront

import "net/http"

// UCP 2026-01-11 over REST. There is no ucp.status, and nothing to say no with
// when there is no session: that is a 400 or a 404 then. Capabilities are an
// array, and a discount has no sign.

const january = "2026-01-11"

var januaryTongue = tongue{
	conflict: http.StatusConflict,
	decode: func(body string, w *write) error {
		if w.deed == complete {
			return decodePaymentData(body)
		}
		return ucpCart.decode(body, w)
	},
	status: func(d deed, a *answer) (status int, refused bool) {
		if a.Session.Number == 0 {
			return noSession(a), true
		}
		return ucpTongue.status(d, a)
	},
	render: func(b []byte, _ deed, a *answer) []byte { return a.renderJanuary(b) },
	refuse: refuseUCP,
}

// noSession returns the status of a failure without a session to show.
func noSession(a *answer) int {
	if a.Failure.Code == "not_found" {
		return http.StatusNotFound
	}
	return http.StatusBadRequest
}

// decodePaymentData checks the body of a complete: one instrument must be there.
func decodePaymentData(body string) error {
	r, err := parse(body)
	if err != nil {
		return err
	}
	for _, name := range [...]string{"id", "handler_id", "type", "brand", "last_digits"} {
		if r.Get("payment_data."+name).Str == "" {
			return &fault{"$.payment_data." + name, "a string is needed"}
		}
	}
	return nil
}

const januaryHead = `{"ucp":{"version":"` + january + `","capabilities":[{"name":"dev.ucp.shopping.checkout","version":"` + january + `"},` +
	`{"name":"dev.ucp.shopping.discount","version":"` + january + `","extends":"dev.ucp.shopping.checkout"}]},"payment":{"handlers":[` + sandbox + `"version":"` + january + `"}]}`

// sandbox is the payment handler, up to its version.
const sandbox = `{"id":"sandbox","name":"dev.flashcrowd.sandbox","spec":"` + shopURL + `sandbox","config_schema":"` + shopURL + `sandbox/config",` +
	`"instrument_schemas":["` + shopURL + `sandbox/card"],"config":{},`

func (a *answer) renderJanuary(b []byte) []byte {
	b = append(b, januaryHead...)
	b = a.Session.render(b, 1)
	b = append(b, `,"messages":`...)
	b = a.renderNotes(b, (*note).renderJanuary)
	return append(b, '}')
}

// renderJanuary is render, without a severity that came later.
func (n *note) renderJanuary(b []byte) []byte {
	early := *n
	if early.Severity == "unrecoverable" {
		early.Severity = "requires_buyer_review"
	}
	return early.render(b)
}
