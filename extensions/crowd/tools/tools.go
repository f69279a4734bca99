// Package tools gathers the tool calls of an assistant's answer, which may come
// in pieces, and spells a conversation with calls as Chat Completions does. It
// serves every protocol of the chat.
package tools

import (
	"fmt"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/scenarios"
)

// A Call is a tool call as it came so far. Its texts are still escaped as in
// JSON.
type Call struct {
	index               float64 // as the backend numbers calls; -1 where it does not
	ID, Name, Arguments []byte
}

// Calls are those of one answer, in their order.
type Calls struct {
	All  []Call
	size int // bytes of them
}

// Bounds on what one answer may call.
const (
	Most  = 64
	Bytes = 256 << 10 // of all calls together, escaped
)

// Add takes a fragment of a tool call, escaped. The first fragment of a call has
// the id and the name; later ones may repeat them. It returns why that is too
// much; empty if it is not.
func (l *Calls) Add(index float64, id, name, arguments string) (fault string) {
	c := l.At(index, id)
	size := len(id) + len(name) + len(arguments)
	switch {
	case c == nil:
		return fmt.Sprintf("more than %d tool calls", Most)
	case l.size+size > Bytes:
		return fmt.Sprintf("tool calls of more than %d bytes", Bytes)
	}
	l.size += size
	if len(c.ID) == 0 {
		c.ID = []byte(id)
	}
	if len(c.Name) == 0 {
		c.Name = []byte(name)
	}
	c.Arguments = append(c.Arguments, arguments...)
	return ""
}

// At returns the call that a fragment belongs to; nil if there are too many.
// Backends are seen that number every call 0, or none: another id is another
// call.
func (l *Calls) At(index float64, id string) *Call {
	for i := len(l.All) - 1; i >= 0; i-- {
		if c := &l.All[i]; c.index == index {
			if id == "" || len(c.ID) == 0 || string(c.ID) == id {
				return c
			}
			break
		}
	}
	if len(l.All) == Most {
		return nil
	}
	l.All = append(l.All, Call{index: index})
	return &l.All[len(l.All)-1]
}

// Broken says whether there is a call that nobody could carry out, for want of
// a name, or answer, for want of an id.
func (l *Calls) Broken() bool {
	for _, c := range l.All {
		if len(c.ID) == 0 || len(c.Name) == 0 {
			return true
		}
	}
	return false
}

// Read returns the calls for who carries them out.
func (l *Calls) Read() []scenarios.ToolCall {
	list := make([]scenarios.ToolCall, len(l.All))
	for i, c := range l.All {
		list[i] = scenarios.ToolCall{ID: unescape(c.ID), Name: unescape(c.Name), Arguments: unescape(c.Arguments)}
	}
	return list
}

// unescape returns the text of a JSON string's inside.
func unescape(inside []byte) string { return gjson.Parse(`"` + string(inside) + `"`).Str }

// AppendAnswer appends the assistant's message, after a comma: its text, still
// escaped, and its calls.
func (l *Calls) AppendAnswer(b, text []byte) []byte {
	b = append(b, `,{"role":"assistant","content":`...)
	if len(text) == 0 {
		b = append(b, "null"...)
	} else {
		b = append(b, '"')
		b = append(b, text...)
		b = append(b, '"')
	}
	for i, c := range l.All {
		if i == 0 {
			b = append(b, `,"tool_calls":[`...)
		} else {
			b = append(b, ',')
		}
		b = append(b, `{"id":"`...)
		b = append(b, c.ID...)
		b = append(b, `","type":"function","function":{"name":"`...)
		b = append(b, c.Name...)
		b = append(b, `","arguments":"`...)
		b = append(b, c.Arguments...)
		b = append(b, `"}}`...)
	}
	if len(l.All) > 0 {
		b = append(b, ']')
	}
	return append(b, '}')
}

// AppendSaid appends what a turn adds to the conversation: a message for each
// tool's result, and the user's line. More says that something stands before.
func AppendSaid(b []byte, more bool, step *scenarios.Step) []byte {
	for _, t := range step.Tools {
		b = comma(b, more)
		b = append(b, `{"role":"tool","tool_call_id":`...)
		b = gjson.AppendJSONString(b, t.CallID)
		b = append(b, `,"content":`...)
		b = gjson.AppendJSONString(b, t.Content)
		b, more = append(b, '}'), true
	}
	return AppendLine(b, more, step)
}

// AppendLine appends the user's line as a message. Who sends what tools gave
// says nothing, unless there is a line.
func AppendLine(b []byte, more bool, step *scenarios.Step) []byte {
	if step.Say == "" && len(step.Tools) > 0 {
		return b
	}
	b = append(comma(b, more), `{"role":"user","content":`...)
	b = gjson.AppendJSONString(b, step.Say)
	return append(b, '}')
}

func comma(b []byte, more bool) []byte {
	if more {
		b = append(b, ',')
	}
	return b
}
