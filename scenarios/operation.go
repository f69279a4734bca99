package scenarios

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// HTTP is the protocol of a backend that the campaign itself describes.
const HTTP = "http"

// Operation is one request of an endpoint whose protocol is HTTP, and what its
// answers mean. The first list that has a matching rule decides: rejected, then
// retry, pending and ok. What none matches is never ok.
type Operation struct {
	Request  Request           `json:"request"`
	Answer   *Answer           `json:"answer,omitempty"` // a turn alone has one
	Items    *Items            `json:"items,omitempty"`  // a search alone has them
	Take     map[string]string `json:"take,omitempty"`   // by name: a gjson path in the answer, or "header:" and a header's name
	Rejected []Rule            `json:"rejected,omitempty"`
	Retry    []Rule            `json:"retry,omitempty"`
	Pending  []Rule            `json:"pending,omitempty"` // taken in, and to be asked about
	OK       []Rule            `json:"ok,omitempty"`
	Poll     *Polling          `json:"poll,omitempty"` // there if Pending is
}

// Request is the template of a request; see Pieces for its placeholders. Its
// headers and body may hold ${NAME}.
type Request struct {
	Method  string            `json:"method"`
	Path    string            `json:"path"` // after the endpoint's path; a query may follow
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body,omitempty"`
}

// Form says whether the body is a form; else it is JSON.
func (r Request) Form() bool {
	for name, value := range r.Headers {
		if strings.EqualFold(name, "Content-Type") {
			return strings.HasPrefix(strings.ToLower(value), "application/x-www-form-urlencoded")
		}
	}
	return false
}

// Answer says how the answer to a turn carries the assistant's words.
type Answer struct {
	Events string `json:"events"`          // SSE, JSON or WebSocket
	Text   string `json:"text"`            // gjson path of the text, in each event or in the whole
	Done   string `json:"done,omitempty"`  // the data of the event, or message, that ends an answer; empty: see Until
	Until  *Rule  `json:"until,omitempty"` // matches the event that ends it; neither: the body's end does, and a socket must have one
	Error  string `json:"error,omitempty"` // gjson path of what makes an event an error
	Calls  *Calls `json:"calls,omitempty"` // nil: the assistant calls no tools
}

// Items says where the answer to a search has what was found. All are gjson
// paths; those but List and ID may be empty.
type Items struct {
	List     string `json:"list"`
	ID       string `json:"id"` // in each, as the others
	Title    string `json:"title,omitempty"`
	Price    string `json:"price,omitempty"` // of one, minor units
	Currency string `json:"currency,omitempty"`
}

// How an answer comes.
const (
	SSE  = "sse"  // server-sent events
	JSON = "json" // one JSON text

	// WebSocket is a socket for the whole conversation. The request is its
	// handshake, without the body, which is the message of each turn.
	WebSocket = "websocket"
)

// Rule is a condition on an answer. It matches when its status does and its
// path does; one of them may be left out.
type Rule struct {
	Status  []Statuses `json:"status,omitempty"` // one of them; empty: any
	Path    string     `json:"path,omitempty"`   // gjson
	Is      *string    `json:"is,omitempty"`     // what is there, as text
	Exists  *bool      `json:"exists,omitempty"` // that there is something, and not null
	Matches string     `json:"matches,omitempty"`
	Not     bool       `json:"not,omitempty"` // turns round what the path says, not the status
}

// Statuses is a range of HTTP statuses, both ends included.
type Statuses struct {
	From int `json:"from"`
	To   int `json:"to"`
}

// A Piece is a part of a template: text that stands as it is, or the name of a
// placeholder.
type Piece struct{ Text, Name string }

// Pieces takes a template such as "/orders/{{step.session}}/pay" apart.
func Pieces(template string) ([]Piece, error) {
	var pieces []Piece
	for {
		before, rest, found := strings.Cut(template, "{{")
		if before != "" {
			pieces = append(pieces, Piece{Text: before})
		}
		if !found {
			return pieces, nil
		}
		name, after, closed := strings.Cut(rest, "}}")
		if name = strings.TrimSpace(name); !closed || name == "" {
			return nil, errors.New("holds a {{ that is no {{name}}")
		}
		pieces = append(pieces, Piece{Name: name})
		template = after
	}
}

// operationsOf lists the operations that an endpoint can describe, in the order
// in which a shopper comes to them.
func operationsOf(endpoint string) []StepKind {
	switch endpoint {
	case "chat":
		return []StepKind{Turn}
	case "coupons":
		return []StepKind{Claim}
	case "checkout":
		return []StepKind{Search, Create, Update, Complete}
	}
	return nil
}

