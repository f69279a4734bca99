package custom

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

var spoken = scenarios.Operation{
	Request:  scenarios.Request{Method: "GET", Path: "/talk", Headers: map[string]string{"X-Token": "{{taken.token}}"}, Body: `{"messages": {{step.history}}}`},
	Answer:   &scenarios.Answer{Events: scenarios.WebSocket, Text: "text", Until: &scenarios.Rule{Path: "type", Is: is("end")}, Error: "error"},
	Take:     map[string]string{"thread": "thread"},
	Rejected: []scenarios.Rule{{Path: "code", Is: is("CLOSED")}},
}

// A socketServer talks the other side's part of each turn, given what was said.
// It returns false to have the connection closed without a word.
type socketServer func(conn net.Conn, turn int, said string) bool

func (f socketServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	defer conn.Close()
	for turn := 0; ; turn++ {
		said, err := wsutil.ReadClientText(conn)
		if err != nil || !f(conn, turn, string(said)) {
			return
		}
	}
}

// says returns a server that sends the same in each turn.
func says(messages ...string) socketServer {
	return func(conn net.Conn, _ int, _ string) bool {
		for _, m := range messages {
			if wsutil.WriteServerText(conn, []byte(m)) != nil {
				return false
			}
		}
		return true
	}
}

// frames returns a server that sends frames as they are, in one write.
func frames(all ...ws.Frame) socketServer {
	return func(conn net.Conn, _ int, _ string) bool {
		var b bytes.Buffer
		for _, f := range all {
			ws.WriteFrame(&b, f)
		}
		if _, err := conn.Write(b.Bytes()); err != nil {
			return false
		}
		io.Copy(io.Discard, conn)
		return false
	}
}

func closes(code ws.StatusCode) ws.Frame { return ws.NewCloseFrame(ws.NewCloseFrameBody(code, "x")) }

func text(s string) ws.Frame { return ws.NewTextFrame([]byte(s)) }

func many(n int, f ws.Frame) []ws.Frame {
	all := make([]ws.Frame, n)
	for i := range all {
		all[i] = f
	}
	return all
}

func answers101(extra string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, _, _ := w.(http.Hijacker).Hijack()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+extra+"\r\n")
		conn.Close()
	}
}

