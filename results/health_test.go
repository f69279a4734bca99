package results

import (
	"testing"
	"time"
)

// What a machine withholds counts from the first shopper on: a child's start is
// nobody's measurement.
func TestWithheld(t *testing.T) {
	m, r := NewMerger(About{}), NewRecorder("w")
	add := func(seq uint64, h Health) {
		t.Helper()
		if _, err := m.Add(r.Cut(seq, time.Duration(seq)*time.Second, h)); err != nil {
			t.Fatal(err)
		}
	}
	add(1, Health{Throttled: 0.9, Stalled: 0.9})
	if got := m.Run().Workers[0].Withheld(); got != "" {
		t.Errorf("before anybody came: %q", got)
	}
	r.Add(Launch{})
	add(2, Health{Throttled: 0.25})
	r.Add(Launch{})
	add(3, Health{Throttled: 0.1, Stalled: 0.07})
	if got, want := m.Run().Workers[0].Withheld(), "throttled 25 % of the time, waiting for memory 7 % of the time"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for _, h := range []Health{{Throttled: 1.1}, {Throttled: -1}, {Stalled: 2}, {Stalled: -0.1}} {
		if _, err := m.Add(r.Cut(4, time.Second, h)); err == nil {
			t.Errorf("%+v was taken", h)
		}
	}
}
