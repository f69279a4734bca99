package extensions

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"go.k6.io/k6/v2/metrics"
	"go.k6.io/k6/v2/output"

	"github.com/flashcrowd/flashcrowd/extensions/link"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// cutEvery is how often a child cuts a snapshot. Each one renews the lease.
const cutEvery = time.Second

// reporter is the k6 output "flashcrowd": it folds facts and, each second, cuts
// a snapshot and hands it to the worker.
type reporter struct {
	session *session
	log     logrus.FieldLogger

	stop  chan struct{}
	done  chan struct{}
	seq   uint64 // of the last cut; run's own until done
	fault error  // the link broke: nothing can be reported any more; likewise

	mu       sync.Mutex // of recorder
	recorder *results.Recorder
}

// Description implements output.Output.
func (r *reporter) Description() string { return "flashcrowd: snapshots for the worker" }

// Start implements output.Output: it meets the worker and begins to cut.
func (r *reporter) Start() error {
	if err := r.session.open(); err != nil {
		return fmt.Errorf("start the flashcrowd output: %w", err)
	}
	r.recorder = results.NewRecorder(r.session.setup.Worker)
	r.stop, r.done = make(chan struct{}), make(chan struct{})
	go r.run()
	return nil
}

// run cuts until Stop.
func (r *reporter) run() {
	defer close(r.done)
	tick := time.NewTicker(cutEvery)
	defer tick.Stop()
	meter := newMeter()
	select {
	case <-r.session.ready:
	case <-r.stop:
		return // the crowd never began: the session's fault says why
	}
	heap := newHeap()
	heap.tune()
	r.cut(meter, false) // the first says that the child is ready
	for {
		select {
		case <-tick.C:
			heap.tune()
			r.cut(meter, false)
		case <-r.session.hurry: // there is news on either side: don't wait for the next second
			r.cut(meter, false)
		case <-r.stop:
			r.cut(meter, r.session.failed() == nil)
			return
		}
	}
}

// cut closes a snapshot and sends it. The moment of the cut is noted first: the
// lease that answers it counts from there. Facts go on being folded while the
// worker takes the snapshot. Only run calls it.
func (r *reporter) cut(m *meter, final bool) {
	if r.fault != nil {
		return
	}
	r.seq++
	now := scenarios.Boottime()
	r.session.noteCut(r.seq, now)
	at, health := r.session.planTime(now), m.read()
	if at < 0 {
		health.CPU = 0 // starting up is no load
	}
	health.Streams = uint64(r.session.streams())
	r.mu.Lock()
	s := r.recorder.Cut(r.seq, at, health)
	r.mu.Unlock()
	s.Final = final
	if err := r.session.link.Send(link.Snapshot{Seq: r.seq, Bytes: results.Encode(s), Final: final}); err != nil {
		r.fault = err
		r.log.WithError(err).Error("flashcrowd: hand a snapshot to the worker")
	}
}

// foldAtOnce is how many facts are folded before others may run. k6 hands over
// what happened in 50 ms at once; on one core, folding a busy second's share of
// that without a break would make every shopper late who is due meanwhile.
const foldAtOnce = 16

// AddMetricSamples implements output.Output.
func (r *reporter) AddMetricSamples(containers []metrics.SampleContainer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range containers {
		if p, ok := c.(*parcel); ok {
			r.fold(p.facts)
		}
	}
}

// fold folds facts; r.mu is held.
func (r *reporter) fold(facts []results.Fact) {
	for i, f := range facts {
		if i%foldAtOnce == 0 {
			runtime.Gosched()
		}
		r.recorder.Add(f)
		if m, ok := f.(results.Mark); ok && len(m.Applied) > 0 {
			r.session.cutSoon() // somebody may be waiting for what was given up
		}
	}
}

// Stop implements output.Output. k6 has flushed every sample before it calls
// this, so the last snapshot is complete.
func (r *reporter) Stop() error {
	close(r.stop)
	<-r.done
	return r.fault
}

var _ output.Output = (*reporter)(nil)
