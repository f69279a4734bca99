package checkout

import (
	"time"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/mcp"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// Tools is UCP 2026-04-08 in its MCP binding: the bodies are those of REST, each
// the argument of a tool, and so are the answers, each a tool's content. It is
// shared by all shoppers.
type Tools struct{ client *mcp.Client }

// Do implements crowd.Protocol.
func (t *Tools) Do(c *wire.Conn, s *crowd.Shopper, step scenarios.Step) scenarios.Result {
	a := t.client.Call(c, s, step, tool(step.Kind), arguments(s, step))
	if a.Content == nil {
		return a.Result
	}
	return a.As(classify(ucp{}, step, 200, a.Content), "a checkout that is well")
}

// Leave implements crowd.Leaver.
func (t *Tools) Leave(c *wire.Conn, s *crowd.Shopper, deadline time.Time) {
	t.client.Close(c, s, deadline)
}

// tool returns the tool that carries out a kind of step.
func tool(k scenarios.StepKind) string {
	switch k {
	case scenarios.Search:
		return "search_catalog"
	case scenarios.Read, scenarios.Poll:
		return "get_checkout"
	case scenarios.Update:
		return "update_checkout"
	case scenarios.Complete:
		return "complete_checkout"
	}
	return "create_checkout"
}

// arguments renders the arguments of a step's tool. What is a header in REST
// stands in meta, what is in the path stands in id.
func arguments(s *crowd.Shopper, step scenarios.Step) []byte {
	b := append(make([]byte, 0, 512), `{"meta":{"ucp-agent":{"profile":"`+profile+`"}`...)
	identified, what := true, `,"checkout":`
	switch step.Kind {
	case scenarios.Read, scenarios.Poll: // change nothing
	case scenarios.Search: // nor does this
		identified, what = false, `,"catalog":`
	default:
		b = append(b, `,"idempotency-key":"`...)
		b = step.Key.Append(b)
		b = append(b, '"')
		identified = step.Kind != scenarios.Create
	}
	b = append(b, '}')
	if identified {
		b = append(b, `,"id":`...)
		b = gjson.AppendJSONString(b, step.Session)
	}
	if _, _, body := (ucp{}).request(nil, s, step); body != nil {
		b = append(b, what...)
		b = append(b, body...)
	}
	return append(b, '}')
}

var (
	_ crowd.Protocol = (*Tools)(nil)
	_ crowd.Leaver   = (*Tools)(nil)
)
