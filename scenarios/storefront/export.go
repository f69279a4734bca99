package storefront

import (
	"errors"
	"net/http"
	"strconv"
	"time"
)

// The books, for people and for an audit: one JSON object a line. An export
// that breaks off is cut without its last chunk, so that a client sees an
// error and not a short list. What does not apply is empty or 0.

// bookedOrders is GET /books/orders. Of an order of several items, item and
// quantity are empty.
func (f *face) bookedOrders(w http.ResponseWriter, r *http.Request) {
	e := export{w: w}
	e.end(f.shop.books.Orders(r.Context(), func(o order) error {
		b := append(e.buf, '{')
		b = appendIDField(b, "order_id", orderPrefix, o.number)
		b = appendIDField(b, "checkout_id", sessionPrefix, o.session)
		b = appendField(b, "key", o.key)
		b = appendField(b, "user", o.user)
		b = appendField(b, "item", o.item)
		b = appendNumber(b, "quantity", o.quantity)
		b = appendCouponField(b, "coupon", o.coupon)
		b = appendNumber(b, "subtotal", o.subtotal)
		b = appendNumber(b, "discount", o.discount)
		b = appendNumber(b, "amount", o.amount)
		b = appendField(b, "currency", currency)
		b = appendMoment(b, "at", o.at)
		b = append(b, `,"void":`...)
		b = strconv.AppendBool(b, o.void)
		return e.line(append(b, "}\n"...))
	}))
}

// bookedCoupons is GET /books/coupons.
func (f *face) bookedCoupons(w http.ResponseWriter, r *http.Request) {
	e := export{w: w}
	e.end(f.shop.books.Coupons(r.Context(), func(c coupon) error {
		b := append(e.buf, '{')
		b = appendCouponField(b, "coupon_id", c.number)
		b = appendField(b, "stock_id", c.stock)
		b = appendField(b, "key", c.request)
		b = appendField(b, "user", c.user)
		b = appendNumber(b, "value", c.value)
		b = appendField(b, "currency", currency)
		b = appendMoment(b, "issued_at", c.at)
		b = appendMoment(b, "valid_from", c.from)
		b = appendMoment(b, "valid_until", c.until)
		b = appendIDField(b, "order_id", orderPrefix, c.order)
		b = appendMoment(b, "redeemed_at", c.redeemed)
		b = appendField(b, "redeemed_by", c.redeemer)
		return e.line(append(b, "}\n"...))
	}))
}

// bookedStocks is GET /books/stocks. Coupons are issued from the opening on, also
// those that can be redeemed only later; a pause that lasts has an empty end.
func (f *face) bookedStocks(w http.ResponseWriter, r *http.Request) {
	f.summarise(w, r, func(e *export, s *summary) (err error) {
		for _, st := range s.stocks {
			b := append(e.buf, '{')
			b = appendField(b, "stock_id", st.id)
			b = appendNumber(b, "coupons", st.coupons)
			b = appendNumber(b, "per_user", st.perUser)
			b = appendMoment(b, "valid_from", 0)
			b = appendMoment(b, "valid_until", st.until)
			b = append(b, `,"paused":[`...)
			for i, p := range st.paused {
				if i > 0 {
					b = append(b, ',')
				}
				b = appendMoment(append(b, '{'), "from", p.from)
				b = append(appendMoment(b, "until", p.until), '}')
			}
			err = errors.Join(err, e.line(append(b, "]}\n"...)))
		}
		return err
	})
}

// bookedSeats is GET /books/seats.
func (f *face) bookedSeats(w http.ResponseWriter, r *http.Request) {
	f.summarise(w, r, func(e *export, s *summary) (err error) {
		for _, at := range s.seats {
			b := appendField(append(e.buf, '{'), "item", at.item)
			err = errors.Join(err, e.line(append(appendNumber(b, "seats", at.of), "}\n"...)))
		}
		return err
	})
}

// summarise exports lines from a summary of the books.
func (f *face) summarise(w http.ResponseWriter, r *http.Request, lines func(*export, *summary) error) {
	e := export{w: w}
	s, err := f.shop.books.Summary(r.Context())
	if err == nil {
		err = lines(&e, &s)
	}
	e.end(err)
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
		b = appendNumber(b, "orders", s.orders)
		b = appendNumber(b, "amount", s.amount)
		b = appendField(b, "currency", currency)
		b = append(b, `,"coupons":{`...)
		b = appendField(b, "stock_id", f.options.StockID)
		b = appendNumber(b, "stock", f.options.Stock)
		b = appendNumber(b, "per_user", f.options.PerUser)
		b = appendNumber(b, "issued", s.issued)
		b = appendNumber(b, "redeemed", s.redeemed)
		b = append(b, '}')
		b = appendNumber(b, "bills", s.bills)
		b = append(b, `,"seats":{`...)
		for i, at := range s.seats {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, at.item), ":{"...)
			b = appendNumber(b, "of", at.of)
			b = append(appendNumber(b, "sold", at.sold), '}')
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
