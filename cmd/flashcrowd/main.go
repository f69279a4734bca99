// Command flashcrowd sends a crowd of synthetic shoppers at a backend and says
// whether it held. This package parses, wires the rooms together and chooses
// the exit code; nothing else decides anything here.
package main

import (
	"context"
	"errors"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	k6 "go.k6.io/k6/v2/cmd"
	"golang.org/x/term"

	_ "github.com/flashcrowd/flashcrowd/extensions" // k6 finds its module and output by import
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "k6" {
		// Every node runs this one file: a worker starts k6 by re-executing it.
		// k6 has no library API, reads os.Args and ends in os.Exit.
		// A backend that breaks HTTP/2 has net/http log a line for each frame. The
		// outcomes say it, and no backend shall fill a disk.
		log.SetOutput(io.Discard)
		os.Args = append(os.Args[:1:1], os.Args[2:]...)
		k6.Execute()
		return
	}
	signal.Ignore(syscall.SIGPIPE) // a reader that has seen enough must not end a run
	os.Exit(run(context.Background(), os.Args[1:], world{Out: stdout{os.Stdout}, Talk: os.Stderr}))
}

// world is what the program touches outside itself.
type world struct {
	Out  io.Writer // the result
	Talk io.Writer // everything said on the way
}

// colour says whether the result goes to a terminal that wants colours.
func (w world) colour() bool {
	f, ok := w.Out.(interface{ Fd() uintptr })
	return ok && os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(f.Fd()))
}

// stdout is where the result goes. Its reader may leave when it has seen
// enough, as head does: what comes after that is dropped, and is no error.
type stdout struct{ file *os.File }

// Write implements io.Writer.
func (s stdout) Write(b []byte) (int, error) {
	n, err := s.file.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		return len(b), nil
	}
	return n, err
}

// Fd says which file it is, to ask whether that is a terminal.
func (s stdout) Fd() uintptr { return s.file.Fd() }
