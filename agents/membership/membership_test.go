package membership

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

const protocol = 1

func key(t *testing.T) []byte {
	t.Helper()
	k := make([]byte, KeySize)
	if _, err := rand.Read(k); err != nil {
		t.Fatal(err)
	}
	return k
}

// join starts a node on loopback and ends it with the test.
func join(t *testing.T, key []byte, role Role, name string, seeds ...string) (*Fleet, error) {
	t.Helper()
	id, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Identity: id, Protocol: protocol, Role: role, Name: name, Bind: "127.0.0.1:0", Seeds: seeds, Key: key}
	if role == Coordinator {
		c.API = "0.0.0.0:4443"
	}
	f, err := Join(t.Context(), c)
	if err == nil {
		t.Cleanup(func() { _ = f.Leave(time.Second) })
	}
	return f, err
}

func mustJoin(t *testing.T, key []byte, role Role, name string, seeds ...string) *Fleet {
	t.Helper()
	f, err := join(t, key, role, name, seeds...)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// await waits until f knows exactly these names.
func await(t *testing.T, f *Fleet, names ...string) {
	t.Helper()
	slices.Sort(names)
	late := time.After(30 * time.Second)
	for {
		var have []string
		for _, m := range f.Members() {
			have = append(have, m.Name)
		}
		slices.Sort(have)
		if slices.Equal(have, names) {
			return
		}
		select {
		case <-f.Events():
		case <-late:
			t.Fatalf("%s knows %v, want %v", f.Self().Name, have, names)
		}
	}
}

func TestThreeNodesMeetAndPart(t *testing.T) {
	k := key(t)
	c := mustJoin(t, k, Coordinator, "coordinator")
	w1 := mustJoin(t, k, Worker, "worker-1", c.Addr())
	w2 := mustJoin(t, k, Worker, "worker-2", c.Addr())
	for _, f := range []*Fleet{c, w1, w2} {
		await(t, f, "coordinator", "worker-1", "worker-2")
	}
	found, ok := w2.Coordinator()
	if !ok || found.ID != c.Self().ID || found.API != "127.0.0.1:4443" {
		t.Errorf("worker-2 found %+v: want the coordinator, its unspecified host replaced", found)
	}
	if m, ok := c.Member(w1.Self().ID); !ok || m != w1.Self() {
		t.Errorf("coordinator knows worker-1 as %+v, want %+v", m, w1.Self())
	}
	if err := w1.Leave(10 * time.Second); err != nil {
		t.Error(err)
	}
	await(t, c, "coordinator", "worker-2")
}

func TestWorkerBeforeCoordinator(t *testing.T) {
	k := key(t)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	w := mustJoin(t, k, Worker, "worker-1", addr)
	if err := w.Seek(t.Context()); err == nil {
		t.Error("seek reached a seed that does not listen")
	}
	id, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Join(t.Context(), Config{Identity: id, Protocol: protocol, Role: Coordinator, Name: "c", API: "127.0.0.1:1", Bind: addr, Key: k})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Leave(time.Second) }()
	if err := w.Seek(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok := w.Coordinator(); !ok {
		t.Error("the coordinator is not seen after seek")
	}
}

func TestWrongKeyIsRefused(t *testing.T) {
	c := mustJoin(t, key(t), Coordinator, "coordinator")
	w := mustJoin(t, key(t), Worker, "stranger", c.Addr())
	if err := w.Seek(t.Context()); err == nil || !strings.Contains(err.Error(), "its cluster key is another one") {
		t.Errorf("a node with another key: %v", err)
	}
	if n := len(c.Members()); n != 1 {
		t.Errorf("coordinator knows %d members, want itself", n)
	}
	if n := c.Barred()[BarredKey]; n < 2 { // at the join, and at the seek
		t.Errorf("barred: %v", c.Barred())
	}
}

func TestSecondCoordinator(t *testing.T) {
	k := key(t)
	c := mustJoin(t, k, Coordinator, "first")
	w := mustJoin(t, k, Worker, "worker-1", c.Addr())
	if _, err := join(t, k, Coordinator, "second", w.Addr()); !errors.Is(err, ErrSecondCoordinator) {
		t.Errorf("%v, want ErrSecondCoordinator", err)
	}
	await(t, c, "first", "worker-1")
	await(t, w, "first", "worker-1")
}

func TestJoinRefusesBadSettings(t *testing.T) {
	id, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	good := Config{Identity: id, Protocol: protocol, Role: Worker, Name: "w", Bind: "127.0.0.1:0", Key: make([]byte, KeySize)}
	tests := []struct {
		want   string
		change func(*Config)
	}{
		{"a key of 16 bytes", func(c *Config) { c.Key = c.Key[:16] }},
		{"a key of 0 bytes", func(c *Config) { c.Key = nil }},
		{"bind address", func(c *Config) { c.Bind = "127.0.0.1" }},
		{"bind address", func(c *Config) { c.Bind = "127.0.0.1:http" }},
		{"want 1 to 32 letters", func(c *Config) { c.Name = "" }},
		{"unknown role", func(c *Config) { c.Role = "spy" }},
		{"API address", func(c *Config) { c.Role = Coordinator }},
		{"bytes of metadata", func(c *Config) { c.Role, c.API = Coordinator, strings.Repeat("a", 120)+":1" }},
	}
	for _, tt := range tests {
		c := good
		tt.change(&c)
		f, err := Join(t.Context(), c)
		if err == nil {
			_ = f.Leave(time.Second)
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want something with %q", err, tt.want)
		}
	}
}

// The settings are a contract: other values change how fast a fleet notices,
// and what it lets in.
func TestSettings(t *testing.T) {
	s := settings()
	got := fmt.Sprintln(s.ProbeInterval, s.ProbeTimeout, s.SuspicionMult, s.SuspicionMaxTimeoutMult,
		s.PushPullInterval, s.TCPTimeout, s.Label, s.GossipVerifyIncoming, s.GossipVerifyOutgoing, s.DeadNodeReclaimTime)
	want := "1s 500ms 4 2 10s 2s flashcrowd/1 true true 0s\n"
	if got != want {
		t.Errorf("settings are %s, want %s", got, want)
	}
}

func TestMetadata(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	longest := Member{ID: id, Role: Coordinator, Name: strings.Repeat("n", 32), API: "[2001:db8:1111:2222:3333:4444:5555:6666]:65535"}
	b, err := encodeMeta(longest, protocol)
	if err != nil || len(b) > maxMeta {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	if got, err := decodeMeta(id, b, protocol); err != nil || got != longest {
		t.Errorf("%+v, %v", got, err)
	}
	for name, bad := range map[string][]byte{
		"empty":          nil,
		"garbage":        []byte("hello"),
		"truncated":      b[:len(b)-1],
		"more":           append(slices.Clone(b), 0),
		"other version":  bytes.Replace(b, []byte{0x84, protocol}, []byte{0x84, protocol + 1}, 1),
		"unknown role":   bytes.Replace(b, []byte("coord"), []byte("c00rd"), 1),
		"bad name":       bytes.Replace(b, []byte("nn"), []byte("n\n"), 1),
		"no port":        bytes.Replace(b, []byte("]:65535"), []byte("]_65535"), 1),
		"port too large": bytes.Replace(b, []byte(":65535"), []byte(":65536"), 1),
	} {
		if _, err := decodeMeta(id, bad, protocol); err == nil {
			t.Errorf("%s metadata went through", name)
		}
	}
	for _, bad := range []string{"", "worker-1", strings.ToUpper(id), id[:62]} {
		if _, err := decodeMeta(bad, b, protocol); err == nil {
			t.Errorf("node name %q went through", bad)
		}
	}
}

func FuzzDecodeMeta(f *testing.F) {
	const id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	b, err := encodeMeta(Member{ID: id, Role: Worker, Name: "worker-1"}, protocol)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decodeMeta(id, data, protocol)
		if err != nil {
			return
		}
		b, err := encodeMeta(m, protocol)
		if err != nil {
			t.Fatalf("%+v was read and can't be written: %v", m, err)
		}
		if again, err := decodeMeta(id, b, protocol); err != nil || again != m {
			t.Fatalf("%+v came back as %+v, %v", m, again, err)
		}
	})
}

func TestResolve(t *testing.T) {
	addrs, err := resolve(context.Background(), "127.0.0.1:7946")
	if err != nil || !slices.Equal(addrs, []string{"127.0.0.1:7946"}) {
		t.Errorf("%v, %v", addrs, err)
	}
	if _, err := resolve(context.Background(), "nowhere"); err == nil {
		t.Error("a seed without port went through")
	}
}
