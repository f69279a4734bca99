package extensions

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

var update = flag.Bool("update", false, "write the table of README.md anew")

// A tongue is a protocol as a backend speaks it: which endpoint of a campaign it
// is, and what it says to mean an outcome. An answer begins with its status,
// unless that is 200. What is not in here goes wrong for all in the same way.
type tongue struct {
	endpoint, protocol string
	campaign           string // of the endpoint, in YAML
	answers            map[results.Outcome][]string
}

const (
	turned   = "data: {\"choices\":[{\"delta\":{\"content\":\"好的\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"下单了\"},\"finish_reason\":\"stop\"}]}\n\n"
	word     = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"好的\"}\n\n"
	words    = word + "data: {\"type\":\"response.output_text.delta\",\"delta\":\"下单了\"}\n\n"
	finished = "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[]}}\n\n"
	streamed = "data: {\"text\":\"好的\"}\n\ndata: {\"text\":\"下单了\"}\n\n"
)

// tongues are all protocols. Where a business can say no in an answer of HTTP
// 200, that is among its answers.
var tongues = []tongue{
	{"chat", "openai", "{protocol: openai, model: m}", map[results.Outcome][]string{
		results.OK:            {turned + "data: [DONE]\n\n"},
		results.Rejected:      {"400 {\"error\":{\"code\":\"invalid_value\"}}"},
		results.Refused:       {strings.ReplaceAll(turned, "好的", "活动太火爆,请稍后再试")},
		results.RateLimited:   {"429 {}", "{\"error\":{\"code\":\"rate_limit_exceeded\"}}"},
		results.Unavailable:   {"503 <html>", "{\"error\":{\"code\":\"server_is_overloaded\"}}"},
		results.ErrorInStream: {turned[:strings.Index(turned, "\n\n")+2] + "data: {\"error\":{\"code\":\"server_error\"}}\n\n"},
		results.Malformed:     {"data: <html>\n\n", "data: {\"choices\":[{\"delta\":{\"content\":5}}]}\n\n"},
		results.Unclassified:  {"302 "},
	}},
	{"chat", "openai-responses", "{protocol: openai-responses, model: m}", map[results.Outcome][]string{
		results.OK:            {words + finished},
		results.Rejected:      {"400 {\"error\":{\"code\":\"invalid_value\"}}"},
		results.Refused:       {strings.ReplaceAll(words, "好的", "活动太火爆,请稍后再试") + finished},
		results.RateLimited:   {"429 {}", "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"rate_limit_exceeded\"}}}\n\n"},
		results.Unavailable:   {"503 <html>", "data: {\"type\":\"error\",\"code\":\"server_is_overloaded\"}\n\n"},
		results.ErrorInStream: {word + "data: {\"type\":\"error\",\"code\":null,\"message\":\"odd\"}\n\n"},
		results.Malformed:     {"data: <html>\n\n"},
		results.Unclassified:  {"302 "},
	}},
	{"chat", "http", "{protocol: http, turn: {request: {path: /ask, body: '{{step.history}}'}, rejected: [{status: 403}], answer: {text: text, done: end, error: error}}}", map[results.Outcome][]string{
		results.OK:            {streamed + "data: end\n\n"},
		results.Rejected:      {"403 {}"},
		results.Refused:       {strings.ReplaceAll(streamed, "好的", "活动太火爆,请稍后再试") + "data: end\n\n"},
		results.RateLimited:   {"429 {}"},
		results.Unavailable:   {"503 <html>"},
		results.ErrorInStream: {streamed + "data: {\"error\":\"odd\"}\n\n"},
		results.Malformed:     {"data: <html>\n\n"},
		results.Unclassified:  {"302 {}"},
	}},
	{"coupons", "wxpay-favor", "{protocol: wxpay-favor, stock_id: s}", map[results.Outcome][]string{
		results.OK:           {`{"coupon_id":"98674556"}`},
		results.Rejected:     {`403 {"code":"RULE_LIMIT"}`, `{"code":"NOT_ENOUGH","message":"no"}`, `{"coupon_id":"98674556","code":"USER_ACCOUNT_ABNORMAL"}`},
		results.RateLimited:  {`429 {"code":"FREQUENCY_LIMITED"}`, `{"code":"FREQUENCY_LIMITED"}`, "429 slow down"},
		results.Unavailable:  {`500 {"code":"SYSTEM_ERROR"}`, `{"code":"SYSTEM_ERROR"}`, "502 <html>"},
		results.Malformed:    {"<html>系统开小差</html>", "{}", `{"coupon_id":98674556}`},
		results.Unclassified: {`400 {"code":"ODD"}`, `{"code":"ODD"}`},
	}},
	{"coupons", "mcp", "{protocol: mcp, path: /mcp, stock_id: s}", tools(`{"coupon_id":"98674556"}`, `{"code":"NOT_ENOUGH","message":"no"}`)},
	{"coupons", "http", described("claim"), describes(`{"coupon":"c-1"}`)},
	{"checkout", "ucp", "{protocol: ucp}", map[results.Outcome][]string{
		results.OK: {`{"ucp":{"version":"2026-04-08"},"id":"cs","status":"completed","currency":"CNY","totals":[{"type":"total","amount":500}],"order":{"id":"o-1","permalink_url":"https://shop.invalid/1"}}`},
		results.Rejected: {
			`402 {"ucp":{"status":"error"},"messages":[{"type":"error","code":"payment_failed","severity":"recoverable"}]}`,
			`{"ucp":{"version":"2026-04-08"},"id":"cs","status":"ready_for_complete","messages":[{"type":"error","code":"payment_failed","severity":"recoverable"}]}`,
			`{"ucp":{"version":"2026-04-08"},"id":"cs","status":"canceled"}`,
			`{"ucp":{"version":"2026-04-08"},"id":"cs","status":"requires_escalation"}`,
			`{"ucp":{"version":"2026-04-08"},"id":"cs","status":"ready_for_complete"}`,
			`{"ucp":{"version":"2026-04-08"},"id":"cs","status":"completed","order":{"id":"o-1"},"messages":[{"type":"error","code":"odd"}]}`,
		},
		results.RateLimited:  {`429 {"code":"rate_limited","content":"x"}`},
		results.Unavailable:  {`500 {"code":"internal_error","content":"x"}`, "503 <html>"},
		results.Malformed:    {"<html>系统开小差</html>", `{"ucp":{},"id":"another","status":"completed"}`, `{"ucp":{},"id":"cs","status":"completed"}`, `{"ucp":{},"id":"cs","status":"odd"}`, "404 <html>"},
		results.Unclassified: {"302 {}"},
	}},
	{"checkout", "acp", "{protocol: acp}", map[results.Outcome][]string{
		results.OK: {`{"id":"cs","status":"completed","currency":"cny","totals":[{"type":"total","amount":500}],"order":{"id":"o-1","checkout_session_id":"cs"}}`},
		results.Rejected: {
			`400 {"type":"invalid_request","code":"requires_3ds","message":"x"}`,
			`422 {"type":"invalid_request","code":"idempotency_conflict","message":"x"}`,
			`{"type":"processing_error","code":"odd","message":"x"}`,
			`{"id":"cs","status":"ready_for_payment","messages":[{"type":"error","code":"payment_declined"}]}`,
			`{"id":"cs","status":"ready_for_payment"}`,
			`{"id":"cs","status":"canceled"}`,
		},
		results.RateLimited:  {`429 {"type":"rate_limit_exceeded","code":"too_many_requests","message":"x"}`},
		results.Unavailable:  {`503 {"type":"service_unavailable","code":"overload","message":"x"}`, `409 {"type":"invalid_request","code":"idempotency_in_flight","message":"x"}`, "502 <html>"},
		results.Malformed:    {"<html>系统开小差</html>", `{"id":"another","status":"completed"}`, `{"id":"cs","status":"completed"}`, `{"id":"cs","status":"odd"}`, "404 <html>"},
		results.Unclassified: {"302 {}"},
	}},
	{"checkout", "mcp", "{protocol: mcp, path: /mcp}", tools(
		`{"ucp":{"version":"2026-04-08"},"id":"cs","status":"completed","currency":"CNY","totals":[{"type":"total","amount":500}],"order":{"id":"o-1"}}`,
		`{"ucp":{"version":"2026-04-08"},"id":"cs","status":"ready_for_complete","messages":[{"type":"error","code":"payment_failed"}]}`)},
	{"checkout", "http", described("complete"), describes(`{"order":"o-1"}`)},
}

