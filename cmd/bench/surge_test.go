package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestBars(t *testing.T) {
	if got, want := bars([]uint64{0, 1, 10, 40, 79, 80, 160}, 80), " .▁▄▇██"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestDrawSurge(t *testing.T) {
	of := func(text string) (r surged) {
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	runs := []surged{
		of(`{"load_fingerprint": "f", "verdict": {"outcome": "fail"}, "story": {"tipped_at_ns": 4000000000, "recovered_at_ns": null},
			"seconds": [{"at_s": 0, "launched_count": 8, "orders_count": 8}, {"at_s": 1, "launched_count": 8, "orders_count": 8}, {"at_s": 2, "launched_count": 4, "orders_count": 0}],
			"orders": {"promised": 18, "requests_per_order": 24.46, "audit": {"booked_count": 16, "invariants": [{"id": "key-double", "broken_count": 3}, {"id": "sums", "broken_count": 0}]}}}`),
		of(`{"load_fingerprint": "g", "verdict": {"outcome": "pass"}, "story": {"tipped_at_ns": 4000000000, "recovered_at_ns": 6000000000}, "seconds": [{"at_s": 5, "orders_count": 4}],
			"orders": {"audit": {"invariants": [{"id": "key-double"}]}}}`),
	}
	var b strings.Builder
	drawSurge(&b, runs)
	for _, want := range []string{
		"shoppers        █▂ \n", "naive           █   fail\n", "guarded           ▂ pass\n", "a full one 8 a second",
		"| `naive` | fail | 18 | 16 | 24.5 | from 4 s to the end | `key-double` 3 |\n", "| `guarded` | pass | 0 | 0 | 0.0 | from 4 s to 6 s | none |\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if err := sameLoad(runs); err == nil || !strings.Contains(err.Error(), "guarded had another load than naive") {
		t.Errorf("other loads: %v", err)
	}
}
