package coupons

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

func claim() scenarios.Step {
	return scenarios.Step{Kind: scenarios.Claim, Index: 3, Key: key(3), Answer: patience}
}

var endpoint = scenarios.Endpoint{Path: "/wx/", StockID: "9856000"}

func no(code string) string { return `{"code":"` + code + `","message":"不行"}` }

// answers are what a server may say, and what it means.
var answers = []struct {
	name   string
	status int
	body   string
	want   results.Outcome
	why    string // part of it
}{
	{"claimed", 200, `{"coupon_id":"98674556"}`, results.OK, ""},
	{"claimed, with more", 200, `{"code":null,"coupon_id":"98674556","x":[1]}`, results.OK, ""},
	{"no coupon", 200, `{}`, results.Malformed, "coupon_id"},
	{"empty coupon", 200, `{"coupon_id":""}`, results.Malformed, "coupon_id"},
	{"coupon of a number", 200, `{"coupon_id":98674556}`, results.Malformed, "coupon_id"},
	{"endless coupon", 200, `{"coupon_id":"` + strings.Repeat("9", 2000) + `"}`, results.Malformed, "long"},
	{"no in a 200", 200, no("NOT_ENOUGH"), results.Rejected, "NOT_ENOUGH: 不行"},
	{"no and a coupon", 200, `{"coupon_id":"98674556","code":"SYSTEM_ERROR"}`, results.Unavailable, "SYSTEM_ERROR"},
	{"sold out", 403, no("NOT_ENOUGH"), results.Rejected, "NOT_ENOUGH"},
	{"had enough", 403, no("RULE_LIMIT"), results.Rejected, "RULE_LIMIT"},
	{"account", 403, no("USER_ACCOUNT_ABNORMAL"), results.Rejected, "USER_ACCOUNT_ABNORMAL"},
	{"merchant", 400, no("MCH_NOT_EXISTS"), results.Rejected, "MCH_NOT_EXISTS"},
	{"stock", 404, no("RESOURCE_NOT_EXISTS"), results.Rejected, "RESOURCE_NOT_EXISTS"},
	{"parameters", 400, no("PARAM_ERROR"), results.Rejected, "PARAM_ERROR"},
	{"request", 400, no("INVALID_REQUEST"), results.Rejected, "INVALID_REQUEST"},
	{"paused", 400, `{"code":"INVALID_REQUEST","message":"the campaign is paused"}`, results.Rejected, "paused"},
	{"too often", 429, no("FREQUENCY_LIMITED"), results.RateLimited, "FREQUENCY_LIMITED"},
	{"too often, as a 403", 403, no("FREQUENCY_LIMIT_EXCEED"), results.RateLimited, "FREQUENCY_LIMIT_EXCEED"},
	{"broken", 500, no("SYSTEM_ERROR"), results.Unavailable, "SYSTEM_ERROR"},
	{"odd code", 400, no("ODD"), results.Unclassified, "ODD"},
	{"no code", 400, `{"message":"不行"}`, results.Unclassified, "HTTP 400"},
	{"a page", 502, "<html>", results.Unavailable, "HTTP 502"},
	{"a page, as a 200", 200, "<html>活动太火爆</html>", results.Malformed, "HTTP 200"},
	{"a page, as a 404", 404, "<html>", results.Malformed, "HTTP 404"},
	{"a page of a limiter", 429, "slow down", results.RateLimited, "HTTP 429"},
	{"nothing", 200, "", results.Malformed, "JSON"},
	{"nothing, as a 204", 204, "", results.Malformed, "JSON"},
	{"a list", 200, `["98674556"]`, results.Malformed, "JSON"},
	{"half", 200, `{"coupon_id":"9867`, results.Malformed, "JSON"},
	{"another encoding", 200, "{\"coupon_id\":\"\xc4\xe3\"}", results.Malformed, "JSON"},
}

func TestOutcomes(t *testing.T) {
	for _, test := range answers {
		t.Run(test.name, func(t *testing.T) {
			c := dial(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", "2")
				w.WriteHeader(test.status)
				io.WriteString(w, test.body)
			})
			started := time.Now()
			r := New(endpoint).Do(c, shopper(), claim())
			if r.Outcome != test.want || !strings.Contains(r.Why, test.why) || (r.Why == "") != (test.want == results.OK) {
				t.Errorf("%v, %q; want %v, %q", r.Outcome, r.Why, test.want, test.why)
			}
			denied := map[string]results.Denial{"sold out": results.SoldOut, "had enough": results.LimitReached, "no in a 200": results.SoldOut, "paused": results.Paused}[test.name]
			if r.Denied != denied {
				t.Errorf("denied %v, want %v", r.Denied, denied)
			}
			if (r.Coupon == "98674556") != (test.want == results.OK) {
				t.Errorf("coupon %q", r.Coupon)
			}
			if r.End.Before(started) || r.RetryAfter != 2*time.Second {
				t.Errorf("end %v, retry after %v", r.End, r.RetryAfter)
			}
			if !c.Reusable() {
				t.Error("the connection is not reusable")
			}
		})
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
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, `{"coupon_id":"98674556"}`)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, results.Truncated},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			step := claim()
			if test.want == results.TimedOut { // a busy machine must not look like a slow campaign
				step.Answer = 150 * time.Millisecond
			}
			r := New(endpoint).Do(dial(t, test.serve), shopper(), step)
			if r.Outcome != test.want || r.Why == "" || r.End.IsZero() || r.Coupon != "" {
				t.Errorf("%+v; want %v", r, test.want)
			}
		})
	}
}

func TestRequest(t *testing.T) {
	var request string
	var body []byte
	c := dial(t, capture(&request, &body, `{"coupon_id":"1"}`))
	if r := New(endpoint).Do(c, shopper(), claim()); r.Outcome != results.OK {
		t.Fatal(r.Outcome, r.Why)
	}
	if !json.Valid(body) {
		t.Errorf("the body is no JSON: %s", body)
	}
	golden(t, "claim", request)
}

func FuzzClassify(f *testing.F) {
	for _, a := range answers {
		f.Add(a.status, []byte(a.body))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		r := classify(status, body)
		if r.Outcome != results.OK {
			if r.Coupon != "" || r.Why == "" {
				t.Fatalf("%+v", r)
			}
			return
		}
		if status < 200 || status > 299 || r.Coupon == "" || len(r.Coupon) > longest || !json.Valid(body) {
			t.Fatalf("%d %q is %+v", status, body, r)
		}
	})
}
