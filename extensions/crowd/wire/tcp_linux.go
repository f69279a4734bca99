package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ownSockets says that plain connections are sockets of our own.
const ownSockets = true

// A tcp is a TCP connection without what net keeps of one: it takes a third
// of the memory and of the time to open, and an exchange on it takes one system
// call less. Only the goroutine that uses the connection closes it.
//
// Its calls do not tell Go's scheduler, as those of package syscall do: the
// socket does not block, so each takes microseconds. Who tells it may find, after
// a busy kernel's 20 µs, that its turn was given to another thread, and the
// thread that looks for such turns looks the more often the more it finds: an
// eighth of an order's processor time.
type tcp struct {
	*os.File // a non-blocking one: the runtime's poller waits for it
	raw      syscall.RawConn
	fd       int
	to       netip.AddrPort
}

// LocalAddr implements net.Conn; nobody asks.
func (s *tcp) LocalAddr() net.Addr { return &net.TCPAddr{} }

// RemoteAddr implements net.Conn.
func (s *tcp) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(s.to) }

// SyscallConn implements syscall.Conn.
func (s *tcp) SyscallConn() (syscall.RawConn, error) { return s.raw, nil }

// dialTCP opens a connection within ctx; from is zero for the system's
// choice.
func dialTCP(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	s, call, err := newTCP(from, to)
	if err == nil {
		call, err = "connect", s.connect(ctx, sockaddr(to))
		if err != nil {
			s.Close()
		}
	}
	if err != nil {
		var number syscall.Errno
		if errors.As(err, &number) {
			err = os.NewSyscallError(call, number)
		}
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(to), Err: err}
	}
	return s, nil
}

// newTCP returns a socket that is not connected, or the system call that
// failed.
func newTCP(from netip.Addr, to netip.AddrPort) (s *tcp, call string, err error) {
	family := syscall.AF_INET
	if to.Addr().Is6() {
		family = syscall.AF_INET6
	}
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, syscall.IPPROTO_TCP)
	if err != nil {
		return nil, "socket", err
	}
	if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1); err != nil {
		syscall.Close(fd)
		return nil, "setsockopt", err
	}
	if from.IsValid() {
		lateport(uintptr(fd))
		if err := syscall.Bind(fd, sockaddr(netip.AddrPortFrom(from, 0))); err != nil {
			syscall.Close(fd)
			return nil, "bind", err
		}
	}
	file := os.NewFile(uintptr(fd), "tcp")
	s = &tcp{File: file, fd: fd, to: to}
	if s.raw, err = file.SyscallConn(); err != nil {
		file.Close()
		return nil, "poll", err
	}
	return s, "", nil
}

func sockaddr(a netip.AddrPort) syscall.Sockaddr {
	if a.Addr().Is4() {
		return &syscall.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &syscall.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}

// connect connects. Asking again says how it stands: on one machine it is done
// by then, and nothing has to be waited for.
func (s *tcp) connect(ctx context.Context, to syscall.Sockaddr) error {
	err := syscall.Connect(s.fd, to)
	if pending(err) {
		err = syscall.Connect(s.fd, to)
	}
	if pending(err) {
		err = s.await(ctx, to)
	}
	if err != nil && err != syscall.EISCONN {
		return err
	}
	// Where nobody listens, a socket of this machine can meet itself.
	if own, err := syscall.Getsockname(s.fd); s.to.Addr().IsLoopback() && err == nil && same(own, to) {
		return syscall.ECONNREFUSED
	}
	return nil
}

// pending says that a connection is still to come.
func pending(err error) bool {
	return err == syscall.EINPROGRESS || err == syscall.EALREADY || err == syscall.EINTR
}

// await waits until the connection stands or has failed.
func (s *tcp) await(ctx context.Context, to syscall.Sockaddr) error {
	until, _ := ctx.Deadline()
	if err := s.SetWriteDeadline(until); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { s.SetWriteDeadline(past) })
	defer stop()
	var result error
	err := s.raw.Write(func(fd uintptr) bool {
		result = syscall.Connect(int(fd), to)
		return !pending(result)
	})
	if err != nil {
		return err
	}
	if !stop() {
		return context.Cause(ctx)
	}
	return errors.Join(result, s.SetWriteDeadline(time.Time{}))
}

func same(a, b syscall.Sockaddr) bool {
	switch a := a.(type) {
	case *syscall.SockaddrInet4:
		b, ok := b.(*syscall.SockaddrInet4)
		return ok && a.Addr == b.Addr && a.Port == b.Port
	case *syscall.SockaddrInet6:
		b, ok := b.(*syscall.SockaddrInet6)
		return ok && a.Addr == b.Addr && a.Port == b.Port
	}
	return false
}

// quiet says, without waiting, that the other side has neither closed nor said
// anything.
func (s *tcp) quiet() bool {
	var b [1]byte
	_, _, err := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd), uintptr(unsafe.Pointer(&b)), 1, unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
	return err == unix.EAGAIN || err == unix.EINTR
}

// exchange sends the request and reads the first bytes of the answer; sent is
// how much went out. An answer never stands in the socket when a request is
// sent, so reading is not tried before the poller has something: the wait begins
// before the write, and can't miss it. A request that does not fit at once is
// left to the caller, who writes the rest and reads then.
func (s *tcp) exchange(c *Conn) (sent, read int, err error) {
	c.buf.sent, c.buf.writes = 0, true
	read, err = s.poll(c)
	return c.buf.sent, read, err
}

// send writes what goes out at once, if the deadline allows it. The rest, and
// what went wrong, is left to Write.
func (s *tcp) send(p []byte) (sent int) {
	_ = s.raw.Write(func(fd uintptr) bool {
		if n, err := transfer(writes, fd, p); err == 0 {
			sent = n
		}
		return true
	})
	return sent
}

// receive reads the next bytes.
func (s *tcp) receive(c *Conn) (read int, err error) {
	c.buf.writes = false
	return s.poll(c)
}

// poll lets the poller call for c's buffers. Who is woken too early has written
// already, unless the deadline was over before: writes says which.
func (s *tcp) poll(c *Conn) (read int, err error) {
	b := c.buf
	if b.turn == nil {
		b.turn = b.writeThenRead
	}
	b.got, b.wrong = 0, nil
	for {
		err := s.raw.Read(b.turn)
		if err == nil {
			return b.got, b.wrong
		}
		if !c.ongoing(err) {
			return 0, err
		}
	}
}

// writeThenRead writes b.out, if that is still to be done, and then reads. The
// poller calls it; false means to wait until there is something to read.
func (b *buffers) writeThenRead(fd uintptr) (done bool) {
	for b.writes {
		n, err := transfer(writes, fd, b.out)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return true
		case err != 0:
			b.wrong = err
			return true
		}
		b.sent, b.writes = n, false
		return n < len(b.out)
	}
	for {
		n, err := transfer(reads, fd, b.in)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return false
		case err != 0:
			b.wrong = err
		case n == 0:
			b.wrong = io.EOF
		default:
			b.got = n
		}
		return true
	}
}

var _ net.Conn = (*tcp)(nil)
