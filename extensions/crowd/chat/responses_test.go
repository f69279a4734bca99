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

const created = `{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","status":"in_progress","error":null,"output":[]}}`

func textDelta(n int, text string) string {
	return fmt.Sprintf(`{"type":"response.output_text.delta","sequence_number":%d,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"%s","logprobs":[]}`, n, text)
}

// message renders an output item of words.
func message(text string) string {
	return `{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","annotations":[],"text":"` + text + `"}]}`
}

func itemDone(index int, item string) string {
	return fmt.Sprintf(`{"type":"response.output_item.done","sequence_number":40,"output_index":%d,"item":%s}`, index, item)
}

// ended renders the event that ends a stream.
func ended(status, more string, output ...string) string {
	return `{"type":"response.` + status + `","sequence_number":50,"response":` + response(status, more, output...) + `}`
}

func response(status, more string, output ...string) string {
	return `{"id":"resp_1","object":"response","status":"` + status + `","output":[` + strings.Join(output, ",") + `]` + more + `}`
}

const (
	outputUsage = `,"error":null,"usage":{"input_tokens":9,"output_tokens":17,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":26}`
	callItem    = `{"id":"fc_1","type":"function_call","status":"completed","arguments":"{\"q\":\"茶\"}","call_id":"c1","name":"search"}`
	thoughtItem = `{"id":"rs_1","type":"reasoning","summary":[]}`
)

