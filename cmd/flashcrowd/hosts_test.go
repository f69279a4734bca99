package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// hosts makes network namespaces with an address each, on one bridge, and
// returns a name and an address for each. They go away with the test.
func hosts(t *testing.T, tag string, n int) (names, addresses []string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces take root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("network namespaces take ip: apt-get install iproute2")
	}
	id := fmt.Sprintf("fc%d%s", os.Getpid()%100_000, tag)
	hub := id + "-hub"
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	drop := func(name string) { exec.Command("ip", "netns", "del", name).Run() }
	if out, err := exec.Command("ip", "netns", "add", hub).CombinedOutput(); err != nil {
		t.Skipf("network namespaces are not permitted here: %s", out)
	}
	t.Cleanup(func() { drop(hub) })
	ip("-n", hub, "link", "add", "hub", "type", "bridge")
	ip("-n", hub, "link", "set", "hub", "up")
	for i := range n {
		name, address := fmt.Sprintf("%s-%d", id, i), fmt.Sprintf("10.77.0.%d", i+1)
		ip("netns", "add", name)
		t.Cleanup(func() { drop(name) })
		ip("link", "add", "eth0", "netns", name, "type", "veth", "peer", "name", fmt.Sprintf("port%d", i), "netns", hub)
		ip("-n", hub, "link", "set", fmt.Sprintf("port%d", i), "master", "hub", "up")
		ip("-n", name, "addr", "add", address+"/24", "dev", "eth0")
		ip("-n", name, "link", "set", "eth0", "up")
		ip("-n", name, "link", "set", "lo", "up")
		names, addresses = append(names, name), append(addresses, address)
	}
	return names, addresses
}

// hostFleet is a fleet on hosts of its own: the coordinator on the first, the
// storefront on the second, a worker on each that follows.
type hostFleet struct {
	t         *testing.T
	names, at []string
	key, runs string
	load      string // the fingerprint of the whole crowd
	leader    *process
	workers   []*process
}

// newHostFleet starts one, with as many workers. Its stage after can be longer
// than in the file.
func newHostFleet(t *testing.T, tag string, workers int, after string) *hostFleet {
	t.Helper()
	f := &hostFleet{t: t, key: filepath.Join(t.TempDir(), "fleet.key")}
	f.names, f.at = hosts(t, tag, max(workers, 4)+2)
	text, err := os.ReadFile("testdata/hosts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if after != "" {
		text = bytes.Replace(text, []byte("12s"), []byte(after), 1)
	}
	campaign := filepath.Join(t.TempDir(), "hosts.yaml")
	if err := os.WriteFile(campaign, text, 0o600); err != nil {
		t.Fatal(err)
	}
	plan := planOf(t, campaign)
	var load results.Sum128
	for slot := range scenarios.Slot(scenarios.Slots) {
		for a := range plan.Arrivals(slot, 0) {
			load = load.Add(plan.Shopper(a.ID).Hash())
		}
	}
	f.load = load.String()
	start(t, "keygen", f.key).want(0)
	shop := startOn(t, f.names[1], "storefront", "--listen", f.at[1]+":8088", "--public")
	t.Cleanup(func() { shop.cmd.Process.Kill(); shop.code() })
	f.lead(campaign, "--target", said(shop, `(http://[0-9.:]+)`), "--allow", f.at[1], "--workers", fmt.Sprint(workers))
	f.runs = filepath.Join(f.leader.dir, "runs")
	for n := range workers {
		f.worker(n + 2)
	}
	return f
}

