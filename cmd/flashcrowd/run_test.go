package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/audit"
	"github.com/flashcrowd/flashcrowd/results/store"
)

// TestSameCrowdOnAnyNumberOfWorkers: who runs a shopper changes nothing about
// it, and neither does running it again.
func TestSameCrowdOnAnyNumberOfWorkers(t *testing.T) {
	t.Parallel()
	var first outcome
	for i, workers := range []string{"1", "3", "1"} {
		p := start(t, "run", "quick.yaml", "--workers", workers, "--json", "out.json")
		p.want(0)
		b, err := os.ReadFile(filepath.Join(p.dir, "out.json"))
		if err != nil {
			t.Fatal(err)
		}
		o := parse(t, b)
		o.accounted(t)
		if o.Verdict.Outcome != "pass" || o.Shoppers.Planned != 120 || o.Shoppers.Ended["ok"] != 120 {
			t.Errorf("%s workers: %+v", workers, o)
		}
		if fmt.Sprint(len(o.Workers)) != workers {
			t.Errorf("%d workers in the report, want %s", len(o.Workers), workers)
		}
		if i == 0 {
			first = o
		}
		if o.PlanFingerprint != first.PlanFingerprint || o.LoadFingerprint != first.LoadFingerprint || o.PlanFingerprint == "" || strings.Trim(o.LoadFingerprint, "0") == "" {
			t.Errorf("%s workers: plan %s load %s, first had %s and %s", workers, o.PlanFingerprint, o.LoadFingerprint, first.PlanFingerprint, first.LoadFingerprint)
		}
	}
}

// TestOrdersAreBooked holds the report against the storefront's own file, by
// other means than the audit.
func TestOrdersAreBooked(t *testing.T) {
	t.Parallel()
	p := start(t, "run", "quick.yaml", "--workers", "2")
	p.want(0)
	s, err := store.Open(p.path("runs/*/run.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	promised := map[string]string{}
	for entry, err := range s.Ledger() {
		if err != nil {
			t.Fatal(err)
		}
		if entry.Kind == results.OrderPromise && entry.Known {
			promised[entry.Key] = fmt.Sprint(entry.Amount)
		}
	}
	booked := orders(t, p.path("runs/*/books.db"))
	if !maps.Equal(promised, booked) || len(booked) < 90 {
		t.Errorf("%d orders promised, %d booked, or not the same", len(promised), len(booked))
	}
	if o := p.report(); o.Orders.Promised != uint64(len(booked)) || o.Orders.Booked != uint64(len(booked)) {
		t.Errorf("the report says %+v, the books have %d", o.Orders, len(booked))
	}
}

// TestEveryPersonaIsBookedOnce: double taps, reinstalls and hoards of coupons
// leave the books of a sound storefront as promised.
func TestEveryPersonaIsBookedOnce(t *testing.T) {
	t.Parallel()
	everybody, err := filepath.Abs("testdata/everybody.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, "run", everybody, "--workers", "2", "--json", "out.json")
	p.want(0)
	o := p.report()
	o.accounted(t)
	if o.Orders.Promised != o.Orders.Booked || o.Orders.Promised < 100 || o.Shoppers.Ended["ok"] != o.Shoppers.Planned {
		t.Errorf("%+v", o)
	}
	text, err := os.ReadFile(p.path("out.json"))
	if err != nil {
		t.Fatal(err)
	}
	var said struct {
		Orders struct{ Audit results.Audit } `json:"orders"`
	}
	if err := json.Unmarshal(text, &said); err != nil {
		t.Fatal(err)
	}
	for _, c := range said.Orders.Audit.Checks {
		if c.State != results.StateHeld {
			t.Errorf("the storefront's books: %+v", c)
		}
	}
	if n := len(said.Orders.Audit.Checks); n != len(audit.Invariants()) {
		t.Errorf("%d invariants in the report", n)
	}
	if booked := orders(t, p.path("runs/*/books.db")); uint64(len(booked)) != o.Orders.Booked {
		t.Errorf("%d keys in the books, %d orders", len(booked), o.Orders.Booked)
	}
}

// orders reads keys and amounts from a storefront's file.
func orders(t *testing.T, file string) map[string]string { return ordersBy(t, file, "key") }

// ordersBy reads amounts by another column of the orders, which tells them apart.
func ordersBy(t *testing.T, file, column string) map[string]string {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query("SELECT " + column + ", amount FROM orders")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all := map[string]string{}
	for rows.Next() {
		var key, amount string
		if err := rows.Scan(&key, &amount); err != nil {
			t.Fatal(err)
		}
		all[key] = amount
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// steady is quick.yaml with six seconds of calm, for whoever does something in
// mid-run, and a verdict that forgives nobody late.
func steady(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("testdata/quick.yaml")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "steady.yaml")
	longer := strings.NewReplacer("shoppers: 120", "shoppers: 450", "for: 2s", "for: 6s", "validity: {", "validity: {late: 0%, orphaned: 0%, ").Replace(string(text))
	if err := os.WriteFile(path, []byte(longer), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestInterrupts: once drains, twice ends at once; both leave a readable run
// whose account closes.
func TestInterrupts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		signals int
		ended   string // an outcome that some shoppers must have
	}{
		{"once", 1, "ok"},
		{"twice", 2, "canceled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, "run", steady(t), "--compress", "1", "--pace", "0.5")
			p.until("calm  planned")
			p.past(1)
			for n := range c.signals {
				p.cmd.Process.Signal(os.Interrupt)
				if n == 0 {
					p.until("no more shoppers")
				}
			}
			began := time.Now()
			p.want(4)
			if c.signals == 2 && time.Since(began) > 15*time.Second {
				t.Errorf("it took %v to end at once", time.Since(began))
			}
			o := p.report()
			o.accounted(t)
			if o.Verdict.Outcome != "invalid" || o.Shoppers.NotStarted == 0 || o.Shoppers.InFlight != 0 || o.Shoppers.Ended[c.ended] == 0 {
				t.Errorf("%+v", o)
			}
			if !strings.Contains(p.out.String(), "stopped by the user") {
				t.Errorf("the report does not say who stopped it:\n%s", p.out.String())
			}
		})
	}
}

// TestKilledParts: whoever is killed, the run says who it was, accounts for
// every shopper and does not pass.
func TestKilledParts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, part, pace, says string }{
		{"worker", "worker", "0.5", "worker-"},
		{"k6", "k6", "0.5", "signal: killed"},
		// Orders are booked that the dead could not report: not the backend's fault.
		{"k6 among orders", "k6", "0.001", "signal: killed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, "run", steady(t), "--workers", "2", "--pace", c.pace)
			p.past(1)
			worker := child(t, p.cmd.Process.Pid, " worker ")
			k6 := child(t, worker, " k6 run ")
			if c.part == "worker" {
				syscall.Kill(worker, syscall.SIGKILL)
				for deadline := time.Now().Add(30 * time.Second); alive(k6); time.Sleep(10 * time.Millisecond) { // polls another process
					if time.Now().After(deadline) {
						t.Errorf("the child of a killed worker is alive after half a minute")
						syscall.Kill(k6, syscall.SIGKILL)
						break
					}
				}
			} else {
				syscall.Kill(k6, syscall.SIGKILL)
			}
			p.want(4)
			o := p.report()
			o.accounted(t)
			if o.Shoppers.Orphaned+o.Shoppers.NotStarted+o.Shoppers.Late == 0 || !strings.Contains(p.out.String(), c.says) {
				t.Errorf("%+v\n%s", o.Shoppers, p.out.String())
			}
		})
	}
}

