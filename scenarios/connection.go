package scenarios

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// A Connection is how shoppers reach a target. Its zero value is HTTP/1.1, the
// system's authorities under TLS, and whatever address the system dials from.
type Connection struct {
	HTTP          string   `json:"http,omitempty"` // HTTP2; empty: HTTP/1.1
	TLS           TLS      `json:"tls,omitzero"`
	Source        []string `json:"source,omitempty"`         // addresses and prefixes to dial from, of which a worker uses those it has
	ClientAddress string   `json:"client_address,omitempty"` // header that carries Shopper.Address; empty: none
	StressHeader  string   `json:"stress_header,omitempty"`  // header that carries the run's id; empty: DefaultStressHeader
	Connections   string   `json:"connections,omitempty"`    // Pooled; empty: each shopper has its own
}

// HTTP2 is the version that Connection.HTTP names: over TLS it is agreed on by
// ALPN, else by prior knowledge. There is no way back to 1.1.
const HTTP2 = "2"

// DefaultStressHeader is the header that tells a backend which requests are a
// run's.
const DefaultStressHeader = "X-Flashcrowd-Run"

// Pooled connections are shared by all shoppers of a worker, as behind a
// gateway; without, each shopper has its own, as phones do.
const (
	Pooled   = "pooled"
	unpooled = "per-shopper"
)

// TLS is what an https target needs beyond the system's authorities. A PEM text
// is a certificate chain, or ${NAME} for one that the worker's environment has.
type TLS struct {
	CA         string `json:"ca,omitempty"`   // PEM; trusted alone, instead of the system's
	Cert       string `json:"cert,omitempty"` // PEM; the shoppers' own, with Key
	Key        string `json:"key,omitempty"`  // always ${NAME}
	ServerName string `json:"server_name,omitempty"`
	Cold       bool   `json:"cold,omitempty"` // no session is resumed
}

// Stress returns the name of the stress tag header.
func (c Connection) Stress() string {
	if c.StressHeader == "" {
		return DefaultStressHeader
	}
	return c.StressHeader
}

// anywhere is the part of a target that counts for a plan's fingerprint: how it
// is spoken to, without where it is and how it is reached.
func (t Target) anywhere() Target {
	t.URL, t.Headers = "", nil
	t.Connection = Connection{HTTP: t.HTTP}
	return t
}

// A Toll is what a connection costs beyond one of plain HTTP/1.1.
type Toll struct {
	Memory        uint64        // bytes
	Dial, Request time.Duration // processor time
}

// toll was measured with 2,000 connections to net/http's server on another core.
// Processor time is twice that, as in Needs.
func (t Target) toll() (toll Toll) {
	if t.TLS != (TLS{}) || strings.HasPrefix(t.URL, "https:") {
		toll.Memory += 8 << 10
		toll.Dial += time.Millisecond
	}
	if t.HTTP == HTTP2 {
		toll.Memory += 20 << 10
		toll.Request += 80 * time.Microsecond
	}
	return toll
}

func (t TLS) resolved(lookup func(name string) (string, bool)) (TLS, error) {
	for _, p := range []struct {
		key string
		to  *string
	}{{"ca", &t.CA}, {"cert", &t.Cert}, {"key", &t.Key}} {
		name, ok := wholeSecret(*p.to)
		if !ok {
			continue
		}
		value, ok := lookup(name)
		if !ok {
			return TLS{}, fmt.Errorf("resolve tls.%s: ${%s} is not set\nhint: export %s=\"$(cat file.pem)\"", p.key, name, name)
		}
		*p.to = value
	}
	return t, nil
}

// wholeSecret returns the NAME of a text that is ${NAME} and nothing else.
func wholeSecret(s string) (string, bool) {
	name, ok := strings.CutPrefix(s, "${")
	name, closed := strings.CutSuffix(name, "}")
	return name, ok && closed && isVariable(name)
}

// maxPEM is the most of a certificate file that is read, in bytes.
const maxPEM = 64 << 10

// certificates returns the certificates in a PEM text, and nothing else of it.
func certificates(text string) (string, error) {
	var out bytes.Buffer
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case strings.Contains(block.Type, "PRIVATE KEY"):
			return "", errors.New("holds a private key, and a plan goes to every worker")
		case block.Type != "CERTIFICATE":
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return "", errors.New("holds a certificate that can't be read")
		}
		pem.Encode(&out, &pem.Block{Type: block.Type, Bytes: block.Bytes}) // to memory
	}
	if out.Len() == 0 {
		return "", errors.New("holds no certificate in PEM")
	}
	return out.String(), nil
}

// beside reads certificate files from a campaign's folder.
func beside(folder string) func(name string) (string, error) {
	return func(name string) (string, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(folder, name)
		}
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		defer f.Close() // only read
		text, err := io.ReadAll(io.LimitReader(f, maxPEM+1))
		if len(text) > maxPEM {
			err = fmt.Errorf("%s has more than %d KiB", name, maxPEM>>10)
		}
		return string(text), err
	}
}

// connectionKeys are the keys of target that a Connection is read from.
var connectionKeys = []string{"http", "tls", "source", "client_address", "stress_header", "connections"}

