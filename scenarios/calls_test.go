package scenarios

import (
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// ownCalls is a campaign whose assistant drives in a shape of its own.
const ownCalls = `
name: own
crowd:
  arrivals: {process: uniform}
  stages: [{name: steady, for: 100s, rate: 10/s}, {name: calm, for: 100s, rate: 1/s}]
  journeys: {order: 1}
  turns: 2
  think: {median: 2s, p90: 2s}
  driven: {}
target:
  chat:
    protocol: http
    turn:
      request: {path: /ask, body: '{"text": "{{step.say}}", "outputs": {{step.results}}}'}
      answer:
        events: json
        text: text
        calls:
          list: actions
          name: do
          arguments: with
          names: {create: open_cart, update: complete, complete: pay, item: sku, checkout: cart, coupon: code}
          result: '{"ref": "{{call.id}}", "data": {{call.json}}}'
  coupons: {protocol: wxpay-favor, stock_id: s}
  checkout:
    protocol: http
    search:
      request: {path: /goods, body: '{"like": "{{step.query}}"}'}
      items: {list: hits, id: sku}
      ok: [{status: 200}]
    create: {request: {path: /carts}, take: {session: cart}, ok: [{status: 200}]}
    update: {request: {path: /codes}, ok: [{status: 200}]}
    complete: {request: {path: /pay}, take: {order: order}, ok: [{status: 200}]}
expect: {turn: 2s, request: 500ms}
`

// TestOwnCallsFaults: what can't work is said where it stands, with what to do.
func TestOwnCallsFaults(t *testing.T) {
	if _, err := Parse("own.yaml", []byte(ownCalls)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ old, new, fault string }{
		{"list: actions", "list: a..b", `own.yaml:19:17: target.chat.turn.answer.calls.list: "a..b" is not a gjson path`},
		{"          list: actions\n", "", "own.yaml:18:9: target.chat.turn.answer.calls.list: is missing (list: tool_calls)"},
		{"          name: do\n", "", "calls.name: is missing (name: function.name)"},
		{"          arguments: with\n", "", "calls.arguments: is missing (arguments: function.arguments)"},
		{"name: do\n", "name: do\n          nmae: do\n", `calls: unknown key "nmae" (did you mean name?)`},
		{"name: do\n", "name: do\n          index: '$.n'\n", `calls.index: "$.n" is not a gjson path`},
		{"create: open_cart", "creat: open_cart", "calls.names.creat: is neither a tool nor an argument of one (did you mean create?)"},
		{"update: complete, complete: pay", "update: complete", `calls.names.update: "complete" is what complete is called, too`},
		{"item: sku", "item: cart", `calls.names.checkout: "cart" is what item is called, too`},
		{"item: sku", "item: ''", "calls.names.item: must be a name of 1 to 128 bytes"},
		{"{{call.json}}", "{{call.jsn}}", "calls.result: there is no placeholder {{call.jsn}} here (did you mean call.json?)"},
		{"{{call.json}}", `"{{call.json}}"`, "calls.result: is no JSON once its placeholders are filled in"},
		{`"{{call.id}}"`, "{{call.id}}", "calls.result: is no JSON once its placeholders are filled in"},
		{`"{{call.id}}"`, `"${KEY}"`, "calls.result: must not hold a ${NAME} (put it into headers or the body)"},
		{"{{step.results}}", `"{{step.results}}"`, "turn.request.body: is no JSON once its placeholders are filled in"},
		{`"outputs": {{step.results}}`, `"outputs": []`, `target.chat.turn.request.body: does not tell the assistant what its calls gave ("results": {{step.results}})`},
		{"items: {list: hits, id: sku}", "", "own.yaml:27:5: target.checkout.search.items: is missing (items: {list: products,"},
		{"items: {list: hits, id: sku}", "items: {list: hits}", "search.items.id: is missing"},
		{"id: sku}", "id: sku, price: a.}", `search.items.price: "a." is not a gjson path`},
		{"{path: /codes}", `{path: "/codes?q={{step.query}}"}`, "update.request.path: there is no placeholder {{step.query}} here"},
	} {
		if !strings.Contains(ownCalls, test.old) {
			t.Fatalf("the campaign has no %q", test.old)
		}
		_, err := Parse("own.yaml", []byte(strings.Replace(ownCalls, test.old, test.new, 1)))
		if err == nil || !strings.Contains(err.Error(), test.fault) {
			t.Errorf("%q for %q: %v\nwant %s", test.new, test.old, err, test.fault)
		}
	}
	before, rest, _ := strings.Cut(ownCalls, "        calls:\n")
	_, after, _ := strings.Cut(rest, "  coupons:")
	_, err := Parse("own.yaml", []byte(before+"  coupons:"+after))
	if want := "own.yaml:9:11: crowd.driven: needs an assistant that calls tools, and the campaign does not say how its calls come (target.chat.turn.answer.calls: {list:"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("without calls: %v\nwant %s", err, want)
	}
}

