package wire

import (
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/gobwas/ws"
)

// A connection may go over to WebSocket (RFC 6455) and then carries messages
// both ways, with the same patience, limits and evidence. The handshake is a
// request like any other; frames are taken apart by gobwas/ws, which works on
// any reader and so needs neither goroutines nor buffers of its own, as the
// clients that bring their own connection do. No extension is offered: what is
// compressed would cost the generator what it is there to measure.

// Limits against hostile sockets, for each answer; beside those on events and
// bodies.
const (
	maxFrames  = 1 << 16
	maxControl = 256 // pings and pongs
)

// Closed is the error of a socket that the other side closed as the protocol
// has it.
type Closed struct {
	Code   int // 1005 if it gave none
	Reason string
}

// Error implements error.
func (e *Closed) Error() string {
	return fmt.Sprintf("the socket was closed with %d %s", e.Code, Clip(e.Reason))
}

// accepted returns what a server answers a handshake's key with.
func accepted(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Upgrade sends a GET that asks to go over to WebSocket. When the answer is a
// 101, Send and Receive may follow; any other is an answer as that of Do.
func (c *Conn) Upgrade(req *Request, nonce [16]byte) (*Response, error) {
	key := base64.StdEncoding.EncodeToString(nonce[:])
	asks := *req
	asks.Method = "GET"
	asks.Extra = append(asks.Extra, "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "+key+"\r\n"...)
	asks.upgrade = accepted(key)
	return c.Do(&asks)
}

// upgraded checks the answer that goes over to WebSocket.
func (r *Response) upgraded() error {
	if !equalFold(r.Field("Upgrade"), "websocket") || !containsToken(r.Field("Connection"), "upgrade") || r.Header("Sec-WebSocket-Accept") != r.upgrade {
		return malformed("the answer goes over to something else than the WebSocket that was asked for")
	}
	if r.Header("Sec-WebSocket-Extensions") != "" {
		return malformed("the answer uses an extension that was not offered")
	}
	r.c.socket, r.end = true, io.EOF
	r.c.arm() // it was lazy until here
	return nil
}

// Socket says whether the connection went over to WebSocket.
func (c *Conn) Socket() bool { return c.socket }

// Send sends a message of text and begins to wait for the answer. The times are
// those of a Request. What was received before it in the same step is no part of
// the answer.
func (c *Conn) Send(text []byte, first, deadline time.Time) error {
	fresh := c.buf != nil && len(c.buf.out) > 0 // the handshake is of this step
	b := c.borrow()
	if !fresh {
		b.secrets, b.seen = nil, b.seen[:0]
		b.out = append(b.out[:0], "WebSocket message\r\n\r\n"...)
		b.head = append(b.head[:0], "WebSocket messages\n"...)
	}
	b.out = append(b.out, text...)
	c.answer.deadline, c.answer.At, c.answer.answering, c.answer.read = deadline, time.Time{}, false, 0
	c.frames, c.controls = 0, 0
	if first.IsZero() || !deadline.IsZero() && first.After(deadline) {
		first = deadline
	}
	c.patience(first)
	return c.frame(ws.NewTextFrame(text))
}

// Answer returns the last answer. Over a socket its time and patience are those
// of the message that is waited for.
func (c *Conn) Answer() *Response { return &c.answer }

// Spend ends the use of the socket: what is still to come on it would be taken
// for the answer to something else.
func (c *Conn) Spend() { c.spent = true }

// frame writes one frame in one write.
func (c *Conn) frame(f ws.Frame) error {
	bytes, err := ws.CompileFrame(ws.MaskFrame(f))
	if err == nil {
		_, err = c.raw.Write(bytes)
	}
	if err != nil {
		c.spent = true
		return c.fail(err)
	}
	return nil
}

// Receive returns the next message, complete at the answer's At and
// valid until the next Receive or Rest. It answers pings. When the other side
// closes the socket the error is a *Closed. After an error the socket is spent.
func (c *Conn) Receive() (Event, error) {
	data, err := c.message(false)
	if err != nil {
		c.spent = true
		return Event{}, err
	}
	b := c.buf
	if c.answer.read += int64(len(data)) + 1; c.answer.read > maxBody {
		c.spent = true
		return Event{}, malformed("messages of more than %d bytes together", maxBody)
	}
	if room := c.target.evidence() - len(b.seen); room > 0 {
		b.seen = append(append(b.seen, data[:min(room-1, len(data))]...), '\n')
	}
	return Event{Data: data}, nil
}

// message reads frames up to the end of a message, or to a ping, a pong or a
// close between messages if that is enough.
func (c *Conn) message(enough bool) ([]byte, error) {
	b := c.buf
	b.data = b.data[:0]
	for state := ws.StateClientSide; ; {
		if !state.Fragmented() {
			c.began = false
		}
		h, err := c.frameHead(state)
		if err != nil {
			return nil, err
		}
		if c.frames++; c.frames > maxFrames {
			return nil, malformed("an answer of more than %d frames", maxFrames)
		}
		if h.Length > maxEvent-int64(len(b.data)) {
			return nil, malformed("a message of more than %d bytes", maxEvent)
		}
		start := len(b.data)
		b.data = append(b.data, make([]byte, h.Length)...)
		payload := b.data[start:]
		if _, err := io.ReadFull(octets{c}, payload); err != nil {
			return nil, c.fail(err)
		}
		if h.OpCode.IsControl() {
			b.data = b.data[:start]
			if err := c.control(h.OpCode, payload); err != nil || enough && !state.Fragmented() {
				return nil, err
			}
			continue
		}
		if h.Fin {
			return b.data, nil
		}
		state = state.Set(ws.StateFragmented)
	}
}

// frameHead reads the head of a frame and checks it.
func (c *Conn) frameHead(state ws.State) (ws.Header, error) {
	in := &watched{octets: octets{c}}
	h, err := ws.ReadHeader(in)
	switch {
	case in.err != nil:
		return h, c.fail(in.err)
	case err == nil:
		err = ws.CheckHeader(h, state)
	}
	if err != nil {
		return h, malformed("a frame: %v", err)
	}
	return h, nil
}

// control takes a ping, a pong or a close.
func (c *Conn) control(op ws.OpCode, payload []byte) error {
	if c.controls++; c.controls > maxControl {
		return malformed("more than %d pings and pongs for one answer", maxControl)
	}
	switch op {
	case ws.OpPing:
		return c.frame(ws.NewPongFrame(payload))
	case ws.OpClose:
		code, reason := ws.ParseCloseFrameData(payload)
		if len(payload) < 2 {
			code = ws.StatusNoStatusRcvd
		}
		c.frame(ws.NewCloseFrame(nil)) // manners: what comes of it changes nothing
		return &Closed{int(code), reason}
	}
	return nil
}

// arrivedFor is how long it may take to read and answer what has arrived since
// the last answer.
const arrivedFor = 100 * time.Millisecond

// fit says whether a socket may be used for another message. What came since the
// last answer is taken: a ping is answered, and messages that nobody asked for
// are dropped.
func (c *Conn) fit() bool {
	if c.spent || c.cancel.Load() {
		return false
	}
	carrier := c.raw
	t, secure := c.raw.(*tls.Conn)
	if secure {
		carrier = t.NetConn()
	}
	if !secure && c.buf == nil && !closedByPeer(carrier) {
		return true
	}
	c.borrow()
	c.frames, c.controls = 0, 0
	end := time.Now().Add(arrivedFor)
	for range maxControl {
		c.patience(end)
		switch quiet := !closedByPeer(carrier); {
		case quiet && !secure && c.buf.r == c.buf.w:
			return !c.cancel.Load()
		case quiet: // TLS does not tell what it holds
			c.raw.SetReadDeadline(time.Now().Add(time.Millisecond))
		case secure: // it may be a ticket, and no message
			c.raw.SetReadDeadline(time.Now().Add(drainFor))
		}
		if _, err := c.message(true); err != nil {
			c.spent = c.began || !errors.Is(err, os.ErrDeadlineExceeded)
			return !c.spent && !c.cancel.Load()
		}
	}
	c.spent = true // it does not stop talking
	return false
}

// partWays says that the socket is not needed any more, and does not wait for
// room to say so.
func (c *Conn) partWays() {
	if c.socket && !c.spent && !c.cancel.Load() {
		c.raw.SetWriteDeadline(time.Now().Add(drainFor))
		c.frame(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, "")))
	}
}

// octets reads what the socket carries.
type octets struct{ c *Conn }

func (o octets) Read(p []byte) (int, error) {
	b := o.c.buf
	if b.r == b.w {
		if err := o.c.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.in[b.r:b.w])
	b.r += n
	o.c.began = o.c.began || n > 0
	return n, nil
}

// watched keeps the error of the socket apart from those of a frame.
type watched struct {
	octets
	err error
}

func (w *watched) Read(p []byte) (n int, err error) {
	n, w.err = w.octets.Read(p)
	return n, w.err
}
