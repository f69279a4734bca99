package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

//go:embed testdata/matrix.yaml
var matrixYAML string

// people is who comes, and for what.
var people = regexp.MustCompile(`\n  personas: .*\n  journeys: .*\n`)

// mostTime is what one trial may take, start and end included.
const mostTime = 3 * time.Minute

// A finding is what an audit says of one invariant.
type finding struct {
	ID       string   `json:"id"`
	State    string   `json:"state"`
	Checked  int      `json:"checked_count"`
	Broken   int      `json:"broken_count"`
	Why      string   `json:"why"`
	Examples []string `json:"examples"`
}

// try carries out a trial in a folder of its own.
func (b *bench) try(ctx context.Context, t trial) (o outcome) {
	ctx, cancel := context.WithTimeout(ctx, mostTime)
	defer cancel()
	start := time.Now()
	dir, err := os.MkdirTemp(b.dir, "trial-")
	if err == nil {
		o.findings, err = b.audited(ctx, t, dir)
		err = errors.Join(err, os.RemoveAll(dir))
	}
	o.err, o.took = err, time.Since(start)
	return o
}

// audited runs a trial and returns what the audit says. The storefront is the
// run's own, unless somebody is to be killed: a run ends with its storefront,
// and only of ours it is known when it has sold something.
func (b *bench) audited(ctx context.Context, t trial, dir string) (_ []finding, err error) {
	shop, err := t.storefront()
	if err != nil {
		return nil, err
	}
	yaml := matrixYAML
	if t.long {
		yaml = strings.Replace(yaml, "for: 3s, rate: 60/s", "for: 8s, rate: 30/s", 1)
	}
	if t.taps {
		yaml = people.ReplaceAllString(yaml, "\n  personas: {double-tapper: 1}\n  journeys: {order: 1}\n")
	}
	file, report := filepath.Join(dir, "matrix.yaml"), filepath.Join(dir, "report.json")
	args := append([]string{"run", file, "--seed", strconv.Itoa(t.seed), "--runs", filepath.Join(dir, "runs"), "--json", report}, t.run...)
	strike := func(int) error { return nil }
	if t.kill == "" {
		args = append(args, "--design", t.design)
		for _, f := range shop {
			args = append(args, "--shop", f)
		}
		if t.bug != "" {
			args = append(args, "--bug", t.bug)
		}
	} else {
		m := &mortal{program: b.program, args: []string{"--design", t.design, "--books", filepath.Join(dir, "books.db")}}
		for _, f := range shop {
			m.args = append(m.args, "--"+f)
		}
		if t.bug != "" {
			m.args = append(m.args, "--bug", t.bug)
		}
		if err := m.start(ctx, "127.0.0.1:0"); err != nil {
			return nil, err
		}
		defer func() { m.end() }() // the one that is there then
		yaml += "audit: {source: storefront}\n"
		args = append(args, "--target", m.url)
		if t.kill == "worker" {
			args = append(args, "--workers", "2")
		}
		strike = func(run int) error { return b.strike(ctx, t.kill, m, run) }
	}
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, b.program, args...)
	cmd.WaitDelay = 5 * time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // so that its parts end, too
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	struck := strike(cmd.Process.Pid)
	if struck != nil {
		err = cmd.Cancel()
	}
	ended := cmd.Wait() // a verdict is not what is asked here: the report says what came of it
	found, unread := readFindings(report)
	if err := errors.Join(struck, err, unread); err != nil {
		return nil, fmt.Errorf("%w: %w: %s", err, ended, said.Bytes()[max(0, said.Len()-600):])
	}
	return found, nil
}

// storefront returns the flags of the trial's storefront, as name=value. Where
// one comes twice, the last one counts.
func (t *trial) storefront() ([]string, error) {
	flags := []string{"seed=" + strconv.Itoa(t.seed), "per-user=6"}
	for _, f := range t.shop {
		if name, from, ok := strings.Cut(f, "=+"); ok { // a moment, from now on
			d, err := time.ParseDuration(from)
			if err != nil {
				return nil, err
			}
			f = name + "=" + time.Now().Add(d).Format(time.RFC3339Nano)
		}
		flags = append(flags, f)
	}
	return flags, nil
}

// readFindings reads a report's audit.
func readFindings(report string) ([]finding, error) {
	var r struct {
		Orders struct {
			Audit *struct {
				Invariants []finding `json:"invariants"`
			} `json:"audit"`
		} `json:"orders"`
	}
	text, err := os.ReadFile(report)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return nil, fmt.Errorf("read the report: %w", err)
	}
	if r.Orders.Audit == nil || len(r.Orders.Audit.Invariants) == 0 {
		return nil, errors.New("the report has no audit")
	}
	return r.Orders.Audit.Invariants, nil
}

// enough orders are sold when somebody is killed.
const enough = 20

// strike kills the storefront, or the second worker of a run, in the middle of
// its work. The storefront comes again.
func (b *bench) strike(ctx context.Context, whom string, m *mortal, run int) error {
	for n := 0; n < enough; {
		select {
		case <-time.After(watchEvery):
		case <-ctx.Done():
			return fmt.Errorf("wait for %d orders, of which there are %d: %w", enough, n, ctx.Err())
		}
		if sold, err := m.sold(ctx); err == nil {
			n = sold
		}
	}
	time.Sleep(250 * time.Millisecond) // so that it is not just after a commit
	if whom == "storefront" {
		m.end()
		return m.start(ctx, strings.TrimPrefix(m.url, "http://"))
	}
	pid, ok := descendant(b.program, run, "worker", "worker-2")
	if !ok {
		return errors.New("there is no worker to kill")
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}

// A mortal is a storefront that can be killed and come again.
type mortal struct {
	program string
	args    []string
	url     string
	end     func() // at once
}

// start starts it at an address.
func (m *mortal) start(ctx context.Context, listen string) error {
	c := exec.CommandContext(ctx, m.program, append([]string{"storefront", "--listen", listen}, m.args...)...)
	url, end, err := serve(c)
	if err == nil {
		m.url, m.end = url, end
	}
	return err
}

// sold returns how many orders it has in its books.
func (m *mortal) sold(ctx context.Context) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url+"/books/summary", nil)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	var s struct {
		Orders int `json:"orders"`
	}
	err = json.NewDecoder(answer.Body).Decode(&s)
	return s.Orders, err
}
