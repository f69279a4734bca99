package membership

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-msgpack/v2/codec"
)

// Attacks on gossip: of strangers, who have what they overheard, and of a
// member gone bad, who has the key.

// packetOf seals text as a packet of the fleet with that key.
func packetOf(t testing.TB, key, text []byte) []byte {
	t.Helper()
	g := sealer(t, key)
	nonce := bytes.Repeat([]byte{3}, g.seal.NonceSize())
	return g.seal.Seal(slices.Concat(labelHeader(), []byte{version}, nonce), nonce, text, []byte(label))
}

// streamOf seals text as a stream of that fleet, with its label unless it is an
// answer.
func streamOf(t testing.TB, key, text []byte, labelled bool) []byte {
	t.Helper()
	g := sealer(t, key)
	nonce := bytes.Repeat([]byte{3}, g.seal.NonceSize())
	head := binary.BigEndian.AppendUint32([]byte{encryptedStream}, uint32(1+len(nonce)+len(text)+g.seal.Overhead()))
	var b []byte
	if labelled {
		b = labelHeader()
	}
	b = slices.Concat(b, head, []byte{version}, nonce)
	return g.seal.Seal(b, nonce, text, slices.Concat(head, []byte(label)))
}

func sealer(t testing.TB, key []byte) *guard {
	t.Helper()
	g, err := newGuard("127.0.0.1", 0, key, &Tally{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Shutdown(); err != nil {
		t.Fatal(err)
	}
	return g
}

func changed(b []byte, at int, to byte) []byte {
	b = slices.Clone(b)
	b[at] = to
	return b
}

// forgeries are what can be made of a captured packet or stream without the
// key, and why each is refused. Base is where its version byte is.
func forgeries(t testing.TB, captured, otherKey []byte, base int) map[string][][]byte {
	random := make([]byte, 500)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	return map[string][][]byte{
		BarredForm: {
			changed(captured, base, 0), // memberlist would take it, and panic at its padding
			changed(captured, base, 2),
			changed(captured, 4, 'x'), // another label
			captured[:base],
			captured[:base+1],
			captured[:base+13], // no room for a tag
			captured[2:],
			random,
			[]byte("x"),
		},
		BarredKey: {
			changed(captured, base+1, captured[base+1]^1), // nonce
			changed(captured, len(captured)-1, captured[len(captured)-1]^1),
			otherKey,
		},
	}
}

func TestGuardPackets(t *testing.T) {
	k := key(t)
	var refused Tally
	g, err := newGuard("127.0.0.1", 0, k, &refused, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Shutdown()
	conn, err := net.Dial("udp", net.JoinHostPort("127.0.0.1", fmt.Sprint(g.GetAutoBindPort())))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	good := packetOf(t, k, []byte("hello"))
	bad := forgeries(t, good, packetOf(t, key(t), []byte("hello")), len(labelHeader()))
	bad[BarredForm] = append(bad[BarredForm], packetOf(t, k, nil)) // memberlist panics on nothing, well sealed
	bad[BarredKey] = append(bad[BarredKey], good[:len(good)-1])
	want := map[string]uint64{}
	for reason, packets := range bad {
		want[reason] = uint64(len(packets))
		for _, b := range packets {
			if _, err := conn.Write(b); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := conn.Write(good); err != nil {
		t.Fatal(err)
	}
	if p := <-g.PacketCh(); !bytes.Equal(p.Buf, good) {
		t.Errorf("packet %q came through", p.Buf)
	}
	if got := refused.Counts(); !maps.Equal(got, want) {
		t.Errorf("refused %v, want %v", got, want)
	}
}

func TestGuardStreams(t *testing.T) {
	k := key(t)
	var refused Tally
	g, err := newGuard("127.0.0.1", 0, k, &refused, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Shutdown()
	read := func(b []byte, labelled bool) ([]byte, error) {
		near, far := net.Pipe()
		defer far.Close()
		go func() { _, _ = near.Write(b); near.Close() }()
		_ = far.SetReadDeadline(time.Now().Add(2 * time.Second))
		return io.ReadAll(&guardedConn{Conn: far, guard: g, labelled: labelled})
	}
	for _, labelled := range []bool{true, false} {
		good := streamOf(t, k, []byte("hello"), labelled)
		if got, err := read(append(slices.Clone(good), "and more"...), labelled); err != nil || !bytes.Equal(got, good) {
			t.Errorf("a good stream came as %q, %v", got, err)
		}
		if got, err := read(good, !labelled); err == nil {
			t.Errorf("a label too many or too few: %q", got)
		}
	}
	good := streamOf(t, k, []byte("hello"), true)
	base := len(labelHeader()) + streamHead
	bad := forgeries(t, good, streamOf(t, key(t), []byte("hello"), true), base)
	bad[BarredForm] = append(bad[BarredForm],
		good[:len(good)-1],
		changed(good, base-4, 0xff),           // a length of gigabytes
		changed(good, base-streamHead, 8),     // not encrypted
		changed(good, base-1, good[base-1]+1), // a longer one than comes
		streamOf(t, k, nil, true),             // see TestGuardPackets
		streamOf(t, k, make([]byte, maxStream), true),
	)
	bad[BarredKey] = append(bad[BarredKey], changed(good, base-1, good[base-1]-1)) // its length is authenticated
	for reason, streams := range bad {
		for i, b := range streams {
			before := refused.Counts()[reason]
			if got, err := read(b, true); err == nil || len(got) > 0 || !strings.Contains(err.Error(), reason) {
				t.Errorf("%s %d: %q, %v", reason, i, got, err)
			}
			if refused.Counts()[reason] != before+1 {
				t.Errorf("%s %d: not counted: %v", reason, i, refused.Counts())
			}
		}
	}
	before := refused.Counts()
	if _, err := read(nil, true); !errors.Is(err, io.EOF) && err != nil {
		t.Errorf("a health check: %v", err)
	}
	if got := refused.Counts(); !maps.Equal(got, before) {
		t.Errorf("a health check is counted: %v", got)
	}
}

// Whatever comes, nothing goes through that the key did not seal, and nothing
// panics.
func FuzzGuard(f *testing.F) {
	k := bytes.Repeat([]byte{1}, KeySize)
	g := sealer(f, k)
	for _, b := range [][]byte{packetOf(f, k, []byte("x")), streamOf(f, k, []byte("x"), true), streamOf(f, k, []byte("x"), false), {}, labelHeader()} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := g.packet(b); err == nil && !bytes.Equal(b, packetOf(t, k, []byte("x"))) {
			t.Errorf("packet %x went through", b)
		}
		for _, labelled := range []bool{true, false} {
			got, err := io.ReadAll(&guardedConn{Conn: replay{bytes.NewReader(b)}, guard: g, labelled: labelled})
			if want := streamOf(t, k, []byte("x"), labelled); len(got) > 0 && (err != nil || !bytes.Equal(got, want)) {
				t.Errorf("stream %x went through, %v", b, err)
			}
		}
	})
}

// replay is a connection that says what was captured.
type replay struct{ io.Reader }

func (r replay) Read(p []byte) (int, error)     { return r.Reader.Read(p) }
func (replay) Write(p []byte) (int, error)      { return len(p), nil }
func (replay) Close() error                     { return nil }
func (replay) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (replay) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (replay) SetDeadline(time.Time) error      { return nil }
func (replay) SetReadDeadline(time.Time) error  { return nil }
func (replay) SetWriteDeadline(time.Time) error { return nil }

// tap is a node's TCP port as somebody on the wire sees it: it passes on what
// comes and keeps what was said first.
func tap(t *testing.T, to string) (addr string, captured func() []byte) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	first := make(chan []byte, 1)
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				return
			}
			go func() { _, _ = io.Copy(in, out); in.Close() }()
			go func() {
				var said bytes.Buffer
				_, _ = io.Copy(out, io.TeeReader(in, &said))
				select {
				case first <- said.Bytes():
				default:
				}
			}()
		}
	}()
	return l.Addr().String(), func() []byte { return <-first }
}

