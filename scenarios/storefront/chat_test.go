package storefront

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"
)

const chatPath = "/compatible-mode/v1/chat/completions"

// conversation returns the body of a chat request in which the user said lines.
func conversation(options string, lines ...string) string {
	var messages []string
	for _, l := range lines {
		messages = append(messages, `{"role":"user","content":"`+l+`"}`)
	}
	return `{"model":"qwen-shop",` + options + `"messages":[` + strings.Join(messages, `,{"role":"assistant","content":"…"},`) + `]}`
}

const streamed = `"stream":true,"stream_options":{"include_usage":true},`

// events returns the data of a stream's events.
func events(t *testing.T, body string) []string {
	t.Helper()
	var data []string
	for _, e := range strings.Split(strings.TrimSuffix(body, "\n\n"), "\n\n") {
		d, ok := strings.CutPrefix(e, "data: ")
		if !ok || strings.Contains(d, "\n") {
			t.Fatalf("event %q", e)
		}
		data = append(data, d)
	}
	return data
}

var swift = Options{Model: Model{Step: time.Nanosecond}, RowTime: -1}

func TestStreamShape(t *testing.T) {
	for _, o := range []Options{{Design: "null"}, swift} {
		url := start(t, o)
		for _, usage := range []bool{true, false} {
			options := `"stream":true,`
			if usage {
				options = streamed
			}
			status, body, header := call{"POST", chatPath, "u", "", conversation(options, "珍珠奶茶有吗？")}.do(t, url)
			if status != 200 || header.Get("Content-Type") != "text/event-stream" {
				t.Fatalf("%d %s %s", status, header, body)
			}
			data := events(t, body)
			if got := data[len(data)-1]; got != "[DONE]" {
				t.Errorf("the stream ends with %s", got)
			}
			data = data[:len(data)-1]
			if usage {
				last := gjson.Parse(data[len(data)-1])
				if c := last.Get("choices"); !c.IsArray() || len(c.Array()) != 0 || last.Get("usage.completion_tokens").Int() != int64(len(data)-3) ||
					last.Get("usage.total_tokens").Int() != last.Get("usage.completion_tokens").Int()+last.Get("usage.prompt_tokens").Int() {
					t.Errorf("usage chunk: %s", last.Raw)
				}
				data = data[:len(data)-1]
			}
			for i, d := range data {
				c := gjson.Parse(d)
				if !gjson.Valid(d) || c.Get("object").Str != "chat.completion.chunk" || c.Get("id").Str != gjson.Get(data[0], "id").Str ||
					c.Get("choices.#").Int() != 1 || c.Get("usage").Exists() != usage || c.Get("usage").Type != gjson.Null {
					t.Errorf("chunk %d: %s", i, d)
				}
				role, content, finish := c.Get("choices.0.delta.role"), c.Get("choices.0.delta.content"), c.Get("choices.0.finish_reason")
				switch i {
				case 0:
					if role.Str != "assistant" || content.Str != "" || finish.Type != gjson.Null {
						t.Errorf("first chunk: %s", d)
					}
				case len(data) - 1:
					if content.Exists() || finish.Str != "stop" {
						t.Errorf("last chunk: %s", d)
					}
				default:
					if role.Exists() || content.Str == "" || finish.Type != gjson.Null {
						t.Errorf("chunk %d: %s", i, d)
					}
				}
			}
			if n := len(data) - 2; n < fewestPieces || n > mostPieces || o.Design == "null" && n != 32 {
				t.Errorf("%d deltas", n)
			}
		}
	}
}

func TestWholeAnswer(t *testing.T) {
	for _, o := range []Options{{Design: "null"}, swift} {
		status, body, _ := call{"POST", chatPath, "", "", conversation("", "an americano, please")}.do(t, start(t, o))
		r := gjson.Parse(body)
		if status != 200 || r.Get("object").Str != "chat.completion" || r.Get("choices.0.message.role").Str != "assistant" ||
			r.Get("choices.0.message.content").Str == "" || r.Get("choices.0.finish_reason").Str != "stop" || r.Get("usage.completion_tokens").Int() < fewestPieces {
			t.Errorf("%s: %d %s", o.Design, status, body)
		}
	}
}

func TestChatErrors(t *testing.T) {
	url := start(t, Options{Design: "null"})
	for _, tt := range []struct {
		body   string
		status int
		param  string
	}{
		{``, 400, "body"},
		{`{`, 400, "body"},
		{`[]`, 400, "body"},
		{`{"messages":[]}`, 400, "model"},
		{`{"model":1,"messages":[]}`, 400, "model"},
		{`{"model":"m"}`, 400, "messages"},
		{`{"model":"m","messages":[]}`, 400, "messages"},
		{`{"model":"m","messages":[1]}`, 400, "messages[0]"},
		{`{"model":"m","messages":[{"role":"robot","content":"x"}]}`, 400, "messages[0].role"},
		{`{"model":"m","messages":[{"role":"system","content":"x"}]}`, 400, "messages"},
		{`{"model":"m","messages":[{"role":"user","content":"x"},{"role":"user"}]}`, 400, "messages[1].content"},
		{`{"model":"m","stream":"yes","messages":[{"role":"user","content":"x"}]}`, 400, "stream"},
		{`{"model":"` + strings.Repeat("m", longestBody) + `"}`, 413, ""},
		{`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"x"}]}]}`, 200, ""},
	} {
		status, body, _ := call{"POST", chatPath, "", "", tt.body}.do(t, url)
		r := gjson.Parse(body)
		if status != tt.status || r.Get("error.param").Str != tt.param ||
			status != 200 && (r.Get("error.type").Str != "invalid_request_error" || r.Get("error.message").Str == "" || r.Get("error.code").Str == "") {
			t.Errorf("%.80s: %d %s, want %d and param %q", tt.body, status, body, tt.status, tt.param)
		}
	}
}

