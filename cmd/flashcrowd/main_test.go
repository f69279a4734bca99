package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// binary is the real program: workers, the k6 child and the storefront are
// this file started again, which a test binary can't stand in for.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "flashcrowd-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "flashcrowd")
		if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
			return 1
		}
		os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
		return m.Run()
	}())
}

func TestScripts(t *testing.T) {
	quick, err := os.ReadFile("testdata/quick.yaml")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			return os.WriteFile(filepath.Join(e.WorkDir, "quick.yaml"), quick, 0o644)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits,
		},
		RequireExplicitExec: true,
	})
}

// exits runs a command and checks its exit code: exits 3 flashcrowd run …
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE command…")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		code = failed.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// A process is the program, running.
type process struct {
	t        *testing.T
	cmd      *exec.Cmd
	dir      string
	out, err guarded
}

// guarded is a buffer that may be read while it is written.
type guarded struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (g *guarded) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.b.Write(p)
}

func (g *guarded) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.b.String()
}

// start runs the program in a folder of its own.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	return startOn(t, "", args...)
}

// startOn runs it on another host, which is a network namespace.
func startOn(t *testing.T, host string, args ...string) *process {
	t.Helper()
	p := &process{t: t, dir: t.TempDir()}
	quick, err := filepath.Abs("testdata/quick.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range args {
		if a == "quick.yaml" {
			args[i] = quick
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	p.cmd = exec.CommandContext(ctx, binary, args...)
	if host != "" { // ip becomes the program: its process is the program's
		p.cmd = exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", host, binary}, args...)...)
	}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = p.dir, &p.out, &p.err
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// code waits for the end and returns the exit code.
func (p *process) code() int {
	p.t.Helper()
	var failed *exec.ExitError
	if err := p.cmd.Wait(); err != nil && !errors.As(err, &failed) {
		p.t.Fatalf("wait: %v", err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// want waits for the end with that exit code.
func (p *process) want(code int) {
	p.t.Helper()
	if got := p.code(); got != code {
		p.t.Fatalf("exit code %d, want %d\n%s\n%s", got, code, p.out.String(), p.err.String())
	}
}

// until waits for a word on standard error.
func (p *process) until(word string) {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) { // polls what another process says
		if strings.Contains(p.err.String(), word) {
			return
		}
	}
	p.t.Fatalf("never said %q:\n%s", word, p.err.String())
}

// past waits until the progress says that so many seconds of the plan, or more,
// are over: a line a second skips some.
func (p *process) past(seconds int) {
	p.t.Helper()
	line := regexp.MustCompile(`(?m)^(\d+) s of `)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) { // polls what another process says
		for _, m := range line.FindAllStringSubmatch(p.err.String(), -1) {
			if n, err := strconv.Atoi(m[1]); err == nil && n >= seconds {
				return
			}
		}
	}
	p.t.Fatalf("never said that %d s are over:\n%s", seconds, p.err.String())
}

// path is a file of the process's folder; a pattern must match one.
func (p *process) path(pattern string) string {
	p.t.Helper()
	found, err := filepath.Glob(filepath.Join(p.dir, pattern))
	if err != nil || len(found) != 1 {
		p.t.Fatalf("%s: found %q (%v)", pattern, found, err)
	}
	return found[0]
}

// outcome is what the tests read of --json.
type outcome struct {
	Run             string `json:"run"`
	Campaign        string `json:"campaign"`
	PlanFingerprint string `json:"plan_fingerprint"`
	LoadFingerprint string `json:"load_fingerprint"`
	Factors         struct{ Scale, Demand, Compress, Pace float64 }
	Shoppers        struct {
		Planned    uint64            `json:"planned"`
		Ended      map[string]uint64 `json:"ended"`
		InFlight   uint64            `json:"in_flight"`
		Orphaned   uint64            `json:"orphaned"`
		NotStarted uint64            `json:"not_started"`
		Late       uint64            `json:"late"`
	}
	Orders struct {
		Promised uint64 `json:"promised"`
		Booked   uint64 `json:"booked"`
	}
	Metrics map[string]struct {
		Values  map[string]any            `json:"values"`
		ByStage map[string]map[string]any `json:"by_stage"`
		ByStep  map[string]map[string]any `json:"by_step"`
	} `json:"metrics"`
	Changes []fleetChange `json:"changes"`
	Started time.Time     `json:"started"` // plan time 0
	Seconds []struct {
		At       int    `json:"at_s"`
		Launched uint64 `json:"launched_count"`
	} `json:"seconds"`
	Workers []map[string]any `json:"workers"`
	Verdict struct {
		Outcome string
		Reasons []struct {
			Rule, Measured, Kind string
			Held                 bool
		}
	}
}

// fleetChange is a worker that came or went.
type fleetChange struct {
	Worker      string         `json:"worker"`
	Kind        string         `json:"kind"`
	Why         string         `json:"why"`
	From        time.Duration  `json:"from_ns"`
	To          *time.Duration `json:"to_ns"`
	Slots       int            `json:"slots_count"`
	Orphaned    uint64         `json:"orphaned_count"`
	Again       uint64         `json:"taken_over_count"`
	Late        uint64         `json:"late_count"`
	Never       uint64         `json:"never_started_count"`
	Rules       []struct{ Rule string }
	Invalidates bool     `json:"invalidates"`
	Excluded    []string `json:"excluded"`
	Next        string   `json:"next"`
}

// accounted checks that the account closes.
func (o outcome) accounted(t *testing.T) {
	t.Helper()
	sum := o.Shoppers.InFlight + o.Shoppers.Orphaned + o.Shoppers.NotStarted
	for _, n := range o.Shoppers.Ended {
		sum += n
	}
	if sum != o.Shoppers.Planned || sum == 0 {
		t.Errorf("the account does not close: %+v", o.Shoppers)
	}
}

// report reads the newest run of the process's folder.
func (p *process) report() outcome {
	p.t.Helper()
	return p.reportIn("runs")
}

// reportIn reads the newest run of another folder.
func (p *process) reportIn(runs string) outcome {
	p.t.Helper()
	cmd := exec.Command(binary, "report", "latest", "--json", "--runs", runs)
	cmd.Dir = p.dir
	b, err := cmd.Output()
	if err != nil {
		p.t.Fatalf("report latest: %v\n%s", err, p.err.String())
	}
	return parse(p.t, b)
}

func parse(t *testing.T, b []byte) outcome {
	t.Helper()
	var o outcome
	if err := json.Unmarshal(b, &o); err != nil {
		t.Fatalf("read the JSON report: %v\n%s", err, b)
	}
	return o
}

// children lists the processes whose parent is pid.
func children(t *testing.T, pid int) []int {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		if err != nil {
			continue // the thread is gone
		}
		for _, word := range strings.Fields(string(b)) {
			n, err := strconv.Atoi(word)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, n)
		}
	}
	return pids
}

// child returns the child of pid whose command line has the word.
func child(t *testing.T, pid int, word string) int {
	t.Helper()
	for _, c := range children(t, pid) {
		if strings.Contains(commandOf(c), word) {
			return c
		}
	}
	t.Fatalf("process %d has no child %q", pid, word)
	return 0
}

// commandOf returns a process's command line.
func commandOf(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.ReplaceAll(string(b), "\x00", " ")
}

// alive says whether a process is there and no zombie.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z") && syscall.Kill(pid, 0) == nil
}
