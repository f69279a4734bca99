package storefront

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// An overload is a chat that has no room.
type overload struct {
	retryAfter time.Duration
	place      int64 // in the queue; 0: there is none
}

// Error implements error.
func (o *overload) Error() string { return "the chat is full" }

// A form is how a protocol spells one answer.
type form interface {
	begin(b []byte) []byte // what comes before the words
	delta(b []byte, piece string) []byte
	call(b []byte, c *toolCall, piece string) []byte // opens a call, or, with a piece, adds to the arguments of the last
	end(b []byte, u usage) []byte
	whole(b []byte, content string, calls []toolCall, u usage) []byte // for a client that wanted no stream
}

// usage is what an answer took, in tokens.
type usage struct{ prompt, completion int }

// chat is POST …/chat/completions, as OpenAI publishes it.
func (f *face) chat(w http.ResponseWriter, r *http.Request) { f.converse(w, r, decodeAsk) }

// responses is POST …/responses, as OpenAI publishes it. Nothing is stored.
func (f *face) responses(w http.ResponseWriter, r *http.Request) { f.converse(w, r, decodeInput) }

func (f *face) converse(w http.ResponseWriter, r *http.Request, decode func(body string) (*ask, error)) {
	body, err := f.body(r)
	if err == errTooLong {
		f.chatError(w, http.StatusRequestEntityTooLarge, "invalid_request_error", "", "request_too_large", err.Error())
		return
	} else if err != nil {
		f.chatError(w, http.StatusBadRequest, "invalid_request_error", "", "unreadable_body", "the body ended early")
		return
	}
	a, err := decode(body)
	if wrong := (*fault)(nil); errors.As(err, &wrong) {
		f.chatError(w, http.StatusBadRequest, "invalid_request_error", wrong.param, "invalid_value", wrong.what)
		return
	}
	a.user = r.Header.Get("X-User-Id")
	err = f.shop.chat.Reply(r.Context(), a, &stream{face: f, w: w, r: r, ask: a})
	if full := (*overload)(nil); errors.As(err, &full) {
		if full.place > 0 {
			w.Header().Set("X-Queue-Place", strconv.FormatInt(full.place, 10))
		}
		w.Header().Set("Retry-After", strconv.Itoa(int((full.retryAfter+time.Second-1)/time.Second)))
		f.chatError(w, http.StatusTooManyRequests, "rate_limit_error", "", "slow_down", "too many conversations at once; try again later")
	}
}

func (f *face) chatError(w http.ResponseWriter, status int, kind, param, code, message string) {
	b := append(make([]byte, 0, 256), `{"error":{`...)
	b = appendField(b, "message", message)
	b = appendField(b, "type", kind)
	b = append(b, `,"param":`...)
	if param == "" {
		b = append(b, "null"...)
	} else {
		b = appendString(b, param)
	}
	b = appendField(b, "code", code)
	b = append(b, "}}"...)
	w.Header()["Content-Type"] = typeJSON
	w.WriteHeader(status)
	w.Write(b)
}

// A stream carries one answer to its client, as events or, if the client did
// not want a stream, as one JSON object. Begin it, say the pieces, end it; or
// send it whole.
type stream struct {
	face *face
	w    http.ResponseWriter
	r    *http.Request
	ask  *ask

	form     form
	tokens   int
	calls    []toolCall
	buf      *[]byte // of an event, or the words so far
	extended time.Time
}

// Begin sends the header and the chunk that only names the role.
func (s *stream) Begin() error {
	s.form = s.ask.form(strconv.FormatUint(rand.Uint64(), 36), time.Now().Unix())
	s.buf = takeBuffer(&s.face.buffers)
	// The deadline for reading the request would end a long answer, too.
	http.NewResponseController(s.w).SetReadDeadline(time.Time{})
	if !s.ask.stream {
		return nil
	}
	h := s.w.Header()
	h["Content-Type"], h["Cache-Control"] = typeStream, noCache
	*s.buf = s.form.begin(*s.buf)
	return s.flush()
}

