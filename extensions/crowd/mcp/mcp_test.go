package mcp

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/results"
)

var versions = []string{"2026-07-28", "2025-11-25"}

const yes = `{"jsonrpc":"2.0","id":ID,"result":{"resultType":"complete","structuredContent":{"a":1},"content":[]}}`

func problem(code, data string) string {
	return `{"jsonrpc":"2.0","id":ID,"error":{"code":` + code + `,"message":"不行"` + data + `}}`
}

// answers are what a server may say to a call, and what it means.
var answers = []struct {
	name   string
	status int
	body   string
	want   results.Outcome
	why    string // part of it; empty: there is content to judge
}{
	{"content", 200, yes, 0, ""},
	{"content, failed", 200, strings.Replace(yes, `"content"`, `"isError":true,"content"`, 1), 0, ""},
	{"content of before", 200, strings.Replace(yes, `"resultType":"complete",`, "", 1), 0, ""},
	{"content as text", 200, `{"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"image"},{"type":"text","text":"{\"a\":1}"}]}}`, 0, ""},
	{"failed, in a sentence", 200, `{"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"text","text":"it broke"}],"isError":true}}`, results.Unclassified, "isError: it broke"},
	{"a sentence", 200, `{"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"text","text":"done"}]}}`, results.Malformed, "structured"},
	{"content that is a list", 200, `{"jsonrpc":"2.0","id":ID,"result":{"structuredContent":[1]}}`, results.Malformed, "structured"},
	{"asks back", 200, `{"jsonrpc":"2.0","id":ID,"result":{"resultType":"input_required","inputRequests":{"a":{"method":"elicitation/create"}},"requestState":"x"}}`, results.Rejected, "input_required"},
	{"an odd type", 200, strings.Replace(yes, "complete", "odd", 1), results.Malformed, "type odd"},
	{"another id", 200, strings.Replace(yes, "ID", `"other"`, 1), results.Malformed, "another request: other"},
	{"no id", 200, strings.Replace(yes, `"id":ID,`, "", 1), results.Malformed, "another request"},
	{"a result of nothing", 200, `{"jsonrpc":"2.0","id":ID,"result":null}`, results.Malformed, "neither"},
	{"accepted", 202, "", results.Malformed, "JSON"},
	{"a page", 200, "<html>系统开小差</html>", results.Malformed, "JSON"},
	{"half", 200, yes[:40], results.Malformed, "JSON"},

	{"bad arguments", 200, problem("-32602", ""), results.Rejected, "error -32602: 不行"},
	{"no such method", 404, problem("-32601", ""), results.Rejected, "HTTP 404: error -32601"},
	{"headers that differ", 400, problem("-32020", ""), results.Rejected, "-32020"},
	{"a capability", 400, problem("-32021", ""), results.Rejected, "-32021"},
	{"another version", 400, problem("-32022", `,"data":{"supported":["2025-11-25"],"requested":"2026-07-28"}`), results.Rejected, "-32022"},
	{"another version, as a 200", 200, problem("-32022", ""), results.Rejected, "-32022"},
	{"an internal error", 200, problem("-32603", ""), results.Unavailable, "-32603"},
	{"no reason", 200, problem("-32000", ""), results.Unclassified, "-32000"},
	{"a reason", 200, problem("-32000", `,"data":{"code":"idempotency_conflict"}`), results.Rejected, "idempotency_conflict"},
	{"a limit", 200, problem("-32000", `,"data":{"code":"rate_limited","retry_after":2}`), results.RateLimited, "rate_limited"},
	{"a limit, of another name", 200, problem("-32029", `,"data":{"code":"RATE_LIMIT_EXCEEDED","retry_after_ms":2000}`), results.RateLimited, "RATE_LIMIT"},
	{"later", 200, problem("-32000", `,"data":{"retry_after":2}`), results.Unavailable, "-32000"},
	{"not now", 200, problem("-32000", `,"data":{"code":"service_unavailable"}`), results.Unavailable, "service_unavailable"},
	{"an application's own", 200, problem("7", ""), results.Unclassified, "error 7"},
	{"429", 429, problem("-32000", ""), results.RateLimited, "HTTP 429: error -32000"},
	{"429 of a proxy", 429, "slow down", results.RateLimited, "HTTP 429"},
	{"500", 500, problem("-32603", ""), results.Unavailable, "HTTP 500"},
	{"503 of a proxy", 503, "<html>", results.Unavailable, "HTTP 503"},
	{"401", 401, "", results.Rejected, "HTTP 401"},
	{"400 in words", 400, "Bad Request: no such version", results.Rejected, "HTTP 400"},
	{"a redirect", 302, "", results.Unclassified, "HTTP 302"},
	{"a result in a 500", 500, yes, results.Unavailable, "HTTP 500"},
}

