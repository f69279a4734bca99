package storefront

import (
	"strconv"

	"github.com/tidwall/gjson"
)

// decodeInput reads the body of a Responses request. Calls and their outputs are
// items beside the messages; others, such as reasoning, are not heard.
func decodeInput(body string) (*ask, error) {
	r, err := parse(body)
	if err != nil {
		return nil, err
	}
	a := &ask{items: true, model: r.Get("model").Str, prompt: len(body) / 4}
	input, stream := r.Get("input"), r.Get("stream")
	switch {
	case a.model == "":
		return nil, &fault{"model", "a model is needed, as a string"}
	case stream.Exists() && !stream.IsBool() && stream.Type != gjson.Null:
		return nil, &fault{"stream", "not a boolean"}
	case r.Get("previous_response_id").Str != "":
		return nil, &fault{"previous_response_id", "nothing is stored here; send the conversation as input"}
	case input.Type == gjson.String:
		a.lines = []string{input.Str}
	case !input.IsArray():
		return nil, &fault{"input", "text or an array of items is needed"}
	}
	a.stream = stream.Type == gjson.True
	a.offers(r.Get("tools"), "name")
	at := 0
	if input.IsArray() {
		input.ForEach(func(_, item gjson.Result) bool {
			switch item.Get("type").Str {
			case "", "message":
				err = a.hear(item, at)
			case "function_call":
				a.messages++
				a.called(item.Get("call_id").Str, item.Get("name").Str)
			case "function_call_output":
				a.messages++
				a.tools.gave(item.Get("call_id").Str, item.Get("output").Str)
			}
			at++
			return err == nil
		})
	}
	if err == nil && len(a.lines) == 0 {
		err = &fault{"input", "a message of the user is needed"}
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

// A response renders the events of one answer in the form of Responses.
type response struct {
	id   string
	head string // `"created_at":…,"model":…`, after the object
	said bool   // there is a message
	text []byte // said so far, as JSON has it between quotes
	seq  int    // of the next event

	calls     []toolCall // behind the message
	arguments string     // of the last one, as far as they were sent
}

func newResponse(id, model string, created int64) *response {
	b := append(make([]byte, 0, 128), `,"created_at":`...)
	b = strconv.AppendInt(b, created, 10)
	b = appendField(b, "model", model)
	return &response{id: id, head: string(b)}
}

// event opens an event.
func (r *response) event(b []byte, kind string) []byte {
	b = append(b, "event: "+kind+"\ndata: {\"type\":\""+kind+`","sequence_number":`...)
	b = strconv.AppendInt(b, int64(r.seq), 10)
	r.seq++
	return b
}

// place appends which text an event is about.
func (r *response) place(b []byte) []byte {
	return append(b, `,"item_id":"msg_`+r.id+`","output_index":0,"content_index":0`...)
}

// object appends the response in a status, without output and what follows it.
func (r *response) object(b []byte, status string) []byte {
	b = append(b, `{"id":"resp_`+r.id+`","object":"response"`...)
	b = append(b, r.head...)
	return append(b, `,"status":"`+status+`","error":null,"incomplete_details":null,"instructions":null,"metadata":{},`+
		`"parallel_tool_calls":true,"store":false,"temperature":1,"top_p":1,"tool_choice":"auto","tools":[]`...)
}

// part appends the text so far as a part of a message, item the message.
func (r *response) part(b []byte) []byte {
	b = append(b, `{"type":"output_text","annotations":[],"logprobs":[],"text":"`...)
	b = append(b, r.text...)
	return append(b, `"}`...)
}

func (r *response) item(b []byte) []byte {
	b = append(b, `{"id":"msg_`+r.id+`","type":"message","status":"completed","role":"assistant","content":[`...)
	return append(r.part(b), `]}`...)
}

func (r *response) begin(b []byte) []byte {
	for _, kind := range [...]string{"response.created", "response.in_progress"} {
		b = append(r.event(b, kind), `,"response":`...)
		b = append(r.object(b, "in_progress"), `,"output":[],"usage":null}}`+"\n\n"...)
	}
	return b
}

// open appends what comes before the first word.
func (r *response) open(b []byte) []byte {
	r.said = true
	b = append(r.event(b, "response.output_item.added"), `,"output_index":0,"item":{"id":"msg_`+r.id+`","type":"message","status":"in_progress","role":"assistant","content":[]}}`+"\n\n"...)
	b = append(r.place(r.event(b, "response.content_part.added")), `,"part":`...)
	return append(r.part(b), "}\n\n"...)
}

func (r *response) delta(b []byte, piece string) []byte {
	if !r.said {
		b = r.open(b)
	}
	b = append(r.place(r.event(b, "response.output_text.delta")), `,"delta":`...)
	from := len(b)
	b = appendString(b, piece)
	r.text = append(r.text, b[from+1:len(b)-1]...)
	return append(b, `,"logprobs":[]}`+"\n\n"...)
}

func (r *response) call(b []byte, c *toolCall, piece string) []byte {
	if piece != "" {
		r.arguments += piece
		b = append(r.about(r.event(b, "response.function_call_arguments.delta")), `,"delta":`...)
		return append(appendString(b, piece), "}\n\n"...)
	}
	b = r.close(b)
	r.calls, r.arguments = append(r.calls, *c), ""
	b = append(r.event(b, "response.output_item.added"), `,"output_index":`...)
	b = append(strconv.AppendInt(b, r.output(), 10), `,"item":`...)
	return append(r.function(b, len(r.calls)-1, "in_progress", ""), "}\n\n"...)
}

// close appends what ends the last call, if there is one.
func (r *response) close(b []byte) []byte {
	if len(r.calls) == 0 {
		return b
	}
	b = append(r.about(r.event(b, "response.function_call_arguments.done")), `,"arguments":`...)
	b = append(appendString(b, r.arguments), "}\n\n"...)
	b = append(r.event(b, "response.output_item.done"), `,"output_index":`...)
	b = append(strconv.AppendInt(b, r.output(), 10), `,"item":`...)
	return append(r.function(b, len(r.calls)-1, "completed", r.arguments), "}\n\n"...)
}

// output returns the place of the last call in the output.
func (r *response) output() int64 {
	n := int64(len(r.calls)) - 1
	if r.said {
		n++
	}
	return n
}

// about appends which call an event is about.
func (r *response) about(b []byte) []byte {
	b = append(b, `,"item_id":"fc_`+r.id+"_"...)
	b = strconv.AppendInt(b, int64(len(r.calls)-1), 10)
	return strconv.AppendInt(append(b, `","output_index":`...), r.output(), 10)
}

// function appends a call as an item.
func (r *response) function(b []byte, i int, status, arguments string) []byte {
	b = append(b, `{"id":"fc_`+r.id+"_"...)
	b = append(strconv.AppendInt(b, int64(i), 10), `","type":"function_call","status":"`+status+`"`...)
	b = appendField(b, "call_id", r.calls[i].id)
	b = appendField(b, "name", r.calls[i].name)
	b = appendField(b, "arguments", arguments)
	return append(b, '}')
}

func (r *response) end(b []byte, u usage) []byte {
	if r.said {
		b = r.endText(b)
	}
	b = r.close(b)
	b = append(r.event(b, "response.completed"), `,"response":`...)
	return append(r.complete(b, u), "}\n\n"...)
}

func (r *response) endText(b []byte) []byte {
	b = append(r.place(r.event(b, "response.output_text.done")), `,"text":"`...)
	b = append(append(b, r.text...), `","logprobs":[]}`+"\n\n"...)
	b = append(r.place(r.event(b, "response.content_part.done")), `,"part":`...)
	b = append(r.part(b), "}\n\n"...)
	b = append(r.event(b, "response.output_item.done"), `,"output_index":0,"item":`...)
	return append(r.item(b), "}\n\n"...)
}

func (r *response) whole(b []byte, content string, calls []toolCall, u usage) []byte {
	text := appendString(nil, content)
	r.text, r.said, r.calls = text[1:len(text)-1], content != "", calls
	return r.complete(b, u)
}

// complete appends the response as it ended.
func (r *response) complete(b []byte, u usage) []byte {
	b = append(r.object(b, "completed"), `,"output":[`...)
	if r.said {
		b = r.item(b)
	}
	for i := range r.calls {
		if b[len(b)-1] == '}' {
			b = append(b, ',')
		}
		b = r.function(b, i, "completed", r.calls[i].arguments)
	}
	b = append(b, ']')
	b = u.append(b, "input_tokens", "output_tokens")
	b = append(b[:len(b)-1], `,"input_tokens_details":{"cached_tokens":0},"output_tokens_details":{"reasoning_tokens":0}}`...)
	return append(b, '}')
}

var _ form = (*response)(nil)
