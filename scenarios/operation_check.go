package scenarios

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Limits of what a campaign describes.
const (
	maxRules  = 32  // of a list
	maxTaken  = 16  // values of an answer
	maxGJSON  = 256 // bytes of a path
	maxRegexp = 512 // bytes

	shortestPoll, longestPoll = 10 * time.Millisecond, time.Hour
)

// operations checks what an endpoint describes.
func (k *checker) operations(name string, t *Target, e Endpoint) {
	path := "target." + name
	known := operationsOf(name)
	last := known[len(known)-1]
	if e.Protocol == HTTP {
		if _, ok := e.Operations[last.String()]; !ok {
			k.fault(path+"."+last.String(), "protocol http describes its requests", "is missing")
		}
		if e.Model != "" {
			k.fault(path+".model", "write it into the request", "is not used by protocol http")
		}
		if e.StockID != "" {
			k.fault(path+".stock_id", "write it into the request", "is not used by protocol http")
		}
	}
	for _, operation := range slices.Sorted(maps.Keys(e.Operations)) {
		at := path + "." + operation
		i := slices.IndexFunc(known, func(kind StepKind) bool { return kind.String() == operation })
		switch {
		case i < 0: // from a file it would be an unknown key
			k.fault(at, "", "is no operation of %s", name)
		case e.Protocol != HTTP:
			k.key(at, "protocol: http", "is described, but the protocol has a name")
		default:
			k.operation(at, known[i], t, e.Operations[operation])
		}
	}
}

func (k *checker) operation(at string, kind StepKind, t *Target, o Operation) {
	known := slices.Concat(placeholders(kind), t.takenBefore(kind), k.rows)
	k.described(at, t, o, known)
	k.needs(at+".take", kind, o)
	switch {
	case (kind == Turn || kind == Search) && (o.Poll != nil || o.Pending != nil): // not from a file
		k.key(at+".pending", "", "is not for a %v", kind)
	case o.Poll == nil && o.Pending != nil:
		k.fault(at+".poll", "poll: {request: {method: GET, path: \"/orders/{{taken.order}}\"}}", "is missing: somebody has to ask about what is pending")
	case o.Poll != nil && o.Pending == nil:
		k.fault(at+".pending", "- {status: 202}", "is missing: it says which answers are asked about")
	}
	if o.Poll != nil {
		k.polling(at+".poll", t, o.Poll, known)
	}
	k.found(at+".items", kind, o.Items)
	switch {
	case kind != Turn && o.Answer != nil:
		k.key(at+".answer", "", "is for a turn of the chat alone")
	case kind != Turn && len(o.OK) == 0:
		k.fault(at+".ok", "- {path: data.order.id, exists: true}", "is missing: what no rule matches is never ok")
	case kind == Turn && o.Answer == nil:
		k.fault(at+".answer", "answer: {events: sse, text: choices.0.delta.content, done: \"[DONE]\"}", "is missing")
	case kind == Turn:
		k.answer(at, t, o)
	}
}

// described checks what an operation and its poll have both.
func (k *checker) described(at string, t *Target, o Operation, known []string) {
	k.request(at+".request", o.Request, t, known)
	k.takes(at+".take", o.Take)
	k.rules(at+".rejected", o.Rejected)
	k.rules(at+".retry", o.Retry)
	k.rules(at+".pending", o.Pending)
	k.rules(at+".ok", o.OK)
}

func (k *checker) polling(at string, t *Target, p *Polling, known []string) {
	k.described(at, t, p.Operation, known)
	if p.Answer != nil || p.Poll != nil { // not from a file
		k.key(at, "", "must not be polled itself")
	}
	if p.Every < shortestPoll || p.Every > longestPoll {
		k.fault(at+".every", "", "must be between %v and %v", shortestPoll, longestPoll)
	}
	if p.For != 0 && (p.For < p.Every || p.For > longestPoll) {
		k.fault(at+".for", "", "must be between every, %v, and %v", p.Every, longestPoll)
	}
}

