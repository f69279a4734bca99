package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// pinned is a program on one core.
func pinned(ctx context.Context, core, program string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, "taskset", append([]string{"-c", core, program}, args...)...)
	c.WaitDelay = 5 * time.Second
	return c
}

// storefront starts the null storefront, with more coupons than any round can
// claim, and returns its URL.
func (b *bench) storefront(ctx context.Context, flushes int) (url string, stop func(), err error) {
	c := pinned(ctx, b.server, b.program, "storefront", "--design", "null", "--listen", "127.0.0.1:0", "--flushes", strconv.Itoa(flushes), "--stock", "1000000000")
	c.Env = append(os.Environ(), "GOGC=400")
	return serve(c)
}

// serve starts a storefront and returns its URL.
func serve(c *exec.Cmd) (url string, stop func(), err error) {
	out, err := c.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := c.Start(); err != nil {
		return "", nil, fmt.Errorf("start the storefront: %w", err)
	}
	stop = func() {
		c.Process.Kill()
		c.Wait() // killed: how it ended is known; and so is what a second time would say
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	for _, word := range strings.Fields(line) {
		if strings.HasPrefix(word, "http://") {
			return word, stop, nil
		}
	}
	stop()
	return "", nil, fmt.Errorf("start the storefront: it said %q (%v)", line, err)
}

// usage is what the system says of a process.
type usage struct {
	cpu       time.Duration // in user and kernel
	rss, peak int64         // bytes, now and at most
}

const (
	ticks = 100 // of /proc/*/stat in a second, on every Linux that Go knows
	kib   = 1 << 10
)

// usageOf reads what a process has used so far.
func usageOf(pid int) (u usage, err error) {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	stat, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil {
		return u, err
	}
	_, rest, _ := bytes.Cut(stat, []byte(") ")) // after the name, which may hold anything
	fields := strings.Fields(string(rest))
	if len(fields) < 13 {
		return u, fmt.Errorf("read %s/stat: %q", proc, stat)
	}
	for _, field := range fields[11:13] { // user, kernel
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return u, fmt.Errorf("read %s/stat: %w", proc, err)
		}
		u.cpu += time.Duration(n) * time.Second / ticks
	}
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		to := map[string]*int64{"VmRSS": &u.rss, "VmHWM": &u.peak}[name]
		if to == nil {
			continue
		}
		n, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
		if err != nil {
			return u, fmt.Errorf("read %s/status: %w", proc, err)
		}
		*to = n * kib
	}
	return u, nil
}

// child finds the k6 child of a run, below the process with id root.
func child(program string, root int) (pid int, ok bool) {
	return descendant(program, root, "k6", "run")
}

// descendant finds a process below the one with id root that runs program with
// command as its first argument and word among the others.
func descendant(program string, root int, command, word string) (pid int, ok bool) {
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0, false
	}
	for _, path := range found {
		line, err := os.ReadFile(path)
		if err != nil || !bytes.HasPrefix(line, []byte(program+"\x00"+command+"\x00")) || !bytes.Contains(line, []byte("\x00"+word+"\x00")) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && below(pid, root) {
			return pid, true
		}
	}
	return 0, false
}

// below says whether a process descends from another.
func below(pid, root int) bool {
	for pid > 1 {
		if pid == root {
			return true
		}
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		if err != nil {
			return false
		}
		_, rest, _ := bytes.Cut(stat, []byte(") "))
		fields := strings.Fields(string(rest))
		if len(fields) < 2 {
			return false
		}
		if pid, err = strconv.Atoi(fields[1]); err != nil {
			return false
		}
	}
	return false
}

// cost returns what a process that has ended used.
func cost(c *exec.Cmd) time.Duration {
	return c.ProcessState.UserTime() + c.ProcessState.SystemTime()
}

// need says how to get a program that is not there.
func need(program, from string) error {
	if _, err := exec.LookPath(program); err != nil {
		return fmt.Errorf("%w\nhint: apt-get install %s", err, from)
	}
	return nil
}

var errNoChild = errors.New("the run had no k6 child")