// tools is what a server of tools says, with the content of a yes and of a no.
func tools(yes, no string) map[results.Outcome][]string {
	result := func(content, more string) string {
		return `{"jsonrpc":"2.0","id":ID,"result":{"structuredContent":` + content + more + `}}`
	}
	problem := func(code, data string) string {
		return `{"jsonrpc":"2.0","id":ID,"error":{"code":` + code + `,"message":"x"` + data + `}}`
	}
	return map[results.Outcome][]string{
		results.OK:           {result(yes, "")},
		results.Rejected:     {result(no, ""), result(no, `,"isError":true`), problem("-32602", ""), "400 " + problem("-32602", "")},
		results.RateLimited:  {problem("-32000", `,"data":{"code":"rate_limited"}`), "429 slow down"},
		results.Unavailable:  {problem("-32603", ""), "503 <html>"},
		results.Malformed:    {"<html>", strings.Replace(result(yes, ""), "ID", `"another"`, 1)},
		results.Unclassified: {result(yes, `,"isError":true`), problem("-32000", ""), "302 "},
	}
}

// described is an operation that a campaign describes.
func described(operation string) string {
	return `{protocol: http, ` + operation + `: {request: {path: /do, body: '{}'}, take: {order: order, coupon: coupon}, rejected: [{path: error, is: NO}], retry: [{path: error, is: BUSY}], ok: [{path: error, exists: false}]}}`
}