func TestAssistant(t *testing.T) {
	for _, tt := range []struct{ lines, want []string }{
		{[]string{"附近有什么珍珠奶茶推荐吗？"}, []string{"珍珠奶茶", "18元"}},
		{[]string{"Any offers on AMERICANO today?"}, []string{"americano", "9 yuan"}},
		{[]string{"今天有美式咖啡的活动吗？", "就要美式咖啡，3份，少糖"}, []string{"美式咖啡3份", "27元"}},
		{[]string{"I'd like red bean bun.", "2 × it from the first shop.", "Fine, order it."}, []string{"2 × red bean bun"}},
		{[]string{"今晚有电影票吗？"}, []string{"晚场电影票", "45元"}},
		{[]string{"Is there a hotpot table tonight?", "2 please."}, []string{"2 × hotpot table", "176 yuan"}},
		{[]string{"帮我查一下电费"}, []string{"电费账单", yuan(price(find("bill-power"), "ann")) + "元"}},
		{[]string{"How much is my phone bill?", "Yes.", "Pay it."}, []string{"paying your phone bill of " + yuan(price(find("bill-phone"), "ann"))}},
		{[]string{"what is the weather?"}, []string{"pearl milk tea"}},
		{[]string{"你好"}, []string{"珍珠奶茶"}},
		{[]string{""}, []string{"Popular"}},
	} {
		said := speak(&ask{user: "ann", lines: tt.lines})
		text := strings.Join(said.words, "")
		for _, w := range tt.want {
			if !strings.Contains(text, w) {
				t.Errorf("%q: %q, without %q", tt.lines, text, w)
			}
		}
	}
	for i := range catalogue {
		for turn := 1; turn <= 4; turn++ {
			for _, title := range []string{catalogue[i].chinese, catalogue[i].english} {
				lines := make([]string, turn)
				lines[turn-1] = title
				if n := len(speak(&ask{lines: lines}).words); n < fewestPieces || n > mostPieces {
					t.Errorf("turn %d about %s: %d pieces", turn, title, n)
				}
			}
		}
	}
}

// A witness notes when each flush came.
type witness struct {
	*httptest.ResponseRecorder
	at []time.Time
}

func (w *witness) Flush() { w.at = append(w.at, time.Now()) }

// answered has d answer in the bubble of the test.
func answered(ctx context.Context, d *decoder) (*witness, error) {
	w := &witness{ResponseRecorder: httptest.NewRecorder()}
	a := &ask{model: "m", stream: true, lines: []string{"珍珠奶茶"}}
	r := httptest.NewRequestWithContext(ctx, "POST", chatPath, nil)
	err := d.Reply(ctx, a, &stream{face: &face{}, w: w, r: r, ask: a})
	return w, err
}

func TestPacing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDecoder(Options{Streams: 4, Engines: 1, Model: Model{Step: 10 * time.Millisecond}})
		begin := time.Now()
		w, err := answered(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		n := len(w.at) - 2 // the role first, the end last
		if n < fewestPieces {
			t.Fatalf("%d flushes", len(w.at))
		}
		for i := range n {
			if got, want := w.at[i+1].Sub(begin), time.Duration(i+1)*10*time.Millisecond; got != want {
				t.Errorf("delta %d after %v, want %v", i, got, want)
			}
		}
	})
}

func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDecoder(Options{Streams: 1, Queue: 1, QueueWait: 100 * time.Millisecond, Engines: 1, Model: Model{Step: time.Second}})
		ctx, leave := context.WithCancel(t.Context())
		first := make(chan error)
		go func() { _, err := answered(ctx, d); first <- err }()
		synctest.Wait()
		second := make(chan error)
		go func() { _, err := answered(t.Context(), d); second <- err }()
		synctest.Wait()
		if _, err := answered(t.Context(), d); err == nil || err.Error() != "the chat is full" {
			t.Errorf("with the queue full: %v", err)
		}
		if err := <-second; err == nil || err.Error() != "the chat is full" {
			t.Errorf("after waiting: %v", err)
		}
		third := make(chan error)
		go func() { _, err := answered(t.Context(), d); third <- err }()
		synctest.Wait()
		leave()
		if err := <-first; err != context.Canceled {
			t.Errorf("a client that left: %v", err)
		}
		synctest.Wait()
		if d.engine.flowing() != 1 || d.queued.Load() != 0 {
			t.Errorf("%d streams and %d waiting; the one that waited should flow", d.engine.flowing(), d.queued.Load())
		}
		if err := <-third; err != nil {
			t.Error(err)
		}
		if d.engine.flowing() != 0 || len(d.slots) != 0 {
			t.Errorf("%d streams, %d slots taken at the end", d.engine.flowing(), len(d.slots))
		}
	})
}

