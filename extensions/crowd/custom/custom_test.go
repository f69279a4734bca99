package custom

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/crowdtest"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

const patience = crowdtest.Patience

var dial = crowdtest.Dial

func declines(text []byte) (results.Outcome, string) {
	if strings.Contains(string(text), "sorry") {
		return results.Refused, "sorry"
	}
	return results.OK, ""
}

func is(s string) *string                      { return &s }
func exists(b bool) *bool                      { return &b }
func status(from, to int) []scenarios.Statuses { return []scenarios.Statuses{{From: from, To: to}} }

var buy = scenarios.Operation{
	Request: scenarios.Request{
		Method: "POST", Path: "/buy/{{step.session}}?u={{shopper.user}}",
		Headers: map[string]string{"X-Token": "{{taken.token}}"},
		Body:    `{"code": "{{step.coupon}}"}`,
	},
	Take:     map[string]string{"order": "order.id", "amount": "order.cents", "currency": "order.currency", "token": "header:X-Token"},
	Rejected: []scenarios.Rule{{Path: "error", Matches: "^(SOLD|DECLINED)"}, {Status: status(403, 404)}},
	Retry:    []scenarios.Rule{{Path: "error", Is: is("BUSY")}},
	OK:       []scenarios.Rule{{Status: status(200, 299), Path: "error", Exists: exists(true), Not: true}},
}

func protocol(t testing.TB, name string, o scenarios.Operation) *HTTP {
	t.Helper()
	h, err := New(&scenarios.Target{}, scenarios.Endpoint{Path: "/api", Operations: map[string]scenarios.Operation{name: o}}, declines)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

var answers = []struct {
	name   string
	status int
	body   string
	want   results.Outcome
	why    string
}{
	{"ok", 200, `{"order":{"id":"o-1","cents":2500,"currency":"CNY"}}`, results.OK, ""},
	{"ok, no amount", 200, `{"order":{"id":"o-1","cents":25.5,"currency":"CNY"}}`, results.OK, "whole amount"},
	{"no order", 200, `{"order":{}}`, results.Malformed, "order.id"},
	{"order of an object", 200, `{"order":{"id":{}}}`, results.Malformed, "order.id"},
	{"endless order", 200, `{"order":{"id":"` + strings.Repeat("o", 5000) + `"}}`, results.Malformed, "bytes"},
	{"no in a 200", 200, `{"error":"SOLD_OUT","order":{"id":"o-1"}}`, results.Rejected, "error: SOLD_OUT"},
	{"retry in a 200", 200, `{"error":"BUSY"}`, results.Unavailable, "BUSY"},
	{"retry in a 429", 429, `{"error":"BUSY"}`, results.RateLimited, "BUSY"},
	{"no by status", 404, `<html>`, results.Rejected, "HTTP 404"},
	{"no rule", 200, `{"error":"ODD"}`, results.Unclassified, "no rule"},
	{"no rule, 429", 429, ``, results.RateLimited, "HTTP 429"},
	{"no rule, 500", 503, `<html>`, results.Unavailable, "HTTP 503"},
	{"no rule, 400", 400, `{}`, results.Unclassified, "HTTP 400"},
	{"a page, as a 200", 200, `<html>`, results.Malformed, "no JSON"},
	{"half", 200, `{"order":{"id":"o-1"`, results.Malformed, "no JSON"},
}

func TestOutcomes(t *testing.T) {
	for _, test := range answers {
		t.Run(test.name, func(t *testing.T) {
			c := dial(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", "2")
				w.Header().Set("X-Token", "next")
				w.WriteHeader(test.status)
				io.WriteString(w, test.body)
			})
			s := &crowd.Shopper{}
			r := protocol(t, "complete", buy).Do(c, s, scenarios.Step{Kind: scenarios.Complete, Answer: patience})
			if r.Outcome != test.want || !strings.Contains(r.Why, test.why) {
				t.Errorf("%v, %q; want %v, %q", r.Outcome, r.Why, test.want, test.why)
			}
			if ok := test.want == results.OK; (r.Order == "o-1") != ok || (s.Taken["token"] == "next") != ok {
				t.Errorf("order %q, taken %v", r.Order, s.Taken)
			}
			if r.RetryAfter != 2*time.Second {
				t.Errorf("retry after %v", r.RetryAfter)
			}
		})
	}
}

