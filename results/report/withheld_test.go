package report_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/flashcrowd/flashcrowd/results/report"
)

// A worker that did not have its machine says so below its row.
func TestWithheld(t *testing.T) {
	d := document(t, day{shoppers: 60})
	d.Run.Workers[0].Throttled, d.Run.Workers[0].Stalled = 0.12, 0.03
	var text bytes.Buffer
	if err := report.Text(&text, d); err != nil {
		t.Fatal(err)
	}
	want := "  worker-1: throttled 12 % of the time, waiting for memory 3 % of the time, in its worst second\n"
	if n := strings.Count(text.String(), "in its worst second"); n != 1 || !strings.Contains(text.String(), want) {
		t.Errorf("%d times, want once %q", n, want)
	}
}
