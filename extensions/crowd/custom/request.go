package custom

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/tools"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// An operation is one of a campaign's, made ready.
type operation struct {
	method  string
	path    template
	headers []header
	body    template
	escape  func(b []byte, text string) []byte // of text in the body

	answer                       *answer
	tools                        []byte           // JSON list of those that are offered
	items                        *scenarios.Items // of a search
	take                         map[string]string
	rejected, retry, pending, ok []rule
	expired                      []rule     // that the login is over
	poll                         *operation // nil where no answer is pending
	polls                        bool       // it is one
}

type header struct {
	name  string
	value template
}

type template []scenarios.Piece

const asJSON = "application/json"

// lines returns the header lines of an operation whose description does not have
// them itself.
func lines(key string) map[string]string {
	own := map[string]string{"Content-Type": asJSON, "Accept": asJSON}
	if key != "" {
		own["Idempotency-Key"] = key
	}
	return own
}

// compile makes an operation ready, with the header lines that it has unless
// its description has them too.
func compile(prefix string, d scenarios.Operation, defaults map[string]string) (*operation, error) {
	o := &operation{method: d.Request.Method, escape: appendEscaped, take: d.Take, items: d.Items}
	if d.Request.Form() {
		o.escape = appendPercent
	}
	var err error
	if o.path, err = scenarios.Pieces(prefix + d.Request.Path); err != nil {
		return nil, err
	}
	if o.body, err = scenarios.Pieces(d.Request.Body); err != nil {
		return nil, err
	}
	if d.Answer != nil && d.Answer.Events == scenarios.WebSocket {
		defaults = nil // they are for requests, and this is a handshake
	}
	own := maps.Clone(d.Request.Headers)
	for name, value := range defaults {
		if name == "Accept" && d.Answer != nil && d.Answer.Events == scenarios.SSE {
			value = "text/event-stream"
		}
		if !slices.ContainsFunc(slices.Collect(maps.Keys(own)), func(n string) bool { return strings.EqualFold(n, name) }) {
			if own == nil {
				own = map[string]string{}
			}
			own[name] = value
		}
	}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		value, err := scenarios.Pieces(own[name])
		if err != nil {
			return nil, err
		}
		o.headers = append(o.headers, header{name, value})
	}
	for _, list := range []struct {
		to   *[]rule
		from []scenarios.Rule
	}{{&o.rejected, d.Rejected}, {&o.retry, d.Retry}, {&o.pending, d.Pending}, {&o.ok, d.OK}} {
		for _, r := range list.from {
			made, err := newRule(r)
			if err != nil {
				return nil, err
			}
			*list.to = append(*list.to, made)
		}
	}
	if d.Answer != nil {
		o.answer = &answer{Answer: *d.Answer}
		if c := d.Answer.Calls; c != nil {
			if o.answer.result, err = scenarios.Pieces(cmp.Or(c.Result, scenarios.DefaultResult)); err != nil {
				return nil, err
			}
		}
		if d.Answer.Until != nil {
			made, err := newRule(*d.Answer.Until)
			if err != nil {
				return nil, err
			}
			o.answer.until = &made
		}
	}
	if d.Poll != nil {
		if o.poll, err = compile(prefix, d.Poll.Operation, lines("")); err != nil {
			return nil, err
		}
		o.poll.inherit(o)
	}
	return o, nil
}

// inherit takes over what a poll leaves out.
func (o *operation) inherit(from *operation) {
	o.polls = true
	if o.take == nil {
		o.take = from.take
	}
	for _, list := range []struct{ to, from *[]rule }{
		{&o.rejected, &from.rejected}, {&o.retry, &from.retry}, {&o.pending, &from.pending}, {&o.ok, &from.ok},
	} {
		if *list.to == nil {
			*list.to = *list.from
		}
	}
}

// expire takes the rules that say that the login is over.
func (o *operation) expire(rules []scenarios.Rule) error {
	if len(rules) == 0 {
		rules = []scenarios.Rule{{Status: []scenarios.Statuses{{From: 401, To: 401}}}}
	}
	for _, r := range rules {
		made, err := newRule(r)
		if err != nil {
			return err
		}
		o.expired = append(o.expired, made)
	}
	if o.poll != nil {
		o.poll.expired = o.expired
	}
	return nil
}