// A join that was overheard is played back to the fleet, as it was and with its
// version byte flipped. Nobody panics, it is counted, and the fleet goes on.
func TestCapturedJoin(t *testing.T) {
	k := key(t)
	c := mustJoin(t, k, Coordinator, "coordinator")
	at, captured := tap(t, c.Addr())
	mustJoin(t, k, Worker, "worker-1", at)
	await(t, c, "coordinator", "worker-1")
	b := captured()
	base := len(labelHeader()) + streamHead
	if len(b) < base+100 || b[base] != version {
		t.Fatalf("captured %x", b)
	}
	before := c.Barred()[BarredForm]
	for _, b := range [][]byte{b, changed(b, base, 0), changed(b, base, 2), b[:len(b)-7]} {
		conn, err := net.Dial("tcp", c.Addr())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write(b)
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.ReadAll(conn) // until it hangs up
		conn.Close()
	}
	if n := c.Barred()[BarredForm] - before; n != 3 {
		t.Errorf("%d barred: %v", n, c.Barred())
	}
	mustJoin(t, k, Worker, "worker-2", c.Addr())
	await(t, c, "coordinator", "worker-1", "worker-2")
}

// say sends a message of memberlist's own under the fleet's key: a member gone
// bad.
func say(t *testing.T, key []byte, to string, kind byte, message any) {
	t.Helper()
	text := bytes.NewBuffer([]byte{kind})
	if err := codec.NewEncoder(text, &codec.MsgpackHandle{}).Encode(message); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(packetOf(t, key, text.Bytes())); err != nil {
		t.Fatal(err)
	}
}

