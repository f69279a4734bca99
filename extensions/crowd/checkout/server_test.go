package checkout

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

var update = flag.Bool("update", false, "write the goldens anew")

// dial starts a server and connects to it.
func dial(t testing.TB, h http.HandlerFunc) *wire.Conn {
	t.Helper()
	srv := httptest.NewServer(h)
	target, err := wire.NewTarget(wire.Config{URL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	c, err := target.Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); srv.CloseClientConnections(); srv.Close() })
	return c
}

func shopper() *crowd.Shopper {
	s := &crowd.Shopper{Header: []byte("X-User-Id: the-user\r\n")}
	s.User = scenarios.Key(7, scenarios.Intent{ID: scenarios.ID{Number: 42}, Step: scenarios.UserStep})
	return s
}

func key(step int) scenarios.UUID {
	return scenarios.Key(7, scenarios.Intent{ID: scenarios.ID{Number: 42}, Step: step})
}

// capture answers with body and hands out the request as text: the request
// line, the header in order of names, the body.
func capture(request *string, body *[]byte, answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		*body, _ = io.ReadAll(r.Body)
		var lines []string
		for name, values := range r.Header {
			lines = append(lines, name+": "+strings.Join(values, ", "))
		}
		slices.Sort(lines)
		*request = fmt.Sprintf("%s %s\n%s\n\n%s\n", r.Method, r.RequestURI, strings.Join(lines, "\n"), *body)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, answer)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, []byte(got)) {
		t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
	}
}

// patience is enough for a server in this process.
const patience = 5 * time.Second