// TestNothingOutlivesARun: when run is killed, its workers, their children and
// the storefront end by themselves.
func TestNothingOutlivesARun(t *testing.T) {
	t.Parallel()
	p := start(t, "run", steady(t), "--pace", "5")
	p.past(1)
	parts := children(t, p.cmd.Process.Pid)
	for _, c := range slices.Clone(parts) {
		parts = append(parts, children(t, c)...)
	}
	if len(parts) != 3 {
		t.Fatalf("storefront, worker and k6 expected, got %d processes", len(parts))
	}
	p.cmd.Process.Kill()
	p.code()
	for deadline := time.Now().Add(time.Minute); slices.ContainsFunc(parts, alive); time.Sleep(50 * time.Millisecond) { // polls other processes
		if time.Now().After(deadline) {
			for _, pid := range parts {
				t.Errorf("alive: %v %s", alive(pid), commandOf(pid))
				syscall.Kill(pid, syscall.SIGKILL)
			}
			return
		}
	}
	o := p.report() // what was committed can be read
	if o.Verdict.Outcome == "pass" {
		t.Error("a run that was killed passes")
	}
}

// TestTargetThatRefuses: a backend that is not there ends in a verdict.
func TestTargetThatRefuses(t *testing.T) {
	t.Parallel()
	p := start(t, "run", "quick.yaml", "--target", "http://127.0.0.1:1", "--pace", "0.001")
	p.want(3)
	o := p.report()
	o.accounted(t)
	if o.Verdict.Outcome != "fail" || o.Shoppers.Ended["connection_failed"] != 120 || !strings.Contains(p.out.String(), "refused") {
		t.Errorf("%+v\n%s", o, p.out.String())
	}
}

// TestScriptInPlainK6 runs the example scripts with the k6 inside: no
// coordinator, k6's own thresholds and summary.
func TestScriptInPlainK6(t *testing.T) {
	t.Parallel()
	shop := start(t, "storefront", "--design", "null", "--listen", "127.0.0.1:0")
	defer func() {
		shop.cmd.Process.Signal(os.Interrupt)
		shop.code()
	}()
	var url string
	for deadline := time.Now().Add(time.Minute); url == ""; time.Sleep(20 * time.Millisecond) { // polls what another process says
		if line, _, ok := strings.Cut(shop.out.String(), "\n"); ok {
			url, _, _ = strings.Cut(strings.TrimPrefix(line, storefrontSays), " ")
		} else if time.Now().After(deadline) {
			t.Fatal("the storefront does not start")
		}
	}
	campaign, err := filepath.Abs("testdata/quick.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range []string{"example.js", "shopper.js"} {
		t.Run(script, func(t *testing.T) {
			path, err := filepath.Abs("../../scenarios/scripts/" + script)
			if err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(binary, "k6", "run", "--no-usage-report", "-e", "TARGET="+url, "-e", "CAMPAIGN="+campaign, path).CombinedOutput()
			if err != nil {
				t.Fatalf("k6 run: %v\n%s", err, out)
			}
			for _, want := range []string{"turn_ttft", "order_success", "shoppers_ended", "✓"} {
				if !strings.Contains(string(out), want) {
					t.Errorf("k6's summary lacks %s:\n%s", want, out)
				}
			}
		})
	}
}

// TestStorefrontThatDies: the run says that it did, and judges nobody.
func TestStorefrontThatDies(t *testing.T) {
	t.Parallel()
	p := start(t, "run", steady(t), "--pace", "0.5")
	p.past(1)
	syscall.Kill(child(t, p.cmd.Process.Pid, " storefront "), syscall.SIGKILL)
	p.want(4)
	o := p.report()
	o.accounted(t)
	if !strings.Contains(p.out.String(), "the storefront ended: signal: killed") {
		t.Errorf("the report does not say what happened:\n%s", p.out.String())
	}
}
