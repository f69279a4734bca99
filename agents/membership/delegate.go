package membership

import (
	"errors"
	"fmt"
	"net"

	"github.com/hashicorp/memberlist"
)

// delegate is the Fleet as memberlist sees it. memberlist holds its own lock
// during these calls, so they never call it back.
type delegate Fleet

var (
	_ memberlist.Delegate      = (*delegate)(nil)
	_ memberlist.AliveDelegate = (*delegate)(nil)
	_ memberlist.EventDelegate = (*delegate)(nil)
)

// NotifyAlive decides whether a node may be a member.
func (d *delegate) NotifyAlive(n *memberlist.Node) error {
	m, err := d.member(n)
	if err != nil {
		if errors.Is(err, errVersion) {
			d.log.Warn("a node was refused", "node", n.Name, "at", n.Address(), "err", err)
		}
		return err
	}
	if m.Role != Coordinator {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if c, ok := (*Fleet)(d).coordinator(); ok && c.ID != m.ID {
		err := fmt.Errorf("%w: %s (%.12s) is here, %s (%.12s) is refused", ErrSecondCoordinator, c.Name, c.ID, m.Name, m.ID)
		if d.self.Role == Coordinator && d.second == nil {
			d.second = err
		}
		return err
	}
	return nil
}

// NotifyJoin implements memberlist.EventDelegate.
func (d *delegate) NotifyJoin(n *memberlist.Node) { d.NotifyUpdate(n) }

// NotifyUpdate implements memberlist.EventDelegate.
func (d *delegate) NotifyUpdate(n *memberlist.Node) {
	m, err := d.member(n)
	if err != nil {
		return // NotifyAlive has refused it
	}
	d.mu.Lock()
	d.members[m.ID] = m
	d.mu.Unlock()
	d.tell()
}

// NotifyLeave implements memberlist.EventDelegate.
func (d *delegate) NotifyLeave(n *memberlist.Node) {
	d.mu.Lock()
	delete(d.members, n.Name)
	d.mu.Unlock()
	d.tell()
}

// NodeMeta implements memberlist.Delegate.
func (d *delegate) NodeMeta(int) []byte { return d.meta }

// poke is all that nodes say to each other in gossip.
const poke = 'p'

// NotifyMsg implements memberlist.Delegate.
func (d *delegate) NotifyMsg(message []byte) {
	if len(message) != 1 || message[0] != poke {
		return
	}
	select {
	case d.poked <- struct{}{}:
	default:
	}
}

// GetBroadcasts implements memberlist.Delegate.
func (d *delegate) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState implements memberlist.Delegate.
func (d *delegate) LocalState(bool) []byte { return nil }

// MergeRemoteState implements memberlist.Delegate.
func (d *delegate) MergeRemoteState([]byte, bool) {}

func (d *delegate) tell() {
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

func (d *delegate) member(n *memberlist.Node) (Member, error) {
	m, err := decodeMeta(n.Name, n.Meta, d.version)
	if err != nil || m.API == "" {
		return m, err
	}
	host, port, err := net.SplitHostPort(m.API)
	if err != nil {
		return Member{}, err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		m.API = net.JoinHostPort(n.Addr.String(), port)
	}
	return m, nil
}
