package membership

import (
	"bytes"
	"cmp"
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

	_ memberlist.ConflictDelegate = (*delegate)(nil)
)

// NotifyAlive decides whether a node may be a member. What a member says of
// itself never changes while it is one, so whoever says it otherwise is another.
func (d *delegate) NotifyAlive(n *memberlist.Node) error {
	m, err := d.member(n)
	if errors.Is(err, ErrProtocol) {
		return d.alienate(n, m, err)
	}
	if err != nil {
		d.barred.Once(BarredNode, n.Name)
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	known, here := d.members[m.ID]
	switch {
	case m.ID == d.self.ID:
		if !bytes.Equal(n.Meta, d.meta) {
			return d.impostor(n)
		}
		return nil
	case here && known != m:
		return d.impostor(n)
	case m.Role != Coordinator:
		return nil
	}
	if c, ok := (*Fleet)(d).coordinator(); ok && c.ID != m.ID {
		err := fmt.Errorf("%w: %s (%.12s) is here, %s (%.12s) is refused", ErrSecondCoordinator, c.Name, c.ID, m.Name, m.ID)
		if d.self.Role == Coordinator && d.alien == nil {
			d.alien = err
		}
		d.barred.Once(BarredSecond, m.ID)
		return err
	}
	return nil
}

// alienate turns away a node of another version, and tells both sides: each of
// them sees the other.
func (d *delegate) alienate(n *memberlist.Node, m Member, err error) error {
	if d.barred.Once(BarredProtocol, n.Name) {
		d.log.Error("a node was barred: install the same flashcrowd on all machines", "node", cmp.Or(m.Name, n.Name), "at", n.Address(), "err", err)
	}
	if m.Role == Coordinator && d.self.Role != Coordinator {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.alien = fmt.Errorf("the coordinator at %s: %w\nhint: install the same flashcrowd on all machines", n.Address(), err)
	}
	return err
}

func (d *delegate) impostor(n *memberlist.Node) error {
	if d.barred.Once(BarredImpostor, n.Name+n.Address()) {
		d.log.Error("somebody speaks under a member's name", "node", n.Name, "at", n.Address())
	}
	return fmt.Errorf("node %.12s describes itself as another than before", n.Name)
}

// NotifyConflict counts who uses a member's name at another address; memberlist
// has ignored it.
func (d *delegate) NotifyConflict(_, other *memberlist.Node) { _ = d.impostor(other) }

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
