package checkout

import (
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

var (
	endpoint        = scenarios.Endpoint{Protocol: "ucp", Version: "2026-04-08", Path: "/ucp"}
	endpointJanuary = scenarios.Endpoint{Protocol: "ucp", Version: "2026-01-11", Path: "/ucp"}
	endpointACP     = scenarios.Endpoint{Protocol: "acp", Version: "2026-04-17", Path: "/acp"}
	endpointEarly   = scenarios.Endpoint{Protocol: "acp", Version: "2025-09-29", Path: "/acp", Currency: "USD"}

	endpoints = []scenarios.Endpoint{endpoint, endpointJanuary, endpointACP, endpointEarly}
)

func step(k scenarios.StepKind) scenarios.Step {
	s := scenarios.Step{Kind: k, Index: int(k) + 2, Key: key(int(k) + 2), Answer: patience}
	switch k {
	case scenarios.Create:
		s.Item = scenarios.Item{ID: "milk-tea", Title: "奶茶", Quantity: 2}
	case scenarios.Update:
		s.Item, s.Coupon = scenarios.Item{ID: "milk-tea", Title: "奶茶", Quantity: 2}, "Card\"1"
	}
	if k != scenarios.Create {
		s.Session = "cs/1 %"
	}
	switch k {
	case scenarios.Delegate:
		s.Amount, s.Currency = 500, "CNY"
	case scenarios.Complete:
		s.Token = "vt_\"1"
	}
	return s
}

// session renders a checkout in a status, with more of it.
func session(status, more string) string {
	return `{"ucp":{"version":"2026-04-08","status":"success"},"id":"cs/1 %","status":"` + status +
		`","currency":"CNY","totals":[{"type":"subtotal","amount":3000},{"type":"discount","amount":-2500},{"type":"total","amount":500}]` + more + `}`
}

func saying(kind, code, severity string) string {
	return `,"messages":[{"type":"info","code":"hello","content":"x"},{"type":"` + kind + `","code":"` + code + `","content":"x","severity":"` + severity + `"}]`
}

const (
	applies = `,"discounts":{"codes":["Card\"1"],"applied":[{"title":"auto","amount":1},{"code":"CARD\"1","title":"免单卡","amount":2500}]}`
	order   = `,"order":{"id":"ord_1","permalink_url":"https://shop.invalid/1"}`
)

// exchange is an answer to a step and what it comes to.
type exchange struct {
	name   string
	kind   scenarios.StepKind
	status int
	body   string
	want   results.Outcome
	why    string // part of it
}

var answers = []exchange{
	{"opened", scenarios.Create, 201, session("ready_for_complete", ""), results.OK, ""},
	{"opened, incomplete", scenarios.Create, 200, session("incomplete", saying("warning", "final_sale", "")), results.OK, ""},
	{"opened without ucp.status", scenarios.Create, 201, strings.Replace(session("incomplete", ""), `,"status":"success"`, "", 1), results.OK, ""},
	{"sold out", scenarios.Create, 200, `{"ucp":{"version":"2026-04-08","status":"error"}` + saying("error", "out_of_stock", "unrecoverable") + `}`, results.Rejected, "out_of_stock (unrecoverable)"},
	{"sold out, with a session", scenarios.Create, 201, session("incomplete", saying("error", "out_of_stock", "recoverable")), results.Rejected, "out_of_stock (recoverable)"},
	{"an error without a message", scenarios.Create, 200, `{"ucp":{"status":"error"},"id":"x"}`, results.Rejected, "ucp.status"},
	{"an odd ucp.status", scenarios.Create, 200, `{"ucp":{"status":5},"id":"x"}`, results.Rejected, "ucp.status is 5"},
	{"handed over", scenarios.Create, 201, session("requires_escalation", ""), results.Rejected, "requires_escalation"},
	{"canceled", scenarios.Create, 201, session("canceled", ""), results.Rejected, "canceled"},
	{"completed at once", scenarios.Create, 201, session("completed", ""), results.Unclassified, "completed"},
	{"no status", scenarios.Create, 201, `{"ucp":{},"id":"x"}`, results.Malformed, "status"},
	{"no id", scenarios.Create, 201, `{"ucp":{},"status":"incomplete"}`, results.Malformed, "no id"},
	{"an endless id", scenarios.Create, 201, `{"ucp":{},"status":"incomplete","id":"` + strings.Repeat("x", 3000) + `"}`, results.Malformed, "no id"},
	{"an id that climbs", scenarios.Create, 201, `{"ucp":{},"status":"incomplete","id":".."}`, results.Malformed, "no id"},
	{"no ucp", scenarios.Create, 200, `{"id":"x","status":"incomplete"}`, results.Malformed, "ucp"},

	{"applied", scenarios.Update, 200, session("ready_for_complete", applies), results.OK, ""},
	{"not applied", scenarios.Update, 200, session("ready_for_complete", saying("warning", "discount_code_expired", "")), results.Rejected, "discount_code_expired"},
	{"not applied, silently", scenarios.Update, 200, session("ready_for_complete", `,"discounts":{"codes":["Card\"1"],"applied":[]}`), results.Rejected, "not applied"},
	{"another applied", scenarios.Update, 200, session("ready_for_complete", `,"discounts":{"applied":[{"code":"Card2","title":"x","amount":1}]}`), results.Rejected, "not applied"},
	{"another session", scenarios.Update, 200, strings.Replace(session("ready_for_complete", applies), "cs/1 %", "cs2", 1), results.Malformed, "another session: cs2"},
	{"gone", scenarios.Update, 200, `{"ucp":{"status":"error"}` + saying("error", "not_found", "unrecoverable") + `}`, results.Rejected, "not_found"},

	{"paid", scenarios.Complete, 200, session("completed", order+applies), results.OK, ""},
	{"declined", scenarios.Complete, 200, session("ready_for_complete", saying("error", "payment_failed", "recoverable")), results.Rejected, "payment_failed"},
	{"not paid", scenarios.Complete, 200, session("ready_for_complete", ""), results.Rejected, "ready_for_complete"},
	{"being paid", scenarios.Complete, 200, session("complete_in_progress", ""), results.OK, ""},
	{"paid, no order", scenarios.Complete, 200, session("completed", ""), results.Malformed, "order"},
	{"an error beside the order", scenarios.Complete, 200, session("completed", order+saying("error", "odd", "")), results.Rejected, "odd"},

	{"429", scenarios.Create, 429, `{"code":"rate_limited","content":"x"}`, results.RateLimited, "429: rate_limited"},
	{"500", scenarios.Complete, 500, `{"code":"internal_error","content":"x"}`, results.Unavailable, "internal_error"},
	{"503 of a proxy", scenarios.Complete, 503, "<html>", results.Unavailable, "503"},
	{"409", scenarios.Complete, 409, `{"code":"idempotency_conflict","content":"x"}`, results.Rejected, "409: idempotency_conflict"},
	{"400", scenarios.Create, 400, `{"code":"invalid_request","content":"x"}`, results.Rejected, "400"},
	{"401", scenarios.Create, 401, `{}`, results.Rejected, "401"},
	{"402", scenarios.Complete, 402, `{"ucp":{"status":"error"}` + saying("error", "payment_failed", "recoverable") + `}`, results.Rejected, "payment_failed"},
	{"404 of a proxy", scenarios.Create, 404, "<html>", results.Malformed, "404"},
	{"302", scenarios.Create, 302, `{}`, results.Unclassified, "302"},
	{"a page", scenarios.Create, 200, "<html>系统开小差</html>", results.Malformed, "JSON"},
	{"nothing", scenarios.Create, 204, "", results.Malformed, "JSON"},
	{"a list", scenarios.Create, 200, "[]", results.Malformed, "JSON"},
	{"half", scenarios.Complete, 200, session("completed", order)[:60], results.Malformed, "JSON"},
}

// january is an answer as UCP 2026-01-11 has it: no ucp.status, capabilities as
// an array, discounts without a sign.
func january(s string) string {
	return strings.NewReplacer(`"2026-04-08","status":"success"`, `"2026-01-11","capabilities":[{"name":"dev.ucp.shopping.checkout","version":"2026-01-11"}]`, "-2500", "2500").Replace(s)
}

func TestOutcomes(t *testing.T) {
	t.Run(endpoint.Version, func(t *testing.T) { outcomes(t, endpoint, answers) })
	t.Run(endpointJanuary.Version, func(t *testing.T) {
		table := slices.Clone(answers)
		for i := range table {
			table[i].body = january(table[i].body)
		}
		outcomes(t, endpointJanuary, table)
	})
	t.Run("acp", func(t *testing.T) {
		for _, e := range []scenarios.Endpoint{endpointACP, endpointEarly} {
			t.Run(e.Version, func(t *testing.T) { outcomes(t, e, append(slices.Clone(answersACP), answersOf(e)...)) })
		}
	})
}

// outcomes holds a table against a real server.
func outcomes(t *testing.T, endpoint scenarios.Endpoint, table []exchange) {
	for _, test := range table {
		t.Run(test.name, func(t *testing.T) {
			c := dial(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", "2")
				w.WriteHeader(test.status)
				io.WriteString(w, test.body)
			})
			started := time.Now()
			r := New(endpoint).Do(c, shopper(), step(test.kind))
			if r.Outcome != test.want || !strings.Contains(r.Why, test.why) || (r.Why == "") != (test.want == results.OK) {
				t.Errorf("%v, %q; want %v, %q", r.Outcome, r.Why, test.want, test.why)
			}
			if r.End.Before(started) || r.RetryAfter != 2*time.Second || !c.Reusable() {
				t.Errorf("end %v, retry after %v, reusable %v", r.End, r.RetryAfter, c.Reusable())
			}
		})
	}
}

