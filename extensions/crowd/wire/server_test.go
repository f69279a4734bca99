package wire

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

func chunkOf(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }

// canned connects to a TCP server that reads a little of a request, does what
// it is told with the connection, and closes it.
func canned(t testing.TB, serve func(*net.TCPConn)) *Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(30 * time.Second))
		serve(conn.(*net.TCPConn))
	}()
	target, err := NewTarget(Config{URL: "http://" + l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	c, err := target.Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); l.Close(); <-done })
	return c
}

// once reads a request and answers with these bytes; then it waits until the
// client hangs up, unless closes is set.
func once(answer string, closes bool) func(*net.TCPConn) {
	return func(conn *net.TCPConn) {
		conn.Read(make([]byte, 4096))
		io.WriteString(conn, answer)
		if !closes {
			io.Copy(io.Discard, conn)
		}
	}
}

// soon is a request that fails a test rather than hang it.
func soon() *Request {
	return &Request{Method: "GET", Path: "/", Deadline: time.Now().Add(30 * time.Second)}
}

// kind returns the kind of an error, 0 for none.
func kind(t testing.TB, err error) Kind {
	t.Helper()
	if err == nil {
		return 0
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%v (%T) has no kind", err, err)
	}
	if errors.Is(err, io.EOF) {
		t.Fatalf("%v looks like the proper end of a body", err)
	}
	return e.Kind
}

// memory is a connection whose other side has said all it will, in reads of at
// most n bytes.
type memory struct {
	net.Conn
	in  []byte
	n   func() int
	end error // io.EOF if nil

	writes int
}

func (m *memory) Write(b []byte) (int, error) { m.writes++; return len(b), nil }
func (m *memory) SetDeadline(time.Time) error { return nil }
func (m *memory) Close() error                { return nil }
func (m *memory) Read(b []byte) (int, error) {
	if len(m.in) == 0 {
		if m.end != nil {
			return 0, m.end
		}
		return 0, io.EOF
	}
	if m.n != nil {
		b = b[:min(max(m.n(), 1), len(b))]
	}
	n := copy(b, m.in)
	m.in = m.in[n:]
	return n, nil
}
