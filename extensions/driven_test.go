package extensions

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// bazaarCampaign is of a backend whose every shape and name is its own, and
// whose conversations are kept there.
const bazaarCampaign = `
name: bazaar
seed: 3
crowd:
  shoppers: 1
  stages: [{name: calm, for: 30s, rate: 1}]
  personas: {impatient: 1}
  journeys: {order: 1}
  driven: DRIVEN
factors: {pace: 0.01}
target:
  url: URL
  chat:
    protocol: http
    turn:
      request: {path: /ask, body: '{"thread": "{{taken.thread}}", "text": "{{step.say}}", "outputs": {{step.results}}, "tools": {{step.tools}}}'}
      answer:
        ANSWER
        calls:
          CALLS
          name: do
          arguments: with
          names: {search: find_goods, claim: get_voucher, create: open_cart, update: put_voucher, complete: pay, query: q, item: sku, quantity: n, checkout: cart, coupon: voucher}
          result: '{"ref": "{{call.id}}", "of": "{{call.name}}", "text": "{{call.text}}", "data": {{call.json}}}'
      take: {thread: thread}
  coupons:
    protocol: http
    claim:
      request: {path: /vouchers, body: '{}'}
      take: {coupon: voucher}
      ok: [{path: voucher, exists: true}]
  checkout:
    protocol: http
    search:
      request: {path: /goods, body: '{"like": "{{step.query}}"}'}
      items: {list: hits, id: sku, title: name, price: fen, currency: money}
      ok: [{path: hits, exists: true}]
    create:
      request: {path: /carts, body: '{"sku": "{{step.item.id}}", "n": {{step.item.quantity}}}'}
      take: {session: cart, amount: fen, currency: money}
      rejected: [{path: error, exists: true}]
      ok: [{path: cart, exists: true}]
    update:
      request: {method: PUT, path: "/carts/{{step.session}}", body: '{"voucher": "{{step.coupon}}"}'}
      take: {session: cart, amount: fen, currency: money, redeemed: voucher}
      ok: [{path: cart, exists: true}]
    complete:
      request: {path: "/carts/{{step.session}}/pay"}
      take: {order: order, amount: fen, currency: money}
      ok: [{path: order, exists: true}]
`

// A bazaar is that backend: what its assistant says at the next turn, given what
// came back from the calls.
type bazaar struct {
	t      *testing.T
	form   string
	says   func(turn int, in question) reply
	turns  int
	orders []string
}

type question struct {
	Thread, Text string
	Outputs      []struct {
		Ref, Of, Text string
		Data          map[string]any
	}
	Tools []struct {
		Name       string
		Parameters struct{ Properties map[string]any }
	}
}

type reply struct {
	text  string
	calls []string // each "name arguments"
}

func (b *bazaar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/ask" && r.Method == "GET" {
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			b.t.Error(err)
			return
		}
		defer conn.Close()
		for {
			said, err := wsutil.ReadClientText(conn)
			if err != nil {
				return
			}
			for _, e := range b.events(b.answer(said)) {
				wsutil.WriteServerText(conn, []byte(e))
			}
		}
	}
	body, _ := io.ReadAll(r.Body)
	switch r.Method + " " + r.URL.Path {
	case "POST /ask":
		a := b.answer(body)
		if b.form == "json" {
			fmt.Fprintf(w, `{"thread":"t-1","reply":{"text":%q,"actions":[%s]}}`, a.text, strings.Join(b.whole(a), ","))
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for _, e := range b.events(a) {
			fmt.Fprintf(w, "data: %s\n\n", e)
		}
	case "POST /goods":
		io.WriteString(w, `{"hits":[{"name":"nothing"},{"sku":17,"name":"Tea","fen":1800,"money":"cny"}]}`)
	case "POST /vouchers":
		io.WriteString(w, `{"voucher":"v-1"}`)
	case "POST /carts":
		if !strings.Contains(string(body), `"17"`) {
			io.WriteString(w, `{"error":"SOLD_OUT"}`)
			return
		}
		io.WriteString(w, `{"cart":42,"fen":3600,"money":"CNY"}`)
	case "PUT /carts/42":
		io.WriteString(w, `{"cart":42,"fen":1100,"money":"CNY","voucher":"v-1"}`)
	case "POST /carts/42/pay":
		b.orders = append(b.orders, "o-1")
		io.WriteString(w, `{"order":"o-1","fen":1100,"money":"CNY"}`)
	default:
		b.t.Errorf("%s %s %s", r.Method, r.URL, body)
	}
}

