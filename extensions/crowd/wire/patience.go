package wire

import (
	"errors"
	"os"
	"time"
)

// patience sets until when the connection is waited for; zero is for ever. A
// cancel that came before stands.
//
// Nearly every wait ends long before its patience does, and to tell the poller of
// each is work for its timers. So an earlier deadline that it has stays: who is
// woken by that one waits on, see ongoing.
func (c *Conn) patience(until time.Time) {
	c.until = until
	if c.lazy() && !c.armed.IsZero() && (until.IsZero() || !until.Before(c.armed)) {
		return
	}
	c.arm()
}

// lazy says that the poller may wake this connection before its patience is over.
// It is for requests on sockets of our own: TLS and net/http set deadlines
// themselves, and WebSocket one for reading alone.
func (c *Conn) lazy() bool {
	_, ok := c.raw.(*tcp)
	return ok && !c.socket
}

// arm makes the poller's deadline the connection's own.
func (c *Conn) arm() {
	c.armed = c.until
	c.raw.SetDeadline(c.until) // a closed connection will say so when it is read
	if c.cancel.Load() {
		c.raw.SetDeadline(past)
	}
}

// ongoing says of a wait that failed that it goes on: only the poller's deadline
// was over, and now it has the connection's own.
func (c *Conn) ongoing(err error) bool {
	over := !c.until.IsZero() && !time.Now().Before(c.until)
	if over || !c.lazy() || c.cancel.Load() || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	c.arm()
	return true
}

// past is a deadline that is over, whatever the clock says.
var past = time.Unix(1, 0)

// Cancel makes what the connection is doing, and whatever it is asked to do
// from now on, fail as canceled. It may be called from any goroutine.
func (c *Conn) Cancel() {
	c.cancel.Store(true)
	c.raw.SetDeadline(past)
}
