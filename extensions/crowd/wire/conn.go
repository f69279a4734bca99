package wire

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// A Conn is one connection to a target. One goroutine uses it at a time;
// Cancel alone may come from another. At rest it holds no buffers.
type Conn struct {
	raw    net.Conn
	target *Target
	dirty  bool // an answer was not read to its end, or forbids another request
	used   bool // a request was sent on it
	cancel atomic.Bool
	until  time.Time // how long it is waited for; see patience
	armed  time.Time // the poller's deadline, not later than that; zero: none
	buf    *buffers  // nil at rest

	unprocessed bool // the last request was not

	socket   bool // it went over to WebSocket; see socket.go
	spent    bool // and must not be used for another message
	began    bool // of a message that is not whole something was read
	frames   int  // of this answer
	controls int  // of them, pings and pongs

	answer Response // of the last request
	events Events   // of that answer
}

// New makes a connection of any stream, such as one end of a net.Pipe.
func New(raw net.Conn, t *Target) *Conn { return &Conn{raw: raw, target: t} }

// buffers are borrowed for a step.
type buffers struct {
	in   []byte // read from the socket: in[r:w] is not yet taken
	r, w int
	out  []byte // the request
	head []byte // of the answer
	line []byte // a line of an event that came in pieces
	part []byte // a line of the head, or between chunks, that came in pieces
	data []byte // an event's data, or a whole body
	seen []byte // the beginning of the body, for evidence

	known   string   // the last value of a header that was given out, to be used again
	secrets []string // of whoever sends, for this exchange
	scratch Scratch

	turn      func(fd uintptr) bool // writeThenRead; see tcp.poll
	writes    bool                  // out is still to be written
	sent, got int
	wrong     error
}

var pool = sync.Pool{New: func() any { return &buffers{in: make([]byte, 8<<10)} }}

// A Scratch is memory in which a step makes its request. Who grows a slice puts
// the longer one in its place, for the next step.
type Scratch struct {
	Head, Body []byte
	Parts      [4][]byte // of the body, when it has several
}

// Scratch returns the connection's. It is valid until Rest; what its slices
// hold is nobody's.
func (c *Conn) Scratch() *Scratch { return &c.borrow().scratch }

// borrow returns the connection's buffers, and gets it some if it is at rest.
func (c *Conn) borrow() *buffers {
	if c.buf == nil {
		c.buf = pool.Get().(*buffers)
		c.buf.r, c.buf.w = 0, 0
		c.buf.out, c.buf.seen, c.buf.head = c.buf.out[:0], c.buf.seen[:0], c.buf.head[:0]
	}
	return c.buf
}

// keepAtMost is the largest buffer that goes back to the pool: one giant answer
// must not pin its size for ever.
const keepAtMost = 64 << 10

// errSpent is the cause when a request is asked of a connection that can't take
// another one. Nothing was sent.
var errSpent = errors.New("the connection can't take another request: its last answer forbids it or was not read to its end")

// Do sends a request and reads the head of its answer. The response, and what
// it gives out, is valid until the next Do or Rest.
func (c *Conn) Do(req *Request) (*Response, error) {
	if c.dirty {
		return nil, &Error{Lost, errSpent}
	}
	b := c.borrow()
	b.r, b.w, b.secrets = 0, 0, nil
	b.head, b.seen, b.data, b.line, b.part = b.head[:0], b.seen[:0], b.data[:0], b.line[:0], b.part[:0]
	b.out = c.render(b.out[:0], req)
	c.answer = Response{c: c, deadline: req.Deadline, bodiless: req.Method == "HEAD", upgrade: req.upgrade}
	fresh := !c.used
	c.dirty, c.used = true, true // until the answer's end says otherwise
	c.unprocessed = false

	first := req.First
	if first.IsZero() || !req.Deadline.IsZero() && first.After(req.Deadline) {
		first = req.Deadline
	}
	c.patience(first)
	if h, ok := c.raw.(*http2Conn); ok {
		if err := h.do(c, req.Method); err != nil {
			err = c.fail(err)
			var known *Error
			c.unprocessed = errors.As(err, &known) && known.Kind == Unprocessed
			return nil, err
		}
		return &c.answer, nil
	}
	rest := b.out
	switch s, ok := c.raw.(*tcp); {
	case ok && fresh: // somebody may have spoken on it before we do
		rest = b.out[s.send(b.out):]
	case ok:
		sent, read, err := s.exchange(c)
		switch {
		case err != nil && sent < len(b.out):
			return c.early(err)
		case err != nil:
			return nil, c.fail(err)
		case read > 0:
			b.w, c.answer.At = read, time.Now()
		}
		rest = b.out[sent:]
	}
	if len(rest) > 0 {
		if err := c.write(rest); err != nil {
			return c.early(err)
		}
	}
	if err := c.answer.readHead(); err != nil {
		return nil, err
	}
	return &c.answer, nil
}

