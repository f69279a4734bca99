// Package wire is the crowd's own HTTP client: a connection without
// goroutines, buffers borrowed for a step, patience as a read deadline,
// cancelling as a past deadline, and limits against hostile answers. It never
// resends silently: what a shopper sends twice, its persona decided.
//
// HTTP/1.1 is its own. net/http would do more, with two goroutines and some
// kilobytes for each connection, and would hide the moments at which bytes
// arrive; see head.go and framing.go for what is accepted of an answer. HTTP/2
// is net/http's, behind the same Conn: see http2.go.
package wire

import (
	"context"
	"time"
)

// A Dialer opens connections to one target, each for a device; nil is one that
// is used once.
type Dialer interface {
	Dial(ctx context.Context, d *Device) (*Conn, error)
}

// A Request is one request; over HTTP/1.1 it is written in one write.
type Request struct {
	Method string
	Path   string   // after the target's own path; query included
	Header []byte   // rendered once for each shopper: complete lines, each with CRLF; no Host, no Content-Length
	Extra  []byte   // lines of this request alone: traceparent, idempotency key
	Body   [][]byte // parts, written in order; Content-Length is their sum

	First    time.Time // until when something that counts must have come: see Response.Answering; zero: as Deadline
	Deadline time.Time // until when the whole answer must have come; zero: none

	upgrade string // see Conn.Upgrade
}

// Limits against hostile answers. What goes beyond one is malformed.
const (
	maxHead  = 64 << 10 // status line and header
	maxEvent = 1 << 20  // one server-sent event, or one line of it
	maxBody  = 64 << 20 // one answer
	maxLine  = 4 << 10  // a chunk's length line

	maxInterim = 10 // 1xx answers before the one that counts
)
