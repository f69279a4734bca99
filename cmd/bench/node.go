package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/agents/membership"
	"github.com/flashcrowd/flashcrowd/results"
)

// node is one simulated worker.
type node struct {
	id, is  string // is: its version
	base    string
	http    *http.Client
	day     []results.Snapshot // the seconds that it has, over and over
	seq     uint64
	version uint64 // of its spans
	started bool
}

// together does something n times at once, and returns what went wrong.
func together(n int, do func(i int) error) error {
	faults := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { faults[i] = do(i) })
	}
	all.Wait()
	return errors.Join(faults...)
}

// gather makes workers, lets them join and waits for the start.
func gather(ctx context.Context, l *leader, n int) ([]*node, error) {
	day := make([]results.Snapshot, 16)
	for i := range day {
		day[i] = second("w", uint64(i))
	}
	text, err := os.ReadFile(l.keyFile)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	nodes := make([]*node, n)
	places := make(chan struct{}, 8)
	err = together(n, func(i int) (err error) {
		places <- struct{}{}
		defer func() { <-places }()
		nodes[i], err = join(ctx, l, key, fmt.Sprint("worker-", i+1))
		if err == nil {
			nodes[i].day = day
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	// Who is there exchanges each second, and the last brings the start.
	for late := time.Now().Add(time.Minute); ; {
		if err := together(n, func(i int) error { return nodes[i].exchange(ctx, 0) }); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(nodes, func(w *node) bool { return !w.started }) {
			return nodes, nil
		}
		if time.Now().After(late) {
			return nil, errors.New("the run does not start")
		}
	}
}

// join lets a worker into the fleet, as far as a coordinator that knows it.
func join(ctx context.Context, l *leader, key []byte, name string) (*node, error) {
	id, err := membership.NewIdentity()
	if err != nil {
		return nil, err
	}
	fleet, err := membership.Join(ctx, membership.Config{
		Identity: id, Protocol: agents.Protocol, Role: membership.Worker, Name: name, Bind: "127.0.0.1:0",
		Seeds: []string{l.join}, Key: key,
	})
	if err != nil {
		return nil, err
	}
	defer fleet.Leave(time.Second)
	var c membership.Member
	for late, ok := time.After(10*time.Second), false; !ok; {
		if c, ok = fleet.Coordinator(); ok {
			break
		}
		select {
		case <-fleet.Events():
		case <-late:
			return nil, fmt.Errorf("%s sees no coordinator", name)
		}
	}
	w := &node{id: id.ID, is: l.version, base: "https://" + c.API, http: &http.Client{
		Transport: &http.Transport{TLSClientConfig: id.ClientTLS(c.ID), MaxConnsPerHost: 1},
		Timeout:   agents.LeaseLength,
	}}
	for late := time.Now().Add(10 * time.Second); ; {
		if _, err = w.do(ctx, http.MethodGet, "/v1/plan", nil); err == nil {
			return w, nil
		}
		if time.Now().After(late) {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
}

func (w *node) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, w.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set(agents.VersionHeader, w.is)
	resp, err := w.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, answer)
	}
	return answer, err
}

// exchange sends one second and takes the lease.
func (w *node) exchange(ctx context.Context, second int64) error {
	w.seq++
	s := at(w.day[w.seq%uint64(len(w.day))], w.id, w.seq, second)
	if !w.started { // an idle worker's
		s = results.Snapshot{Format: results.SnapshotFormat, Worker: w.id, Seq: w.seq}
	}
	s.Grant = w.version
	body, err := agents.Exchange{Seq: w.seq, Name: w.id[:8], Have: w.version, Capacity: 1000, Snapshot: results.Encode(s)}.Encode()
	if err != nil {
		return err
	}
	path := fmt.Sprintf("/v1/workers/%s/snapshots/%d", w.id, w.seq)
	answer, err := w.do(ctx, http.MethodPut, path, body)
	for tries := 0; err != nil && tries < 10; tries++ { // as a worker does: the disk may have been busy elsewhere
		time.Sleep(100 * time.Millisecond)
		answer, err = w.do(ctx, http.MethodPut, path, body)
	}
	if err != nil {
		return err
	}
	l, err := agents.DecodeLease(answer)
	if err != nil {
		return err
	}
	if l.Stored != w.seq || l.Length == 0 {
		return fmt.Errorf("snapshot %d is answered with %d stored, and a lease of %v", w.seq, l.Stored, l.Length)
	}
	w.version, w.started = l.Version, l.Started
	return nil
}