func declinesWith(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

var sockets = []struct {
	name  string
	serve http.Handler
	want  results.Outcome
	why   string
}{
	{"ok", says(`{"type":"start","thread":"t"}`, `{"text":"a\""}`, `{"text":"b"}`, `{"type":"end","thread":"t"}`), results.OK, ""},
	{"in pieces", frames(ws.NewFrame(ws.OpText, false, []byte(`{"te`)), ws.NewPingFrame([]byte("x")), ws.NewFrame(ws.OpContinuation, false, []byte(`xt":"a\"`)),
		ws.NewFrame(ws.OpContinuation, true, []byte(`b"}`)), ws.NewPongFrame(nil), text(`{"type":"end"}`)), results.OK, ""},
	{"declines", says(`{"text":"sorry"}`, `{"type":"end"}`), results.Refused, "sorry"},
	{"error", says(`{"text":"a"}`, `{"error":{"code":1}}`), results.ErrorInStream, "error"},
	{"no", says(`{"code":"CLOSED"}`), results.Rejected, "CLOSED"},
	{"empty", says(`{"type":"end"}`), results.Malformed, "empty"},
	{"no JSON", says(`hello`), results.Malformed, "JSON"},
	{"silent", says(), results.TimedOut, ""},
	{"falls silent", says(`{"text":"a"}`), results.Stalled, ""},
	{"hangs up", socketServer(func(net.Conn, int, string) bool { return false }), results.ConnectionFailed, ""},
	{"half a message", frames(ws.NewFrame(ws.OpText, false, []byte(`{"te`)), ws.NewFrame(ws.OpContinuation, false, nil)), results.TimedOut, ""},
	{"hangs up inside", socketServer(func(conn net.Conn, _ int, _ string) bool {
		ws.WriteHeader(conn, text(`{"text":"a"}`).Header)
		return false
	}), results.Truncated, ""},
	{"closes", frames(text(`{"text":"a"}`), closes(1000)), results.Truncated, "1000"},
	{"closes without a code", frames(text(`{"text":"a"}`), ws.NewCloseFrame(nil)), results.Truncated, "1005"},
	{"overloaded", frames(closes(1013)), results.Unavailable, "1013"},
	{"breaks", frames(text(`{"text":"a"}`), closes(1011)), results.ErrorInStream, "1011"},
	{"policy", frames(closes(1008)), results.Rejected, "1008"},
	{"blames us", frames(closes(1007)), results.Malformed, "1007"},
	{"a code of its own", frames(closes(4001)), results.Unclassified, "4001"},
	{"masked", frames(ws.MaskFrame(text(`{"text":"a"}`))), results.Malformed, "frame"},
	{"an odd opcode", frames(ws.NewFrame(0x5, true, nil)), results.Malformed, "frame"},
	{"a long ping", frames(ws.NewFrame(ws.OpPing, true, make([]byte, 200))), results.Malformed, "frame"},
	{"compressed", frames(ws.Frame{Header: ws.Header{Fin: true, Rsv: ws.Rsv(true, false, false), OpCode: ws.OpText}}), results.Malformed, "frame"},
	{"pings for ever", frames(many(1000, ws.NewPingFrame(nil))...), results.Malformed, "pings"},
	{"pieces for ever", frames(append([]ws.Frame{ws.NewFrame(ws.OpText, false, nil)}, many(70_000, ws.NewFrame(ws.OpContinuation, false, nil))...)...), results.Malformed, "frames"},
	{"giant", frames(ws.Frame{Header: ws.Header{Fin: true, OpCode: ws.OpText, Length: 1 << 40}}), results.Malformed, "more than"},
	{"grows", frames(append([]ws.Frame{ws.NewFrame(ws.OpText, false, nil)}, many(40, ws.NewFrame(ws.OpContinuation, false, make([]byte, 64<<10)))...)...), results.Malformed, "more than"},
	{"busy", declinesWith(503, "busy"), results.Unavailable, "503"},
	{"too many", declinesWith(429, ""), results.RateLimited, "429"},
	{"a no before", declinesWith(403, `{"code":"CLOSED"}`), results.Rejected, "CLOSED"},
	{"no rule", declinesWith(400, `{}`), results.Unclassified, "no rule"},
	{"a page", declinesWith(200, `<html>`), results.Malformed, "JSON"},
	{"something else", answers101(""), results.Malformed, "goes over"},
	{"another key", answers101("Sec-WebSocket-Accept: x\r\n"), results.Malformed, "goes over"},
}

func TestSockets(t *testing.T) {
	for _, test := range sockets {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, test.serve.ServeHTTP)
			wait := patience
			switch test.want { // a busy machine must not look like a slow server
			case results.TimedOut:
				wait = 200 * time.Millisecond
			case results.Stalled:
				wait = 2 * time.Second
			}
			s := &crowd.Shopper{}
			r := protocol(t, "turn", spoken).Do(c, s, scenarios.Step{Kind: scenarios.Turn, Say: "tea?", Answer: wait})
			if r.Outcome != test.want || !strings.Contains(r.Why, test.why) || (r.Why == "") != (test.want == results.OK) {
				t.Errorf("%v, %q; want %v, %q", r.Outcome, r.Why, test.want, test.why)
			}
			if good := test.want == results.OK || test.want == results.Refused; c.Socket() && c.Reusable() != good {
				t.Errorf("reusable %v", c.Reusable())
			}
			want := ""
			if test.want == results.OK {
				want = `{"role":"user","content":"tea?"},{"role":"assistant","content":"a\"b"}`
				if r.FirstToken.IsZero() || r.FirstToken.Before(r.FirstChunk) || r.End.Before(r.LastToken) {
					t.Errorf("%+v", r)
				}
			}
			if string(s.History) != want {
				t.Errorf("history %s", s.History)
			}
		})
	}
}

