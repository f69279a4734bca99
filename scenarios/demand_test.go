package scenarios

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// demanded is the plan of a crowd on its way through stages.
func demanded(t *testing.T, crowd string) *Plan {
	t.Helper()
	return planOf(t, "name: demand\ncrowd:\n"+crowd+`
target:
  chat: {protocol: openai, model: m}
  checkout: {protocol: ucp}
expect: {turn: 2s, request: 500ms}
`)
}

func planOf(t *testing.T, text string) *Plan {
	t.Helper()
	c, err := Parse("demand.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Plan(results.Factors{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestDemandByHand: ten shoppers a second who stay for two seconds are twenty at
// once; those who think for six seconds between two turns are a hundred.
func TestDemandByHand(t *testing.T) {
	const steady = "  arrivals: {process: uniform}\n  stages: [{name: steady, for: 100s, rate: 10/s}, {name: calm, for: 100s, rate: 1/s}]\n"
	for _, c := range []struct {
		name, crowd            string
		visit                  time.Duration
		requests               float64
		shoppers, calm, stream float64
		flow                   float64 // requests per second
	}{
		{"one turn", steady + "  journeys: {browse: 1}\n  turns: 1", 2 * time.Second, 1, 20, 2, 20, 10},
		{"two turns", steady + "  journeys: {browse: 1}\n  turns: 2\n  think: {median: 6s, p90: 6s}", 10 * time.Second, 2, 100, 10, 40, 20},
		{"an order", steady + "  journeys: {repeat: 1}\n  turns: 1", 3 * time.Second, 3, 30, 3, 20, 30},
		{"an order that the assistant drives", steady + "  journeys: {repeat: 1}\n  turns: 2\n  think: {median: 2s, p90: 2s}\n  driven: {}", 11500 * time.Millisecond, 7, 115, 11.5, 80, 70},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := demanded(t, c.crowd).Demand()
			if d.Visit != c.visit || d.Requests != c.requests || d.Sampled != 1100 {
				t.Errorf("a visit of %v with %v requests, %d sampled", d.Visit, d.Requests, d.Sampled)
			}
			if len(d.Stages) != 3 || d.Stages[1].Name != "calm" || d.Stages[2].Name != AfterTheEnd || d.Peak.Name != "steady" {
				t.Fatalf("%+v", d)
			}
			within(t, 0.1, "arrivals", d.Peak.Arrivals, 10)
			within(t, 0.05, "shoppers", d.Stages[0].Shoppers, c.shoppers)
			within(t, 0.05, "streams", d.Peak.Streams, c.stream)
			within(t, 0.12, "requests/s", d.Peak.Requests, c.flow)
			if last := d.Stages[2]; last.Arrivals != 0 || last.Shoppers > c.calm*1.2 || last.Shoppers == 0 {
				t.Errorf("after the end: %+v", last)
			}
		})
	}
}

func within(t *testing.T, share float64, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > share*want {
		t.Errorf("%s: %.2f, want %.2f to %v %%", what, got, want, share*100)
	}
}

// TestDemandOfASample: the first of a large crowd say what the whole comes to.
func TestDemandOfASample(t *testing.T) {
	p := demanded(t, "  shoppers: 100_000\n  stages: [{name: dawn, for: 10m, rate: 1}, {name: noon, for: 10m, rate: 9}]\n  journeys: {repeat: 3, browse: 1}\n  think: {median: 7s, p90: 15s}")
	whole, sample := p.demand(p.Shoppers), p.Demand()
	if sample.Sampled != demandSample || whole.Sampled != 100_000 {
		t.Fatalf("%d and %d sampled", sample.Sampled, whole.Sampled)
	}
	within(t, 0.02, "requests", sample.Requests, whole.Requests)
	within(t, 0.02, "visit", sample.Visit.Seconds(), whole.Visit.Seconds())
	within(t, 0.05, "shoppers at once", sample.Peak.Shoppers, whole.Peak.Shoppers)
	within(t, 0.15, "streams at once", sample.Peak.Streams, whole.Peak.Streams)
	if again := p.Demand(); again.Peak != sample.Peak {
		t.Errorf("another answer: %+v, then %+v", sample.Peak, again.Peak)
	}
}

