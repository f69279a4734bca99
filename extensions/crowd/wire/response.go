package wire

import (
	"bytes"
	"io"
	"iter"
	"strconv"
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
	upgrade   string // what a 101 has to say; empty if it must not come
	body      framing
	left      int64 // of the body or of the chunk that is being read
	read      int64 // of the body so far
	keep      bool  // the connection may be used again afterwards
	bodiless  bool  // the answer of a HEAD
	end       error // io.EOF once the body was read to its end, or why it can't be
}

// framing is how the end of a body is known.
type framing uint8

const (
	byLength framing = iota
	byChunks
	byClose
)

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

// Header returns the first value of a header, without white space around it;
// empty if there is none. Names are compared without case.
func (r *Response) Header(name string) string { return string(r.Field(name)) }

// Field is Header without the copy: it is valid until the next Do or Rest.
func (r *Response) Field(name string) []byte {
	for rest := r.fields(); len(rest) > 0; {
		var n, value []byte
		if n, value, rest = nextField(rest); equalFold(n, name) {
			return value
		}
	}
	return nil
}

// Fields yields each value of a header that may come more than once. They are
// valid until the next Do or Rest.
func (r *Response) Fields(name string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for rest := r.fields(); len(rest) > 0; {
			var n, value []byte
			if n, value, rest = nextField(rest); equalFold(n, name) && !yield(value) {
				return
			}
		}
	}
}

// fields returns the head's lines after the status line.
func (r *Response) fields() []byte {
	_, lines := cut(r.c.buf.head, '\n')
	return lines
}

// nextField takes the first of some header lines apart.
func nextField(lines []byte) (name, value, rest []byte) {
	line, rest := cut(lines, '\n')
	name, value = cut(line, ':')
	return name, trim(value), rest
}

// readHead reads heads until one that is not 1xx.
func (r *Response) readHead() error {
	for range maxInterim + 1 {
		if err := r.readLines(); err != nil {
			return err
		}
		if err := r.parseStatus(); err != nil {
			return err
		}
		if r.Status == 101 && r.upgrade != "" {
			return r.upgraded()
		}
		if r.Status == 101 {
			return malformed("the answer switches protocols, nobody asked for that")
		}
		if r.Status >= 200 {
			return r.frame()
		}
		r.c.buf.head = r.c.buf.head[:0]
	}
	return malformed("more than %d interim answers", maxInterim)
}

// readLines reads up to the empty line that ends a head.
func (r *Response) readLines() error {
	b := r.c.buf
	blank := 0
	for {
		start := len(b.head)
		if err := r.line(&b.head, maxHead); err != nil {
			return err
		}
		line := b.head[start:]
		switch {
		case bytes.IndexByte(line, '\r') >= 0 || bytes.IndexByte(line, 0) >= 0:
			return malformed("a control character in a head: %.40q", line)
		case len(line) == 0 && start > 0:
			return nil
		case len(line) == 0: // RFC 9112, 2.2: before the start line it is passed over
			if blank++; blank > 1 {
				return malformed("empty lines where an answer was due")
			}
			continue
		case start > 0 && (line[0] == ' ' || line[0] == '\t'):
			return malformed("a header line is folded")
		case start > 0 && !named(line):
			return malformed("a header line without a proper name: %.40q", line)
		}
		b.head = append(b.head, '\n')
	}
}