// alive is memberlist's message of that name.
type alive struct {
	Incarnation uint32
	Node        string
	Addr        []byte
	Port        uint16
	Meta        []byte
	Vsn         []uint8
}

const aliveMessage = 4

// A member that has the key tries to be another: the coordinator's name with an
// API elsewhere, at its own address and at another; a worker's name as a second
// coordinator; a name that is no certificate's.
func TestAnothersName(t *testing.T) {
	k := key(t)
	c := mustJoin(t, k, Coordinator, "coordinator")
	w := mustJoin(t, k, Worker, "worker-1", c.Addr())
	await(t, c, "coordinator", "worker-1")
	await(t, w, "coordinator", "worker-1")
	lured, err := encodeMeta(Member{ID: c.Self().ID, Role: Coordinator, Name: "coordinator", API: "192.0.2.66:443"}, protocol)
	if err != nil {
		t.Fatal(err)
	}
	raised, err := encodeMeta(Member{ID: w.Self().ID, Role: Coordinator, Name: "worker-1", API: "192.0.2.66:443"}, protocol)
	if err != nil {
		t.Fatal(err)
	}
	port := func(f *Fleet) uint16 { return f.list.LocalNode().Port }
	version := []uint8{1, 5, 5, 0, 0, 0}
	home := net.IPv4(127, 0, 0, 1).To4()
	for _, a := range []alive{
		{Incarnation: 99, Node: c.Self().ID, Addr: home, Port: port(c), Meta: lured, Vsn: version},
		{Incarnation: 99, Node: c.Self().ID, Addr: home, Port: 9, Meta: c.meta, Vsn: version},
		{Incarnation: 99, Node: w.Self().ID, Addr: home, Port: port(w), Meta: raised, Vsn: version},
		{Incarnation: 99, Node: "worker-1", Addr: home, Port: 9, Meta: w.meta, Vsn: version},
		{Incarnation: 99, Node: strings.Repeat("ab", 32), Addr: home, Port: 9, Meta: []byte("garbage"), Vsn: version},
		{Incarnation: 99, Node: strings.Repeat("cd", 32), Addr: home, Port: 9, Meta: raised, Vsn: version},
	} {
		for range 3 { // gossip repeats itself; a node is counted once
			say(t, k, c.Addr(), aliveMessage, a)
			say(t, k, w.Addr(), aliveMessage, a)
		}
	}
	want := map[string]uint64{BarredImpostor: 3, BarredNode: 2, BarredSecond: 1}
	for late := time.Now().Add(30 * time.Second); !maps.Equal(c.Barred(), want) || !maps.Equal(w.Barred(), want); time.Sleep(5 * time.Millisecond) { // polling
		if time.Now().After(late) {
			t.Fatalf("barred: %v and %v, want %v", c.Barred(), w.Barred(), want)
		}
	}
	for _, f := range []*Fleet{c, w} {
		await(t, f, "coordinator", "worker-1")
		if m, ok := f.Coordinator(); !ok || m.ID != c.Self().ID || m.API != "127.0.0.1:4443" && m.API != "0.0.0.0:4443" {
			t.Errorf("%s takes %+v for the coordinator", f.Self().Name, m)
		}
	}
}

