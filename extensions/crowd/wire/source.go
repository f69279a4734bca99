package wire

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
)

// MaxSources is the most source addresses that a target is dialled from.
const MaxSources = 4096

// Sources are addresses of this machine that connections are made from, in
// turn. One address has at most 64,512 ports towards one port of a target, and
// backends limit what comes from one address; neither shall be what is measured.
type Sources struct {
	all  []netip.Addr
	turn atomic.Uint64
}

// ParseSources reads addresses and prefixes, and keeps those of their addresses
// that this machine has: one list serves every worker of a fleet. None, where
// some were asked for, is an error. Nothing is sent.
func ParseSources(list []string) (*Sources, error) {
	s := &Sources{}
	count := 0
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			a, err := netip.ParseAddr(text)
			if err != nil {
				return nil, fmt.Errorf("source %q: want an address, or a prefix such as 127.0.1.0/28", text)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		for a := p.Masked().Addr(); p.Contains(a); a = a.Next() {
			if count++; count > MaxSources {
				return nil, fmt.Errorf("source: more than %d addresses", MaxSources)
			}
			if ours(a) {
				s.all = append(s.all, a)
			}
		}
	}
	if count > 0 && len(s.all) == 0 {
		return nil, errors.New("source: this machine has none of these addresses\nhint: ip address add ADDRESS/32 dev lo")
	}
	return s, nil
}

// Len is how many addresses there are; 0 leaves the choice to the system.
func (s *Sources) Len() int { return len(s.all) }

// ours says whether connections can be made from an address: a UDP socket is
// tied to it at both ends, which sends nothing.
func ours(a netip.Addr) bool {
	at := net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0))
	c, err := net.DialUDP("udp", at, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 9)))
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// reach says whether there is a source to dial a from: one of its family, or
// none at all was asked for.
func (s *Sources) reach(a netip.Addr) bool {
	return len(s.all) == 0 || slices.ContainsFunc(s.all, func(from netip.Addr) bool { return alike(from, a) })
}

// next returns the source whose turn it is to dial a, of its family; the zero
// address leaves it to the system.
func (s *Sources) next(a netip.Addr) netip.Addr {
	begin := s.turn.Add(1)
	for i := range uint64(len(s.all)) {
		if from := s.all[(begin+i)%uint64(len(s.all))]; alike(from, a) {
			return from
		}
	}
	return netip.Addr{}
}

// alike says whether two addresses are of one family.
func alike(a, b netip.Addr) bool { return a.Unmap().Is4() == b.Unmap().Is4() }
