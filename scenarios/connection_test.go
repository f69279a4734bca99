package scenarios

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// authority returns a certificate that signed itself, and its key.
func authority(t testing.TB) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shop"}, NotAfter: time.Now().Add(time.Hour), IsCA: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

// connected is the small campaign with more keys under target.
func connected(keys string) string {
	return strings.Replace(small, "  url: http://127.0.0.1:8080\n", "  url: https://shop\n"+keys, 1)
}

func TestConnection(t *testing.T) {
	cert, key := authority(t)
	folder := t.TempDir()
	for name, content := range map[string]string{
		"ca.pem": "our authority\n" + cert, "key.pem": key, "both.pem": cert + key, "none.pem": "hello",
		"bad.pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "huge.pem": strings.Repeat("#", maxPEM+1),
		"shop.yaml": connected(`  http: 2
  tls: {ca: ca.pem, cert: "${CERT}", key: "${KEY}", server_name: shop.internal, resume: false}
  source: [127.0.1.0/28, 10.0.0.7]
  client_address: X-Forwarded-For
  stress_header: X-Load-Test
  connections: pooled
`),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load(filepath.Join(folder, "shop.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	want := Connection{
		HTTP:   HTTP2,
		TLS:    TLS{CA: cert, Cert: "${CERT}", Key: "${KEY}", ServerName: "shop.internal", Cold: true},
		Source: []string{"127.0.1.0/28", "10.0.0.7"}, ClientAddress: "X-Forwarded-For", StressHeader: "X-Load-Test",
		Connections: Pooled,
	}
	if fmt.Sprint(c.Target.Connection) != fmt.Sprint(want) {
		t.Errorf("got %+v", c.Target.Connection)
	}
	if got := c.Secrets(); !slices.Equal(got, []string{"CERT", "KEY", "TOKEN"}) {
		t.Errorf("secrets: %v", got)
	}
	p, err := c.Plan(results.Factors{})
	if err != nil {
		t.Fatal(err)
	}
	q, err := DecodePlan(p.Encode())
	if err != nil || fmt.Sprint(q.Target.Connection) != fmt.Sprint(want) {
		t.Errorf("decoded: %+v, %v", q, err)
	}
	resolved, err := q.Target.Resolve(func(name string) (string, bool) {
		return map[string]string{"CERT": cert, "KEY": key, "TOKEN": "t"}[name], true
	})
	if err != nil || resolved.TLS.Cert != cert || resolved.TLS.Key != key || q.Target.TLS.Key != "${KEY}" {
		t.Errorf("resolved: %v, %+v", err, resolved.TLS)
	}
	if _, err := q.Target.Resolve(func(name string) (string, bool) { return "", name != "KEY" }); err == nil || !strings.Contains(err.Error(), "tls.key: ${KEY} is not set") {
		t.Errorf("without the key: %v", err)
	}

	for _, test := range []struct{ keys, want string }{
		{"  http: 3\n", "13:9: target.http: must be 1.1 or 2, not the number 3"},
		{"  http: 2.0\n", "target.http: must be 1.1 or 2"},
		{"  tls: {ca: none.pem}\n", "13:13: target.tls.ca: holds no certificate in PEM"},
		{"  tls: {ca: bad.pem}\n", "target.tls.ca: holds a certificate that can't be read"},
		{"  tls: {ca: both.pem}\n", "target.tls.ca: holds a private key, and a plan goes to every worker (a private key is given as key: ${NAME})"},
		{"  tls: {ca: huge.pem}\n", "huge.pem has more than 64 KiB"},
		{"  tls: {ca: nowhere.pem}\n", "target.tls.ca: can't be read: open "},
		{"  tls: {ca: .}\n", "target.tls.ca: can't be read: "},
		{"  tls: {cert: ca.pem, key: key.pem}\n", "target.tls.key: must not be in a campaign"},
		{"  tls: {cert: ca.pem}\n", "target.tls: needs cert and key, or neither"},
		{"  tls: {key: \"${KEY}\"}\n", "target.tls: needs cert and key, or neither"},
		{"  tls: {server_name: a b}\n", "target.tls.server_name: \"a b\" is not a host name"},
		{"  tls: {resume: maybe}\n", "target.tls.resume: must be true or false"},
		{"  tls: {verify: false}\n", `unknown key "verify"`},
		{"  source: shop\n", "target.source[0]: \"shop\" is not an address or a prefix (127.0.1.0/28)"},
		{"  source: [127.0.0.1, 10.0.0.0/8]\n", "target.source: has more than 4096 addresses"},
		{"  source: [127.0.0.0/20, 10.0.0.1]\n", "target.source: has more than 4096 addresses"},
		{"  source: [fe80::1%eth0]\n", "target.source[0]: "},
		{"  client_address: X Y\n", `target.client_address: "X Y" is not the name of a header`},
		{"  client_address: Host\n", "target.client_address: Host is set by the protocol"},
		{"  client_address: x-flashcrowd-run\n", "target.client_address: is the stress tag's header"},
		{"  client_address: authorization\n", "target.client_address: authorization has another value in headers"},
		{"  stress_header: Idempotency-Key\n", "target.stress_header: Idempotency-Key is set by the protocol"},
		{"  connections: shared\n", `target.connections: must be per-shopper or pooled, not "shared"`},
		{"  stress_header: User-Agent\n", "target.stress_header: User-Agent is set by the protocol"},
	} {
		_, err := parseWith("f", []byte(connected(test.keys)), beside(folder))
		var faults Faults
		if !errors.As(err, &faults) || len(faults) != 1 || !strings.Contains(faults[0].String(), test.want) {
			t.Errorf("%s: %v, want %q", test.keys, err, test.want)
		}
	}
	if _, err := Parse("f", []byte(strings.Replace(connected("  tls: {resume: false}\n"), "https:", "http:", 1))); err == nil || !strings.Contains(err.Error(), "the URL is http") {
		t.Errorf("TLS without https: %v", err)
	}
	if _, err := Parse("f", []byte(connected("  tls: {ca: ca.pem}\n"))); err == nil || !strings.Contains(err.Error(), "no folder to find it in") {
		t.Errorf("a file without a folder: %v", err)
	}
	data := string(p.Encode())
	for _, bad := range [][2]string{{`"key":"${KEY}"`, `"key":"/etc/shadow"`}, {`"cert":"${CERT}"`, `"cert":"/etc/shadow"`}, {`"10.0.0.7"`, `"0.0.0.0/0"`}} {
		if _, err := DecodePlan([]byte(strings.Replace(data, bad[0], bad[1], 1))); err == nil {
			t.Errorf("a plan with %s is taken", bad[1])
		}
	}
}

func TestAddress(t *testing.T) {
	p := plan(t, small, results.Factors{})
	benchmarks, seen := netip.MustParsePrefix("198.18.0.0/15"), map[netip.Addr]bool{}
	for i := range uint32(1000) {
		a := p.Shopper(ID{Slot(i % Slots), i}).Address()
		if !benchmarks.Contains(a) || a != p.Shopper(ID{Slot(i % Slots), i}).Address() {
			t.Fatalf("shopper %d has %v", i, a)
		}
		seen[a] = true
	}
	if len(seen) < 980 { // of 131,070: some 4 pairs are expected to meet
		t.Errorf("%d addresses for 1000 shoppers", len(seen))
	}
}

// TestToll: what TLS and HTTP/2 take is in the needs of a plan.
func TestToll(t *testing.T) {
	needs := func(keys string) Needs {
		return plan(t, connected(keys), results.Factors{}).demand(100).Needs(1, true)
	}
	plain, secure, both := plan(t, small, results.Factors{}).demand(100).Needs(1, true), needs(""), needs("  http: 2\n")
	if got, want := secure.Memory-plain.Memory, plain.Connections*8<<10; got != want {
		t.Errorf("TLS takes %d bytes more, want %d", got, want)
	}
	if got, want := both.Memory-plain.Memory, plain.Connections*28<<10; got != want {
		t.Errorf("TLS and HTTP/2 take %d bytes more, want %d", got, want)
	}
	if !(plain.Processors < secure.Processors && secure.Processors < both.Processors) {
		t.Errorf("processors: %v plain, %v with TLS, %v with HTTP/2 too", plain.Processors, secure.Processors, both.Processors)
	}
	if a, b := needs("  connections: pooled\n"), needs(""); a.Processors >= b.Processors {
		t.Errorf("processors: %v pooled, %v with a handshake for each shopper", a.Processors, b.Processors)
	}
}
