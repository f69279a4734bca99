package wire

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// resolver answers look-ups from a list that a test can change, and counts them.
type resolver struct {
	addresses []string
	err       error
	takes     time.Duration
	asked     atomic.Int32
}

func (r *resolver) lookup(context.Context, string, string) (all []netip.Addr, err error) {
	r.asked.Add(1)
	time.Sleep(r.takes) // in a bubble: the look-up is what takes time
	for _, a := range r.addresses {
		all = append(all, netip.MustParseAddr(a))
	}
	return all, r.err
}

func TestAddressesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &resolver{addresses: []string{"192.0.2.1", "192.0.2.2", "2001:db8::1"}}
		n := &name{host: "shop", lookup: r.lookup}
		for i := range 6 {
			got, err := n.addresses(t.Context())
			if err != nil || len(got) != 3 || got[0].String() != r.addresses[i%3] || got[1].String() != r.addresses[(i+1)%3] {
				t.Errorf("%d: got %v, %v", i, got, err)
			}
		}
		if r.asked.Load() != 1 {
			t.Errorf("asked %d times", r.asked.Load())
		}
	})
}

// One looks the name up again, the others go on with what was known, and what
// was known is kept when the look-up goes wrong.
func TestAddressesGrowOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &resolver{addresses: []string{"192.0.2.1"}, takes: time.Second}
		n := &name{host: "shop", lookup: r.lookup}
		first := func() string {
			got, err := n.addresses(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return got[0].String()
		}
		first()
		time.Sleep(addressesFor)
		r.addresses = []string{"192.0.2.2"}
		late := make(chan string)
		go func() { late <- first() }()
		synctest.Wait()
		begin := time.Now()
		if got := first(); got != "192.0.2.1" || time.Since(begin) != 0 {
			t.Errorf("meanwhile: %s after %v", got, time.Since(begin))
		}
		if got := <-late; got != "192.0.2.2" {
			t.Errorf("who looked has %s", got)
		}
		time.Sleep(addressesFor)
		r.addresses, r.err = nil, errors.New("the resolver is down")
		if got := first(); got != "192.0.2.2" || r.asked.Load() != 3 {
			t.Errorf("got %s after %d look-ups", got, r.asked.Load())
		}
	})
}

// Nobody waits longer for another one's look-up than its own patience, and who
// can't find a name has no connection.
func TestAddressesUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &resolver{takes: time.Second, err: &net.DNSError{Err: "no such host", Name: "shop", IsNotFound: true}}
		target, err := NewTarget(Config{URL: "http://shop"})
		if err != nil {
			t.Fatal(err)
		}
		target.name.lookup = r.lookup
		slow := make(chan error)
		go func() {
			_, err := target.Dial(t.Context(), nil)
			slow <- err
		}()
		synctest.Wait()
		ctx, stop := context.WithTimeout(t.Context(), time.Millisecond)
		defer stop()
		if _, err := target.Dial(ctx, nil); kind(t, err) != TimedOut {
			t.Errorf("in a hurry: %v", err)
		}
		if err := <-slow; kind(t, err) != Refused || !errors.As(err, new(*net.DNSError)) {
			t.Errorf("got %v", err)
		}
	})
}

// doorman accepts on an address and hangs up, and counts where from.
func doorman(t *testing.T, address string) (port int, from func() []string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 100)
	done := make(chan bool)
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			seen <- conn.RemoteAddr().(*net.TCPAddr).IP.String()
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().(*net.TCPAddr).Port, func() (all []string) {
		l.Close()
		<-done
		close(seen)
		for s := range seen {
			all = append(all, s)
		}
		return all
	}
}

func dials(t *testing.T, target *Target, times int) {
	t.Helper()
	for range times {
		c, err := target.Dial(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		c.raw.Read(make([]byte, 1)) // until it was noted
		c.Close()
	}
}

func TestSeveralAddresses(t *testing.T) {
	port, first := doorman(t, "127.0.0.1:0")
	_, second := doorman(t, "127.0.0.2:"+itoa(port))
	target, err := NewTarget(Config{URL: "http://shop:" + itoa(port)})
	if err != nil {
		t.Fatal(err)
	}
	r := &resolver{addresses: []string{"127.0.0.1", "127.0.0.3", "127.0.0.2", "192.0.2.1"}} // the second refuses, the last is not allowed
	target.name.lookup = r.lookup
	dials(t, target, 12)
	if a, b := len(first()), len(second()); a+b != 12 || a < 4 || b < 4 {
		t.Errorf("%d and %d connections", a, b)
	}
	if _, err := target.Dial(t.Context(), nil); kind(t, err) != Refused {
		t.Errorf("with both gone: %v", err)
	}
	r.addresses, target.name.until = []string{"192.0.2.1"}, time.Time{}
	if _, err := target.Dial(t.Context(), nil); kind(t, err) != NotAllowed {
		t.Errorf("where nothing may be dialled: %v", err)
	}
}

func TestSources(t *testing.T) {
	port, from := doorman(t, "127.0.0.1:0")
	s, err := ParseSources([]string{"127.0.1.0/30", "192.0.2.7", "127.0.2.9"}) // 192.0.2.7 is nobody's
	if err != nil {
		t.Fatal(err)
	}
	target, err := NewTarget(Config{URL: "http://127.0.0.1:" + itoa(port), Source: s})
	if err != nil {
		t.Fatal(err)
	}
	dials(t, target, 10)
	got := from()
	slices.Sort(got)
	if len(got) != 10 || !slices.Equal(slices.Compact(got), []string{"127.0.1.0", "127.0.1.1", "127.0.1.2", "127.0.1.3", "127.0.2.9"}) {
		t.Errorf("connections from %v", got)
	}
	target.name = name{host: "::1"}
	if _, err := target.Dial(t.Context(), nil); kind(t, err) != Exhausted {
		t.Errorf("from IPv4 to IPv6: %v", err)
	}
	for _, list := range [][]string{{"shop"}, {"192.0.2.7"}, {"127.0.0.0/8"}} {
		if _, err := ParseSources(list); err == nil {
			t.Errorf("%q was taken", list)
		}
	}
	if s, err := ParseSources(nil); err != nil || len(s.all) != 0 {
		t.Errorf("without a list: %v, %v", s, err)
	}
}
