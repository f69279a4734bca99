//go:build unix

package wire

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// closedByPeer looks, without waiting, whether the other side has closed an
// idle connection, or said something that nobody asked for. Under TLS there may
// be a session ticket to read, and then it waits a millisecond at most.
func closedByPeer(conn net.Conn) bool {
	if s, ok := conn.(*tcp); ok {
		return !s.quiet()
	}
	t, secure := conn.(*tls.Conn)
	if secure {
		if spoke(t, past) { // what was read from the socket already
			return true
		}
		conn = t.NetConn()
	}
	s, ok := conn.(syscall.Conn)
	if !ok {
		return false // a pipe in a test
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return true
	}
	closed, waiting := false, false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case err == syscall.EAGAIN || err == syscall.EINTR:
		case err != nil || n == 0:
			closed = true
		default:
			waiting = true
		}
	})
	if waiting {
		closed = !secure || spoke(t, time.Now().Add(time.Millisecond))
	}
	return closed || err != nil
}

// spoke says whether a TLS connection gives bytes or its end until a time. It
// changes the read deadline.
func spoke(t *tls.Conn, until time.Time) bool {
	var b [1]byte
	t.SetReadDeadline(until)
	_, err := t.Read(b[:])
	return !errors.Is(err, os.ErrDeadlineExceeded)
}
