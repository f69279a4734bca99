package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// connected writes the quick campaign with more keys under target, and returns
// its path.
func connected(t *testing.T, keys string) string {
	t.Helper()
	quick, err := os.ReadFile("testdata/quick.yaml")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "connected.yaml")
	if err := os.WriteFile(path, []byte(strings.Replace(string(quick), "\ntarget:\n", "\ntarget:\n"+keys, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRunOverHTTP2: the built-in storefront speaks it, and the crowd gets what it
// gets over HTTP/1.1, whether each shopper has a connection or all share some.
func TestRunOverHTTP2(t *testing.T) {
	for _, keys := range []string{"  http: 2\n", "  http: 2\n  connections: pooled\n"} {
		p := start(t, "run", connected(t, keys))
		p.want(0)
		if o := p.report(); o.Shoppers.Ended["ok"] != 120 || o.Orders.Promised == 0 || o.Orders.Promised != o.Orders.Booked {
			t.Errorf("%q: %+v", keys, o)
		}
	}
}

// TestRunBehindTLS: a gateway with a certificate of its own that wants one of its
// clients, speaks HTTP/2, and sees who comes.
func TestRunBehindTLS(t *testing.T) {
	shop := start(t, "storefront", "--listen", "127.0.0.1:0")
	defer shop.cmd.Wait()
	defer shop.cmd.Process.Kill()
	for end := time.Now().Add(time.Minute); !strings.Contains(shop.out.String(), "(design") && time.Now().Before(end); time.Sleep(10 * time.Millisecond) { // polls what another process says
	}
	address, _, _ := strings.Cut(strings.TrimPrefix(shop.out.String(), storefrontSays), " ")
	behind, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(behind)
	var mu sync.Mutex
	phones, sources, connections, resumed := map[string]bool{}, map[string]bool{}, map[string]bool{}, 0
	gateway := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		if r.ProtoMajor != 2 || len(r.TLS.PeerCertificates) != 1 || r.Header.Get("X-Load-Test") == "" {
			t.Errorf("HTTP/%d, %d certificates, %v", r.ProtoMajor, len(r.TLS.PeerCertificates), r.Header)
		}
		phones[r.Header.Get("X-Real-Ip")] = true
		host, _, _ := strings.Cut(r.RemoteAddr, ":")
		sources[host] = true
		if !connections[r.RemoteAddr] && r.TLS.DidResume {
			resumed++
		}
		connections[r.RemoteAddr] = true
		mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	gateway.EnableHTTP2 = true
	gateway.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	gateway.StartTLS()
	defer gateway.Close()
	pair := gateway.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}))
	t.Setenv("SHOP_CA", certificate)
	t.Setenv("SHOP_CERT", certificate)
	t.Setenv("SHOP_KEY", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))

	p := start(t, "run", connected(t, "  url: "+gateway.URL+`
  http: 2
  tls: {ca: "${SHOP_CA}", cert: "${SHOP_CERT}", key: "${SHOP_KEY}", server_name: example.com}
  source: [127.0.1.0/30]
  client_address: X-Real-Ip
  stress_header: X-Load-Test
`), "--workers", "2")
	p.want(0)
	o := p.report()
	o.accounted(t)
	mu.Lock()
	defer mu.Unlock()
	if o.Shoppers.Ended["ok"] != 120 || len(phones) < 110 || len(sources) != 4 {
		t.Errorf("%v, from %d phones at %v", o.Shoppers, len(phones), sources)
	}
	t.Logf("%d connections, %d of them resumed a session", len(connections), resumed)
}
