package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// HTTP/2 goes through net/http: one request at a time on a Conn, which is a
// connection of its own, or a branch of one that carries many; see Branch.
// http.ClientConn never dials again, never sends a request a second time,
// follows no redirect and uses no proxy. What comes back is turned into what an
// HTTP/1.1 answer is here: a head of lines, and a body that is read from the
// connection, so that limits, patience and evidence are the same.
//
// Rejected: frames without net/http, as HTTP/1.1 has it. Flow control and header
// compression are state that somebody has to read for while a shopper thinks.

// Buffers for what a target sends unread: what a hostile one may fill.
const (
	streamWindow     = 256 << 10
	connectionWindow = 512 << 10
)

// newHTTP2 returns what makes HTTP/2 of connections that were opened before, TLS
// included: see overHTTP2.
func newHTTP2(shared bool) *http.Transport {
	opened := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return ctx.Value(openedKey{}).(net.Conn), nil
	}
	t := &http.Transport{
		DialContext: opened, DialTLSContext: opened,
		DisableCompression:     true, // nothing is asked for, and nothing unpacked
		MaxResponseHeaderBytes: maxHead,
		Protocols:              new(http.Protocols),
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerConnection: connectionWindow,
			MaxReceiveBufferPerStream:     streamWindow,
			MaxReadFrameSize:              16 << 10,
		},
	}
	if shared {
		t.HTTP2.MaxReceiveBufferPerConnection, t.HTTP2.WriteByteTimeout = sharedWindow, stuck
	}
	t.Protocols.SetHTTP2(true)
	t.Protocols.SetUnencryptedHTTP2(true)
	return t
}

// openedKey finds an open connection in a context.
type openedKey struct{}

// overHTTP2 speaks HTTP/2 on an open connection.
func (t *Target) overHTTP2(ctx context.Context, raw net.Conn) (net.Conn, error) {
	scheme, socket := "http", raw
	if secure, ok := raw.(*tls.Conn); ok {
		if p := secure.ConnectionState().NegotiatedProtocol; p != "h2" {
			return nil, fmt.Errorf("the target does not speak HTTP/2: by ALPN it chose %q", p)
		}
		scheme, socket = "https", secure.NetConn()
	}
	var greeted *greeting
	if t.Shared {
		greeted = newGreeting(raw)
		raw = greeted
	}
	client, err := t.http2.NewClientConn(context.WithValue(ctx, openedKey{}, raw), scheme, raw.RemoteAddr().String())
	if err != nil {
		return nil, err
	}
	h := &http2Conn{Conn: raw, socket: socket, client: client, scheme: scheme}
	if greeted != nil {
		if err := greeted.wait(ctx, h); err != nil {
			h.Close()
			return nil, err
		}
	}
	return h, nil
}

// An http2Conn is an HTTP/2 connection as Conn sees one: what is read from it is
// the body of the answer that do has got the head of.
type http2Conn struct {
	net.Conn          // with TLS, if there is any
	socket   net.Conn // below it
	client   *http.ClientConn
	scheme   string
	body     io.ReadCloser

	branch   bool // of a connection that goes on without it
	reserved bool // a branch's: there is room for its next request

	mu    sync.Mutex
	until time.Time   // the deadline; zero: none
	alarm *time.Timer // for it, while a request runs
	over  func()      // ends the request that runs; nil if none does
	late  bool        // it was ended
}

// do sends the request that is rendered in c's buffers, and reads the head of
// its answer.
func (h *http2Conn) do(c *Conn, method string) error {
	b := c.buf
	b.out = bytes.Replace(b.out, []byte(" HTTP/1.1\r\n"), []byte(" HTTP/2\r\n"), 1) // as evidence shows it
	head, body, _ := bytes.Cut(b.out, []byte("\r\n\r\n"))
	line, lines := cut(head, '\n')
	ctx, cancel := context.WithCancel(context.Background())
	req := (&http.Request{
		Method: method, Host: c.target.host,
		URL:           &url.URL{Scheme: h.scheme, Host: c.target.host, Opaque: string(bytes.Split(line, []byte(" "))[1])},
		Header:        http.Header{"User-Agent": nil}, // else net/http names itself
		Body:          http.NoBody,
		ContentLength: int64(len(body)),
	}).WithContext(ctx)
	if len(body) > 0 {
		// A copy: the request may still be on its way when the buffers are given back.
		req.Body = io.NopCloser(bytes.NewReader(bytes.Clone(body)))
	}
	for len(lines) > 0 {
		line, lines = cut(lines, '\n')
		name, value := cut(line, ':')
		if !equalFold(name, "Host") && !equalFold(name, "Content-Length") {
			req.Header.Add(string(name), string(bytes.TrimSuffix(trim(value), []byte("\r"))))
		}
	}
	over := func() { cancel(); h.socket.Close() }
	if h.branch {
		if err := h.reserve(); err != nil {
			return &Error{Unprocessed, err} // nothing was sent
		}
		over, h.reserved = cancel, false // used up, whatever comes of it
	}
	h.body = nil
	h.begin(over)
	answer, err := h.client.RoundTrip(req)
	if err != nil {
		if err = h.wrong(err); unprocessed(err) {
			err = &Error{Unprocessed, err}
		}
		return err
	}
	h.body = answer.Body
	a := &c.answer
	a.At, a.Status, a.body, a.keep = time.Now(), answer.StatusCode, byClose, true
	b.head = appendHead(b.head, answer)
	if answer.ContentLength > maxBody {
		return malformed("a body of %d bytes, at most %d are read", answer.ContentLength, maxBody)
	}
	return a.plain(a.Field("Content-Encoding"))
}

