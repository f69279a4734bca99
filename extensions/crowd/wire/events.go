package wire

import "bytes"

// An Event is one server-sent event. Data is valid until the next call of Next.
// When it came is the response's At, until the next one is asked for.
type Event struct {
	Name string // the event: field; empty for the default
	Data []byte // the data: lines, joined by newlines
}

// Events reads a body as server-sent events (WHATWG HTML, 9.2): lines end with
// LF, CR or CRLF, a blank line dispatches, comments and unknown fields are
// passed over, and an event that the end of the body cuts off is dropped.
type Events struct {
	r     *Response
	piece []byte // not yet looked at
	lf    int    // where the piece's first LF is; its length if there is none; negative if not known
	ret   int    // the same of its first CR
	name  string // of this event
	last  string // the last name that was seen, to be used again
	any   bool   // the event has data
	cr    bool   // the last line ended with CR: an LF belongs to it
	begun bool   // the first line was seen: a byte order mark may stand before it
}

// Events returns the reader of the body's events, valid until the next Do or
// Rest.
func (r *Response) Events() *Events {
	r.c.events = Events{r: r}
	return &r.c.events
}

// Next returns the next event, io.EOF at the body's end, or an Error.
func (e *Events) Next() (Event, error) {
	if err := e.more(); err != nil {
		return Event{}, err
	}
	if data := e.single(); data != nil {
		return Event{Data: data}, nil
	}
	b := e.r.c.buf
	b.data, e.any, e.name = b.data[:0], false, ""
	for {
		line, err := e.line()
		if err != nil {
			return Event{}, err
		}
		if len(line) == 0 {
			if e.any {
				return Event{Name: e.name, Data: b.data}, nil
			}
			e.name = ""
			continue
		}
		field, value := cut(line, ':')
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "data":
			if e.any {
				b.data = append(b.data, '\n')
			}
			if len(b.data)+len(value) > maxEvent {
				return Event{}, malformed("an event of more than %d bytes", maxEvent)
			}
			b.data = append(b.data, value...)
			e.any = true
		case "event":
			if string(value) != e.last {
				e.last = string(value)
			}
			e.name = e.last
		}
	}
}

// more makes sure that there is something to look at.
func (e *Events) more() error {
	if len(e.piece) > 0 {
		return nil
	}
	p, err := e.r.piece()
	if err == nil {
		e.piece, e.lf, e.ret = p, -1, -1
	}
	return err
}

// single takes an event that is one line of data and whole in the piece, where
// it stands, if there is one. Nearly all events are: they need not be put
// together.
func (e *Events) single() []byte {
	const field = "data: "
	if e.cr || !bytes.HasPrefix(e.piece, []byte(field)) {
		return nil
	}
	end, _ := e.lineEnd()
	if len(e.piece)-end < 2 || e.piece[end] != '\n' || e.piece[end+1] != '\n' {
		return nil
	}
	data := e.piece[len(field):end]
	e.take(end + 2)
	e.begun = true
	return data
}

// line returns the next line without its end, valid until the next call.
func (e *Events) line() ([]byte, error) {
	b := e.r.c.buf
	b.line = b.line[:0]
	for {
		if err := e.more(); err != nil {
			return nil, err // an unfinished line at the end is dropped with its event
		}
		if e.cr {
			e.cr = false
			if e.piece[0] == '\n' {
				e.take(1)
				continue
			}
		}
		end, found := e.lineEnd()
		part := e.piece[:end]
		if len(b.line)+len(part) > maxEvent {
			return nil, malformed("a line of more than %d bytes in an event", maxEvent)
		}
		if !found {
			b.line = append(b.line, part...)
			e.piece = nil
			continue
		}
		e.cr = e.piece[end] == '\r'
		e.take(end + 1)
		if len(b.line) > 0 {
			b.line = append(b.line, part...)
			part = b.line
		}
		if !e.begun {
			e.begun = true
			part = bytes.TrimPrefix(part, []byte("\xef\xbb\xbf")) // a byte order mark
		}
		return part, nil
	}
}

// lineEnd returns where the first LF or CR of the piece is. Each is searched
// once and remembered: neither may a stream of the other cost its square, nor is
// the CR that nobody sends searched in every line.
func (e *Events) lineEnd() (end int, found bool) {
	if e.lf < 0 {
		e.lf = index(e.piece, '\n')
	}
	if e.ret < 0 {
		e.ret = index(e.piece, '\r')
	}
	end = min(e.lf, e.ret)
	return end, end < len(e.piece)
}

// index returns where the first c is; the length if there is none.
func index(b []byte, c byte) int {
	if i := bytes.IndexByte(b, c); i >= 0 {
		return i
	}
	return len(b)
}

// take drops n bytes of the piece.
func (e *Events) take(n int) {
	e.piece = e.piece[n:]
	e.lf -= n
	e.ret -= n
}