// write writes what did not go out at once.
func (c *Conn) write(rest []byte) error {
	for {
		n, err := c.raw.Write(rest)
		if err == nil || !c.ongoing(err) {
			return err
		}
		rest = rest[n:]
	}
}

// early is for a request that could not be written whole: who refuses it before
// its end may have answered all the same. The connection is not used again.
func (c *Conn) early(cause error) (*Response, error) {
	if errors.Is(cause, os.ErrDeadlineExceeded) {
		return nil, c.fail(cause)
	}
	err := c.answer.readHead()
	c.answer.keep, c.dirty = false, true
	switch {
	case err == nil:
		return &c.answer, nil
	case c.answer.At.IsZero(): // no answer: how the write failed says more
		return nil, c.fail(cause)
	}
	return nil, err
}

// render writes the request's bytes.
func (c *Conn) render(b []byte, req *Request) []byte {
	b = append(b, req.Method...)
	b = append(b, ' ')
	b = append(b, c.target.path...)
	b = append(b, req.Path...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, c.target.host...)
	b = append(b, "\r\n"...)
	b = append(b, req.Header...)
	b = append(b, req.Extra...)
	size := 0
	for _, part := range req.Body {
		size += len(part)
	}
	if size > 0 || req.Method != "GET" && req.Method != "HEAD" {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(size), 10)
		b = append(b, "\r\n"...)
	}
	b = append(b, "\r\n"...)
	for _, part := range req.Body {
		b = append(b, part...)
	}
	return b
}

// Target returns the target's name, with its port if the URL has one, and the
// path that stands before every request's.
func (c *Conn) Target() (host, path string) { return c.target.host, c.target.path }

// Reusable says whether another request may be sent: the last answer was read
// to its end and allows it, and the other side has not closed meanwhile.
func (c *Conn) Reusable() bool {
	if c.socket {
		return c.fit()
	}
	if c.Spent() {
		return false
	}
	if h, ok := c.raw.(*http2Conn); ok {
		return h.usable()
	}
	return !c.used || !closedByPeer(c.raw)
}

// Spent says that the connection takes no other request, as far as can be told
// without looking at it: its last answer forbids it or was not read to its end,
// or it was canceled.
func (c *Conn) Spent() bool { return c.dirty || c.cancel.Load() }

// Unprocessed says that the last request can be sent again on another connection
// as if it had never been sent: the other side has not begun with it, as RFC 9113
// says in 6.8 and 8.7. HTTP/1.1 never tells.
func (c *Conn) Unprocessed() bool { return c.unprocessed }

// Rest gives the buffers back. Whatever the last response gave out is invalid.
func (c *Conn) Rest() {
	b := c.buf
	if b == nil {
		return
	}
	if c.socket && !c.spent && b.r < b.w { // the beginning of a message would be lost
		b.out = b.out[:0]
		return
	}
	c.buf = nil
	for _, p := range []*[]byte{&b.out, &b.head, &b.line, &b.part, &b.data, &b.seen, &b.scratch.Head, &b.scratch.Body} {
		if cap(*p) > keepAtMost {
			*p = nil
		}
	}
	clear(b.scratch.Parts[:]) // somebody's conversation
	pool.Put(b)
}

// Close closes the connection. It does not wait for the other side.
func (c *Conn) Close() error {
	c.partWays()
	c.Rest()
	if t, ok := c.raw.(*tls.Conn); ok && c.dirty {
		// A farewell would wait for room to be written, up to five seconds.
		return t.NetConn().Close()
	}
	return c.raw.Close()
}

// fill reads once from the socket, when everything read before was taken, and
// notes when.
func (c *Conn) fill() error {
	b := c.buf
	if c.answer.drains { // nearly always the end has come with the rest, and nothing is waited for
		c.answer.drains = false
		c.patience(earlier(time.Now().Add(drainFor), c.answer.deadline))
	}
	var n int
	var err error
	if s, ok := c.raw.(*tcp); ok {
		n, err = s.receive(c)
	} else {
		n, err = c.raw.Read(b.in)
	}
	b.r, b.w = 0, n
	if n > 0 {
		c.answer.At = time.Now()
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// fail gives an error of the socket its kind. What it returns is never io.EOF,
// not even wrapped: that means a body's proper end.
func (c *Conn) fail(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	a := &c.answer
	var known *Error
	switch {
	case c.cancel.Load():
		return &Error{Canceled, err}
	case errors.As(err, &known):
		return known
	case errors.Is(err, os.ErrDeadlineExceeded):
		if a.answering {
			return &Error{Stalled, fmt.Errorf("the answer had begun and was not complete in time: %w", err)}
		}
		return &Error{TimedOut, err}
	case a.At.IsZero():
		return &Error{Lost, fmt.Errorf("the connection ended before any answer: %w", err)}
	default:
		return &Error{Truncated, fmt.Errorf("the connection ended inside the answer: %w", err)}
	}
}
