package storefront

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const (
	schemas         = "https://ucp.dev/schemas/"
	checkoutSchema  = schemas + "shopping/discount.json#/$defs/dev.ucp.shopping.checkout"
	noSessionSchema = schemas + "shopping/types/error_response.json"
	profileSchema   = schemas + "ucp.json#/$defs/business_schema"
)

// ucpSchemas returns a compiler that knows the published schemas of UCP
// 2026-04-08, as they are for answers, or, with an operation (create, update,
// complete), for its requests.
func ucpSchemas(t *testing.T, operation string) *jsonschema.Compiler {
	t.Helper()
	return published(t, filepath.Join("ucp", ucpVersion, "source", "schemas"), schemas, operation)
}

// published returns a compiler that knows the schemas in a folder of the
// published ones, at the addresses by which they refer to each other.
func published(t *testing.T, folder, base, operation string) *jsonschema.Compiler {
	t.Helper()
	specs := os.Getenv("FLASHCROWD_SPECS")
	if specs == "" {
		t.Skip("FLASHCROWD_SPECS is not set: it names the folder with the published schemas, in which " + folder + " is looked for")
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	root := filepath.Join(specs, folder)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".json" {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		doc, err := jsonschema.UnmarshalJSON(file)
		if err != nil {
			return err
		}
		mend(doc)
		if operation != "" {
			forRequests(doc, operation)
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		return c.AddResource(base+filepath.ToSlash(relative), doc)
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// mend puts right a keyword that ACP 2025-09-29 spells as an older JSON Schema did.
func mend(doc any) {
	switch doc := doc.(type) {
	case []any:
		for _, d := range doc {
			mend(d)
		}
	case map[string]any:
		for _, d := range doc {
			mend(d)
		}
		if doc["exclusiveMinimum"] == true {
			doc["exclusiveMinimum"] = doc["minimum"]
		}
	}
}

// forRequests makes a schema of answers one of requests: each property says by
// ucp_request whether an operation requires it, takes it, or has it left out.
func forRequests(doc any, operation string) {
	switch doc := doc.(type) {
	case []any:
		for _, d := range doc {
			forRequests(d, operation)
		}
	case map[string]any:
		for _, d := range doc {
			forRequests(d, operation)
		}
		properties, _ := doc["properties"].(map[string]any)
		for name, p := range properties {
			property, _ := p.(map[string]any)
			rule, ok := property["ucp_request"]
			if by, isMap := rule.(map[string]any); isMap {
				rule, ok = by[operation]
			}
			if !ok {
				continue
			}
			required := []any{}
			if old, is := doc["required"].([]any); is {
				for _, r := range old {
					if r != name {
						required = append(required, r)
					}
				}
			}
			switch rule {
			case "omit":
				properties[name] = false
			case "required":
				required = append(required, name)
			}
			doc["required"] = required
		}
	}
}

func validate(t *testing.T, c *jsonschema.Compiler, schema, document string) {
	t.Helper()
	s, err := c.Compile(schema)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(doc); err != nil {
		t.Errorf("%s\n%v", document, err)
	}
}

// What these tests send and what the storefront answers are as UCP publishes.
func TestConformance(t *testing.T) {
	answers := ucpSchemas(t, "")
	each(t, Options{Seats: 2}, func(t *testing.T, url string) {
		validate(t, answers, profileSchema, call{method: "GET", path: "/.well-known/ucp"}.ok(t, url, 200).Get("ucp").Raw)
		card := claimOf("u", "r").ok(t, url, 200).Get("coupon_id").Str
		for _, tt := range []struct {
			operation string
			call      call
			status    int
			schema    string
		}{
			{"create", call{"POST", "", "u", "k1", oneTea}, 201, checkoutSchema},
			{"update", call{"PUT", "/chk_1", "u", "k2", withCodes("nonsense", card)}, 200, checkoutSchema},
			{"update", call{"PUT", "/chk_1", "u", "k3", strings.Replace(oneTea, "milk-tea-1", "rocket", 1)}, 200, checkoutSchema},
			{"create", call{"POST", "", "u", "k4", strings.Replace(oneTea, "milk-tea-1", "rocket", 1)}, 200, noSessionSchema},
			{"complete", call{"POST", "/chk_1/complete", "u", "k5", benchPayment}, 200, checkoutSchema},
			{"complete", call{"POST", "/chk_1/complete", "u", "k6", benchPayment}, 200, checkoutSchema},
			{"", call{"GET", "/chk_1", "u", "", ""}, 200, checkoutSchema},
			{"create", call{"POST", "", "u", "k8", ticketsFor("film-1", 3)}, 200, noSessionSchema},
			{"create", call{"POST", "", "u", "k9", ticketsFor("bill-power", 1)}, 201, checkoutSchema},
			{"update", call{"PUT", "/chk_2", "u", "k10", ticketsFor("film-1", 3)}, 200, checkoutSchema},
			{"", call{"GET", "/chk_3", "u", "", ""}, 200, noSessionSchema},
			{"", call{"POST", "/chk_1/cancel", "u", "k7", ""}, 200, checkoutSchema},
		} {
			if tt.operation != "" {
				validate(t, ucpSchemas(t, tt.operation), checkoutSchema, tt.call.body)
			}
			tt.call.path = "/ucp/checkout-sessions" + tt.call.path
			validate(t, answers, tt.schema, tt.call.ok(t, url, tt.status).Raw)
		}
	})
}

// UCP 2026-01-11 has a schema for each request and for answers. It has none for
// an answer without a session.
func TestConformanceJanuary(t *testing.T) {
	c := published(t, filepath.Join("ucp", january, "spec", "schemas"), schemas, "")
	answers := schemas + "shopping/discount_resp.json#/$defs/checkout"
	each(t, Options{}, func(t *testing.T, url string) {
		card := claimOf("u", "r").ok(t, url, 200).Get("coupon_id").Str
		tea := `{"line_items":[{"item":{"id":"milk-tea-1"},"quantity":1}],"currency":"CNY","payment":{}`
		pay := `{"payment_data":{"id":"i","handler_id":"sandbox","type":"card","brand":"visa","last_digits":"4242","credential":{"type":"token","token":"t"}}}`
		for _, tt := range []struct {
			call    call
			request string
			status  int
		}{
			{call{"POST", "", "u", "k1", tea + "}"}, "discount.create_req.json#/$defs/checkout", 201},
			{call{"PUT", "/chk_1", "u", "k2", tea + `,"id":"chk_1","discounts":{"codes":["nonsense","` + card + `"]}}`}, "discount.update_req.json#/$defs/checkout", 200},
			{call{"PUT", "/chk_1", "u", "k3", strings.Replace(tea, "milk-tea-1", "rocket", 1) + `,"id":"chk_1"}`}, "discount.update_req.json#/$defs/checkout", 200},
			{call{"POST", "/chk_1/complete", "u", "k5", pay}, "payment_data.json", 200},
			{call{"POST", "/chk_1/complete", "u", "k6", pay}, "payment_data.json", 200}, // once more: unrecoverable
			{call{"GET", "/chk_1", "u", "", ""}, "", 200},
			{call{"POST", "", "u", "k7", strings.Replace(tea, "milk-tea-1", "rocket", 1) + "}"}, "discount.create_req.json#/$defs/checkout", 400},
			{call{"GET", "/chk_2", "u", "", ""}, "", 404},
		} {
			if tt.request != "" {
				validate(t, c, schemas+"shopping/"+tt.request, tt.call.body)
			}
			tt.call.path = "/ucp-2026-01-11/checkout-sessions" + tt.call.path
			r := tt.call.ok(t, url, tt.status)
			if tt.status < 400 {
				validate(t, c, answers, r.Raw)
			} else if r.Get("code").Str == "" {
				t.Errorf("%s does not say why", r.Raw)
			}
			if tt.call.key == "k2" {
				expect(t, r, `totals.#(type=="discount").amount`, "1799", "ucp.capabilities.0.name", "dev.ucp.shopping.checkout", "ucp.status", "")
			}
		}
	})
}

// Both versions of ACP, with the delegated payment.
func TestConformanceACP(t *testing.T) {
	for _, version := range []struct {
		name, tea, rocket string
		pay               func(token string) string
	}{
		{acpVersion, acpTea, strings.Replace(acpTea, "milk-tea-1", "rocket", 1), acpPay},
		{acpEarly, acpEarlyTea, strings.Replace(acpEarlyTea, "milk-tea-1", "rocket", 1), acpEarlyPay},
	} {
		t.Run(version.name, func(t *testing.T) {
			c := published(t, filepath.Join("acp", version.name, "spec", version.name, "json-schema"), "acp/", "")
			const bundle, delegated = "acp/schema.agentic_checkout.json#/$defs/", "acp/schema.delegate_payment.json#/$defs/"
			const session, mistake = bundle + "CheckoutSession", bundle + "Error"
			each(t, Options{}, func(t *testing.T, url string) {
				update, cart := `{}`, bundle+"CheckoutSessionUpdateRequest"
				if version.name == acpVersion {
					validate(t, c, bundle+"DiscoveryResponse", call{method: "GET", path: "/.well-known/acp.json"}.ok(t, url, 200).Raw)
					update = `{"discounts":{"codes":["nonsense","` + claimOf("u", "r").ok(t, url, 200).Get("coupon_id").Str + `"]}}`
				}
				for _, tt := range []struct {
					call            call
					status          int
					request, answer string
				}{
					{call{"POST", acpSessions, "u", "k1", version.tea}, 201, bundle + "CheckoutSessionCreateRequest", session},
					{call{"POST", acpSessions + "/chk_1", "u", "k2", update}, 200, cart, session},
					{call{"POST", acpSessions + "/chk_1", "u", "k3", strings.TrimSuffix(version.rocket, `,"currency":"cny","capabilities":{}}`) + strings.Repeat("}", strings.Count(version.rocket, "currency"))}, 200, cart, session},
					{call{"POST", acpSessions, "u", "k4", version.rocket}, 400, bundle + "CheckoutSessionCreateRequest", mistake},
					{call{"POST", acpSessions + "/chk_1/complete", "u", "k5", version.pay("vt_9")}, 200, bundle + "CheckoutSessionCompleteRequest", session},
					{call{"POST", acpDelegate, "u", "k6", delegation("chk_1", 5000)}, 201, delegated + "DelegatePaymentRequest", delegated + "DelegatePaymentResponse"},
					{call{"POST", acpDelegate, "u", "k7", delegation("chk_9", 5000)}, 404, delegated + "DelegatePaymentRequest", delegated + "Error"},
					{call{"POST", acpSessions + "/chk_1/complete", "u", "k8", version.pay("vt_1")}, 200, bundle + "CheckoutSessionCompleteRequest", bundle + "CheckoutSessionWithOrder"},
					{call{"POST", acpSessions + "/chk_1/complete", "u", "k9", version.pay("vt_1")}, 200, bundle + "CheckoutSessionCompleteRequest", session},
					{call{"GET", acpSessions + "/chk_1", "u", "", ""}, 200, "", session},
					{call{"GET", acpSessions + "/chk_9", "u", "", ""}, 404, "", mistake},
					{call{"POST", acpSessions + "/chk_1/cancel", "u", "k10", ""}, 405, "", mistake},
					{call{"POST", acpSessions, "u", "k1", version.rocket}, 422, "", mistake},
					{call{"POST", acpDelegate, "u", "k6", delegation("chk_1", 1)}, 422, "", delegated + "Error"},
				} {
					if tt.request != "" {
						validate(t, c, tt.request, tt.call.body)
					}
					r := tt.call.speak(t, url, version.name, tt.status)
					body := r.Raw
					if order := r.Get("order"); order.Exists() && version.name == acpEarly {
						// This version's schema of a session with an order wants the order
						// and forbids it, so each is held against its own.
						validate(t, c, bundle+"Order", order.Raw)
						body, tt.answer = strings.Replace(body, `,"order":`+order.Raw, "", 1), session
					}
					validate(t, c, tt.answer, body)
				}
			})
		})
	}
}
