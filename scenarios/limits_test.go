package scenarios

import (
	"strings"
	"testing"

	"github.com/flashcrowd/flashcrowd/results"
)

const limited = "limits: {arrivals: 5000/s, streams: 50_000, tokens: 2_000_000, cost: {most: 20, million_tokens: 8.5, turn: 0.001}}"

func TestLimitsAreRead(t *testing.T) {
	src := strings.Replace(small, "limits: {arrivals: 5000/s}", limited, 1)
	c, err := Parse("c.yaml", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	l := c.Limits
	if l.Arrivals != 5000 || l.Streams != 50_000 || l.Tokens != 2_000_000 || *l.Cost != (Cost{Most: 20, MillionTokens: 8.5, Turn: 0.001}) {
		t.Errorf("%+v, %+v", l, l.Cost)
	}
	p := plan(t, src, results.Factors{})
	q, err := DecodePlan(p.Encode())
	if err != nil || q.Fingerprint() != p.Fingerprint() || *q.Campaign.Limits.Cost != *l.Cost || q.Campaign.Limits.Streams != l.Streams {
		t.Errorf("%+v came back as %+v, %v", l, q.Campaign.Limits, err)
	}
	for change, want := range map[string]string{
		"streams: 50_000\x00streams: 0":          "limits.streams: must be a whole number above 0",
		"tokens: 2_000_000\x00tokens: 1.5":       "limits.tokens: must be a whole number above 0",
		"most: 20, \x00":                         "limits.cost.most: must be an amount above 0",
		"most: 20\x00most: 1e13":                 "limits.cost.most: must be an amount above 0, at most 10¹²",
		"turn: 0.001\x00turn: -1":                "limits.cost.turn: must be an amount above 0",
		", million_tokens: 8.5, turn: 0.001\x00": "limits.cost: has no price",
		"turn: 0.001\x00token: 1":                "limits.cost",
	} {
		from, to, _ := strings.Cut(change, "\x00")
		if _, err := Parse("c.yaml", []byte(strings.Replace(src, from, to, 1))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", change, err, want)
		}
	}
}

func TestLimitsPassed(t *testing.T) {
	m := results.NewMerger(results.About{})
	if _, err := m.Add(results.Snapshot{Format: results.SnapshotFormat, Worker: "w", Seq: 1, Series: []results.Series{
		{Metric: results.OutputTokens.Name, Count: 800_000},
		{Metric: results.ReasoningTokens.Name, Count: 200_000},
		{Metric: results.Requests.Name, Tags: results.Tags{Step: "turn", Outcome: "ok"}, Count: 3000},
		{Metric: results.Requests.Name, Tags: results.Tags{Step: "claim", Outcome: "ok"}, Count: 500},
	}}); err != nil {
		t.Fatal(err)
	}
	run := m.Run()
	for _, tt := range []struct {
		limits Limits
		now    Pace
		want   string
	}{
		{Limits{}, Pace{1e9, 1e9}, ""},
		{Limits{Tokens: 1_000_000}, Pace{}, ""},
		{Limits{Tokens: 999_999}, Pace{}, "limits.tokens: 999,999 → 1,000,000 streamed"},
		{Limits{Streams: 40}, Pace{Streams: 40}, ""},
		{Limits{Streams: 40}, Pace{Streams: 41}, "limits.streams: 40 → 41 at once"},
		{Limits{Cost: &Cost{Most: 11.5, MillionTokens: 8.5, Turn: 0.001}}, Pace{}, ""},
		{Limits{Cost: &Cost{Most: 11.4, MillionTokens: 8.5, Turn: 0.001}}, Pace{}, "limits.cost: 11.40 → 11.50, for 1,000,000 tokens and 3,000 turns"},
		{Limits{Cost: &Cost{Most: 2.9, Turn: 0.001}}, Pace{}, "limits.cost: 2.90 → 3.00, for 1,000,000 tokens and 3,000 turns"},
		{Limits{Arrivals: 1000}, Pace{Arrivals: 1299}, ""}, // chance, and what a lost worker left
		{Limits{Arrivals: 1000}, Pace{Arrivals: 1301}, "limits.arrivals: 1,000/s → 1,301/s, over 10 s"},
		{Limits{Arrivals: 0.1}, Pace{Arrivals: 0.5}, ""}, // five came in ten seconds, of one
	} {
		if got := tt.limits.Passed(run, tt.now); got != tt.want {
			t.Errorf("%+v at %+v: %q, want %q", tt.limits, tt.now, got, tt.want)
		}
	}
}
