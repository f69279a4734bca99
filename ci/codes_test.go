package ci

import (
	"testing"

	"github.com/flashcrowd/flashcrowd/results/verdict"
)

// The numbers are a contract with other people's pipelines, so they are
// repeated here: changing one means changing both places, and the changelog.
func TestCode(t *testing.T) {
	for _, tt := range []struct {
		outcome verdict.Outcome
		want    int
	}{
		{verdict.Pass, 0},
		{verdict.Fail, 3},
		{verdict.Invalid, 4},
		{verdict.Inconclusive, 5},
		{"", 1},
		{"PASS", 1},
	} {
		if got := Code(tt.outcome); got != tt.want {
			t.Errorf("Code(%q) = %d, want %d", tt.outcome, got, tt.want)
		}
	}
	if CouldNotRun != 1 || Usage != 2 {
		t.Errorf("CouldNotRun, Usage = %d, %d, want 1, 2", CouldNotRun, Usage)
	}
}
