package live_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/live"
	"github.com/flashcrowd/flashcrowd/results/verdict"
)

var update = flag.Bool("update", false, "write the goldens")

// A worker plays a steady crowd and cuts a snapshot a second.
type worker struct {
	m   *results.Merger
	r   *results.Recorder
	seq uint64
}

func newWorker(about results.About) *worker {
	return &worker{m: results.NewMerger(about), r: results.NewRecorder("w1")}
}

// second plays one second in which launched shoppers arrive, and all but failed
// of them order; it returns the run after it.
func (w *worker) second(t *testing.T, at time.Duration, launched, failed int, lag time.Duration, cpu float64) *results.Run {
	t.Helper()
	for i := range launched {
		who := results.Who{Stage: "noon", Persona: "patient", Journey: "order"}
		w.r.Add(results.Launch{Who: who, At: at})
		if i == 0 {
			continue // stays
		}
		step := results.Step{Who: who, Name: "complete", At: at, Outcome: results.OK, Lag: lag, Response: 2 * lag, Service: lag}
		if i <= failed {
			step.Outcome = results.Unavailable
		} else {
			w.r.Add(results.Promise{Who: who, Kind: results.OrderPromise, Known: true, Key: "k", ID: "o", At: at})
		}
		w.r.Add(step)
		w.r.Add(results.End{Who: who, At: at, Outcome: step.Outcome})
	}
	w.seq++
	if _, err := w.m.Add(w.r.Cut(w.seq, at+time.Second, results.Health{CPU: cpu, RSS: 1 << 20})); err != nil {
		t.Fatal(err)
	}
	return w.m.Run()
}

func TestLine(t *testing.T) {
	about := results.About{
		ID: "r1", Duration: 90 * time.Second, Planned: 10_000,
		Stages: []results.Stage{{Name: "climb", To: 40 * time.Second, Shoppers: 2000}, {Name: "noon", From: 40 * time.Second, To: 90 * time.Second, Shoppers: 8000}},
	}
	limits := verdict.DefaultValidity
	var out bytes.Buffer
	say := func(what string, r, prev *results.Run) {
		fmt.Fprintf(&out, "%s:\n  %s\n", what, live.Line(r, prev, limits))
	}
	at := func(r *results.Run, cut time.Duration) *results.Run {
		moved := *r
		moved.Cut = cut
		return &moved
	}
	say("nobody yet", results.NewMerger(about).Run(), nil)
	say("before the start", at(results.NewMerger(about).Run(), -2500*time.Millisecond), nil)

	w := newWorker(about)
	first := w.second(t, 0, 51, 0, 800*time.Microsecond, 0.31)
	second := w.second(t, time.Second, 49, 1, 800*time.Microsecond, 0.29)
	say("the first second", first, nil)
	say("the second", second, first)
	say("both", second, nil)
	say("no time has passed", second, second)

	noon := w.second(t, 50*time.Second, 1600, 160, 30*time.Millisecond, 0.5)
	say("late", noon, at(second, 50*time.Second))
	say("saturated", w.second(t, 51*time.Second, 1600, 0, 30*time.Millisecond, 0.99), noon)
	for _, what := range []struct {
		name  string
		alter func(*results.Worker)
	}{
		{"throttled", func(w *results.Worker) { w.Throttled = 0.3 }},
		{"short of memory", func(w *results.Worker) { w.Stalled = 0.3 }},
	} {
		starved := w.m.Run()
		what.alter(&starved.Workers[0])
		say(what.name, starved, noon)
	}
	w.m.Worker("w1", results.WorkerNote{Name: "worker-1", Fate: "killed"})
	say("lost", w.m.Run(), noon)
	say("after the end", at(w.m.Run(), 93*time.Second), noon)

	path := filepath.Join("testdata", "lines.txt")
	if *update {
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("got:\n%swant:\n%s", out.String(), want)
	}
}

func TestTerminalInALog(t *testing.T) {
	var out bytes.Buffer
	term := live.NewTerminal(&out, 0)
	term.Show("1 s  10 orders")
	fmt.Fprintln(term, "worker-2 joined")
	term.Show("2 s  20 orders")
	term.Close()
	if want := "1 s  10 orders\nworker-2 joined\n2 s  20 orders\n"; out.String() != want {
		t.Errorf("log = %q, want %q", out.String(), want)
	}
}

// On terminals of every width, what stands at the end is every message, once,
// and below them the last line and nothing of those before.
func TestTerminalRewrites(t *testing.T) {
	lines := []string{
		"1 s of 30 s  planned 10/s, offered 9/s, completed 8/s  generator OK: lag p99 1 ms",
		"2 s  short", "", "3 s of 30 s  planned 10/s, offered 9/s, completed 8/s  generator OK: lag p99 1 ms, CPU 31 %",
	}
	for width := 1; width < 120; width++ {
		var out bytes.Buffer
		term := live.NewTerminal(&out, width)
		fmt.Fprintln(term, "hello")
		for i, line := range lines {
			if err := term.Show(line); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(term, i)
		}
		if err := term.Close(); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(term, "bye")
		screen := display(t, out.String(), width)
		if want := "hello\n0\n1\n2\n3\n"; !strings.HasPrefix(screen, want) {
			t.Fatalf("width %d: screen begins\n%s\nwant\n%s", width, screen, want)
		}
		last := strings.TrimSuffix(strings.TrimPrefix(screen, "hello\n0\n1\n2\n3\n"), "bye\n")
		if squeeze(last) != squeeze(lines[3]) {
			t.Fatalf("width %d: the line stands as\n%s", width, last)
		}
		for row := range strings.SplitSeq(screen, "\n") {
			if width > 6 && len([]rune(row)) >= width {
				t.Errorf("width %d: %d columns: %s", width, len([]rune(row)), row)
			}
		}
	}
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }

// display plays text on a terminal that knows what Terminal sends: line feed,
// carriage return, cursor up and erase to the end of the screen.
func display(t *testing.T, text string, width int) string {
	t.Helper()
	screen := [][]rune{{}}
	row, column := 0, 0
	runes := []rune(text)
	for i := 0; i < len(runes); i++ {
		switch r := runes[i]; r {
		case '\n':
			row, column = row+1, 0
			if row == len(screen) {
				screen = append(screen, nil)
			}
		case '\r':
			column = 0
		case '\x1b':
			var n int
			var verb rune
			if rest := string(runes[i:]); strings.HasPrefix(rest, "\x1b[J") {
				i, verb = i+2, 'J'
			} else if _, err := fmt.Sscanf(rest, "\x1b[%d%c", &n, &verb); err == nil {
				i += len(fmt.Sprint(n)) + 2
			}
			switch verb {
			case 'A':
				if row -= n; row < 0 {
					t.Fatalf("width %d: the cursor left the screen", width)
				}
			case 'J':
				screen = screen[:row+1]
				screen[row] = screen[row][:min(column, len(screen[row]))]
			default:
				t.Fatalf("width %d: unknown escape sequence in %q", width, runes[i:])
			}
		default:
			if column < len(screen[row]) {
				screen[row][column] = r
			} else {
				screen[row] = append(screen[row], r)
			}
			column++
		}
	}
	var b strings.Builder
	for _, row := range screen {
		b.WriteString(string(row) + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}
