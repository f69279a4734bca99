package wire

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// Limits of a connection with branches. What nobody has read yet of one answer
// must not hold up the others, and a write that is stuck holds up all of them.
const (
	sharedWindow = 4 << 20          // unread, of all answers
	stuck        = 10 * time.Second // nothing is taken for so long: the connection is given up
)

// Branch returns a Conn for one request at a time on c's connection, beside
// those of other branches: nil if there is no room for it now, or never again.
// Room is reserved for its first request. A deadline, Cancel and Close end what
// the branch does and nothing else; c itself sends nothing, and is closed when
// all branches are. The target must be a Shared one. Any goroutine may call it.
func (c *Conn) Branch() *Conn {
	h, ok := c.raw.(*http2Conn)
	if !ok || h.client.Reserve() != nil {
		return nil
	}
	return New(&http2Conn{Conn: h.Conn, socket: h.socket, client: h.client, scheme: h.scheme, branch: true, reserved: true}, c.target)
}

// Room is how many branches there is room for. Any goroutine may call it.
func (c *Conn) Room() int {
	if h, ok := c.raw.(*http2Conn); ok {
		return h.client.Available()
	}
	return 0
}

// Gone says that a connection has no room and no request under way: it ended, or
// the other side takes nothing more on it. Any goroutine may call it.
func (c *Conn) Gone() bool {
	h, ok := c.raw.(*http2Conn)
	return !ok || h.client.Err() != nil || h.client.Available() == 0 && h.client.InFlight() == 0
}

// reserve makes sure of room for a branch's next request.
func (h *http2Conn) reserve() error {
	if h.reserved {
		return h.client.Err()
	}
	h.finish() // it may have the only room there is
	err := h.client.Reserve()
	h.reserved = err == nil
	return err
}

// finish is done with a branch's last request, and breaks it off if its answer
// was not read to its end. There is room for another when it returns, or shortly
// after if a deadline or Cancel had ended it; and for more data, where some was
// left unread.
func (h *http2Conn) finish() {
	h.end()
	if h.body != nil {
		h.body.Close()
		h.body = nil
	}
}

// leave is a branch's Close.
func (h *http2Conn) leave() {
	h.finish()
	if h.reserved {
		h.reserved = false
		h.client.Release()
	}
}

// A greeting is a connection whose first frame from the other side is waited
// for: its settings say how many requests it takes at once, and before they
// have come a hundred are taken for allowed.
type greeting struct {
	net.Conn
	first [3]byte // the frame's length
	got   int     // bytes read
	heard func()  // closes over
	over  chan struct{}
}

func newGreeting(raw net.Conn) *greeting {
	g := &greeting{Conn: raw, over: make(chan struct{})}
	g.heard = sync.OnceFunc(func() { close(g.over) })
	return g
}

// Read implements net.Conn. Who reads on after the first frame has done what it
// says.
func (g *greeting) Read(b []byte) (int, error) {
	const head = 9
	if g.got >= head && g.got >= head+(int(g.first[0])<<16|int(g.first[1])<<8|int(g.first[2])) {
		g.heard()
	}
	n, err := g.Conn.Read(b)
	if g.got < len(g.first) {
		copy(g.first[g.got:], b[:n])
	}
	g.got += n
	return n, err
}

// Close implements net.Conn. net/http closes what breaks HTTP/2 or ends.
func (g *greeting) Close() error {
	g.heard()
	return g.Conn.Close()
}

// wait waits until the other side has said what it takes.
func (g *greeting) wait(ctx context.Context, h *http2Conn) error {
	select {
	case <-g.over:
	case <-ctx.Done():
		return ctx.Err()
	}
	if h.client.Err() != nil {
		return errors.New("the target does not speak HTTP/2, or hung up before it did")
	}
	return nil
}
