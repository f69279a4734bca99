package main

import (
	"fmt"
	"io"
	"math"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"slices"
	"text/tabwriter"

	"golang.org/x/sys/unix"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/extensions/host"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// A need is what a plan takes of this machine, beside what it has.
type need struct {
	What  string   `json:"what"`
	Unit  string   `json:"unit"`
	Needs float64  `json:"needs"`
	Has   *float64 `json:"has"` // null: the system does not say
	Fits  bool     `json:"fits"`
	Do    string   `json:"do,omitempty"` // where it does not fit
}

// A preflight is what is known of a run before anything is sent.
type preflight struct {
	demand  scenarios.Demand
	needs   []need
	workers int
}

// newPreflight holds a plan against this machine, on which so many workers run.
func newPreflight(p *scenarios.Plan, workers int) preflight {
	at := ground{Machine: machine(), workers: workers, sources: 1, near: nearby(p.Target.URL), builtIn: p.Target.URL == ""}
	if s, err := wire.ParseSources(p.Target.Source); err == nil { // a fault is found when it is used
		at.sources = max(s.Len(), 1)
	}
	d := p.Demand()
	return preflight{d, compare(d, at, p.Factors.Scale), workers}
}

// A ground is where a plan would run.
type ground struct {
	host.Machine
	workers, sources int  // at least 1
	near, builtIn    bool // the target is on this machine; it is our own storefront
}

// machine is what this one offers. Go has raised the limit of open files as far
// as it may, for this process and for every worker.
func machine() host.Machine {
	var files unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &files) != nil {
		files.Cur = 0
	}
	return host.Look(os.DirFS("/"), runtime.NumCPU(), files.Cur)
}

// nearby says whether a target is on this machine, as far as its URL tells.
func nearby(target string) bool {
	if target == "" {
		return true // the built-in storefront
	}
	u, err := url.Parse(target)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && addr.IsLoopback()
}

// roomy is the share of a machine's memory and processors that may be planned
// for: what is expected is an estimate, and the system wants something too.
const roomy = 0.8

// What a plan needs, as people read it.
const (
	needProcessors = "processors"
	needMemory     = "memory"
	needFiles      = "open files of a worker"
	needShopFiles  = "open files of the storefront"
	needPorts      = "local ports"
)

// compare holds a demand against a machine and says what to do.
func compare(d scenarios.Demand, m ground, scale float64) []need {
	n := d.Needs(m.workers, m.near)
	all := []need{
		{What: needProcessors, Unit: "cores", Needs: n.Processors, Has: known(m.Processors * roomy)},
		{What: needMemory, Unit: "bytes", Needs: float64(n.Memory), Has: known(float64(m.Memory) * roomy)},
		{What: needFiles, Unit: "files", Needs: float64(n.Files), Has: known(float64(m.Files))},
		{What: needPorts, Unit: "ports", Needs: float64(n.Ports), Has: known(float64(m.Ports) * float64(m.sources))},
	}
	if m.builtIn {
		all = append(all, need{What: needShopFiles, Unit: "files", Needs: float64(d.Needs(1, true).Files), Has: known(float64(m.Files))})
	}
	for i := range all {
		a := &all[i]
		if a.Fits = a.Has == nil || a.Needs <= *a.Has; a.Fits {
			continue
		}
		switch a.What {
		case needFiles:
			a.Do = fmt.Sprintf("raise the limit before: ulimit -n %d", n.Files)
			if more := d.WorkersFor(m.Files); more > 0 && more <= maxWorkers {
				a.Do += fmt.Sprintf(", or share the crowd: --workers %d", more)
			}
		case needPorts:
			a.Do = fmt.Sprintf("dial from %d addresses: target.source", int(math.Ceil(a.Needs/float64(m.Ports))))
			if !d.Pooled {
				a.Do += "; or share connections, if the backend's clients do: target.connections: pooled"
			}
			if a.Needs <= mostPorts*float64(m.sources) {
				a.Do = "widen the range: sysctl -w net.ipv4.ip_local_port_range='1024 65535', or " + a.Do
			}
		default:
			a.Do = fmt.Sprintf("run a thinner crowd: --scale %s; or on a larger machine", factorFlag(scale**a.Has/a.Needs*0.9))
		}
	}
	return all
}

// mostPorts is the widest range that the system takes local ports from.
const mostPorts = 65535 - 1024 + 1

// maxWorkers is how many workers run starts at most.
const maxWorkers = 64

func known(v float64) *float64 {
	if v == 0 {
		return nil
	}
	return &v
}

// amount formats a quantity of a need's unit.
func (n need) amount(v float64) string {
	switch n.Unit {
	case "bytes":
		return results.HumanCount(uint64(v/1e6+0.5)) + " MB"
	case "cores":
		return fmt.Sprintf("%.2g", v)
	}
	return results.HumanCount(uint64(v))
}

// has formats what the machine has.
func (n need) has() string {
	if n.Has == nil {
		return "unknown"
	}
	return n.amount(*n.Has)
}

// print shows the demand and the machine.
func (f preflight) print(out io.Writer) error {
	d := f.demand
	fmt.Fprintf(out, "\nat its height, if a turn takes %s and any other request %s (expect)\n", results.Human(d.Expect.Turn), results.Human(d.Expect.Request))
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "stage\tarrivals/s\trequests/s\tshoppers at once\trequests under way\tof them streams\t")
	highest := d.Peak
	highest.Name = "highest"
	for _, s := range append(slices.Clone(d.Stages), highest) {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t\n", s.Name, results.HumanRate(s.Arrivals), results.HumanRate(s.Requests),
			ceiling(s.Shoppers), ceiling(s.InFlight), ceiling(s.Streams))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "  a shopper stays for %s and sends %.3g requests, if every answer is a yes\n", results.Human(d.Visit), d.Requests)

	fmt.Fprintf(out, "\nthis machine, with --workers %d\n", f.workers)
	t = tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tneeds\tmay use\tfits\t")
	for _, n := range f.needs {
		fits := "yes"
		if !n.Fits {
			fits = "no"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t\n", n.What, n.amount(n.Needs), n.has(), fits)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	f.warn(out, "  ✗ ")
	return nil
}

// warn says what does not fit, and what to do about it.
func (f preflight) warn(out io.Writer, mark string) {
	for _, n := range f.needs {
		if !n.Fits {
			fmt.Fprintf(out, "%s%s: the run needs %s and may use %s\n  hint: %s\n", mark, n.What, n.amount(n.Needs), n.has(), n.Do)
		}
	}
}

func ceiling(v float64) string { return results.HumanCount(uint64(math.Ceil(v))) }
