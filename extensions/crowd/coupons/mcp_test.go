package coupons

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// The tool says what WeChat Pay's call says, and a tool that calls it an error
// is never ok.
func TestToolOutcomes(t *testing.T) {
	for _, version := range []string{"2026-07-28", "2025-11-25"} {
		for _, test := range answers {
			if !json.Valid([]byte(test.body)) || test.body[0] != '{' || strings.HasPrefix(test.why, "HTTP") {
				continue // an answer that is none: see package mcp
			}
			for _, failed := range []bool{false, true} {
				want := test.want
				if failed && want == results.OK {
					want = results.Unclassified
				}
				t.Run(version+"/"+test.name, func(t *testing.T) {
					var arguments string
					c := dial(t, func(w http.ResponseWriter, r *http.Request) {
						body, _ := io.ReadAll(r.Body)
						m := gjson.ParseBytes(body)
						result := `{"protocolVersion":"2025-11-25"}`
						if m.Get("method").Str == "tools/call" {
							result = `{"structuredContent":` + test.body + `}`
							if failed {
								result = `{"isError":true,` + result[1:]
							}
							arguments = m.Get("params.name").Str + m.Get("params.arguments").Raw
						}
						io.WriteString(w, `{"jsonrpc":"2.0","id":`+m.Get("id").Raw+`,"result":`+result+`}`)
					})
					p, s := New(scenarios.Endpoint{Protocol: scenarios.MCP, Version: version, Path: "/mcp", StockID: "9856000"}), shopper()
					r := p.Do(c, s, claim())
					for n := 0; r.More && n < 5; n++ {
						r = p.Do(c, s, claim())
					}
					p.(crowd.Leaver).Leave(c, s, time.Now().Add(patience))
					if r.Outcome != want || (r.Why == "") != (want == results.OK) || (r.Coupon == "98674556") != (want == results.OK) || r.End.IsZero() {
						t.Errorf("%+v; want %v", r, want)
					}
					if w := `claim_coupon{"stock_id":"9856000","out_request_no":"` + key(3).String() + `","openid":"` + s.User.String() + `"}`; arguments != w {
						t.Errorf("%s\nwant\n%s", arguments, w)
					}
				})
			}
		}
	}
}
