// Package crowdtest is for the tests of protocols: a backend on loopback, a
// shopper to send there, and goldens of what was sent.
package crowdtest

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

// Updating says that goldens are to be written anew.
func Updating() bool { return *update }

// Patience is enough for a server in this process, however busy the machine.
const Patience = 30 * time.Second

// Target starts a server and returns what connects to it.
func Target(t testing.TB, h http.Handler) *wire.Target {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	target, err := wire.NewTarget(wire.Config{URL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// Dial starts a server and connects to it.
func Dial(t testing.TB, h http.HandlerFunc) *wire.Conn {
	t.Helper()
	c, err := Target(t, h).Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Shopper returns one who sends its user id with each request.
func Shopper() *crowd.Shopper {
	s := &crowd.Shopper{Header: []byte("X-User-Id: the-user\r\n")}
	s.User = Key(scenarios.UserStep)
	return s
}

// Key returns the shopper's key of a step.
func Key(step int) scenarios.UUID {
	return scenarios.Key(7, scenarios.Intent{ID: scenarios.ID{Number: 42}, Step: step})
}

// Capture answers with JSON and hands out the request as text: the request line,
// the header in order of names, the body.
func Capture(request *string, body *[]byte, answer string) http.HandlerFunc {
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

// Golden holds a text against testdata/name.golden; -update writes it anew.
func Golden(t *testing.T, name, got string) {
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
