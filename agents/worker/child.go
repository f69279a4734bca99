package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/link"
)

// child is the k6 process that fires. It has a process group of its own, so
// that a Ctrl-C at the terminal reaches only us, and an environment built from
// nothing, so that no K6_* variable, proxy or secret of ours reaches it.
type child struct {
	cmd  *exec.Cmd
	link *link.Conn
	said *tail
	log  *os.File

	mu     sync.Mutex
	killed string // why we ended it
	reaped bool   // its process id may be somebody else's by now
}

// startChild starts program with its home, temporary files and log in dir.
func startChild(program []string, dir string) (*child, error) {
	config := filepath.Join(dir, "k6.json")
	if err := os.WriteFile(config, []byte("{}\n"), 0o600); err != nil {
		return nil, fmt.Errorf("start child: %w", err)
	}
	file, err := os.Create(filepath.Join(dir, "child.log"))
	if err != nil {
		return nil, fmt.Errorf("start child: %w", err)
	}
	c := &child{said: &tail{}, log: file}
	c.cmd = exec.Command(program[0], program[1:]...)
	c.cmd.Env = []string{
		"HOME=" + dir,
		"TMPDIR=" + dir,
		"K6_CONFIG=" + config,                // not the user's own
		"K6_AUTO_EXTENSION_RESOLUTION=false", // never download and run another binary
		"K6_NO_USAGE_REPORT=true",            // tell nobody
	}
	output := io.MultiWriter(c.said, file)
	c.cmd.Stdout, c.cmd.Stderr = output, output
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.cmd.WaitDelay = 2 * time.Second
	if c.link, err = link.Start(c.cmd); err != nil {
		file.Close()
		return nil, err
	}
	return c, nil
}

// run passes the child's frames on until it has ended and everything it sent
// has been read, and returns how it ended: nil for exit code 0. When ctx ends,
// the child is killed.
func (c *child) run(ctx context.Context, snapshot func(link.Snapshot)) error {
	defer c.log.Close()
	stop := context.AfterFunc(ctx, func() { c.kill("its worker ended") })
	defer stop()
	var fault error
	for {
		frame, err := c.link.Receive()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				fault = err
			}
			break
		}
		switch f := frame.(type) {
		case link.Snapshot:
			snapshot(f)
			continue
		case link.Fault:
			fault = errors.New(f.Text)
			continue
		}
		fault = fmt.Errorf("%w: it sent a %T", errBroken, frame)
		break
	}
	c.link.Close() // whatever it still does, its fire ends here
	patience := time.AfterFunc(childExit, func() { c.kill("closed the link and did not exit") })
	err := c.cmd.Wait()
	patience.Stop()
	c.mu.Lock()
	c.reaped = true
	c.mu.Unlock()
	return c.fate(err, fault)
}

// childExit is how long a child may take to exit after its end of the link.
const childExit = 5 * time.Second

func (c *child) kill(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reaped {
		return
	}
	if c.killed == "" {
		c.killed = why
	}
	_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) // with whatever it started
}

// fate says how the child ended, with its last words.
func (c *child) fate(exit, fault error) error {
	c.mu.Lock()
	killed := c.killed
	c.mu.Unlock()
	var parts []string
	if fault != nil {
		parts = append(parts, fault.Error())
	}
	if killed != "" {
		parts = append(parts, killed)
	}
	if exit != nil {
		parts = append(parts, exit.Error())
	}
	if len(parts) == 0 {
		return nil
	}
	text := "child ended: " + strings.Join(parts, "; ")
	if words := c.said.words(); words != "" {
		text += "; last words: " + clip(words, 1000)
	}
	return errors.New(text)
}

func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + " …"
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	end []byte
}

const tailSize = 64 << 10

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end = append(t.end, p...)
	if extra := len(t.end) - tailSize; extra > 0 {
		t.end = append(t.end[:0], t.end[extra:]...)
	}
	return len(p), nil
}

// words returns what counts of it, in one line: a panic's message, or else the
// last lines.
func (t *tail) words() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := strings.Split(strings.TrimSpace(strings.ToValidUTF8(string(t.end), "?")), "\n")
	for _, line := range all {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return line
		}
	}
	const enough = 5
	return strings.Join(all[max(0, len(all)-enough):], " / ")
}
