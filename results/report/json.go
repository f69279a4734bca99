package report

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/verdict"
)

// JSON writes the report for tools, as one object. Units are in the names:
// _ns, _count, _ratio, _per_s. What was not measured is null.
func JSON(w io.Writer, d Document) error {
	r := d.Run
	doc := document{
		Run: r.ID, Campaign: r.Campaign, Target: r.Target,
		PlanFingerprint: r.PlanFingerprint, LoadFingerprint: r.Load.String(),
		Factors: r.Factors, AtOnce: r.AtOnce, Duration: r.Duration, Cut: r.Cut, Stopped: r.Stopped,
		Verdict: verdict.Verdict{Outcome: d.state(), Reasons: some(d.Verdict.Reasons)},
		Shoppers: shoppers{
			Planned: r.Account.Planned, Ended: r.Account.Ended, InFlight: r.Account.InFlight, Orphaned: r.Account.Orphaned,
			NotStarted: r.Account.NeverStartedCount(), Why: some(r.Account.NeverStarted), Late: r.Account.Late, Missing: r.Account.Missing,
		},
		Orders:  orders{Promised: r.Count(results.Orders, results.Tags{}), RequestsPer: whole(r).requestsPerOrder(), Audit: d.Audit},
		Metrics: map[string]metric{},
		Stages:  []stage{}, Workers: some(r.Workers), Seconds: some(r.Seconds), Examples: some(r.Examples),
		Warnings: some(r.Warnings), Files: some(d.Files), Changes: []change{}, Next: some(d.Next),
		Barred: some(r.Barred), Apart: r.Apart, Story: r.Story(),
	}
	if !r.Started.IsZero() {
		doc.Started = &r.Started
	}
	if a := d.Audit; a != nil {
		doc.Orders.Booked, doc.Orders.Matched, doc.Orders.Undecided = &a.Booked, &a.Matched, &a.Undecided
	}
	for _, m := range results.Catalogue() {
		doc.Metrics[m.Name] = measure(r, m)
	}
	for _, s := range stages(r) {
		doc.Stages = append(doc.Stages, s.json())
	}
	for _, c := range r.Changes {
		doc.Changes = append(doc.Changes, changed(d, c))
	}
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	if err := out.Encode(doc); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

type document struct {
	Run             string            `json:"run"`
	Campaign        string            `json:"campaign"`
	Verdict         verdict.Verdict   `json:"verdict"`
	Target          string            `json:"target"`
	PlanFingerprint string            `json:"plan_fingerprint"`
	LoadFingerprint string            `json:"load_fingerprint"`
	Factors         results.Factors   `json:"factors"`
	AtOnce          uint64            `json:"at_once_count"` // closed model; 0: open
	Started         *time.Time        `json:"started"`
	Duration        time.Duration     `json:"duration_ns"` // planned
	Cut             time.Duration     `json:"cut_ns"`      // plan time of the newest snapshot
	Stopped         string            `json:"stopped,omitempty"`
	Shoppers        shoppers          `json:"shoppers"`
	Orders          orders            `json:"orders"`
	Stages          []stage           `json:"stages"`
	Story           *results.Story    `json:"story"`
	Metrics         map[string]metric `json:"metrics"`
	Workers         []results.Worker  `json:"workers"`
	Changes         []change          `json:"changes"`
	Seconds         []results.Second  `json:"seconds"`
	Examples        []results.Example `json:"examples"`
	Barred          []results.Barred  `json:"barred"`
	Apart           results.Apart     `json:"kept_apart"`
	Warnings        []string          `json:"warnings"`
	Files           []File            `json:"files"`
	Next            []string          `json:"next"`
}

// shoppers adds up: planned = the values of ended + in_flight + orphaned +
// not_started.
type shoppers struct {
	Planned    uint64                     `json:"planned"`
	Ended      map[results.Outcome]uint64 `json:"ended"`
	InFlight   uint64                     `json:"in_flight"`
	Orphaned   uint64                     `json:"orphaned"`
	NotStarted uint64                     `json:"not_started"`
	Why        []results.Skip             `json:"not_started_reasons"`
	Late       uint64                     `json:"late"`
	Missing    uint64                     `json:"missing_snapshots"`
}

// orders has null for what only an audit can tell.
type orders struct {
	Promised    uint64         `json:"promised"`
	Booked      *uint64        `json:"booked"`
	Matched     *uint64        `json:"matched"`
	Undecided   *uint64        `json:"undecided"`
	RequestsPer *float64       `json:"requests_per_order"`
	Audit       *results.Audit `json:"audit"`
}

type stage struct {
	Name             string   `json:"name"`
	FromNs           int64    `json:"from_ns"`
	ToNs             int64    `json:"to_ns"`
	Planned          uint64   `json:"planned_count"`
	Arrived          uint64   `json:"launched_count"`
	ArrivedPerS      *float64 `json:"launched_per_s"`
	Orders           uint64   `json:"orders_count"`
	OrdersPerS       *float64 `json:"orders_per_s"`
	Requests         uint64   `json:"requests_count"`
	OK               *float64 `json:"requests_ok_ratio"`
	RequestsPerOrder *float64 `json:"requests_per_order"`
	TTFT50           *int64   `json:"turn_ttft_p50_ns"`
	TTFT99           *int64   `json:"turn_ttft_p99_ns"`
	Turn99           *int64   `json:"turn_p99_ns"`
	Step99           *int64   `json:"step_p99_ns"`
}

func (s stageFigures) json() stage {
	return stage{
		Name: s.Name, FromNs: int64(s.From), ToNs: int64(s.To), Planned: s.Shoppers,
		Arrived: s.launched, ArrivedPerS: s.arrivals, Orders: s.orders, OrdersPerS: s.throughput,
		Requests: s.requests, OK: s.ok.ratio(), RequestsPerOrder: s.requestsPerOrder(),
		TTFT50: nanoseconds(s.ttft, 0.5), TTFT99: nanoseconds(s.ttft, 0.99),
		Turn99: nanoseconds(s.turn, 0.99), Step99: nanoseconds(s.steps, 0.99),
	}
}

// A metric is one entry of the catalogue: its values over the whole run, and
// over each value of each of its dimensions.
type metric struct {
	Kind      string            `json:"kind"`
	Unit      string            `json:"unit"`
	Help      string            `json:"help"`
	Of        string            `json:"of,omitempty"`
	Values    values            `json:"values"`
	ByStage   map[string]values `json:"by_stage,omitempty"`
	ByStep    map[string]values `json:"by_step,omitempty"`
	ByOutcome map[string]values `json:"by_outcome,omitempty"`
	ByPersona map[string]values `json:"by_persona,omitempty"`
	ByJourney map[string]values `json:"by_journey,omitempty"`
}

func kindName(k results.Kind) string {
	switch k {
	case results.Trend:
		return "trend"
	case results.Counter:
		return "counter"
	case results.Rate:
		return "rate"
	}
	return "unknown"
}

// values are a metric's numbers by name; nil is null.
type values map[string]any

func measure(r *results.Run, m *results.Metric) metric {
	out := metric{Kind: kindName(m.Kind), Unit: m.Unit, Help: m.Help, Of: m.Of, Values: measureOne(r, m, results.Tags{})}
	if m.Kind == results.Trend {
		out.Unit = "ns"
	}
	by := func(dimension string, sel func(string) results.Tags) map[string]values {
		all := map[string]values{}
		for _, v := range r.Tagged(m, dimension) {
			all[v] = measureOne(r, m, sel(v))
		}
		return all
	}
	out.ByStage = by("stage", func(v string) results.Tags { return results.Tags{Stage: v} })
	out.ByStep = by("step", func(v string) results.Tags { return results.Tags{Step: v} })
	out.ByOutcome = by("outcome", func(v string) results.Tags { return results.Tags{Outcome: v} })
	out.ByPersona = by("persona", func(v string) results.Tags { return results.Tags{Persona: v} })
	out.ByJourney = by("journey", func(v string) results.Tags { return results.Tags{Journey: v} })
	return out
}

func measureOne(r *results.Run, m *results.Metric, sel results.Tags) values {
	switch m.Kind {
	case results.Trend:
		h := r.Trend(m, sel)
		v := values{"count": h.Count(), "mean_ns": nil}
		if h.Count() > 0 {
			v["mean_ns"] = int64(h.Mean())
		}
		for name, q := range map[string]float64{"min_ns": 0, "p50_ns": 0.5, "p90_ns": 0.9, "p95_ns": 0.95, "p99_ns": 0.99, "p999_ns": 0.999, "max_ns": 1} {
			v[name] = nanoseconds(h, q)
		}
		return v
	case results.Rate:
		s := rate(r, m, sel)
		return values{"good_count": s.good, "total_count": s.total, "ratio": s.ratio()}
	}
	return values{"count": r.Count(m, sel)}
}

func nanoseconds(h *results.Histogram, q float64) *int64 {
	if h.Count() == 0 {
		return nil
	}
	v := int64(h.Quantile(q))
	return &v
}

// some returns all, or an empty list for none, so that tools see [] and not null.
func some[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}
