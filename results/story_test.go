package results

import (
	"testing"
	"time"
)

// course plays a day of 90 s: shoppers and orders per second by plan time, two
// seconds from one to the other, eight in ten shoppers mean to order.
func course(arrivals, orders func(at int64) uint64) *Run {
	const s = time.Second
	r := &Run{About: About{Duration: 90 * s, Stages: []Stage{
		{"opening", 0, 30 * s, 3000}, {"noon", 30 * s, 50 * s, 6000}, {"evening", 50 * s, 90 * s, 4000},
	}}}
	journey := &Histogram{}
	for range 10 {
		journey.Record(int64(2 * s))
	}
	add := func(m *Metric, t Tags, count, good uint64, h *Histogram) {
		r.Series = append(r.Series, Series{Metric: m.Name, Tags: t, Count: count, Good: good, Hist: h})
	}
	add(JourneyDuration, Tags{Stage: "opening", Outcome: "ok"}, 0, 0, journey)
	add(OrderSuccess, Tags{Stage: "opening"}, 800, 700, nil)
	add(Requests, Tags{Stage: "opening", Step: "turn", Outcome: "ok"}, 21_000, 0, nil)
	add(Retries, Tags{Stage: "opening", Step: "turn"}, 1000, 0, nil)
	add(Requests, Tags{Stage: "noon", Step: "turn", Outcome: "unavailable"}, 90_000, 0, nil)
	add(Retries, Tags{Stage: "noon", Step: "turn"}, 60_000, 0, nil)
	r.Account.Ended = map[Outcome]uint64{OK: 900, Unavailable: 100}
	for at := range int64(95) {
		r.Seconds = append(r.Seconds, Second{At: at, Launched: arrivals(at), Orders: orders(at)})
	}
	return r
}

func TestStory(t *testing.T) {
	const s = time.Second
	crowd := func(at int64) uint64 { // 100 a second, three times that at noon
		switch {
		case at >= 90:
			return 0
		case at >= 30 && at < 50:
			return 300
		}
		return 100
	}
	due := func(at int64) uint64 { return crowd(max(at-2, 0)) * 8 / 10 }
	moment := func(d time.Duration) *time.Duration { return &d }
	for _, c := range []struct {
		name              string
		arrivals, orders  func(at int64) uint64
		tipped, recovered *time.Duration
		down, after       time.Duration
	}{
		{"all well", crowd, due, nil, nil, 0, 0},
		{"it sells what it can", crowd, func(at int64) uint64 { return min(due(at), 90) }, nil, nil, 0, 0},
		{"a dip of a second", crowd, func(at int64) uint64 { return due(at) * uint64(min(1, max(at-40, 40-at))) }, nil, nil, 0, 0},
		{"down at noon, up when it is over", crowd, func(at int64) uint64 {
			if at >= 38 && at < 54 {
				return 5
			}
			return due(at)
		}, moment(38 * s), moment(54 * s), 16 * s, 4 * s},
		{"it stays down", crowd, func(at int64) uint64 {
			if at >= 40 {
				return 3
			}
			return due(at)
		}, moment(40 * s), nil, 55 * s, 45 * s},
		{"down and up before the peak is over", crowd, func(at int64) uint64 {
			if at >= 36 && at < 44 {
				return 0
			}
			return due(at)
		}, moment(36 * s), moment(44 * s), 8 * s, 0},
		{"too few to tell", func(int64) uint64 { return 2 }, func(at int64) uint64 { return uint64(max(0, 10-at)) / 5 }, nil, nil, 0, 0},
		{"a slow climb to the peak", crowd, func(at int64) uint64 { return due(max(0, at-6)) }, nil, nil, 0, 0},
	} {
		got := course(c.arrivals, c.orders).Story()
		same := func(a, b *time.Duration) bool { // to within a second: windows are whole seconds
			return (a == nil) == (b == nil) && (a == nil || (*a-*b).Abs() <= s)
		}
		down, after := got.Down()
		if !same(got.Tipped, c.tipped) || !same(got.Recovered, c.recovered) || (down-c.down).Abs() > 2*s || (after-c.after).Abs() > 2*s {
			t.Errorf("%s: tipped %v, recovered %v, down %v, %v of it after the peak; want %v, %v, %v, %v",
				c.name, got.Tipped, got.Recovered, down, after, c.tipped, c.recovered, c.down, c.after)
		}
		if got.Peak.Name != "noon" || got.Lag != 2*s || got.Window != 5*s || got.Before.PerStep() != 1.05 || got.AtPeak.PerStep() != 3 {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestNoStory(t *testing.T) {
	r := course(func(int64) uint64 { return 100 }, func(int64) uint64 { return 0 })
	r.Series = nil
	if s := r.Story(); s != nil {
		t.Errorf("nobody meant to order: %+v", s)
	}
	if s := (&Run{}).Story(); s != nil {
		t.Errorf("nothing happened: %+v", s)
	}
	if e := (Effort{}).PerStep(); e != 0 {
		t.Errorf("nothing sent: %v for each step", e)
	}
}
