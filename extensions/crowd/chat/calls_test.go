package chat

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/tools"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// calls renders a delta with pieces of tool calls.
func calls(pieces ...string) string {
	return `{"choices":[{"index":0,"delta":{"content":null,"tool_calls":[` + strings.Join(pieces, ",") + `]},"finish_reason":null}]}`
}

func TestCalls(t *testing.T) {
	two := []scenarios.ToolCall{{ID: "c1", Name: "search", Arguments: `{"q":"茶"}`}, {ID: "c2", Name: "claim", Arguments: `{}`}}
	tests := []struct {
		name   string
		deltas []string
		want   []scenarios.ToolCall // nil: malformed
	}{
		{"by index", []string{
			calls(`{"index":0,"id":"c1","type":"function","function":{"name":"search","arguments":""}}`),
			calls(`{"index":0,"function":{"arguments":"{\"q\":"}}`),
			calls(`{"index":1,"id":"c2","type":"function","function":{"name":"claim","arguments":"{}"}}`),
			calls(`{"index":0,"function":{"arguments":"\"\u8336\"}"}}`),
		}, two},
		{"two in one delta", []string{
			calls(`{"index":0,"id":"c1","function":{"name":"search","arguments":"{\"q\":\"茶\"}"}}`, `{"index":1,"id":"c2","function":{"name":"claim","arguments":"{}"}}`),
		}, two},
		{"empty ids in later deltas", []string{
			calls(`{"index":0,"id":"c1","function":{"name":"search","arguments":""}}`),
			calls(`{"index":0,"id":"","function":{"name":"","arguments":"{\"q\":\"茶\"}"}}`),
			calls(`{"index":1,"id":"c2","function":{"name":"claim","arguments":"{}"}}`),
		}, two},
		{"the id in every delta", []string{
			calls(`{"index":0,"id":"c1","function":{"name":"search","arguments":"{\"q\":"}}`),
			calls(`{"index":0,"id":"c1","function":{"name":"search","arguments":"\"茶\"}"}}`),
			calls(`{"index":1,"id":"c2","function":{"name":"claim","arguments":"{}"}}`),
		}, two},
		{"every index 0", []string{
			calls(`{"index":0,"id":"c1","function":{"name":"search","arguments":"{\"q\":"}}`),
			calls(`{"index":0,"function":{"arguments":"\"茶\"}"}}`),
			calls(`{"index":0,"id":"c2","function":{"name":"claim","arguments":"{}"}}`),
		}, two},
		{"no index", []string{
			calls(`{"id":"c1","function":{"name":"search","arguments":"{\"q\":"}}`),
			calls(`{"function":{"arguments":"\"茶\"}"}}`),
			calls(`{"id":"c2","function":{"name":"claim","arguments":"{}"}}`),
		}, two},
		{"arguments that are no JSON", []string{calls(`{"index":0,"id":"c","function":{"name":"pay","arguments":"{\"a"}}`)}, []scenarios.ToolCall{{ID: "c", Name: "pay", Arguments: `{"a`}}},
		{"words before it", []string{delta("稍等,"), calls(`{"index":0,"id":"c","function":{"name":"pay"}}`)}, []scenarios.ToolCall{{ID: "c", Name: "pay"}}},
		{"no name", []string{calls(`{"index":0,"id":"c1","function":{"arguments":"{}"}}`)}, nil},
		{"of other types", []string{calls(`{"index":"0","id":5,"function":"pay"}`, `7`)}, nil},
		{"too many", strings.SplitAfter(strings.Repeat(calls(`{"id":"c","function":{"name":"pay"}}`, `{"id":"d","function":{"name":"pay"}}`)+"\n", tools.Most), "\n"), nil},
		{"too long", strings.SplitAfter(strings.Repeat(calls(`{"index":0,"id":"c","function":{"name":"pay","arguments":"`+strings.Repeat("x", 1<<10)+`"}}`)+"\n", tools.Bytes>>10), "\n"), nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var lines []string
			for _, d := range test.deltas {
				if d = strings.TrimSpace(d); d != "" {
					lines = append(lines, d)
				}
			}
			c, s := dial(t, stream(data(append(lines, `{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}`, done)...))), shopper()
			r := New(scenarios.Endpoint{}).Do(c, s, turn("x"))
			if test.want == nil {
				if r.Outcome != results.Malformed || r.Why == "" || r.Calls != nil || len(s.History) > 0 {
					t.Errorf("%v, %q, calls %v, history %s; want malformed", r.Outcome, r.Why, r.Calls, s.History)
				}
				return
			}
			if r.Outcome != results.OK || !reflect.DeepEqual(r.Calls, test.want) || r.FirstToken.IsZero() {
				t.Errorf("%v, %q, %+v; want %+v", r.Outcome, r.Why, r.Calls, test.want)
			}
		})
	}
}

// The calls and what they gave stand in the next request as the protocol wants
// them: each result names a call of the assistant's message before.
func TestToolTurn(t *testing.T) {
	answers := []string{
		data(delta("稍等"), calls(`{"index":0,"id":"c\"1","type":"function","function":{"name":"search","arguments":"{\"q\":\"茶\"}"}}`), stop, done),
		data(calls(`{"index":0,"id":"c2","type":"function","function":{"name":"pay","arguments":"{}"}}`), stop, done),
		data(delta("下单了"), stop, done),
	}
	var bodies []string
	c, s := dial(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(b))
		stream(answers[len(bodies)-1])(w, r)
	}), shopper()
	p := New(scenarios.Endpoint{Model: "m"}, scenarios.Tool{Name: "search", Description: "finds \"goods\"", Parameters: `{"type":"object"}`}, scenarios.Tool{Name: "pay", Parameters: `{}`})
	first := turn("来一杯")
	first.Offer = true
	second := turn("")
	second.Offer, second.Tools = true, []scenarios.ToolResult{{CallID: `c"1`, Content: "[\"茶\"]\n"}}
	third := turn("多谢")
	third.Tools = []scenarios.ToolResult{{CallID: "c2", Content: "paid"}}
	for i, step := range []scenarios.Step{first, second, third} {
		if r := p.Do(c, s, step); r.Outcome != results.OK {
			t.Fatalf("step %d: %v, %s", i, r.Outcome, r.Why)
		}
		c.Rest()
	}
	for _, b := range bodies {
		if !json.Valid([]byte(b)) {
			t.Errorf("no JSON: %s", b)
		}
	}
	golden(t, "tools", fmt.Sprintf("%s\n\nthen\n%s\n", strings.Join(bodies, "\n\n"), s.History))
}