// TestDemandOfEveryJourney: whatever a shopper wants, it gets it and leaves.
func TestDemandOfEveryJourney(t *testing.T) {
	for _, journey := range Journeys() {
		for _, persona := range Personas() {
			text := strings.NewReplacer("JOURNEY", journey, "PERSONA", persona).Replace("  shoppers: 50\n  stages: [{name: s, for: 10s, rate: 1}]\n  journeys: {JOURNEY: 1}\n  personas: {PERSONA: 1}")
			d := demanded(t, text).Demand()
			if d.Requests < 3 || d.Requests > 100 || d.Visit <= 0 || d.Visit > time.Hour {
				t.Errorf("%s of a %s: %+v", journey, persona, d)
			}
			driven := demanded(t, text+"\n  driven: {}").Demand()
			if driven.Requests < d.Requests || driven.Requests > d.Requests+10 || driven.Visit < d.Visit {
				t.Errorf("%s of a %s: %+v, driven %+v", journey, persona, d, driven)
			}
		}
	}
}

func TestNeeds(t *testing.T) {
	d := Demand{Peak: Traffic{Arrivals: 100, Requests: 8000, Shoppers: 10_000, InFlight: 2000}}
	pooled := d
	pooled.Pooled = true
	if got, want := pooled.Needs(2, false), (Needs{0.5, 240<<20 + 2001*(40<<10) + 8000*(12<<10), 1_065, 2_001, 2_001}); got != want {
		t.Errorf("pooled: %+v, want %+v", got, want)
	}
	if n := pooled.WorkersFor(1064); n != 3 {
		t.Errorf("%d workers for 2001 connections at 1000 each", n)
	}
	for _, c := range []struct {
		workers int
		same    bool
		want    Needs
	}{
		{1, true, Needs{0.5, 120<<20 + 2001*(40<<10) + 8000*(32<<10), 10_065, 10_001, 10_001}},
		{1, false, Needs{0.5, 120<<20 + 2001*(40<<10) + 8000*(32<<10), 10_065, 10_001, 16_001}},
		{4, true, Needs{0.5, 480<<20 + 2001*(40<<10) + 8000*(32<<10), 2_565, 10_001, 10_001}},
		{0, true, Needs{0.5, 120<<20 + 2001*(40<<10) + 8000*(32<<10), 10_065, 10_001, 10_001}},
	} {
		if got := d.Needs(c.workers, c.same); got != c.want {
			t.Errorf("%d workers: %+v, want %+v", c.workers, got, c.want)
		}
	}
}

// TestDemandOfAClosedCrowd: who stays for two seconds in a shop of eight places
// makes room for four a second; where there is room for all, it changes nothing.
func TestDemandOfAClosedCrowd(t *testing.T) {
	for atOnce, want := range map[string]Traffic{
		"8":   {Arrivals: 4, Requests: 4, Shoppers: 8, Streams: 8},
		"800": {Arrivals: 10, Requests: 10, Shoppers: 20, Streams: 20},
	} {
		peak := demanded(t, "  at_once: "+atOnce+`
  arrivals: {process: uniform}
  stages: [{name: steady, for: 100s, rate: 10/s}]
  journeys: {browse: 1}
  turns: 1`).Demand().Peak
		within(t, 0.1, atOnce+": arrivals", peak.Arrivals, want.Arrivals)
		within(t, 0.1, atOnce+": requests", peak.Requests, want.Requests)
		within(t, 0.1, atOnce+": shoppers", peak.Shoppers, want.Shoppers)
		within(t, 0.1, atOnce+": streams", peak.Streams, want.Streams)
	}
}
