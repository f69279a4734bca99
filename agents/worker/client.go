package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/agents/membership"
)

// client speaks to the coordinator, and to nobody who can't prove to be it.
type client struct {
	base string
	id   string // this worker's
	is   string // its version
	http *http.Client
}

func newClient(self membership.Identity, coordinator membership.Member, version string) *client {
	return &client{
		base: "https://" + coordinator.API,
		id:   self.ID,
		is:   version,
		http: &http.Client{Transport: &http.Transport{
			TLSClientConfig:     self.ClientTLS(coordinator.ID),
			TLSHandshakeTimeout: 2 * time.Second,
			MaxConnsPerHost:     1,
			IdleConnTimeout:     time.Minute,
		}},
	}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// A refusal is an answer that will be the same next time.
type refusal struct {
	status int
	text   string
}

// ErrEnded is how Run ends when the coordinator has ended the worker's lease:
// its slots are with others. A worker with a fresh identity may join again.
var ErrEnded = errors.New("the fleet went on without this worker")

// Is makes a refusal of that kind ErrEnded.
func (r refusal) Is(target error) bool { return target == ErrEnded && r.status == http.StatusConflict }

func (r refusal) Error() string {
	return fmt.Sprintf("coordinator answers %d %s: %s", r.status, http.StatusText(r.status), r.text)
}

func (c *client) plan(ctx context.Context) (agents.Brief, error) {
	body, err := c.do(ctx, http.MethodGet, "/v1/plan", nil, agents.MaxBrief)
	if err != nil {
		return agents.Brief{}, fmt.Errorf("fetch plan: %w", err)
	}
	return agents.DecodeBrief(body)
}

func (c *client) put(ctx context.Context, e agents.Exchange) (agents.Lease, error) {
	body, err := e.Encode()
	if err != nil {
		return agents.Lease{}, err
	}
	path := fmt.Sprintf("/v1/workers/%s/snapshots/%d", c.id, e.Seq)
	answer, err := c.do(ctx, http.MethodPut, path, body, agents.MaxLease)
	if err != nil {
		return agents.Lease{}, fmt.Errorf("exchange %d: %w", e.Seq, err)
	}
	return agents.DecodeLease(answer)
}

func (c *client) do(ctx context.Context, method, path string, body []byte, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set(agents.VersionHeader, c.is)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, limit+1)) // the decoders refuse one too many
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return answer, nil
	}
	r := refusal{resp.StatusCode, strings.TrimSpace(string(answer[:min(len(answer), 500)]))}
	if r.status >= 500 {
		return nil, fmt.Errorf("%s", r.Error())
	}
	return nil, r
}
