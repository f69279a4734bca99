package membership

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

// The frames of memberlist, as far as the guard below must know them: a label
// in clear (244, length, text), in a stream then the kind of an encrypted
// message and its length, then the encryption's version byte.
const (
	labelMark       = 244
	encryptedStream = 10
	version         = 1
)

var errUnguarded = errors.New("gossip that is not encrypted with version 1")

// guard is a transport that drops what does not begin like gossip of this
// version. The version byte of memberlist's encryption is not authenticated,
// and its version 0 panics on hostile padding; so a captured packet with that
// one byte flipped must not reach it.
type guard struct {
	*memberlist.NetTransport
	packets chan *memberlist.Packet
	streams chan net.Conn
	dropped atomic.Uint64
	done    chan struct{}
	ending  sync.Once
	running sync.WaitGroup
}

var _ memberlist.NodeAwareTransport = (*guard)(nil)

func newGuard(host string, port int, logger *log.Logger) (*guard, error) {
	config := &memberlist.NetTransportConfig{BindAddrs: []string{host}, BindPort: port, Logger: logger}
	attempts := 1
	if port == 0 {
		attempts = 10 // a port that is free for TCP may be taken for UDP
	}
	var inner *memberlist.NetTransport
	var err error
	for range attempts {
		if inner, err = memberlist.NewNetTransport(config); err == nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	g := &guard{
		NetTransport: inner,
		packets:      make(chan *memberlist.Packet),
		streams:      make(chan net.Conn),
		done:         make(chan struct{}),
	}
	g.running.Add(2) // ended by Shutdown, which memberlist owns
	go g.filterPackets()
	go g.wrapStreams()
	return g, nil
}

// PacketCh implements memberlist.Transport.
func (g *guard) PacketCh() <-chan *memberlist.Packet { return g.packets }

// StreamCh implements memberlist.Transport.
func (g *guard) StreamCh() <-chan net.Conn { return g.streams }

// DialTimeout implements memberlist.Transport.
func (g *guard) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return g.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (g *guard) DialAddressTimeout(addr memberlist.Address, timeout time.Duration) (net.Conn, error) {
	conn, err := g.NetTransport.DialAddressTimeout(addr, timeout)
	if err != nil {
		return nil, err
	}
	return &guardedConn{Conn: conn, guard: g}, nil // answers carry no label
}

// Shutdown implements memberlist.Transport. The listeners end first: they
// block while nobody takes what they read.
func (g *guard) Shutdown() error {
	err := g.NetTransport.Shutdown()
	g.ending.Do(func() { close(g.done) })
	g.running.Wait()
	return err
}

func (g *guard) filterPackets() {
	defer g.running.Done()
	for {
		select {
		case p := <-g.NetTransport.PacketCh():
			if !guardedPacket(p.Buf) {
				g.dropped.Add(1)
				continue
			}
			select {
			case g.packets <- p:
			case <-g.done:
				return
			}
		case <-g.done:
			return
		}
	}
}

func (g *guard) wrapStreams() {
	defer g.running.Done()
	for {
		select {
		case conn := <-g.NetTransport.StreamCh():
			select {
			case g.streams <- &guardedConn{Conn: conn, guard: g, labelled: true}:
			case <-g.done:
				conn.Close()
				return
			}
		case <-g.done:
			return
		}
	}
}

func guardedPacket(b []byte) bool {
	head := labelHeader()
	return len(b) > len(head) && bytes.Equal(b[:len(head)], head) && b[len(head)] == version
}

func labelHeader() []byte { return append([]byte{labelMark, byte(len(label))}, label...) }

// guardedConn reads the beginning of a stream before it gives any of it away.
type guardedConn struct {
	net.Conn
	guard    *guard
	labelled bool
	checked  bool
	ahead    []byte
	err      error
}

// Read implements net.Conn.
func (c *guardedConn) Read(p []byte) (int, error) {
	if !c.checked {
		c.checked = true
		c.ahead, c.err = c.begin()
	}
	if c.err != nil {
		return 0, c.err
	}
	if len(c.ahead) > 0 {
		n := copy(p, c.ahead)
		c.ahead = c.ahead[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

func (c *guardedConn) begin() ([]byte, error) {
	var head []byte
	if c.labelled {
		head = labelHeader()
	}
	b := make([]byte, len(head)+1+4+1)
	if _, err := io.ReadFull(c.Conn, b); err != nil {
		return nil, err
	}
	if !bytes.Equal(b[:len(head)], head) || b[len(head)] != encryptedStream || b[len(b)-1] != version {
		c.guard.dropped.Add(1)
		return nil, fmt.Errorf("%w, from %s", errUnguarded, c.RemoteAddr())
	}
	return b, nil
}