func TestRequestEscapes(t *testing.T) {
	const hostile = "../x?\"\\\r\n&=é"
	var path, body string
	tokens := -1
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		path, body, tokens = r.RequestURI, string(b), len(r.Header["X-Token"])
		io.WriteString(w, answers[0].body)
	})
	s := &crowd.Shopper{}
	step := scenarios.Step{Kind: scenarios.Complete, Answer: patience, Session: hostile, Coupon: hostile}
	h := protocol(t, "complete", buy)
	if r := h.Do(c, s, step); r.Outcome != results.OK {
		t.Fatal(r.Outcome, r.Why)
	}
	var got struct{ Code string }
	if err := json.Unmarshal([]byte(body), &got); err != nil || got.Code != hostile {
		t.Errorf("body %q: %v", body, err)
	}
	if want := "/api/buy/%2E%2E%2Fx%3F%22%5C%0D%0A%26%3D%C3%A9?u="; !strings.HasPrefix(path, want) {
		t.Errorf("path %q, want %q", path, want)
	}
	if tokens != 0 {
		t.Error("a header without its value was sent")
	}
	s.Taken = map[string]string{"token": "a\r\nHost: elsewhere"}
	if r := h.Do(c, s, step); r.Outcome != results.Malformed || !strings.Contains(r.Why, "X-Token") {
		t.Errorf("%v, %q", r.Outcome, r.Why)
	}
}

var slow = scenarios.Operation{
	Request: scenarios.Request{Method: "POST", Path: "/buy", Body: `{}`},
	Take:    map[string]string{"order": "id", "ticket": "ticket"},
	Pending: []scenarios.Rule{{Path: "state", Matches: "^(NEW|PAYING)$"}},
	OK:      []scenarios.Rule{{Path: "state", Is: is("PAID")}},
	Poll: &scenarios.Polling{Operation: scenarios.Operation{
		Request:  scenarios.Request{Method: "GET", Path: "/orders/{{taken.ticket}}"},
		Rejected: []scenarios.Rule{{Path: "state", Is: is("DECLINED")}},
	}},
}

// TestPoll: what is pending is no promise, and its poll has the operation's
// rules but for those of its own.
func TestPoll(t *testing.T) {
	bodies := []string{`{"state":"NEW","ticket":"t 1","id":"o-1"}`, `{"state":"PAYING"}`, `{"state":"PAID"}`}
	seen := 0
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		if want := []string{"POST /api/buy", "GET /api/orders/t%201"}[min(seen, 1)]; r.Method+" "+r.RequestURI != want {
			t.Errorf("request %d: %s %s, want %s", seen, r.Method, r.RequestURI, want)
		}
		if (r.Header.Get("Idempotency-Key") != "") != (seen == 0) {
			t.Errorf("request %d has the key %q", seen, r.Header.Get("Idempotency-Key"))
		}
		io.WriteString(w, bodies[seen])
		seen++
	})
	h, s := protocol(t, "complete", slow), &crowd.Shopper{Taken: map[string]string{"order": "another"}}
	step := scenarios.Step{Kind: scenarios.Complete, Answer: patience}
	if r := h.Do(c, s, step); r.Outcome != results.OK || !r.Pending || r.Order != "" || s.Taken["ticket"] != "t 1" {
		t.Fatalf("%+v, taken %v", r, s.Taken)
	}
	step.Kind, step.Of = scenarios.Poll, scenarios.Complete
	if r := h.Do(c, s, step); r.Outcome != results.OK || !r.Pending || r.Order != "" {
		t.Fatalf("%+v", r)
	}
	if r := h.Do(c, s, step); r.Outcome != results.OK || r.Pending || r.Order != "o-1" {
		t.Fatalf("%+v, taken %v", r, s.Taken)
	}
	bodies = append(bodies, `{"state":"DECLINED"}`, `{"state":"NEW"}`, `{"state":"PAID"}`)
	if r := h.Do(c, s, step); r.Outcome != results.Rejected {
		t.Fatalf("%+v", r)
	}
	// The last order must not pass for one that a new answer does not name.
	h.operations["complete"].poll.path = h.operations["complete"].path
	seen = 4
	c2 := dial(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, bodies[seen]); seen++ })
	h.Do(c2, s, scenarios.Step{Kind: scenarios.Complete, Answer: patience})
	if r := h.Do(c2, s, step); r.Outcome != results.Malformed {
		t.Fatalf("%+v, taken %v", r, s.Taken)
	}
}

