// Package ci is flashcrowd as a gate in somebody's pipeline: the exit codes a
// pipeline branches on, one list for every command.
//
// The house keeps its own gate here too. The rules that the codemap sets for the
// rooms (who may import whom, where a process may end, what must be documented)
// are this package's tests, and each failure says what to do instead.
package ci

import "github.com/flashcrowd/flashcrowd/results/verdict"

// The exit codes of every flashcrowd command. A pipeline that treats all but
// Pass as red is right; one that wants to know whom to ask looks closer.
//
// `go run` turns every code but 0 into 1, so a pipeline that reads them needs a
// built binary.
const (
	// Pass means that everything the campaign asked for held, or that a command
	// which judges nothing did its work.
	Pass = 0

	// CouldNotRun means that there is no verdict: no run was made, or it ended
	// before it could be judged. Ask flashcrowd's operator.
	CouldNotRun = 1

	// Usage means that the command line or the campaign is wrong. Nothing was
	// sent anywhere.
	Usage = 2

	// Fail means that a threshold or the audit was broken. Ask the backend.
	Fail = 3

	// Invalid means that the measurement can't be trusted, because the
	// generator was measured and not the backend. Neither red nor green: run it
	// again with more or quieter machines.
	Invalid = 4

	// Inconclusive means that a comparison can't tell the two sides apart with
	// the runs it was given. Only comparisons end so.
	Inconclusive = 5
)

// Code returns the exit code for v. An outcome that is not in the list, the
// empty one included, is CouldNotRun: what nobody judged never passes.
func Code(v verdict.Outcome) int {
	switch v {
	case verdict.Pass:
		return Pass
	case verdict.Fail:
		return Fail
	case verdict.Invalid:
		return Invalid
	case verdict.Inconclusive:
		return Inconclusive
	}
	return CouldNotRun
}
