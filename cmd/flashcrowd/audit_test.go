package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// TestAudit runs a crowd at a storefront of its own, keeps its books in every
// form, and holds the run against them: whole, with a row too few, and in every
// way in which books can't be read. What the run keeps follows.
func TestAudit(t *testing.T) {
	shop := start(t, "storefront", "--listen", "127.0.0.1:0")
	at := shop.listens()
	mine := filepath.Join(t.TempDir(), "mine.yaml")
	quick, err := os.ReadFile("testdata/quick.yaml")
	if err != nil {
		t.Fatal(err)
	}
	keep := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(filepath.Dir(mine), name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keep("mine.yaml", string(quick)+"audit: {source: storefront}\n")
	run := start(t, "run", mine, "--target", at, "--json", "first.json")
	run.want(0)
	if text := run.out.String(); !strings.Contains(text, "the storefront's books at 127.0.0.1:") {
		t.Errorf("the report does not name the books:\n%s", text)
	}

	// The books, as files.
	var rows []string
	for _, table := range []string{"orders", "coupons", "stocks", "seats"} {
		answer, err := http.Get(at + "/books/" + table)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		keep(table+".ndjson", string(text))
		if table == "orders" {
			rows = strings.Split(strings.TrimSpace(string(text)), "\n")
		}
	}
	csv := func(rows []string, zone bool) string {
		out := "no,idem,total,created\n"
		for _, row := range rows {
			at := gjson.Get(row, "at").Time().UTC().Format("2006-01-02 15:04:05.999999Z")
			if !zone {
				at = strings.TrimSuffix(at, "Z")
			}
			out += fmt.Sprintf("%s,%s,%.2f,%s\n", gjson.Get(row, "order_id"), gjson.Get(row, "key"), gjson.Get(row, "amount").Float()/100, at)
		}
		return out
	}
	keep("short.csv", csv(rows[1:], true))
	keep("naive.csv", csv(rows, false))
	keep("cut.csv", csv(rows, true)[:200])
	keep("twice.csv", csv(append(rows, rows[0]), true))
	const mapped = "currency: CNY, decimals: 2, orders: {file: %s, columns: {id: no, key: idem, amount: total, at: created}}}\n"
	keep("mapped.yaml", string(quick)+"audit: {source: files, "+fmt.Sprintf(mapped, "short.csv"))
	keep("shifted.yaml", string(quick)+"audit: {source: files, zone: \"-03:30\", "+fmt.Sprintf(mapped, "naive.csv"))
	dir := filepath.Dir(mine)

	audit := func(args ...string) (code int, out, talk string) {
		t.Helper()
		var stdout, stderr strings.Builder
		cmd := exec.Command(binary, append([]string{"audit", "latest"}, args...)...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = run.dir, &stdout, &stderr
		if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
	}
	verdict := func() string { return run.report().Verdict.Outcome }

	for _, tt := range []struct {
		name    string
		args    []string
		code    int
		says    string // a part of what it prints, or says
		verdict string // of the run, afterwards
	}{
		{"as the campaign says", nil, 0, "the storefront's books at 127.0.0.1:", "pass"},
		{"a storefront", []string{"--source", at}, 0, "the storefront's books at 127.0.0.1:", "pass"},
		{"a folder of exports", []string{"--source", dir}, 0, "in orders.ndjson, coupons.ndjson, stocks.ndjson, seats.ndjson", "pass"},
		{"a row is missing", []string{"--campaign", filepath.Join(dir, "mapped.yaml")}, 3, gjson.Get(rows[0], "order_id").String(), "fail"},
		{"cut off", []string{"--campaign", filepath.Join(dir, "mapped.yaml"), "--source", filepath.Join(dir, "cut.csv")}, 1, "cut.csv: line ", "fail"},
		{"a row is there twice", []string{"--campaign", filepath.Join(dir, "mapped.yaml"), "--source", filepath.Join(dir, "twice.csv")}, 1, "the same row is there a second time", "fail"},
		{"no zone", []string{"--campaign", filepath.Join(dir, "mapped.yaml"), "--source", filepath.Join(dir, "naive.csv")}, 1, `audit.zone: "+00:00" would put it into the run`, "fail"},
		{"another zone", []string{"--campaign", filepath.Join(dir, "shifted.yaml")}, 1, `audit.zone: "+00:00" would put it into the run`, "fail"},
		{"other columns", []string{"--source", filepath.Join(dir, "short.csv")}, 1, `short.csv: there is no column "order_id" (audit.orders.columns.id)`, "fail"},
		{"nobody there", []string{"--source", "http://127.0.0.1:1"}, 1, "connection refused", "fail"},
		{"nothing of the kind", []string{"--source", "mysql://shop"}, 2, "--source mysql://shop: want http://", "fail"},
		{"a password in sight", []string{"--source", "postgres://me:secret@127.0.0.1/shop"}, 2, "must not hold a password", "fail"},
		{"a database without a query", []string{"--source", "sqlite:shop.db"}, 2, "has no query for it\nhint: --campaign FILE", "fail"},
		{"a campaign without books", []string{"--campaign", "smoke"}, 2, "it does not say where the books are", "fail"},
		{"an address that nothing allows", []string{"--source", "http://192.0.2.1"}, 1, "hint: --allow ADDRESS", "fail"},
		{"whole again", []string{"--source", filepath.Join(dir, "orders.ndjson")}, 0, "in orders.ndjson", "pass"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, out, talk := audit(tt.args...)
			if code != tt.code || !strings.Contains(out+talk, tt.says) || strings.Contains(out+talk, "secret") {
				t.Errorf("exit code %d, want %d, and %q in:\n%s\n%s", code, tt.code, tt.says, out, talk)
			}
			if got := verdict(); got != tt.verdict {
				t.Errorf("the run is a %s now, want %s", got, tt.verdict)
			}
		})
	}

	code, out, talk := audit("--json")
	var d struct {
		Orders struct {
			Audit struct{ Source string }
		}
	}
	if err := json.Unmarshal([]byte(out), &d); code != 0 || err != nil || d.Orders.Audit.Source == "" {
		t.Errorf("--json: exit code %d, %v:\n%s\n%s", code, err, out, talk)
	}
}

// TestAuditBeforeTheRun: that books can't be reached is found out before any
// load, and files are for later.
func TestAuditBeforeTheRun(t *testing.T) {
	quick, err := os.ReadFile("testdata/quick.yaml")
	if err != nil {
		t.Fatal(err)
	}
	shop := start(t, "storefront", "--listen", "127.0.0.1:0")
	at := shop.listens()
	for _, tt := range []struct {
		audit string
		code  int
		says  string
	}{
		{`{source: postgres, url: "${NO_SUCH_BOOKS}", orders: {query: SELECT 1}}`, 2, "${NO_SUCH_BOOKS} is not set"},
		{`{source: sqlite, file: shop.db, orders: {query: SELECT 1}}`, 1, "open the books: there is no file "},
		{`{source: files, orders: {file: orders.csv}}`, 4, "flashcrowd audit "},
	} {
		mine := filepath.Join(t.TempDir(), "mine.yaml")
		if err := os.WriteFile(mine, append(quick, []byte("audit: "+tt.audit+"\n")...), 0o600); err != nil {
			t.Fatal(err)
		}
		p := start(t, "run", mine, "--target", at, "--scale", "1/10")
		if p.want(tt.code); !strings.Contains(p.out.String()+p.err.String(), tt.says) {
			t.Errorf("%s: want %q in:\n%s\n%s", tt.audit, tt.says, p.out.String(), p.err.String())
		}
	}
}
