package extensions

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

const overSocket = `
name: socket
crowd:
  shoppers: 1
  stages: [{name: calm, for: 30s, rate: 1}]
  personas: {abuser: 1}
factors: {pace: 0.01}
target:
  url: %s
  chat:
    protocol: http
    turn:
      request: {path: /talk, body: '{"messages": {{step.history}}}'}
      answer: {events: websocket, text: text, done: {path: type, is: end}}
  checkout:
    protocol: http
    complete:
      request: {path: /buy, body: '{"sku": "{{step.item.id}}"}'}
      take: {order: order}
      ok: [{path: order, exists: true}]
`

// A shopper talks over one socket and buys over another connection, and says
// goodbye to the socket when it leaves.
func TestSocket(t *testing.T) {
	var mu sync.Mutex
	sockets, said, remotes := 0, 0, map[string]bool{}
	closed := make(chan ws.StatusCode, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		remotes[r.RemoteAddr] = true
		mu.Unlock()
		if r.URL.Path == "/buy" {
			io.WriteString(w, `{"order":"o-1"}`)
			return
		}
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		sockets++
		for {
			if _, err := wsutil.ReadClientText(conn); err != nil {
				var end wsutil.ClosedError
				if c, ok := err.(wsutil.ClosedError); ok {
					end = c
				}
				closed <- end.Code
				return
			}
			said++
			wsutil.WriteServerText(conn, []byte(`{"text":"tea"}`))
			wsutil.WriteServerText(conn, []byte(`{"type":"end"}`))
		}
	}))
	defer srv.Close()
	c, err := scenarios.Parse("socket.yaml", fmt.Appendf(nil, overSocket, srv.URL))
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Plan(results.Factors{})
	if err != nil {
		t.Fatal(err)
	}
	config, err := Outfit(p, Terms{Run: "r"})
	if err != nil {
		t.Fatal(err)
	}
	var took []string
	end := crowd.New(config).Try(t.Context(), p.Shopper(scenarios.ID{}), func(s crowd.Sight) {
		took = append(took, s.Step.Kind.String()+" "+s.Result.Outcome.String())
	})
	if got := strings.Join(took, ", "); got != "turn ok, turn ok, turn ok, complete ok" || !end.Ordered {
		t.Errorf("took %s, ended %+v", got, end)
	}
	if code := <-closed; code != ws.StatusNormalClosure {
		t.Errorf("the socket was closed with %d", code)
	}
	if sockets != 1 || said != 3 || len(remotes) != 2 {
		t.Errorf("%d sockets, %d messages, connections %v", sockets, said, remotes)
	}
}
