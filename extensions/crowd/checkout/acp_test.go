package checkout

import (
	"reflect"
	"strings"
	"testing"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// acpSession renders a checkout in a status, with more of it.
func acpSession(status, more string) string {
	return `{"id":"cs/1 %","status":"` + status + `","currency":"cny","line_items":[],"totals":[{"type":"discount","display_text":"x","amount":2500},{"type":"total","display_text":"x","amount":500}],"links":[]` + more + `}`
}

func acpSaying(kind, code string) string {
	return `,"messages":[{"type":"info","content_type":"plain","content":"x"},{"type":"` + kind + `","code":"` + code + `","resolution":"recoverable","content_type":"plain","content":"x"}]`
}

const (
	acpApplies = `,"discounts":{"codes":["Card\"1"],"applied":[{"id":"d1","code":"CARD\"1","coupon":{"id":"c","name":"免单卡"},"amount":2500}],"rejected":[]}`
	acpOrder   = `,"order":{"id":"ord_1","checkout_session_id":"cs/1 %","permalink_url":"https://shop.invalid/1"}`
	vaulted    = `{"id":"vt_1","created":"2026-02-06T12:00:00Z","metadata":{}}`
)

func flat(kind, code string) string {
	return `{"type":"` + kind + `","code":"` + code + `","message":"x"}`
}

// answersACP hold in both versions.
var answersACP = []exchange{
	{"opened", scenarios.Create, 201, acpSession("ready_for_payment", ""), results.OK, ""},
	{"opened, not ready", scenarios.Create, 201, acpSession("not_ready_for_payment", acpSaying("info", "")), results.OK, ""},
	{"opened with a 200", scenarios.Create, 200, acpSession("ready_for_payment", ""), results.OK, ""},
	{"sold out", scenarios.Create, 201, acpSession("not_ready_for_payment", acpSaying("error", "out_of_stock")), results.Rejected, "out_of_stock (recoverable)"},
	{"an error in a 200", scenarios.Create, 200, flat("processing_error", "odd"), results.Rejected, "processing_error: odd"},
	{"canceled", scenarios.Create, 201, acpSession("canceled", ""), results.Rejected, "canceled"},
	{"at work", scenarios.Create, 201, acpSession("in_progress", ""), results.Unclassified, "in_progress"},
	{"a status of UCP", scenarios.Create, 201, acpSession("ready_for_complete", ""), results.Malformed, "ready_for_complete"},
	{"no status", scenarios.Create, 201, `{"id":"x"}`, results.Malformed, "status"},
	{"no id", scenarios.Create, 201, `{"status":"ready_for_payment"}`, results.Malformed, "no id"},

	{"a token", scenarios.Delegate, 201, vaulted, results.OK, ""},
	{"no token", scenarios.Delegate, 201, `{"created":"2026-02-06T12:00:00Z"}`, results.Malformed, "no id"},
	{"a bad card", scenarios.Delegate, 400, flat("invalid_request", "invalid_card"), results.Rejected, "invalid_card"},
	{"a card that is refused in a 201", scenarios.Delegate, 201, flat("invalid_request", "invalid_card"), results.Rejected, "invalid_card"},
	{"too many delegations", scenarios.Delegate, 429, flat("rate_limit_exceeded", "too_many_requests"), results.RateLimited, "too_many_requests"},
	{"a delegation in flight", scenarios.Delegate, 409, flat("invalid_request", "idempotency_in_flight"), results.Unavailable, "in_flight"},

	{"paid", scenarios.Complete, 200, acpSession("completed", acpOrder), results.OK, ""},
	{"paid with a 201", scenarios.Complete, 201, acpSession("completed", acpOrder), results.OK, ""},
	{"declined", scenarios.Complete, 200, acpSession("ready_for_payment", acpSaying("error", "payment_declined")), results.Rejected, "payment_declined"},
	{"declined without a word", scenarios.Complete, 200, acpSession("ready_for_payment", ""), results.Rejected, "ready_for_payment"},
	{"being paid", scenarios.Complete, 200, acpSession("in_progress", ""), results.OK, ""},
	{"paid, no order", scenarios.Complete, 200, acpSession("completed", ""), results.Malformed, "order"},
	{"another session", scenarios.Complete, 200, strings.Replace(acpSession("completed", acpOrder), "cs/1 %", "cs2", 1), results.Malformed, "another session: cs2"},
	{"3DS", scenarios.Complete, 400, flat("invalid_request", "requires_3ds"), results.Rejected, "requires_3ds"},

	{"no key", scenarios.Create, 400, flat("invalid_request", "idempotency_key_required"), results.Rejected, "idempotency_key_required"},
	{"in flight", scenarios.Complete, 409, flat("invalid_request", "idempotency_in_flight"), results.Unavailable, "in_flight"},
	{"a conflict", scenarios.Complete, 409, flat("invalid_request", "conflict"), results.Rejected, "409: conflict"},
	{"another body", scenarios.Complete, 422, flat("invalid_request", "idempotency_conflict"), results.Rejected, "422: idempotency_conflict"},
	{"a version that is gone", scenarios.Create, 400, flat("invalid_request", "unsupported_api_version"), results.Rejected, "unsupported_api_version"},
	{"over already", scenarios.Complete, 405, flat("invalid_request", "completed"), results.Rejected, "405"},
	{"429", scenarios.Create, 429, `{}`, results.RateLimited, "429"},
	{"503", scenarios.Create, 503, flat("service_unavailable", "overload"), results.Unavailable, "overload"},
	{"500", scenarios.Complete, 500, flat("processing_error", "odd"), results.Unavailable, "odd"},
	{"502 of a proxy", scenarios.Complete, 502, "<html>", results.Unavailable, "502"},
	{"404 of a proxy", scenarios.Create, 404, "<html>", results.Malformed, "404"},
	{"302", scenarios.Create, 302, `{}`, results.Unclassified, "302"},
	{"a page", scenarios.Create, 200, "<html>", results.Malformed, "JSON"},
	{"half", scenarios.Complete, 200, acpSession("completed", acpOrder)[:60], results.Malformed, "JSON"},
}

// answersOf are what only one version has: the other's statuses make no sense in it.
func answersOf(e scenarios.Endpoint) []exchange {
	if e.Version == "2025-09-29" {
		return []exchange{
			{"expired", scenarios.Complete, 200, acpSession("expired", ""), results.Malformed, "expired"},
			{"a repeated key", scenarios.Complete, 409, flat("request_not_idempotent", "idempotency_conflict"), results.Rejected, "idempotency_conflict"},
			{"no discounts", scenarios.Update, 200, acpSession("ready_for_payment", ""), results.Rejected, "not applied"},
		}
	}
	return []exchange{
		{"incomplete", scenarios.Create, 201, acpSession("incomplete", ""), results.OK, ""},
		{"to be approved", scenarios.Complete, 200, acpSession("pending_approval", ""), results.OK, ""},
		{"being completed", scenarios.Complete, 200, acpSession("complete_in_progress", ""), results.OK, ""},
		{"to be authenticated", scenarios.Complete, 200, acpSession("authentication_required", ""), results.Rejected, "authentication_required"},
		{"handed over", scenarios.Create, 201, acpSession("requires_escalation", ""), results.Rejected, "requires_escalation"},
		{"expired", scenarios.Complete, 200, acpSession("expired", ""), results.Rejected, "expired"},
		{"applied", scenarios.Update, 200, acpSession("ready_for_payment", acpApplies), results.OK, ""},
		{"not applied", scenarios.Update, 200, acpSession("ready_for_payment", acpSaying("warning", "discount_code_expired")), results.Rejected, "discount_code_expired"},
		{"not applied, said elsewhere", scenarios.Update, 200, acpSession("ready_for_payment", `,"discounts":{"rejected":[{"code":"Card\"1","reason":"discount_code_usage_limit_reached"}]}`), results.Rejected, "usage_limit_reached"},
		{"not applied, silently", scenarios.Update, 200, acpSession("ready_for_payment", ""), results.Rejected, "not applied"},
	}
}

// What the next step, the evidence and the money need.
func TestGivesACP(t *testing.T) {
	session := scenarios.Result{Outcome: results.OK, Session: "cs/1 %", Amount: 500, Subtotal: 3000, Currency: "CNY"}
	updated, ordered := session, session
	updated.Redeemed = `CARD"1`
	ordered.Redeemed, ordered.Order = `CARD"1`, "ord_1"
	for _, test := range []struct {
		kind scenarios.StepKind
		body string
		want scenarios.Result
	}{
		{scenarios.Create, acpSession("ready_for_payment", ""), session},
		{scenarios.Update, acpSession("ready_for_payment", acpApplies), updated},
		{scenarios.Delegate, vaulted, scenarios.Result{Outcome: results.OK, Token: "vt_1"}},
		{scenarios.Complete, acpSession("completed", acpOrder+acpApplies), ordered},
	} {
		if r := classify(overREST(endpointACP).dialect, step(test.kind), 200, []byte(test.body)); !reflect.DeepEqual(r, test.want) {
			t.Errorf("%v %s:\n%+v, want\n%+v", test.kind, test.body, r, test.want)
		}
	}
}
