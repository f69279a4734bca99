package mcp

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/crowdtest"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

const patience = crowdtest.Patience

// dialer starts a server and returns what connects to it.
var dialer = crowdtest.Target

func endpoint(version string) scenarios.Endpoint {
	return scenarios.Endpoint{Protocol: scenarios.MCP, Version: version, Path: "/mcp"}
}

var shopper = crowdtest.Shopper

func step() scenarios.Step {
	return scenarios.Step{Kind: scenarios.Create, Key: crowdtest.Key(4), Answer: patience}
}

// call calls a tool as the engine would: again while there is more, on another
// connection if the last one can't be used.
func call(t *testing.T, m *Client, target *wire.Target, s *crowd.Shopper, step scenarios.Step) (a Answer, requests int) {
	t.Helper()
	var c *wire.Conn
	for requests = 1; requests <= 8; requests++ {
		if c == nil || !c.Reusable() {
			var err error
			if c, err = target.Dial(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
		}
		if a = m.Call(c, s, step, "buy", []byte(`{"what":`), []byte(`"tea"}`)); !a.Result.More {
			return a, requests
		}
	}
	return a, requests
}

// say answers each request by what it asks for: initialize and notifications
// as they should be, and a tools/call by answer, in which ID stands for the id.
func say(answer func(w http.ResponseWriter, r *http.Request, id string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		m := gjson.ParseBytes(body)
		switch m.Get("method").Str {
		case "initialize":
			w.Header().Set("MCP-Session-Id", "the-session")
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"jsonrpc":"2.0","id":`+m.Get("id").Raw+`,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"x","version":"1"}}}`)
		case "notifications/initialized":
			w.WriteHeader(http.StatusAccepted)
		default:
			answer(w, r, m.Get("id").Raw)
		}
	})
}

// saying answers a call with a status and a body.
func saying(status int, body string) http.Handler {
	return say(func(w http.ResponseWriter, r *http.Request, id string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, strings.ReplaceAll(body, "ID", id))
	})
}