// Nodes whose versions speak differently tell each other so, both sides.
func TestAnotherProtocol(t *testing.T) {
	k := key(t)
	var said strings.Builder
	var mu sync.Mutex
	id, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Join(t.Context(), Config{
		Identity: id, Protocol: protocol, Role: Coordinator, Name: "coordinator", API: "127.0.0.1:4443", Bind: "127.0.0.1:0", Key: k,
		Log: slog.New(slog.NewTextHandler(locked{&said, &mu}, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Leave(time.Second) }()
	if id, err = NewIdentity(); err != nil {
		t.Fatal(err)
	}
	_, err = Join(context.Background(), Config{
		Identity: id, Protocol: protocol + 1, Role: Worker, Name: "worker-9", Bind: "127.0.0.1:0", Key: k, Seeds: []string{c.Addr()},
	})
	if !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), "it speaks 1, this node 2\nhint: install the same flashcrowd on all machines") {
		t.Errorf("the worker was told %v", err)
	}
	text := ""
	for late := time.Now().Add(30 * time.Second); !strings.Contains(text, "node=worker-9"); time.Sleep(5 * time.Millisecond) { // polling
		if time.Now().After(late) {
			t.Fatalf("the coordinator said %s", text)
		}
		mu.Lock()
		text = said.String()
		mu.Unlock()
	}
	if !strings.Contains(text, "install the same flashcrowd on all machines") || !strings.Contains(text, "it speaks 2, this node 1") {
		t.Errorf("the coordinator said %s", text)
	}
	if n := c.Barred()[BarredProtocol]; n != 1 || len(c.Members()) != 1 {
		t.Errorf("counted %d times, %d members", n, len(c.Members()))
	}
}

type locked struct {
	io.Writer
	mu *sync.Mutex
}

func (w locked) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Writer.Write(p)
}

func TestTally(t *testing.T) {
	var tally Tally
	tally.Add("a")
	if !tally.Once("b", "x") || tally.Once("b", "x") || !tally.Once("b", "y") {
		t.Error("once is not once")
	}
	tally.Forgive("b", "x")
	tally.Forgive("b", "x")
	tally.Forgive("b", "nobody")
	if got := tally.Counts(); got["a"] != 1 || got["b"] != 1 || len(got) != 2 {
		t.Errorf("%v", got)
	}
	tally.Forgive("b", "y")
	if got := tally.Counts(); len(got) != 1 {
		t.Errorf("%v", got)
	}
	for n := range 2 * maxSubjects {
		tally.Once("c", fmt.Sprint(n))
	}
	if len(tally.seen) != maxSubjects || tally.Counts()["c"] != 2*maxSubjects {
		t.Errorf("%d remembered, %d counted", len(tally.seen), tally.Counts()["c"])
	}
}
