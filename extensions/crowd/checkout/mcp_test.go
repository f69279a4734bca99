package checkout

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

var endpointsMCP = []scenarios.Endpoint{
	{Protocol: scenarios.MCP, Version: "2026-07-28", Path: "/mcp"},
	{Protocol: scenarios.MCP, Version: "2025-11-25", Path: "/mcp"},
}

// tooled answers calls with content, and what comes before them as it should.
func tooled(content string, failed bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		m := gjson.ParseBytes(body)
		result := `{"structuredContent":` + content + `,"isError":false}`
		if failed {
			result = `{"structuredContent":` + content + `,"isError":true}`
		}
		if m.Get("method").Str == "initialize" {
			result = `{"protocolVersion":"2025-11-25"}`
			w.Header().Set("MCP-Session-Id", "s")
		}
		w.Header().Set("Retry-After", "2")
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"jsonrpc":"2.0","id":`+m.Get("id").Raw+`,"result":`+result+`}`)
	}
}

// do carries out a step as the engine does.
func do(t *testing.T, e scenarios.Endpoint, h http.HandlerFunc, step scenarios.Step) (r scenarios.Result) {
	t.Helper()
	c, p, s := dial(t, h), New(e), shopper()
	for range 5 {
		if r = p.Do(c, s, step); !r.More {
			break
		}
	}
	p.(crowd.Leaver).Leave(c, s, time.Now().Add(patience))
	return r
}

// What a checkout means is the same in a tool's content as in the body of a 200,
// but a tool that calls it an error is never ok.
func TestToolOutcomes(t *testing.T) {
	for _, e := range endpointsMCP {
		for _, test := range answers {
			if test.status > 201 || !json.Valid([]byte(test.body)) || test.body[0] != '{' {
				continue // an answer that is none: see package mcp
			}
			t.Run(e.Version+"/"+test.name, func(t *testing.T) {
				r := do(t, e, tooled(test.body, false), step(test.kind))
				if r.Outcome != test.want || !strings.Contains(r.Why, test.why) || r.RetryAfter != 2*time.Second || r.End.IsZero() {
					t.Errorf("%+v; want %v, %q", r, test.want, test.why)
				}
				want := test.want
				if want == results.OK {
					want = results.Unclassified
				}
				if r := do(t, e, tooled(test.body, true), step(test.kind)); r.Outcome != want || r.Why == "" || r.Order != "" {
					t.Errorf("with isError: %+v; want %v", r, want)
				}
			})
		}
	}
}

// A search finds what it finds over REST.
func TestToolSearch(t *testing.T) {
	for _, e := range endpointsMCP {
		r := do(t, e, tooled(searched(product("tea-1", yuan18)), false), step(scenarios.Search))
		if r.Outcome != results.OK || len(r.Offers) != 1 || r.Offers[0].ID != "tea-1" {
			t.Errorf("%s: %+v", e.Version, r)
		}
	}
}

// The calls are as recorded, and as the published binding wants them.
func TestToolRequests(t *testing.T) {
	for kind, answer := range map[scenarios.StepKind]string{
		scenarios.Create: session("incomplete", ""), scenarios.Update: session("ready_for_complete", applies),
		scenarios.Complete: session("completed", order), scenarios.Read: session("completed", order), scenarios.Poll: session("completed", order),
		scenarios.Search: searched(product("tea-1", yuan18)),
	} {
		t.Run(kind.String(), func(t *testing.T) {
			var request string
			var body []byte
			// A server that answers without an id is found out, after it has heard all.
			New(endpointsMCP[0]).Do(dial(t, capture(&request, &body, `{"result":{"structuredContent":`+answer+`}}`)), shopper(), step(kind))
			golden(t, "mcp-"+kind.String(), request)
			binding(t, gjson.GetBytes(body, "params"), kind)
		})
	}
}

// binding holds a call against the method of the same name in UCP's OpenRPC.
func binding(t *testing.T, params gjson.Result, kind scenarios.StepKind) {
	t.Helper()
	c := published(t, endpoint, kind.String())
	file, err := os.Open(filepath.Join(os.Getenv("FLASHCROWD_SPECS"), "ucp", endpoint.Version, "source", "services", "shopping", "mcp.openrpc.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	doc, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AddResource("openrpc", doc); err != nil {
		t.Fatal(err)
	}
	var methods struct {
		Methods []struct {
			Name   string
			Params []struct {
				Name     string
				Required bool
			}
		}
	}
	text, _ := json.Marshal(doc)
	if err := json.Unmarshal(text, &methods); err != nil {
		t.Fatal(err)
	}
	for _, m := range methods.Methods {
		if m.Name != params.Get("name").Str {
			continue
		}
		var known []string
		for _, p := range m.Params {
			known = append(known, p.Name)
			if p.Required && !params.Get("arguments."+p.Name).Exists() {
				t.Errorf("%s lacks %s", m.Name, p.Name)
			}
		}
		params.Get("arguments").ForEach(func(k, _ gjson.Result) bool {
			if !slices.Contains(known, k.Str) {
				t.Errorf("%s has no %s", m.Name, k.Str)
			}
			return true
		})
		check(t, c, "openrpc#/components/schemas/meta", decode(t, []byte(params.Get("arguments.meta").Raw)))
		if catalog := params.Get("arguments.catalog"); catalog.Exists() {
			check(t, c, shopping+"catalog_search.json#/$defs/search_request", decode(t, []byte(catalog.Raw)))
		}
		if checkout := params.Get("arguments.checkout"); checkout.Exists() {
			check(t, c, discounted, decode(t, []byte(checkout.Raw)))
		}
		return
	}
	t.Errorf("there is no method %s", params.Get("name").Str)
}