// TestConversation: one socket carries all turns, over TLS too; what comes
// between them is taken for what it is.
func TestConversation(t *testing.T) {
	for _, start := range []func(http.Handler) *httptest.Server{httptest.NewServer, httptest.NewTLSServer} {
		err := conversation(t, start)
		for tries := 1; err != nil && tries < 10; tries++ {
			err = conversation(t, start)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// conversation has one. An error may be the machine's: what has arrived is looked
// at for some milliseconds only.
func conversation(t *testing.T, start func(http.Handler) *httptest.Server) error {
	t.Helper()
	handshakes := 0
	between := make(chan struct{})
	var said []string
	talk := socketServer(func(conn net.Conn, turn int, line string) bool {
		said = append(said, line)
		wsutil.WriteServerText(conn, []byte(`{"text":"a"}`))
		wsutil.WriteServerText(conn, []byte(`{"type":"end"}`))
		switch turn {
		case 0:
			ws.WriteFrame(conn, ws.NewPingFrame([]byte("still there?")))
			wsutil.WriteServerText(conn, []byte(`{"type":"news","text":"nobody asked"}`))
		case 1: // alone, after the answer was read
			between <- struct{}{}
			ws.WriteFrame(conn, ws.NewPingFrame(nil))
		case 2:
			ws.WriteFrame(conn, closes(1001))
		}
		between <- struct{}{}
		return turn < 2
	})
	srv := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handshakes++
		if r.Header.Get("X-Token") != "secret" || r.Header.Get("traceparent") == "" || r.Header.Get("Content-Type") != "" {
			t.Errorf("handshake %v", r.Header)
		}
		talk.ServeHTTP(w, r)
	}))
	defer srv.Close()
	target, err := wire.NewTarget(wire.Config{URL: srv.URL, TLS: srv.Client().Transport.(*http.Transport).TLSClientConfig, Secrets: []string{"secret"}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := target.Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, h := &crowd.Shopper{Taken: map[string]string{"token": "secret"}}, protocol(t, "turn", spoken)
	for turn := range 3 {
		r := h.Do(c, s, scenarios.Step{Kind: scenarios.Turn, Say: "tea?", Answer: patience})
		if r.Outcome != results.OK || r.Tokens != 1 {
			t.Fatalf("turn %d: %+v", turn, r)
		}
		request, response := c.Exchange()
		if !strings.Contains(request, `{"role":"user"`) || !strings.Contains(response, `{"type":"end"}`) || strings.Contains(request+response, "secret") {
			t.Errorf("turn %d shows\n%s\n%s", turn, request, response)
		}
		<-between
		if turn == 1 {
			<-between
		}
		c.Rest()
		asked := time.Now()
		good := c.Reusable()
		if took := time.Since(asked); good != (turn < 2) || took >= 100*time.Millisecond { // what had arrived was waited for
			return fmt.Errorf("after turn %d: reusable %v, known after %v", turn, good, took)
		}
	}
	if handshakes != 1 || len(said) != 3 || strings.Count(said[2], `"role"`) != 5 {
		t.Errorf("%d handshakes, said %q", handshakes, said)
	}
	return nil
}

// A shopper that is canceled does not wait for the socket.
func TestSocketCanceled(t *testing.T) {
	asked := make(chan struct{})
	c := dial(t, socketServer(func(net.Conn, int, string) bool { close(asked); return true }).ServeHTTP)
	go func() { <-asked; c.Cancel() }()
	r := protocol(t, "turn", spoken).Do(c, &crowd.Shopper{}, scenarios.Step{Kind: scenarios.Turn, Say: "tea?", Answer: patience})
	if r.Outcome != results.Canceled || c.Reusable() {
		t.Errorf("%+v", r)
	}
}

// FuzzSocket: whatever comes over a socket, a turn ends, and is ok only if there
// was a text.
func FuzzSocket(f *testing.F) {
	add := func(all ...ws.Frame) {
		var b strings.Builder
		for _, frame := range all {
			ws.WriteFrame(&b, frame)
		}
		f.Add([]byte(b.String()))
	}
	add(text(`{"text":"a"}`), text(`{"type":"end"}`))
	add(ws.NewFrame(ws.OpText, false, []byte(`{"te`)), ws.NewPingFrame([]byte("x")), ws.NewFrame(ws.OpContinuation, true, []byte(`xt":"a"}`)), closes(1013))
	add(ws.Frame{Header: ws.Header{Fin: true, OpCode: ws.OpText, Length: 1<<63 - 1}})
	target, err := wire.NewTarget(wire.Config{URL: "http://shop.invalid"})
	if err != nil {
		f.Fatal(err)
	}
	o, err := New(&scenarios.Target{}, scenarios.Endpoint{Operations: map[string]scenarios.Operation{"turn": spoken}}, declines)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, bytes []byte) {
		near, far := net.Pipe()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		context.AfterFunc(ctx, func() { far.Close() })
		go func() {
			in := bufio.NewReader(far)
			if _, err := (ws.Upgrader{}).Upgrade(struct {
				io.Reader
				io.Writer
			}{in, far}); err == nil {
				go io.Copy(io.Discard, in)
				far.Write(bytes)
			}
			far.Close()
		}()
		c := wire.New(near, target)
		defer c.Close()
		r := o.Do(c, &crowd.Shopper{}, scenarios.Step{Kind: scenarios.Turn, Say: "tea?", Answer: patience})
		if (r.Outcome == results.OK) != (r.Why == "") || r.Outcome == results.OK && r.Tokens == 0 || r.Outcome == results.TimedOut {
			t.Fatalf("%q is %+v", bytes, r)
		}
	})
}
