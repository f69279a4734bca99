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
	discounted = "https://ucp.dev/schemas/shopping/discount.json#/$defs/dev.ucp.shopping.checkout"
	card       = "https://ucp.dev/schemas/shopping/types/card_payment_instrument.json"
	token      = "https://ucp.dev/schemas/shopping/types/token_credential.json"
)

// The requests are as recorded, and as the published schemas want them.
func TestRequests(t *testing.T) {
	for kind, answer := range map[scenarios.StepKind]string{
		scenarios.Create:   session("incomplete", ""),
		scenarios.Update:   session("ready_for_complete", applies),
		scenarios.Complete: session("completed", order),
	} {
		t.Run(kind.String(), func(t *testing.T) {
			var request string
			var body []byte
			r := New(endpoint).Do(dial(t, capture(&request, &body, answer)), shopper(), step(kind))
			if r.Outcome != results.OK {
				t.Fatal(r.Outcome, r.Why)
			}
			golden(t, kind.String(), request)
			c := published(t, kind.String())
			check(t, c, discounted, decode(t, body))
			if kind == scenarios.Complete {
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
		})
	}
}

// A check that can't fail proves nothing.
func TestSchemasRefuse(t *testing.T) {
	c := published(t, "update")
	for _, body := range []string{
		`{"discounts":{"codes":["x"]}}`,
		`{"id":"cs1","line_items":[]}`,
		`{"line_items":[{"item":{"id":"a"},"quantity":0}]}`,
		`{"line_items":[{"item":{"id":"a","price":5},"quantity":1}]}`,
		`{"line_items":[],"discounts":{"codes":"x"}}`,
		`{"line_items":[],"discounts":{"applied":[]}}`,
	} {
		if c.MustCompile(discounted).Validate(decode(t, []byte(body))) == nil {
			t.Errorf("%s passes", body)
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

// published returns the schemas of UCP 2026-04-08 as they hold for a request
// of an operation.
func published(t *testing.T, operation string) *jsonschema.Compiler {
	t.Helper()
	specs := os.Getenv("FLASHCROWD_SPECS")
	if specs == "" {
		t.Skip("FLASHCROWD_SPECS is not set: the published schemas are not at hand")
	}
	c := jsonschema.NewCompiler()
	err := filepath.WalkDir(filepath.Join(specs, "ucp", "2026-04-08", "source", "schemas"), func(path string, d fs.DirEntry, err error) error {
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
		id, _ := doc.(map[string]any)["$id"].(string)
		if id == "" {
			return nil
		}
		return c.AddResource(id, doc)
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// forRequest does what the annotation ucp_request of a property asks for: in a
// request it is required, optional, or not there at all.
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
