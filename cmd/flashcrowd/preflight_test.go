package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/flashcrowd/flashcrowd/extensions/host"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// TestPreflightSaysWhatToDo: each thing that does not fit comes with the next
// move, and what fits or is unknown with none.
func TestPreflightSaysWhatToDo(t *testing.T) {
	d := scenarios.Demand{Peak: scenarios.Traffic{Arrivals: 500, Requests: 40_000, Shoppers: 50_000, InFlight: 5_000}}
	large := host.Machine{Processors: 64, Memory: 64 << 30, Files: 100_000, Ports: 64_512}
	for _, c := range []struct {
		name  string
		at    func(*ground)
		wants map[string]string // what does not fit, and a part of what to do
	}{
		{"large", func(g *ground) {}, nil},
		{"unknown", func(g *ground) { g.Machine = host.Machine{} }, nil},
		{"few files", func(g *ground) { g.Files = 20_000 }, map[string]string{needFiles: "ulimit -n 50065, or share the crowd: --workers 3"}},
		{"few files, shared", func(g *ground) { g.Files, g.workers = 20_000, 3 }, nil},
		{"few files, own shop", func(g *ground) { g.Files, g.workers, g.builtIn = 20_000, 3, true }, map[string]string{needShopFiles: "--scale 0.18"}},
		{"hardly any files", func(g *ground) { g.Files = 64 }, map[string]string{needFiles: "ulimit -n 50065"}},
		{"few ports", func(g *ground) { g.Ports = 28_232 }, map[string]string{needPorts: "ip_local_port_range='1024 65535', or dial from 2 addresses: target.source"}},
		{"ports linger", func(g *ground) { g.near = false }, map[string]string{needPorts: "dial from 2 addresses: target.source"}},
		{"ports linger on two addresses", func(g *ground) { g.near, g.sources = false, 2 }, nil},
		{"small", func(g *ground) { g.Processors, g.Memory = 1, 1<<30 }, map[string]string{needProcessors: "--scale 0.144;", needMemory: "--scale 0.2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := ground{Machine: large, workers: 1, sources: 1, near: true}
			c.at(&at)
			for _, n := range compare(d, at, 0.5) {
				want, lacks := c.wants[n.What]
				if n.Fits == lacks || !strings.Contains(n.Do, want) || n.Fits != (n.Do == "") {
					t.Errorf("%s: %s of %s: fits %v, do %q; want %q", n.What, n.amount(n.Needs), n.has(), n.Fits, n.Do, want)
				}
				delete(c.wants, n.What)
			}
			for what := range c.wants {
				t.Errorf("%s is not looked at", what)
			}
		})
	}
}

func TestNearby(t *testing.T) {
	for target, want := range map[string]bool{
		"": true, "http://127.0.0.1:1": true, "http://localhost/shop": true, "https://[::1]:2": true,
		"http://192.0.2.1": false, "https://shop.example": false, "${TARGET}": false, "http://%": false,
	} {
		if got := nearby(target); got != want {
			t.Errorf("%q: %v", target, got)
		}
	}
}

// TestPlanPreflights: plan says what a campaign takes, and what does not fit;
// run says the latter before any load.
func TestPlanPreflights(t *testing.T) {
	p := start(t, "plan", "spring-festival", "--scale", "1", "--pace", "1", "--compress", "1", "--workers", "2")
	p.want(0)
	for _, part := range []string{"at its height, if a turn takes", "requests under way", "this machine, with --workers 2", "(after the end)"} {
		if !strings.Contains(p.out.String(), part) {
			t.Errorf("%q is not in\n%s", part, p.out.String())
		}
	}
	j := start(t, "plan", "quick.yaml", "--json")
	j.want(0)
	var plan struct {
		Demand struct {
			Expect   int64   `json:"expect_turn_ns"`
			Requests float64 `json:"requests_per_shopper"`
			Peak     struct {
				Shoppers float64 `json:"shoppers_at_once"`
			}
		}
		Machine []need
	}
	if err := json.Unmarshal([]byte(j.out.String()), &plan); err != nil {
		t.Fatal(err)
	}
	if plan.Demand.Expect == 0 || plan.Demand.Requests < 3 || plan.Demand.Peak.Shoppers <= 0 || len(plan.Machine) != 5 {
		t.Errorf("%+v", plan)
	}
	if bad := start(t, "plan", "smoke", "--workers", "0"); bad.code() != 2 {
		t.Error("--workers 0 is taken")
	}
}
