package storefront

import (
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/tidwall/gjson"
)

const (
	longestBody = 1 << 20          // bytes of a request
	stalled     = 60 * time.Second // a client that takes nothing for so long is gone
)

// The face is what clients see: it decodes, asks the shop, and renders.
type face struct {
	design  Design
	options Options
	shop    shop
	buffers sync.Pool // of *[]byte
	guests  guests
}

func newFace(d Design, o Options) *face {
	return &face{design: d, options: o, shop: d.build(o)}
}

func (f *face) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /compatible-mode/v1/chat/completions", f.chat)
	mux.HandleFunc("POST /compatible-mode/v1/responses", f.responses)
	mux.HandleFunc("POST /v3/marketing/favor/users/{openid}/coupons", f.claim)
	f.routesUCP(mux)
	f.routesACP(mux)
	f.routesMCP(mux)
	mux.HandleFunc("POST /campaign/pause", f.pauses(true))
	mux.HandleFunc("POST /campaign/resume", f.pauses(false))
	mux.HandleFunc("GET /books/orders", f.bookedOrders)
	mux.HandleFunc("GET /books/coupons", f.bookedCoupons)
	mux.HandleFunc("GET /books/stocks", f.bookedStocks)
	mux.HandleFunc("GET /books/seats", f.bookedSeats)
	mux.HandleFunc("GET /books/summary", f.bookedSummary)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	return mux
}

// errTooLong means that a request's body exceeds longestBody.
var errTooLong = errors.New("the body is longer than " + strconv.Itoa(longestBody) + " bytes")

// body reads a request's body.
func (f *face) body(r *http.Request) (string, error) {
	if r.ContentLength > longestBody {
		return "", errTooLong
	}
	b := takeBuffer(&f.buffers)
	defer putBuffer(&f.buffers, b)
	if r.ContentLength >= 0 {
		n := int(r.ContentLength)
		if cap(*b) < n {
			*b = make([]byte, 0, n)
		}
		_, err := io.ReadFull(r.Body, (*b)[:n])
		return string((*b)[:n]), err
	}
	all, err := io.ReadAll(io.LimitReader(r.Body, longestBody+1))
	if len(all) > longestBody {
		return "", errTooLong
	}
	return string(all), err
}

// sum returns the fingerprint of everything that an idempotency key stands for.
func sum(r *http.Request, user, body string) fingerprint {
	b := make([]byte, 0, 1024)
	for _, s := range [...]string{r.Method, r.URL.Path, user, body} {
		b = strconv.AppendInt(b, int64(len(s)), 10)
		b = append(b, ':')
		b = append(b, s...)
	}
	h := sha256.Sum256(b)
	return fingerprint(h[:])
}

// These are shared by all answers and never written to.
var (
	typeJSON   = []string{"application/json"}
	typeStream = []string{"text/event-stream"}
	typeLines  = []string{"application/x-ndjson"}
	noCache    = []string{"no-cache"}
	oneSecond  = []string{"1"}
)

// answerJSON sends what render appends, with a status.
func (f *face) answerJSON(w http.ResponseWriter, status int, render func([]byte) []byte) {
	b := takeBuffer(&f.buffers)
	defer putBuffer(&f.buffers, b)
	*b = render(*b)
	h := w.Header()
	h["Content-Type"] = typeJSON
	if status == http.StatusTooManyRequests {
		h["Retry-After"] = oneSecond
	}
	w.WriteHeader(status)
	w.Write(*b)
}

// appendString appends s as a JSON string.
func appendString(b []byte, s string) []byte { return gjson.AppendJSONString(b, s) }

// appendField appends "name":"s", with a comma if it is not the first.
func appendField(b []byte, name, s string) []byte {
	return appendString(appendName(b, name), s)
}

// appendName appends "name": with a comma before it if it is not the first.
func appendName(b []byte, name string) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = append(b, '"')
	b = append(b, name...)
	return append(b, `":`...)
}

// appendNumber appends "name":n.
func appendNumber(b []byte, name string, n int64) []byte {
	return strconv.AppendInt(appendName(b, name), n, 10)
}

// appendIDField appends "name":"id"; empty if the number is 0.
func appendIDField(b []byte, name, prefix string, number int64) []byte {
	b = append(appendName(b, name), '"')
	if number != 0 {
		b = appendID(b, prefix, number)
	}
	return append(b, '"')
}

// appendCouponField appends "name":"id"; empty if the number is 0.
func appendCouponField(b []byte, name string, number int64) []byte {
	b = append(appendName(b, name), '"')
	if number != 0 {
		b = appendCoupon(b, number)
	}
	return append(b, '"')
}

// appendMoment appends "name":"moment"; empty if it is 0.
func appendMoment(b []byte, name string, ns int64) []byte {
	b = append(appendName(b, name), '"')
	if ns != 0 {
		b = appendTime(b, ns)
	}
	return append(b, '"')
}

// appendTime appends a moment, Unix ns, as RFC 3339.
func appendTime(b []byte, ns int64) []byte {
	return time.Unix(0, ns).UTC().AppendFormat(b, "2006-01-02T15:04:05.000000000Z07:00")
}