func planOf(t *testing.T, campaign string) *scenarios.Plan {
	t.Helper()
	c, err := scenarios.Load(campaign)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := c.Plan(results.Factors{})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// lead starts the coordinator on its host.
func (f *hostFleet) lead(args ...string) {
	f.leader = startOn(f.t, f.names[0], append([]string{"coordinator", "--key", f.key, "--bind", f.at[0] + ":7946"}, args...)...)
}

func (f *hostFleet) worker(host int) *process {
	p := startOn(f.t, f.names[host], "worker", "--join", f.at[0]+":7946", "--key", f.key, "--allow", f.at[1], "--name", fmt.Sprintf("host-%d", host))
	f.workers = append(f.workers, p)
	return p
}

func (f *hostFleet) signal(worker int, sig syscall.Signal) {
	f.t.Helper()
	if err := syscall.Kill(f.workers[worker].cmd.Process.Pid, sig); err != nil {
		f.t.Fatal(err)
	}
}

// away is how long a worker is not to be heard.
const away = 30 * time.Second

// troubles are what happens to fleets on hosts, six seconds after the start or a
// little later.
// Those that take longest come first: not all run at once.
var troubles = []struct {
	name    string
	workers int
	after   string // how long stage after is, when not as in the file
	trouble func(f *hostFleet)
	code    int
	late    uint64         // at most; 0: none, and nobody is orphaned
	changes map[string]int // by kind
	gap     bool           // the load has one: who comes in stage after may be late
}{
	{"a worker is stopped and goes on", 3, "36s", func(f *hostFleet) {
		f.signal(1, syscall.SIGSTOP)
		time.Sleep(away) // the trouble itself
		f.signal(1, syscall.SIGCONT)
	}, 4, 60, map[string]int{"lost": 1, "joined": 1}, false},
	{"a worker is cut off and comes back", 3, "36s", func(f *hostFleet) {
		link := func(state string) {
			if out, err := exec.Command("ip", "-n", f.names[3], "link", "set", "eth0", state).CombinedOutput(); err != nil {
				f.t.Errorf("link %s: %v: %s", state, err, out)
			}
		}
		link("down")
		time.Sleep(away) // the trouble itself
		link("up")
	}, 4, 60, map[string]int{"lost": 1, "joined": 1}, false},
	{"a worker is killed", 3, "", func(f *hostFleet) { f.signal(1, syscall.SIGKILL) }, 4, 60, map[string]int{"lost": 1}, false},
	{"two of five are killed", 5, "", func(f *hostFleet) {
		f.signal(1, syscall.SIGKILL)
		f.signal(3, syscall.SIGKILL)
	}, 4, 75, map[string]int{"lost": 2}, false},
	{"a k6 child is killed", 3, "", func(f *hostFleet) {
		if err := syscall.Kill(child(f.t, f.workers[1].cmd.Process.Pid, " k6 run "), syscall.SIGKILL); err != nil {
			f.t.Error(err)
		}
	}, 4, 10, map[string]int{"lost": 1}, false}, // it would have launched five a second
	{"a worker joins", 2, "", func(f *hostFleet) { f.worker(4) }, 0, 0, map[string]int{"joined": 1}, false},
	{"all are replaced", 2, "", func(f *hostFleet) {
		f.worker(4)
		f.worker(5)
		f.signal(0, syscall.SIGTERM)
		f.signal(1, syscall.SIGTERM)
	}, 0, 0, map[string]int{"joined": 2, "left": 2}, false},
	{"the coordinator is killed and resumed after the lease", 3, "", func(f *hostFleet) {
		f.leader.cmd.Process.Kill()
		f.leader.code()
		time.Sleep(8 * time.Second) // the trouble itself
		f.lead("--resume", "latest", "--runs", filepath.Join(f.leader.dir, "runs"))
	}, 4, 200, map[string]int{"held": 3}, true},
}

// control measures what this machine does to whoever does nothing but sleep, and
// returns a function that ends it and tells the worst: no generator on it can be
// more punctual than that.
func control(t *testing.T) (worst func() time.Duration) {
	ctx, end := context.WithCancel(t.Context())
	var sleepers sync.WaitGroup
	var longest atomic.Int64
	for range 2 * runtime.NumCPU() {
		sleepers.Go(func() {
			runtime.LockOSThread()
			const nap = 5 * time.Millisecond
			for ctx.Err() == nil {
				lay := time.Now()
				time.Sleep(nap) // what is measured
				if late := int64(time.Since(lay) - nap); late > longest.Load() {
					longest.Store(late)
				}
			}
		})
	}
	worst = func() time.Duration {
		end()
		sleepers.Wait()
		return time.Duration(longest.Load())
	}
	t.Cleanup(func() { worst() })
	return worst
}

// TestFleetOnHosts: on hosts of their own, workers are killed, stopped, cut off,
// join and are replaced in mid-run. All of the crowd comes, once, and on time
// again two seconds after the lease of whoever was lost; and the report says what
// happened, what it cost and what to do.
func TestFleetOnHosts(t *testing.T) { // no other test beside it: it is about time
	for i, test := range troubles {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newHostFleet(t, string(rune('a'+i)), test.workers, test.after)
			stalled := control(t)
			f.leader.past(6)
			struck := time.Now()
			test.trouble(f)
			f.leader.want(test.code)
			o := f.leader.reportIn(f.runs)
			o.accounted(t)
			if o.LoadFingerprint != f.load || o.Shoppers.NotStarted > 0 || o.Shoppers.Late > test.late {
				t.Errorf("load %s, want %s; %+v", o.LoadFingerprint, f.load, o.Shoppers)
			}
			if (test.late > 0) != (o.Shoppers.Late+o.Shoppers.Orphaned > 0) {
				t.Errorf("%+v", o.Shoppers)
			}
			// Whoever comes in stage after is due seven seconds after the trouble began,
			// or later.
			lag := o.Metrics["schedule_lag"].ByStage["after"]
			if n, _ := lag["count"].(float64); n < 100 {
				t.Errorf("%v lags were measured after the trouble", n)
			}
			stall := stalled()
			worst, _ := lag["max_ns"].(float64)
			p99, _ := lag["p99_ns"].(float64)
			t.Logf("after the trouble: lag p99 %v, the worst %v; whoever only slept was up to %v late", time.Duration(p99), time.Duration(worst), stall)
			if limit := 100*time.Millisecond + stall; !test.gap && time.Duration(worst) >= limit {
				t.Errorf("after the trouble somebody was %v late, want less than %v", time.Duration(worst), limit)
			}
			if late := o.Metrics["shoppers_late"].ByStage["after"]; !test.gap && late != nil {
				t.Errorf("the fleet made %v late after the trouble", late["count"])
			}
			at := struck.Sub(o.Started)
			if at > 9*time.Second {
				t.Errorf("the trouble began %v after the start: the stage after it came too soon", at)
			}
			kinds := map[string]int{}
			for _, c := range o.Changes {
				kinds[c.Kind]++
				c.check(t, at)
				if c.To == nil || c.Kind != "lost" {
					continue
				}
				gap := o.Started.Add(*c.To).Sub(struck)
				t.Logf("its slots were carried again %v after the trouble", gap)
				if strings.Contains(c.Why, "child") && gap > time.Second+stall {
					t.Errorf("a child's death cost %v, want at most %v", gap, time.Second+stall)
				}
			}
			if !maps.Equal(kinds, test.changes) {
				t.Errorf("%+v, want %v", o.Changes, test.changes)
			}
			for _, p := range f.workers {
				p.cmd.Process.Kill() // those that joined again wait for another run
				p.code()
			}
		})
	}
}

