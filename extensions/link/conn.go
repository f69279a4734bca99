package link

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
)

// Variable names the environment variable that tells a child which descriptor
// its end of the link is.
const Variable = "FLASHCROWD_LINK"

const childDescriptor = 3

// ErrNoLink says that this process was not started by a worker.
var ErrNoLink = errors.New("no link: " + Variable + " is not set")

// Conn is one end of a link. Send may be called from several goroutines,
// Receive from one at a time; Close ends both.
type Conn struct {
	raw     net.Conn
	r       *bufio.Reader
	sending sync.Mutex
	buf     []byte // of sending
}

// New makes a link of any stream, such as a net.Pipe in a test.
func New(raw net.Conn) *Conn { return &Conn{raw: raw, r: bufio.NewReaderSize(raw, 64<<10)} }

// Start starts cmd, which has no ExtraFiles yet, with one end of a new link as
// descriptor 3, and returns the other end. The child sees end of file when that
// is closed, or when this process dies.
func Start(cmd *exec.Cmd) (*Conn, error) {
	if len(cmd.ExtraFiles) > 0 {
		return nil, errors.New("start child: the link must be its first extra file")
	}
	ours, theirs, err := pair()
	if err != nil {
		return nil, fmt.Errorf("start child: make the link: %w", err)
	}
	defer theirs.Close() // the child has its own copy, or there is no child
	defer ours.Close()   // FileConn makes a copy
	raw, err := net.FileConn(ours)
	if err != nil {
		return nil, fmt.Errorf("start child: make the link: %w", err)
	}
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Env = append(cmd.Env, Variable+"="+strconv.Itoa(childDescriptor))
	if err := cmd.Start(); err != nil {
		raw.Close()
		return nil, fmt.Errorf("start child: %w", err)
	}
	return New(raw), nil
}

// Child opens the end that this process inherited. It returns ErrNoLink when a
// worker did not start it.
func Child() (*Conn, error) {
	value, ok := os.LookupEnv(Variable)
	if !ok {
		return nil, ErrNoLink
	}
	if value != strconv.Itoa(childDescriptor) {
		return nil, fmt.Errorf("open link: %s is %q, want %d", Variable, value, childDescriptor)
	}
	f := os.NewFile(childDescriptor, "link")
	defer f.Close() // FileConn makes a copy, which no grandchild inherits
	raw, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("open link: %w", err)
	}
	return New(raw), nil
}

// Send writes one frame: a Setup, Lease, Snapshot or Fault. It blocks while
// the other side does not read.
func (c *Conn) Send(frame any) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	b, err := appendFrame(c.buf[:0], frame)
	if err != nil {
		return err
	}
	if cap(b) <= 1<<20 {
		c.buf = b
	}
	if _, err := c.raw.Write(b); err != nil {
		return fmt.Errorf("send frame: %w", err)
	}
	return nil
}

// Receive returns the next frame: a Setup, Lease, Snapshot or Fault. It
// returns io.EOF itself when the other side is gone between two frames.
func (c *Conn) Receive() (any, error) {
	frame, err := readFrame(c.r)
	if errors.Is(err, syscall.ECONNRESET) {
		return nil, io.EOF // it died with something of ours unread
	}
	return frame, err
}

// Close ends the link: the other side sees end of file, and blocked calls of
// this one return.
func (c *Conn) Close() error { return c.raw.Close() }

func pair() (ours, theirs *os.File, err error) {
	syscall.ForkLock.RLock() // until both are marked, no other child may inherit them
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), "link"), os.NewFile(uintptr(fds[1]), "link"), nil
}
