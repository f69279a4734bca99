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

// ucpSchemas returns a compiler that knows UCP's published schemas, as they
// are for answers, or, with an operation (create, update, complete), for its
// requests.
func ucpSchemas(t *testing.T, operation string) *jsonschema.Compiler {
	t.Helper()
	specs := os.Getenv("FLASHCROWD_SPECS")
	if specs == "" {
		t.Skip("FLASHCROWD_SPECS is not set: it names the folder with the published schemas, in which ucp/2026-04-08 is looked for")
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	root := filepath.Join(specs, "ucp", ucpVersion, "source", "schemas")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
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
		if operation != "" {
			forRequests(doc, operation)
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		return c.AddResource(schemas+filepath.ToSlash(relative), doc)
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
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
	each(t, Options{}, func(t *testing.T, url string) {
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
			{"", call{"GET", "/chk_2", "u", "", ""}, 200, noSessionSchema},
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