// What the next step, the evidence and the money need.
func TestGives(t *testing.T) {
	for _, test := range []struct {
		kind scenarios.StepKind
		body string
		want scenarios.Result
	}{
		{scenarios.Create, session("incomplete", ""), scenarios.Result{Outcome: results.OK, Session: "cs/1 %", Amount: 500, Subtotal: 3000, Currency: "CNY"}},
		{scenarios.Update, session("ready_for_complete", applies), scenarios.Result{Outcome: results.OK, Session: "cs/1 %", Redeemed: `CARD"1`, Amount: 500, Subtotal: 3000, Currency: "CNY"}},
		{scenarios.Complete, session("completed", order+applies), scenarios.Result{Outcome: results.OK, Session: "cs/1 %", Redeemed: `CARD"1`, Order: "ord_1", Amount: 500, Subtotal: 3000, Currency: "CNY"}},
		{scenarios.Complete, session("completed", order), scenarios.Result{Outcome: results.OK, Session: "cs/1 %", Order: "ord_1", Amount: 500, Subtotal: 3000, Currency: "CNY"}},
		{scenarios.Complete, strings.ReplaceAll(session("completed", order+applies), `"discount"`, `"rebate"`), scenarios.Result{Outcome: results.OK, Session: "cs/1 %", Redeemed: `CARD"1`, Order: "ord_1", Amount: 500, Currency: "CNY"}}, // how much came off is not told
		{scenarios.Complete, strings.Replace(session("completed", order), ":500}", ":5.5}", 1), scenarios.Result{Outcome: results.OK, Session: "cs/1 %", Order: "ord_1", Why: "completed, without a total in a currency"}},
	} {
		if r := classify(ucp{}, step(test.kind), 200, []byte(test.body)); !reflect.DeepEqual(r, test.want) {
			t.Errorf("%v %s:\n%+v, want\n%+v", test.kind, test.body, r, test.want)
		}
	}
}