func (r *reader) connection(fields map[string]field) Connection {
	var c Connection
	read(r, fields["http"], &c.HTTP, "1.1 or 2", func(s string) (string, error) {
		switch s {
		case "1.1":
			return "", nil
		case HTTP2:
			return HTTP2, nil
		}
		return "", errNumber
	})
	tls := r.mapping(fields["tls"], "ca", "cert", "key", "server_name", "resume")
	r.certificates(tls["ca"], &c.TLS.CA)
	r.certificates(tls["cert"], &c.TLS.Cert)
	r.text(tls["key"], &c.TLS.Key)
	r.text(tls["server_name"], &c.TLS.ServerName)
	resume := true
	r.flag(tls["resume"], &resume)
	c.TLS.Cold = !resume
	sources := []field{fields["source"]}
	if _, ok := fields["source"].node.(*ast.SequenceNode); ok {
		sources = r.items(fields["source"])
	}
	for _, item := range sources {
		if item.node != nil {
			var s string
			r.text(item, &s)
			c.Source = append(c.Source, s)
		}
	}
	r.text(fields["client_address"], &c.ClientAddress)
	r.text(fields["stress_header"], &c.StressHeader)
	if r.text(fields["connections"], &c.Connections); c.Connections == unpooled {
		c.Connections = ""
	}
	if c.StressHeader == DefaultStressHeader {
		c.StressHeader = "" // the same meaning, the same form
	}
	return c
}

// certificates reads a PEM text, or the file that is named.
func (r *reader) certificates(f field, to *string) {
	var text string
	if r.text(f, &text); text == "" {
		return
	}
	if _, ok := wholeSecret(text); ok {
		*to = text
		return
	}
	if !strings.Contains(text, "-----BEGIN") {
		if r.open == nil {
			r.misread(f, "give the certificate itself, or ${NAME}", "names a file, and this campaign has no folder to find it in")
			return
		}
		content, err := r.open(text)
		if err != nil {
			r.misread(f, "", "can't be read: %v", err)
			return
		}
		text = content
	}
	chain, err := certificates(text)
	if err != nil {
		r.misread(f, "a private key is given as key: ${NAME}", "%v", err)
		return
	}
	*to = chain
}

func (k *checker) connection(t *Target) {
	const path = "target."
	if t.HTTP != "" && t.HTTP != HTTP2 {
		k.fault(path+"http", "", "must be 1.1 or 2")
	}
	if t.TLS != (TLS{}) && strings.HasPrefix(t.URL, "http://") {
		k.fault(path+"tls", "url: https://…", "is for a target that speaks TLS, and the URL is http")
	}
	for _, p := range [][2]string{{"ca", t.TLS.CA}, {"cert", t.TLS.Cert}} {
		if _, ok := wholeSecret(p[1]); ok || p[1] == "" {
			continue
		}
		if chain, err := certificates(p[1]); err != nil {
			k.fault(path+"tls."+p[0], "", "%v", err)
		} else if chain != p[1] || len(chain) > maxPEM {
			k.fault(path+"tls."+p[0], "", "must be nothing but certificates, of %d KiB at most", maxPEM>>10)
		}
	}
	if _, ok := wholeSecret(t.TLS.Key); !ok && t.TLS.Key != "" {
		k.fault(path+"tls.key", "${NAME}, with the key in PEM in the worker's environment", "must not be in a campaign")
	}
	if (t.TLS.Cert == "") != (t.TLS.Key == "") {
		k.fault(path+"tls", "", "needs cert and key, or neither")
	}
	if s := t.TLS.ServerName; s != "" && (len(s) > 253 || !isToken(s)) {
		k.fault(path+"tls.server_name", "shop.example", "%q is not a host name", clip(s, 60))
	}
	if c := t.Connections; c != "" && c != Pooled {
		k.fault(path+"connections", didYouMean(c, []string{unpooled, Pooled}), "must be %s or %s, not %q", unpooled, Pooled, clip(c, 60))
	}
	k.sources(path+"source", t.Source)
	for _, h := range [][2]string{{"client_address", t.ClientAddress}, {"stress_header", t.StressHeader}} {
		k.ownHeader(path+h[0], h[1], t)
	}
	if t.ClientAddress != "" && strings.EqualFold(t.ClientAddress, t.Stress()) {
		k.fault(path+"client_address", "", "is the stress tag's header")
	}
}

// maxSources is the most source addresses of a campaign.
const maxSources = 4096

func (k *checker) sources(path string, list []string) {
	count := 0
	for i, s := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		p, err := netip.ParsePrefix(s)
		if a, wrong := netip.ParseAddr(s); wrong == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		switch {
		case err != nil:
			k.fault(at, "127.0.1.0/28", "%q is not an address or a prefix", clip(s, 60))
		case p.Addr().BitLen()-p.Bits() > 12: // 4096
			count = maxSources + 1
		default:
			count += 1 << (p.Addr().BitLen() - p.Bits())
		}
	}
	if count > maxSources {
		k.fault(path, "", "has more than %d addresses", maxSources)
	}
}

// ownHeader checks a header whose value is ours, on every request.
func (k *checker) ownHeader(path, name string, t *Target) {
	switch {
	case name == "":
		return
	case !isToken(name):
		k.fault(path, "", "%q is not the name of a header", clip(name, 60))
		return
	case reserved(name) && !strings.EqualFold(name, DefaultStressHeader), strings.EqualFold(name, "user-agent"):
		k.fault(path, "", "%s is set by the protocol", name)
	}
	same := func(other string) bool { return strings.EqualFold(name, other) }
	taken := slices.ContainsFunc(slices.Collect(maps.Keys(t.Headers)), same)
	for _, e := range []Endpoint{t.Chat, t.Coupons, t.Checkout} {
		for _, o := range e.Operations {
			taken = taken || slices.ContainsFunc(slices.Collect(maps.Keys(o.Request.Headers)), same)
		}
	}
	if taken {
		k.fault(path, "", "%s has another value in headers", name)
	}
}