// Say sends a piece of the answer, on its own.
func (s *stream) Say(piece string) error {
	s.tokens++
	if !s.ask.stream {
		*s.buf = append(*s.buf, piece...)
		return s.r.Context().Err()
	}
	*s.buf = s.form.delta((*s.buf)[:0], piece)
	return s.flush()
}

// Call opens a call of a tool, or, with a piece, sends that much of the last
// one's arguments.
func (s *stream) Call(c *toolCall, piece string) error {
	if s.tokens++; piece == "" {
		s.calls = append(s.calls, *c)
	}
	if !s.ask.stream {
		return s.r.Context().Err()
	}
	*s.buf = s.form.call((*s.buf)[:0], c, piece)
	return s.flush()
}

// End sends what closes the answer. The stream is not used afterwards.
func (s *stream) End() error {
	defer putBuffer(&s.face.buffers, s.buf)
	if !s.ask.stream {
		s.extend()
		s.w.Header()["Content-Type"] = typeJSON
		_, err := s.w.Write(s.form.whole(nil, string(*s.buf), s.calls, usage{s.ask.prompt, s.tokens}))
		return err
	}
	*s.buf = s.form.end((*s.buf)[:0], usage{s.ask.prompt, s.tokens})
	return s.flush()
}

// extend gives the client time to take what is written next.
func (s *stream) extend() {
	if now := time.Now(); now.Sub(s.extended) > stalled/4 {
		s.extended = now
		http.NewResponseController(s.w).SetWriteDeadline(now.Add(stalled))
	}
}

// flush writes the buffer through to the client.
func (s *stream) flush() error {
	s.extend()
	if _, err := s.w.Write(*s.buf); err != nil {
		return err
	}
	return http.NewResponseController(s.w).Flush()
}

// Whole sends a rendered answer at once, in one write to the network.
func (s *stream) Whole(rendered []byte) error {
	h := s.w.Header()
	h["Content-Type"], h["Cache-Control"] = typeJSON, noCache
	if s.ask.stream {
		h["Content-Type"] = typeStream
	}
	h["Content-Length"] = []string{strconv.Itoa(len(rendered))}
	c, ok := s.r.Context().Value(corkKey{}).(*corkConn)
	if !ok || s.r.ProtoMajor > 1 { // a test's recorder, or one of several streams
		_, err := s.w.Write(rendered)
		return err
	}
	c.cork(&s.face.buffers)
	_, err := s.w.Write(rendered)
	err = errors.Join(err, http.NewResponseController(s.w).Flush())
	return errors.Join(err, c.uncork(&s.face.buffers))
}

// Pieces sends a rendered stream in n writes, each of whole events and about as
// long as the others.
func (s *stream) Pieces(rendered []byte, n int) error {
	h := s.w.Header()
	h["Content-Type"], h["Cache-Control"] = typeStream, noCache
	for ; n > 0 && len(rendered) > 0; n-- {
		end := len(rendered) / n
		if i := bytes.Index(rendered[end:], []byte("\n\n")); n > 1 && i >= 0 {
			end += i + 2
		} else {
			end = len(rendered)
		}
		if _, err := s.w.Write(rendered[:end]); err != nil {
			return err
		}
		if err := http.NewResponseController(s.w).Flush(); err != nil {
			return err
		}
		rendered = rendered[end:]
	}
	return nil
}

// A completion renders the chunks of one answer.
type completion struct {
	head  string // `"created":…,"model":…`, after the object
	usage bool   // chunks carry it, null until the last
	id    string
	calls int // that were opened
}

func newCompletion(id, model string, created int64, usage bool) *completion {
	b := append(make([]byte, 0, 128), `,"created":`...)
	b = strconv.AppendInt(b, created, 10)
	b = appendField(b, "model", model)
	return &completion{head: string(b), usage: usage, id: "chatcmpl-" + id}
}