// TestRead: reading a checkout sends nothing that could change it, and finds
// it whatever became of it.
func TestRead(t *testing.T) {
	for _, test := range []struct {
		body string
		want results.Outcome
		id   string
	}{
		{session("ready_for_complete", ""), results.OK, ""},
		{session("complete_in_progress", ""), results.OK, ""},
		{session("completed", order), results.OK, "ord_1"},
		{session("canceled", ""), results.OK, ""},
		{session("odd", ""), results.Malformed, ""},
		{`{"ucp":{"status":"error"},"messages":[{"type":"error","code":"not_found"}]}`, results.Rejected, ""},
	} {
		var request string
		var body []byte
		r := New(endpoint).Do(dial(t, capture(&request, &body, test.body)), shopper(), step(scenarios.Read))
		if r.Outcome != test.want || r.Order != test.id {
			t.Errorf("%s:\n%+v; want %v, order %q", test.body, r, test.want, test.id)
		}
		line, _, _ := strings.Cut(request, "\n")
		if line != "GET /ucp/checkout-sessions/cs%2F1%20%25" || len(body) != 0 || strings.Contains(request, "Idempotency-Key") || strings.Contains(request, "Content-Type") {
			t.Errorf("sent\n%s", request)
		}
	}
}

// TestPoll: a checkout that is being completed is pending, and asking about it
// is a read with the same trace, whose answer counts as the completion's.
func TestPoll(t *testing.T) {
	for _, e := range endpoints {
		at := func(status, more string) string {
			if e.Protocol == "acp" {
				return acpSession(status, more)
			}
			return session(status, more)
		}
		busy, open, paid := "complete_in_progress", "ready_for_complete", order
		if e.Protocol == "acp" {
			busy, open, paid = "in_progress", "ready_for_payment", acpOrder
		}
		for _, test := range []struct {
			body string
			want scenarios.Result
		}{
			{at(busy, ""), scenarios.Result{Outcome: results.OK, Pending: true, Session: "cs/1 %"}},
			{at("completed", paid), scenarios.Result{Outcome: results.OK, Session: "cs/1 %", Order: "ord_1", Amount: 500, Subtotal: 3000, Currency: "CNY"}},
			{at(open, ""), scenarios.Result{Outcome: results.Rejected, Session: "cs/1 %", Why: "the checkout is " + open}},
		} {
			var request string
			var body []byte
			s := step(scenarios.Complete)
			s.Kind, s.Of = scenarios.Poll, scenarios.Complete
			r := New(e).Do(dial(t, capture(&request, &body, test.body)), shopper(), s)
			if r.End = (time.Time{}); !reflect.DeepEqual(r, test.want) {
				t.Errorf("%s %s:\n%+v, want\n%+v", e.Version, test.body, r, test.want)
			}
			if !strings.HasPrefix(request, "GET "+e.Path+"/checkout") || len(body) != 0 || strings.Contains(request, "Idempotency-Key") {
				t.Errorf("%s sent\n%s", e.Version, request)
			}
		}
		r := classify(overREST(e).dialect, step(scenarios.Complete), 200, []byte(at(busy, "")))
		if r.Outcome != results.OK || !r.Pending || r.Order != "" {
			t.Errorf("%s: completing is %+v", e.Version, r)
		}
		if r = classify(overREST(e).dialect, step(scenarios.Read), 200, []byte(at(busy, ""))); !r.Pending {
			t.Errorf("%s: reading is %+v", e.Version, r)
		}
	}
}

