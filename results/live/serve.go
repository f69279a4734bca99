package live

import (
	_ "embed"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/verdict"
)

//go:embed page.html
var page []byte

// Handler serves a run that goes on, read-only:
//
//	GET /          a page for people, which asks /v1/run each second
//	GET /v1/run    the run as merged so far, in JSON
//	GET /metrics   the same for Prometheus, by the names of the catalogue
//
// It answers only to names that can't be another site's: an address, or
// localhost. So no page in a browser can read it by a name of its own.
func Handler(view func() *results.Run, limits verdict.Validity) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		_, _ = w.Write(page) // whoever has gone asks again
	})
	mux.HandleFunc("GET /v1/run", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(status(view(), limits)) // likewise
	})
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{view})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !ours(r.Host) {
			http.Error(w, "ask by address, or as localhost", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// ours says whether a Host header is no name that somebody else's DNS could give
// to this machine.
func ours(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || host == "localhost"
}

// A Status is where a run stands, as /v1/run tells it.
type Status struct {
	*results.Run
	Line    string             `json:"line"` // as the terminal has it, rates since the start
	Elapsed time.Duration      `json:"elapsed_ns"`
	Lag     time.Duration      `json:"schedule_lag_p99_ns"`
	TTFT    time.Duration      `json:"turn_ttft_p99_ns"`
	Orders  uint64             `json:"orders_count"`
	OK      map[string]float64 `json:"ratios"` // each rate of the catalogue that has a value
}

func status(r *results.Run, limits verdict.Validity) Status {
	s := Status{Run: r, Line: Line(r, nil, limits), Elapsed: r.Cut, Orders: r.Count(results.Orders, results.Tags{}), OK: map[string]float64{}}
	s.Lag, s.TTFT = p99(r, results.ScheduleLag), p99(r, results.TurnTTFT)
	for _, m := range results.Catalogue() {
		if m.Kind != results.Rate {
			continue
		}
		if good, total := r.Rate(m, results.Tags{}); total > 0 {
			s.OK[m.Name] = float64(good) / float64(total)
		}
	}
	return s
}

func p99(r *results.Run, m *results.Metric) time.Duration {
	h := r.Trend(m, results.Tags{})
	if h.Count() == 0 {
		return 0
	}
	return h.Quantile(0.99)
}

// A collector turns the run into metrics when somebody asks.
type collector struct{ view func() *results.Run }

var _ prometheus.Collector = collector{}

// Describe implements prometheus.Collector: what there is depends on the run.
func (collector) Describe(chan<- *prometheus.Desc) {}

// quantiles of each trend.
var quantiles = []float64{0.5, 0.9, 0.95, 0.99, 1}

// Collect implements prometheus.Collector. Labels are the tags of the catalogue,
// which the campaign bounds.
func (c collector) Collect(out chan<- prometheus.Metric) {
	r := c.view()
	desc := func(name, help string, labels []string) *prometheus.Desc {
		return prometheus.NewDesc("flashcrowd_"+name, help, labels, prometheus.Labels{"campaign": r.Campaign, "run": r.ID})
	}
	number := func(kind prometheus.ValueType, v float64, name, help string, labels []string, values ...string) {
		out <- prometheus.MustNewConstMetric(desc(name, help, labels), kind, v, values...)
	}
	for _, s := range r.Series {
		m := results.MetricByName(s.Metric)
		values := make([]string, len(m.Tags))
		for i, dimension := range m.Tags {
			values[i] = s.Tags.Value(dimension)
		}
		switch m.Kind {
		case results.Counter:
			number(prometheus.CounterValue, float64(s.Count), m.Name+"_total", m.Help, m.Tags, values...)
		case results.Rate:
			number(prometheus.CounterValue, float64(s.Good), m.Name+"_good_total", m.Help, m.Tags, values...)
			number(prometheus.CounterValue, float64(s.Count), m.Name+"_of_total", m.Of, m.Tags, values...)
		case results.Trend:
			at := make(map[float64]float64, len(quantiles))
			for _, q := range quantiles {
				at[q] = s.Hist.Quantile(q).Seconds()
			}
			n := s.Hist.Count()
			out <- prometheus.MustNewConstSummary(desc(m.Name+"_seconds", m.Help, m.Tags), n, s.Hist.Mean().Seconds()*float64(n), at, values...)
		}
	}
	number(prometheus.GaugeValue, r.Cut.Seconds(), "elapsed_seconds", "plan time of the newest snapshot", nil)
	number(prometheus.GaugeValue, float64(r.Planned), "shoppers_planned", "shoppers of the plan", nil)
	number(prometheus.GaugeValue, float64(r.Account.InFlight), "shoppers_in_flight", "launched and not ended", nil)
	number(prometheus.GaugeValue, float64(r.Account.Orphaned), "shoppers_orphaned", "launched by a worker that is gone", nil)
	for _, w := range r.Workers {
		lost := 0.0
		if w.Fate != "" {
			lost = 1
		}
		by := []string{"worker", "id"}
		number(prometheus.GaugeValue, w.CPU, "worker_cpu_ratio", "highest share of its processors that a worker took", by, w.Name, w.ID)
		number(prometheus.GaugeValue, float64(w.RSS), "worker_memory_bytes", "highest memory of a worker", by, w.Name, w.ID)
		number(prometheus.GaugeValue, lost, "worker_lost", "1 when the worker was lost", by, w.Name, w.ID)
	}
	for _, f := range r.Barred {
		number(prometheus.CounterValue, float64(f.Count), "barred_total", "what the fleet did not let in", []string{"reason"}, f.Reason)
	}
}