var turn = scenarios.Operation{
	Request:  scenarios.Request{Method: "POST", Path: "/ask", Body: `{"messages": {{step.history}}}`},
	Answer:   &scenarios.Answer{Events: scenarios.SSE, Text: "text", Done: "[DONE]", Error: "error"},
	Rejected: []scenarios.Rule{{Path: "code", Is: is("CLOSED")}},
}

var streams = []struct {
	name, kind, body string
	want             results.Outcome
}{
	{"ok", "text/event-stream", "data: {}\n\ndata: {\"text\":\"a\\\"\"}\n\ndata: {\"text\":\"b\"}\n\ndata: [DONE]\n\n", results.OK},
	{"declines", "text/event-stream", "data: {\"text\":\"sorry\"}\n\ndata: [DONE]\n\n", results.Refused},
	{"error", "text/event-stream", "data: {\"text\":\"a\"}\n\ndata: {\"error\":{\"code\":1}}\n\n", results.ErrorInStream},
	{"no", "text/event-stream", "data: {\"code\":\"CLOSED\"}\n\n", results.Rejected},
	{"cut", "text/event-stream", "data: {\"text\":\"a\"}\n\n", results.Truncated},
	{"empty", "text/event-stream", "data: {\"text\":\"\"}\n\ndata: [DONE]\n\n", results.Malformed},
	{"no JSON", "text/event-stream", "data: hello\n\n", results.Malformed},
	{"no stream", "application/json", `{"text":"a"}`, results.Unclassified},
	{"no stream, and a no", "application/json", `{"code":"CLOSED"}`, results.Rejected},
	{"a page", "text/html", `<html>`, results.Malformed},
}

func TestTurns(t *testing.T) {
	for _, test := range streams {
		t.Run(test.name, func(t *testing.T) {
			c := dial(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", test.kind)
				io.WriteString(w, test.body)
			})
			s := &crowd.Shopper{}
			r := protocol(t, "turn", turn).Do(c, s, scenarios.Step{Kind: scenarios.Turn, Say: "tea?", Answer: patience})
			if r.Outcome != test.want || (r.Why == "") != (test.want == results.OK) {
				t.Errorf("%v, %q; want %v", r.Outcome, r.Why, test.want)
			}
			want := ""
			if test.want == results.OK {
				want = `{"role":"user","content":"tea?"},{"role":"assistant","content":"a\"b"}`
				if r.Tokens != 2 || r.FirstToken.IsZero() || r.FirstToken.Before(r.FirstChunk) {
					t.Errorf("%+v", r)
				}
			}
			if string(s.History) != want {
				t.Errorf("history %s", s.History)
			}
		})
	}
}

func FuzzClassify(f *testing.F) {
	for _, a := range answers {
		f.Add(a.status, []byte(a.body))
	}
	o, err := compile("", buy, lines("{{step.key}}"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if r := o.classify(status, body); r.Outcome == results.OK && (status/100 != 2 || !json.Valid(body)) || r.Outcome != results.OK && r.Why == "" {
			t.Fatalf("%d %q is %+v", status, body, r)
		}
	})
}

// FuzzTemplate: whatever a backend gave stays inside the JSON string, and a
// path stays one segment.
func FuzzTemplate(f *testing.F) {
	f.Add(`a"b`, "../..")
	f.Add("\xff\u2028", "x\r\n")
	o, err := compile("", buy, lines("{{step.key}}"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, coupon, session string) {
		req, _, err := o.request(&crowd.Shopper{}, scenarios.Step{Kind: scenarios.Complete, Coupon: coupon, Session: session})
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]string
		if err := json.Unmarshal(req.Body[0], &got); err != nil || len(got) != 1 {
			t.Fatalf("%s: %v", req.Body[0], err)
		}
		if strings.Count(req.Path, "/") != 2 || strings.ContainsAny(req.Path, " \r\n.") || strings.Count(req.Path, "?") != 1 {
			t.Fatalf("path %q", req.Path)
		}
	})
}
