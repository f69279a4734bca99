package crowd

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
)

// trunks are the connections of a gateway over HTTP/2: each carries as many
// requests at once as the other side lets it, every one on a branch of its own.
// The last one that got room is filled first. Who finds room on none waits for
// those that are being dialled, if these have room for all who wait, and else
// dials another. How much room that will be is known from the last one; of the
// first, much is hoped.
type trunks struct {
	mu       sync.Mutex
	roomy    []*trunk  // with room, as far as known
	dialling int       // how many are
	share    int       // requests that the last one took at once; 0: none was dialled
	waiting  list.List // of chan struct{}, closed for who may look again
}

// A trunk is a connection and how many branches of it are out. One with branches
// need not be listed as roomy: the next that is given back lists it.
type trunk struct {
	conn   *wire.Conn
	out    int
	listed bool
}

// take returns a branch where there is room now, nil if there is none. None is of
// the trunk but, as for all that have it.
func (t *trunks) take(but *trunk) (*wire.Conn, *trunk) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.branch(but)
}

// branch is take; t.mu is held, as for all that follow but give, join and close.
// A trunk without room for a moment, because a request is being broken off, stays
// where it is.
func (t *trunks) branch(but *trunk) (*wire.Conn, *trunk) {
	for i := len(t.roomy) - 1; i >= 0; i-- {
		k := t.roomy[i]
		if k == but {
			continue
		}
		if c := k.conn.Branch(); c != nil {
			k.out++
			return c, k
		}
		switch {
		case k.out > 0:
			t.drop(i)
		case k.conn.Gone():
			t.drop(i)
			k.conn.Close()
		}
	}
	return nil, nil
}

// drop takes a trunk off the list.
func (t *trunks) drop(i int) {
	t.roomy[i].listed = false
	t.roomy = slices.Delete(t.roomy, i, i+1)
}

// add lists a trunk.
func (t *trunks) add(k *trunk) {
	if !k.listed {
		t.roomy = append(t.roomy, k)
		k.listed = true
	}
}

// give takes back a branch that was closed.
func (t *trunks) give(k *trunk) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k.out--
	if t.add(k); k.out == 0 && k.conn.Gone() {
		t.drop(slices.Index(t.roomy, k))
		k.conn.Close()
	}
	t.call(1)
}

// join returns a branch as soon as there is room for it, on a connection of its
// own if need be.
func (t *trunks) join(ctx context.Context, but *trunk, dial func() (*wire.Conn, error)) (*wire.Conn, *trunk, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.relay()
	for dials := 0; ; {
		if c, k := t.branch(but); c != nil {
			return c, k, nil
		}
		if t.waiting.Len() >= t.coming() {
			c, k, err := t.dial(dial)
			if dials++; err != errClosed || dials == mostSends {
				return c, k, err
			}
			continue
		}
		if err := t.wait(ctx); err != nil {
			return nil, nil, fmt.Errorf("wait for a connection that is being opened: %w", err)
		}
	}
}

// coming is for how many the connections that are being dialled will have room,
// beside those who dial.
func (t *trunks) coming() int {
	if t.share == 0 {
		return min(t.dialling, 1) << 30
	}
	return t.dialling * (t.share - 1)
}

// wait waits until there may be room.
func (t *trunks) wait(ctx context.Context) error {
	called := make(chan struct{})
	place := t.waiting.PushBack(called)
	t.mu.Unlock()
	select {
	case <-called:
		t.mu.Lock()
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	select {
	case <-called:
		t.call(1) // somebody else, then
	default:
		t.waiting.Remove(place)
	}
	return ctx.Err()
}

// errClosed is of a connection that the other side opens and sends away at once:
// another may fare better.
var errClosed = &wire.Error{Kind: wire.Unprocessed, Err: errors.New("the new connection takes no request")}

// dial opens a connection and returns its first branch.
func (t *trunks) dial(dial func() (*wire.Conn, error)) (*wire.Conn, *trunk, error) {
	t.dialling++
	t.relay()
	conn, err := func() (*wire.Conn, error) {
		t.mu.Unlock()
		defer func() { t.mu.Lock(); t.dialling-- }() // even if it panics
		return dial()
	}()
	if err != nil {
		return nil, nil, err
	}
	room := conn.Room() // before it may be sent away
	c := conn.Branch()
	if c == nil {
		conn.Close()
		return nil, nil, errClosed
	}
	k := &trunk{conn: conn, out: 1}
	t.add(k)
	t.share = room
	t.call(room - 1)
	return c, k, nil
}

// call lets so many look again.
func (t *trunks) call(n int) {
	for ; n > 0 && t.waiting.Len() > 0; n-- {
		close(t.waiting.Remove(t.waiting.Front()).(chan struct{}))
	}
}

// relay lets one look again if more wait than those who dial will have room for.
// It comes after whatever changes that, and who was let in hands it on.
func (t *trunks) relay() {
	if t.waiting.Len() > t.coming() {
		t.call(1)
	}
}

// close closes what has no branches.
func (t *trunks) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.roomy {
		k.conn.Close()
	}
	t.roomy = nil
}