// placeholders lists what a request of a kind may hold, beside taken values.
func placeholders(kind StepKind) []string {
	all := []string{"shopper.id", "shopper.user", "step.key"}
	switch kind {
	case Turn:
		return append(all, "step.say", "step.history", "step.tools", "step.results")
	case Search:
		return append(all, "step.query")
	case Create, Update, Complete:
		all = append(all, "step.item.id", "step.item.quantity", "step.coupon")
		if kind != Create {
			all = append(all, "step.session")
		}
	}
	return all
}

// offers says whether a step can be carried out: protocols with a name can do
// all, but for searching, which only UCP 2026-04-08 has, over REST or MCP; one
// that the campaign describes can do what is described.
func (e Endpoint) offers(kind StepKind) bool {
	if e.Protocol == HTTP {
		_, described := e.Operations[kind.String()]
		return described
	}
	return kind != Search || e.Protocol == MCP || e.Protocol == "ucp" && e.Version == "2026-04-08"
}

// takenBefore lists, as placeholders, what a shopper may have taken when it
// comes to a step of a kind.
func (t *Target) takenBefore(kind StepKind) []string {
	names := t.Login.names()
	for _, e := range []Endpoint{t.Chat, t.Coupons, t.Checkout} {
		for k := Turn; k <= kind; k++ {
			for name := range e.Operations[k.String()].takes() {
				names = append(names, "taken."+name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// absent says whether the campaign does not have the endpoint.
func (e Endpoint) absent() bool {
	return e.Protocol == "" && e.Version == "" && e.Path == "" && e.Model == "" && e.StockID == "" && e.Operations == nil
}

// resolved returns the endpoint with each ${NAME} replaced.
func (e Endpoint) resolved(lookup func(name string) (string, bool)) (Endpoint, error) {
	for _, text := range []*string{&e.Path, &e.Model, &e.StockID} {
		var err error
		if *text, err = resolve(*text, lookup); err != nil {
			return e, fmt.Errorf("resolve the target: %w", err)
		}
	}
	operations := e.Operations
	e.Operations = nil
	for name, o := range operations {
		o, err := o.resolved(lookup)
		if err != nil {
			return e, fmt.Errorf("resolve %s: %w", name, err)
		}
		set(&e.Operations, name, o)
	}
	return e, nil
}

// resolved is the same for an operation.
func (o Operation) resolved(lookup func(name string) (string, bool)) (Operation, error) {
	headers := o.Request.Headers
	o.Request.Headers = nil
	for header, value := range headers {
		text, err := resolve(value, lookup)
		if err != nil {
			return o, fmt.Errorf("the header %s: %w", header, err)
		}
		set(&o.Request.Headers, header, text)
	}
	var err error
	if o.Request.Body, err = resolve(o.Request.Body, o.Request.escaped(lookup)); err != nil {
		return o, err
	}
	if o.Poll != nil {
		poll := *o.Poll
		if poll.Operation, err = poll.Operation.resolved(lookup); err != nil {
			return o, err
		}
		o.Poll = &poll
	}
	return o, nil
}

// escaped looks up what can stand in the body.
func (r Request) escaped(lookup func(name string) (string, bool)) func(name string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := lookup(name)
		if r.Form() {
			return url.QueryEscape(value), ok
		}
		quoted := string(marshal(value))
		return strings.ReplaceAll(quoted[1:len(quoted)-1], "{", `\u007b`), ok // no placeholders in what is given
	}
}

// texts returns everything that may hold a ${NAME}.
func (e Endpoint) texts() []string {
	texts := []string{e.Path, e.Model, e.StockID}
	for _, o := range e.Operations {
		texts = append(texts, o.texts()...)
	}
	return texts
}

func (o Operation) texts() []string {
	texts := append(slices.Collect(maps.Values(o.Request.Headers)), o.Request.Body)
	if o.Poll != nil {
		texts = append(texts, o.Poll.texts()...)
	}
	return texts
}

// takes returns everything that the operation takes, by name.
func (o Operation) takes() map[string]string {
	if o.Poll == nil {
		return o.Take
	}
	all := maps.Clone(o.Poll.Take)
	for name, path := range o.Take {
		set(&all, name, path)
	}
	return all
}

// set puts a value into a map that may not be there yet.
func set[V any](m *map[string]V, key string, v V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[key] = v
}
