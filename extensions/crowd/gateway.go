package crowd

import (
	"context"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
)

// A gateway is the connections that shoppers share, where they do: each is taken
// for a step and given back after it. The last one given back is taken first, so
// that no more are kept in use than are needed at once. What a backend knows a
// shopper by is in its requests, never in the connection. The engine's lock
// guards it. Those that several use at once are trunks.
type gateway struct {
	device wire.Device // its TLS session, resumed by each connection
	idle   []*wire.Conn
}

// take returns an idle connection, nil when there is none. It may have died
// meanwhile.
func (g *gateway) take() *wire.Conn {
	last := len(g.idle) - 1
	if last < 0 {
		return nil
	}
	c := g.idle[last]
	g.idle[last], g.idle = nil, g.idle[:last]
	return c
}

// close closes what is idle, once nobody takes anything any more.
func (g *gateway) close() {
	for c := g.take(); c != nil; c = g.take() {
		c.Close()
	}
}

// device returns what a shopper connects with.
func (e *Engine) device(s *Shopper) *wire.Device {
	if e.Pooled {
		return &e.gateway.device
	}
	return &s.device
}

// reuse gets the shopper a connection that is open already, and says whether
// there was one.
func (e *Engine) reuse(s *Shopper) bool {
	if s.conn != nil {
		if s.conn.Reusable() {
			return true
		}
		e.hangUp(s)
	}
	if !e.Pooled || s.talks {
		return false
	}
	if e.Shared {
		c, k := e.trunks.take(s.shunned)
		e.board(s, c, k)
		return c != nil
	}
	for e.borrow(s) {
		if s.conn.Reusable() {
			return true
		}
		e.hangUp(s)
	}
	return false
}

// borrow connects the shopper to the backend by an idle connection, if there is
// one.
func (e *Engine) borrow(s *Shopper) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	s.conn = e.gateway.take()
	return s.conn != nil
}

// open gets the shopper a connection that it dials, or a branch of one that
// somebody does.
func (e *Engine) open(ctx context.Context, s *Shopper) error {
	dial := func() (*wire.Conn, error) {
		c, err := e.Dialer.Dial(ctx, e.device(s))
		if err == nil {
			s.opened++
		}
		return c, err
	}
	if e.Pooled && e.Shared {
		c, k, err := e.trunks.join(ctx, s.shunned, dial)
		e.board(s, c, k)
		return err
	}
	c, err := dial()
	if err == nil {
		e.connect(s, c)
	}
	return err
}

// rest is after a step: the connection gives its buffers back, and goes back
// itself if it is a shared one.
func (e *Engine) rest(s *Shopper) {
	if s.conn == nil {
		return
	}
	s.conn.Rest()
	if !e.Pooled || s.talks { // a conversation is one shopper's
		return
	}
	if s.conn.Spent() || s.trunk != nil {
		e.hangUp(s)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gateway.idle, s.conn = append(e.gateway.idle, s.conn), nil
}

// connect gives the shopper a connection, or nil, and returns the one it had.
// Who cancels a shopper may be looking.
func (e *Engine) connect(s *Shopper, c *wire.Conn) (had *wire.Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	had, s.conn = s.conn, c
	return had
}

// pickUp makes the one of a shopper's connections current that talks, or the one
// for everything else: a conversation over a socket goes on while it buys.
func (e *Engine) pickUp(s *Shopper, talks bool) {
	if talks != s.talks {
		s.other = e.connect(s, s.other)
		s.talks = talks
	}
}

// part closes all that the shopper has open.
func (e *Engine) part(s *Shopper) {
	e.hangUp(s)
	e.pickUp(s, !s.talks)
	e.hangUp(s)
}

// hangUp closes the shopper's current connection, or its branch of one.
func (e *Engine) hangUp(s *Shopper) {
	if c := e.connect(s, nil); c != nil {
		c.Close()
	}
	if s.trunk != nil {
		e.trunks.give(s.trunk)
		s.trunk = nil
	}
}

// board gives the shopper a branch, if there is one.
func (e *Engine) board(s *Shopper, c *wire.Conn, k *trunk) {
	if c != nil {
		e.connect(s, c)
		s.trunk = k
	}
}