func TestOutcomesResponses(t *testing.T) {
	good := []string{created, textDelta(4, "好的,"), textDelta(5, "下单了"), itemDone(0, message("好的,下单了"))}
	outcomes(t, scenarios.Endpoint{Protocol: "openai-responses", Path: "/v1", Model: "m"}, []outcomeCase{
		{"answer", stream(data(append(good, ended("completed", outputUsage, message("好的,下单了")))...)), results.OK, "", 17},
		{"no usage", stream(data(append(good, ended("completed", ""))...)), results.OK, "", 2},
		{"a gateway's DONE", stream(data(append(good, ended("completed", ""), done)...)), results.OK, "", 2},
		{"unknown events", stream(": ping\n\n" + data(append([]string{`{}`, `{"type":"response.web_search_call.searching"}`}, append(good, ended("completed", ""))...)...)), results.OK, "", 2},
		{"no items", stream(data(textDelta(1, "好"), ended("completed", ""))), results.OK, "", 1},
		{"words only at the end", stream(data(created, ended("completed", outputUsage, thoughtItem, message("好")))), results.OK, "", 17},
		{"length", stream(data(append(good, ended("incomplete", `,"incomplete_details":{"reason":"max_output_tokens"}`))...)), results.OK, "", 2},
		{"tool call", stream(data(itemDone(0, callItem), ended("completed", ""))), results.OK, "", 1},
		{"tool call of nobody", stream(data(itemDone(0, strings.Replace(callItem, "c1", "", 1)), ended("completed", ""))), results.Malformed, "without an id", 1},
		{"filtered", stream(data(append(good, ended("incomplete", `,"incomplete_details":{"reason":"content_filter"}`))...)), results.Refused, "content_filter", 2},
		{"incomplete without a reason", stream(data(append(good, ended("incomplete", ""))...)), results.Truncated, "incomplete", 2},
		{"canceled there", stream(data(append(good, strings.Replace(ended("completed", ""), `"status":"completed"`, `"status":"cancelled"`, 1))...)), results.Truncated, "cancelled", 2},
		{"ends early", stream(data(good...)), results.Truncated, "the stream ended", 2},
		{"DONE too early", stream(data(append(good, done)...)), results.Truncated, "it says that it is done", 2},
		{"no events", stream(""), results.Truncated, "the stream ended", 0},
		{"refusal of the model", stream(data(`{"type":"response.refusal.delta","sequence_number":3,"delta":"I can't"}`, ended("completed", ""))), results.Refused, "refusal", 0},
		{"refusal in an item", stream(data(itemDone(0, `{"type":"message","role":"assistant","content":[{"type":"refusal","refusal":"I can't"}]}`), ended("completed", ""))), results.Refused, "refusal", 0},
		{"fluent refusal", stream(data(textDelta(3, "As a Large Language"), textDelta(4, " Model, I have no physical hands."), ended("completed", ""))), results.Refused, "Large Language Model", 2},
		{"failed at once", stream(data(created, ended("failed", `,"error":{"code":"rate_limit_exceeded","message":"no"}`))), results.RateLimited, "response.failed: rate_limit_exceeded", 0},
		{"failed after words", stream(data(append(good, ended("failed", `,"error":{"code":"server_error","message":"no"}`))...)), results.ErrorInStream, "server_error", 2},
		{"failed, nobody says why", stream(data(ended("failed", ""))), results.ErrorInStream, "response.failed", 0},
		{"error event", stream("event: error\n" + data(`{"type":"error","sequence_number":1,"code":"server_is_overloaded","message":"no","param":null}`)), results.Unavailable, "overloaded", 0},
		{"error event around an error", stream(data(`{"type":"error","error":{"type":"server_error","code":null,"message":"no"}}`)), results.Unavailable, "server_error", 0},
		{"error event after words", stream(data(append(good, `{"type":"error","code":null,"message":"boom"}`)...)), results.ErrorInStream, "boom", 2},
		{"broken event", stream(data(created, textDelta(4, `好`)[:70])), results.Malformed, "JSON", 0},
		{"event in another encoding", stream(data(textDelta(4, "\xc4\xe3"))), results.Malformed, "JSON", 0},
		{"a delta of a number", stream(data(strings.Replace(textDelta(4, "5"), `"5"`, "5", 1))), results.Malformed, "no string", 0},
		{"empty", stream(data(created, ended("completed", ""))), results.Malformed, "empty", 0},
		{"too long", stream(data(itemDone(0, message(strings.Repeat("x", maxBody/2))), itemDone(1, message(strings.Repeat("x", maxBody/2))), ended("completed", ""))), results.Malformed, "too long", 1},
		{"too many calls", stream(data(strings.Split(strings.Repeat("{\"type\":\"response.output_item.done\",\"item\":{\"type\":\"function_call\",\"name\":\"n\",\"call_id\":\"a\"}}\n{\"type\":\"response.output_item.done\",\"item\":{\"type\":\"function_call\",\"name\":\"n\",\"call_id\":\"b\"}}\n", tools.Most), "\n")...)), results.Malformed, "tool calls", tools.Most},

		{"JSON", whole(200, asJSON, response("completed", outputUsage, thoughtItem, message("好"))), results.OK, "", 17},
		{"JSON, failed", whole(200, asJSON, response("failed", `,"error":{"code":"server_error","message":"x"}`)), results.Unavailable, "server_error", 0},
		{"JSON, queued", whole(200, asJSON, response("queued", `,"error":null`)), results.Truncated, "queued", 0},
		{"JSON, empty", whole(200, asJSON, response("completed", "")), results.Malformed, "empty", 0},
		{"JSON, broken", whole(200, asJSON, response("completed", "")[:40]), results.Malformed, "JSON", 0},
		{"JSON, refused", whole(200, asJSON, response("completed", "", message("系统繁忙"))), results.Refused, "系统繁忙", 1},
		{"a page", whole(200, "text/html", "<html>"), results.Malformed, "text/html", 0},
	})
}

