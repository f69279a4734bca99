package mcp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/flashcrowd/flashcrowd/results"
)

type (
	wish struct {
		What string `json:"what"`
	}
	thing struct {
		Got string `json:"got"`
	}
)

// TestOfficialServer speaks to a server of the official SDK, which nobody wrote
// with this client in mind.
func TestOfficialServer(t *testing.T) {
	for _, test := range []struct {
		version string
		options mcp.StreamableHTTPOptions
	}{
		{"2026-07-28", mcp.StreamableHTTPOptions{Stateless: true}},
		{"2026-07-28", mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true}},
		{"2025-11-25", mcp.StreamableHTTPOptions{}},
		{"2025-11-25", mcp.StreamableHTTPOptions{JSONResponse: true}},
		{"2025-11-25", mcp.StreamableHTTPOptions{Stateless: true}},
	} {
		t.Run(fmt.Sprintf("%s stateless=%v json=%v", test.version, test.options.Stateless, test.options.JSONResponse), func(t *testing.T) {
			shop := mcp.NewServer(&mcp.Implementation{Name: "shop", Version: "1"}, nil)
			mcp.AddTool(shop, &mcp.Tool{Name: "buy"}, func(_ context.Context, r *mcp.CallToolRequest, w wish) (*mcp.CallToolResult, thing, error) {
				if w.What != "tea" {
					return nil, thing{}, errors.New("there is only tea")
				}
				return nil, thing{Got: w.What}, nil
			})
			handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return shop }, &test.options)
			var mu sync.Mutex
			var log []string
			target := dialer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				log = append(log, r.Method)
				mu.Unlock()
				handler.ServeHTTP(w, r)
			}))
			m, s := New(endpoint(test.version)), shopper()
			for attempt, want := range []int{opening(test.version), 1} {
				step := step()
				step.Attempt = attempt
				if a, requests := call(t, m, target, s, step); string(a.Content) != `{"got":"tea"}` || a.Failed || requests != want {
					t.Errorf("%s, %+v after %d requests, want %d", a.Content, a, requests, want)
				}
			}
			for _, no := range []struct {
				tool, arguments string
				want            results.Outcome
				why             string
			}{
				{"buy", `{"what":"coffee"}`, results.Unclassified, "isError: there is only tea"},
				{"dance", `{}`, results.Rejected, "-32602"},
			} {
				c, err := target.Dial(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				step := step()
				step.Attempt = 7
				if a := m.Call(c, s, step, no.tool, []byte(no.arguments)); a.Result.Outcome != no.want || !strings.Contains(a.Result.Why, no.why) {
					t.Errorf("%s %s: %s, %+v; want %v, %q", no.tool, no.arguments, a.Content, a.Result, no.want, no.why)
				}
			}
			for session := range shop.Sessions() {
				_ = session.Close() // as if it had idled for too long
			}
			again := step()
			again.Attempt = 8
			if a, _ := call(t, m, target, s, again); string(a.Content) != `{"got":"tea"}` {
				t.Errorf("after the sessions were closed: %+v", a)
			}
			c, err := target.Dial(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			m.Close(c, s, time.Now().Add(patience))
			mu.Lock()
			defer mu.Unlock()
			sessions := test.version == "2025-11-25" && !test.options.Stateless
			if left := log[len(log)-1] == "DELETE"; left != sessions {
				t.Errorf("%v", log)
			}
			for range shop.Sessions() {
				if sessions { // the server's own, of one request each, end when they like
					t.Error("a session is left")
				}
			}
		})
	}
}

// opening is how many requests the first call takes.
func opening(version string) int {
	if version == stateless {
		return 1
	}
	return 3
}
