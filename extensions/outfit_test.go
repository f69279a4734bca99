package extensions

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// TestOutfitConnects: what a campaign says of connections reaches the backend.
func TestOutfitConnects(t *testing.T) {
	requests := make(chan *http.Request, 8)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { requests <- r }))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	defer server.Close()
	pair := server.TLS.Certificates[0]
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})
	private, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	folder := t.TempDir()
	for name, content := range map[string]string{"ca.pem": string(ca), "shop.yaml": fmt.Sprintf(`
name: shop
crowd:
  shoppers: 10
  stages: [{name: rush, for: 1s, rate: 1}]
target:
  url: %s
  tls: {ca: ca.pem, cert: "${CERT}", key: "${KEY}", server_name: example.com}
  source: [127.0.1.7]
  client_address: Forwarded
  stress_header: X-Load-Test
  chat: {protocol: openai, model: m}
  checkout: {protocol: ucp}
`, server.URL)} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	campaign, err := scenarios.Load(filepath.Join(folder, "shop.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := campaign.Plan(results.Factors{})
	if err != nil {
		t.Fatal(err)
	}
	if plan, err = scenarios.DecodePlan(plan.Encode()); err != nil {
		t.Fatal(err)
	}
	terms := Terms{Run: "r-1", Env: map[string]string{"CERT": string(ca), "KEY": key}}
	outfit, err := Outfit(plan, terms)
	if err != nil {
		t.Fatal(err)
	}
	shopper := plan.Shopper(scenarios.ID{Slot: 3})
	var device wire.Device
	for resumed := range 2 {
		conn, err := outfit.Dialer.Dial(t.Context(), &device)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := conn.Do(&wire.Request{Method: "GET", Path: "/", Header: outfit.Header(shopper, nil), Deadline: time.Now().Add(5 * time.Second)})
		if err == nil {
			_, err = answer.ReadAll(1 << 10)
		}
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		r := <-requests
		if r.TLS.ServerName != "example.com" || len(r.TLS.PeerCertificates) != 1 || r.TLS.DidResume != (resumed == 1) {
			t.Errorf("TLS: %q, %d certificates, resumed %v", r.TLS.ServerName, len(r.TLS.PeerCertificates), r.TLS.DidResume)
		}
		if !strings.HasPrefix(r.RemoteAddr, "127.0.1.7:") || r.Header.Get("X-Load-Test") != "r-1" || r.Header.Get("X-Flashcrowd-Run") != "" {
			t.Errorf("from %s: %v", r.RemoteAddr, r.Header)
		}
		if got := r.Header.Get("Forwarded"); got != "for="+shopper.Address().String() {
			t.Errorf("Forwarded: %q", got)
		}
	}
	plan.Target.Source = []string{"192.0.2.7"}
	if _, err := Outfit(plan, terms); err == nil || !strings.Contains(err.Error(), "this machine has none") {
		t.Errorf("with an address of nobody's: %v", err)
	}
	terms.Env["KEY"] = "no key"
	if _, err := Outfit(plan, terms); err == nil || !strings.Contains(err.Error(), "read target.tls.cert and its key") {
		t.Errorf("without a key: %v", err)
	}
}

// TestOutfitShares: pooled connections carry many requests at once where the
// target speaks HTTP/2, and there alone.
func TestOutfitShares(t *testing.T) {
	for _, test := range []struct {
		keys           string
		pooled, shared bool
	}{
		{"", false, false}, {"http: 2", false, false}, {"connections: pooled", true, false}, {"http: 2, connections: pooled", true, true},
	} {
		campaign, err := scenarios.Parse("shop.yaml", []byte(`
name: shop
crowd:
  shoppers: 10
  stages: [{name: rush, for: 1s, rate: 1}]
target: {url: "http://127.0.0.1:1", chat: {protocol: openai, model: m}, checkout: {protocol: ucp}, `+test.keys+"}\n"))
		if err != nil {
			t.Fatal(err)
		}
		plan, err := campaign.Plan(results.Factors{})
		if err != nil {
			t.Fatal(err)
		}
		outfit, err := Outfit(plan, Terms{Run: "r-1"})
		if err != nil {
			t.Fatal(err)
		}
		if at := outfit.Dialer.(*wire.Target); outfit.Pooled != test.pooled || outfit.Shared != test.shared || at.Shared != test.shared {
			t.Errorf("%q: pooled %v, shared %v, by the target %v", test.keys, outfit.Pooled, outfit.Shared, at.Shared)
		}
	}
}
