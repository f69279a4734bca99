package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// addressesFor is how long what a name resolved to is used.
const addressesFor = 30 * time.Second

// A name is a host and the addresses it resolved to last. A worker looks it up
// for the whole crowd: a look-up for each shopper would load the resolver, and
// not the target.
type name struct {
	host   string
	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

	mu      sync.Mutex
	known   []netip.Addr
	until   time.Time     // when they are looked up again
	looking chan struct{} // closed when a look-up that runs is over; nil if none does
	turn    int           // whose turn it is to be dialled first
}

// addresses returns the host's addresses in the order in which to try them:
// each call begins with the next one, so that connections are spread over all.
// Whoever finds them out of date looks them up again, within its own patience;
// others go on with what was known, and so do all when the look-up goes wrong.
func (n *name) addresses(ctx context.Context) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(n.host); err == nil {
		return []netip.Addr{ip}, nil
	}
	for {
		n.mu.Lock()
		looking := n.looking
		switch {
		case len(n.known) > 0 && (looking != nil || time.Now().Before(n.until)):
			defer n.mu.Unlock()
			return n.next(), nil
		case looking == nil:
			n.looking = make(chan struct{})
			n.mu.Unlock()
			return n.refresh(ctx)
		}
		n.mu.Unlock()
		select {
		case <-looking:
		case <-ctx.Done():
			return nil, fmt.Errorf("look up %s: %w", n.host, ctx.Err())
		}
	}
}

// refresh looks the host up, for everybody.
func (n *name) refresh(ctx context.Context) ([]netip.Addr, error) {
	found, err := n.lookup(ctx, "ip", n.host)
	if err == nil && len(found) == 0 {
		err = errors.New("it has no address")
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.looking)
	n.looking = nil
	if err == nil {
		n.known, n.until = found, time.Now().Add(addressesFor)
	}
	if len(n.known) == 0 {
		return nil, fmt.Errorf("look up %s: %w", n.host, err)
	}
	return n.next(), nil
}

// next returns the known addresses from the next one on; n.mu is held.
func (n *name) next() []netip.Addr {
	first := n.turn % len(n.known)
	n.turn++
	return append(append(make([]netip.Addr, 0, len(n.known)), n.known[first:]...), n.known[:first]...)
}

// leastTry is the least of the patience that is given to one of several
// addresses, as far as there is so much.
const leastTry = 2 * time.Second

// Permitted says why nothing may be fired at the target from here, as far as its
// name resolves now. Every dial is checked all the same.
func (t *Target) Permitted(ctx context.Context) error {
	addresses, err := t.name.addresses(ctx)
	if err != nil || slices.ContainsFunc(addresses, t.Allow.Permits) {
		return nil // a name that can't be looked up is nothing to refuse
	}
	return fmt.Errorf("the plan's target is %s at %s, which is not on this worker's allow-list\nhint: --allow %[2]s on the worker, if that is meant", t.name.host, addresses[0])
}

// connect opens a TCP connection to the first address that takes it, as a phone
// would: an address that refuses or is silent is given up for the next one, in
// an equal share of the patience that is left. What may not be dialled, or can't
// be from the given sources, is passed over. The error is that of the address
// that was tried first.
func (t *Target) connect(ctx context.Context) (net.Conn, error) {
	addresses, err := t.name.addresses(ctx)
	if err != nil {
		return nil, dialError(ctx, err)
	}
	one := addresses[0] // for messages
	addresses = slices.DeleteFunc(addresses, func(a netip.Addr) bool { return !t.Allow.Permits(a) })
	if len(addresses) == 0 {
		return nil, notAllowed(one.String())
	}
	addresses = slices.DeleteFunc(addresses, func(a netip.Addr) bool { return !t.sources.reach(a) })
	if len(addresses) == 0 {
		return nil, &Error{Exhausted, fmt.Errorf("source addresses of the target's family, to reach %s from", one)}
	}
	for i, a := range addresses {
		conn, wrong := t.try(ctx, a, len(addresses)-i)
		if wrong == nil {
			return conn, nil
		}
		if err == nil {
			err = wrong
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

// try dials one address; left counts it and those that may be tried after it.
func (t *Target) try(ctx context.Context, a netip.Addr, left int) (net.Conn, error) {
	from, own := t.sources.next(a), ctx
	if until, ok := ctx.Deadline(); ok && left > 1 {
		share := max(time.Until(until)/time.Duration(left), leastTry)
		var stop context.CancelFunc
		own, stop = context.WithTimeout(ctx, share)
		defer stop()
	}
	conn, err := t.dial(own, from, netip.AddrPortFrom(a, t.port))
	if err != nil {
		return nil, dialError(ctx, err)
	}
	return conn, nil
}

// dial dials an address that was permitted.
func (t *Target) dial(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	if ownSockets && !t.secure && t.http2 == nil && to.Addr().Zone() == "" {
		return dialTCP(ctx, from.Unmap(), netip.AddrPortFrom(to.Addr().Unmap(), to.Port()))
	}
	d := t.dialer
	if from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	return d.DialContext(ctx, "tcp", to.String())
}
