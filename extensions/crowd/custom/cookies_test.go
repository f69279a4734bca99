package custom

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

func TestCookies(t *testing.T) {
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf("c%d=1", i))
	}
	for _, test := range []struct {
		name string
		set  []string
		want string
	}{
		{"none", nil, ""},
		{"one", []string{"session=a; HttpOnly; SameSite=Lax"}, "session=a"},
		{"two, the longer path first", []string{"a=1; Path=/", "b=2; Path=/api"}, "b=2; a=1"},
		{"again", []string{"a=1; Path=/", "a=2; Path=/"}, "a=2"},
		{"elsewhere", []string{"a=1; Path=/other", "b=1; Path=/ap", "c=1; Domain=shop.invalid"}, ""},
		{"gone", []string{"a=1; Path=/", "a=1; Path=/; Max-Age=0"}, ""},
		{"long gone", []string{"a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT"}, ""},
		{"for a while", []string{"a=1; Max-Age=60"}, "a=1"},
		{"the default path", []string{"a=1"}, "a=1"},
		{"nonsense", []string{"=", "a b=1", "", "a=\"\x01\""}, ""},
		{"endless", []string{"a=" + strings.Repeat("x", 5000)}, ""},
		{"many", many, strings.Join(many[:mostCookies], "; ")},
	} {
		var got string
		c := dial(t, func(w http.ResponseWriter, r *http.Request) {
			got = r.Header.Get("Cookie")
			for _, line := range test.set {
				w.Header().Add("Set-Cookie", line)
			}
			io.WriteString(w, answers[0].body)
		})
		s, h := &crowd.Shopper{}, protocol(t, "complete", buy)
		step := scenarios.Step{Kind: scenarios.Complete, Answer: patience, Session: "s"}
		for i := range 2 {
			if r := h.Do(c, s, step); r.Outcome != results.OK || i == 0 && got != "" {
				t.Fatalf("%s: %+v, cookies %q", test.name, r, got)
			}
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func FuzzCookies(f *testing.F) {
	f.Add("a=1; Path=/; Max-Age=5", "/api/x", "shop.example:80")
	f.Add("a=\"b c\"; Domain=example", "/", "shop")
	f.Fuzz(func(t *testing.T, line, path, host string) {
		if !strings.HasPrefix(path, "/") {
			t.Skip("not a path")
		}
		s, now := &crowd.Shopper{}, time.Now()
		take(s, line, host, path, now)
		if got := appendCookies(nil, s, path, now); strings.Count(string(got), "\n") > 1 || len(got) > longestCookie+20 {
			t.Fatalf("%q gives %q", line, got)
		}
	})
}