// TestOwnCallsPlan: how calls come counts in the fingerprint, and survives the
// way to a worker.
func TestOwnCallsPlan(t *testing.T) {
	p := planOf(t, ownCalls)
	decoded, err := DecodePlan(p.Encode())
	if err != nil || decoded.Fingerprint() != p.Fingerprint() {
		t.Fatalf("decoded: %v", err)
	}
	for _, change := range [][2]string{{"list: actions", "list: calls"}, {"name: do", "name: do\n          id: ref"}, {"item: sku", "item: id"}, {`"ref"`, `"id"`}, {"id: sku}", "id: sku, title: name}"}} {
		if planOf(t, strings.Replace(ownCalls, change[0], change[1], 1)).Fingerprint() == p.Fingerprint() {
			t.Errorf("%q to %q changes nothing", change[0], change[1])
		}
	}
}

// TestDemandOfOwnCalls: shoppers that such an assistant drives send as much as
// those that are driven over a protocol with a name.
func TestDemandOfOwnCalls(t *testing.T) {
	own := planOf(t, ownCalls).Demand()
	before, rest, _ := strings.Cut(ownCalls, "target:\n")
	_, after, _ := strings.Cut(rest, "expect:")
	named := planOf(t, before+"target:\n  chat: {protocol: openai, model: m}\n  coupons: {protocol: wxpay-favor, stock_id: s}\n  checkout: {protocol: ucp}\nexpect:"+after).Demand()
	// Two lines, and what each of the five calls but the last gave; five calls.
	if own.Requests != 11 || own.Visit != 6*2*time.Second+5*500*time.Millisecond+2*time.Second {
		t.Errorf("%v requests in %v", own.Requests, own.Visit)
	}
	if own.Requests != named.Requests || own.Visit != named.Visit || own.Peak != named.Peak {
		t.Errorf("%+v, over openai %+v", own.Peak, named.Peak)
	}
}

// TestOwnNames: a call is understood by the backend's names, and by no others.
func TestOwnNames(t *testing.T) {
	s, err := planOf(t, ownCalls).Shopper(ID{Slot: 3}).As("patient", "order")
	if err != nil {
		t.Fatal(err)
	}
	var offered []string
	for _, tool := range s.plan.Target.Tools() {
		offered = append(offered, tool.Name+" "+tool.Parameters)
	}
	if got := strings.Join(offered, "\n"); !strings.Contains(got, `open_cart {"type":"object","properties":{"sku":{`) || !strings.Contains(got, `"required":["cart","code"]`) || strings.Contains(got, `"item"`) {
		t.Errorf("offered:\n%s", got)
	}
	w := s.Walk()
	step, ok := w.Next(Result{})
	var took []string
	for _, r := range []Result{
		calls("create {}", `open_cart {"item":"a"}`, `open_cart {"SKU":"a"}`, `open_cart {"sku":17}`), {Outcome: results.OK, Session: "42"},
		calls("claim"), {Outcome: results.OK, Coupon: "c1"}, calls(`complete {"cart":42,"code":"c1"}`), {Outcome: results.OK, Session: "42"},
		calls(`pay {"cart":"42"}`), {Outcome: results.OK, Order: "o"},
	} {
		if !ok {
			t.Fatalf("left after %v", took)
		}
		if step.Kind != Turn {
			took = append(took, brief(step))
		}
		for i, told := range step.Tools {
			if i == 0 && len(step.Tools) == 4 && (told.Name != "create" || told.Content != `{"error":"malformed","why":"there is no tool \"create\""}`) ||
				i == 1 && told.Content != `{"error":"malformed","why":"sku must be the id of an item"}` {
				t.Errorf("told %+v", told)
			}
		}
		step, ok = w.Next(r)
	}
	if got := strings.Join(took, ", "); got != "create 17×1, claim, update 42 c1, complete 42 c1" || ok || !w.End().Ordered || w.End().BadCalls != 3 {
		t.Errorf("took %s, ended %+v", got, w.End())
	}
}