// The items of an answer stand in the next request as they came, reasoning left
// out, and what tools gave as items after them.
func TestConversationResponses(t *testing.T) {
	added := `{"type":"response.output_item.added","sequence_number":3,"output_index":1,"item":{"id":"fc_1","type":"function_call","status":"in_progress","arguments":"","call_id":"c1","name":"search"}}`
	piece := `{"type":"response.function_call_arguments.delta","sequence_number":%d,"item_id":"fc_1","output_index":1,"delta":"%s"}`
	answers := []string{
		data(created, itemDone(0, thoughtItem), added, fmt.Sprintf(piece, 4, `{\"q\":`), fmt.Sprintf(piece, 5, `\"茶\"}`), itemDone(1, callItem), ended("completed", outputUsage)),
		data(textDelta(2, `\"hot\" \ud83c`), textDelta(3, `\udf75`), ended("completed", "")),
		data(itemDone(0, message("下单了")), ended("completed", outputUsage, message("下单了"))),
	}
	var bodies []string
	c, s := dial(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if r.URL.Path != "/v1/responses" {
			t.Errorf("path %s", r.URL.Path)
		}
		bodies = append(bodies, string(b))
		stream(answers[len(bodies)-1])(w, r)
	}), shopper()
	p := New(scenarios.Endpoint{Protocol: "openai-responses", Path: "/v1", Model: "m"}, scenarios.Tool{Name: "search", Description: "finds goods", Parameters: `{"type":"object"}`})
	steps := []scenarios.Step{turn("来一杯"), turn(""), turn("多谢")}
	steps[0].Offer, steps[1].Offer = true, true
	steps[1].Tools = []scenarios.ToolResult{{CallID: "c1", Content: `["茶"]`}}
	for i, step := range steps {
		r := p.Do(c, s, step)
		if r.Outcome != results.OK {
			t.Fatalf("step %d: %v, %s", i, r.Outcome, r.Why)
		}
		if want := []scenarios.ToolCall{{ID: "c1", Name: "search", Arguments: `{"q":"茶"}`}}; i == 0 && !reflect.DeepEqual(r.Calls, want) {
			t.Errorf("calls %+v, want %+v", r.Calls, want)
		}
		if !c.Reusable() {
			t.Fatalf("after step %d the connection is not reusable", i)
		}
		c.Rest()
	}
	for _, b := range bodies {
		if !json.Valid([]byte(b)) {
			t.Errorf("no JSON: %s", b)
		}
	}
	golden(t, "responses", fmt.Sprintf("%s\n\nthen\n%s\n", strings.Join(bodies, "\n\n"), s.History))
}

// Reasoning is measured and counted apart, whoever counts, and nothing of it is
// said again.
func TestReasoning(t *testing.T) {
	think := func(text string) string {
		return `{"choices":[{"delta":{"content":null,"reasoning_content":"` + text + `"},"finish_reason":null}],"usage":null}`
	}
	newer := strings.ReplaceAll(think("b"), "reasoning_content", "reasoning")
	counted := `{"choices":[],"usage":{"completion_tokens":17,"completion_tokens_details":{"reasoning_tokens":12}}}`
	thought := `{"type":"response.reasoning_summary_text.delta","sequence_number":2,"delta":"so"}`
	tests := []struct {
		name, protocol, body string
		tokens, reasoning    int
	}{
		{"counted here", "openai", data(role, think("a"), think("b"), newer, delta("好"), stop, done), 1, 3},
		{"counted there", "openai", data(think("a"), delta("好"), stop, counted, done), 5, 12},
		{"counted there in all", "openai", data(think("a"), think("b"), delta("好"), stop, usage, done), 15, 2},
		{"never shown", "openai", data(delta("好"), stop, counted, done), 5, 12},
		{"empty", "openai", data(think(""), delta("好"), stop, done), 1, 0},
		{"responses", "openai-responses", data(created, thought, thought, textDelta(4, "好"), ended("completed", "")), 1, 2},
		{"responses, counted there", "openai-responses", data(thought, textDelta(4, "好"), ended("completed", strings.Replace(outputUsage, `"reasoning_tokens":0`, `"reasoning_tokens":10`, 1))), 7, 10},
	}
	for _, test := range tests {
		s := shopper()
		r := New(scenarios.Endpoint{Protocol: test.protocol}).Do(dial(t, stream(test.body)), s, turn("x"))
		if r.Outcome != results.OK || r.Tokens != test.tokens || r.Reasoning != test.reasoning {
			t.Errorf("%s: %v, %d and %d tokens, want %d and %d", test.name, r.Outcome, r.Tokens, r.Reasoning, test.tokens, test.reasoning)
		}
		if shown := test.name != "never shown" && test.name != "empty"; r.FirstReasoning.IsZero() == shown || shown && r.FirstToken.Before(r.FirstReasoning) {
			t.Errorf("%s: first reasoning %v, first token %v", test.name, r.FirstReasoning, r.FirstToken)
		}
		if strings.Contains(string(s.History), "so") || strings.Contains(string(s.History), `"a"`) {
			t.Errorf("%s: the history has reasoning: %s", test.name, s.History)
		}
	}
}
