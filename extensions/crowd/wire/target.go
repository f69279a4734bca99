package wire

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
)

// Config says where a target is and what may be seen of it.
type Config struct {
	URL     string      // http or https; its path stands before every request's
	Allow   Allowed     // checked against the address of every dial
	HTTP2   bool        // HTTP/2 alone: by ALPN over TLS, else by prior knowledge
	Shared  bool        // HTTP/2 connections are for their branches: see Conn.Branch
	TLS     *tls.Config // nil for the system's roots
	Cold    bool        // every TLS handshake is a whole one: no session is resumed
	Source  *Sources    // what to dial from; nil for whatever the system takes
	Secrets []string    // never shown in evidence
	Capture int         // bytes kept of each body for evidence; 0 means 2 KiB
}

// A Target is a backend. It dials: one connection for each call.
type Target struct {
	Config
	host    string // as the Host header says it
	name    name
	port    uint16
	path    string
	secure  bool
	dialer  net.Dialer
	http2   *http.Transport // nil for HTTP/1.1
	sources *Sources
}

// NewTarget checks a config.
func NewTarget(c Config) (*Target, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, errors.New("read the target: it is no URL") // without it: it may hold a secret
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, errors.New("read the target: want http://host or https://host, with a path at most")
	}
	t := &Target{Config: c, host: strings.TrimSuffix(u.Host, ":"), path: strings.TrimSuffix(u.EscapedPath(), "/"), secure: u.Scheme == "https"}
	if strings.ContainsAny(t.host+t.path, " \r\n") {
		return nil, errors.New("read the target: white space in its host or path")
	}
	port, err := strconv.ParseUint(cmp.Or(u.Port(), map[bool]string{false: "80", true: "443"}[t.secure]), 10, 16)
	if err != nil || port == 0 {
		return nil, errors.New("read the target: a port is a number from 1 to 65535")
	}
	t.port = uint16(port)
	t.name = name{host: u.Hostname(), lookup: net.DefaultResolver.LookupNetIP}
	t.sources = cmp.Or(c.Source, &Sources{})
	if t.secure {
		if t.TLS == nil {
			t.TLS = &tls.Config{}
		}
		t.TLS = t.TLS.Clone()
		if t.TLS.ServerName == "" {
			t.TLS.ServerName = u.Hostname()
		}
		t.TLS.MinVersion = max(t.TLS.MinVersion, tls.VersionTLS12)
		t.TLS.NextProtos = []string{"http/1.1"}
		if t.HTTP2 {
			t.TLS.NextProtos = []string{"h2"}
		}
	}
	if t.HTTP2 {
		t.http2 = newHTTP2(t.Shared)
	}
	// The check is on the address that is really connected to: what a name
	// resolved to a moment ago may be another one.
	t.dialer.Control = func(_, address string, raw syscall.RawConn) error {
		if !t.Allow.permits(address) {
			return notAllowed(address)
		}
		if len(t.sources.all) > 0 {
			return raw.Control(lateport)
		}
		return nil
	}
	t.dialer.KeepAlive = -1 // shoppers are short-lived; probes would be noise
	return t, nil
}

// Dial opens a connection for a device, whose TLS session is resumed. One for
// branches is there when the other side has said how many it takes. Its error is
// an *Error.
func (t *Target) Dial(ctx context.Context, d *Device) (*Conn, error) {
	raw, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	if t.secure {
		config := t.TLS
		if d != nil && !t.Cold {
			config = config.Clone()
			config.ClientSessionCache = d
		}
		conn := tls.Client(raw, config)
		if err := conn.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, dialError(ctx, err)
		}
		raw = conn
	}
	if t.http2 != nil {
		conn, err := t.overHTTP2(ctx, raw)
		if err != nil {
			raw.Close()
			return nil, dialError(ctx, err)
		}
		raw = conn
	}
	return New(raw, t), nil
}

func notAllowed(address string) error {
	return &Error{NotAllowed, fmt.Errorf("%s is not on this worker's allow-list", address)}
}

func dialError(ctx context.Context, err error) error {
	var already *Error
	var timeout net.Error
	switch {
	case errors.As(err, &already):
		return already
	case errors.Is(ctx.Err(), context.Canceled):
		return &Error{Canceled, err}
	case ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		return &Error{TimedOut, err}
	}
	if own := exhausted(err); own != "" {
		return &Error{Exhausted, fmt.Errorf("%s: %w", own, err)}
	}
	return &Error{Refused, err}
}

// exhausted names what this machine ran out of, if that is why.
func exhausted(err error) string {
	switch {
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "open files"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "local ports"
	case errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ENOMEM):
		return "memory for sockets"
	}
	return ""
}

// evidence returns how much of a body is kept.
func (t *Target) evidence() int {
	if t.Capture > 0 {
		return t.Capture
	}
	return 2 << 10
}

// Allowed is where a worker may fire. The zero value allows loopback only.
type Allowed []netip.Prefix

// ParseAllowed reads addresses and prefixes; "loopback" stands for 127.0.0.0/8
// and ::1. An empty list allows loopback only.
func ParseAllowed(list []string) (Allowed, error) {
	var a Allowed
	for _, text := range list {
		if text == "loopback" {
			a = append(a, netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
			continue
		}
		if p, err := netip.ParsePrefix(text); err == nil {
			a = append(a, plain(p.Masked()))
			continue
		}
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fmt.Errorf("allow %q: want an address, a prefix such as 192.0.2.0/24, or loopback", text)
		}
		a = append(a, plain(netip.PrefixFrom(addr, addr.BitLen())))
	}
	return a, nil
}

// plain turns a prefix of IPv4 addresses that are written as IPv6 into one of
// IPv4, as permits compares them.
func plain(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// permits says whether host:port may be dialled.
func (a Allowed) permits(address string) bool {
	ap, err := netip.ParseAddrPort(address)
	return err == nil && a.Permits(ap.Addr())
}

// Permits says whether an address may be fired at.
func (a Allowed) Permits(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	if len(a) == 0 {
		return addr.IsLoopback()
	}
	for _, p := range a {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// TraceParent appends the W3C traceparent header line of a request: the trace
// is the intent's key, the span differs by attempt and is never zero, which the
// standard forbids.
func TraceParent(b []byte, trace [16]byte, attempt int) []byte {
	const digits = "0123456789abcdef"
	b = append(b, "traceparent: 00-"...)
	for _, x := range trace {
		b = append(b, digits[x>>4], digits[x&15])
	}
	b = append(b, '-')
	span := max(span(trace, uint64(attempt)), 1)
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[span>>shift&15])
	}
	return append(b, "-01\r\n"...)
}

// span is the FNV-1a hash of both.
func span(trace [16]byte, attempt uint64) uint64 {
	h := uint64(0xcbf29ce484222325)
	mix := func(x byte) { h = (h ^ uint64(x)) * 0x100000001b3 }
	for _, x := range trace {
		mix(x)
	}
	for shift := 0; shift < 64; shift += 8 {
		mix(byte(attempt >> shift))
	}
	return h
}

var _ Dialer = (*Target)(nil)