func (b *bazaar) answer(body []byte) reply {
	var in question
	if err := json.Unmarshal(body, &in); err != nil {
		b.t.Errorf("%s: %v", body, err)
	}
	if len(in.Tools) != 5 || in.Tools[2].Name != "open_cart" || in.Tools[2].Parameters.Properties["sku"] == nil {
		b.t.Errorf("turn %d: %s", b.turns, body)
	}
	b.turns++
	return b.says(b.turns-1, in)
}

// whole renders each call, its arguments as an object.
func (b *bazaar) whole(a reply) (all []string) {
	for i, c := range a.calls {
		name, arguments, _ := strings.Cut(c, " ")
		if !json.Valid([]byte(arguments)) || b.form == "pieces" {
			quoted, _ := json.Marshal(arguments)
			arguments = string(quoted)
		}
		all = append(all, fmt.Sprintf(`{"n":%d,"ref":"r-%d-%d","do":%q,"with":%s}`, i, b.turns, i, name, arguments))
	}
	return all
}

func (b *bazaar) events(a reply) (all []string) {
	if a.text != "" {
		all = append(all, fmt.Sprintf(`{"type":"text","text":%q}`, a.text))
	}
	for i, c := range b.whole(a) {
		if b.form != "pieces" {
			all = append(all, `{"type":"action","actions":`+c+`}`)
			continue
		}
		head, arguments, _ := strings.Cut(c, `"with":`)
		arguments = arguments[:len(arguments)-1]
		all = append(all, `{"type":"action","actions":[`+head+`"with":""}]}`)
		var text string
		json.Unmarshal([]byte(arguments), &text)
		for _, part := range strings.SplitAfter(text, ":") {
			quoted, _ := json.Marshal(part)
			all = append(all, fmt.Sprintf(`{"type":"action","actions":[{"n":%d,"with":%s}]}`, i, quoted))
		}
	}
	return append(all, `{"type":"end","thread":"t-1"}`)
}

// sells is an assistant that does what the shopper came for.
func sells(_ int, in question) reply {
	if len(in.Outputs) == 0 {
		return reply{"let me look", []string{`find_goods {"q":"tea \"hot\""}`}}
	}
	last := in.Outputs[len(in.Outputs)-1]
	switch last.Of {
	case "find_goods":
		item := last.Data["items"].([]any)[0].(map[string]any)
		if item["title"] != "Tea" || item["price"] != 1800.0 || item["currency"] != "CNY" {
			return reply{text: fmt.Sprint("sorry, I can't sell you ", item)}
		}
		return reply{"", []string{"get_voucher {}", fmt.Sprintf(`open_cart {"sku":%s,"n":2}`, item["item"])}}
	case "open_cart":
		return reply{"a cart", []string{fmt.Sprintf(`put_voucher {"cart":%s,"voucher":%q}`, last.Data["checkout"], in.Outputs[0].Data["coupon"])}}
	}
	return reply{"", []string{fmt.Sprintf(`pay {"cart":%q}`, last.Data["checkout"])}}
}

// bazaarForms are the ways in which the answers come.
var bazaarForms = map[string][2]string{
	"json":   {"{events: json, text: reply.text, ", "list: reply.actions, id: ref, "},
	"sse":    {"{events: sse, text: text, done: {path: type, is: end}, ", "list: actions, id: ref, "},
	"no ids": {"{events: sse, text: text, done: {path: type, is: end}, ", "list: actions, "},
	"pieces": {"{events: sse, text: text, done: {path: type, is: end}, ", "list: actions, id: ref, index: n, "},
	"socket": {"{events: websocket, text: text, done: {path: type, is: end}, ", "list: actions, id: ref, "},
}

