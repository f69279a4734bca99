package membership

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// An Identity is what a node is: a key, which of workers never leaves the
// process, and the certificate it signed itself. No authority vouches for it; its fingerprint
// is the node's name in gossip, and gossip needs the cluster key.
type Identity struct {
	ID   string // the certificate's fingerprint: 64 hexadecimal digits of SHA-256
	cert tls.Certificate
}

// NewIdentity returns a fresh one; each process has its own.
func NewIdentity() (Identity, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Identity{}, fmt.Errorf("make an identity: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return Identity{}, fmt.Errorf("make an identity: %w", err)
	}
	// Validity is wide because fleets have wrong clocks, and because nothing
	// but the fingerprint is ever checked.
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "flashcrowd"},
		NotBefore:    now.AddDate(-1, 0, 0),
		NotAfter:     now.AddDate(10, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		return Identity{}, fmt.Errorf("make an identity: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return Identity{}, fmt.Errorf("make an identity: %w", err)
	}
	return newIdentity(leaf, private), nil
}

func newIdentity(leaf *x509.Certificate, private ed25519.PrivateKey) Identity {
	return Identity{
		ID:   Fingerprint(leaf),
		cert: tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: private, Leaf: leaf},
	}
}

// Secret returns the identity's key and certificate, for a node that must be the
// same again after it was started again.
func (i Identity) Secret() []byte {
	return append(slices.Clone(i.cert.PrivateKey.(ed25519.PrivateKey)), i.cert.Leaf.Raw...)
}

// IdentityOf returns the identity with that secret.
func IdentityOf(secret []byte) (Identity, error) {
	if len(secret) < ed25519.PrivateKeySize {
		return Identity{}, errors.New("read an identity: it is too short")
	}
	private := ed25519.PrivateKey(slices.Clone(secret[:ed25519.PrivateKeySize]))
	leaf, err := x509.ParseCertificate(secret[ed25519.PrivateKeySize:])
	if err != nil {
		return Identity{}, fmt.Errorf("read an identity: %w", err)
	}
	if public, ok := leaf.PublicKey.(ed25519.PublicKey); !ok || !public.Equal(private.Public()) {
		return Identity{}, errors.New("read an identity: key and certificate do not belong together")
	}
	return newIdentity(leaf, private), nil
}

// Fingerprint returns the id of the node with that certificate.
func Fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}

// ServerTLS returns the settings of a listener that talks to the nodes that
// allowed names, and to nobody else. It asks at every handshake, resumed ones
// included.
func (i Identity) ServerTLS(allowed func(id string) bool) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{i.cert},
		ClientAuth:   tls.RequireAnyClientCert,
		NextProtos:   []string{"http/1.1"},
		VerifyConnection: func(state tls.ConnectionState) error {
			id, err := PeerID(state)
			if err != nil {
				return err
			}
			if !allowed(id) {
				return fmt.Errorf("peer %.12s is no member of this fleet", id)
			}
			return nil
		},
	}
}

// ClientTLS returns the settings of a client that talks to the node with that
// id and to nobody else. Sessions are resumed, so that a dropped connection
// costs little; a resumed one is held against the id too.
func (i Identity) ClientTLS(expect string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		Certificates:       []tls.Certificate{i.cert},
		NextProtos:         []string{"http/1.1"},
		ServerName:         "flashcrowd",
		InsecureSkipVerify: true, // no authority to ask: VerifyConnection below pins the fingerprint
		ClientSessionCache: tls.NewLRUClientSessionCache(8),
		VerifyConnection: func(state tls.ConnectionState) error {
			id, err := PeerID(state)
			if err != nil {
				return err
			}
			if id != expect {
				return fmt.Errorf("peer is %.12s, want %.12s", id, expect)
			}
			return nil
		},
	}
}

// PeerID returns the id of the node at the other end. The handshake has proved
// that it holds the certificate's key.
func PeerID(state tls.ConnectionState) (string, error) {
	if len(state.PeerCertificates) == 0 {
		return "", errors.New("peer shows no certificate")
	}
	return Fingerprint(state.PeerCertificates[0]), nil
}

// isID says whether s could be a fingerprint.
func isID(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size && hex.EncodeToString(b) == s
}
