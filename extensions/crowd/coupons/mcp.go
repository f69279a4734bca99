package coupons

import (
	"time"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/mcp"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// Tool claims by the tool claim_coupon of an MCP server. No standard has one,
// so it speaks as WeChat Pay does: it takes a stock_id, an out_request_no and an
// openid, and answers with a coupon_id, or with a code and a message. It is
// shared by all shoppers.
type Tool struct {
	client *mcp.Client
	head   []byte // of the arguments, up to the request number
}

func newTool(e scenarios.Endpoint) *Tool {
	head := gjson.AppendJSONString([]byte(`{"stock_id":`), e.StockID)
	return &Tool{mcp.New(e), append(head, `,"out_request_no":"`...)}
}

// Do implements crowd.Protocol.
func (t *Tool) Do(c *wire.Conn, s *crowd.Shopper, step scenarios.Step) scenarios.Result {
	a := t.client.Call(c, s, step, "claim_coupon", t.head, []byte(step.Key.String()), append(gjson.AppendJSONString([]byte(`","openid":`), s.UserID()), '}'))
	if a.Content == nil {
		return a.Result
	}
	return a.As(classify(200, a.Content), "a coupon")
}

// Leave implements crowd.Leaver.
func (t *Tool) Leave(c *wire.Conn, s *crowd.Shopper, deadline time.Time) {
	t.client.Close(c, s, deadline)
}

var (
	_ crowd.Protocol = (*Tool)(nil)
	_ crowd.Leaver   = (*Tool)(nil)
)
