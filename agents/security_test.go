package agents_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/agents/coordinator"
	"github.com/flashcrowd/flashcrowd/agents/membership"
	"github.com/flashcrowd/flashcrowd/results"
)

// A fleet does its work while it is attacked, by strangers and by a member gone
// bad. The run is the one that it would have been, and says what was tried.
func TestFleetUnderAttack(t *testing.T) {
	defer noLeaks(t)()
	f := newFleet(t, "5s", 2, nil)
	member := joined(t, f.join, key, membership.Worker)
	lead, ok := member.Coordinator()
	if !ok {
		t.Fatal("no coordinator in gossip")
	}
	ctx, stop := context.WithCancel(t.Context())
	var attackers sync.WaitGroup
	attack := func(do func()) {
		attackers.Go(func() {
			for ctx.Err() == nil {
				do()
				time.Sleep(20 * time.Millisecond) // that the machine is not what fails
			}
		})
	}
	attack(func() { wrongKey(ctx, f.join) })
	attack(func() { gossipGarbage(f.join) })
	attack(func() { stranger(ctx, lead) })
	attack(func() { badMember(ctx, member, lead) })
	attack(func() { usurper(ctx, f.join) })

	f.worker(t.Context(), "worker-1", t.TempDir())
	f.worker(t.Context(), "worker-2", t.TempDir())
	f.launched(500)
	for late := time.Now().Add(30 * time.Second); len(unseen(f.co.View())) > 0 && time.Now().Before(late); {
		time.Sleep(20 * time.Millisecond) // polling
	}
	stop()
	attackers.Wait()
	_ = member.Leave(time.Second)
	run := f.end()
	f.wantEnd("worker-1", "")
	f.wantEnd("worker-2", "")
	f.wantLoad(run)
	a := run.Account
	if a.Ended[results.OK] != run.Planned || a.Late > 0 || a.Orphaned > 0 || run.Stopped != "" || len(run.Workers) != 2 || len(run.Warnings) > 0 {
		t.Errorf("%d of %d ended well; %+v, stopped %q, %d workers, warnings %q",
			a.Ended[results.OK], run.Planned, a, run.Stopped, len(run.Workers), run.Warnings)
	}
	kept, err := f.books.Run()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(kept.Barred, run.Barred) {
		t.Errorf("the store has %v, the run %v", kept.Barred, run.Barred)
	}
	t.Log(run.Barred)
	if reasons := unseen(run); len(reasons) > 0 {
		t.Errorf("not counted: %q", reasons)
	}
}

// unseen lists for which of the attacks nobody was turned away.
func unseen(run *results.Run) []string {
	return slices.DeleteFunc([]string{
		membership.BarredForm, membership.BarredKey, membership.BarredSecond,
		"stranger at the API", "exchange that can't be read", "exchange in another's name", "exchange that is too large",
		"status or stop, asked for by no operator",
	}, func(reason string) bool {
		return slices.ContainsFunc(run.Barred, func(r results.Barred) bool { return r.Reason == reason && r.Count > 0 })
	})
}

func identity() membership.Identity {
	id, err := membership.NewIdentity()
	if err != nil {
		panic(err)
	}
	return id
}

// member is a node of gossip, with what it needs to talk HTTPS.
type member struct {
	*membership.Fleet
	id membership.Identity
}

func joined(t *testing.T, join string, key []byte, role membership.Role) member {
	t.Helper()
	m := member{id: identity()}
	var err error
	m.Fleet, err = membership.Join(t.Context(), membership.Config{
		Identity: m.id, Protocol: agents.Protocol, Role: role, Name: "rogue", Bind: "127.0.0.1:0", Seeds: []string{join}, Key: key,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Leave(time.Second) })
	return m
}

func wrongKey(ctx context.Context, join string) {
	f, err := membership.Join(ctx, membership.Config{
		Identity: identity(), Protocol: agents.Protocol, Role: membership.Worker, Name: "stranger", Bind: "127.0.0.1:0",
		Seeds: []string{join}, Key: bytes.Repeat([]byte{8}, membership.KeySize),
	})
	if err == nil {
		_ = f.Leave(time.Millisecond)
	}
}

// usurper has the key, and wants to lead.
func usurper(ctx context.Context, join string) {
	f, err := membership.Join(ctx, membership.Config{
		Identity: identity(), Protocol: agents.Protocol, Role: membership.Coordinator, Name: "usurper", API: "127.0.0.1:9", Bind: "127.0.0.1:0",
		Seeds: []string{join}, Key: key,
	})
	if err == nil {
		_ = f.Leave(time.Millisecond)
	}
}

// gossipGarbage sends what looks like gossip, with the encryption version that
// memberlist panics on among it, and what does not look like anything.
func gossipGarbage(join string) {
	head := "\xf4\x0cflashcrowd/1"
	noise := make([]byte, 200)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	for _, text := range []string{head + "\x00" + string(noise), head + "\x01" + string(noise), head + "\x01", head, string(noise), ""} {
		if conn, err := net.Dial("udp", join); err == nil {
			_, _ = io.WriteString(conn, text)
			conn.Close()
		}
	}
	for _, text := range []string{
		head + "\x0a\x00\x00\x00\xc8\x00" + string(noise[1:]), head + "\x0a\x00\x00\x00\xc8\x01" + string(noise[1:]),
		head + "\x0a\xff\xff\xff\xff\x01", head + "\x06", string(noise), "GET / HTTP/1.1\r\n\r\n",
	} {
		if conn, err := net.Dial("tcp", join); err == nil {
			_ = conn.SetDeadline(time.Now().Add(time.Second))
			_, _ = io.WriteString(conn, text)
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.ReadAll(conn)
			conn.Close()
		}
	}
}

