package chat

import (
	"fmt"
	"time"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/scenarios"
)

// A call is a tool call as it came so far. Its texts are still escaped as in
// JSON.
type call struct {
	index     float64 // as the backend numbers calls; -1 where it does not
	id, name  []byte
	arguments []byte
}

// Bounds on what one answer may call.
const (
	maxCalls     = 64
	maxArguments = 256 << 10 // bytes of all calls together, escaped
)

// callTools takes the tool_calls of a delta or a message. Fragments of one call
// have the same index, and the first alone has the id; backends are seen that
// number every call 0, or none, so that another id is another call.
func (a *answer) callTools(list gjson.Result, at time.Time) bool {
	if !list.IsArray() {
		return true
	}
	ok := true
	list.ForEach(func(_, piece gjson.Result) bool {
		ok = a.callTool(piece, at)
		return ok
	})
	return ok
}

func (a *answer) callTool(piece gjson.Result, at time.Time) bool {
	function := piece.Get("function")
	id, name, arguments := inside(piece.Get("id")), inside(function.Get("name")), inside(function.Get("arguments"))
	if len(id) == 0 && len(name) == 0 && len(arguments) == 0 {
		return true
	}
	index := -1.0
	if n := piece.Get("index"); n.Type == gjson.Number {
		index = n.Num
	}
	c := a.callAt(index, id)
	switch {
	case c == nil:
		return a.fault(fmt.Sprintf("more than %d tool calls", maxCalls))
	case a.argued+len(id)+len(name)+len(arguments) > maxArguments:
		return a.fault(fmt.Sprintf("tool calls of more than %d bytes", maxArguments))
	}
	a.argued += len(id) + len(name) + len(arguments)
	if len(c.id) == 0 {
		c.id = []byte(id)
	}
	if len(c.name) == 0 {
		c.name = []byte(name)
	}
	c.arguments = append(c.arguments, arguments...)
	a.deltas++
	a.token(at)
	return true
}

// callAt returns the call that a fragment belongs to; nil if there are too many.
func (a *answer) callAt(index float64, id string) *call {
	for i := len(a.calls) - 1; i >= 0; i-- {
		if c := &a.calls[i]; c.index == index {
			if id == "" || len(c.id) == 0 || string(c.id) == id {
				return c
			}
			break
		}
	}
	if len(a.calls) == maxCalls {
		return nil
	}
	a.calls = append(a.calls, call{index: index})
	return &a.calls[len(a.calls)-1]
}

// inside returns a JSON string without its quotes; empty for anything else.
func inside(r gjson.Result) string {
	if r.Type != gjson.String || len(r.Raw) < 2 {
		return ""
	}
	return r.Raw[1 : len(r.Raw)-1]
}

// broken says what is wrong with the calls: nobody can carry one out that has
// no name, nor answer one that has no id.
func broken(calls []call) string {
	for _, c := range calls {
		if len(c.id) == 0 || len(c.name) == 0 {
			return "a tool call without an id or a name"
		}
	}
	return ""
}

// called returns the calls for who carries them out.
func called(calls []call) []scenarios.ToolCall {
	list := make([]scenarios.ToolCall, len(calls))
	for i, c := range calls {
		list[i] = scenarios.ToolCall{ID: unescape(c.id), Name: unescape(c.name), Arguments: unescape(c.arguments)}
	}
	return list
}

// unescape returns the text of a JSON string's inside.
func unescape(inside []byte) string { return gjson.Parse(`"` + string(inside) + `"`).Str }

// appendCalls appends the calls to an assistant's message, as they came.
func appendCalls(b []byte, calls []call) []byte {
	for i, c := range calls {
		if i == 0 {
			b = append(b, `,"tool_calls":[`...)
		} else {
			b = append(b, ',')
		}
		b = append(b, `{"id":"`...)
		b = append(b, c.id...)
		b = append(b, `","type":"function","function":{"name":"`...)
		b = append(b, c.name...)
		b = append(b, `","arguments":"`...)
		b = append(b, c.arguments...)
		b = append(b, `"}}`...)
	}
	if len(calls) > 0 {
		b = append(b, ']')
	}
	return b
}

// appendResult appends what a call gave as a message.
func appendResult(b []byte, more bool, r scenarios.ToolResult) []byte {
	if more {
		b = append(b, ',')
	}
	b = append(b, `{"role":"tool","tool_call_id":`...)
	b = gjson.AppendJSONString(b, r.CallID)
	b = append(b, `,"content":`...)
	b = gjson.AppendJSONString(b, r.Content)
	return append(b, '}')
}

// offer renders what follows the messages of a request that offers tools.
func offer(tools []scenarios.Tool) []byte {
	if len(tools) == 0 {
		return closed
	}
	b := []byte(`],"tools":[`)
	for i, t := range tools {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"type":"function","function":{"name":`...)
		b = gjson.AppendJSONString(b, t.Name)
		b = append(b, `,"description":`...)
		b = gjson.AppendJSONString(b, t.Description)
		b = append(b, `,"parameters":`...)
		b = append(b, t.Parameters...)
		b = append(b, `}}`...)
	}
	return append(b, "]}"...)
}
