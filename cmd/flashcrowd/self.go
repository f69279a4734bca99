package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// A part is this binary, started again as one part of a run: a worker, or the
// storefront. It runs in a process group of its own, so that Ctrl-C reaches
// only us, and it ends when its standard input does, so that it can't outlive
// us however we end.
type part struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	done  chan struct{}
	err   error // how it ended; valid once done is closed
}

// startPart starts the binary with args. What it says on standard error goes
// to log, its output to out; extra becomes descriptor 3.
func startPart(name string, args, env []string, out, log io.Writer, extra *os.File) (*part, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	p := &part{name: name, cmd: exec.Command(self, args...), done: make(chan struct{})}
	p.cmd.Env = env
	p.cmd.Stdout, p.cmd.Stderr = out, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.WaitDelay = 2 * time.Second // a grandchild may hold our pipes
	if extra != nil {
		p.cmd.ExtraFiles = []*os.File{extra}
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// end asks the part to leave and kills it when it has not after the grace.
func (p *part) end(grace time.Duration) {
	p.stdin.Close()
	select {
	case <-p.done:
	case <-time.After(grace):
		p.cmd.Process.Kill()
		<-p.done
	}
}

// plainEnv is the environment of a part: what programs need to run at all, and
// the named variables that the campaign reads.
func plainEnv(names []string) []string {
	var env []string
	for _, name := range append([]string{"PATH", "HOME", "TMPDIR", "LANG", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "GOMAXPROCS", "GOMEMLIMIT", "GOGC", "GOCOVERDIR"}, names...) {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}
