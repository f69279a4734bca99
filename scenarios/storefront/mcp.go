package storefront

import (
	"crypto/rand"
	"net/http"
	"strconv"
	"time"

	"github.com/tidwall/gjson"
)

// MCP over streamable HTTP: the shop's operations as tools, with UCP 2026-04-08
// in their arguments and content, and a tool that claims a coupon as WeChat Pay
// does. In 2026-07-28 each request stands alone; before that there is a session
// (guests.go). Every answer is one JSON text.

const (
	mcpVersion  = "2026-07-28"
	mcpSessions = "2025-11-25" // the last version with sessions
)

// Error codes of JSON-RPC, and those that MCP adds.
const (
	rpcParse          = -32700
	rpcInvalid        = -32600
	rpcNoMethod       = -32601
	rpcParams         = -32602
	rpcServer         = -32000 // UCP's, for what the shop did not decide
	rpcHeaderMismatch = -32020
	rpcVersion        = -32022
)

// An rpc is a request of JSON-RPC, decoded.
type rpc struct {
	id     string // as JSON; empty for a notification
	method string
	params gjson.Result
}

func (f *face) routesMCP(mux *http.ServeMux) {
	mux.HandleFunc("POST /mcp", f.mcp)
	mux.HandleFunc("DELETE /mcp", f.mcpLeave)
}

// mcp is POST /mcp.
func (f *face) mcp(w http.ResponseWriter, r *http.Request) {
	body, err := f.body(r)
	if err != nil {
		f.mcpError(w, http.StatusBadRequest, "", rpcInvalid, err.Error(), nil)
		return
	}
	message, err := parse(body)
	if err != nil {
		f.mcpError(w, http.StatusBadRequest, "", rpcParse, err.Error(), nil)
		return
	}
	q := rpc{method: message.Get("method").Str, params: message.Get("params")}
	if id := message.Get("id"); id.Type == gjson.String || id.Type == gjson.Number {
		q.id = id.Raw
	}
	if q.method == "" || message.Get("jsonrpc").Str != "2.0" {
		f.mcpError(w, http.StatusBadRequest, q.id, rpcInvalid, "not a request of JSON-RPC 2.0", nil)
		return
	}
	version := r.Header.Get("MCP-Protocol-Version")
	if said := q.params.Get(`_meta.io\.modelcontextprotocol/protocolVersion`); said.Exists() || version == mcpVersion {
		f.mcpAlone(w, r, q, version, said.String())
		return
	}
	f.mcpInSession(w, r, q, version)
}

// mcpAlone answers a request that stands alone.
func (f *face) mcpAlone(w http.ResponseWriter, r *http.Request, q rpc, version, said string) {
	name := q.params.Get("name").Str
	switch {
	case version != said || r.Header.Get("Mcp-Method") != q.method || q.method == "tools/call" && r.Header.Get("Mcp-Name") != name:
		f.mcpError(w, http.StatusBadRequest, q.id, rpcHeaderMismatch, "MCP-Protocol-Version, Mcp-Method and Mcp-Name must say what the body says", nil)
	case version != mcpVersion:
		f.mcpError(w, http.StatusBadRequest, q.id, rpcVersion, "unsupported protocol version", func(b []byte) []byte {
			return append(b, `{"supported":["`+mcpVersion+`","`+mcpSessions+`"],"requested":`+string(appendString(nil, version))+`}`...)
		})
	case q.method == "server/discover":
		f.mcpResult(w, q, func(b []byte) []byte {
			return append(b, `"supportedVersions":["`+mcpVersion+`","`+mcpSessions+`"],"capabilities":{"tools":{}},"serverInfo":`+mcpServer...)
		})
	default:
		f.mcpAsk(w, r, q, http.StatusNotFound)
	}
}

