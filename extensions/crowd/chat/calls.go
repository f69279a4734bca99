package chat

import (
	"time"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/scenarios"
)

// call takes a fragment of a tool call, escaped.
func (a *answer) call(index float64, id, name, arguments string, at time.Time) bool {
	if id == "" && name == "" && arguments == "" {
		return true
	}
	if why := a.calls.Add(index, id, name, arguments); why != "" {
		return a.fault(why)
	}
	a.deltas++
	a.token(at)
	return true
}

// inside returns a JSON string without its quotes, still escaped; empty for
// anything else.
func inside(r gjson.Result) string {
	if r.Type != gjson.String || len(r.Raw) < 2 {
		return ""
	}
	return r.Raw[1 : len(r.Raw)-1]
}

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

func comma(b []byte, more bool) []byte {
	if more {
		b = append(b, ',')
	}
	return b
}
