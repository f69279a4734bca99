package storefront

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// A tongue is how one version of a checkout protocol spells what the shop hears
// and says. What the shop does is the same in all of them.
type tongue struct {
	conflict int // the status for a key that was used with another request

	// decode reads a request's body into w, whose deed is set.
	decode func(body string, w *write) error
	// status returns an answer's status, and whether the answer is sent as a
	// protocol error instead of as a session; it has a failure then.
	status func(d deed, a *answer) (status int, refused bool)
	// render appends an answer. The same answer is always the same bytes.
	render func(b []byte, d deed, a *answer) []byte
	// refuse appends a protocol error.
	refuse func(b []byte, d deed, status int, code, content string) []byte
	// canonical makes bodies that mean the same equal; nil: they are as sent.
	canonical func(body string) string
}

const noUser = "the header X-User-Id is needed"

// read is the deed of who only looks.
const read deed = -1

// reads returns the handler of the request that reads a session.
func (f *face) reads(t *tongue) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { f.read(w, r, t) }
}

// writes returns the handler of the requests that change a session.
func (f *face) writes(t *tongue, d deed) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { f.write(w, r, t, d) }
}

func (f *face) read(w http.ResponseWriter, r *http.Request, t *tongue) {
	user := r.Header.Get("X-User-Id")
	if user == "" {
		f.refuse(w, t, read, http.StatusUnauthorized, "unauthorized", noUser)
		return
	}
	a, err := f.shown(r.Context(), r.PathValue("id"), user)
	if err != nil {
		f.fail(w, t, read, err)
		return
	}
	f.say(w, t, read, &a)
}

// shown returns the session with an id as its user may see it.
func (f *face) shown(ctx context.Context, id, user string) (answer, error) {
	s, ok, err := f.shop.checkout.Read(ctx, sessionNumber(id))
	if err != nil || !ok || s.User != user {
		return answer{Failure: notFound()}, err
	}
	if s.Declined {
		return answer{s, declined()}, nil
	}
	return answer{Session: s}, nil
}

func (f *face) write(w http.ResponseWriter, r *http.Request, t *tongue, d deed) {
	body, err := f.body(r)
	if err == errTooLong {
		f.refuse(w, t, d, http.StatusRequestEntityTooLarge, "request_too_large", err.Error())
		return
	} else if err != nil {
		f.refuse(w, t, d, http.StatusBadRequest, "invalid_request", "the body ended early")
		return
	}
	wr := write{
		deed: d, number: sessionNumber(r.PathValue("id")), at: time.Now(),
		user: r.Header.Get("X-User-Id"), key: r.Header.Get("Idempotency-Key"),
	}
	switch {
	case wr.user == "" || len(wr.user) > longest:
		f.refuse(w, t, d, http.StatusUnauthorized, "unauthorized", noUser)
		return
	case wr.key == "" || len(wr.key) > longest:
		f.refuse(w, t, d, http.StatusBadRequest, "idempotency_key_required", "the header Idempotency-Key is needed, of at most "+strconv.Itoa(longest)+" bytes")
		return
	}
	if d != cancel { // which has no body to speak of
		if err := t.decode(body, &wr); err != nil {
			f.refuse(w, t, d, http.StatusBadRequest, "invalid_request", err.Error())
			return
		}
	}
	if t.canonical != nil {
		body = t.canonical(body)
	}
	wr.payment = f.options.pays(wr.key)
	wr.fingerprint = sum(r, wr.user, body)
	a, err := f.shop.checkout.Write(r.Context(), wr)
	if err != nil {
		f.fail(w, t, d, err)
		return
	}
	f.say(w, t, d, &a)
}

// say sends what the shop decided.
func (f *face) say(w http.ResponseWriter, t *tongue, d deed, a *answer) {
	status, refused := t.status(d, a)
	if refused {
		f.refuse(w, t, d, status, a.Failure.Code, a.Failure.Content)
		return
	}
	f.answerJSON(w, status, func(b []byte) []byte { return t.render(b, d, a) })
}

// fail sends what kept the shop from deciding.
func (f *face) fail(w http.ResponseWriter, t *tongue, d deed, err error) {
	status, code, content := whyUndecided(err)
	if code == "idempotency_conflict" {
		status = t.conflict
	}
	f.refuse(w, t, d, status, code, content)
}

// whyUndecided returns what kept the shop from deciding about a write.
func whyUndecided(err error) (status int, code, content string) {
	switch {
	case errors.Is(err, errConflict):
		return http.StatusConflict, "idempotency_conflict", err.Error()
	case errors.Is(err, errBusy):
		return http.StatusTooManyRequests, "rate_limited", err.Error()
	}
	return http.StatusInternalServerError, "internal_error", "the books could not be written; read the session back, then repeat the same request"
}

// refuse sends a protocol error.
func (f *face) refuse(w http.ResponseWriter, t *tongue, d deed, status int, code, content string) {
	f.answerJSON(w, status, func(b []byte) []byte { return t.refuse(b, d, status, code, content) })
}

// renderNotes appends the answer's messages as an array.
func (a *answer) renderNotes(b []byte, render func(*note, []byte) []byte) []byte {
	b = append(b, '[')
	if a.Failure != nil {
		b = render(a.Failure, b)
	}
	for i := range a.Session.Doubts {
		if b[len(b)-1] == '}' {
			b = append(b, ',')
		}
		b = render(&a.Session.Doubts[i], b)
	}
	return append(b, ']')
}

// renderTotals appends the session's totals, each by total. The sign is that of
// a discount: protocols differ.
func (s *session) renderTotals(b []byte, sign int64, total func(b []byte, kind string, amount int64) []byte) []byte {
	b = total(b, "subtotal", s.subtotal())
	if d := s.discount(); d > 0 {
		b = append(b, ',')
		b = total(b, "discount", sign*d)
	}
	b = append(b, ',')
	return total(b, "total", s.total())
}

// appendID appends an id.
func appendID(b []byte, prefix string, number int64) []byte {
	b = append(b, prefix...)
	return strconv.AppendInt(b, number, 10)
}

// appendLines appends what is in a session. What UCP calls title and price, ACP
// calls name and unit_amount, and each writes totals in a way of its own.
func (s *session) appendLines(b []byte, title, price string, total func(b []byte, kind string, amount int64) []byte) []byte {
	for i, l := range s.Lines {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"id":"`...)
		b = appendID(b, linePrefix, int64(i+1))
		b = append(b, `","item":{`...)
		b = appendField(b, "id", catalogue[l.Item].id)
		b = appendField(b, title, catalogue[l.Item].chinese)
		b = append(b, `,"`...)
		b = append(b, price...)
		b = append(b, `":`...)
		b = strconv.AppendInt(b, l.price(), 10)
		b = append(b, `},"quantity":`...)
		b = strconv.AppendInt(b, l.Quantity, 10)
		b = append(b, `,"totals":[`...)
		b = total(b, "subtotal", l.total())
		b = append(b, ',')
		b = total(b, "total", l.total())
		b = append(b, "]}"...)
	}
	return b
}
