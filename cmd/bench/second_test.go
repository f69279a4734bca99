package main

import (
	"testing"

	"github.com/flashcrowd/flashcrowd/results"
)

// The snapshot that is measured is the one that the figures are said to be of.
func TestSecond(t *testing.T) {
	s := at(second("w", 1), "x", 7, 60)
	if len(s.Series) != secondSeries {
		t.Errorf("%d series, want %d", len(s.Series), secondSeries)
		for _, v := range s.Series {
			t.Log(v.Metric, v.Tags)
		}
	}
	got, err := results.DecodeSnapshot(results.Encode(s))
	if err != nil || got.Worker != "x" || got.Seq != 7 || got.Launched != secondShoppers || got.Ended != secondShoppers {
		t.Errorf("%+v, %v", got, err)
	}
	if len(got.Seconds) != 1 || got.Seconds[0].At != 60 || len(got.Ledger) != 2*(secondShoppers-1) || len(got.Examples) != 1 {
		t.Errorf("%d seconds, %d promises, %d examples", len(got.Seconds), len(got.Ledger), len(got.Examples))
	}
}
