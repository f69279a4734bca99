package storefront

import (
	"strconv"

	"github.com/tidwall/gjson"
)

// decodeInput reads the body of a Responses request. Items that are no messages
// (calls, their outputs, reasoning) belong to the conversation and are not heard.
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
	at := 0
	if input.IsArray() {
		input.ForEach(func(_, item gjson.Result) bool {
			if kind := item.Get("type").Str; kind == "" || kind == "message" {
				err = a.hear(item, at)
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
	text []byte // said so far, as JSON has it between quotes
	seq  int    // of the next event
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
	b = append(r.event(b, "response.output_item.added"), `,"output_index":0,"item":{"id":"msg_`+r.id+`","type":"message","status":"in_progress","role":"assistant","content":[]}}`+"\n\n"...)
	b = append(r.place(r.event(b, "response.content_part.added")), `,"part":`...)
	return append(r.part(b), "}\n\n"...)
}

func (r *response) delta(b []byte, piece string) []byte {
	b = append(r.place(r.event(b, "response.output_text.delta")), `,"delta":`...)
	from := len(b)
	b = appendString(b, piece)
	r.text = append(r.text, b[from+1:len(b)-1]...)
	return append(b, `,"logprobs":[]}`+"\n\n"...)
}

func (r *response) end(b []byte, u usage) []byte {
	b = append(r.place(r.event(b, "response.output_text.done")), `,"text":"`...)
	b = append(append(b, r.text...), `","logprobs":[]}`+"\n\n"...)
	b = append(r.place(r.event(b, "response.content_part.done")), `,"part":`...)
	b = append(r.part(b), "}\n\n"...)
	b = append(r.event(b, "response.output_item.done"), `,"output_index":0,"item":`...)
	b = append(r.item(b), "}\n\n"...)
	b = append(r.event(b, "response.completed"), `,"response":`...)
	return append(r.complete(b, u), "}\n\n"...)
}

func (r *response) whole(b []byte, content string, u usage) []byte {
	text := appendString(nil, content)
	r.text = text[1 : len(text)-1]
	return r.complete(b, u)
}

// complete appends the response as it ended.
func (r *response) complete(b []byte, u usage) []byte {
	b = append(r.object(b, "completed"), `,"output":[`...)
	b = append(r.item(b), ']')
	b = u.append(b, "input_tokens", "output_tokens")
	b = append(b[:len(b)-1], `,"input_tokens_details":{"cached_tokens":0},"output_tokens_details":{"reasoning_tokens":0}}`...)
	return append(b, '}')
}

var _ form = (*response)(nil)
