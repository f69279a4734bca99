package main

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// A fleet of real processes that is told to stop does, and so does one that hears
// no coordinator any more. Tests run beside other work: the figures are measured
// by `make bench-stop`.
func TestStop(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program and runs fleets")
	}
	b := bench{dir: t.TempDir()}
	b.program = filepath.Join(b.dir, "flashcrowd")
	if out, err := exec.Command("go", "build", "-o", b.program, "../flashcrowd").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// Load that goes on shows as the time that is watched. Workers that are told
	// nothing go on for four seconds or more, until their leases end.
	told, cutOff := b.endings()
	told.watch, cutOff.watch = 5*time.Second, 10*time.Second
	for _, tt := range []struct {
		ending
		most time.Duration
	}{{told, 3500 * time.Millisecond}, {cutOff, 8 * time.Second}} {
		var all []time.Duration
		for len(all) < 5 { // times that a busy machine gets
			took, err := b.trial(t.Context(), tt.ending, 1)
			if err != nil {
				t.Fatal(err)
			}
			if all = append(all, took...); took[0] <= tt.most {
				break
			}
		}
		if all[len(all)-1] > tt.most {
			t.Errorf("%s: the last byte came after %v, want at most %v", tt.name, all, tt.most)
		}
	}
}