func (k *checker) request(at string, r Request, t *Target, known []string) {
	if !slices.Contains([]string{"GET", "POST", "PUT", "PATCH", "DELETE"}, r.Method) {
		k.fault(at+".method", "GET, POST, PUT, PATCH or DELETE", "%q is not a method", clip(r.Method, 20))
	}
	if !strings.HasPrefix(r.Path, "/") || strings.ContainsAny(k.filled(at+".path", r.Path, known), "#\\ \t\r\n{}") {
		k.fault(at+".path", "/orders/{{step.session}}", "%q must begin with / and hold no spaces, # or \\", clip(r.Path, 60))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		path := at + ".headers." + name
		switch strings.ToLower(name) {
		case "content-type", "accept", "idempotency-key": // a description may set what a named protocol does itself
			if strings.ContainsAny(r.Headers[name], "\r\n") {
				k.fault(path, "", "must be one line of text")
			}
			k.secrets(path, r.Headers[name])
		default:
			k.header(path, name, r.Headers[name])
		}
		for other := range t.Headers {
			if strings.EqualFold(name, other) {
				k.key(path, "", "is in target.headers already")
			}
		}
		k.filled(path, r.Headers[name], known)
	}
	if strings.Contains(r.Path, "${") {
		k.fault(at+".path", "put it into headers or the body", "must not hold a ${NAME}")
	}
	k.secrets(at+".body", r.Body)
	body := k.filled(at+".body", r.Body, known)
	if r.Body != "" && !r.Form() && !json.Valid([]byte(body)) {
		k.fault(at+".body", "text placeholders stand in quotes, step.history, step.tools and step.results without", "is no JSON once its placeholders are filled in")
	}
}

// filled returns a template with a sample in place of each placeholder, after
// noting those that are not known.
func (k *checker) filled(at, template string, known []string) string {
	pieces, err := Pieces(template)
	if err != nil {
		k.fault(at, "", "%v", err)
	}
	var b strings.Builder
	for _, p := range pieces {
		switch p.Name {
		case "":
			b.WriteString(p.Text)
			continue
		case "step.history":
			b.WriteString(`[{"role":"user"}]`)
		case "step.tools", "step.results":
			b.WriteString(`[{"name":"x"}]`)
		case "call.json":
			b.WriteString(`{"order":"x"}`)
		case "step.item.quantity":
			b.WriteString("1")
		default:
			b.WriteString("x")
		}
		if !isKnown(p.Name, known) {
			k.fault(at, didYouMean(p.Name, known), "there is no placeholder {{%s}} here", clip(p.Name, 60))
		}
	}
	return b.String()
}

// needs checks that what a step is for is taken, from its answer or a poll's.
func (k *checker) needs(at string, kind StepKind, o Operation) {
	needed := map[StepKind]string{Claim: "coupon", Complete: "order"}[kind]
	if _, ok := o.takes()[needed]; needed != "" && !ok {
		k.fault(at+"."+needed, "the audit looks for it in the backend's books", "is missing")
	}
}

func (k *checker) found(at string, kind StepKind, i *Items) {
	const example = "items: {list: products, id: sku, title: name, price: cents, currency: currency}"
	switch {
	case kind != Search && i != nil: // not from a file
		k.key(at, "", "is for a search alone")
	case kind == Search && i == nil:
		k.fault(at, example, "is missing")
	case kind == Search:
		for _, path := range []struct {
			key, is string
			needed  bool
		}{{"list", i.List, true}, {"id", i.ID, true}, {"title", i.Title, false}, {"price", i.Price, false}, {"currency", i.Currency, false}} {
			if path.is == "" && path.needed {
				k.fault(at+"."+path.key, example, "is missing")
			} else if path.is != "" {
				k.gjson(at+"."+path.key, path.is)
			}
		}
	}
}

