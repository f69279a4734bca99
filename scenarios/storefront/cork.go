package storefront

import (
	"net"
	"sync"
)

// net/http writes through 4 KB of buffer, so that a whole stream would leave
// in several writes. A corked connection holds them back and sends them as one.

// corkKey finds a request's connection in its context.
type corkKey struct{}

type corkListener struct{ net.Listener }

// Accept implements net.Listener.
func (l corkListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &corkConn{Conn: c}, nil
}

// A corkConn is used by one goroutine at a time, as net/http writes.
type corkConn struct {
	net.Conn
	held *[]byte // nil when not corked
}

// Write implements net.Conn.
func (c *corkConn) Write(p []byte) (int, error) {
	if c.held == nil {
		return c.Conn.Write(p)
	}
	*c.held = append(*c.held, p...)
	return len(p), nil
}

// cork holds writes back in a buffer from pool until uncork.
func (c *corkConn) cork(pool *sync.Pool) { c.held = takeBuffer(pool) }

// uncork sends what was held back, in one write.
func (c *corkConn) uncork(pool *sync.Pool) error {
	held := c.held
	c.held = nil
	_, err := c.Conn.Write(*held)
	putBuffer(pool, held)
	return err
}

// takeBuffer returns an empty buffer, from pool if it has one.
func takeBuffer(pool *sync.Pool) *[]byte {
	if b, ok := pool.Get().(*[]byte); ok {
		*b = (*b)[:0]
		return b
	}
	b := make([]byte, 0, 4<<10)
	return &b
}

// putBuffer gives b back, unless it has grown so far that it isn't worth keeping.
func putBuffer(pool *sync.Pool, b *[]byte) {
	if cap(*b) <= 64<<10 {
		pool.Put(b)
	}
}
