package wire

import (
	"io"
	"time"
)

// A Response is an answer whose head has been read. Its body is read with
// ReadAll or Events, once.
type Response struct {
	Status int
	At     time.Time // when the bytes that were read last arrived

	c         *Conn
	deadline  time.Time
	answering bool
	drains    bool   // its end is waited for, and not for long: see fill
	upgrade   string // what a 101 has to say; empty if it must not come
	body      ending
	left      int64 // of the body or of the chunk that is being read
	read      int64 // of the body so far
	keep      bool  // the connection may be used again afterwards
	bodiless  bool  // the answer of a HEAD
	end       error // io.EOF once the body was read to its end, or why it can't be
}

// Answering says that what counts has begun to come: from here on the patience
// is the request's Deadline.
func (r *Response) Answering() {
	if r.answering {
		return
	}
	r.answering = true
	if !r.c.until.Equal(r.deadline) {
		r.c.patience(r.deadline)
	}
}

// ReadAll reads the rest of the body; it is valid until the next Do or Rest. A
// body of more than limit bytes is malformed.
func (r *Response) ReadAll(limit int) ([]byte, error) {
	b := r.c.buf
	b.data = b.data[:0]
	for {
		p, err := r.piece()
		if err == io.EOF {
			return b.data, nil
		}
		if err != nil {
			return b.data, err
		}
		r.Answering()
		if len(b.data)+len(p) > limit {
			return b.data, malformed("a body of more than %d bytes", limit)
		}
		b.data = append(b.data, p...)
	}
}

// drainFor is how long a body that has said all may take to end. What is not
// over by then is not worth a shopper's time: it dials again.
const drainFor = 5 * time.Millisecond

// Drain reads to the body's end, so that the connection can be used again. It
// gives up on more than a little, of bytes or of time; the connection is then
// not used again.
func (r *Response) Drain() error {
	if r.end == io.EOF {
		return nil
	}
	r.drains = true
	for left := 64 << 10; left > 0; {
		p, err := r.piece()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		left -= len(p)
	}
	return nil
}

// earlier returns the deadline that comes first; zero is none.
func earlier(a, b time.Time) time.Time {
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}