// request renders the request of a step, without its deadlines. Said is the
// conversation with this turn's line.
func (o *operation) request(s *crowd.Shopper, step scenarios.Step) (req *wire.Request, said []byte, err error) {
	if step.Kind == scenarios.Turn {
		said = tools.AppendSaid(slices.Clone(s.History), len(s.History) > 0, &step)
	}
	value, list := func(name string) string { return value(s, step, name) }, func(name string) []byte { return o.list(name, said, &step) }
	req = &wire.Request{Method: o.method, Path: string(o.path.append(nil, value, list, appendPercent)), Header: s.Header}
	for _, h := range o.headers {
		text := string(h.value.append(nil, value, list, appendPlain))
		if h.value.lacks(value) {
			continue
		}
		if !OneLine(text) {
			return nil, nil, fmt.Errorf("what the header %s would hold is not one line of text", h.name)
		}
		req.Extra = append(req.Extra, h.name+": "+text+"\r\n"...)
	}
	req.Extra = wire.TraceParent(req.Extra, step.Key, step.Request())
	if len(o.body) > 0 {
		req.Body = [][]byte{o.body.append(nil, value, list, o.escape)}
	}
	return req, said, nil
}

// OneLine says whether a text can stand in a header.
func OneLine(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// list returns what a placeholder stands for that is JSON by itself; nil for any
// other. Said is the conversation with this turn's line.
func (o *operation) list(name string, said []byte, step *scenarios.Step) []byte {
	switch name {
	case "step.history":
		return append(append([]byte("["), said...), ']')
	case "step.tools":
		if step.Offer {
			return o.tools
		}
		return []byte("[]")
	case "step.results":
		b := []byte("[")
		for i, r := range step.Tools {
			if i > 0 {
				b = append(b, ',')
			}
			b = o.answer.appendResult(b, r)
		}
		return append(b, ']')
	}
	return nil
}

// append renders a template. What is JSON by itself stands as it is, but in a
// form it is text like any other.
func (t template) append(b []byte, value func(name string) string, list func(name string) []byte, escape func([]byte, string) []byte) []byte {
	for _, p := range t {
		if p.Name == "" {
			b = append(b, p.Text...)
		} else if own := list(p.Name); own == nil {
			b = escape(b, value(p.Name))
		} else if probe := escape(nil, "["); string(probe) != "[" {
			b = escape(b, string(own))
		} else {
			b = append(b, own...)
		}
	}
	return b
}

var lists = []string{"step.history", "step.tools", "step.results"}

// lacks says whether a placeholder of a template has nothing to stand for: a
// header without its token is not sent.
func (t template) lacks(value func(name string) string) bool {
	return slices.ContainsFunc(t, func(p scenarios.Piece) bool {
		return p.Name != "" && !slices.Contains(lists, p.Name) && value(p.Name) == ""
	})
}

// value returns what a placeholder stands for; empty where the shopper does not
// have it yet.
func value(s *crowd.Shopper, step scenarios.Step, name string) string {
	switch name {
	case "step.key":
		return step.Key.String()
	case "step.say":
		return step.Say
	case "step.query":
		return step.Query
	case "step.item.id":
		return step.Item.ID
	case "step.item.quantity":
		return strconv.Itoa(max(1, step.Item.Quantity))
	case "step.coupon":
		return step.Coupon
	case "step.session":
		return step.Session
	}
	if taken, ok := strings.CutPrefix(name, "taken."); ok {
		return s.Taken[taken]
	}
	return s.Value(name)
}

// appendEscaped escapes for the inside of a JSON string.
func appendEscaped(b []byte, text string) []byte {
	quoted := gjson.AppendJSONString(nil, text)
	return append(b, quoted[1:len(quoted)-1]...)
}

// appendPercent escapes everything that means something in a path, a query or a
// form, dots too: a session of ".." must not lead elsewhere.
func appendPercent(b []byte, text string) []byte {
	return append(b, strings.NewReplacer("+", "%20", ".", "%2E").Replace(url.QueryEscape(text))...)
}

func appendPlain(b []byte, text string) []byte { return append(b, text...) }