// appendHead renders an answer's head as the lines that a Response reads.
func appendHead(b []byte, r *http.Response) []byte {
	b = append(b, "HTTP/2 "...)
	b = strconv.AppendInt(b, int64(r.StatusCode), 10)
	b = append(b, '\n')
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		for _, value := range r.Header[name] {
			b = append(b, name...)
			b = append(b, ": "...)
			b = append(b, value...)
			b = append(b, '\n')
		}
	}
	return b
}

// Read implements net.Conn: it reads the answer's body.
func (h *http2Conn) Read(b []byte) (int, error) {
	if h.body == nil {
		return 0, net.ErrClosed
	}
	n, err := h.body.Read(b)
	switch {
	case err == io.EOF:
		h.end()
	case err != nil && n == 0:
		err = h.wrong(err)
	}
	return n, err
}

// SetDeadline implements net.Conn. What is not over by then is broken off, and
// the connection with it, unless this is a branch.
func (h *http2Conn) SetDeadline(until time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.until = until
	h.arm()
	return nil
}

// begin notes that a request runs, and how to end it.
func (h *http2Conn) begin(over func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = over
	h.arm()
}

// arm sets the alarm for the deadline of the request that runs; h.mu is held.
func (h *http2Conn) arm() {
	if h.alarm != nil {
		h.alarm.Stop()
		h.alarm = nil
	}
	switch left := time.Until(h.until); {
	case h.over == nil || h.until.IsZero():
	case left <= 0:
		h.late = true
		h.over()
	default:
		h.alarm = time.AfterFunc(left, func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.over != nil && !h.until.IsZero() && !time.Now().Before(h.until) { // else it was moved
				h.late = true
				h.over()
			}
		})
	}
}

// end notes that no request runs any more.
func (h *http2Conn) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = nil
	h.arm()
}

// wasLate says whether a request was ended.
func (h *http2Conn) wasLate() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.late
}

// wrong says what an error of net/http means: the deadline, an answer that
// breaks HTTP/2 or a limit, or else a connection or a stream that ended.
func (h *http2Conn) wrong(err error) error {
	late := h.wasLate()
	h.end()
	switch {
	case late:
		return fmt.Errorf("%w: %w", os.ErrDeadlineExceeded, err)
	case breaks(err):
		return malformed("%w", err)
	}
	return err
}

// breaks says whether an error is net/http's own finding that an answer breaks
// HTTP/2 or a limit. Most have no type that others can name.
func breaks(err error) bool {
	var stream streamError
	if errors.As(err, &stream) {
		return !stream.fromPeer()
	}
	text := err.Error()
	return slices.ContainsFunc([]string{"connection error: ", "frame too large", "more than declared Content-Length"},
		func(s string) bool { return strings.Contains(text, s) })
}

// A streamError is http2.StreamError of golang.org/x/net, which net/http's own
// is taken for by errors.As: see its h2_error.go.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e streamError) fromPeer() bool {
	return e.Cause != nil && e.Cause.Error() == "received from peer"
}

// unprocessed says whether an error that came in place of an answer means that
// the other side has not begun with the request: it refused the stream, or went
// away before that one. Of the latter net/http says so in words alone.
func unprocessed(err error) bool {
	var stream streamError
	if errors.As(err, &stream) {
		const refused = 7 // REFUSED_STREAM
		return stream.Code == refused && stream.fromPeer() && !errors.Is(err, os.ErrDeadlineExceeded)
	}
	switch err.Error() {
	case "http2: Transport received Server's graceful shutdown GOAWAY", // its stream is above the last one
		"http2: client conn not usable": // it came before anything was sent
		return true
	}
	return false
}

// Error implements error.
func (e streamError) Error() string { return fmt.Sprintf("stream error %d: %v", e.Code, e.Cause) }

// usable says whether the other side takes another request. What was ended is of
// no more use, even if the answer had come.
func (h *http2Conn) usable() bool {
	if h.wasLate() {
		return false
	}
	if h.branch { // there are other connections, or one can be opened: no wait
		return h.reserve() == nil
	}
	// Where there is room for one stream, or for no more because the other side
	// goes away, the one that has just ended may take it for a moment still.
	for end := time.Now().Add(50 * time.Millisecond); h.client.Available() == 0 && h.client.InFlight() > 0 && time.Now().Before(end); {
		time.Sleep(20 * time.Microsecond) // polls: nothing tells
	}
	return h.client.Err() == nil && h.client.Available() > 0
}

// Close implements net.Conn. It waits for nobody: without its socket the rest
// ends at once. A branch has no socket of its own: see finish.
func (h *http2Conn) Close() error {
	if h.branch {
		h.leave()
		return nil
	}
	h.end()
	err := h.socket.Close()
	h.client.Close() // finds it closed
	return err
}
