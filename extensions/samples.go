package extensions

import (
	"sync"
	"time"

	"go.k6.io/k6/v2/metrics"

	"github.com/flashcrowd/flashcrowd/results"
)

// catalogue is the metric catalogue as k6 knows it. It is the one place where
// nanoseconds become k6's milliseconds.
type catalogue struct {
	metrics map[*results.Metric]*metrics.Metric
	root    *metrics.TagSet

	mu   sync.Mutex
	tags map[results.Tags]*metrics.TagSet // k6 keeps tag sets for ever; they are few
}

// register tells k6 of every metric; it may be called for each VU.
func register(r *metrics.Registry) (map[*results.Metric]*metrics.Metric, error) {
	known := make(map[*results.Metric]*metrics.Metric)
	for _, m := range results.Catalogue() {
		var err error
		switch m.Kind {
		case results.Trend:
			known[m], err = r.NewMetric(m.Name, metrics.Trend, metrics.Time)
		case results.Rate:
			known[m], err = r.NewMetric(m.Name, metrics.Rate)
		default:
			known[m], err = r.NewMetric(m.Name, metrics.Counter)
		}
		if err != nil {
			return nil, err
		}
	}
	return known, nil
}

// samples converts a fact for stock outputs, thresholds and the summary.
func (c *catalogue) samples(f results.Fact, at time.Time) metrics.Samples {
	var all metrics.Samples
	f.Observe(func(m *results.Metric, t results.Tags, v int64) {
		value := float64(v)
		if m.Kind == results.Trend {
			value = metrics.D(time.Duration(v))
		}
		all = append(all, metrics.Sample{
			TimeSeries: metrics.TimeSeries{Metric: c.metrics[m], Tags: c.set(t)},
			Time:       at,
			Value:      value,
		})
	})
	return all
}

// set returns k6's form of the tags.
func (c *catalogue) set(t results.Tags) *metrics.TagSet {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.tags[t]; ok {
		return s
	}
	s := c.root
	for _, tag := range t.Pairs() {
		s = s.With(tag[0], tag[1])
	}
	c.tags[t] = s
	return s
}

// parcel is facts on their way through k6. Immutable: k6 reads it in other
// goroutines.
type parcel struct {
	facts   []results.Fact
	samples metrics.Samples // of its one fact; nil where nobody but the reporter listens
}

// GetSamples implements metrics.SampleContainer.
func (p *parcel) GetSamples() []metrics.Sample { return p.samples }

var _ metrics.SampleContainer = (*parcel)(nil)
