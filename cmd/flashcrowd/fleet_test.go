package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// A fleet of processes on loopback, with a key of its own.
type fleetUnderTest struct {
	t      *testing.T
	key    string
	shop   string // URL
	leader *process
	join   string
}

func startFleet(t *testing.T, workers string) *fleetUnderTest {
	t.Helper()
	f, _ := startFleetBehind(t, workers, nil)
	return f
}

// startFleetBehind starts one with a changed campaign, behind a door that sees
// what it sends.
func startFleetBehind(t *testing.T, workers string, change func(campaign string) string) (*fleetUnderTest, *door) {
	t.Helper()
	f := &fleetUnderTest{t: t, key: filepath.Join(t.TempDir(), "fleet.key")}
	start(t, "keygen", f.key).want(0)
	campaign, err := filepath.Abs("testdata/fleet.yaml")
	if err != nil {
		t.Fatal(err)
	}
	shop := start(t, "storefront", "--listen", "127.0.0.1:0")
	t.Cleanup(func() { shop.cmd.Process.Kill(); shop.code() })
	f.shop = said(shop, `(http://[0-9.:]+)`)
	target := f.shop
	var d *door
	if change != nil {
		text, err := os.ReadFile(campaign)
		if err != nil {
			t.Fatal(err)
		}
		campaign = filepath.Join(t.TempDir(), "changed.yaml")
		if err := os.WriteFile(campaign, []byte(change(string(text))), 0o600); err != nil {
			t.Fatal(err)
		}
		d = newDoor(t, f.shop)
		target = d.URL
	}
	f.leader = start(t, "coordinator", campaign, "--target", target,
		"--workers", workers, "--key", f.key, "--bind", "127.0.0.1:0", "--json", "out.json", "--runs", "runs", "-v")
	f.join = said(f.leader, `--join (\S+)`)
	return f, d
}

// said waits until a process has said something and returns the part of it in
// parentheses.
func said(p *process, pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) { // polls what another process says
		if m := re.FindStringSubmatch(p.out.String() + p.err.String()); m != nil {
			return m[1]
		}
	}
	p.t.Fatalf("never said %s:\n%s%s", pattern, p.out.String(), p.err.String())
	return ""
}

func (f *fleetUnderTest) worker(name string) *process {
	return start(f.t, "worker", "--join", f.join, "--key", f.key, "--name", name)
}

func (f *fleetUnderTest) status() agents.Status {
	f.t.Helper()
	p := start(f.t, "status", "--join", f.join, "--key", f.key, "--json")
	p.want(0)
	var s agents.Status
	if err := json.Unmarshal([]byte(p.out.String()), &s); err != nil {
		f.t.Fatalf("%v in %s", err, p.out.String())
	}
	return s
}

// reaches waits until the fleet's status is as wanted.
func (f *fleetUnderTest) reaches(what string, is func(agents.Status) bool) agents.Status {
	f.t.Helper()
	var s agents.Status
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) { // polls another process
		if s = f.status(); is(s) {
			return s
		}
	}
	f.t.Fatalf("the fleet never had %s: %+v", what, s)
	return s
}

// TestFleetOfProcesses: workers come and go, the coordinator is killed and
// started again, and every shopper is launched once, on time.
func TestFleetOfProcesses(t *testing.T) {
	t.Parallel()
	f := startFleet(t, "2")
	one, two := f.worker("one"), f.worker("two")
	f.reaches("launches", func(s agents.Status) bool { return len(s.Members) == 2 && s.Members[0].Launched > 2 })

	three := f.worker("three")
	f.reaches("a third member with slots", func(s agents.Status) bool { return len(s.Members) == 3 && s.Members[2].Slots > 1000 })
	one.cmd.Process.Signal(syscall.SIGTERM)
	one.want(0)
	slots := 0
	for _, m := range f.status().Members {
		slots += m.Slots
		if m.Name == "one" && (m.State != "left" || m.Slots != 0) {
			t.Errorf("after a polite leave: %+v", m)
		}
	}
	if slots != 4096 {
		t.Errorf("%d slots have an owner after a polite leave", slots)
	}

	f.leader.cmd.Process.Kill()
	f.leader.code()
	dir := f.leader.dir
	again := start(t, "coordinator", "--resume", "latest", "--runs", filepath.Join(dir, "runs"), "--key", f.key, "--json", "out.json")
	again.want(0)
	two.want(0)
	three.want(0)
	b, err := os.ReadFile(filepath.Join(again.dir, "out.json"))
	if err != nil {
		t.Fatal(err)
	}
	o := parse(t, b)
	o.accounted(t)
	if o.Verdict.Outcome != "pass" || o.Shoppers.Ended["ok"] != 300 || o.Shoppers.Late != 0 || len(o.Workers) != 3 {
		t.Errorf("%+v", o)
	}
	// Nobody came later than planned while the coordinator was away.
	plan := planOf(t, "testdata/fleet.yaml")
	launched := map[int]uint64{}
	for _, s := range o.Seconds {
		launched[s.At] = s.Launched
	}
	for second := range 25 {
		from := time.Duration(second) * time.Second
		want := uint64(0)
		for slot := range scenarios.Slot(scenarios.Slots) {
			want += uint64(plan.Count(slot, from, from+time.Second))
		}
		if launched[second] != want {
			t.Errorf("%d shoppers came in second %d, %d were planned", launched[second], second, want)
		}
	}
	if p99, _ := o.Metrics["schedule_lag"].Values["p99_ns"].(float64); p99 == 0 { // a pass says that it was small enough
		t.Error("nobody measured how late steps were")
	}
	for _, c := range o.Changes {
		if c.Kind != "joined" && c.Kind != "left" || c.Invalidates {
			t.Errorf("%+v", c)
		}
	}
	answer, err := http.Get(f.shop + "/books/orders")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var books bytes.Buffer
	if _, err := books.ReadFrom(answer.Body); err != nil {
		t.Fatal(err)
	}
	if booked := strings.Count(books.String(), "\n"); uint64(booked) != o.Orders.Promised {
		t.Errorf("%d orders promised, %d booked", o.Orders.Promised, booked)
	}
}

// TestStopOfAFleet: flashcrowd stop ends the load, and the wrong key does not.
func TestStopOfAFleet(t *testing.T) {
	t.Parallel()
	f := startFleet(t, "1")
	f.worker("one")
	f.reaches("launches", func(s agents.Status) bool { return len(s.Members) == 1 && s.Members[0].Launched > 2 })
	wrong := filepath.Join(t.TempDir(), "other.key")
	start(t, "keygen", wrong).want(0)
	stranger := start(t, "stop", "--join", f.join, "--key", wrong)
	if stranger.want(1); !strings.Contains(stranger.err.String(), "no coordinator answers") {
		t.Errorf("a stranger is told %q", stranger.err.String())
	}
	start(t, "stop", "--join", f.join, "--key", f.key, "--why", "enough").want(0)
	stopped := time.Now()
	f.leader.want(4)
	if took := time.Since(stopped); took > 15*time.Second {
		t.Errorf("the run ended %v after the stop", took)
	}
	if out := f.leader.out.String(); !strings.Contains(out, "enough") {
		t.Errorf("the report does not say why:\n%s", out)
	}
}
