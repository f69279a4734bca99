package scenarios

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flashcrowd/flashcrowd/results"
)

// drivenBy returns a shopper whose journey the assistant drives.
func drivenBy(t testing.TB, driven, persona, journey string) Shopper {
	t.Helper()
	s, err := plan(t, with("driven: "+driven), results.Factors{}).Shopper(ID{Slot: 3}).As(persona, journey)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// calls is an answer that calls tools, given as "name arguments" each.
func calls(list ...string) Result {
	r := Result{Outcome: results.OK}
	for i, c := range list {
		name, arguments, _ := strings.Cut(c, " ")
		r.Calls = append(r.Calls, ToolCall{ID: fmt.Sprintf("call_%d", i), Name: name, Arguments: arguments})
	}
	return r
}

func failed(o results.Outcome, why string) Result { return Result{Outcome: o, Why: why} }

// brief says what a step asks for.
func brief(s Step) string {
	text := s.Kind.String()
	if s.Attempt > 0 {
		text += fmt.Sprintf("+%d", s.Attempt)
	}
	switch s.Kind {
	case Turn:
		for _, r := range s.Tools {
			text += " " + r.CallID + "=" + r.Content
		}
		if s.Say != "" {
			text += " says"
		}
	case Search:
		text += " " + s.Query
	case Create:
		text += fmt.Sprintf(" %s×%d", s.Item.ID, s.Item.Quantity)
	case Update, Complete, Delegate:
		text += " " + s.Session + " " + s.Coupon
	}
	return strings.TrimSpace(text)
}

// TestDriven walks journeys by what comes back, to the steps that follow.
func TestDriven(t *testing.T) {
	spoke := Result{Outcome: results.OK}
	created := Result{Outcome: results.OK, Session: "chk_1", Amount: 3600, Currency: "CNY"}
	claimed := Result{Outcome: results.OK, Coupon: "c1"}
	updated := Result{Outcome: results.OK, Session: "chk_1", Redeemed: "c1", Amount: 1100, Currency: "CNY"}
	ordered := Result{Outcome: results.OK, Session: "chk_1", Order: "ord_1", Amount: 1100, Currency: "CNY"}
	create, update, complete := `create {"item":"milk-tea-1","quantity":2}`, `update {"checkout":"chk_1","coupon":"c1"}`, `complete {"checkout":"chk_1"}`
	gaveCreate := `{"checkout":"chk_1","total":3600,"currency":"CNY"}`
	for _, tt := range []struct {
		name, driven, persona, journey string
		answers                        []Result
		steps                          []string
		end                            Ending
	}{
		{"an order", "{}", "patient", "order",
			[]Result{
				calls(`search {"query":"milk tea"}`), {Outcome: results.OK, Offers: []Offer{{"milk-tea-1", "珍珠奶茶", 1800, "CNY"}}}, spoke, spoke,
				calls("claim", create), claimed, created, calls(update), updated, calls(complete), ordered,
			},
			[]string{
				"turn says", "search milk tea", `turn call_0={"items":[{"item":"milk-tea-1","title":"珍珠奶茶","price":1800,"currency":"CNY"}]}`, "turn says", "turn says",
				"claim", "create milk-tea-1×2", `turn call_0={"coupon":"c1"} call_1=` + gaveCreate, "update chk_1 c1",
				`turn call_0={"coupon":"c1","checkout":"chk_1","total":1100,"currency":"CNY"}`, "complete chk_1 c1",
			}, Ending{results.OK, true, true, true, true, 0}},
		{"sold out of coupons: it buys at full price", "{}", "patient", "order",
			[]Result{calls("claim {}"), failed(results.Rejected, "NOT_ENOUGH"), calls(create), created, calls(complete), ordered},
			[]string{"turn says", "claim", `turn call_0={"error":"rejected","why":"NOT_ENOUGH"}`, "create milk-tea-1×2", "turn call_0=" + gaveCreate, "complete chk_1"},
			Ending{results.OK, true, false, true, true, 0}},
		{"a no is for the assistant to break gently", "{}", "patient", "booking",
			[]Result{calls(create), failed(results.Rejected, "out_of_stock"), spoke},
			[]string{"turn says", "create milk-tea-1×2", `turn call_0={"error":"rejected","why":"out_of_stock"}`},
			Ending{results.Rejected, false, false, true, false, 0}},
		{"the persona tries again before the assistant hears of it", "{}", "double-tapper", "booking",
			[]Result{
				calls(create), failed(results.Unavailable, "HTTP 503"), created, calls(complete),
				failed(results.TimedOut, ""), failed(results.TimedOut, ""), failed(results.TimedOut, ""), failed(results.TimedOut, ""), failed(results.TimedOut, "late"),
				calls(complete), ordered, ordered,
			},
			[]string{"turn says", "create milk-tea-1×2", "create+1 milk-tea-1×2", "turn call_0=" + gaveCreate,
				"complete chk_1", "complete+1 chk_1", "complete+2 chk_1", "complete+3 chk_1", "complete+4 chk_1",
				`turn call_0={"error":"timed_out","why":"late"}`, "complete+5 chk_1", "complete+6 chk_1"},
			Ending{results.OK, false, false, true, true, 0}},
		{"what nobody can carry out", "{}", "patient", "repeat",
			[]Result{
				calls("pay {}", "create [1]", `create {"item":"a","quantity":0}`, `create {"quantity":2}`, `create {"item":"a","quantity":"2"}`, complete,
					`complete {"checkout":"chk_9"}`, "claim", `search {"query":`),
				spoke, spoke, spoke,
			},
			[]string{"turn says", `turn call_0={"error":"malformed","why":"there is no tool \"pay\""} ` +
				`call_1={"error":"malformed","why":"the arguments are not the JSON object that they must be"} ` +
				`call_2={"error":"malformed","why":"quantity must be a whole number from 1 to 999"} ` +
				`call_3={"error":"malformed","why":"item must be the id of an item"} ` +
				`call_4={"error":"malformed","why":"the arguments are not the JSON object that they must be"} ` +
				`call_5={"error":"malformed","why":"checkout must be the id of the checkout that was created last"} ` +
				`call_6={"error":"malformed","why":"checkout must be the id of the checkout that was created last"} ` +
				`call_7={"error":"rejected","why":"the user does not want that"} ` +
				`call_8={"error":"malformed","why":"the arguments are not the JSON object that they must be"}`,
				"turn says", "turn says", "turn says"}, // the last asks again, as the persona does twice
			Ending{results.Canceled, false, false, true, false, 8}},
		{"a coupon of nobody", "{}", "patient", "order",
			[]Result{calls(create), created, calls(update)},
			[]string{"turn says", "create milk-tea-1×2", "turn call_0=" + gaveCreate, `turn call_0={"error":"malformed","why":"coupon must be one that was claimed"}`},
			Ending{results.Canceled, true, false, true, false, 1}},
		{"who only talks is refused", "{}", "double-tapper", "order", []Result{spoke, spoke, spoke, spoke},
			[]string{"turn says", "turn says", "turn says", "turn says"}, Ending{results.Refused, true, false, true, false, 0}},
		{"a fluent no", "{}", "impatient", "order", []Result{failed(results.Refused, "")}, []string{"turn says"}, Ending{results.Refused, true, false, true, false, 0}},
		{"no more turns", "{turns: 2}", "patient", "order", []Result{spoke, spoke}, []string{"turn says", "turn says"}, Ending{results.Refused, true, false, true, false, 0}},
		{"no more tools", "{tools: 2}", "patient", "order", []Result{calls("search", "search", "search"), {Outcome: results.OK}, {Outcome: results.OK}},
			[]string{"turn says", "search", "search+1"}, Ending{results.Refused, true, false, true, false, 0}},
		{"who only looks", "{}", "impatient", "browse", []Result{calls("search", create), {Outcome: results.OK}, spoke, spoke, spoke},
			[]string{"turn says", "search", `turn call_0={"items":[]} call_1={"error":"rejected","why":"the user does not want that"}`, "turn says", "turn says"},
			Ending{results.OK, false, false, false, false, 0}},
		{"a turn that fails is said again with what it tells", "{}", "naive", "booking",
			[]Result{failed(results.RateLimited, ""), calls(create), created, failed(results.Stalled, ""), calls(complete), ordered},
			[]string{"turn says", "turn+1 says", "create milk-tea-1×2", "turn call_0=" + gaveCreate, "turn+1 call_0=" + gaveCreate, "complete chk_1"},
			Ending{results.OK, false, false, true, true, 0}},
		{"starting over", "{}", "reinstaller", "booking",
			[]Result{calls(create), created, failed(results.Stalled, ""), failed(results.Stalled, ""), calls(complete), calls(create), created, calls(complete), ordered},
			[]string{"turn says", "create milk-tea-1×2", "turn call_0=" + gaveCreate, "turn+1 call_0=" + gaveCreate, "turn says",
				`turn call_0={"error":"malformed","why":"checkout must be the id of the checkout that was created last"}`, "create milk-tea-1×2", "turn call_0=" + gaveCreate, "complete chk_1"},
			Ending{results.OK, false, false, true, true, 1}},
	} {
		s := drivenBy(t, tt.driven, tt.persona, tt.journey)
		w := s.Walk()
		var took []string
		step, ok := w.Next(Result{})
		for _, r := range tt.answers {
			if !ok {
				t.Errorf("%s: it left before %+v", tt.name, r)
				break
			}
			took = append(took, brief(step))
			if step.Kind == Turn && (!step.Offer || step.Say == "" && len(step.Tools) == 0) {
				t.Errorf("%s: %+v", tt.name, step)
			}
			step, ok = w.Next(r)
		}
		if ok {
			took = append(took, brief(step))
			w.Next(Result{Outcome: results.Canceled})
		}
		if got, want := strings.Join(took, "\n"), strings.Join(tt.steps, "\n"); got != want {
			t.Errorf("%s: took\n%s\nwant\n%s", tt.name, got, want)
		}
		if w.End() != tt.end {
			t.Errorf("%s: ended %+v, want %+v", tt.name, w.End(), tt.end)
		}
	}
}

// TestDrivenKeys: the same call asked twice in a row has one key, another has
// another, and all are the shopper's.
func TestDrivenKeys(t *testing.T) {
	s := drivenBy(t, "{}", "patient", "order")
	two, one := `create {"item":"a","quantity":2}`, `create {"item":"a"}`
	w := s.Walk()
	step, _ := w.Next(Result{})
	step, ok := w.Next(calls(two, two, one, two, "claim", "claim {}", `complete {"checkout":"chk_1"}`))
	var keys []UUID
	for ; ok && step.Kind != Turn; step, ok = w.Next(Result{Outcome: results.Unclassified, Status: 400}) {
		if step.Attempt > 0 && len(keys) > 0 && step.Key == keys[len(keys)-1] {
			continue // the persona's own repetition
		}
		if i, ok := ParseKey(7, step.Key); !ok || i.ID != s.ID || i.Step <= Called || i.Step > Called+mostTools {
			t.Errorf("%s has a key of %+v", brief(step), i)
		}
		keys = append(keys, step.Key)
	}
	if len(keys) != 4 { // two (twice), one, two, claim (twice); the checkout is nobody's
		t.Fatalf("%d keys", len(keys))
	}
	seen := map[UUID]bool{}
	for _, k := range keys {
		if seen[k] {
			t.Errorf("a key for two intents in %v", keys)
		}
		seen[k] = true
	}
	again, _ := drivenBy(t, "{}", "patient", "order").Walk().Next(Result{})
	if first, _ := s.Walk().Next(Result{}); first.Key != again.Key || first.Say != again.Say {
		t.Error("the same shopper begins in another way")
	}
}

// TestDelegationDriven: who pays by a token has it made for each checkout.
func TestDelegationDriven(t *testing.T) {
	s := drivenBy(t, "{}", "patient", "booking")
	target := *s.plan
	target.Target.Checkout = Endpoint{Protocol: "acp", Version: "2026-04-17"}
	s.plan = &target
	w := s.Walk()
	w.Next(Result{})
	var steps []string
	keys := map[UUID]bool{}
	for _, r := range []Result{
		calls(`create {"item":"a"}`), {Outcome: results.OK, Session: "s1", Amount: 5, Currency: "CNY"},
		calls(`complete {"checkout":"s1"}`), {Outcome: results.OK, Token: "t1"}, failed(results.Rejected, "no"),
		calls(`create {"item":"b"}`), {Outcome: results.OK, Session: "s2", Amount: 6, Currency: "CNY"},
		calls(`complete {"checkout":"s2"}`), {Outcome: results.OK, Token: "t2"}, {Outcome: results.OK, Order: "o"},
	} {
		step, ok := w.Next(r)
		if ok && step.Kind != Turn {
			steps = append(steps, brief(step)+" "+step.Token)
			keys[step.Key] = true
		}
	}
	if got := strings.Join(steps, ","); got != "create a×1 ,delegate s1 ,complete s1 t1,create b×1 ,delegate s2 ,complete s2 t2" || len(keys) != 6 || !w.End().Ordered {
		t.Errorf("%s with %d keys, ended %+v", got, len(keys), w.End())
	}
}

// TestWhoDrives: the load is the same whoever drives, and the share is held.
func TestWhoDrives(t *testing.T) {
	scripted, half := plan(t, small, results.Factors{}), plan(t, with("driven: {share: 50%}"), results.Factors{})
	count := 0
	for i := range 2000 {
		id := ID{Slot(i), 0}
		a, b := scripted.Shopper(id), half.Shopper(id)
		if a.Hash() != b.Hash() {
			t.Fatalf("%v is another shopper when driven", id)
		}
		if a.driven() {
			t.Fatalf("%v is driven in a campaign that has nobody driven", id)
		}
		if b.driven() {
			count++
		}
	}
	if count < 900 || count > 1100 {
		t.Errorf("%d of 2000 are driven, want half", count)
	}
}

// TestTools: what is offered is what the target can do.
func TestTools(t *testing.T) {
	names := func(target Target) string {
		var all []string
		for _, tool := range target.Tools() {
			if tool.Description == "" || !strings.HasPrefix(tool.Parameters, `{"type":"object"`) {
				t.Errorf("%+v", tool)
			}
			all = append(all, tool.Name)
		}
		return strings.Join(all, " ")
	}
	coupons := Endpoint{Protocol: "wxpay-favor"}
	for _, tt := range []struct {
		target Target
		want   string
	}{
		{Target{}, ""},
		{Target{Coupons: coupons, Checkout: Endpoint{Protocol: "ucp", Version: "2026-04-08"}}, "search claim create update complete"},
		{Target{Checkout: Endpoint{Protocol: "ucp", Version: "2026-04-08"}}, "search create complete"},
		{Target{Coupons: coupons, Checkout: Endpoint{Protocol: "acp", Version: "2026-04-17"}}, "claim create update complete"},
		{Target{Coupons: coupons, Checkout: Endpoint{Protocol: "acp", Version: "2025-09-29"}}, "claim create complete"},
		{Target{Coupons: coupons, Checkout: Endpoint{Protocol: HTTP, Operations: map[string]Operation{"complete": {}}}}, "claim complete"},
	} {
		if got := names(tt.target); got != tt.want {
			t.Errorf("%+v offers %q, want %q", tt.target, got, tt.want)
		}
	}
}

// FuzzCall: whatever an assistant calls, the next step is one that can be
// carried out, or tells it why not.
func FuzzCall(f *testing.F) {
	for _, c := range []string{"search {\"query\":\"x\"}", "claim", `create {"item":"a","quantity":2}`, `update {"checkout":"chk_1","coupon":"c1"}`,
		`complete {"checkout":"chk_1"}`, "pay {}", "create [", `create {"item":"\ud800","quantity":1e9}`, "claim null"} {
		name, arguments, _ := strings.Cut(c, " ")
		f.Add(name, arguments)
	}
	s := drivenBy(f, "{}", "impatient", "order")
	f.Fuzz(func(t *testing.T, name, arguments string) {
		w := s.Walk()
		w.Next(Result{})
		for _, r := range []Result{calls(`create {"item":"a"}`), {Outcome: results.OK, Session: "chk_1"}, calls("claim"), {Outcome: results.OK, Coupon: "c1"}} {
			w.Next(r)
		}
		step, ok := w.Next(Result{Outcome: results.OK, Calls: []ToolCall{{"id", name, arguments}}})
		good := ok && step.Kind.String() == name
		switch step.Kind {
		case Turn:
			good = ok && len(step.Tools) == 1 && step.Tools[0].CallID == "id" && strings.HasPrefix(step.Tools[0].Content, `{"error":"`)
		case Create:
			good = good && step.Item.ID != "" && step.Item.Quantity >= 1 && step.Item.Quantity <= 999
		case Update:
			good = good && step.Session == "chk_1" && step.Coupon == "c1"
		case Complete:
			good = good && step.Session == "chk_1"
		}
		if !good {
			t.Fatalf("%s %q: %+v, %v", name, arguments, step, ok)
		}
	})
}
