package membership

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func identity(t *testing.T) Identity {
	t.Helper()
	i, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// serve answers with the peer's id and whether the session was resumed.
func serve(t *testing.T, i Identity, allowed func(string) bool) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := PeerID(*r.TLS)
		if err != nil {
			t.Error(err)
		}
		resumed := "fresh "
		if r.TLS.DidResume {
			resumed = "resumed "
		}
		_, _ = io.WriteString(w, resumed+id)
	}))
	l := tls.NewListener(s.Listener, i.ServerTLS(allowed))
	s.Listener = l
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return l.Addr().String()
}

func get(config *tls.Config, addr string) (string, error) {
	client := http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	resp, err := client.Get("https://" + addr)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

func TestPinnedTLS(t *testing.T) {
	server, client, stranger := identity(t), identity(t), identity(t)
	if server.ID == client.ID || !isID(server.ID) {
		t.Fatalf("ids %q and %q", server.ID, client.ID)
	}
	allow := true
	addr := serve(t, server, func(id string) bool { return allow && id == client.ID })

	config := client.ClientTLS(server.ID)
	if got, err := get(config, addr); err != nil || got != "fresh "+client.ID {
		t.Fatalf("%q, %v", got, err)
	}
	if got, err := get(config, addr); err != nil || got != "resumed "+client.ID {
		t.Errorf("second connection: %q, %v", got, err)
	}
	allow = false
	if got, err := get(config, addr); err == nil {
		t.Errorf("a resumed session of a peer that is not allowed any more: %q", got)
	}
	allow = true

	if got, err := get(stranger.ClientTLS(server.ID), addr); err == nil {
		t.Errorf("a stranger was served: %q", got)
	}
	if got, err := get(client.ClientTLS(stranger.ID), addr); err == nil || !strings.Contains(err.Error(), "peer is") {
		t.Errorf("the client took another server: %q, %v", got, err)
	}
	bare := client.ClientTLS(server.ID)
	bare.Certificates = nil
	if got, err := get(bare, addr); err == nil {
		t.Errorf("a client without certificate was served: %q", got)
	}
	old := client.ClientTLS(server.ID)
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if got, err := get(old, addr); err == nil {
		t.Errorf("TLS 1.2 was spoken: %q", got)
	}
}

// A certificate can be copied off the wire, its key can't.
func TestCopiedCertificate(t *testing.T) {
	server, client, thief := identity(t), identity(t), identity(t)
	addr := serve(t, server, func(id string) bool { return id == client.ID })
	thief.cert.Certificate, thief.cert.Leaf = client.cert.Certificate, client.cert.Leaf
	if got, err := get(thief.ClientTLS(server.ID), addr); err == nil {
		t.Errorf("a copied certificate was served: %q", got)
	}
}

// A session ticket of one server must not open a client for another one: the
// cache is by name, and all nodes have the same.
func TestResumptionIsPinnedToo(t *testing.T) {
	first, second, client := identity(t), identity(t), identity(t)
	config := client.ClientTLS(first.ID)
	everyone := func(string) bool { return true }
	if _, err := get(config, serve(t, first, everyone)); err != nil {
		t.Fatal(err)
	}
	if got, err := get(config, serve(t, second, everyone)); err == nil {
		t.Errorf("another server was taken: %q", got)
	}
}
