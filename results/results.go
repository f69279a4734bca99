// Package results holds what a run measured: the facts the engine emits, the
// snapshots workers send, and the Run they merge into. It does no I/O, reads no
// clock and knows nothing of k6, networks or files, so everything here can be
// tested with literals.
//
// The way of a measurement through this package:
//
//	Fact → Recorder → Snapshot → Merger → Run
//
// Durations are nanoseconds, ratios are in [0,1], quantiles q are in [0,1].
// Plan time counts from the common start of the run. All histograms share one
// geometry (see Histogram), so merging is exact, and nothing is ever dropped:
// a value that fits no expectation is counted where it can be seen.
package results
