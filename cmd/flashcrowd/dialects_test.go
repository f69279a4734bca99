package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/store"
)

// TestCheckoutDialects: whatever checkout protocol the quick campaign speaks,
// everybody buys, and the books have what was promised. Where paying is
// delegated, each delegation is counted, one for each order.
func TestCheckoutDialects(t *testing.T) {
	t.Parallel()
	quick, err := os.ReadFile("testdata/quick.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const spoken, claims = "{protocol: ucp, version: 2026-04-08, path: /ucp}", "{protocol: wxpay-favor, stock_id: free-order}"
	for _, text := range []string{spoken, claims} {
		if strings.Count(string(quick), text) != 1 {
			t.Fatalf("the quick campaign does not say %s", text)
		}
	}
	for _, c := range []struct {
		checkout  string
		delegated bool
		coupons   bool // can be applied
	}{
		{"{protocol: ucp, version: 2026-01-11, path: /ucp-2026-01-11}", false, true},
		{"{protocol: mcp, version: 2026-07-28, path: /mcp}", false, true},
		{"{protocol: mcp, version: 2025-11-25, path: /mcp}", false, true},
		{"{protocol: acp, version: 2026-04-17, path: /acp}", true, true},
		{"{protocol: acp, version: 2025-09-29, path: /acp}", true, false},
	} {
		t.Run(c.checkout, func(t *testing.T) {
			t.Parallel()
			campaign := filepath.Join(t.TempDir(), "dialect.yaml")
			said := strings.Replace(string(quick), spoken, c.checkout, 1)
			if strings.Contains(c.checkout, "mcp") {
				said = strings.Replace(said, claims, strings.Replace(c.checkout, "}", ", stock_id: free-order}", 1), 1)
			}
			if err := os.WriteFile(campaign, []byte(said), 0o644); err != nil {
				t.Fatal(err)
			}
			p := start(t, "run", campaign)
			p.want(0)
			o := p.report()
			o.accounted(t)
			if o.Verdict.Outcome != "pass" || o.Shoppers.Ended["ok"] != 120 {
				t.Errorf("%+v", o)
			}
			s, err := store.Open(p.path("runs/*/run.db"))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			promised, coupons := map[string]string{}, 0
			for entry, err := range s.Ledger() {
				if err != nil {
					t.Fatal(err)
				}
				if entry.Kind == results.OrderPromise && entry.Known {
					promised[entry.Key] = fmt.Sprint(entry.Amount)
					if entry.Coupon != "" {
						coupons++
					}
				}
			}
			booked := orders(t, p.path("runs/*/books.db"))
			if !maps.Equal(promised, booked) || len(booked) < 90 {
				t.Errorf("%d orders promised, %d booked, or not the same", len(promised), len(booked))
			}
			if redeemed := coupons > 0; redeemed != c.coupons {
				t.Errorf("%d coupons redeemed", coupons)
			}
			var requests struct {
				ByStep map[string]struct{ Count uint64 } `json:"by_step"`
			}
			b, err := json.Marshal(o.Metrics["requests"])
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(b, &requests); err != nil {
				t.Fatal(err)
			}
			want := uint64(0)
			if c.delegated {
				want = uint64(len(booked))
			}
			if got := requests.ByStep["delegate"].Count; got != want || requests.ByStep["complete"].Count != uint64(len(booked)) {
				t.Errorf("%d delegations for %d orders: %s", got, len(booked), b)
			}
		})
	}
}

// TestResponses: a whole run whose chat is Responses instead of Completions
// sends the same crowd, and everybody is answered in every turn and buys.
func TestResponses(t *testing.T) {
	t.Parallel()
	quick, err := os.ReadFile("testdata/quick.yaml")
	if err != nil {
		t.Fatal(err)
	}
	campaign := filepath.Join(t.TempDir(), "responses.yaml")
	text := strings.Replace(string(quick), "{protocol: openai,", "{protocol: openai-responses,", 1)
	if text == string(quick) {
		t.Fatal("the quick campaign does not speak openai")
	}
	if err := os.WriteFile(campaign, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p := start(t, "run", campaign)
	p.want(0)
	o := p.report()
	o.accounted(t)
	if o.Verdict.Outcome != "pass" || o.Shoppers.Ended["ok"] != 120 {
		t.Errorf("%+v", o)
	}
	if booked := orders(t, p.path("runs/*/books.db")); len(booked) < 90 {
		t.Errorf("%d orders booked", len(booked))
	}
}
