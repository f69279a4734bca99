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

// call takes a fragment of a tool call, escaped. The first fragment of a call
// has the id and the name; later ones may repeat them.
func (a *answer) call(index float64, id, name, arguments string, at time.Time) bool {
	if id == "" && name == "" && arguments == "" {
		return true
	}
	c := a.callAt(index, id)
	size := len(id) + len(name) + len(arguments)
	switch {
	case c == nil:
		return a.fault(fmt.Sprintf("more than %d tool calls", maxCalls))
	case a.argued+size > maxArguments:
		return a.fault(fmt.Sprintf("tool calls of more than %d bytes", maxArguments))
	}
	a.argued += size
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

// callAt returns the call that a fragment belongs to; nil if there are too
// many. Backends are seen that number every call 0, or none: another id is
// another call.
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

// broken says whether there is a call that nobody could carry out, for want of
// a name, or answer, for want of an id.
func broken(calls []call) bool {
	for _, c := range calls {
		if len(c.id) == 0 || len(c.name) == 0 {
			return true
		}
	}
	return false
}

// called returns the calls for who carries them out.
func called(calls []call) []scenarios.ToolCall {
	list := make([]scenarios.ToolCall, len(calls))
	for i, c := range calls {
		list[i] = scenarios.ToolCall{ID: unescape(c.id), Name: unescape(c.name), Arguments: unescape(c.arguments)}
	}
	return list
}

// inside returns a JSON string without its quotes, still escaped; empty for
// anything else.
func inside(r gjson.Result) string {
	if r.Type != gjson.String || len(r.Raw) < 2 {
		return ""
	}
	return r.Raw[1 : len(r.Raw)-1]
}

// unescape returns the text of a JSON string's inside.
func unescape(inside []byte) string { return gjson.Parse(`"` + string(inside) + `"`).Str }

// offer renders what follows the messages of a request that offers tools, each
// between open and end, which is where the dialects differ.
func offer(tools []scenarios.Tool, open, end string) []byte {
	if len(tools) == 0 {
		return []byte("]}")
	}
	b := []byte(`],"tools":[`)
	for i, t := range tools {
		b = append(comma(b, i > 0), open...)
		b = append(comma(b, b[len(b)-1] != '{'), `"name":`...)
		b = gjson.AppendJSONString(b, t.Name)
		b = append(b, `,"description":`...)
		b = gjson.AppendJSONString(b, t.Description)
		b = append(b, `,"parameters":`...)
		b = append(b, t.Parameters...)
		b = append(b, end...)
	}
	return append(b, "]}"...)
}
