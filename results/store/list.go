package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/flashcrowd/flashcrowd/results/verdict"
)

// FileName is the name of a run's file in the folder that is named after the run.
const FileName = "run.db"

// A Summary is one line of a list of runs.
type Summary struct {
	ID       string // the folder's name
	Path     string // of the file
	Campaign string
	Target   string
	Started  time.Time       // or created, where it never started
	Running  bool            // somebody is writing it
	Outcome  verdict.Outcome // empty if it was not judged
	Reason   string          // the first rule that did not hold, and what was measured; empty if all did
	Orders   uint64          // promised to shoppers; 0 until it was judged
	Err      error           // why nothing but ID and Path is known
}

// List returns the runs in dir, which holds one folder for each, newest first.
// What can't be read is listed with what is wrong with it, at the end.
func List(dir string) ([]Summary, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list runs: there is no folder %s\nhint: flashcrowd run smoke makes a first run", dir)
	} else if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	var all []Summary
	for _, e := range entries {
		if e.IsDir() {
			all = append(all, summarise(e.Name(), filepath.Join(dir, e.Name(), FileName)))
		}
	}
	slices.SortStableFunc(all, func(a, b Summary) int { return b.Started.Compare(a.Started) })
	return all, nil
}

func summarise(id, path string) Summary {
	sum := Summary{ID: id, Path: path}
	s, err := Open(path)
	if err != nil {
		sum.Err = err
		return sum
	}
	defer s.Close() // opened for reading: nothing can be lost
	h := s.Header()
	sum.Campaign, sum.Target, sum.Started = h.About.Campaign, h.About.Target, h.About.Started
	if sum.Started.IsZero() {
		sum.Started = h.Created
	}
	sum.Running = s.Running()
	j, err := s.Judgement()
	if err != nil {
		return Summary{ID: id, Path: path, Err: err}
	}
	if j != nil {
		sum.Outcome, sum.Orders = j.Outcome, j.Orders
		if i := slices.IndexFunc(j.Reasons, func(r verdict.Reason) bool { return !r.Held }); i >= 0 {
			sum.Reason = j.Reasons[i].Rule + " → " + j.Reasons[i].Measured
		}
	}
	return sum
}

// Latest stands for the newest run where Find is asked for one.
const Latest = "latest"

// Find returns the path of a run's file: by its id, by the beginning of one
// that no other run shares, as "latest", or as the path of a file or of the
// folder that holds it.
func Find(dir, which string) (string, error) {
	for _, path := range []string{which, filepath.Join(which, FileName)} {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	all, err := List(dir)
	if err != nil {
		return "", fmt.Errorf("find run %s: %w", which, err)
	}
	var found []Summary
	for _, s := range all {
		switch {
		case s.ID == which:
			return s.Path, nil
		case which == Latest && s.Err == nil:
			return s.Path, nil
		case which != "" && strings.HasPrefix(s.ID, which):
			found = append(found, s)
		}
	}
	switch len(found) {
	case 1:
		return found[0].Path, nil
	case 0:
		return "", fmt.Errorf("find run %q: %s has no such run\nhint: flashcrowd runs lists what there is", which, dir)
	}
	var ids []string
	for _, s := range found {
		ids = append(ids, s.ID)
	}
	return "", fmt.Errorf("find run %s: it could be any of %s\nhint: write more of its name", which, strings.Join(ids, ", "))
}