func TestOutcomes(t *testing.T) {
	for _, version := range versions {
		for _, test := range answers {
			t.Run(version+"/"+test.name, func(t *testing.T) {
				if version != stateless && test.status == 404 {
					t.Skip("it means that the session is over")
				}
				started := time.Now()
				a, _ := call(t, New(endpoint(version)), dialer(t, saying(test.status, test.body)), shopper(), step())
				if (a.Content != nil) != (test.why == "") || a.Result.Outcome != test.want || !strings.Contains(a.Result.Why, test.why) {
					t.Errorf("%s, %+v; want %v, %q", a.Content, a.Result, test.want, test.why)
				}
				if a.Content != nil && gjson.GetBytes(a.Content, "a").Num != 1 || a.Failed != strings.Contains(test.body, `"isError":true`) {
					t.Errorf("%+v", a)
				}
				if a.Result.End.Before(started) || (a.Result.RetryAfter == 2*time.Second) != strings.Contains(test.body, "retry_after") {
					t.Errorf("end %v, retry after %v", a.Result.End, a.Result.RetryAfter)
				}
			})
		}
	}
}

// An answer may come as a stream, with messages in it that are not for this
// request.
func TestStreams(t *testing.T) {
	const (
		progress = "event: message\nid: 1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{}}\n\n"
		asks     = "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sampling/createMessage\",\"params\":{}}\n\n"
		other    = "data: {\"jsonrpc\":\"2.0\",\"id\":\"another\",\"result\":{}}\n\n"
		primes   = "id: 0\ndata:\n\n: keep-alive\n\n"
	)
	for _, test := range []struct {
		name, body string
		want       results.Outcome // 0: content
	}{
		{"alone", "data: " + yes + "\n\n", 0},
		{"among others", primes + progress + asks + other + "event: message\ndata: " + yes + "\n\n", 0},
		{"in lines", "data: " + strings.ReplaceAll(yes, ",", ",\ndata: ") + "\n\n", 0},
		{"an error", progress + "data: " + problem("-32603", "") + "\n\n", results.Unavailable},
		{"an error without id", "data: " + strings.Replace(problem("-32603", ""), "ID", "null", 1) + "\n\n", results.Unavailable},
		{"no answer", primes + progress, results.Truncated},
		{"nothing", "", results.Truncated},
		{"no JSON", "data: <html>\n\n", results.Malformed},
	} {
		for _, version := range versions {
			t.Run(version+"/"+test.name, func(t *testing.T) {
				target := dialer(t, say(func(w http.ResponseWriter, r *http.Request, id string) {
					w.Header().Set("Content-Type", "Text/Event-Stream; charset=utf-8")
					io.WriteString(w, strings.ReplaceAll(test.body, "ID", id))
				}))
				a, _ := call(t, New(endpoint(version)), target, shopper(), step())
				if a.Result.Outcome != test.want || (a.Content != nil) != (test.want == 0) {
					t.Errorf("%s, %+v; want %v", a.Content, a.Result, test.want)
				}
			})
		}
	}
}

