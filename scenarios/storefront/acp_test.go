package storefront

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

const (
	acpTea      = `{"line_items":[{"id":"milk-tea-1"}],"currency":"cny","capabilities":{}}`
	acpEarlyTea = `{"items":[{"id":"milk-tea-1","quantity":1}]}`
	acpSessions = "/acp/checkout_sessions"
	acpDelegate = "/acp/agentic_commerce/delegate_payment"
)

func acpPay(token string) string {
	return `{"payment_data":{"handler_id":"sandbox","instrument":{"type":"card","credential":{"type":"spt","token":"` + token + `"}}}}`
}

func acpEarlyPay(token string) string {
	return `{"payment_data":{"token":"` + token + `","provider":"stripe"}}`
}

func delegation(session string, most int) string {
	return `{"payment_method":{"type":"card","card_number_type":"fpan","number":"4242424242424242","display_card_funding_type":"credit","metadata":{}},` +
		`"allowance":{"reason":"one_time","max_amount":` + fmt.Sprint(most) + `,"currency":"cny","checkout_session_id":"` + session + `","merchant_id":"m","expires_at":"2099-12-31T23:59:59Z"},` +
		`"risk_signals":[{"type":"card_testing","score":0,"action":"authorized"}],"metadata":{}}`
}

// speak sends c in a version of ACP, wants a status, and returns the answer.
func (c call) speak(t testing.TB, url, version string, want int) gjson.Result {
	t.Helper()
	r := c.request(t, url)
	r.Header.Set("Request-Id", "r1")
	if version != "" {
		r.Header.Set("API-Version", version)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != want || !gjson.ValidBytes(body) {
		t.Fatalf("%s %s %s: %d %s %v, want %d", c.method, c.path, c.body, answer.StatusCode, body, err, want)
	}
	if answer.Header.Get("Request-Id") != "r1" || answer.Header.Get("Idempotency-Key") != c.key {
		t.Errorf("%s %s echoes %v", c.method, c.path, answer.Header)
	}
	return gjson.ParseBytes(body)
}

// An order by ACP is the same order: the coupon, the price and the books.
func TestACP(t *testing.T) {
	each(t, Options{}, func(t *testing.T, url string) {
		card := claimOf("ann", "r").ok(t, url, 200).Get("coupon_id").Str
		s := call{"POST", acpSessions, "ann", "k1", strings.Replace(acpTea, `{"id":"milk-tea-1"}`, `{"id":"milk-tea-1"},{"id":"bun-1"},{"id":"milk-tea-1"}`, 1)}.speak(t, url, acpVersion, 201)
		expect(t, s, "status", "ready_for_payment", "currency", "cny", "line_items.#", "2", "line_items.0.quantity", "2", "line_items.1.quantity", "1")
		path := acpSessions + "/" + s.Get("id").Str
		full := s.Get(`totals.#(type=="total").amount`).Int()

		s = call{"POST", path, "ann", "k2", `{"discounts":{"codes":["nonsense","` + card + `"]}}`}.speak(t, url, acpVersion, 200)
		expect(t, s, "line_items.#", "2", "discounts.applied.0.code", card, "discounts.rejected.#", "1", "discounts.rejected.0.code", "nonsense",
			"discounts.rejected.0.reason", "discount_code_invalid", "messages.0.type", "warning", `totals.#(type=="discount").amount`, "2500")
		total := int(s.Get(`totals.#(type=="total").amount`).Int())
		if total != int(full)-cardValue {
			t.Errorf("%d less the card is %d", full, total)
		}

		// Nothing is sold without a token for this session and this much.
		decline := func(key, token string) {
			t.Helper()
			s := call{"POST", path + "/complete", "ann", key, acpPay(token)}.speak(t, url, acpVersion, 200)
			expect(t, s, "status", "ready_for_payment", "messages.0.code", "payment_declined", "order", "")
		}
		id := s.Get("id").Str
		decline("d1", "vt_1")
		call{"POST", acpDelegate, "ann", "d2", delegation(id, total-1)}.speak(t, url, acpVersion, 201)
		decline("d3", "vt_1")
		token := call{"POST", acpDelegate, "ann", "d4", delegation(id, total)}.speak(t, url, acpVersion, 201)
		expect(t, token, "id", "vt_1")
		decline("d5", "vt_2")
		expect(t, call{"POST", acpDelegate, "bob", "d6", delegation(id, total)}.speak(t, url, acpVersion, 404), "code", "invalid_card")

		s = call{"POST", path + "/complete", "ann", "k3", acpPay("vt_1")}.speak(t, url, acpVersion, 200)
		expect(t, s, "status", "completed", "order.checkout_session_id", id)
		orders, _, _ := strings.Cut(bookOf(t, url, "/books/orders"), "\n")
		expect(t, gjson.Parse(orders), "key", "k3", "amount", fmt.Sprint(total))
		expect(t, call{"POST", path + "/complete", "ann", "k4", acpPay("vt_1")}.speak(t, url, acpVersion, 200), "messages.0.code", "conflict")
		expect(t, call{"POST", path + "/cancel", "ann", "k5", ""}.speak(t, url, acpVersion, 405), "type", "invalid_request")
	})
}

// bookOf reads what was really done.
func bookOf(t *testing.T, url, path string) string {
	t.Helper()
	status, body, _ := call{method: "GET", path: path}.do(t, url)
	if status != 200 || body == "" {
		t.Fatalf("%s: %d %s", path, status, body)
	}
	return body
}

// The key decides, and what a body means is what counts.
func TestACPKeys(t *testing.T) {
	each(t, Options{}, func(t *testing.T, url string) {
		first := call{"POST", acpSessions, "ann", "k1", acpTea}.speak(t, url, acpVersion, 201)
		again := call{"POST", acpSessions, "ann", "k1", `{ "capabilities": {}, "currency":"cny", "line_items":[{"id":"milk-tea-1"}]}`}.speak(t, url, acpVersion, 201)
		if first.Raw != again.Raw {
			t.Errorf("%s\nthen %s", first.Raw, again.Raw)
		}
		expect(t, call{"POST", acpSessions, "ann", "k1", strings.Replace(acpTea, "-1", "-2", 1)}.speak(t, url, acpVersion, 422), "code", "idempotency_conflict")
		expect(t, call{"POST", acpSessions, "ann", "", acpTea}.speak(t, url, acpVersion, 400), "code", "idempotency_key_required")

		token := call{"POST", acpDelegate, "ann", "d1", delegation("chk_1", 1800)}.speak(t, url, acpVersion, 201)
		if again := (call{"POST", acpDelegate, "ann", "d1", delegation("chk_1", 1800)}).speak(t, url, acpVersion, 201); token.Raw != again.Raw {
			t.Errorf("%s\nthen %s", token.Raw, again.Raw)
		}
		expect(t, call{"POST", acpDelegate, "ann", "d1", delegation("chk_1", 9)}.speak(t, url, acpVersion, 422), "code", "idempotency_conflict")
	})
}

func TestACPRefusals(t *testing.T) {
	each(t, Options{}, func(t *testing.T, url string) {
		call{"POST", acpSessions, "ann", "k1", acpTea}.speak(t, url, acpVersion, 201)
		for i, tt := range []struct {
			call    call
			version string
			status  int
			code    string
		}{
			{call{"POST", acpSessions, "ann", "k", acpTea}, "", 400, "missing_api_version"},
			{call{"POST", acpSessions, "ann", "k", acpTea}, "2026-01-30", 400, "unsupported_api_version"},
			{call{"POST", acpSessions, "ann", "k", acpTea}, acpEarly, 400, "invalid_request"},
			{call{"POST", acpSessions, "ann", "k", acpEarlyTea}, acpVersion, 400, "invalid_request"},
			{call{"POST", acpSessions, "ann", "k", `{"line_items":[]}`}, acpVersion, 400, "invalid_request"},
			{call{"POST", acpSessions, "", "k", acpTea}, acpVersion, 401, "unauthorized"},
			{call{"POST", acpSessions, "ann", "k2", strings.Replace(acpTea, "milk-tea-1", "rocket", 1)}, acpVersion, 400, "item_unavailable"},
			{call{"GET", acpSessions + "/chk_1", "bob", "", ""}, acpVersion, 404, "not_found"},
			{call{"POST", acpSessions + "/chk_1/complete", "ann", "k", `{"payment_data":{}}`}, acpVersion, 400, "invalid_request"},
			{call{"POST", acpDelegate, "ann", "k", `{}`}, acpVersion, 400, "invalid_card"},
			{call{"POST", acpDelegate, "ann", "k", strings.Replace(delegation("chk_1", 1), "cny", "usd", 1)}, acpVersion, 400, "invalid_card"},
		} {
			if r := tt.call.speak(t, url, tt.version, tt.status); r.Get("code").Str != tt.code || r.Get("message").Str == "" {
				t.Errorf("%d: %s, want %s", i, r.Raw, tt.code)
			}
		}
	})
}
