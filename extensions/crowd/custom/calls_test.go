package custom

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/crowdtest"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/tools"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

var driving = scenarios.Operation{
	Request: scenarios.Request{
		Method: "POST", Path: "/ask", Headers: map[string]string{"X-Gave": "{{step.results}}"},
		Body: `{"messages": {{step.history}}, "outputs": {{step.results}}, "tools": {{step.tools}}}`,
	},
	Answer: &scenarios.Answer{Events: scenarios.SSE, Text: "text", Done: "[DONE]", Calls: &scenarios.Calls{List: "do", ID: "id", Name: "f.name", Arguments: "f.args"}},
}

// drives returns the operation with another description of calls.
func drives(change func(*scenarios.Calls)) scenarios.Operation {
	o, a := driving, *driving.Answer
	c := *a.Calls
	change(&c)
	a.Calls = &c
	o.Answer = &a
	return o
}

func events(all ...string) string {
	return "data: " + strings.Join(append(all, "[DONE]"), "\n\ndata: ") + "\n\n"
}

func repeated(n int, s string) []string { return slices.Repeat([]string{s}, n) }

func TestCalls(t *testing.T) {
	indexed := drives(func(c *scenarios.Calls) { c.Index = "n" })
	noIDs := drives(func(c *scenarios.Calls) { c.ID = "" })
	two := []scenarios.ToolCall{{ID: "1", Name: "search", Arguments: `{"q": "茶"}`}, {ID: "b", Name: "claim"}}
	for _, test := range []struct {
		name string
		o    scenarios.Operation
		body string
		want []scenarios.ToolCall // nil: malformed
		why  string
	}{
		{"an object", driving, events(`{"do":{"id":1,"f":{"name":"search","args":{"q": "茶"}}}}`, `{"do":{"id":"b","f":{"name":"claim","args":null}}}`), two, ""},
		{"a list, arguments as text", driving, events(`{"do":[7,"x",{},{"id":1,"f":{"name":"search","args":"{\"q\": \"茶\"}"}},{"id":"b","f":{"name":"claim"}}]}`), two, ""},
		{"among words", driving, events(`{"text":"a"}`, `{"do":[]}`, `{"do":{"f":{"args":"{}"}}}`, `{"do":{"id":1,"f":{"name":"search","args":{"q": "茶"}}},"text":"b"}`, `{"do":{"id":"b","f":{"name":"claim"}}}`), two, ""},
		{"in pieces", indexed, events(`{"do":{"n":0,"id":1,"f":{"name":"search","args":""}}}`, `{"do":{"n":1,"id":"b","f":{"name":"claim"}}}`,
			`{"do":{"n":0,"f":{"args":"{\"q\": "}}}`, `{"do":{"n":0,"f":{"args":"\"茶\"}"}}}`), two, ""},
		{"in pieces without numbers", indexed, events(`{"do":{"id":1,"f":{"name":"search","args":"{\"q\": "}}}`, `{"do":{"f":{"args":"\"茶\"}"}}}`, `{"do":{"id":"b","f":{"name":"claim"}}}`), two, ""},
		{"alike, and both whole", driving, events(`{"do":{"id":"a","f":{"name":"claim"}}}`, `{"do":{"id":"a","f":{"name":"claim"}}}`),
			[]scenarios.ToolCall{{ID: "a", Name: "claim"}, {ID: "a", Name: "claim"}}, ""},
		{"no ids", noIDs, events(`{"do":[{"id":"x","f":{"name":"claim"}},{"f":{"name":"claim","args":[1]}}]}`),
			[]scenarios.ToolCall{{ID: "call_4_0", Name: "claim"}, {ID: "call_4_1", Name: "claim", Arguments: "[1]"}}, ""},
		{"arguments that are no JSON", driving, events(`{"do":{"id":"a","f":{"name":"pay","args":"{\"a"}}}`), []scenarios.ToolCall{{ID: "a", Name: "pay", Arguments: `{"a`}}, ""},
		{"no name", driving, events(`{"do":{"id":"a","f":{"args":"{}"}}}`), nil, "without an id or a name"},
		{"no id", driving, events(`{"do":{"f":{"name":"pay"}}}`), nil, "without an id or a name"},
		{"no calls, and no words", driving, events(`{"do":"x"}`), nil, "an empty answer"},
		{"too many", driving, events(repeated(tools.Most+1, `{"do":{"id":"a","f":{"name":"pay"}}}`)...), nil, "more than 64 tool calls"},
		{"too many at once", driving, events(`{"do":[` + strings.Join(repeated(tools.Most+1, `{"id":"a","f":{"name":"pay"}}`), ",") + `]}`), nil, "more than 64 tool calls"},
		{"too long", driving, events(`{"do":{"id":"a","f":{"name":"pay","args":"` + strings.Repeat("x", tools.Bytes) + `"}}}`), nil, "more than 262144 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := dial(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				io.WriteString(w, test.body)
			})
			s := &crowd.Shopper{}
			r := protocol(t, "turn", test.o).Do(c, s, scenarios.Step{Kind: scenarios.Turn, Index: 4, Say: "tea?", Answer: patience})
			if test.want == nil {
				if r.Outcome != results.Malformed || !strings.Contains(r.Why, test.why) || r.Calls != nil || len(s.History) > 0 {
					t.Errorf("%v, %q, calls %v, history %s; want malformed, %s", r.Outcome, r.Why, r.Calls, s.History, test.why)
				}
				return
			}
			if r.Outcome != results.OK || !reflect.DeepEqual(r.Calls, test.want) || r.FirstToken.IsZero() {
				t.Errorf("%v, %q, %+v; want %+v", r.Outcome, r.Why, r.Calls, test.want)
			}
		})
	}
}

