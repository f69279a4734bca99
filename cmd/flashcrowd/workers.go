package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/flashcrowd/flashcrowd/scenarios"
)

// fleet is the worker processes of this machine.
type fleet struct {
	parts []*part // all started before anybody looks: see coordinator.Config.Listening
}

// start starts a worker. The cluster key goes by descriptor, never through a
// command line or an environment.
func (f *fleet) start(name, join string, key []byte, dir string, logs *os.File, flags runFlags, plan *scenarios.Plan) error {
	r, wr, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	defer r.Close()
	args := []string{"worker", "--attended", "--wait", "1m", "--key-fd", "3", "--join", join, "--name", name, "--dir", filepath.Join(dir, name)}
	secrets := plan.Secrets()
	for _, s := range secrets {
		args = append(args, "--env", s)
	}
	for _, a := range flags.allow {
		args = append(args, "--allow", a)
	}
	if len(plan.Pins) > 0 {
		args = append(args, "--data", flags.data)
	}
	p, err := startPart(name, args, plainEnv(secrets), logs, logs, r)
	if err != nil {
		wr.Close()
		return err
	}
	_, err = wr.Write(key)
	if err := errors.Join(err, wr.Close()); err != nil {
		p.end(0)
		return fmt.Errorf("start %s: hand it the key: %w", name, err)
	}
	f.parts = append(f.parts, p)
	return nil
}

// watch closes gone when every worker process has ended.
func (f *fleet) watch(gone chan<- struct{}) {
	for _, p := range f.parts {
		<-p.done
	}
	close(gone)
}

// fault says how the first worker that failed ended.
func (f *fleet) fault() error {
	for _, p := range f.parts {
		if p.err != nil {
			return fmt.Errorf("%s ended before the run began: %w\nhint: parts.log in the run's folder says why", p.name, p.err)
		}
	}
	return errors.New("every worker ended before the run began\nhint: parts.log in the run's folder says why")
}

// end waits a little for workers that are leaving and kills the rest.
func (f *fleet) end() {
	for _, p := range f.parts {
		p.end(5 * time.Second)
	}
}
