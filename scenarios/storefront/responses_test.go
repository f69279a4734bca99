package storefront

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

const responsesPath = "/compatible-mode/v1/responses"

// namedEvents returns the data of a stream whose events have names, and holds each
// against the type that its data has.
func namedEvents(t *testing.T, body string) []string {
	t.Helper()
	var all []string
	for _, e := range strings.Split(strings.TrimSuffix(body, "\n\n"), "\n\n") {
		name, data, ok := strings.Cut(strings.TrimPrefix(e, "event: "), "\ndata: ")
		if !ok || strings.Contains(data, "\n") || gjson.Get(data, "type").Str != name {
			t.Fatalf("event %q", e)
		}
		all = append(all, data)
	}
	return all
}

// A streamed answer has the events in their order, numbered, and what its
// deltas say is what it ends with.
func TestResponses(t *testing.T) {
	for _, o := range []Options{{Design: "null"}, swift} {
		url := start(t, o)
		status, body, header := call{"POST", responsesPath, "u", "", `{"model":"m","stream":true,"store":false,"input":[{"role":"user","content":"珍珠奶茶有吗？"}]}`}.do(t, url)
		if status != 200 || header.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("%d %s %s", status, header, body)
		}
		var kinds []string
		var text string
		deltas := 0
		for i, data := range namedEvents(t, body) {
			e := gjson.Parse(data)
			if !gjson.Valid(data) || e.Get("sequence_number").Int() != int64(i) {
				t.Errorf("event %d: %s", i, data)
			}
			kind := strings.TrimPrefix(e.Get("type").Str, "response.")
			if kind == "output_text.delta" {
				deltas++
				text += e.Get("delta").Str
			}
			if len(kinds) == 0 || kinds[len(kinds)-1] != kind {
				kinds = append(kinds, kind)
			}
			switch kind {
			case "output_text.done":
				if e.Get("text").Str != text {
					t.Errorf("the text is done as %s, its deltas say %s", data, text)
				}
			case "completed":
				r := e.Get("response")
				if r.Get("status").Str != "completed" || r.Get("output.0.content.0.text").Str != text || r.Get("usage.output_tokens").Int() != int64(deltas) ||
					r.Get("usage.total_tokens").Int() != int64(deltas)+r.Get("usage.input_tokens").Int() {
					t.Errorf("ends with %s, its deltas say %s", data, text)
				}
			}
		}
		const want = "created in_progress output_item.added content_part.added output_text.delta output_text.done content_part.done output_item.done completed"
		if got := strings.Join(kinds, " "); got != want {
			t.Errorf("%s: events %s\nwant %s", o.Design, got, want)
		}
		if deltas < fewestPieces || deltas > mostPieces {
			t.Errorf("%d deltas", deltas)
		}

		status, body, _ = call{"POST", responsesPath, "", "", `{"model":"m","input":"an americano, please"}`}.do(t, url)
		if r := gjson.Parse(body); status != 200 || !gjson.Valid(body) || r.Get("object").Str != "response" || r.Get("status").Str != "completed" || r.Get("output.0.content.0.text").Str == "" {
			t.Errorf("%s: %d %s", o.Design, status, body)
		}
	}
}

func TestResponsesErrors(t *testing.T) {
	url := start(t, Options{Design: "null"})
	for _, tt := range []struct {
		body   string
		status int
		param  string
	}{
		{`{`, 400, "body"},
		{`{"input":"x"}`, 400, "model"},
		{`{"model":"m"}`, 400, "input"},
		{`{"model":"m","input":5}`, 400, "input"},
		{`{"model":"m","input":[]}`, 400, "input"},
		{`{"model":"m","input":[7]}`, 400, "input[0]"},
		{`{"model":"m","input":[{"type":"function_call_output","call_id":"c","output":"x"}]}`, 400, "input"},
		{`{"model":"m","input":[{"role":"user","content":"x"},{"role":"robot","content":"x"}]}`, 400, "input[1].role"},
		{`{"model":"m","input":[{"role":"user","content":[{"type":"text","text":"x"}]}]}`, 400, "input[0].content"},
		{`{"model":"m","input":"x","stream":"yes"}`, 400, "stream"},
		{`{"model":"m","input":"x","previous_response_id":"resp_1"}`, 400, "previous_response_id"},
		{`{"model":"m","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"x"}]},{"type":"function_call","call_id":"c","name":"n","arguments":"{}"}]}`, 200, ""},
	} {
		status, body, _ := call{"POST", responsesPath, "", "", tt.body}.do(t, url)
		if r := gjson.Parse(body); status != tt.status || r.Get("error.param").Str != tt.param {
			t.Errorf("%.80s: %d %s, want %d and param %q", tt.body, status, body, tt.status, tt.param)
		}
	}
}
