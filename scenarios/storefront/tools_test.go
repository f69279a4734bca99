package storefront

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// toolbox is the tools of a request.
func toolbox(names ...string) string {
	var all []string
	for _, n := range names {
		all = append(all, `{"type":"function","function":{"name":"`+n+`","parameters":{}}}`)
	}
	return "[" + strings.Join(all, ",") + "]"
}

const everyTool = "search claim create update complete"

// asks decodes a conversation in short: a line of the user, "→ name" for a call
// and "← content" for what the last call gave.
func asks(t *testing.T, tools string, talk ...string) *ask {
	t.Helper()
	var messages []string
	for i, line := range talk {
		switch {
		case strings.HasPrefix(line, "→ "):
			messages = append(messages, fmt.Sprintf(`{"role":"assistant","content":null,"tool_calls":[{"id":"c%d","type":"function","function":{"name":%q,"arguments":"{}"}}]}`, i, line[len("→ "):]))
		case strings.HasPrefix(line, "← "):
			messages = append(messages, fmt.Sprintf(`{"role":"tool","tool_call_id":"c%d","content":%s}`, i-1, appendString(nil, line[len("← "):])))
		default:
			messages = append(messages, `{"role":"user","content":`+string(appendString(nil, line))+`}`)
		}
	}
	a, err := decodeAsk(`{"model":"m","tools":` + toolbox(strings.Fields(tools)...) + `,"messages":[` + strings.Join(messages, ",") + `]}`)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestAssistantCalls: what the assistant has done, by what was said and given.
func TestAssistantCalls(t *testing.T) {
	tea, two, yes := "附近有什么珍珠奶茶推荐吗？", "就要珍珠奶茶，2份，少糖", "好的，用免单卡下单吧"
	claimed, created := "← {\"coupon\":\"7\"}", "← {\"checkout\":\"chk_1\",\"total\":3600}"
	for _, tt := range []struct {
		tools string
		talk  []string
		want  string // calls, or words that are in the answer
	}{
		{everyTool, []string{tea}, `search {"query":"珍珠奶茶"}`},
		{"claim create update complete", []string{tea}, "珍珠奶茶，每份18元"},
		{everyTool, []string{tea, "→ search", `← {"items":[]}`}, "珍珠奶茶，每份18元"},
		{everyTool, []string{tea, "→ search", `← {"error":"unavailable"}`, two}, "珍珠奶茶2份，共36元"},
		{everyTool, []string{tea, two, yes}, `claim {} create {"item":"milk-tea-1","quantity":2}`},
		{"search create complete", []string{tea, two, yes}, `create {"item":"milk-tea-1","quantity":2}`},
		{everyTool, []string{tea, two, yes, "→ claim", claimed}, `create {"item":"milk-tea-1","quantity":2}`},
		{everyTool, []string{tea, two, yes, "→ claim", `← {"error":"rejected","why":"NOT_ENOUGH"}`}, `create {"item":"milk-tea-1","quantity":2}`},
		{everyTool, []string{tea, two, yes, "→ claim", claimed, "→ create", created}, `update {"checkout":"chk_1","coupon":"7"}`},
		{everyTool, []string{tea, two, yes, "→ claim", claimed, "→ create", created, "→ update", `← {"checkout":"chk_1","coupon":"7"}`}, `complete {"checkout":"chk_1"}`},
		{everyTool, []string{tea, two, yes, "→ claim", `← {"error":"rejected"}`, "→ create", created}, `complete {"checkout":"chk_1"}`},
		{everyTool, []string{tea, two, yes, "→ create", `← {"error":"rejected","why":"out_of_stock"}`}, "原因是：out_of_stock"},
		{everyTool, []string{tea, two, yes, "→ create", `← {"error":"timed_out"}`, "再试一次：" + yes}, `claim {} create {"item":"milk-tea-1","quantity":2}`},
		{everyTool, []string{tea, two, yes, "→ create", created, "→ complete", `← {"order":"ord_1"}`}, "正在为您"},
		{everyTool, []string{"Look up my phone bill for this month, please.", "Yes, pay it."}, `create {"item":"bill-phone","quantity":1}`},
		{everyTool, []string{"3 × hotpot table for four then, next to each other."}, `create {"item":"table-1","quantity":3}`},
		{everyTool, []string{"hello"}, "Popular today"},
		{everyTool, []string{tea, "→ search", "← nonsense"}, "珍珠奶茶，每份18元"},
	} {
		got := speak(asks(t, tt.tools, tt.talk...))
		var calls []string
		for _, c := range got.calls {
			calls = append(calls, c.name+" "+c.arguments)
		}
		if said := strings.Join(calls, " "); said != tt.want && (len(calls) > 0 || !strings.Contains(strings.Join(got.words, ""), tt.want)) {
			t.Errorf("%q: %s %q, want %s", tt.talk, said, strings.Join(got.words, ""), tt.want)
		}
	}
}

// TestCallsOnTheWire: calls come in pieces, whole they are the same, and both
// protocols have them.
func TestCallsOnTheWire(t *testing.T) {
	url := start(t, swift)
	talk := []string{"今天有美式咖啡的活动吗？", "就要美式咖啡，3份，少糖", "好的，用免单卡下单吧"}
	messages := `[{"role":"user","content":"` + strings.Join(talk, `"},{"role":"user","content":"`) + `"}]`
	const first, second = "{}", `{"item":"coffee-2","quantity":3}`

	body := `{"model":"m","tools":` + toolbox(strings.Fields(everyTool)...) + `,"messages":` + messages
	_, whole, _ := call{"POST", chatPath, "", "", body + "}"}.do(t, url)
	r := gjson.Parse(whole).Get("choices.0")
	expect(t, r, "finish_reason", "tool_calls", "message.content", "", "message.tool_calls.#", "2", "message.tool_calls.0.function.name", "claim",
		"message.tool_calls.0.function.arguments", first, "message.tool_calls.1.function.name", "create", "message.tool_calls.1.function.arguments", second)
	_, stream, _ := call{"POST", chatPath, "", "", body + `,"stream":true}`}.do(t, url)
	arguments, pieces := map[int64]string{}, 0
	for _, line := range strings.Split(stream, "\n") {
		c := gjson.Get(strings.TrimPrefix(line, "data: "), "choices.0.delta.tool_calls.0")
		if c.Exists() {
			pieces++
			arguments[c.Get("index").Int()] += c.Get("function.arguments").Str
		}
	}
	if arguments[0] != first || arguments[1] != second || pieces < 6 || !strings.Contains(stream, `"finish_reason":"tool_calls"`) {
		t.Errorf("%v in %d pieces:\n%s", arguments, pieces, stream)
	}

	body = strings.Replace(strings.Replace(body, `"function":{"name"`, `"name"`, -1), `{}}}`, `{}}`, -1)
	body = strings.Replace(body, `"messages":`, `"input":`, 1)
	path := filepath.ToSlash(filepath.Dir(filepath.Dir(chatPath))) + "/responses"
	_, whole, _ = call{"POST", path, "", "", body + "}"}.do(t, url)
	expect(t, gjson.Parse(whole), "output.#", "2", "output.1.type", "function_call", "output.1.name", "create", "output.1.arguments", second)
	_, stream, _ = call{"POST", path, "", "", body + `,"stream":true}`}.do(t, url)
	var got string
	for _, line := range strings.Split(stream, "\n") {
		e := gjson.Parse(strings.TrimPrefix(line, "data: "))
		switch e.Get("type").Str {
		case "response.function_call_arguments.delta":
			if e.Get("output_index").Int() == 1 {
				got += e.Get("delta").Str
			}
		case "response.completed":
			expect(t, e.Get("response"), "output.#", "2", "output.0.name", "claim", "output.1.arguments", second)
		}
	}
	if got != second {
		t.Errorf("%q in\n%s", got, stream)
	}
}

// TestSearch: a search finds what is spoken of, at the price of who asks.
func TestSearch(t *testing.T) {
	url := start(t, Options{Design: "null"})
	for _, tt := range []struct{ query, want string }{
		{`{"query":"珍珠奶茶"}`, "milk-tea-1"}, {`{"query":"COCONUT latte please"}`, "coffee-1"},
		{`{"query":"ticket"}`, "film-1 concert-1"}, {`{"query":"warp drive"}`, ""}, {`{"query":"electricity"}`, "bill-power"},
	} {
		r := call{"POST", "/ucp/catalog/search", "ann", "", tt.query}.ok(t, url, 200)
		var ids []string
		for _, p := range r.Get("products").Array() {
			ids = append(ids, p.Get("variants.0.id").Str)
		}
		if strings.Join(ids, " ") != tt.want {
			t.Errorf("%s finds %v, want %s", tt.query, ids, tt.want)
		}
	}
	r := call{"POST", "/ucp/catalog/search", "ann", "", `{"query":"electricity"}`}.ok(t, url, 200)
	expect(t, r, "products.0.variants.0.price.amount", fmt.Sprint(price(find("bill-power"), "ann")))
	if n := call.ok(call{"POST", "/ucp/catalog/search", "", "", `{}`}, t, url, 200).Get("products.#").Int(); n != int64(len(catalogue)) {
		t.Errorf("everything is %d items", n)
	}
	call{"POST", "/ucp/catalog/search", "ann", "", `{"query":7}`}.ok(t, url, 400)
	c := ucpSchemas(t, "")
	validate(t, c, schemas+"shopping/catalog_search.json#/$defs/search_response", r.Raw)
}

// The tool finds what the request does.
func TestSearchTool(t *testing.T) {
	url := start(t, Options{Design: "null"})
	c := tool(t, url, mcpVersion)
	by := func(catalog string) gjson.Result {
		return c.call(t, "search_catalog", `{"meta":{},"catalog":`+catalog+`}`)
	}
	for _, query := range []string{`{"query":"latte"}`, `{}`} {
		want := call{"POST", "/ucp/catalog/search", "ann", "", query}.ok(t, url, 200).Raw
		if got := by(query); got.Get("result.structuredContent").Raw != want || got.Get("result.isError").Bool() {
			t.Errorf("%s: %s, want %s", query, got.Raw, want)
		}
	}
	expect(t, by(`{"query":7}`), "error.code", "-32602")
}
