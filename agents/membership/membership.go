// Package membership says who is here: memberlist behind Join, Members, Events
// and Leave, and the identities that nodes prove to each other in TLS.
//
// Gossip is encrypted with the cluster key, and a node's name in it is the
// fingerprint of its certificate. So who holds the key can be a member, and a
// member can be recognised wherever it shows its certificate. Gossip never
// grants, extends or ends a lease.
package membership

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// KeySize is the length of a cluster key in bytes: AES-256.
const KeySize = 32

const label = "flashcrowd/1"

var (
	// ErrSecondCoordinator says that the fleet has a coordinator already.
	ErrSecondCoordinator = errors.New("the fleet has another coordinator")

	// ErrProtocol says that nodes can't work together because their versions
	// speak differently.
	ErrProtocol = errors.New("another protocol version")
)

// A Role is what a member is.
type Role string

const (
	Coordinator Role = "coordinator"
	Worker      Role = "worker"
	Operator    Role = "operator" // somebody who looks at the run, or stops it
)

// A Member is a node as gossip knows it.
type Member struct {
	ID   string // the fingerprint of the node's certificate
	Role Role
	Name string // as people say it: worker-1
	API  string // coordinator: host:port of its HTTPS listener
}

// Config says who this node is and where its fleet may be.
type Config struct {
	Identity Identity
	Protocol uint16 // version of what nodes say to each other; nodes of another are refused
	Role     Role
	Name     string   // as people say it; 1 to 32 letters, digits, '-', '_', '.'
	API      string   // a coordinator's HTTPS address; an unspecified host becomes the one that gossip advertises
	Bind     string   // host:port for gossip, TCP and UDP; port 0 takes a free one
	Seeds    []string // host:port of nodes to join; a name that resolves to many means all of them
	Key      []byte   // the cluster key, KeySize bytes
	Log      *slog.Logger
}

// A Fleet is this node's membership, from Join to Leave.
type Fleet struct {
	self    Member
	version uint16
	seeds   []string
	log     *slog.Logger
	list    *memberlist.Memberlist
	guard   *guard
	meta    []byte
	changed chan struct{}
	poked   chan struct{}
	barred  Tally
	leaving sync.Once

	mu      sync.Mutex // never held while calling memberlist: it calls us with its own lock held
	members map[string]Member
	alien   error // why this node can't be part of the fleet it found
}

// Join takes this node into gossip and tries each seed once. That no seed
// answers is not an error, because a worker may start before its coordinator:
// see Seek. A coordinator that meets another one gets ErrSecondCoordinator, and
// who meets a coordinator of another protocol version ErrProtocol.
//
// memberlist starts its goroutines here; Leave ends them.
func Join(ctx context.Context, c Config) (*Fleet, error) {
	if len(c.Key) != KeySize {
		return nil, fmt.Errorf("join fleet: a key of %d bytes, want %d", len(c.Key), KeySize)
	}
	host, port, err := splitBind(c.Bind)
	if err != nil {
		return nil, fmt.Errorf("join fleet: %w", err)
	}
	self := Member{ID: c.Identity.ID, Role: c.Role, Name: c.Name, API: c.API}
	f := &Fleet{
		self: self, version: c.Protocol, seeds: slices.Clone(c.Seeds), log: c.Log,
		changed: make(chan struct{}, 1),
		poked:   make(chan struct{}, 1),
		members: map[string]Member{self.ID: self},
	}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	if f.meta, err = encodeMeta(self, c.Protocol); err != nil {
		return nil, fmt.Errorf("join fleet: %w", err)
	}
	logger := log.New(logWriter{f.log}, "", 0)
	if f.guard, err = newGuard(host, port, c.Key, &f.barred, logger); err != nil {
		return nil, fmt.Errorf("join fleet: listen on %s: %w", c.Bind, err)
	}
	settings := settings()
	settings.Name = self.ID
	settings.SecretKey = slices.Clone(c.Key)
	settings.BindAddr = host
	settings.BindPort = f.guard.GetAutoBindPort()
	settings.AdvertisePort = settings.BindPort
	settings.Transport = f.guard
	settings.Logger = logger
	settings.Delegate = (*delegate)(f)
	settings.Alive = (*delegate)(f)
	settings.Events = (*delegate)(f)
	settings.Conflict = (*delegate)(f)
	if f.list, err = memberlist.Create(settings); err != nil {
		// Create shuts the transport down only in some of its failures.
		return nil, errors.Join(fmt.Errorf("join fleet: %w", err), f.guard.Shutdown())
	}
	if err := f.Seek(ctx); err != nil {
		if errors.Is(err, ErrSecondCoordinator) || errors.Is(err, ErrProtocol) || ctx.Err() != nil {
			return nil, errors.Join(err, f.Leave(time.Second))
		}
		f.log.Debug("no seed yet", "err", err)
	}
	return f, nil
}

