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
	model  string
	stream bool
	usage  bool     // the usage is wanted at the end of the stream
	lines  []string // what the user said, the last one last; at least one
	prompt int      // input tokens, estimated
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
	param := func() string { return "messages[" + strconv.Itoa(at) + "]" }
	if !m.IsObject() {
		return &fault{param(), "not an object"}
	}
	var role string
	var content gjson.Result
	m.ForEach(func(k, v gjson.Result) bool {
		switch k.Str {
		case "role":
			role = v.Str
		case "content":
			content = v
		}
		return true
	})
	switch role {
	case "user":
	case "system", "developer", "assistant", "tool":
		return nil
	default:
		return &fault{param() + ".role", "not one of developer, system, user, assistant, tool"}
	}
	if content.IsArray() {
		content = content.Get(`#(type=="text").text`)
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

// decodeCart reads the body of a create or a replace into w.
func decodeCart(body string, w *write) error {
	r, err := parse(body)
	if err != nil {
		return err
	}
	lines := r.Get("line_items")
	if !lines.IsArray() {
		return &fault{"$.line_items", "an array is needed"}
	}
	lines.ForEach(func(_, v gjson.Result) bool {
		at := "$.line_items[" + strconv.Itoa(len(w.lines)) + "]"
		id, quantity := v.Get("item.id"), v.Get("quantity")
		switch {
		case len(w.lines) == mostLines:
			err = &fault{"$.line_items", "more than " + strconv.Itoa(mostLines)}
		case id.Type != gjson.String || id.Str == "" || len(id.Str) > longest:
			err = &fault{at + ".item.id", "a string is needed"}
		case quantity.Type != gjson.Number || quantity.Num != math.Trunc(quantity.Num) || quantity.Num < 1 || quantity.Num > mostQuantity:
			err = &fault{at + ".quantity", "a whole number from 1 to " + strconv.Itoa(mostQuantity) + " is needed"}
		default:
			w.lines = append(w.lines, wanted{id.Str, int64(quantity.Num)})
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	if len(w.lines) == 0 {
		return &fault{"$.line_items", "at least one is needed"}
	}
	codes := r.Get("discounts.codes")
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

// decodePayment checks the body of a complete: some instrument must be there.
func decodePayment(body string) error {
	r, err := parse(body)
	if err != nil {
		return err
	}
	instruments := r.Get("payment.instruments")
	if !instruments.IsArray() || !instruments.Get("0").Exists() {
		return &fault{"$.payment.instruments", "at least one is needed"}
	}
	at := 0
	instruments.ForEach(func(_, v gjson.Result) bool {
		for _, name := range [...]string{"id", "handler_id", "type"} {
			if f := v.Get(name); f.Type != gjson.String || f.Str == "" {
				err = &fault{"$.payment.instruments[" + strconv.Itoa(at) + "]." + name, "a string is needed"}
				return false
			}
		}
		at++
		return true
	})
	return err
}
