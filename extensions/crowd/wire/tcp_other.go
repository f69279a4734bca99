//go:build !linux

package wire

import (
	"context"
	"errors"
	"net"
	"net/netip"
)

const ownSockets = false

// A tcp is net's own where ours is not written.
type tcp struct{ net.Conn }

func dialTCP(context.Context, netip.Addr, netip.AddrPort) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}

func (*tcp) quiet() bool { return true }

func (*tcp) exchange(*Conn) (sent, read int, err error) { return 0, 0, nil }

func (*tcp) send([]byte) int { return 0 }

func (*tcp) receive(*Conn) (int, error) { return 0, errors.ErrUnsupported }