func (c *completion) open(b []byte, event, object string) []byte {
	b = append(b, event...)
	b = append(b, '{')
	b = appendField(b, "id", c.id)
	b = appendField(b, "object", object)
	return append(b, c.head...)
}

// chunk appends one event with a choice: delta and finish are JSON.
func (c *completion) chunk(b []byte, delta func([]byte) []byte, finish string) []byte {
	b = c.open(b, "data: ", "chat.completion.chunk")
	b = append(b, `,"choices":[{"index":0,"delta":{`...)
	b = delta(b)
	b = append(b, `},"logprobs":null,"finish_reason":`...)
	b = append(b, finish...)
	b = append(b, "}]"...)
	if c.usage {
		b = append(b, `,"usage":null`...)
	}
	return append(b, "}\n\n"...)
}

func (c *completion) begin(b []byte) []byte {
	return c.chunk(b, func(b []byte) []byte { return append(b, `"role":"assistant","content":""`...) }, "null")
}

func (c *completion) delta(b []byte, piece string) []byte {
	return c.chunk(b, func(b []byte) []byte { return appendField(b, "content", piece) }, "null")
}

func (c *completion) call(b []byte, t *toolCall, piece string) []byte {
	return c.chunk(b, func(b []byte) []byte {
		b = append(b, `"tool_calls":[{"index":`...)
		if piece != "" {
			b = strconv.AppendInt(b, int64(c.calls-1), 10)
			b = append(b, `,"function":{"arguments":`...)
			return append(appendString(b, piece), "}}]"...)
		}
		b = strconv.AppendInt(b, int64(c.calls), 10)
		c.calls++
		return append(t.render(append(b, ','), ""), ']')
	}, "null")
}

// render appends a call as Chat Completions has it, behind an open brace.
func (t *toolCall) render(b []byte, arguments string) []byte {
	b = append(b, `"id":`...)
	b = appendString(b, t.id)
	b = append(b, `,"type":"function","function":{`...)
	b = appendField(b, "name", t.name)
	b = appendField(b, "arguments", arguments)
	return append(b, "}}"...)
}

// finish is the reason that ends an answer.
func finish(calls int) string {
	if calls > 0 {
		return `"tool_calls"`
	}
	return `"stop"`
}

func (c *completion) end(b []byte, u usage) []byte {
	b = c.chunk(b, func(b []byte) []byte { return b }, finish(c.calls))
	if c.usage {
		b = c.open(b, "data: ", "chat.completion.chunk")
		b = append(b, `,"choices":[]`...)
		b = u.append(b, "prompt_tokens", "completion_tokens")
		b = append(b, "}\n\n"...)
	}
	return append(b, "data: [DONE]\n\n"...)
}

func (c *completion) whole(b []byte, content string, calls []toolCall, u usage) []byte {
	b = c.open(b, "", "chat.completion")
	b = append(b, `,"choices":[{"index":0,"message":{"role":"assistant"`...)
	if len(calls) == 0 {
		b = appendField(b, "content", content)
	} else {
		b = append(b, `,"content":null,"tool_calls":[`...)
		for i := range calls {
			if i > 0 {
				b = append(b, ',')
			}
			b = calls[i].render(append(b, '{'), calls[i].arguments)
		}
		b = append(b, ']')
	}
	b = append(b, `,"refusal":null},"logprobs":null,"finish_reason":`+finish(len(calls))+`}]`...)
	b = u.append(b, "prompt_tokens", "completion_tokens")
	return append(b, '}')
}

// append appends the usage under a protocol's names for it.
func (u usage) append(b []byte, prompt, completion string) []byte {
	b = append(b, `,"usage":{"`+prompt+`":`...)
	b = strconv.AppendInt(b, int64(u.prompt), 10)
	b = append(b, `,"`+completion+`":`...)
	b = strconv.AppendInt(b, int64(u.completion), 10)
	b = append(b, `,"total_tokens":`...)
	b = strconv.AppendInt(b, int64(u.prompt+u.completion), 10)
	return append(b, '}')
}

var _ form = (*completion)(nil)
