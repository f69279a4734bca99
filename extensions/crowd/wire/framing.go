package wire

import (
	"bytes"
	"io"
	"strconv"
)

// ending is how the end of a body is known.
type ending uint8

const (
	byLength ending = iota
	byChunks
	byClose
)

// framing is what a head says of the body's end, and of what follows it.
type framing struct {
	coding, length, encoding []byte
	codings, lengths         int
	closes, keeps            bool
}

// note takes a header, with white space around its value.
func (f *framing) note(name, value []byte) {
	switch {
	case equalFold(name, "Connection"):
		f.closes = f.closes || containsToken(value, "close")
		f.keeps = f.keeps || containsToken(value, "keep-alive")
	case equalFold(name, "Transfer-Encoding"):
		f.coding = trim(value)
		f.codings++
	case equalFold(name, "Content-Length"):
		f.length = trim(value)
		f.lengths++
	case equalFold(name, "Content-Encoding"):
		f.encoding = trim(value)
	}
}

// frame finds out how the body ends.
func (r *Response) frame(f *framing) error {
	if err := r.plain(f.encoding); err != nil {
		return err
	}
	old := !r.keep // HTTP/1.0: see parseStatus
	r.keep = !f.closes && (r.keep || f.keeps)
	switch {
	case r.bodiless || r.Status == 204 || r.Status == 304:
		r.finish()
	case f.codings > 0 && f.lengths > 0:
		return malformed("both Transfer-Encoding and Content-Length")
	case f.codings > 0:
		if f.codings > 1 || old || !equalFold(f.coding, "chunked") {
			return malformed("a Transfer-Encoding of %.40q", f.coding)
		}
		r.body, r.left = byChunks, -1
	case f.lengths > 0:
		n, err := strconv.ParseUint(string(f.length), 10, 63)
		if err != nil || f.lengths > 1 {
			return malformed("a Content-Length of %.40q, %d times", f.length, f.lengths)
		}
		if n > maxBody {
			return malformed("a body of %d bytes, at most %d are read", n, maxBody)
		}
		if r.left = int64(n); n == 0 {
			r.finish()
		}
	default:
		r.body, r.keep = byClose, false
	}
	return nil
}

// plain refuses a body that counts and is compressed: nobody asked for it, and
// what unpacks it would need limits of its own. An error's body may be anything.
func (r *Response) plain(encoding []byte) error {
	if len(encoding) == 0 || equalFold(encoding, "identity") || r.Status > 299 {
		return nil
	}
	return malformed("a Content-Encoding of %.40q, nobody asked for one", encoding)
}

// finish notes that the body was read to its end.
func (r *Response) finish() {
	r.end = io.EOF
	// Bytes after the answer belong to nothing that was asked.
	r.c.dirty = !r.keep || r.c.buf.r != r.c.buf.w
}

// piece returns the next bytes of the body, valid until the next call. It
// returns io.EOF at the body's end. An error is final.
func (r *Response) piece() ([]byte, error) {
	if r.end != nil {
		return nil, r.end
	}
	p, err := r.next()
	if err != nil {
		r.end = err
	}
	return p, err
}

func (r *Response) next() ([]byte, error) {
	b := r.c.buf
	if r.body == byChunks && r.left <= 0 {
		if err := r.chunk(); err != nil {
			return nil, err
		}
	}
	if b.r == b.w {
		if err := r.c.fill(); err != nil {
			if r.body == byClose && err == io.EOF {
				r.finish()
				return nil, io.EOF
			}
			return nil, r.c.fail(err)
		}
	}
	p := b.in[b.r:b.w]
	if r.body != byClose && int64(len(p)) > r.left {
		p = p[:r.left]
	}
	b.r += len(p)
	r.read += int64(len(p))
	r.left -= int64(len(p))
	if r.read > maxBody {
		return nil, malformed("a body of more than %d bytes", maxBody)
	}
	if room := r.c.target.evidence() - len(b.seen); room > 0 {
		b.seen = append(b.seen, p[:min(room, len(p))]...)
	}
	if r.body == byLength && r.left == 0 {
		r.finish()
	}
	return p, nil
}

// chunk reads the end of the last chunk and the length of the next; at the last
// one it reads the trailer, finishes and returns io.EOF. r.left is -1 before the
// first.
func (r *Response) chunk() error {
	if r.left == 0 {
		line, err := r.line(0, maxLine)
		if err != nil {
			return err
		}
		if len(line) != 0 {
			return malformed("a chunk is longer than it said")
		}
	}
	line, err := r.line(0, maxLine)
	if err != nil {
		return err
	}
	size, _ := cut(line, ';') // extensions mean nothing to us
	size = bytes.TrimRight(size, " \t")
	n, err := strconv.ParseUint(string(size), 16, 63)
	if err != nil || len(size) > 16 {
		return malformed("a chunk's length of %.40q", line)
	}
	if n > maxBody {
		return malformed("a chunk of %d bytes", n)
	}
	if r.left = int64(n); n > 0 {
		return nil
	}
	for trailer := 0; ; {
		line, err := r.line(0, maxLine)
		if err != nil {
			return err
		}
		if len(line) == 0 {
			r.finish()
			return io.EOF
		}
		if trailer += len(line); trailer > maxHead {
			return malformed("a trailer of more than %d bytes", maxHead)
		}
	}
}