// check holds a change of the fleet against what caused it, which began at a
// moment of the run.
func (c fleetChange) check(t *testing.T, began time.Duration) {
	t.Helper()
	if c.To == nil {
		t.Errorf("%s never came to its end: %+v", c.Kind, c)
		return
	}
	took, costs := *c.To-c.From, false
	switch c.Kind {
	case "lost": // heard of last up to a second before; then comes a lease, or the child's death is told at once
		longest, late := 7*time.Second, uint64(1)
		if strings.Contains(c.Why, "child") {
			longest, late = 3*time.Second, 0 // a second of it had been told before; who came within a tenth of one may be nobody
		}
		costs = true
		if c.From < began-2*time.Second || c.From > began+time.Second || took > longest || c.Late < late || c.Again < c.Late || len(c.Excluded) < 2 {
			t.Errorf("lost for %v: %+v", took, c)
		}
	case "held":
		costs = true
		if c.From < began+3*time.Second || c.From > began+7*time.Second || took < time.Second || took > 6*time.Second || c.Late == 0 {
			t.Errorf("held for %v: %+v", took, c)
		}
	case "joined":
		if took > 5*time.Second || c.Slots < 1000 {
			t.Errorf("joined, and had %d slots %v later: %+v", c.Slots, took, c)
		}
	case "left":
		if took < time.Second || took > 5*time.Second || c.Slots < 1000 || c.Late+c.Orphaned+c.Again > 0 {
			t.Errorf("left with %d slots, which others carried %v later: %+v", c.Slots, took, c)
		}
	}
	if !strings.HasPrefix(c.Worker, "host-") || c.Invalidates != costs || costs != (len(c.Rules) > 0) || costs != strings.HasPrefix(c.Next, "flashcrowd coordinator ") {
		t.Errorf("%+v", c)
	}
}
