package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/flashcrowd/flashcrowd/results/report"
)

// A jsonFile is where --json goes. A file gets its name only when it is whole:
// until then, and if the run can't start, what stands there stays.
type jsonFile struct {
	out     io.Writer // nil: nobody asked
	instead bool      // it takes the place of the text
	file    *os.File  // to be closed; nil for standard output
	name    string    // what file is renamed to; empty where it has its name
}

// openJSON opens where name says: a file, - for standard output, or nothing.
func openJSON(w world, name string) (*jsonFile, error) {
	switch name {
	case "":
		return &jsonFile{}, nil
	case "-":
		return &jsonFile{out: w.Out, instead: true}, nil
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() { // a pipe, a device
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		return &jsonFile{out: f, file: f}, err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		if at, ok := errors.AsType[*fs.PathError](err); ok {
			at.Path = name // what was asked for, not the file that waits beside it
		}
		return nil, err
	}
	return &jsonFile{out: f, file: f, name: name}, f.Chmod(0o644)
}

// write writes the report and gives the file its name.
func (j *jsonFile) write(d report.Document) error {
	if j.out == nil {
		return nil
	}
	err := report.JSON(j.out, d)
	if j.file == nil {
		return err
	}
	err = errors.Join(err, j.file.Close())
	if j.name != "" && err == nil {
		if err = os.Rename(j.file.Name(), j.name); err == nil {
			j.file = nil
		}
	}
	return err
}

// drop removes a file that did not get its name.
func (j *jsonFile) drop() {
	if j.file == nil {
		return
	}
	j.file.Close() // a second time, or what was written is not wanted
	if j.name != "" {
		os.Remove(j.file.Name())
	}
}
