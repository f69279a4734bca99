package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	key       string
	leader    *process
	workers   []*process
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

// away is how long a worker is not to be heard, which is more than two leases.
const away = 11 * time.Second

// TestFleetOnHosts: on hosts of their own, workers are killed, stopped, cut off,
// join and are replaced in mid-run. All of the crowd comes, once, and on time
// again two seconds after the lease of whoever was lost.
func TestFleetOnHosts(t *testing.T) { // no other test beside it: it is about time
	campaign, err := filepath.Abs("testdata/hosts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := scenarios.Load(campaign)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := c.Plan(results.Factors{})
	if err != nil {
		t.Fatal(err)
	}
	var load results.Sum128
	for slot := range scenarios.Slot(scenarios.Slots) {
		for a := range plan.Arrivals(slot, 0) {
			load = load.Add(plan.Shopper(a.ID).Hash())
		}
	}
	for i, test := range []struct {
		name    string
		workers int
		trouble func(f *hostFleet)
		code    int
		late    uint64 // at most; 0: none, and nobody is orphaned
	}{
		{"a worker is killed", 3, func(f *hostFleet) { f.signal(1, syscall.SIGKILL) }, 4, 390},
		{"two of five are killed", 5, func(f *hostFleet) { f.signal(1, syscall.SIGKILL); f.signal(3, syscall.SIGKILL) }, 4, 390},
		{"a k6 child is killed", 3, func(f *hostFleet) {
			if err := syscall.Kill(child(f.t, f.workers[1].cmd.Process.Pid, " k6 run "), syscall.SIGKILL); err != nil {
				f.t.Error(err)
			}
		}, 4, 15}, // it would have launched five a second
		{"a worker is stopped and goes on", 3, func(f *hostFleet) {
			f.signal(1, syscall.SIGSTOP)
			time.Sleep(away) // the trouble itself
			f.signal(1, syscall.SIGCONT)
		}, 4, 390},
		{"a worker is cut off and comes back", 3, func(f *hostFleet) {
			link := func(state string) {
				if out, err := exec.Command("ip", "-n", f.names[3], "link", "set", "eth0", state).CombinedOutput(); err != nil {
					f.t.Errorf("link %s: %v: %s", state, err, out)
				}
			}
			link("down")
			time.Sleep(away) // the trouble itself
			link("up")
		}, 4, 390},
		{"a worker joins", 2, func(f *hostFleet) { f.worker(4) }, 0, 0},
		{"all are replaced", 2, func(f *hostFleet) {
			f.worker(4)
			f.worker(5)
			f.signal(0, syscall.SIGTERM)
			f.signal(1, syscall.SIGTERM)
		}, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := &hostFleet{t: t, key: filepath.Join(t.TempDir(), "fleet.key")}
			f.names, f.at = hosts(t, string(rune('a'+i)), max(test.workers, 4)+2)
			start(t, "keygen", f.key).want(0)
			shop := startOn(t, f.names[1], "storefront", "--listen", f.at[1]+":8088", "--public")
			t.Cleanup(func() { shop.cmd.Process.Kill(); shop.code() })
			target := said(shop, `(http://[0-9.:]+)`)
			f.leader = startOn(t, f.names[0], "coordinator", campaign, "--target", target, "--allow", f.at[1],
				"--workers", fmt.Sprint(test.workers), "--key", f.key, "--bind", f.at[0]+":7946")
			for n := range test.workers {
				f.worker(n + 2)
			}
			f.leader.until("6 s of 26 s")
			test.trouble(f)
			f.leader.want(test.code)
			o := f.leader.report()
			o.accounted(t)
			if o.LoadFingerprint != load.String() || o.Shoppers.NotStarted > 0 || o.Shoppers.Late > test.late {
				t.Errorf("load %s, want %s; %+v", o.LoadFingerprint, load, o.Shoppers)
			}
			if (test.late > 0) != (o.Shoppers.Late+o.Shoppers.Orphaned > 0) {
				t.Errorf("%+v", o.Shoppers)
			}
			for _, r := range o.Verdict.Reasons { // whoever comes in stage after is due 9 s after the trouble began, or later
				if strings.HasPrefix(r.Rule, "schedule_lag{stage:after}") && !r.Held {
					t.Errorf("%s: %s", r.Rule, r.Measured)
				}
			}
			for _, p := range f.workers {
				p.cmd.Process.Kill() // those that joined again wait for another run
				p.code()
			}
		})
	}
}