// On a real connection: deltas arrive one by one, and a client that leaves
// makes room for another.
func TestStreamOnTheWire(t *testing.T) {
	const step = 300 * time.Millisecond
	url := start(t, Options{Streams: 1, Queue: -1, Model: Model{Step: step}})
	ctx, leave := context.WithCancel(t.Context())
	begin := time.Now()
	r, err := http.NewRequestWithContext(ctx, "POST", url+chatPath, strings.NewReader(conversation(streamed, "珍珠奶茶")))
	if err != nil {
		t.Fatal(err)
	}
	first, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Body.Close()
	lines := bufio.NewScanner(first.Body)
	for deltas := 0; deltas < 2 && lines.Scan(); {
		if strings.Contains(lines.Text(), `"delta":{"content":"`) {
			deltas++
		}
	}
	if took := time.Since(begin); took < 2*step-10*time.Millisecond || took > fewestPieces*step {
		t.Errorf("the second of %d deltas, one each %v, came after %v", fewestPieces, step, took)
	}
	status, body, header := call{"POST", chatPath, "", "", conversation(streamed, "x")}.do(t, url)
	if status != 429 || header.Get("Retry-After") == "" || gjson.Get(body, "error.code").Str == "" {
		t.Errorf("with every stream taken: %d %v %s", status, header, body)
	}
	leave()
	for begin := time.Now(); ; {
		second, err := http.Post(url+chatPath, "application/json", strings.NewReader(conversation(streamed, "x")))
		if err != nil {
			t.Fatal(err)
		}
		second.Body.Close()
		if second.StatusCode == 200 {
			break
		}
		if time.Since(begin) > 5*time.Second {
			t.Fatal("the stream of a client that left is still taken")
		}
	}
}

// A stream of null leaves in one write.
func TestOneWrite(t *testing.T) {
	url := start(t, Options{Design: "null"})
	c, err := newBuyer(strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	body := conversation(streamed, "x")
	fmt.Fprintf(c.conn, "POST %s HTTP/1.1\r\nHost: s\r\nContent-Length: %d\r\n\r\n%s", chatPath, len(body), body)
	b := make([]byte, 64<<10)
	n, err := c.conn.Read(b)
	if err != nil || n < 4096 || !strings.HasSuffix(string(b[:n]), "data: [DONE]\n\n") {
		t.Errorf("read %d bytes, %v, ending with %q", n, err, b[max(0, n-20):n])
	}
}

// flushed notes what was written between flushes.
type flushed struct {
	httptest.ResponseRecorder
	pieces []string
	now    strings.Builder
}

func (f *flushed) Write(p []byte) (int, error) { return f.now.Write(p) }

func (f *flushed) Flush() {
	f.pieces = append(f.pieces, f.now.String())
	f.now.Reset()
}

// A stream of null leaves in as many writes as it is told, none of them with
// half an event.
func TestFlushes(t *testing.T) {
	whole := string(newInstant(1).withUsage)
	for _, n := range []int{2, 3, 31, 32, 100} {
		w := &flushed{}
		a := &ask{stream: true, usage: true}
		if err := newInstant(n).Reply(t.Context(), a, &stream{w: w, ask: a}); err != nil {
			t.Fatal(err)
		}
		if want := min(n, strings.Count(whole, "\n\n")); len(w.pieces) != want || strings.Join(w.pieces, "") != whole {
			t.Errorf("%d flushes: %d pieces, want %d", n, len(w.pieces), want)
		}
		for _, p := range w.pieces {
			if !strings.HasSuffix(p, "\n\n") {
				t.Errorf("%d flushes: a piece ends with %q", n, p[max(0, len(p)-20):])
			}
		}
	}
}

// Told to end, the storefront lets an answer that flows come to its end.
func TestDrain(t *testing.T) {
	s, err := New(Options{Model: Model{Step: 10 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, l) }()
	url := "http://" + l.Addr().String()
	r, err := http.Post(url+chatPath, "application/json", strings.NewReader(conversation(streamed, "x")))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	end()
	body, err := io.ReadAll(r.Body)
	if err != nil || !strings.HasSuffix(string(body), "data: [DONE]\n\n") {
		t.Errorf("%v, after %d bytes", err, len(body))
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := http.Get(url + "/healthz"); err == nil {
		t.Error("it still answers")
	}
}

// An answer that would not end is cut, and its goroutine with it.
func TestCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDecoder(Options{Streams: 1, Engines: 1, Model: Model{Step: 1000 * time.Second}})
		ctx, cut := context.WithTimeout(t.Context(), time.Second)
		defer cut()
		if _, err := answered(ctx, d); err != context.DeadlineExceeded || len(d.slots) != 0 {
			t.Errorf("%v, with %d streams taken", err, len(d.slots))
		}
	})
}