// ask sends a request as a node, on a connection of its own.
func ask(ctx context.Context, id membership.Identity, lead membership.Member, method, path string, body []byte) {
	c := http.Client{Transport: &http.Transport{TLSClientConfig: id.ClientTLS(lead.ID), DisableKeepAlives: true}, Timeout: 2 * time.Second}
	r, err := http.NewRequestWithContext(ctx, method, "https://"+lead.API+path, bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	if answer, err := c.Do(r); err == nil {
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	}
}

// stranger has a certificate like any node's, which no member has.
func stranger(ctx context.Context, lead membership.Member) {
	ask(ctx, identity(), lead, http.MethodGet, "/v1/plan", nil)
	ask(ctx, identity(), lead, http.MethodPost, "/v1/stop", []byte(`{"why":"a stranger"}`))
	if conn, err := net.Dial("tcp", lead.API); err == nil { // and no TLS at all
		_, _ = io.WriteString(conn, "POST /v1/stop HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
		conn.Close()
	}
}

// badMember speaks for others, sends what is nothing, and wants to end the run.
func badMember(ctx context.Context, m member, lead membership.Member) {
	for _, victim := range m.Members() {
		path := fmt.Sprintf("/v1/workers/%s/snapshots/", victim.ID)
		forged := results.Encode(results.Snapshot{Format: results.SnapshotFormat, Worker: victim.ID, Seq: 1 << 40, Final: true})
		e, err := agents.Exchange{Seq: 1 << 40, Name: victim.Name, Snapshot: forged, Fate: "gone"}.Encode()
		if err != nil {
			panic(err)
		}
		ask(ctx, m.id, lead, http.MethodPut, path+fmt.Sprint(1<<40), e)
		ask(ctx, m.id, lead, http.MethodPut, "/v1/workers/"+m.id.ID+"/snapshots/1099511627776", e)
	}
	mine := "/v1/workers/" + m.id.ID + "/snapshots/1"
	ask(ctx, m.id, lead, http.MethodPut, mine, []byte(strings.Repeat("x", 100)))
	ask(ctx, m.id, lead, http.MethodPut, mine, make([]byte, agents.MaxExchange+1))
	ask(ctx, m.id, lead, http.MethodPost, "/v1/stop", []byte(`{"why":"a bad member"}`))
}

// A worker that was away for longer than its lease says what it did meanwhile:
// refused, kept apart, in no figure.
func TestAbsentWorkerReportsTooLate(t *testing.T) {
	defer noLeaks(t)()
	f := newFleet(t, "5s", 2, nil)
	f.worker(t.Context(), "worker-1", t.TempDir())
	victim := exec.Command(os.Args[0], t.TempDir())
	victim.Env = append(os.Environ(), joinVariable+"="+f.join)
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = victim.Process.Kill(); _ = victim.Wait() }()
	f.launched(100)
	if err := victim.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	until := func(what string, ok func(agents.Status) bool) {
		t.Helper()
		for late := time.Now().Add(30 * time.Second); !ok(f.co.Status()); time.Sleep(10 * time.Millisecond) { // polling
			if time.Now().After(late) {
				t.Fatalf("%s: not in time: %+v", what, f.co.Status())
			}
		}
	}
	until("lost", func(s agents.Status) bool {
		return slices.ContainsFunc(s.Members, func(m agents.Standing) bool { return m.Name == "victim" && m.State == "lost" })
	})
	if err := victim.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	until("kept apart", func(s agents.Status) bool { return s.Apart.Snapshots >= 2 })
	run := f.end()
	f.wantLoad(run)
	if !slices.ContainsFunc(run.Barred, func(r results.Barred) bool {
		return r.Reason == "exchange after the end of its lease" && r.Count >= run.Apart.Snapshots
	}) {
		t.Errorf("refused: %v, kept apart: %+v", run.Barred, run.Apart)
	}
	kept, err := f.books.Run()
	if err != nil || kept.Apart != run.Apart {
		t.Errorf("the store keeps %+v apart, the run %+v; %v", kept.Apart, run.Apart, err)
	}
	last := uint64(0)
	for s, err := range f.books.Apart() {
		if err != nil || s.Seq <= last {
			t.Errorf("snapshot %d after %d, %v", s.Seq, last, err)
		}
		last = s.Seq
	}
}

// The operators' page has each reason for which somebody is turned away.
func TestReasonsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range append(coordinator.Barriers(), membership.BarredForm, membership.BarredKey, membership.BarredProtocol,
		membership.BarredNode, membership.BarredImpostor, membership.BarredSecond) {
		if !strings.Contains(string(page), "`"+r+"`") {
			t.Errorf("README.md does not have %q", r)
		}
	}
}
