package scenarios

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/flashcrowd/flashcrowd/results"
)

// An agent is what a walk needs to be driven: the assistant's calls become the
// walk's steps, one at a time, and what they gave goes back with the next turn.
//
// A call that asks for the same as the last one of its tool is the same intent
// and has its key, so that an assistant that asks twice gets one order.
type agent struct {
	limits Driven
	turns  int // asked for
	tools  int
	lines  int // of the user that were said
	again  int // times that the last of them was said once more

	calls   []ToolCall         // of the last answer, not looked at yet
	given   []ToolResult       // what the others gave, for the next turn
	call    ToolCall           // the one that is carried out
	got     Result             // its answer that was OK
	errand  *errand            // what it is about
	last    [Search + 1]errand // of each tool
	errands int
	failed  results.Outcome // how the last call failed that an order needs; OK if it did not

	item  Item   // of the checkout
	code  string // that was put into it last
	query string // of a search
}

// An errand is what the last call of a tool asked for.
type errand struct {
	says     string
	number   int // of the errand among all; from 1
	attempts int // requests that were sent for it
}

func newAgent(limits Driven) *agent {
	return &agent{limits: limits, turns: 1, lines: 1, failed: results.OK}
}

// follow goes on as the assistant wants: with its next call, or with a turn
// that tells what its calls gave, or, if it only spoke, with the user's next
// line. An order that stands ends the journey; so does an assistant that comes
// to an end without one.
func (w *walk) follow(to *Step) bool {
	a := w.agent
	w.intent = intent{}
	if w.end.Ordered {
		return w.leave(results.OK)
	}
	for len(a.calls) > 0 {
		a.call, a.calls = a.calls[0], a.calls[1:]
		if a.tools++; uint64(a.tools) > a.limits.Tools {
			return w.leave(results.Refused)
		}
		kind, no := w.understand(a.call)
		if no != nil {
			a.give(*no)
			continue
		}
		w.steps = append(w.steps, kind)
		w.index++
		w.claims, w.intent.attempt = 0, a.errand.attempts
		return w.step(to, 0)
	}
	told := len(a.given) > 0
	if !told {
		switch {
		case a.failed != results.OK:
			return w.leave(a.failed)
		case a.lines < w.shopper.turns():
			a.lines++
		case !slices.Contains(w.wants, Complete):
			return w.leave(results.OK)
		case a.again == w.shopper.Persona.Reasks:
			return w.leave(results.Refused)
		default:
			a.again++
		}
	}
	if uint64(a.turns) == a.limits.Turns {
		return w.leave(results.Refused)
	}
	a.turns++
	w.steps = append(w.steps, Turn)
	w.index++
	if told {
		return w.step(to, 0)
	}
	return w.step(to, w.thinks())
}

// tell keeps what a call came to for the assistant, and goes on.
func (w *walk) tell(r *Result, to *Step) bool {
	a := w.agent
	if a.got.Outcome == results.OK {
		r = &a.got
	}
	a.errand.attempts = w.intent.attempt + 1
	if k := w.steps[w.index]; k != Search && k != Claim {
		a.failed = r.Outcome
	}
	a.give(report(w.steps[w.index], *r))
	return w.follow(to)
}

// give adds what the current call gave.
func (a *agent) give(r reported) {
	a.given = append(a.given, ToolResult{CallID: a.call.ID, Name: a.call.Name, Content: string(marshal(r))})
}

// A reported is what a call gave, as the assistant reads it.
type reported struct {
	Error    string          `json:"error,omitempty"` // an outcome
	Why      string          `json:"why,omitempty"`
	Items    *[]reportedItem `json:"items,omitempty"`
	Coupon   string          `json:"coupon,omitempty"`
	Checkout string          `json:"checkout,omitempty"`
	Order    string          `json:"order,omitempty"`
	Total    *int64          `json:"total,omitempty"` // minor units
	Currency string          `json:"currency,omitempty"`
}

type reportedItem struct {
	ID       string `json:"item"`
	Title    string `json:"title"`
	Price    int64  `json:"price"` // minor units
	Currency string `json:"currency"`
}

// mostReported bounds what a search tells the assistant.
const mostReported = 20

// report puts a result into words for the assistant.
func report(kind StepKind, r Result) reported {
	var told reported
	switch {
	case r.Outcome != results.OK:
		return reported{Error: r.Outcome.String(), Why: clip(r.Why, 200)}
	case kind == Search:
		items := make([]reportedItem, min(len(r.Offers), mostReported))
		for i := range items {
			items[i] = reportedItem(r.Offers[i])
		}
		return reported{Items: &items}
	case kind == Claim:
		return reported{Coupon: r.Coupon}
	case kind == Update:
		told.Coupon = r.Redeemed
	case kind == Complete:
		told.Order = r.Order
	}
	if told.Checkout = r.Session; r.Currency != "" {
		told.Total, told.Currency = &r.Amount, r.Currency
	}
	return told
}

// understand reads a call: what it is to do, with its arguments in the agent,
// or why nobody can do it.
func (w *walk) understand(c ToolCall) (StepKind, *reported) {
	bad := func(format string, args ...any) (StepKind, *reported) {
		w.end.BadCalls++
		return 0, &reported{Error: results.Malformed.String(), Why: fmt.Sprintf(format, args...)}
	}
	a, t := w.agent, &w.shopper.plan.Target
	names := t.calls()
	i := slices.IndexFunc(t.tools(), func(k StepKind) bool { return names.named(k.String()) == c.Name })
	if i < 0 {
		return bad("there is no tool %q", clip(c.Name, 60))
	}
	kind := t.tools()[i]
	said, err := names.argued(cmp.Or(c.Arguments, "{}"))
	if err != nil {
		return bad("the arguments are not the JSON object that they must be")
	}
	quantity := 1
	if said.Quantity != nil {
		quantity = *said.Quantity
	}
	buys := kind == Create || kind == Complete && !t.Checkout.offers(Create)
	switch {
	case kind != Search && !slices.Contains(w.wants, kind):
		return 0, &reported{Error: results.Rejected.String(), Why: "the user does not want that"}
	case buys && (said.Item == "" || len(said.Item) > 256):
		return bad("%s must be the id of an item", names.named("item"))
	case buys && (quantity < 1 || quantity > 999):
		return bad("%s must be a whole number from 1 to 999", names.named("quantity"))
	case (kind == Update || kind == Complete && !buys) && (said.Checkout == "" || string(said.Checkout) != w.session):
		return bad("%s must be the id of the checkout that was created last", names.named("checkout"))
	case said.Coupon != "" && string(said.Coupon) != w.coupon, kind == Update && said.Coupon == "":
		return bad("%s must be one that was claimed", names.named("coupon"))
	}
	says := string(said.Checkout + " " + said.Coupon)
	switch {
	case buys:
		a.item, a.code = Item{ID: string(said.Item), Quantity: quantity}, string(said.Coupon)
		says = fmt.Sprint(a.item, said.Coupon)
	case kind == Update:
		a.code = string(said.Coupon)
	case kind == Search:
		a.query, says = string(said.Query), string(said.Query)
	case kind == Claim:
		says = "one"
	}
	a.begin(kind, says)
	return kind, nil
}

// begin makes a call's errand the current one.
func (a *agent) begin(kind StepKind, says string) {
	a.errand = &a.last[kind]
	if a.errand.number == 0 || a.errand.says != says {
		a.errands++
		*a.errand = errand{says: says, number: a.errands}
	}
	a.got = Result{}
}
