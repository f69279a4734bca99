package membership

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// The frames of memberlist, as far as the guard below must know them: a label
// in clear (244, length, text), in a stream then the kind of an encrypted
// message and the length of what follows (5 bytes, authenticated with the
// label), then the encryption's version byte, the nonce and the sealed text.
const (
	labelMark       = 244
	encryptedStream = 10
	streamHead      = 1 + 4
	version         = 1

	// maxStream is the longest message of a stream, in bytes: a member's part of
	// what two nodes tell each other is a quarter of a kilobyte.
	maxStream = 1 << 20
)

var (
	errForm = errors.New("gossip in another form")
	errKey  = errors.New("gossip under another key")
)

// guard is a transport that lets nothing through but what the cluster key
// sealed: memberlist parses only what a holder of the key wrote. It would check
// that itself, but the version byte of its encryption is not authenticated, and
// its version 0 panics on hostile padding: a captured packet with that one byte
// flipped must not reach it. And it would not say how often.
type guard struct {
	*memberlist.NetTransport
	seal    cipher.AEAD
	packets chan *memberlist.Packet
	streams chan net.Conn
	barred  *Tally
	done    chan struct{}
	ending  sync.Once
	running sync.WaitGroup
}

var _ memberlist.NodeAwareTransport = (*guard)(nil)

func newGuard(host string, port int, key []byte, barred *Tally, logger *log.Logger) (*guard, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	config := &memberlist.NetTransportConfig{BindAddrs: []string{host}, BindPort: port, Logger: logger}
	attempts := 1
	if port == 0 {
		attempts = 10 // a port that is free for TCP may be taken for UDP
	}
	var inner *memberlist.NetTransport
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
		seal:         seal,
		barred:       barred,
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
			if err := g.packet(p.Buf); err != nil {
				g.refuse(err)
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

// packet returns why b is not a packet of ours.
func (g *guard) packet(b []byte) error {
	sealed, ok := bytes.CutPrefix(b, labelHeader())
	if !ok {
		return errForm
	}
	return g.sealed(sealed, []byte(label))
}

// sealed returns why b, a version byte and what follows, is not what a holder of
// the key has sealed together with bound.
func (g *guard) sealed(b, bound []byte) error {
	if len(b) <= 1+g.seal.NonceSize()+g.seal.Overhead() || b[0] != version { // memberlist panics on nothing, well sealed
		return errForm
	}
	nonce, text := b[1:1+g.seal.NonceSize()], b[1+g.seal.NonceSize():]
	if _, err := g.seal.Open(nil, nonce, text, bound); err != nil {
		return errKey
	}
	return nil
}

func (g *guard) refuse(why error) {
	if errors.Is(why, errKey) {
		g.barred.Add(BarredKey)
		return
	}
	g.barred.Add(BarredForm)
}

func labelHeader() []byte { return append([]byte{labelMark, byte(len(label))}, label...) }

// guardedConn reads the one message that comes on a stream before it gives any
// of it away, and nothing after it.
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
		if c.ahead, c.err = c.message(); errors.Is(c.err, errForm) || errors.Is(c.err, errKey) {
			c.guard.refuse(c.err)
			c.err = fmt.Errorf("%w, from %s", c.err, c.RemoteAddr())
		}
	}
	switch {
	case c.err != nil:
		return 0, c.err
	case len(c.ahead) == 0:
		return 0, io.EOF
	}
	n := copy(p, c.ahead)
	c.ahead = c.ahead[n:]
	return n, nil
}

// message reads it. Who hangs up, or says nothing, without a first byte is
// nobody to count.
func (c *guardedConn) message() ([]byte, error) {
	var prefix []byte
	if c.labelled {
		prefix = labelHeader()
	}
	b := make([]byte, len(prefix)+streamHead)
	if n, err := io.ReadFull(c.Conn, b); n == 0 {
		return nil, err
	} else if err != nil || !bytes.HasPrefix(b, prefix) || b[len(prefix)] != encryptedStream {
		return nil, errForm
	}
	head := b[len(prefix):]
	length := binary.BigEndian.Uint32(head[1:])
	if length > maxStream {
		return nil, errForm
	}
	// It grows with what comes: a claim of a megabyte costs nobody one.
	var sealed bytes.Buffer
	if _, err := io.CopyN(&sealed, c.Conn, int64(length)); err != nil {
		return nil, errForm
	}
	if err := c.guard.sealed(sealed.Bytes(), slices.Concat(head, []byte(label))); err != nil {
		return nil, err
	}
	return append(b, sealed.Bytes()...), nil
}