// mcpInSession answers a request of the versions with sessions.
func (f *face) mcpInSession(w http.ResponseWriter, r *http.Request, q rpc, version string) {
	if q.method == "initialize" {
		w.Header().Set("MCP-Session-Id", f.guests.welcome())
		f.mcpResult(w, q, func(b []byte) []byte {
			return append(b, `"protocolVersion":"`+mcpSessions+`","capabilities":{"tools":{}},"serverInfo":`+mcpServer...)
		})
		return
	}
	guest := r.Header.Get("MCP-Session-Id")
	switch {
	case guest == "":
		f.mcpError(w, http.StatusBadRequest, q.id, rpcInvalid, "the header MCP-Session-Id is needed", nil)
	case !f.guests.knows(guest):
		f.mcpError(w, http.StatusNotFound, q.id, rpcInvalid, "the session is over", nil)
	case version != "" && version != mcpSessions:
		f.mcpError(w, http.StatusBadRequest, q.id, rpcInvalid, "the session speaks "+mcpSessions, nil)
	case q.id == "": // a notification: there is nothing to do
		w.WriteHeader(http.StatusAccepted)
	case q.method == "ping":
		f.mcpResult(w, q, func(b []byte) []byte { return b })
	default:
		f.mcpAsk(w, r, q, http.StatusOK)
	}
}

// mcpAsk answers what both generations have; unknown is the status for a method
// that there is not.
func (f *face) mcpAsk(w http.ResponseWriter, r *http.Request, q rpc, unknown int) {
	switch q.method {
	case "tools/list":
		f.mcpResult(w, q, func(b []byte) []byte { return append(b, `"tools":`+mcpTools...) })
	case "tools/call":
		f.mcpCall(w, r, q)
	default:
		f.mcpError(w, unknown, q.id, rpcNoMethod, "there is no method "+strconv.Quote(q.method), nil)
	}
}

// mcpDeeds are the tools that write.
var mcpDeeds = map[string]deed{
	"create_checkout": create, "update_checkout": replace, "complete_checkout": complete, "cancel_checkout": cancel,
}

// mcpCall calls a tool.
func (f *face) mcpCall(w http.ResponseWriter, r *http.Request, q rpc) {
	name, arguments, user := q.params.Get("name").Str, q.params.Get("arguments"), r.Header.Get("X-User-Id")
	if user == "" || len(user) > longest {
		f.mcpError(w, http.StatusUnauthorized, q.id, rpcServer, noUser, nil)
		return
	}
	switch d, writes := mcpDeeds[name]; {
	case writes:
		f.mcpWrite(w, r, q, write{
			deed: d, number: sessionNumber(arguments.Get("id").Str), at: time.Now(), user: user,
			key: arguments.Get("meta.idempotency-key").Str,
		})
	case name == "get_checkout":
		a, err := f.shown(r.Context(), arguments.Get("id").Str, user)
		f.mcpSay(w, q, &a, err)
	case name == "search_catalog":
		query, err := decodeQuery(arguments.Get("catalog"))
		if err != nil {
			f.mcpError(w, http.StatusOK, q.id, rpcParams, err.Error(), nil)
			return
		}
		f.mcpContent(w, q, false, func(b []byte) []byte { return renderFound(b, query, user) })
	case name == "claim_coupon":
		f.mcpClaim(w, r, q, user)
	default:
		f.mcpError(w, http.StatusOK, q.id, rpcParams, "there is no tool "+strconv.Quote(name), nil)
	}
}

// mcpWrite carries out a write. A create or an update may come without a key;
// then it is never a repeated one.
func (f *face) mcpWrite(w http.ResponseWriter, r *http.Request, q rpc, wr write) {
	checkout := q.params.Get("arguments.checkout").Raw
	if wr.key == "" && (wr.deed == create || wr.deed == replace) {
		wr.key = rand.Text()
	}
	var err error
	switch {
	case wr.key == "" || len(wr.key) > longest:
		err = &fault{"meta.idempotency-key", "a string of 1 to " + strconv.Itoa(longest) + " bytes is needed"}
	case wr.deed != cancel:
		err = ucpTongue.decode(checkout, &wr)
	}
	if err != nil {
		f.mcpError(w, http.StatusOK, q.id, rpcParams, err.Error(), nil)
		return
	}
	wr.payment = f.options.pays(wr.key)
	wr.fingerprint = sum(r, wr.user, q.params.Get("name").Str+" "+strconv.FormatInt(wr.number, 10)+" "+checkout)
	a, err := f.shop.checkout.Write(r.Context(), wr)
	f.mcpSay(w, q, &a, err)
}

// mcpSay sends what the shop decided, or what kept it from deciding.
func (f *face) mcpSay(w http.ResponseWriter, q rpc, a *answer, err error) {
	if err == nil {
		f.mcpContent(w, q, false, a.render)
		return
	}
	status, code, content := whyUndecided(err)
	f.mcpError(w, http.StatusOK, q.id, rpcServer, content, func(b []byte) []byte {
		b = appendField(append(b, '{'), "code", code)
		if status == http.StatusTooManyRequests {
			b = append(b, `,"retry_after":1`...)
		}
		return append(b, '}')
	})
}

