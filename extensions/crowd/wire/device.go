package wire

import (
	"crypto/tls"
	"sync"
)

// A Device is what a shopper's phone keeps from one connection to the next: its
// TLS session, which the next handshake resumes. The zero value is a phone that
// was never connected. Connections that are dialled for one device at the same
// time, as a gateway's, may share it; the session that came last is kept.
type Device struct {
	mu      sync.Mutex
	session *tls.ClientSessionState
}

// Get implements tls.ClientSessionCache. There is one target, so one session.
func (d *Device) Get(string) (*tls.ClientSessionState, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.session, d.session != nil
}

// Put implements tls.ClientSessionCache.
func (d *Device) Put(_ string, session *tls.ClientSessionState) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.session = session
}

var _ tls.ClientSessionCache = (*Device)(nil)