func describes(yes string) map[results.Outcome][]string {
	return map[results.Outcome][]string{
		results.OK:           {yes},
		results.Rejected:     {`{"error":"NO"}`, `409 {"error":"NO"}`},
		results.RateLimited:  {"429 slow down", `429 {"error":"BUSY"}`},
		results.Unavailable:  {`{"error":"BUSY"}`, "503 <html>"},
		results.Malformed:    {"<html>", "{}"},
		results.Unclassified: {`{"error":"ODD"}`, `400 {"error":"ODD"}`},
	}
}

// broken are the outcomes that a connection has, whatever is spoken: what the
// backend does, given the answer that it would have said.
var broken = map[results.Outcome]func(w http.ResponseWriter, r *http.Request, answer string){
	results.Truncated: func(w http.ResponseWriter, r *http.Request, answer string) {
		half(w, answer)
		panic(http.ErrAbortHandler)
	},
	results.Stalled: func(w http.ResponseWriter, r *http.Request, answer string) {
		half(w, answer)
		<-r.Context().Done()
	},
	results.TimedOut:         func(_ http.ResponseWriter, r *http.Request, _ string) { <-r.Context().Done() },
	results.ConnectionFailed: func(http.ResponseWriter, *http.Request, string) { panic(http.ErrAbortHandler) },
	results.Canceled:         func(_ http.ResponseWriter, r *http.Request, _ string) { <-r.Context().Done() },
}

func half(w http.ResponseWriter, answer string) {
	w.Header().Set("Content-Length", fmt.Sprint(len(answer)))
	io.WriteString(w, answer[:len(answer)*2/3])
	w.(http.Flusher).Flush()
}

