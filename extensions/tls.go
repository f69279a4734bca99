package extensions

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/flashcrowd/flashcrowd/scenarios"
)

// secured makes a TLS configuration of a target's resolved one; nil for one that
// asks for nothing. Its errors say nothing of what a key holds.
func secured(t scenarios.TLS) (*tls.Config, error) {
	if t == (scenarios.TLS{}) {
		return nil, nil
	}
	c := &tls.Config{ServerName: t.ServerName}
	if t.CA != "" {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM([]byte(t.CA)) {
			return nil, errors.New("read target.tls.ca: no certificate in PEM")
		}
	}
	if t.Key != "" {
		pair, err := tls.X509KeyPair([]byte(t.Cert), []byte(t.Key))
		if err != nil {
			return nil, fmt.Errorf("read target.tls.cert and its key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
