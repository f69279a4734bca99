package storefront

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// A tooling is a client of the shop's tools in one version.
type tooling struct {
	url, version, session string
	sent                  int
}

// post sends a message with the head lines of the version, but for those that
// change says otherwise.
func (c *tooling) post(t testing.TB, method, path, body string, change map[string]string) (int, gjson.Result, http.Header) {
	t.Helper()
	r, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	m := gjson.Parse(body)
	head := map[string]string{"X-User-Id": "ann", "MCP-Protocol-Version": c.version, "MCP-Session-Id": c.session}
	if c.version >= mcpVersion {
		head["Mcp-Method"], head["Mcp-Name"] = m.Get("method").Str, m.Get("params.name").Str
	}
	for name, value := range head {
		if other, ok := change[name]; ok {
			value = other
		}
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	w := httptest.NewRecorder()
	if _, err := w.Body.ReadFrom(answer.Body); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, gjson.Parse(w.Body.String()), answer.Header
}

// request renders a request of JSON-RPC; more of its parameters begins with a comma.
func (c *tooling) request(method, more string) string {
	c.sent++
	params := strings.TrimPrefix(more, ",")
	if c.version == mcpVersion {
		params = `"_meta":{"io.modelcontextprotocol/protocolVersion":"` + c.version + `"}` + more
	}
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"%s","params":{%s}}`, c.sent, method, params)
}

// call calls a tool, and returns its result or its error.
func (c *tooling) call(t testing.TB, tool, arguments string) gjson.Result {
	t.Helper()
	status, m, _ := c.post(t, "POST", "/mcp", c.request("tools/call", `,"name":"`+tool+`","arguments":`+arguments), nil)
	if status != 200 || m.Get("id").Int() != int64(c.sent) || m.Get("jsonrpc").Str != "2.0" {
		t.Fatalf("%s: %d %s", tool, status, m.Raw)
	}
	if text, content := m.Get("result.content.0.text").Str, m.Get("result.structuredContent").Raw; text != content {
		t.Errorf("the text is %s, the content %s", text, content)
	}
	return m
}

// tool returns a client that is ready to call.
func tool(t testing.TB, url, version string) *tooling {
	t.Helper()
	c := &tooling{url: url, version: version}
	if version == mcpSessions {
		status, m, head := c.post(t, "POST", "/mcp", c.request("initialize", `,"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}`), nil)
		if c.session = head.Get("MCP-Session-Id"); status != 200 || c.session == "" || m.Get("result.protocolVersion").Str != version || !m.Get("result.capabilities.tools").Exists() {
			t.Fatal(status, m.Raw)
		}
		if status, m, _ := c.post(t, "POST", "/mcp", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, nil); status != 202 || m.Raw != "" {
			t.Fatal(status, m.Raw)
		}
	}
	return c
}

func inMeta(key string) string {
	return `{"meta":{"ucp-agent":{"profile":"https://x.invalid"},"idempotency-key":"` + key + `"}`
}

// The tools do what the requests of UCP do, and their content is as UCP
// publishes it.
func TestToolsConformance(t *testing.T) {
	answers := ucpSchemas(t, "")
	for _, version := range []string{mcpVersion, mcpSessions} {
		t.Run(version, func(t *testing.T) {
			each(t, Options{}, func(t *testing.T, url string) {
				c := tool(t, url, version)
				claimed := c.call(t, "claim_coupon", `{"stock_id":"free-order","out_request_no":"r","openid":"ann"}`)
				card := claimed.Get("result.structuredContent.coupon_id").Str
				expect(t, claimed, "result.isError", "false")
				if again := c.call(t, "claim_coupon", `{"stock_id":"free-order","out_request_no":"r","openid":"ann"}`); card == "" || again.Get("result.structuredContent.coupon_id").Str != card {
					t.Errorf("%s, then %s", claimed.Raw, again.Raw)
				}
				for _, tt := range []struct{ tool, id, key, checkout, schema, path, want string }{
					{"create_checkout", "", "k1", oneTea, checkoutSchema, "status", "ready_for_complete"},
					{"create_checkout", "", "k1", oneTea, checkoutSchema, "id", "chk_1"}, // the same once more
					{"create_checkout", "", "k2", strings.Replace(oneTea, "milk-tea-1", "rocket", 1), noSessionSchema, "ucp.status", "error"},
					{"update_checkout", "chk_1", "k3", withCodes("nonsense", card), checkoutSchema, "discounts.applied.0.code", card},
					{"get_checkout", "chk_1", "", "", checkoutSchema, "discounts.applied.0.code", card},
					{"get_checkout", "chk_9", "", "", noSessionSchema, "messages.0.code", "not_found"},
					{"complete_checkout", "chk_1", "k4", benchPayment, checkoutSchema, "order.id", "ord_1"},
					{"complete_checkout", "chk_1", "k4", benchPayment, checkoutSchema, "order.id", "ord_1"},
					{"cancel_checkout", "chk_1", "k5", "", checkoutSchema, "ucp.status", "error"},
				} {
					arguments := inMeta(tt.key)
					if tt.id != "" {
						arguments += `,"id":"` + tt.id + `"`
					}
					if tt.checkout != "" {
						arguments += `,"checkout":` + tt.checkout
					}
					content := c.call(t, tt.tool, arguments+"}").Get("result.structuredContent")
					validate(t, answers, tt.schema, content.Raw)
					expect(t, content, tt.path, tt.want)
				}
				books := call{method: "GET", path: "/books/summary"}
				if n := books.ok(t, url, 200).Get("orders").Int(); n != 1 {
					t.Errorf("%d orders in the books", n)
				}
				_, list, _ := c.post(t, "POST", "/mcp", c.request("tools/list", ""), nil)
				if n := list.Get("result.tools.#").Int(); n != 7 {
					t.Errorf("%d tools: %s", n, list.Raw)
				}
			})
		})
	}
}