func TestBrokenWire(t *testing.T) {
	for _, test := range []struct {
		name  string
		serve func(w http.ResponseWriter, r *http.Request, id string)
		want  results.Outcome
	}{
		{"silent", func(_ http.ResponseWriter, r *http.Request, _ string) { <-r.Context().Done() }, results.TimedOut},
		{"hangs up", func(http.ResponseWriter, *http.Request, string) { panic(http.ErrAbortHandler) }, results.ConnectionFailed},
		{"half a body", func(w http.ResponseWriter, _ *http.Request, _ string) {
			w.Header().Set("Content-Length", "5000")
			io.WriteString(w, yes)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, results.Truncated},
		{"a stream that falls silent", func(w http.ResponseWriter, r *http.Request, _ string) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: {\"method\":\"notifications/progress\"}\n\n")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, results.Stalled},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := step()
			switch test.want { // a busy machine must not look like a slow server
			case results.TimedOut:
				s.Answer = 150 * time.Millisecond
			case results.Stalled:
				s.Answer = time.Second
			}
			a, _ := call(t, New(endpoint(stateless)), dialer(t, say(test.serve)), shopper(), s)
			if a.Result.Outcome != test.want || a.Result.Why == "" || a.Result.End.IsZero() || a.Content != nil {
				t.Errorf("%+v; want %v", a, test.want)
			}
		})
	}
}

// What goes out in a version without sessions.
func TestAlone(t *testing.T) {
	var got string
	a, requests := call(t, New(endpoint(stateless)), dialer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		m := gjson.ParseBytes(body)
		got = strings.Join([]string{r.Method, r.URL.Path, r.Header.Get("Accept"), r.Header.Get("MCP-Protocol-Version"), r.Header.Get("Mcp-Method"), r.Header.Get("Mcp-Name"),
			r.Header.Get("MCP-Session-Id"), r.Header.Get("X-User-Id"), m.Get("method").Str, m.Get("params.name").Str, m.Get("params.arguments").Raw,
			m.Get(`params._meta.io\.modelcontextprotocol/protocolVersion`).Str, m.Get(`params._meta.io\.modelcontextprotocol/clientInfo.name`).Str,
			m.Get(`params._meta.io\.modelcontextprotocol/clientCapabilities`).Raw}, "|")
		io.WriteString(w, strings.Replace(yes, "ID", m.Get("id").Raw, 1))
	})), shopper(), step())
	const want = `POST|/mcp|application/json, text/event-stream|2026-07-28|tools/call|buy||the-user|tools/call|buy|{"what":"tea"}|2026-07-28|flashcrowd|{}`
	if got != want || a.Content == nil || requests != 1 {
		t.Errorf("%s, %d requests\nwant %s", got, requests, want)
	}
}

// A backend is a server with sessions that logs what it hears.
type backend struct {
	log      []string
	open     int    // sessions opened so far
	forgets  int    // the calls in a session that are let through; 0: all
	version  string // settled on
	id       string // of sessions; empty: session-N
	closes   bool   // the connection after each answer
	declines int    // status of an initialize; 0: it is done
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	m := gjson.ParseBytes(body)
	what := r.Method
	if what == "POST" {
		what = m.Get("method").Str
	}
	session := r.Header.Get("MCP-Session-Id")
	b.log = append(b.log, strings.TrimSpace(fmt.Sprint(what, " ", session, " ", r.Header.Get("MCP-Protocol-Version"))))
	if b.closes {
		w.Header().Set("Connection", "close")
	}
	switch {
	case what == "initialize" && b.declines > 0:
		w.WriteHeader(b.declines)
	case what == "initialize":
		b.open++
		id := b.id
		if id == "" {
			id = fmt.Sprint("session-", b.open)
		}
		w.Header().Set("MCP-Session-Id", id)
		io.WriteString(w, `{"jsonrpc":"2.0","id":`+m.Get("id").Raw+`,"result":{"protocolVersion":"`+b.version+`"}}`)
	case what == "notifications/initialized":
		w.WriteHeader(http.StatusAccepted)
	case what == "DELETE":
		w.WriteHeader(http.StatusMethodNotAllowed)
	case b.open == b.forgets:
		w.WriteHeader(http.StatusNotFound)
	default:
		io.WriteString(w, strings.Replace(yes, "ID", m.Get("id").Raw, 1))
	}
}