// mcpClaim is the tool claim_coupon.
func (f *face) mcpClaim(w http.ResponseWriter, r *http.Request, q rpc, user string) {
	arguments := q.params.Get("arguments")
	c := claim{stock: arguments.Get("stock_id").Str, user: user, request: arguments.Get("out_request_no").Str}
	if c.stock == "" || c.request == "" || len(c.request) > longest || arguments.Get("openid").Str != user {
		f.mcpError(w, http.StatusOK, q.id, rpcParams, "a stock_id, an out_request_no and an openid, that of X-User-Id, are needed", nil)
		return
	}
	number, err := f.shop.coupons.Claim(r.Context(), c)
	f.mcpContent(w, q, err != nil, func(b []byte) []byte {
		if err == nil {
			return appendClaimed(b, number)
		}
		_, code, message := whyNot(err)
		return appendUnclaimed(b, code, message)
	})
}

// mcpLeave is DELETE /mcp.
func (f *face) mcpLeave(w http.ResponseWriter, r *http.Request) {
	if !f.guests.leave(r.Header.Get("MCP-Session-Id")) {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// mcpContent sends a tool's content, once as structure and once as text, for
// clients that look for that.
func (f *face) mcpContent(w http.ResponseWriter, q rpc, failed bool, render func([]byte) []byte) {
	f.mcpResult(w, q, func(b []byte) []byte {
		b = append(b, `"structuredContent":`...)
		from := len(b)
		b = render(b)
		text := string(b[from:])
		b = append(b, `,"content":[{"type":"text","text":`...)
		b = appendString(b, text)
		return append(b, `}],"isError":`+strconv.FormatBool(failed)...)
	})
}

// mcpResult sends a result, of which fields appends the fields.
func (f *face) mcpResult(w http.ResponseWriter, q rpc, fields func([]byte) []byte) {
	f.answerJSON(w, http.StatusOK, func(b []byte) []byte {
		b = append(b, `{"jsonrpc":"2.0","id":`...)
		b = append(b, idOrNull(q.id)...)
		b = append(b, `,"result":{"resultType":"complete"`...)
		at := len(b)
		if b = fields(append(b, ',')); len(b) == at+1 {
			b = b[:at]
		}
		return append(b, "}}"...)
	})
}

// mcpError sends an error; data, if there is some, appends what it carries.
func (f *face) mcpError(w http.ResponseWriter, status int, id string, code int, message string, data func([]byte) []byte) {
	f.answerJSON(w, status, func(b []byte) []byte {
		b = append(b, `{"jsonrpc":"2.0","id":`...)
		b = append(b, idOrNull(id)...)
		b = append(b, `,"error":{"code":`...)
		b = strconv.AppendInt(b, int64(code), 10)
		b = append(b, `,"message":`...)
		b = appendString(b, message)
		if data != nil {
			b = data(append(b, `,"data":`...))
		}
		return append(b, "}}"...)
	})
}

func idOrNull(id string) string {
	if id == "" {
		return "null"
	}
	return id
}

const mcpServer = `{"name":"flashcrowd storefront","version":"1"}`

// mcpTools is what tools/list shows. The arguments are UCP's, whose schemas are
// published elsewhere, so each tool only says which of them it needs.
const mcpTools = `[` +
	`{"name":"search_catalog","description":"Search the catalogue.","inputSchema":{"type":"object","required":["meta","catalog"]}},` +
	`{"name":"create_checkout","description":"Create a checkout session.","inputSchema":{"type":"object","required":["meta","checkout"]}},` +
	`{"name":"get_checkout","description":"Get a checkout session.","inputSchema":{"type":"object","required":["meta","id"]}},` +
	`{"name":"update_checkout","description":"Update a checkout session.","inputSchema":{"type":"object","required":["meta","id","checkout"]}},` +
	`{"name":"complete_checkout","description":"Place the order.","inputSchema":{"type":"object","required":["meta","id","checkout"]}},` +
	`{"name":"cancel_checkout","description":"Cancel a checkout session.","inputSchema":{"type":"object","required":["meta","id"]}},` +
	`{"name":"claim_coupon","description":"Claim a coupon of a stock for a user.","inputSchema":{"type":"object","required":["stock_id","out_request_no","openid"]}}]`