// What a tool refuses, and what the protocol does.
func TestToolsRefuse(t *testing.T) {
	url := start(t, Options{Design: "null", Stock: 1})
	for _, version := range []string{mcpVersion, mcpSessions} {
		c := tool(t, url, version)
		for _, tt := range []struct{ tool, arguments, path, want string }{
			{"complete_checkout", `{"id":"chk_1","checkout":` + benchPayment + `}`, "error.code", "-32602"},
			{"create_checkout", inMeta("x") + `}`, "error.code", "-32602"},
			{"create_checkout", `[]`, "error.code", "-32602"},
			{"dance", `{}`, "error.code", "-32602"},
			{"claim_coupon", `{"stock_id":"free-order","out_request_no":"r","openid":"bob"}`, "error.code", "-32602"},
			{"claim_coupon", `{"stock_id":"other","out_request_no":"r","openid":"ann"}`, "result.structuredContent.code", "RESOURCE_NOT_EXISTS"},
			{"create_checkout", inMeta("same"+version) + `,"checkout":` + oneTea + `}`, "result.structuredContent.status", "ready_for_complete"},
			{"create_checkout", inMeta("same"+version) + `,"checkout":` + strings.Replace(oneTea, "1}]", "2}]", 1) + `}`, "error.data.code", "idempotency_conflict"},
		} {
			expect(t, c.call(t, tt.tool, tt.arguments), tt.path, tt.want)
		}
	}
	alone, within := tool(t, url, mcpVersion), tool(t, url, mcpSessions)
	call := `,"name":"get_checkout","arguments":{"id":"chk_1"}`
	for _, tt := range []struct {
		name   string
		c      *tooling
		method string // of JSON-RPC
		change map[string]string
		status int
		code   int
	}{
		{"another name in the head", alone, "tools/call", map[string]string{"Mcp-Name": "create_checkout"}, 400, rpcHeaderMismatch},
		{"no method in the head", alone, "tools/call", map[string]string{"Mcp-Method": ""}, 400, rpcHeaderMismatch},
		{"another version in the head", alone, "tools/call", map[string]string{"MCP-Protocol-Version": "2026-01-01"}, 400, rpcHeaderMismatch},
		{"a version of the future", &tooling{url: url, version: "2027-01-01"}, "", nil, 400, rpcVersion},
		{"a method that there is not", alone, "prompts/list", nil, 404, rpcNoMethod},
		{"nobody", alone, "tools/call", map[string]string{"X-User-Id": ""}, 401, rpcServer},
		{"no session", within, "tools/call", map[string]string{"MCP-Session-Id": ""}, 400, rpcInvalid},
		{"a session that is over", within, "tools/call", map[string]string{"MCP-Session-Id": "x"}, 404, rpcInvalid},
		{"another version than the session's", within, "tools/call", map[string]string{"MCP-Protocol-Version": "2025-06-18"}, 400, rpcInvalid},
		{"a method that there is not, in a session", within, "prompts/list", nil, 200, rpcNoMethod},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := tt.c.request(tt.method, call)
			if tt.method == "" {
				body = `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"` + tt.c.version + `"}}}`
			}
			status, m, _ := tt.c.post(t, "POST", "/mcp", body, tt.change)
			if status != tt.status || m.Get("error.code").String() != strconv.Itoa(tt.code) || m.Get("error.message").Str == "" {
				t.Errorf("%d %s, want %d with %d", status, m.Raw, tt.status, tt.code)
			}
		})
	}
	for _, want := range []int{204, 404} {
		if status, _, _ := within.post(t, "DELETE", "/mcp", "", nil); status != want {
			t.Errorf("DELETE: %d, want %d", status, want)
		}
	}
	if status, _, _ := within.post(t, "GET", "/mcp", "", nil); status != 405 {
		t.Errorf("GET: %d", status)
	}
}

// FuzzMCP sends any message to a shop: the answer is a response of JSON-RPC, or
// an empty 202.
func FuzzMCP(f *testing.F) {
	c := &tooling{version: mcpVersion}
	f.Add(c.request("tools/call", `,"name":"create_checkout","arguments":`+inMeta("k")+`,"checkout":`+oneTea+`}`), true)
	f.Add((&tooling{version: mcpSessions}).request("initialize", ""), false)
	f.Add(`{"jsonrpc":"2.0","method":"notifications/initialized"}`, false)
	f.Add(`{"jsonrpc":"2.0","id":[],"method":"tools/call","params":{"name":{},"arguments":5}}`, true)
	d := newFace(Designs()[0], Options{Design: "null", StockID: "free-order", Stock: 10, PerUser: 1})
	f.Fuzz(func(t *testing.T, body string, alone bool) {
		r := httptest.NewRequest("POST", "/mcp", strings.NewReader(body))
		r.Header.Set("X-User-Id", "u")
		m := gjson.Parse(body)
		if alone {
			r.Header.Set("MCP-Protocol-Version", mcpVersion)
			r.Header["Mcp-Method"], r.Header["Mcp-Name"] = []string{m.Get("method").Str}, []string{m.Get("params.name").Str}
		} else {
			r.Header.Set("MCP-Session-Id", d.guests.welcome())
		}
		w := httptest.NewRecorder()
		d.routes().ServeHTTP(w, r)
		if w.Code == http.StatusAccepted && w.Body.Len() == 0 {
			return
		}
		answer := w.Body.String()
		if !gjson.Valid(answer) || gjson.Get(answer, "result").Exists() == gjson.Get(answer, "error").Exists() {
			t.Fatalf("%q is answered by %d %s", body, w.Code, answer)
		}
	})
}
