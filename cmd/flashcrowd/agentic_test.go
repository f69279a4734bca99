package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWhoDrives: whether the shoppers follow their script or the assistant
// calls the tools, the same load comes and the same shoppers pay the same; all
// of it is promised and booked.
func TestWhoDrives(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../scenarios/campaigns/agentic.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const asked = "share: 80%"
	if strings.Count(string(text), asked) != 1 {
		t.Fatalf("the campaign does not say %s", asked)
	}
	var bought map[string]string
	var load string
	for _, share := range []string{"0%", "80%", "100%"} {
		campaign := filepath.Join(t.TempDir(), "driven.yaml")
		changed := strings.NewReplacer(asked, "share: "+share, "for: 10s", "for: 3s",
			// Other tests run beside it: nobody thinks, and all are patient.
			"think: {median: 7s, p90: 15s}", "", "{pace: 1/20}", "{pace: 1}", "lag_p99: 100ms", "lag_p99: 60s, cpu: 100%, withheld: 100%", "p(95)<2s", "p(95)<60s").Replace(string(text))
		if err := os.WriteFile(campaign, []byte(changed), 0o644); err != nil {
			t.Fatal(err)
		}
		p := start(t, "run", campaign)
		p.want(0)
		o := p.report()
		o.accounted(t)
		all := ordersBy(t, p.path("runs/*/books.db"), "user")
		if o.Orders.Promised != o.Orders.Booked || uint64(len(all)) != o.Orders.Booked || len(all) < 20 {
			t.Errorf("%s driven: %+v, %d shoppers in the books", share, o.Orders, len(all))
		}
		if bought == nil {
			bought, load = all, o.LoadFingerprint
			continue
		}
		if !maps.Equal(all, bought) || o.LoadFingerprint != load {
			t.Errorf("%s driven: %d shoppers bought something, scripted %d, or not for the same; load %s and %s", share, len(all), len(bought), o.LoadFingerprint, load)
		}
	}
}

// TestTryDriven: who tries a driven journey sees each call and what it gave.
func TestTryDriven(t *testing.T) {
	t.Parallel()
	p := start(t, "try", "agentic", "--shopper", "1")
	p.want(0)
	for _, part := range []string{"step 2: search", `calls     search {"query":`, "found     bill-power", `told      call_1_0: {"items":[{"item":"bill-power"`,
		`calls     complete {"checkout":"chk_1"}`, "ended: ok, with an order"} {
		if !strings.Contains(p.out.String(), part) {
			t.Errorf("%q is not in\n%s", part, p.out.String())
		}
	}
}