// say gives an answer.
func say(w http.ResponseWriter, answer string) {
	status := http.StatusOK
	if n, err := fmt.Sscanf(answer, "%3d ", &status); err == nil && n == 1 {
		answer = answer[4:]
	}
	if strings.HasPrefix(answer, "data: ") {
		w.Header().Set("Content-Type", "text/event-stream")
	} else if strings.HasPrefix(answer, "{") {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	io.WriteString(w, answer)
}

// versions lists the endpoint as a campaign has it, by the tongue's versions.
func (x tongue) versions() map[string]string {
	all := map[string]string{}
	for _, v := range scenarios.Versions(x.protocol) {
		all[" "+v] = strings.Replace(x.campaign, "}", ", version: "+v+"}", 1)
	}
	if len(all) == 0 {
		all[""] = x.campaign
	}
	return all
}

// step is one that the endpoint carries out; the last of a journey, where the
// most is at stake.
func (x tongue) step() scenarios.Step {
	kind := map[string]scenarios.StepKind{"chat": scenarios.Turn, "coupons": scenarios.Claim, "checkout": scenarios.Complete}[x.endpoint]
	return scenarios.Step{Kind: kind, Say: "来一杯", Session: "cs", Answer: 5 * time.Second, Key: scenarios.Key(1, scenarios.Intent{Step: 1})}
}

// meet carries out the step at a backend that does as it is told, once it is
// asked for what the step is about. A patience of 0 is the step's; a negative
// one has the request canceled.
func (x tongue) meet(t *testing.T, endpoint string, patience time.Duration, backend func(w http.ResponseWriter, r *http.Request, id string)) scenarios.Result {
	t.Helper()
	text := "name: m\ncrowd: {shoppers: 1, stages: [{name: s, for: 1s, rate: 1}], journeys: {browse: 1}}\ntarget:\n"
	if x.endpoint != "chat" {
		text += "  chat: {protocol: openai, model: m}\n"
	}
	c, err := scenarios.Parse("m.yaml", []byte(text+"  "+x.endpoint+": "+endpoint+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	spoken, err := protocols(c.Target)
	if err != nil {
		t.Fatal(err)
	}
	var conn *wire.Conn
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		m := gjson.ParseBytes(body)
		if x.protocol == scenarios.MCP && m.Get("method").Str != "tools/call" { // the way to the call is as it should be
			say(w, `{"jsonrpc":"2.0","id":`+m.Get("id").Raw+`,"result":{"protocolVersion":"2025-11-25"}}`)
			return
		}
		if patience < 0 {
			conn.Cancel()
		}
		backend(w, r, m.Get("id").Raw)
	}))
	defer srv.Close()
	defer srv.CloseClientConnections()
	target, err := wire.NewTarget(wire.Config{URL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	s, step := &crowd.Shopper{Header: []byte("X-User-Id: u\r\n")}, x.step()
	if patience > 0 {
		step.Answer = patience
	}
	r := scenarios.Result{More: true}
	for n := 0; r.More && n < 5; n++ {
		if conn == nil || !conn.Reusable() {
			if conn, err = target.Dial(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
		}
		r = spoken.For(step.For()).Do(conn, s, step)
	}
	return r
}

// TestOutcomesOfEveryProtocol provokes each outcome in each protocol where it
// can occur, and holds the table of README.md to that.
func TestOutcomesOfEveryProtocol(t *testing.T) {
	for _, endpoint := range []string{"chat", "coupons", "checkout"} {
		for _, p := range scenarios.Protocols(endpoint) {
			if !slices.ContainsFunc(tongues, func(x tongue) bool { return x.endpoint == endpoint && x.protocol == p }) {
				t.Errorf("nothing provokes the outcomes of %s by %s: add what it says to tongues", endpoint, p)
			}
		}
	}
	for _, x := range tongues {
		for version, endpoint := range x.versions() {
			t.Run(x.endpoint+" "+x.protocol+version, func(t *testing.T) {
				t.Parallel()
				for want, answers := range x.answers {
					for _, answer := range answers {
						r := x.meet(t, endpoint, 0, func(w http.ResponseWriter, r *http.Request, id string) {
							say(w, strings.ReplaceAll(answer, "ID", id))
						})
						if r.Outcome != want || (r.Why == "") != (want == results.OK) || (r.Order+r.Coupon != "") != (want == results.OK && x.endpoint != "chat") {
							t.Errorf("%s\nis %v, %q (order %q, coupon %q); want %v", answer, r.Outcome, r.Why, r.Order, r.Coupon, want)
						}
					}
				}
				for want, backend := range broken {
					patience := time.Duration(0) // a busy machine must not look like a slow backend
					switch want {
					case results.TimedOut, results.Stalled:
						patience = 600 * time.Millisecond
					case results.Canceled:
						patience = -1
					}
					r := x.meet(t, endpoint, patience, func(w http.ResponseWriter, r *http.Request, id string) {
						answer := strings.ReplaceAll(x.answers[results.OK][0], "ID", id)
						w.Header().Set("Content-Type", "application/json")
						if strings.HasPrefix(answer, "data: ") {
							w.Header().Set("Content-Type", "text/event-stream")
						}
						backend(w, r, answer)
					})
					if r.Outcome != want || r.Why == "" || r.Order+r.Coupon != "" {
						t.Errorf("provoked as %v, it is %v, %q", want, r.Outcome, r.Why)
					}
				}
			})
		}
	}
	holds(t)
}

// holds compares the table of README.md with what is provoked.
func holds(t *testing.T) {
	var head, rule strings.Builder
	head.WriteString("| outcome |")
	rule.WriteString("|---|")
	for _, x := range tongues {
		fmt.Fprintf(&head, " %s `%s` |", x.endpoint, x.protocol)
		rule.WriteString("---|")
	}
	table := head.String() + "\n" + rule.String() + "\n"
	for _, o := range results.Outcomes() {
		table += "| `" + o.String() + "` |"
		for _, x := range tongues {
			switch {
			case broken[o] != nil:
				table += " yes |"
			case len(x.answers[o]) > 0 && slices.ContainsFunc(x.answers[o], func(a string) bool { return a[0] < '0' || a[0] > '9' }):
				table += " in a 200 |"
			case len(x.answers[o]) > 0:
				table += " yes |"
			default:
				table += " – |"
			}
		}
		table += "\n"
	}
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- outcomes -->\n", "<!-- /outcomes -->\n"
	before, rest, begins := strings.Cut(string(b), begin)
	got, after, ends := strings.Cut(rest, end)
	switch {
	case !begins || !ends:
		t.Fatal("README.md has no table between markers")
	case got == table:
	case *update:
		if err := os.WriteFile("README.md", []byte(before+begin+table+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("the table of README.md differs (write it anew with -update):\n%s\nwant:\n%s", got, table)
	}
}
