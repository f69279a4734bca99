package audit

import (
	"fmt"
	"slices"

	"github.com/flashcrowd/flashcrowd/results"
)

// maxExamples is how many examples a finding keeps: the least by their text,
// so that the order of what was read does not show.
const maxExamples = 5

// findings gathers broken invariants by name.
type findings map[string]*results.Finding

func (f findings) add(invariant, format string, args ...any) {
	found := f[invariant]
	if found == nil {
		found = &results.Finding{Invariant: invariant}
		f[invariant] = found
	}
	found.Count++
	example := fmt.Sprintf(format, args...)
	at, _ := slices.BinarySearch(found.Examples, example)
	if at < maxExamples {
		found.Examples = slices.Insert(found.Examples, at, example)
		found.Examples = found.Examples[:min(len(found.Examples), maxExamples)]
	}
}

// list returns what was found, in the order of Invariants; never nil.
func (f findings) list() []results.Finding {
	all := []results.Finding{}
	for _, name := range Invariants() {
		if found := f[name]; found != nil {
			all = append(all, *found)
		}
	}
	return all
}