func (k *checker) takes(at string, take map[string]string) {
	if len(take) > maxTaken {
		k.fault(at, "", "takes more than %d values", maxTaken)
	}
	for _, name := range slices.Sorted(maps.Keys(take)) {
		path := at + "." + name
		if !isVariable(name) || len(name) > 40 {
			k.key(path, "", "must be named by at most 40 letters, digits and _")
		}
		if header, ok := strings.CutPrefix(take[name], "header:"); ok {
			if !isToken(header) {
				k.fault(path, "header:X-Session", "%q is not the name of a header", clip(header, 60))
			}
			continue
		}
		k.gjson(path, take[name])
	}
}

func (k *checker) answer(at string, t *Target, o Operation) {
	a := o.Answer
	at, ok := at+".answer", at+".ok"
	k.gjson(at+".text", a.Text)
	if a.Error != "" {
		k.gjson(at+".error", a.Error)
	}
	if a.Calls != nil {
		k.calls(at+".calls", a.Calls, o.Request.Body)
	}
	if a.Until != nil {
		k.rule(at+".done", *a.Until)
		if len(a.Until.Status) > 0 {
			k.fault(at+".done.status", "", "is not what ends a stream")
		}
	}
	switch a.Events {
	case SSE:
		if len(o.OK) > 0 {
			k.fault(ok, "leave it out", "is not used by a stream: its text and its end say it")
		}
	case JSON:
		if a.Done != "" || a.Until != nil {
			k.fault(at+".done", "leave it out", "is for a stream")
		}
	case WebSocket:
		if len(o.OK) > 0 {
			k.fault(ok, "leave it out", "is not used by a socket: its messages say it")
		}
		if a.Done == "" && a.Until == nil {
			k.fault(at+".done", "{path: type, is: end}", "is missing: nothing else says that an answer over a socket is whole")
		}
		if t.HTTP == HTTP2 {
			k.fault("target.http", "1.1", "carries no WebSocket here")
		}
		if o.Request.Method != "GET" {
			k.fault(strings.TrimSuffix(at, ".answer")+".request.method", "GET", "must be that of a handshake, and the body is the message")
		}
	default:
		k.fault(at+".events", SSE+", "+JSON+" or "+WebSocket, "%q is not how an answer comes", clip(a.Events, 40))
	}
}

func (k *checker) rules(at string, rules []Rule) {
	if len(rules) > maxRules {
		k.fault(at, "", "lists more than %d rules", maxRules)
	}
	for i, r := range rules {
		k.rule(fmt.Sprintf("%s[%d]", at, i), r)
	}
}

func (k *checker) rule(at string, r Rule) {
	for _, s := range r.Status {
		if s.From < 100 || s.To > 599 || s.From > s.To {
			k.fault(at+".status", "", "must be from 100 to 599, the lower end first")
		}
	}
	conditions := 0
	for _, given := range []bool{r.Is != nil, r.Exists != nil, r.Matches != ""} {
		if given {
			conditions++
		}
	}
	switch {
	case r.Path == "" && (conditions > 0 || r.Not):
		k.fault(at+".path", "", "is missing")
	case r.Path == "" && len(r.Status) == 0:
		k.fault(at, "{status: 200..299} or {path: data.id, exists: true}", "has no condition")
	case r.Path != "" && conditions != 1:
		k.fault(at, "", "must have one of is, exists and matches beside its path")
	}
	if r.Path != "" {
		k.gjson(at+".path", r.Path)
	}
	if _, err := regexp.Compile(r.Matches); err != nil || len(r.Matches) > maxRegexp {
		k.fault(at+".matches", "", "is not a regular expression of at most %d bytes", maxRegexp)
	}
}

// gjson checks a path as far as gjson, which takes anything, has a grammar.
func (k *checker) gjson(at, path string) {
	open := strings.Count(path, "(") - strings.Count(path, ")")
	if path == "" || len(path) > maxGJSON || open != 0 || strings.ContainsFunc(path, func(r rune) bool { return r < ' ' }) ||
		strings.HasPrefix(path, "$") || strings.HasPrefix(path, ".") || strings.HasSuffix(path, ".") || strings.Contains(path, "..") && !strings.HasPrefix(path, "..") {
		k.fault(at, "data.order.id", "%q is not a gjson path", clip(path, 60))
	}
}
