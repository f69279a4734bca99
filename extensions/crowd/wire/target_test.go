package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestNewTarget(t *testing.T) {
	for url, want := range map[string][4]string{
		"http://shop":            {"shop", "shop", "80", ""},
		"https://shop/":          {"shop", "shop", "443", ""},
		"http://shop:8080/a/b/":  {"shop:8080", "shop", "8080", "/a/b"},
		"http://[::1]:8080/a%20": {"[::1]:8080", "::1", "8080", "/a%20"},
		"http://shop:/":          {"shop", "shop", "80", ""},
	} {
		target, err := NewTarget(Config{URL: url})
		if err != nil {
			t.Errorf("%s: %v", url, err)
		} else if got := [4]string{target.host, target.name.host, itoa(int(target.port)), target.path}; got != want {
			t.Errorf("%s: got %q, want %q", url, got, want)
		}
	}
	for _, url := range []string{"", "shop", "ftp://shop", "http://", "http://u:hunter2@shop", "http://shop/?a=b", "http://shop/#a", "http://sh op", "http://shop:hunter2", "http://shop:65536", "http://shop:0"} {
		if _, err := NewTarget(Config{URL: url}); err == nil {
			t.Errorf("%q was taken", url)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error gives it away: %v", url, err)
		}
	}
}

func TestAllowed(t *testing.T) {
	for _, test := range []struct {
		allow   []string
		address string
		want    bool
	}{
		{nil, "127.0.0.1:80", true},
		{nil, "127.8.9.10:80", true},
		{nil, "[::1]:80", true},
		{nil, "[::ffff:127.0.0.1]:80", true},
		{nil, "0.0.0.0:80", false},
		{nil, "192.0.2.1:80", false},
		{nil, "shop:80", false},
		{[]string{"192.0.2.0/24"}, "192.0.2.9:80", true},
		{[]string{"192.0.2.77/24"}, "192.0.2.9:80", true},
		{[]string{"192.0.2.0/24"}, "127.0.0.1:80", false},
		{[]string{"192.0.2.0/24", "loopback"}, "[::1]:80", true},
		{[]string{"2001:db8::/32"}, "[2001:db8::7]:80", true},
		{[]string{"::ffff:192.0.2.1"}, "192.0.2.1:80", true},
		{[]string{"::ffff:192.0.2.0/120"}, "192.0.2.9:80", true},
		{[]string{"fe80::1"}, "[fe80::1%eth0]:80", true},
		{[]string{"192.0.2.1"}, "192.0.2.2:80", false},
	} {
		a, err := ParseAllowed(test.allow)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.permits(test.address); got != test.want {
			t.Errorf("%v: %s is %v", test.allow, test.address, got)
		}
	}
	if _, err := ParseAllowed([]string{"shop"}); err == nil {
		t.Error("a name was taken")
	}
}

