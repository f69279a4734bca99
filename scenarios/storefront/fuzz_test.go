package storefront

import (
	"errors"
	"testing"

	"github.com/tidwall/gjson"
)

// decoded says whether err is a decoder's: nil or a fault.
func decoded(t *testing.T, err error) bool {
	t.Helper()
	if f := (*fault)(nil); err != nil && (!errors.As(err, &f) || f.param == "" || f.what == "") {
		t.Fatalf("%#v is not a fault with its place", err)
	}
	return err == nil
}

func FuzzDecodeAsk(f *testing.F) {
	f.Add(conversation(streamed, "珍珠奶茶", "2 份"))
	f.Add(`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"x"}]}]}`)
	f.Add(`{"model":"m","tools":[{"function":{"name":"create"}},{"function":{"name":"complete"}}],"messages":[{"role":"user","content":"2 杯珍珠奶茶"},{"role":"assistant","content":null,"tool_calls":[{"id":"a","function":{"name":"create"}}]},{"role":"tool","tool_call_id":"a","content":"{\"checkout\":\"chk_1\"}"}]}`)
	f.Add(`{"model":"m","messages":[{"role":"assistant","content":null,"tool_calls":[]},{"role":"user","content":"\u00e9\ud800"}],"stream":null}`)
	f.Fuzz(func(t *testing.T, body string) {
		a, err := decodeAsk(body)
		if !decoded(t, err) {
			return
		}
		if a.model == "" || len(a.lines) == 0 {
			t.Fatalf("accepted %+v", a)
		}
		said := speak(a)
		if n := len(said.words); len(said.calls) == 0 && (n < fewestPieces || n > mostPieces) {
			t.Errorf("%d pieces for %q", n, a.lines)
		}
		for _, call := range said.calls {
			if !gjson.Valid(call.arguments) || !a.tools.offered[call.name] {
				t.Errorf("calls %+v", call)
			}
		}
		c := newCompletion("id", a.model, 0, a.usage)
		for _, e := range events(t, string(c.end(c.delta(c.begin(nil), a.lines[0]), usage{a.prompt, 1}))) {
			if e != "[DONE]" && !gjson.Valid(e) {
				t.Errorf("chunk %s", e)
			}
		}
	})
}

func FuzzDecodeInput(f *testing.F) {
	f.Add(`{"model":"m","input":"x"}`)
	f.Add(`{"model":"m","stream":true,"input":[{"role":"user","content":[{"type":"input_text","text":"\u00e9\ud800"}]},{"type":"function_call","call_id":"c"},{"type":"message","role":"assistant","content":[]}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		a, err := decodeInput(body)
		if !decoded(t, err) {
			return
		}
		if a.model == "" || len(a.lines) == 0 {
			t.Fatalf("accepted %+v", a)
		}
		form := a.form("id", 0)
		for _, e := range namedEvents(t, string(form.end(form.delta(form.begin(nil), a.lines[0]), usage{a.prompt, 1}))) {
			if !gjson.Valid(e) {
				t.Errorf("event %s", e)
			}
		}
		if whole := a.form("id", 0).whole(nil, a.lines[0], nil, usage{}); !gjson.ValidBytes(whole) {
			t.Errorf("whole %s", whole)
		}
	})
}

func FuzzDecodeClaim(f *testing.F) {
	f.Add(claimOf("u", "r").body)
	f.Add(`{"stock_id":1,"out_request_no":null}`)
	f.Fuzz(func(t *testing.T, body string) {
		if stock, request, err := decodeClaim(body); decoded(t, err) && (stock == "" || request == "" || len(request) > 128) {
			t.Fatalf("accepted %q %q", stock, request)
		}
	})
}

// FuzzCheckout sends a body to create, another to delegate and to complete, in
// every protocol: whatever is accepted, the sums are right and the answers are
// JSON.
func FuzzCheckout(f *testing.F) {
	f.Add(oneTea, benchPayment)
	f.Add(withCodes("1000000001", "x", "\xff"), `{"payment":{"instruments":[{"id":"i","handler_id":"h","type":"card"},1]}}`)
	f.Add(`{"line_items":[{"item":{"id":"bun-1"},"quantity":999},{"item":{"id":"x"},"quantity":1}]}`, `{}`)
	f.Add(acpTea, delegation("chk_1", 1800))
	f.Add(`{"line_items":[{"id":"bun-1"},{"id":"bun-1"}],"discounts":{"codes":["x","x"]}}`, acpPay("vt_1"))
	f.Add(acpEarlyTea, acpEarlyPay("vt_1"))
	f.Fuzz(func(t *testing.T, cart, payment string) {
		for _, tongue := range []*tongue{&ucpTongue, &januaryTongue, &acpTongue, &acpEarlyTongue} {
			books := memoryLedger{newMemory(Options{})}
			for _, d := range []deed{create, delegate, complete} {
				w := write{deed: d, user: "u", number: 1}
				body := payment
				if d == create {
					body = cart
				}
				if !decoded(t, tongue.decode(body, &w)) {
					continue
				}
				if len(w.lines) > mostLines || len(w.codes) > mostCodes {
					t.Fatalf("accepted %+v", w)
				}
				a, err := decide(&w, books)
				if err != nil {
					t.Fatal(err)
				}
				status, refused := tongue.status(d, &a)
				if refused {
					if said := string(tongue.refuse(nil, d, status, a.Failure.Code, a.Failure.Content)); !gjson.Valid(said) {
						t.Fatalf("refusal %s", said)
					}
					continue
				}
				said := string(tongue.render(nil, d, &a))
				if !gjson.Valid(said) {
					t.Fatalf("answer %s", said)
				}
				if s := &a.Session; s.Number > 0 && (s.total() < leastPaid || s.discount() < 0 || s.discount() > cardValue ||
					d != delegate && gjson.Get(said, `totals.#(type=="total").amount`).Int() != s.subtotal()-s.discount()) {
					t.Errorf("sums: %s", said)
				}
			}
		}
	})
}
