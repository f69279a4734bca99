package storefront

import (
	"net/http"
	"strconv"
	"time"
)

// The books, for people and for an audit: one JSON object a line. An export
// that breaks off is cut without its last chunk, so that a client sees an
// error and not a short list.

// bookedOrders is GET /books/orders.
func (f *face) bookedOrders(w http.ResponseWriter, r *http.Request) {
	e := export{w: w}
	e.end(f.shop.books.Orders(r.Context(), func(o order) error {
		b := append(e.buf, `{"order_id":"`+orderPrefix...)
		b = strconv.AppendInt(b, o.number, 10)
		b = append(b, `","checkout_id":"`+sessionPrefix...)
		b = strconv.AppendInt(b, o.number, 10)
		b = append(b, '"')
		b = appendField(b, "key", o.key)
		b = appendField(b, "user", o.user)
		b = append(b, `,"coupon":"`...)
		if o.coupon != 0 {
			b = appendCoupon(b, o.coupon)
		}
		b = append(b, `","amount":`...)
		b = strconv.AppendInt(b, o.amount, 10)
		b = append(b, `,"currency":"`+currency+`","at":"`...)
		b = appendTime(b, o.at)
		return e.line(append(b, "\"}\n"...))
	}))
}

// bookedCoupons is GET /books/coupons.
func (f *face) bookedCoupons(w http.ResponseWriter, r *http.Request) {
	e := export{w: w}
	e.end(f.shop.books.Coupons(r.Context(), func(c coupon) error {
		b := append(e.buf, `{"coupon_id":"`...)
		b = appendCoupon(b, c.number)
		b = append(b, '"')
		b = appendField(b, "stock_id", f.options.StockID)
		b = appendField(b, "out_request_no", c.request)
		b = appendField(b, "user", c.user)
		b = append(b, `,"at":"`...)
		b = appendTime(b, c.at)
		return e.line(append(b, "\"}\n"...))
	}))
}

// bookedSummary is GET /books/summary.
func (f *face) bookedSummary(w http.ResponseWriter, r *http.Request) {
	s, err := f.shop.books.Summary(r.Context())
	if err != nil {
		http.Error(w, "read the books: "+err.Error(), http.StatusInternalServerError)
		return
	}
	f.answerJSON(w, http.StatusOK, func(b []byte) []byte {
		b = append(b, '{')
		b = appendField(b, "design", f.design.Name)
		b = append(b, `,"orders":`...)
		b = strconv.AppendInt(b, s.orders, 10)
		b = append(b, `,"amount":`...)
		b = strconv.AppendInt(b, s.amount, 10)
		b = append(b, `,"currency":"`+currency+`","coupons":{`...)
		b = appendField(b, "stock_id", f.options.StockID)
		for _, n := range [...]struct {
			name  string
			value int64
		}{{"stock", f.options.Stock}, {"per_user", f.options.PerUser}, {"issued", s.issued}, {"redeemed", s.redeemed}} {
			b = append(b, `,"`...)
			b = append(b, n.name...)
			b = append(b, `":`...)
			b = strconv.AppendInt(b, n.value, 10)
		}
		b = append(b, `},"bills":`...)
		b = strconv.AppendInt(b, s.bills, 10)
		b = append(b, `,"seats":{`...)
		for _, it := range catalogue {
			if it.kind != seats {
				continue
			}
			if b[len(b)-1] != '{' {
				b = append(b, ',')
			}
			b = append(b, '"')
			b = append(b, it.id...)
			b = append(b, `":{"of":`...)
			b = strconv.AppendInt(b, f.options.Seats, 10)
			b = append(b, `,"sold":`...)
			b = strconv.AppendInt(b, s.seats[it.id], 10)
			b = append(b, '}')
		}
		return append(b, "}}\n"...)
	})
}

// An export sends lines in pieces of some size.
type export struct {
	w    http.ResponseWriter
	buf  []byte
	sent bool
}

// line takes buf with another line in it.
func (e *export) line(buf []byte) error {
	e.buf = buf
	if len(buf) < 32<<10 {
		return nil
	}
	return e.flush()
}

func (e *export) flush() error {
	e.w.Header()["Content-Type"] = typeLines
	http.NewResponseController(e.w).SetWriteDeadline(time.Now().Add(stalled))
	_, err := e.w.Write(e.buf)
	e.buf, e.sent = e.buf[:0], true
	return err
}

func (e *export) end(err error) {
	if err == nil {
		err = e.flush()
	}
	switch {
	case err == nil:
	case e.sent:
		panic(http.ErrAbortHandler) // net/http's way to cut a connection
	default:
		http.Error(e.w, "read the books: "+err.Error(), http.StatusInternalServerError)
	}
}
