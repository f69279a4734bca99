package extensions

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

const guarded = `
name: guarded
crowd:
  shoppers: 1
  stages: [{name: calm, for: 30s, rate: 1}]
  journeys: {browse: 1}
target:
  url: %s
  headers: {Authorization: "Bearer {{taken.token}}", X-Team: a}
  login:
    request: {path: /login, body: '{"user": "{{shopper.user}}", "password": "${PASSWORD}"}'}
    take: {token: token}
    ok: [{path: token, exists: true}]
    refresh:
      request: {path: /refresh, body: '{"old": "{{taken.token}}"}'}
      take: {token: token}
      ok: [{path: token, exists: true}]
  chat: {protocol: openai, model: m}
`

// A shopper logs in, is known to a protocol that has no login of its own, and
// renews a token that is over; nobody who looks on sees token or password.
func TestLogin(t *testing.T) {
	const password = `pa"ss-word-1`
	tokens := 0
	token := func() string { return fmt.Sprintf("token-%08d", tokens) }
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var ask struct{ User, Password, Old string }
		body, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(body, &ask); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		known := r.Header.Get("Authorization") == "Bearer "+token()
		if r.Header.Get("X-Team") != "a" {
			t.Errorf("%s without the campaign's header", r.URL.Path)
		}
		switch {
		case r.URL.Path == "/login" && ask.Password == password && ask.User != "" && r.Header.Get("Authorization") == "",
			r.URL.Path == "/refresh" && ask.Old == token() && known:
			tokens++
			fmt.Fprintf(w, `{"token": %q}`, token())
		case r.URL.Path == "/chat/completions" && known && (tokens > 1 || !strings.Contains(string(body), "assistant")):
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: {\"choices\":[{\"delta\":{\"content\":\"tea\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
		default:
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"error":{"code":"expired"}}`)
		}
	}))
	defer srv.Close()
	c, err := scenarios.Parse("guarded.yaml", fmt.Appendf(nil, guarded, srv.URL))
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Plan(results.Factors{})
	if err != nil {
		t.Fatal(err)
	}
	config, err := Outfit(p, Terms{Run: "r", Env: map[string]string{"PASSWORD": password}})
	if err != nil {
		t.Fatal(err)
	}
	var took []string
	end := crowd.New(config).Try(t.Context(), p.Shopper(scenarios.ID{}), func(s crowd.Sight) {
		took = append(took, s.Step.Kind.String()+" "+s.Result.Outcome.String())
		for _, text := range []string{s.Request, s.Response, s.Result.Why} {
			if strings.Contains(text, "ss-word") || strings.Contains(text, "token-") {
				t.Errorf("%s shows\n%s", s.Step.Kind, text)
			}
		}
	})
	if got := strings.Join(took, ", "); got != "login ok, turn ok, turn rejected, refresh ok, turn ok, turn ok" || end.Outcome != results.OK {
		t.Errorf("took %s, ended %+v", got, end)
	}
}
