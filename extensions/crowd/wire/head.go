package wire

import (
	"bytes"
	"iter"
)

// Header returns the first value of a header, without white space around it;
// empty if there is none. Names are compared without case.
func (r *Response) Header(name string) string {
	value := r.Field(name)
	if len(value) == 0 || len(value) > maxKnown {
		return string(value)
	}
	b := r.c.buf
	if string(value) != b.known {
		b.known = string(value)
	}
	return b.known
}

// maxKnown is the longest value of a header that buffers remember.
const maxKnown = 64

// Field is Header without the copy: it is valid until the next Do or Rest.
func (r *Response) Field(name string) []byte {
	for value := range r.Fields(name) {
		return value
	}
	return nil
}

// Fields yields each value of a header that may come more than once. They are
// valid until the next Do or Rest.
func (r *Response) Fields(name string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		_, rest := cut(r.c.buf.head, '\n') // without the status line
		for len(rest) > 0 {
			var line []byte
			line, rest = cut(rest, '\n')
			if value, ok := valueOf(line, name); ok && !yield(value) {
				return
			}
		}
	}
}

// valueOf returns the value of a header line, if it has this name.
func valueOf(line []byte, name string) (value []byte, ok bool) {
	n := len(name)
	if len(line) <= n || line[n] != ':' || !equalFold(line[:n], name) {
		return nil, false
	}
	return trim(line[n+1:]), true
}

// readHead reads heads until one that is not 1xx.
func (r *Response) readHead() error {
	for range maxInterim + 1 {
		var f framing
		if err := r.readLines(&f); err != nil {
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
			return r.frame(&f)
		}
		r.c.buf.head = r.c.buf.head[:0]
	}
	return malformed("more than %d interim answers", maxInterim)
}

// readLines reads up to the empty line that ends a head, and notes what it says
// of the body's end.
func (r *Response) readLines(f *framing) error {
	b := r.c.buf
	blank := 0
	for {
		start := len(b.head)
		line, err := r.line(start, maxHead)
		b.head = append(b.head, line...)
		if err != nil {
			return err
		}
		line = b.head[start:]
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
		case start > 0:
			n := named(line)
			if n == 0 {
				return malformed("a header line without a proper name: %.40q", line)
			}
			f.note(line[:n], line[n+1:])
		}
		b.head = append(b.head, '\n')
	}
}

// named returns how long a header line's name is: what stands before a colon,
// without white space in between, as others read such a line otherwise. 0 is no
// proper name.
func named(line []byte) int {
	for i, c := range line {
		if c == ':' {
			return i
		}
		if c <= ' ' || c >= 0x7f {
			break
		}
	}
	return 0
}

// line returns the next line without its end, valid until the next is read, or
// with an error what came of it. The limit is on it and the bytes before.
func (r *Response) line(before, limit int) ([]byte, error) {
	b := r.c.buf
	b.part = b.part[:0]
	for {
		in := b.in[b.r:b.w]
		i := bytes.IndexByte(in, '\n')
		if i >= 0 {
			in, b.r = in[:i], b.r+i+1
		} else {
			b.r = b.w
		}
		if before+len(b.part)+len(in) > limit {
			return b.part, malformed("a head or a length line of more than %d bytes", limit)
		}
		if i < 0 || len(b.part) > 0 {
			b.part = append(b.part, in...)
			in = b.part
		}
		if i >= 0 {
			return bytes.TrimSuffix(in, []byte("\r")), nil
		}
		if err := r.c.fill(); err != nil {
			return b.part, r.c.fail(err)
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
	status := 0
	for _, c := range rest[:3] {
		if c < '0' || c > '9' {
			return malformed("a status line %.40q", line)
		}
		status = 10*status + int(c-'0')
	}
	if status < 100 {
		return malformed("a status line %.40q", line)
	}
	r.Status = status
	return nil
}
