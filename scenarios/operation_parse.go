package scenarios

import (
	"errors"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

func (r *reader) operation(f field, kind StepKind) Operation {
	known := []string{"request", "take", "rejected", "retry", "pending", "ok", "poll"}
	switch kind {
	case Turn:
		known = []string{"request", "answer", "take", "rejected", "retry", "ok"}
	case Search:
		known = []string{"request", "items", "rejected", "retry", "ok"}
	}
	fields := r.mapping(f, known...)
	o := r.described(fields)
	if kind == Turn && fields["answer"].node != nil {
		o.Answer = r.answer(fields["answer"])
		if o.Answer.Events == WebSocket && r.keys[f.path+".request.method"] == nil {
			o.Request.Method = "GET"
		}
	}
	if kind == Search {
		o.Items = r.found(fields["items"])
	}
	if kind != Turn && kind != Search && fields["poll"].node != nil {
		o.Poll = r.polling(fields["poll"])
	}
	return o
}

func (r *reader) found(f field) *Items {
	if f.node == nil {
		return nil
	}
	i := &Items{}
	fields := r.mapping(f, "list", "id", "title", "price", "currency")
	for key, to := range map[string]*string{"list": &i.List, "id": &i.ID, "title": &i.Title, "price": &i.Price, "currency": &i.Currency} {
		r.text(fields[key], to)
	}
	return i
}

func (r *reader) polling(f field) *Polling {
	fields := r.mapping(f, "request", "every", "for", "take", "rejected", "retry", "pending", "ok")
	p := &Polling{Operation: r.described(fields), Every: pollEvery}
	r.duration(fields["every"], &p.Every)
	r.duration(fields["for"], &p.For)
	return p
}

// described reads what an operation and its poll have both.
func (r *reader) described(fields map[string]field) Operation {
	var o Operation
	request := r.mapping(fields["request"], "method", "path", "headers", "body")
	o.Request.Method = "POST"
	r.text(request["method"], &o.Request.Method)
	r.text(request["path"], &o.Request.Path)
	r.text(request["body"], &o.Request.Body)
	r.texts(request["headers"], &o.Request.Headers)
	r.texts(fields["take"], &o.Take)
	for key, to := range map[string]*[]Rule{"rejected": &o.Rejected, "retry": &o.Retry, "pending": &o.Pending, "ok": &o.OK} {
		for _, item := range r.items(fields[key]) {
			*to = append(*to, r.condition(item))
		}
	}
	return o
}

// texts reads a mapping of texts.
func (r *reader) texts(f field, to *map[string]string) {
	names, values := r.pairs(f)
	for i, name := range names {
		var value string
		r.text(values[i], &value)
		set(to, name, value)
	}
}

func (r *reader) answer(f field) *Answer {
	a := &Answer{Events: SSE}
	fields := r.mapping(f, "events", "text", "done", "error", "calls")
	r.text(fields["events"], &a.Events)
	r.text(fields["text"], &a.Text)
	r.text(fields["error"], &a.Error)
	a.Calls = r.calls(fields["calls"])
	switch done := fields["done"]; done.node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		rule := r.condition(done)
		a.Until = &rule
	default:
		r.text(done, &a.Done)
	}
	return a
}

// condition reads a Rule.
func (r *reader) condition(f field) Rule {
	var c Rule
	fields := r.mapping(f, "status", "path", "is", "exists", "matches", "not")
	r.text(fields["path"], &c.Path)
	r.text(fields["matches"], &c.Matches)
	r.flag(fields["not"], &c.Not)
	if fields["exists"].node != nil {
		c.Exists = new(bool)
		r.flag(fields["exists"], c.Exists)
	}
	if is := fields["is"]; is.node != nil {
		c.Is = new(string)
		if b, ok := is.node.(*ast.BoolNode); ok {
			*c.Is = strconv.FormatBool(b.Value)
		} else {
			read(r, is, c.Is, "text, a number, true or false", func(s string) (string, error) { return s, nil })
		}
	}
	list := []field{fields["status"]}
	if _, ok := fields["status"].node.(*ast.SequenceNode); ok {
		list = r.items(fields["status"])
	}
	for _, item := range list {
		if item.node == nil {
			continue
		}
		var s Statuses
		read(r, item, &s, "a status such as 404, or a range such as 200..299", parseStatuses)
		c.Status = append(c.Status, s)
	}
	return c
}

func parseStatuses(s string) (Statuses, error) {
	low, high, ranged := strings.Cut(s, "..")
	if !ranged {
		high = low
	}
	from, err := strconv.Atoi(low)
	to, wrong := strconv.Atoi(high)
	return Statuses{from, to}, errors.Join(err, wrong)
}