// A packet to 192.0.2.1 would get no answer: the refusal comes at once because
// nothing is sent.
func TestNotAllowed(t *testing.T) {
	target, err := NewTarget(Config{URL: "http://192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	_, err = target.Dial(t.Context(), nil)
	if kind(t, err) != NotAllowed || time.Since(begin) > 20*time.Second {
		t.Errorf("got %v after %v", err, time.Since(begin))
	}
	if Outcome(fmt.Errorf("dial: %w", err)) != results.ConnectionFailed {
		t.Errorf("it counts as %v", Outcome(err))
	}
}

func TestDialErrors(t *testing.T) {
	over, stop := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer stop()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		ctx  context.Context
		want Kind
	}{{t.Context(), Refused}, {over, TimedOut}, {canceled, Canceled}} {
		target, err := NewTarget(Config{URL: "http://127.0.0.1:1"}) // nobody listens there
		if err != nil {
			t.Fatal(err)
		}
		if _, err := target.Dial(test.ctx, nil); kind(t, err) != test.want {
			t.Errorf("got %v, want %v", err, test.want)
		}
	}
}

// The server takes the connection and never shakes hands.
func TestHandshakeTimesOut(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	target, err := NewTarget(Config{URL: "https://" + l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if _, err := target.Dial(ctx, nil); kind(t, err) != TimedOut {
		t.Errorf("got %v, want timed out", err)
	}
}

func TestTLS(t *testing.T) {
	resumed := make(chan bool, 8)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resumed <- r.TLS.DidResume
		http.Redirect(w, r, "https://elsewhere.example/", http.StatusFound)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // somebody will not trust it
	server.StartTLS()
	defer server.Close()
	target, err := NewTarget(Config{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := target.Dial(t.Context(), nil); kind(t, err) != Refused || !errors.As(err, new(x509.UnknownAuthorityError)) {
		t.Errorf("without its authority: %v", err)
	}

	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	config := &tls.Config{RootCAs: roots}
	if target, err = NewTarget(Config{URL: server.URL, TLS: config}); err != nil {
		t.Fatal(err)
	}
	if config.ServerName != "" || config.NextProtos != nil {
		t.Error("the caller's config was edited")
	}
	cold, err := NewTarget(Config{URL: server.URL, TLS: config, Cold: true})
	if err != nil {
		t.Fatal(err)
	}
	var mine, theirs Device
	for i, test := range []struct {
		target *Target
		device *Device
		want   bool
	}{
		{target, &mine, false}, // its first
		{target, &mine, true},
		{target, &mine, true},
		{target, &theirs, false}, // another phone has no session yet
		{target, nil, false},
		{cold, &mine, false},
	} {
		c, err := test.target.Dial(t.Context(), test.device)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if !c.Reusable() {
				t.Fatal("not reusable")
			}
			r, err := c.Do(soon())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.ReadAll(1 << 10); err != nil || r.Status != 302 {
				t.Errorf("got %d, %v, want the redirect", r.Status, err)
			}
			if got := <-resumed; got != test.want {
				t.Errorf("connection %d: resumed %v", i, got)
			}
		}
		if i == 1 {
			server.CloseClientConnections()
			if !turned(c) {
				t.Error("the server closed, and it is still reusable")
			}
		}
		c.Close()
	}
}

// Under TLS bytes that nobody asked for may wait in two places: in the socket,
// and beside the answer's end in what was decrypted already.
func TestTLSIdleConnectionTurns(t *testing.T) {
	for name, turn := range map[string]func(*tls.Conn){
		"farewell":    func(conn *tls.Conn) { conn.CloseWrite() },
		"unsolicited": func(conn *tls.Conn) { io.WriteString(conn, okay) },
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(nil)
			server.StartTLS() // for its certificate
			certificate, roots := server.TLS.Certificates, x509.NewCertPool()
			roots.AddCert(server.Certificate())
			server.Close()
			l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: certificate})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			rested := make(chan bool)
			go func() {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				conn.Read(make([]byte, 4096))
				io.WriteString(conn, okay)
				<-rested
				turn(conn.(*tls.Conn))
				io.Copy(io.Discard, conn)
			}()
			target, err := NewTarget(Config{URL: "https://" + l.Addr().String(), TLS: &tls.Config{RootCAs: roots}})
			if err != nil {
				t.Fatal(err)
			}
			c, err := target.Dial(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			r, err := c.Do(soon())
			if err == nil {
				_, err = r.ReadAll(9)
			}
			if err != nil || !c.Reusable() {
				t.Fatalf("%v, reusable %v", err, c.Reusable())
			}
			close(rested)
			if !turned(c) {
				t.Error("still reusable")
			}
		})
	}
}

func TestTraceParent(t *testing.T) {
	form := regexp.MustCompile(`^traceparent: 00-0102030405060708090a0b0c0d0e0f10-[0-9a-f]{16}-01\r\n$`)
	trace := [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	seen := map[string]bool{}
	for attempt := range 100 {
		line := string(TraceParent(nil, trace, attempt))
		if !form.MatchString(line) || strings.Contains(line, strings.Repeat("0", 16)) || seen[line] {
			t.Errorf("attempt %d: %q", attempt, line)
		}
		seen[line] = true
		if line != string(TraceParent(nil, trace, attempt)) {
			t.Error("not the same twice")
		}
	}
	other := trace
	other[0] = 9
	if string(TraceParent(nil, trace, 0)[52:]) == string(TraceParent(nil, other, 0)[52:]) {
		t.Error("two traces share a span")
	}
}

// TestOwnFaults: what this machine lacks is not the target's refusal.
func TestOwnFaults(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Kind
	}{
		{syscall.EMFILE, Exhausted},
		{syscall.EADDRNOTAVAIL, Exhausted},
		{syscall.ENOBUFS, Exhausted},
		{syscall.ECONNREFUSED, Refused},
		{syscall.ENETUNREACH, Refused},
	} {
		var e *Error
		if !errors.As(dialError(t.Context(), &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", c.err)}), &e) || e.Kind != c.want {
			t.Errorf("%v: %v, want %v", c.err, e, c.want)
		}
	}
}