func TestBrokenWire(t *testing.T) {
	tests := []struct {
		name  string
		serve http.HandlerFunc
		want  results.Outcome
	}{
		{"silent", func(w http.ResponseWriter, r *http.Request) { io.ReadAll(r.Body); <-r.Context().Done() }, results.TimedOut},
		{"hangs up", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, results.ConnectionFailed},
		{"half a body", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "5000")
			io.WriteString(w, session("completed", order))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, results.Truncated},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := step(scenarios.Complete)
			if test.want == results.TimedOut { // a busy machine must not look like a slow shop
				s.Answer = 150 * time.Millisecond
			}
			r := New(endpoint).Do(dial(t, test.serve), shopper(), s)
			if r.Outcome != test.want || r.Why == "" || r.End.IsZero() || r.Order != "" {
				t.Errorf("%+v; want %v", r, test.want)
			}
		})
	}
}

func FuzzClassify(f *testing.F) {
	for i := range endpoints {
		for _, a := range append(slices.Clone(answers), answersACP...) {
			f.Add(uint8(i*4)+uint8(a.kind-scenarios.Create), a.status, []byte(a.body))
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, status int, body []byte) {
		s := step(scenarios.Create + scenarios.StepKind(kind%4))
		r := classify(overREST(endpoints[int(kind/4)%len(endpoints)]).dialect, s, status, body)
		if len(r.Session) > longest || len(r.Order) > longest || len(r.Redeemed) > longest || len(r.Currency) > 3 || len(r.Token) > longest {
			t.Fatalf("unbounded: %+v", r)
		}
		if r.Outcome != results.OK {
			if r.Why == "" || r.Order != "" {
				t.Fatalf("%+v", r)
			}
			return
		}
		proven := status >= 200 && status <= 299 && (r.Session != "") != (r.Token != "")
		switch s.Kind {
		case scenarios.Update:
			proven = proven && strings.EqualFold(r.Redeemed, s.Coupon)
		case scenarios.Complete:
			proven = proven && (r.Order != "") != r.Pending
		case scenarios.Delegate:
			proven = proven && r.Token != ""
		}
		if !proven {
			t.Fatalf("%v: %d %q is %+v", s.Kind, status, body, r)
		}
	})
}

// A user's id comes from a file of the campaign's author.
func TestUserIDsAreEscaped(t *testing.T) {
	const hostile = `a","token":"b\"`
	if b := appendInstrument(nil, hostile); gjson.GetBytes(b, "payment.instruments.0.credential.token").Str != "tok_"+hostile || !gjson.ValidBytes(b) {
		t.Errorf("%s", b)
	}
	if b := appendPaymentData(nil, hostile); gjson.GetBytes(b, "payment_data.credential.token").Str != "tok_"+hostile || !gjson.ValidBytes(b) {
		t.Errorf("%s", b)
	}
}