// named says whether a header line begins with a name and a colon, without
// white space in between: others read such a line otherwise.
func named(line []byte) bool {
	i := bytes.IndexByte(line, ':')
	for _, c := range line[:max(i, 0)] {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return i > 0
}

// line appends one line, without its end, to dst. The limit is on all of dst.
func (r *Response) line(dst *[]byte, limit int) error {
	b := r.c.buf
	for {
		in := b.in[b.r:b.w]
		i := bytes.IndexByte(in, '\n')
		if i >= 0 {
			in, b.r = in[:i], b.r+i+1
		} else {
			b.r = b.w
		}
		if len(*dst)+len(in) > limit {
			return malformed("a head or a length line of more than %d bytes", limit)
		}
		*dst = append(*dst, in...)
		if i >= 0 {
			*dst = bytes.TrimSuffix(*dst, []byte("\r"))
			return nil
		}
		if err := r.c.fill(); err != nil {
			return r.c.fail(err)
		}
	}
}

// parseStatus reads the status line.
func (r *Response) parseStatus() error {
	line, _ := cut(r.c.buf.head, '\n')
	version, rest := cut(line, ' ')
	if len(rest) < 3 || len(rest) > 3 && rest[3] != ' ' {
		return malformed("a status line %.40q", line)
	}
	switch string(version) {
	case "HTTP/1.1":
		r.keep = true
	case "HTTP/1.0":
		r.keep = false
	default:
		return malformed("a status line %.40q", line)
	}
	status, err := strconv.ParseUint(string(rest[:3]), 10, 16)
	if err != nil || status < 100 {
		return malformed("a status line %.40q", line)
	}
	r.Status = int(status)
	return nil
}

// frame finds out how the body ends.
func (r *Response) frame() error {
	var coding, length, encoding []byte
	var codings, lengths int
	var closes, keeps bool
	for rest := r.fields(); len(rest) > 0; {
		var name, value []byte
		name, value, rest = nextField(rest)
		switch {
		case equalFold(name, "Connection"):
			closes = closes || containsToken(value, "close")
			keeps = keeps || containsToken(value, "keep-alive")
		case equalFold(name, "Transfer-Encoding"):
			coding = value
			codings++
		case equalFold(name, "Content-Length"):
			length = value
			lengths++
		case equalFold(name, "Content-Encoding"):
			encoding = value
		}
	}
	if err := r.plain(encoding); err != nil {
		return err
	}
	old := !r.keep // HTTP/1.0: see parseStatus
	r.keep = !closes && (r.keep || keeps)
	switch {
	case r.bodiless || r.Status == 204 || r.Status == 304:
		r.finish()
	case codings > 0 && lengths > 0:
		return malformed("both Transfer-Encoding and Content-Length")
	case codings > 0:
		if codings > 1 || old || !equalFold(coding, "chunked") {
			return malformed("a Transfer-Encoding of %.40q", coding)
		}
		r.body, r.left = byChunks, -1
	case lengths > 0:
		n, err := strconv.ParseUint(string(length), 10, 63)
		if err != nil || lengths > 1 {
			return malformed("a Content-Length of %.40q, %d times", length, lengths)
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
	b := r.c.buf
	if r.left == 0 {
		if err := r.sizeLine(); err != nil {
			return err
		}
		if len(b.size) != 0 {
			return malformed("a chunk is longer than it said")
		}
	}
	if err := r.sizeLine(); err != nil {
		return err
	}
	size, _ := cut(b.size, ';') // extensions mean nothing to us
	size = bytes.TrimRight(size, " \t")
	n, err := strconv.ParseUint(string(size), 16, 63)
	if err != nil || len(size) > 16 {
		return malformed("a chunk's length of %.40q", b.size)
	}
	if n > maxBody {
		return malformed("a chunk of %d bytes", n)
	}
	if r.left = int64(n); n > 0 {
		return nil
	}
	for trailer := 0; ; {
		if err := r.sizeLine(); err != nil {
			return err
		}
		if len(b.size) == 0 {
			r.finish()
			return io.EOF
		}
		if trailer += len(b.size); trailer > maxHead {
			return malformed("a trailer of more than %d bytes", maxHead)
		}
	}
}

// sizeLine reads a line between chunks.
func (r *Response) sizeLine() error {
	b := r.c.buf
	b.size = b.size[:0]
	return r.line(&b.size, maxLine)
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
	r.c.patience(earlier(time.Now().Add(drainFor), r.deadline))
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