func TestSessions(t *testing.T) {
	const (
		first  = "initialize|notifications/initialized session-1 2025-11-25|tools/call session-1 2025-11-25"
		second = "|initialize|notifications/initialized session-2 2025-11-25|tools/call session-2 2025-11-25"
		again  = "|tools/call session-1 2025-11-25"
		bye    = "|DELETE session-1 2025-11-25"
	)
	for _, test := range []struct {
		name string
		b    backend
		log  string
		want results.Outcome // of the first call; 0: content
	}{
		{"kept", backend{version: "2025-11-25"}, first + again + bye, 0},
		{"on a connection each", backend{version: "2025-11-25", closes: true}, first + again, 0},
		{"forgotten", backend{version: "2025-11-25", forgets: 1}, first + second + strings.ReplaceAll(again+bye, "session-1", "session-2"), 0},
		{"settled on an older version", backend{version: "2025-06-18"}, strings.ReplaceAll(first+again+bye, "2025-11-25", "2025-06-18"), 0},
		{"settled on no version", backend{version: "1999"}, "initialize|initialize", results.Rejected},
		{"an id that breaks the head", backend{version: "2025-11-25", id: "a b"}, "initialize|initialize", results.Malformed},
		{"not opened", backend{declines: 503}, "initialize|initialize", results.Unavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := &test.b
			target, s, m := dialer(t, b), shopper(), New(endpoint("2025-11-25"))
			a, _ := call(t, m, target, s, step())
			if a.Result.Outcome != test.want || a.Result.Unsent != (test.want != 0) {
				t.Errorf("%+v", a)
			}
			call(t, m, target, s, step())
			if !b.closes {
				c, err := target.Dial(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				m.Close(c, s, time.Now().Add(patience))
				m.Close(c, s, time.Now().Add(patience)) // there is nothing left to close
			}
			if got := strings.Join(b.log, "|"); got != test.log {
				t.Errorf("%s\nwant\n%s", got, test.log)
			}
		})
	}
}

// A server that forgets every session does not keep a shopper for ever.
func TestForgetsAlways(t *testing.T) {
	b := &backend{version: "2025-11-25"}
	target := dialer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.forgets = b.open
		b.ServeHTTP(w, r)
	}))
	if a, requests := call(t, New(endpoint("2025-11-25")), target, shopper(), step()); requests <= 8 || a.Result.Outcome != results.Unavailable || a.Content != nil {
		t.Errorf("%d requests, %+v", requests, a)
	}
}

// A server may do without an id. Then a 404 is a 404.
func TestNoID(t *testing.T) {
	target := dialer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch m := gjson.ParseBytes(body); {
		case m.Get("method").Str == "initialize":
			io.WriteString(w, `{"jsonrpc":"2.0","id":`+m.Get("id").Raw+`,"result":{"protocolVersion":"2025-11-25"}}`)
		case r.Header.Get("MCP-Session-Id") != "":
			w.WriteHeader(http.StatusBadRequest)
		case m.Get("id").Exists():
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	s := shopper()
	a, requests := call(t, New(endpoint("2025-11-25")), target, s, step())
	if requests != 3 || a.Result.Outcome != results.Rejected || a.Result.Status != 404 || s.Sessions["/mcp"] != (crowd.Session{Head: "MCP-Protocol-Version: 2025-11-25\r\n", Ready: true}) {
		t.Errorf("%d requests, %+v, %+v", requests, a, s.Sessions)
	}
}

func FuzzParse(f *testing.F) {
	for _, a := range answers {
		f.Add(a.status, []byte(strings.ReplaceAll(a.body, "ID", `"x"`)))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		a := parse(status, body, "x")
		if a.Content == nil {
			if a.Result.Outcome == results.OK || a.Result.Why == "" || len(a.Result.Why) > 200 {
				t.Fatalf("%+v", a)
			}
		} else if status < 200 || status > 299 || !gjson.ParseBytes(a.Content).IsObject() || a.Result.Outcome != 0 {
			t.Fatalf("%d %q is %+v", status, body, a)
		}
		if a.Result.RetryAfter < 0 || a.Result.RetryAfter > time.Hour {
			t.Fatal(a.Result.RetryAfter)
		}
		aside(body, "x")
	})
}
