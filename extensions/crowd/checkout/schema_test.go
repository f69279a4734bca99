package checkout

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

const (
	shopping   = "https://ucp.dev/schemas/shopping/"
	discounted = shopping + "discount.json#/$defs/dev.ucp.shopping.checkout"
	card       = shopping + "types/card_payment_instrument.json"
	token      = shopping + "types/token_credential.json"
	acpBundle  = "acp/schema.agentic_checkout.json#/$defs/"
)

// The requests are as recorded, and as the published schemas want them.
func TestRequests(t *testing.T) {
	for _, protocol := range []struct {
		endpoint scenarios.Endpoint
		golden   string // prefix
		schemas  map[scenarios.StepKind]string
		answers  map[scenarios.StepKind]string
	}{
		{endpoint, "", map[scenarios.StepKind]string{
			scenarios.Create: discounted, scenarios.Update: discounted, scenarios.Complete: discounted,
		}, map[scenarios.StepKind]string{
			scenarios.Create: session("incomplete", ""), scenarios.Update: session("ready_for_complete", applies), scenarios.Complete: session("completed", order),
		}},
		{endpointJanuary, "ucp-2026-01-11-", map[scenarios.StepKind]string{
			scenarios.Create:   shopping + "discount.create_req.json#/$defs/checkout",
			scenarios.Update:   shopping + "discount.update_req.json#/$defs/checkout",
			scenarios.Complete: shopping + "payment_data.json",
		}, map[scenarios.StepKind]string{
			scenarios.Create: january(session("incomplete", "")), scenarios.Update: january(session("ready_for_complete", applies)), scenarios.Complete: january(session("completed", order)),
		}},
		{endpointACP, "acp-2026-04-17-", schemasACP, map[scenarios.StepKind]string{
			scenarios.Create: acpSession("ready_for_payment", ""), scenarios.Update: acpSession("ready_for_payment", acpApplies),
			scenarios.Delegate: vaulted, scenarios.Complete: acpSession("completed", acpOrder),
		}},
		{endpointEarly, "acp-2025-09-29-", schemasACP, map[scenarios.StepKind]string{
			scenarios.Create: acpSession("ready_for_payment", ""), scenarios.Update: acpSession("ready_for_payment", acpApplies),
			scenarios.Delegate: vaulted, scenarios.Complete: acpSession("completed", acpOrder),
		}},
	} {
		for kind, answer := range protocol.answers {
			t.Run(protocol.endpoint.Protocol+"-"+protocol.endpoint.Version+"/"+kind.String(), func(t *testing.T) {
				var request string
				var body []byte
				r := New(protocol.endpoint).Do(dial(t, capture(&request, &body, answer)), shopper(), step(kind))
				if r.Outcome != results.OK {
					t.Fatal(r.Outcome, r.Why)
				}
				golden(t, protocol.golden+kind.String(), request)
				c := published(t, protocol.endpoint, kind.String())
				check(t, c, protocol.schemas[kind], decode(t, body))
				if protocol.endpoint.Version == endpoint.Version && kind == scenarios.Complete {
					checkInstrument(t, c, body)
				}
			})
		}
	}
}

var schemasACP = map[scenarios.StepKind]string{
	scenarios.Create:   acpBundle + "CheckoutSessionCreateRequest",
	scenarios.Update:   acpBundle + "CheckoutSessionUpdateRequest",
	scenarios.Delegate: "acp/schema.delegate_payment.json#/$defs/DelegatePaymentRequest",
	scenarios.Complete: acpBundle + "CheckoutSessionCompleteRequest",
}

// checkInstrument checks what UCP 2026-04-08 leaves open in a checkout.
func checkInstrument(t *testing.T, c *jsonschema.Compiler, body []byte) {
	t.Helper()
	var paid struct {
		Payment struct{ Instruments []json.RawMessage }
	}
	if err := json.Unmarshal(body, &paid); err != nil || len(paid.Payment.Instruments) != 1 {
		t.Fatalf("instruments of %s: %v", body, err)
	}
	instrument := decode(t, paid.Payment.Instruments[0])
	check(t, c, card, instrument)
	check(t, c, token, instrument.(map[string]any)["credential"])
}

