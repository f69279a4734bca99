package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// leader is a coordinator in a process of its own.
type leader struct {
	join, keyFile string
	version       string // of the program: it lets no others in
	cmd           *exec.Cmd
	heap          atomic.Int64 // bytes that were live after the last collection
	mu            sync.Mutex
	talk          bytes.Buffer
}

// lead starts the coordinator and returns when it says where to join.
func (b *bench) lead(ctx context.Context, campaign, target string, workers int) (*leader, error) {
	file := filepath.Join(b.dir, "fleet.yaml")
	if err := os.WriteFile(file, []byte(campaign), 0o600); err != nil {
		return nil, err
	}
	key, err := b.makeKey(ctx)
	if err != nil {
		return nil, err
	}
	said, err := exec.CommandContext(ctx, b.program, "version").Output()
	if err != nil {
		return nil, fmt.Errorf("%s version: %w", b.program, err)
	}
	version, _, _ := strings.Cut(strings.TrimPrefix(string(said), "flashcrowd "), " (k6 ")
	l := &leader{keyFile: key, version: version}
	l.cmd = exec.CommandContext(ctx, b.program, "coordinator", file, "--target", target, "--workers", strconv.Itoa(workers),
		"--bind", "127.0.0.1:0", "--key", key, "--runs", filepath.Join(b.dir, "runs"), "--wait", "10m")
	l.cmd.Env = append(os.Environ(), "GODEBUG=gctrace=1") // tells what is live, at no cost
	stderr, err := l.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := l.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the coordinator: %w", err)
	}
	joined := make(chan string, 1)
	go l.listen(stderr, joined)
	select {
	case l.join = <-joined:
	case <-time.After(20 * time.Second):
		l.stop()
	}
	if l.join == "" {
		return nil, errors.Join(errors.New("the coordinator does not say where to join"), l.said())
	}
	return l, nil
}

var collected = regexp.MustCompile(`^gc .* \d+->\d+->(\d+) MB, `)

// listen reads what the coordinator says until it ends.
func (l *leader) listen(said io.Reader, joined chan<- string) {
	defer close(joined)
	for lines := bufio.NewScanner(said); lines.Scan(); {
		line := lines.Text()
		if m := collected.FindStringSubmatch(line); m != nil {
			mb, _ := strconv.ParseInt(m[1], 10, 64) // digits
			l.heap.Store(mb << 20)
			continue
		}
		if _, rest, ok := strings.Cut(line, "--join "); ok {
			joined <- strings.Fields(rest)[0]
		}
		l.mu.Lock()
		if l.talk.Len() < 1<<16 {
			fmt.Fprintln(&l.talk, line)
		}
		l.mu.Unlock()
	}
}

// said is what the coordinator said, as an error's last words.
func (l *leader) said() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Errorf("the coordinator said: %s", l.talk.Bytes())
}

func (l *leader) stop() {
	l.cmd.Process.Kill()
	l.cmd.Wait() // killed: how it ended is known
}

// makeKey makes a cluster key in the bench's folder, once.
func (b *bench) makeKey(ctx context.Context) (path string, err error) {
	path = filepath.Join(b.dir, "key")
	if b.key {
		return path, nil
	}
	out, err := exec.CommandContext(ctx, b.program, "keygen", path).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("make a key: %w: %s", err, out)
	}
	b.key = true
	return path, nil
}
