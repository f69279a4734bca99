package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tidwall/gjson"
)

// fed is a crowd whose people, wares, addresses and words come from files, in
// bursts, with lines that hold a row of each. The target is added.
const fed = `
name: fed
seed: 3
crowd:
  shoppers: 150
  arrivals: {process: gamma, cv: 1}
  stages: [{name: all, for: 3s, rate: 1}]
  words: {file: talk.jsonl}
  think: {median: 1s, p90: 2s}
data:
  users:     {file: users.csv, secret: [phone]}
  items:     {file: items.ndjson}
  addresses: {file: addresses.csv}
factors: {pace: 0.02}
target:
  headers: {Authorization: "Bearer {{user.token}}", X-City: "{{address.city}}"}
  chat:
    protocol: http
    turn:
      request: {path: /ask, body: '{"user": "{{shopper.user}}", "phone": "{{user.phone}}", "messages": {{step.history}}}'}
      answer: {events: json, text: text}
      ok: [{path: text, exists: true}]
  checkout:
    protocol: http
    complete:
      request: {path: /buy, body: '{"user": "{{shopper.user}}", "sku": "{{step.item.id}}", "title": "{{item.title}}"}'}
      take: {order: id}
      rejected: [{path: error, exists: true}]
      ok: [{path: id, exists: true}]
validity: {lag_p99: 2s, cpu: 100%, withheld: 100%}
`

// files lays the campaign and what it reads into a folder.
func files(t *testing.T, campaign string) (dir string) {
	t.Helper()
	var users, talk strings.Builder
	users.WriteString("id,token,phone\n")
	for i := range 200 {
		fmt.Fprintf(&users, "u-%d,key-%d-of-many,1380000%04d\n", i, i, i)
		fmt.Fprintf(&talk, `{"turns":["hello %d"%s]}`+"\n", i, strings.Repeat(`,"more"`, i%3))
	}
	dir = t.TempDir()
	for name, text := range map[string]string{
		"fed.yaml": campaign, "users.csv": users.String(), "talk.jsonl": talk.String(),
		"items.ndjson": `{"id": "tea", "title": "奶茶"}` + "\n" + `{"id": "bun", "title": "\"bun\""}`, "addresses.csv": "city\nHangzhou\nBeijing\nXi'an\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestSameCrowdFromFiles: a backend sees the same people with the same rows,
// words and wares from one worker and from four, each row once, and what is
// secret is in nothing that is kept.
func TestSameCrowdFromFiles(t *testing.T) {
	t.Parallel()
	var before []string
	var prints string
	for _, workers := range []string{"1", "4"} {
		var mu sync.Mutex
		var seen []string
		backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			body := gjson.ParseBytes(b)
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, fmt.Sprint(r.URL.Path, r.Header["Authorization"], r.Header["X-City"], r.Header["X-User-Id"], body.Get("user"), body.Get("phone"),
				body.Get("messages.#(role==user)#.content"), body.Get("sku"), body.Get("title")))
			if body.Get("user").Str == "u-7" && r.URL.Path == "/buy" {
				io.WriteString(w, `{"error": "not `+body.Get("user").Str+` with `+strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")+`"}`)
				return
			}
			io.WriteString(w, `{"text": "ok", "id": "o-`+body.Get("user").Str+`"}`)
		}))
		dir := files(t, fed)
		p := start(t, "run", filepath.Join(dir, "fed.yaml"), "--target", backend.URL, "--workers", workers)
		p.want(0)
		backend.Close()
		o := p.report()
		o.accounted(t)
		slices.Sort(seen)
		if before == nil {
			before, prints = seen, o.PlanFingerprint+o.LoadFingerprint
		}
		if !slices.Equal(seen, before) || o.PlanFingerprint+o.LoadFingerprint != prints || o.Shoppers.Ended["ok"] != 149 || o.Shoppers.Ended["rejected"] != 1 {
			t.Errorf("%s workers: %d requests, with one worker %d, or not the same; %+v", workers, len(seen), len(before), o)
		}
		buys := seen[slices.IndexFunc(seen, func(s string) bool { return strings.HasPrefix(s, "/buy") }):]
		if len(buys) != 150 || buys[0] != "/buy[Bearer key-0-of-many] [Hangzhou] [u-0] u-0   tea 奶茶" {
			t.Errorf("%d purchases, the first %s", len(buys), buys[0])
		}
		kept := ""
		if err := filepath.WalkDir(p.dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				b, unread := os.ReadFile(path)
				kept += string(b)
				return unread
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"-of-many", "1380000"} {
			if strings.Contains(kept+p.out.String()+p.err.String(), secret) {
				t.Errorf("%s is kept or said", secret)
			}
		}
		if !strings.Contains(p.out.String(), "not u-7 with [redacted]") {
			t.Errorf("no evidence of the rejection:\n%s", p.out.String())
		}
	}
}

// TestFilesThatDoNotDo: too few rows, and a file that changes under the run.
func TestFilesThatDoNotDo(t *testing.T) {
	t.Parallel()
	dir := files(t, fed)
	p := start(t, "run", filepath.Join(dir, "fed.yaml"), "--demand", "2")
	p.want(2)
	if said := p.err.String(); !strings.Contains(said, "users.csv has 200 rows and 300 shoppers come: 100 are missing") {
		t.Error(said)
	}
	p = start(t, "plan", filepath.Join(dir, "fed.yaml"), "--data", t.TempDir())
	p.want(2)
	if said := p.err.String(); !strings.Contains(said, "users.csv") || !strings.Contains(said, "talk.jsonl") {
		t.Error(said)
	}

	slow := strings.Replace(fed, "for: 3s", "for: 60s", 1)
	dir = files(t, slow)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"text": "ok", "id": "o"}`) }))
	defer backend.Close()
	p = start(t, "run", filepath.Join(dir, "fed.yaml"), "--target", backend.URL)
	p.past(2)
	if err := os.WriteFile(filepath.Join(dir, "users.csv"), []byte("id,token,phone\nu-0,another,1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.want(4)
	if said := strings.Join(strings.Fields(p.out.String()), " "); !strings.Contains(said, "users.csv: changed while it was in use") {
		t.Error(said)
	}
}
