package scenarios

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Calls says how an answer to a turn carries tool calls, and how what they gave
// goes back with the next turn.
type Calls struct {
	List      string            `json:"list"`             // gjson path of the calls, or of one, in each event or in the whole
	Index     string            `json:"index,omitempty"`  // gjson path in a call, where it comes in pieces: those with the same number are one
	ID        string            `json:"id,omitempty"`     // gjson path in a call; empty: they get ids here
	Name      string            `json:"name"`             // gjson path in a call
	Arguments string            `json:"arguments"`        // gjson path in a call, of an object or of text that is meant to be one
	Names     map[string]string `json:"names,omitempty"`  // what the backend calls tools and arguments, by their names here
	Result    string            `json:"result,omitempty"` // template of what a call gave; empty: DefaultResult
}

// DefaultResult is how what a call gave goes back, unless a campaign says so.
const DefaultResult = `{"id": "{{call.id}}", "name": "{{call.name}}", "content": "{{call.text}}"}`

// resultPlaceholders lists what the template of a result may hold. The last one
// stands without quotes.
var resultPlaceholders = []string{"call.id", "call.name", "call.text", "call.json"}

// toolArguments lists the arguments of all tools.
var toolArguments = []string{"query", "item", "quantity", "checkout", "coupon"}

// toolNames lists the tools that there are, whatever a target can do, and their
// arguments.
func toolNames() []string {
	var names []string
	for _, kind := range toolKinds {
		names = append(names, kind.String())
	}
	return append(names, toolArguments...)
}

// maxToolName is the longest name of a backend's tool or argument, in bytes.
const maxToolName = 128

func (r *reader) calls(f field) *Calls {
	if f.node == nil {
		return nil
	}
	c := &Calls{}
	fields := r.mapping(f, "list", "index", "id", "name", "arguments", "names", "result")
	for key, to := range map[string]*string{
		"list": &c.List, "index": &c.Index, "id": &c.ID, "name": &c.Name, "arguments": &c.Arguments, "result": &c.Result,
	} {
		r.text(fields[key], to)
	}
	r.texts(fields["names"], &c.Names)
	return c
}

func (k *checker) calls(at string, c *Calls, body string) {
	for _, path := range []struct{ key, is, hint string }{
		{"list", c.List, "tool_calls"}, {"name", c.Name, "function.name"}, {"arguments", c.Arguments, "function.arguments"},
	} {
		if path.is == "" {
			k.fault(at+"."+path.key, path.key+": "+path.hint, "is missing")
		} else {
			k.gjson(at+"."+path.key, path.is)
		}
	}
	for key, path := range map[string]string{"index": c.Index, "id": c.ID} {
		if path != "" {
			k.gjson(at+"."+key, path)
		}
	}
	k.toolNames(at+".names", c)
	if c.Result != "" {
		filled := k.filled(at+".result", c.Result, resultPlaceholders)
		if strings.Contains(c.Result, "${") {
			k.fault(at+".result", "put it into headers or the body", "must not hold a ${NAME}")
		} else if !json.Valid([]byte(filled)) {
			k.fault(at+".result", DefaultResult, "is no JSON once its placeholders are filled in: call.json stands without quotes, the others in them")
		}
	}
	if pieces, err := Pieces(body); err == nil && !slices.ContainsFunc(pieces, func(p Piece) bool {
		return p.Name == "step.results" || p.Name == "step.history"
	}) {
		k.fault(strings.TrimSuffix(at, ".answer.calls")+".request.body", `"results": {{step.results}}`, "does not tell the assistant what its calls gave")
	}
}

// toolNames checks that each name is one thing: tools among themselves, and
// arguments.
func (k *checker) toolNames(at string, c *Calls) {
	for _, own := range slices.Sorted(maps.Keys(c.Names)) {
		name := c.Names[own]
		tool := !slices.Contains(toolArguments, own)
		switch {
		case !slices.Contains(toolNames(), own):
			k.key(at+"."+own, didYouMean(own, toolNames()), "is neither a tool nor an argument of one")
			continue
		case name == "" || len(name) > maxToolName:
			k.fault(at+"."+own, "", "must be a name of 1 to %d bytes", maxToolName)
			continue
		}
		for _, other := range toolNames() {
			if other != own && tool == !slices.Contains(toolArguments, other) && c.named(other) == name {
				k.fault(at+"."+own, "", "%q is what %s is called, too", clip(name, 60), other)
				break
			}
		}
	}
}

// named returns what a backend calls a tool or an argument.
func (c *Calls) named(own string) string {
	if c != nil && c.Names[own] != "" {
		return c.Names[own]
	}
	return own
}

// calls returns how the assistant's calls come; nil for protocols with a name,
// and where none come.
func (t *Target) calls() *Calls {
	if a := t.Chat.Operations[Turn.String()].Answer; a != nil {
		return a.Calls
	}
	return nil
}

// An argued is what a call says. What is not there is empty.
type argued struct {
	Query, Item, Coupon, Checkout argument
	Quantity                      *int
}

// An argument is text. Ids are seen that are numbers.
type argument string

// UnmarshalJSON implements [json.Unmarshaler].
func (a *argument) UnmarshalJSON(b []byte) error {
	if b[0] == '-' || '0' <= b[0] && b[0] <= '9' {
		*a = argument(b)
		return nil
	}
	return json.Unmarshal(b, (*string)(a))
}

// argued reads the arguments of a call, by the backend's names for them.
func (c *Calls) argued(arguments string) (said argued, err error) {
	if c != nil && slices.ContainsFunc(toolArguments, func(own string) bool { return c.Names[own] != "" }) {
		var theirs map[string]json.RawMessage
		if err = json.Unmarshal([]byte(arguments), &theirs); err != nil {
			return said, err
		}
		ours := make(map[string]json.RawMessage, len(toolArguments))
		for _, own := range toolArguments {
			if value, there := theirs[c.named(own)]; there {
				ours[own] = value
			}
		}
		arguments = string(marshal(ours))
	}
	return said, json.Unmarshal([]byte(arguments), &said)
}