// settings are memberlist's, as they are for every node.
func settings() *memberlist.Config {
	s := memberlist.DefaultLANConfig()
	s.ProbeInterval = time.Second
	s.ProbeTimeout = 500 * time.Millisecond
	s.SuspicionMult = 4
	s.SuspicionMaxTimeoutMult = 2
	s.PushPullInterval = 10 * time.Second
	s.TCPTimeout = 2 * time.Second
	s.Label = label
	s.GossipVerifyIncoming = true
	s.GossipVerifyOutgoing = true
	s.DeadNodeReclaimTime = 0
	return s
}

// Seek tries each seed once more. Without seeds it does nothing.
func (f *Fleet) Seek(ctx context.Context) error {
	var faults []error
	reached := 0
	for _, seed := range f.seeds {
		addrs, err := resolve(ctx, seed)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		for _, addr := range addrs {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if _, err := f.list.Join([]string{addr}); err != nil {
				faults = append(faults, explain(err, addr))
				continue
			}
			reached++
		}
	}
	f.mu.Lock()
	alien := f.alien
	f.mu.Unlock()
	if alien != nil {
		return fmt.Errorf("join fleet: %w", alien)
	}
	if reached == 0 && len(faults) > 0 {
		return fmt.Errorf("join fleet: %w", errors.Join(faults...))
	}
	return nil
}

// Self returns this node.
func (f *Fleet) Self() Member { return f.self }

// Addr returns host:port at which others can join this node.
func (f *Fleet) Addr() string {
	n := f.list.LocalNode()
	return net.JoinHostPort(n.Addr.String(), strconv.Itoa(int(n.Port)))
}

// Members returns who is here, this node included, sorted by id.
func (f *Fleet) Members() []Member {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]Member, 0, len(f.members))
	for _, m := range f.members {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// Member returns the member with that id.
func (f *Fleet) Member(id string) (Member, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m, ok := f.members[id]
	return m, ok
}

// Coordinator returns the fleet's coordinator, if it is here.
func (f *Fleet) Coordinator() (Member, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.coordinator()
}

func (f *Fleet) coordinator() (Member, bool) {
	for _, m := range f.members {
		if m.Role == Coordinator {
			return m, true
		}
	}
	return Member{}, false
}

// Events receives a value after Members has changed. Changes that nobody
// fetched yet share one value, so a slow reader misses none.
func (f *Fleet) Events() <-chan struct{} { return f.changed }

// Poke asks a member to look whether there is news for it. It may get lost, and
// says nothing by itself.
func (f *Fleet) Poke(id string) {
	for _, n := range f.list.Members() {
		if n.Name != id {
			continue
		}
		if err := f.list.SendBestEffort(n, []byte{poke}); err != nil {
			f.log.Debug("poke", "member", id, "err", err)
		}
		return
	}
}

// Poked receives a value after this node was poked. Pokes that nobody fetched
// yet share one value.
func (f *Fleet) Poked() <-chan struct{} { return f.poked }

// Barred returns how often this node has turned somebody away from gossip, by
// reason: see BarredForm and those after it.
func (f *Fleet) Barred() map[string]uint64 { return f.barred.Counts() }

// Leave says goodbye, waits up to timeout for that to go out, and ends
// everything that Join started. Calls after the first do nothing.
func (f *Fleet) Leave(timeout time.Duration) (err error) {
	f.leaving.Do(func() {
		if left := f.list.Leave(timeout); left != nil {
			err = fmt.Errorf("leave fleet: %w", left)
		}
		if down := f.list.Shutdown(); down != nil {
			err = errors.Join(err, fmt.Errorf("leave fleet: %w", down))
		}
	})
	return err
}

func splitBind(bind string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(bind)
	if err != nil {
		return "", 0, fmt.Errorf("bind address: %w", err)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("bind address %s: port %q is no number up to 65535", bind, text)
	}
	return host, int(n), nil
}

// resolve returns all addresses of a seed. memberlist's own resolver asks DNS
// by TCP with a configuration file of its own; the system's does what people
// expect.
func resolve(ctx context.Context, seed string) ([]string, error) {
	host, port, err := net.SplitHostPort(seed)
	if err != nil {
		return nil, fmt.Errorf("seed %s: %w", seed, err)
	}
	ips, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("seed %s: %w", seed, err)
	}
	addrs := make([]string, len(ips))
	for i, ip := range ips {
		addrs[i] = net.JoinHostPort(ip.String(), port)
	}
	return addrs, nil
}

// explain undoes memberlist's bulleted lists. A node that takes our connection
// and says nothing could not read what we said.
func explain(err error, addr string) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if strings.HasSuffix(text, "EOF") || strings.Contains(text, "connection reset") {
		return fmt.Errorf("%s hung up: it is no node of this fleet, or its cluster key is another one", addr)
	}
	return errors.New(text)
}

// logWriter turns memberlist's lines into debug records.
type logWriter struct{ log *slog.Logger }

func (w logWriter) Write(line []byte) (int, error) {
	w.log.Debug(strings.TrimSpace(string(line)), "from", "memberlist")
	return len(line), nil
}

var _ io.Writer = logWriter{}