// shop has one shopper shop there, and returns what it did.
func (b *bazaar) shop(driven string) (took []string, end scenarios.Ending) {
	b.t.Helper()
	srv := httptest.NewServer(b)
	defer srv.Close()
	form := bazaarForms[b.form]
	block := func(flow, indent string) string {
		return strings.ReplaceAll(strings.Trim(flow, "{ ,"), ", ", "\n"+indent)
	}
	answer := strings.Replace(block(form[0], "        "), "done: {path: type\n        is: end}", "done: {path: type, is: end}", 1)
	text := strings.NewReplacer("URL", srv.URL, "DRIVEN", driven, "ANSWER", answer, "CALLS", block(form[1], "          ")).Replace(bazaarCampaign)
	c, err := scenarios.Parse("bazaar.yaml", []byte(text))
	if err != nil {
		b.t.Fatal(err)
	}
	p, err := c.Plan(results.Factors{})
	if err != nil {
		b.t.Fatal(err)
	}
	if p, err = scenarios.DecodePlan(p.Encode()); err != nil {
		b.t.Fatal(err)
	}
	config, err := Outfit(p, Terms{Run: "r"})
	if err != nil {
		b.t.Fatal(err)
	}
	end = crowd.New(config).Try(b.t.Context(), p.Shopper(scenarios.ID{}), func(s crowd.Sight) {
		step := s.Step.Kind.String()
		if s.Result.Outcome != results.OK {
			step += " " + s.Result.Outcome.String()
		}
		took = append(took, step)
	})
	return took, end
}

// TestDrivenByOwnShape: an assistant with a shape of its own leads a shopper to an
// order that stands, in whichever form its answers come.
func TestDrivenByOwnShape(t *testing.T) {
	for form := range bazaarForms {
		t.Run(form, func(t *testing.T) {
			ids := map[string]bool{}
			b := &bazaar{t: t, form: form, says: func(turn int, in question) reply {
				for _, o := range in.Outputs {
					if o.Ref == "" || ids[o.Ref] || form != "no ids" && !strings.HasPrefix(o.Ref, fmt.Sprintf("r-%d-", turn)) || !json.Valid([]byte(o.Text)) {
						t.Errorf("turn %d: %+v", turn, o)
					}
					ids[o.Ref] = true
				}
				if (in.Text == "") != (turn > 0) || (in.Thread == "t-1") != (turn > 0) {
					t.Errorf("turn %d says %q in the thread %q", turn, in.Text, in.Thread)
				}
				return sells(turn, in)
			}}
			took, end := b.shop("{}")
			if got := strings.Join(took, ", "); got != "turn, search, turn, claim, create, turn, update, turn, complete" {
				t.Errorf("took %s", got)
			}
			if !end.Ordered || !end.Claimed || end.Outcome != results.OK || end.BadCalls != 0 || len(b.orders) != 1 || len(ids) != 4 {
				t.Errorf("ended %+v with the orders %v and the results %v", end, b.orders, ids)
			}
		})
	}
}

// TestDrivenToNoOrder: what an assistant calls that can't be done is told to it,
// and nobody goes on beyond the limits.
func TestDrivenToNoOrder(t *testing.T) {
	calls := func(list ...string) func(int, question) reply {
		return func(int, question) reply { return reply{calls: list} }
	}
	for _, test := range []struct {
		name, driven string
		says         func(int, question) reply
		took         string
		outcome      results.Outcome
		bad          int
	}{
		{"a fluent no", "{}", func(int, question) reply { return reply{text: "Sorry, I can't help you with that."} },
			"turn refused", results.Refused, 0},
		{"turns", "{turns: 2}", calls(`find_goods {"q":"x"}`), "turn, search, turn, search", results.Refused, 0},
		{"tools", "{tools: 3}", calls(`find_goods {"q":"x"}`, `find_goods {"q":"y"}`), "turn, search, search, turn, search", results.Refused, 0},
		{"bad calls", "{turns: 2}", calls("buy {}", "search {}", "open_cart [1]", `open_cart {"item":"17"}`, `pay {"cart":"42"}`, "open_cart oops"), "turn, turn", results.Refused, 12},
		{"too many calls", "{}", calls(strings.Split(strings.Repeat("get_voucher {}|", 65), "|")[:65]...), "turn malformed", results.Malformed, 0},
		{"a call of nobody", "{}", calls(" {}"), "turn malformed", results.Malformed, 0},
		{"sold out", "{}", func(turn int, _ question) reply {
			if turn > 0 {
				return reply{text: "There is none left, what a day."}
			}
			return reply{calls: []string{`open_cart {"sku":"18"}`}}
		}, "turn, create rejected, turn", results.Rejected, 0},
	} {
		for _, form := range []string{"json", "sse", "pieces", "socket"} {
			t.Run(test.name+" "+form, func(t *testing.T) {
				b := &bazaar{t: t, form: form, says: test.says}
				took, end := b.shop(test.driven)
				if got := strings.Join(took, ", "); got != test.took || end.Outcome != test.outcome || end.BadCalls != test.bad || end.Ordered || len(b.orders) > 0 {
					t.Errorf("took %s, want %s\nended %+v", got, test.took, end)
				}
			})
		}
	}
}