// TestToolTurns: what is said, called and given stands in the requests that
// follow; after the last turn nothing is kept of it.
func TestToolTurns(t *testing.T) {
	answers := []string{
		events(`{"text":"one \"moment\""}`, `{"do":{"id":"c\"1","f":{"name":"search","args":{"q":"茶"}}}}`),
		events(`{"do":{"id":"c2","f":{"name":"pay","args":"{}"}}}`),
		events(`{"text":"done"}`), events(`{"text":"bye"}`),
	}
	var seen []string
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if !json.Valid(b) {
			t.Errorf("no JSON: %s", b)
		}
		seen = append(seen, r.Header.Get("X-Gave")+"\n"+string(b))
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, answers[len(seen)-1])
	})
	s := &crowd.Shopper{}
	h, err := New(&scenarios.Target{Checkout: scenarios.Endpoint{Protocol: "ucp"}}, scenarios.Endpoint{Operations: map[string]scenarios.Operation{"turn": driving}}, declines)
	if err != nil {
		t.Fatal(err)
	}
	turn := scenarios.Step{Kind: scenarios.Turn, Answer: patience, Offer: true}
	first, second, third, last := turn, turn, turn, turn
	first.Say = "tea?"
	second.Tools = []scenarios.ToolResult{{CallID: `c"1`, Name: "search", Content: `{"items":[]}`}, {CallID: "c9", Name: "n\n", Content: `{"a":"\""}`}}
	third.Say, third.Offer, third.Tools = "thanks", false, []scenarios.ToolResult{{CallID: "c2", Name: "pay", Content: "{}"}}
	last.Say, last.Last, last.Offer = "bye", true, false
	for i, step := range []scenarios.Step{first, second, third} {
		if r := h.Do(c, s, step); r.Outcome != results.OK {
			t.Fatalf("step %d: %v, %s", i, r.Outcome, r.Why)
		}
		c.Rest()
	}
	crowdtest.Golden(t, "tools", fmt.Sprintf("%s\n\nthen\n%s\n", strings.Join(seen, "\n\n"), s.History))
	if r := h.Do(c, s, last); r.Outcome != results.OK || s.History != nil {
		t.Errorf("%v, %s, and the last turn left the history %s", r.Outcome, r.Why, s.History)
	}
}

// canned is a connection whose other side has said all it will.
type canned struct {
	net.Conn
	*strings.Reader
}

func (c canned) Read(b []byte) (int, error)      { return c.Reader.Read(b) }
func (c canned) Write(b []byte) (int, error)     { return len(b), nil }
func (c canned) SetDeadline(time.Time) error     { return nil }
func (c canned) SetReadDeadline(time.Time) error { return nil }
func (c canned) Close() error                    { return nil }

// FuzzCalls: whatever an answer calls, the result is bounded, every call has an
// id and a name, and the history stays what the next request can carry.
func FuzzCalls(f *testing.F) {
	for _, body := range []string{
		`{"do":[{"id":1,"n":0,"f":{"name":"search","args":{"q":"x"}}},{"n":1,"f":{"name":"claim"}}],"text":"a"}`,
		`{"do":{"n":0,"id":"a","f":{"name":"pay","args":"{\"a"}}}`, `{"do":{"n":1e309,"f":{"args":"\ud800"}}}`, `{"do":[[],7,null,{"id":{},"f":{"name":[],"args":true}}]}`,
		`{"do":{"id":"\"","f":{"name":"\\","args":"\u0000"}}}`, `{"text":"a"}`, `{"do":`,
	} {
		f.Add(events(body, `{"text":"b"}`), true)
		f.Add(events(body, body), false)
	}
	target, err := wire.NewTarget(wire.Config{URL: "http://127.0.0.1:1"})
	if err != nil {
		f.Fatal(err)
	}
	inPieces := protocol(f, "turn", drives(func(c *scenarios.Calls) { c.Index = "n" }))
	whole := protocol(f, "turn", drives(func(c *scenarios.Calls) { c.ID = "" }))
	f.Fuzz(func(t *testing.T, body string, pieces bool) {
		h := whole
		if pieces {
			h = inPieces
		}
		raw := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		c, s := wire.New(canned{Reader: strings.NewReader(raw)}, target), &crowd.Shopper{}
		step := scenarios.Step{Kind: scenarios.Turn, Say: "x", Answer: patience}
		r := h.Do(c, s, step)
		if (r.Outcome == results.OK) != (len(s.History) > 0) || r.Outcome != results.OK && (r.Calls != nil || r.Why == "") || len(r.Calls) > tools.Most {
			t.Fatalf("%+v with the history %q", r, s.History)
		}
		if !json.Valid([]byte("[" + string(s.History) + "]")) {
			t.Fatalf("the history is no JSON any more: %q", s.History)
		}
		for _, c := range r.Calls {
			if c.ID == "" || c.Name == "" {
				t.Fatalf("%+v", c)
			}
			step.Tools = append(step.Tools, scenarios.ToolResult{CallID: c.ID, Name: c.Name, Content: "{}"})
		}
		req, _, err := h.operations["turn"].request(s, step)
		if err == nil && !json.Valid(req.Body[0]) {
			t.Fatalf("a request that is no JSON: %s", req.Body[0])
		}
	})
}
