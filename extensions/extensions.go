// Package extensions brings the crowd into k6: the JS module k6/x/flashcrowd,
// whose one long iteration runs the engine, and the output "flashcrowd", which
// folds the engine's facts into snapshots for a worker.
//
// One VU runs one iteration and the whole crowd lives inside it: a JS runtime
// for each shopper would cost ten times the memory and the processor. Facts
// leave the engine as k6 sample containers, so stock outputs see samples and
// ours sees facts, in one line and one order.
//
// A script may also lead shoppers itself (scripted.go): then each has a VU and
// does what it is told, with the keys, lines and habits that the crowd's have.
//
// The same module runs in two ways. In the child of a worker the link says what
// to do and the output reports back. In a k6 built with xk6 there is no link:
// run() takes the campaign, and k6's own thresholds and summary judge it.
package extensions

import (
	"go.k6.io/k6/v2/js/modules"
	"go.k6.io/k6/v2/output"
)

// k6 finds extensions by registration at start; module and output of a process
// share one session, because one ends what the other reports.
func init() {
	s := newSession()
	modules.Register("k6/x/flashcrowd", &module{session: s})
	output.RegisterExtension("flashcrowd", func(p output.Params) (output.Output, error) {
		return &reporter{session: s, log: p.Logger}, nil
	})
}