// A check that can't fail proves nothing.
func TestSchemasRefuse(t *testing.T) {
	for _, tt := range []struct {
		endpoint  scenarios.Endpoint
		operation string
		schema    string
		bodies    []string
	}{
		{endpoint, "update", discounted, []string{
			`{"discounts":{"codes":["x"]}}`,
			`{"id":"cs1","line_items":[]}`,
			`{"line_items":[{"item":{"id":"a"},"quantity":0}]}`,
			`{"line_items":[{"item":{"id":"a","price":5},"quantity":1}]}`,
			`{"line_items":[],"discounts":{"codes":"x"}}`,
			`{"line_items":[],"discounts":{"applied":[]}}`,
		}},
		{endpointJanuary, "create", shopping + "discount.create_req.json#/$defs/checkout", []string{
			`{"line_items":[],"currency":"CNY"}`,
			`{"line_items":[{"item":{"id":"a"}}],"currency":"CNY","payment":{}}`,
		}},
		{endpointJanuary, "complete", shopping + "payment_data.json", []string{`{"payment":{}}`, `{"payment_data":{"id":"x","handler_id":"x","type":"card"}}`}},
		{endpointACP, "create", schemasACP[scenarios.Create], []string{
			`{"line_items":[{"id":"a","quantity":2}],"currency":"cny","capabilities":{}}`, // the gap
			`{"items":[{"id":"a","quantity":2}]}`,
		}},
		{endpointEarly, "update", schemasACP[scenarios.Update], []string{`{"discounts":{"codes":["x"]}}`}},
		{endpointEarly, "delegate", schemasACP[scenarios.Delegate], []string{`{}`}},
	} {
		c := published(t, tt.endpoint, tt.operation)
		schema, err := c.Compile(tt.schema)
		if err != nil {
			t.Fatal(err)
		}
		for _, body := range tt.bodies {
			if schema.Validate(decode(t, []byte(body))) == nil {
				t.Errorf("%s passes as %s", body, tt.schema)
			}
		}
	}
}

func check(t *testing.T, c *jsonschema.Compiler, schema string, doc any) {
	t.Helper()
	s, err := c.Compile(schema)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(doc); err != nil {
		t.Errorf("%v: %v", doc, err)
	}
}

func decode(t *testing.T, body []byte) any {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// published returns the schemas of an endpoint's protocol and version as they
// hold for a request of an operation, at the addresses by which they refer to
// each other.
func published(t *testing.T, e scenarios.Endpoint, operation string) *jsonschema.Compiler {
	t.Helper()
	specs := os.Getenv("FLASHCROWD_SPECS")
	if specs == "" {
		t.Skip("FLASHCROWD_SPECS is not set: the published schemas are not at hand")
	}
	root, base := filepath.Join(specs, "ucp", e.Version, "source", "schemas"), "https://ucp.dev/schemas/"
	switch {
	case e.Protocol == "acp":
		root, base = filepath.Join(specs, "acp", e.Version, "spec", e.Version, "json-schema"), "acp/"
	case e.Version == "2026-01-11":
		root = filepath.Join(specs, "ucp", e.Version, "spec", "schemas")
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".json" {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		doc, err := jsonschema.UnmarshalJSON(f)
		if err != nil {
			return err
		}
		forRequest(doc, operation)
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

// forRequest does what UCP's annotation ucp_request of a property asks for: in
// a request it is required, optional, or not there at all. It also mends a
// keyword that ACP 2025-09-29 spells as an older JSON Schema did.
func forRequest(doc any, operation string) {
	switch v := doc.(type) {
	case []any:
		for _, e := range v {
			forRequest(e, operation)
		}
	case map[string]any:
		for _, e := range v {
			forRequest(e, operation)
		}
		if v["exclusiveMinimum"] == true {
			v["exclusiveMinimum"] = v["minimum"]
		}
		properties, _ := v["properties"].(map[string]any)
		required, _ := v["required"].([]any)
		for name, p := range properties {
			property, _ := p.(map[string]any)
			rule, _ := property["ucp_request"].(string)
			if by, ok := property["ucp_request"].(map[string]any); ok {
				rule, _ = by[operation].(string)
			}
			if rule != "" {
				required = slices.DeleteFunc(required, func(r any) bool { return r == name })
			}
			switch rule {
			case "required":
				required = append(required, name)
			case "omit":
				properties[name] = false
			}
		}
		if required != nil {
			v["required"] = required
		}
	}
}
