package storefront

import (
	"fmt"
	"math"
	"strconv"

	"github.com/tidwall/gjson"
)

// A fault is a request that makes no sense, and where.
type fault struct{ param, what string }

// Error implements error.
func (f *fault) Error() string { return f.param + ": " + f.what }

// An ask is a chat request, decoded.
type ask struct {
	user   string // who asks; empty if they do not say
	model  string
	stream bool
	usage  bool     // the usage is wanted at the end of the stream
	lines  []string // what the user said, the last one last; at least one
	prompt int      // input tokens, estimated
	items  bool     // it came in the form of Responses

	messages int // of the conversation
	tools    tooled
}

// form returns how the answer is spelled.
func (a *ask) form(id string, created int64) form {
	if a.items {
		return newResponse(id, a.model, created)
	}
	return newCompletion(id, a.model, created, a.usage)
}

// parse returns body's JSON object.
func parse(body string) (gjson.Result, error) {
	if !gjson.Valid(body) {
		return gjson.Result{}, &fault{"body", "not valid JSON"}
	}
	r := gjson.Parse(body)
	if !r.IsObject() {
		return gjson.Result{}, &fault{"body", "not a JSON object"}
	}
	return r, nil
}

// decodeAsk reads the body of a chat request.
func decodeAsk(body string) (*ask, error) {
	r, err := parse(body)
	if err != nil {
		return nil, err
	}
	a := &ask{prompt: len(body) / 4}
	var messages gjson.Result
	r.ForEach(func(k, v gjson.Result) bool {
		switch k.Str {
		case "model":
			a.model = v.Str
		case "messages":
			messages = v
		case "stream":
			a.stream = v.Type == gjson.True
			if !v.IsBool() && v.Type != gjson.Null {
				err = &fault{"stream", "not a boolean"}
			}
		case "tools":
			a.offers(v, "function.name")
		case "stream_options":
			a.usage = v.Get("include_usage").Type == gjson.True
		}
		return err == nil
	})
	switch {
	case err != nil:
		return nil, err
	case a.model == "":
		return nil, &fault{"model", "a model is needed, as a string"}
	case !messages.IsArray():
		return nil, &fault{"messages", "an array of messages is needed"}
	}
	at := 0
	messages.ForEach(func(_, m gjson.Result) bool {
		err = a.hear(m, at)
		at++
		return err == nil
	})
	if err == nil && len(a.lines) == 0 {
		err = &fault{"messages", "a message of the user is needed"}
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

// hear takes the message at a place of the conversation.
func (a *ask) hear(m gjson.Result, at int) error {
	param := func() string {
		if a.items {
			return "input[" + strconv.Itoa(at) + "]"
		}
		return "messages[" + strconv.Itoa(at) + "]"
	}
	if !m.IsObject() {
		return &fault{param(), "not an object"}
	}
	a.messages++
	var role, call string
	var content gjson.Result
	m.ForEach(func(k, v gjson.Result) bool {
		switch k.Str {
		case "role":
			role = v.Str
		case "content":
			content = v
		case "tool_call_id":
			call = v.Str
		case "tool_calls":
			v.ForEach(func(_, c gjson.Result) bool {
				a.called(c.Get("id").Str, c.Get("function.name").Str)
				return true
			})
		}
		return true
	})
	switch role {
	case "user":
		a.tools.told, a.tools.failed = false, ""
	case "tool":
		a.tools.gave(call, content.Str)
		return nil
	case "system", "developer", "assistant":
		return nil
	default:
		return &fault{param() + ".role", "not one of developer, system, user, assistant, tool"}
	}
	if content.IsArray() {
		part := `#(type=="text").text`
		if a.items {
			part = `#(type=="input_text").text`
		}
		content = content.Get(part)
	}
	if content.Type != gjson.String {
		return &fault{param() + ".content", "text is needed, as a string or as a part of type text"}
	}
	a.lines = append(a.lines, content.Str)
	return nil
}

// decodeClaim reads the body of a send-coupon request.
func decodeClaim(body string) (stock, request string, err error) {
	r, err := parse(body)
	if err != nil {
		return "", "", err
	}
	fields := [...]struct {
		name, value string
		most        int // bytes
	}{{name: "stock_id", most: 64}, {name: "out_request_no", most: 128}, {name: "appid", most: 128}, {name: "stock_creator_mchid", most: 64}}
	r.ForEach(func(k, v gjson.Result) bool {
		for i := range fields {
			if k.Str == fields[i].name {
				fields[i].value = v.Str
			}
		}
		return true
	})
	for _, f := range fields {
		if f.value == "" || len(f.value) > f.most {
			return "", "", &fault{f.name, fmt.Sprintf("a string of 1 to %d bytes is needed", f.most)}
		}
	}
	return fields[0].value, fields[1].value, nil
}

// Limits of one checkout.
const (
	mostLines    = 100
	mostQuantity = 999
	mostCodes    = 16
	longest      = 128 // bytes in an id or a code
)

// A cart is where a protocol has the lines of a checkout.
type cart struct {
	lines, id string // paths
	quantity  string // path; empty: there is none, and a line is named as often as it is wanted
	partial   bool   // a replace may leave the lines out
	codes     bool   // there are discount codes
}

// decode reads the body of a create or a replace into w.
func (c cart) decode(body string, w *write) error {
	r, err := parse(body)
	if err != nil {
		return err
	}
	if lines := r.Get(c.lines); lines.Exists() || w.deed == create || !c.partial {
		err = c.decodeLines(lines, w)
	}
	if err == nil && c.codes {
		err = decodeCodes(r.Get("discounts.codes"), w)
	}
	return err
}

func (c cart) decodeLines(lines gjson.Result, w *write) (err error) {
	where := "$." + c.lines
	if !lines.IsArray() {
		return &fault{where, "an array is needed"}
	}
	once := gjson.Result{Type: gjson.Number, Num: 1}
	lines.ForEach(func(_, v gjson.Result) bool {
		at := where + "[" + strconv.Itoa(len(w.lines)) + "]"
		id, quantity := v.Get(c.id), once
		if c.quantity != "" {
			quantity = v.Get(c.quantity)
		} else if again(w.lines, id.Str) {
			return true
		}
		switch {
		case len(w.lines) == mostLines:
			err = &fault{where, "more than " + strconv.Itoa(mostLines)}
		case id.Type != gjson.String || id.Str == "" || len(id.Str) > longest:
			err = &fault{at + "." + c.id, "a string is needed"}
		case quantity.Type != gjson.Number || quantity.Num != math.Trunc(quantity.Num) || quantity.Num < 1 || quantity.Num > mostQuantity:
			err = &fault{at + "." + c.quantity, "a whole number from 1 to " + strconv.Itoa(mostQuantity) + " is needed"}
		default:
			w.lines = append(w.lines, wanted{id.Str, int64(quantity.Num)})
		}
		return err == nil
	})
	if err == nil && len(w.lines) == 0 {
		err = &fault{where, "at least one is needed"}
	}
	return err
}

// again adds one to the line of an item that is there already, up to what one
// can order.
func again(lines []wanted, id string) bool {
	for i := range lines {
		if lines[i].id == id && lines[i].quantity < mostQuantity {
			lines[i].quantity++
			return true
		}
	}
	return false
}

func decodeCodes(codes gjson.Result, w *write) (err error) {
	if !codes.Exists() {
		return nil
	}
	if !codes.IsArray() {
		return &fault{"$.discounts.codes", "an array is needed"}
	}
	w.recode = true
	codes.ForEach(func(_, v gjson.Result) bool {
		switch {
		case len(w.codes) == mostCodes:
			err = &fault{"$.discounts.codes", "more than " + strconv.Itoa(mostCodes)}
		case v.Type != gjson.String || len(v.Str) > longest:
			err = &fault{"$.discounts.codes[" + strconv.Itoa(len(w.codes)) + "]", "a string is needed"}
		default:
			w.codes = append(w.codes, v.Str)
		}
		return err == nil
	})
	return err
}
