package coordinator

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/agents/membership"
	"github.com/flashcrowd/flashcrowd/results"
)

// The workers' API. TLS has proved who asks, and that it is a member, before a
// request is read:
//
//	GET /v1/plan                                agents.Brief
//	PUT /v1/workers/{worker}/snapshots/{seq}    agents.Exchange → agents.Lease
//	GET /v1/status                              agents.Status, for operators
//	POST /v1/stop                               agents.StopRequest, of operators
//
// 409 says that the worker's lease has ended and 422 that a sequence is known
// with other bytes, or claims spans that nobody gave; 426 that the worker is of
// another version; 400 and 403 that the request is not one of ours. After 503
// a worker tries again.
func (c *Coordinator) server() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/plan", c.servePlan)
	mux.HandleFunc("PUT /v1/workers/{worker}/snapshots/{seq}", c.serveExchange)
	mux.HandleFunc("GET /v1/status", c.serveStatus)
	mux.HandleFunc("POST /v1/stop", c.serveStop)
	var plain http.Protocols
	plain.SetHTTP1(true)
	return &http.Server{
		Handler:           mux,
		Protocols:         &plain,
		TLSConfig:         c.identity.ServerTLS(c.known),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug),
	}
}

func (c *Coordinator) servePlan(w http.ResponseWriter, r *http.Request) {
	from, err := peer(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	if from.Version != c.Version {
		if c.tally.Once(barredVersion, from.ID) {
			name := from.ID
			if m, ok := c.member(from.ID); ok {
				name = m.Name
			}
			c.Log.Error("a worker was refused: install the same flashcrowd on all machines", "worker", name, "its version", from.Version, "ours", c.Version)
		}
		http.Error(w, fmt.Sprintf("this worker is flashcrowd %s, the coordinator is flashcrowd %s: install the same on all machines", from.Version, c.Version),
			http.StatusUpgradeRequired)
		return
	}
	respond(w, c.brief)
}

func (c *Coordinator) serveExchange(w http.ResponseWriter, r *http.Request) {
	lease, err := c.receive(w, r)
	if err != nil {
		c.turnDown(err)
		http.Error(w, err.Error(), status(err))
		return
	}
	body, err := lease.Encode()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	respond(w, body)
}

func (c *Coordinator) receive(w http.ResponseWriter, r *http.Request) (agents.Lease, error) {
	from, err := peer(r)
	if err != nil {
		return agents.Lease{}, err
	}
	if r.PathValue("worker") != from.ID {
		return agents.Lease{}, errForeign
	}
	seq, err := strconv.ParseUint(r.PathValue("seq"), 10, 64)
	if err != nil {
		return agents.Lease{}, fmt.Errorf("%w: sequence %q", errRequest, r.PathValue("seq"))
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, agents.MaxExchange))
	if err != nil {
		return agents.Lease{}, fmt.Errorf("read exchange: %w", err)
	}
	e, err := agents.DecodeExchange(body)
	if err != nil {
		return agents.Lease{}, fmt.Errorf("%w: %w", errRequest, err)
	}
	if e.Seq != seq {
		return agents.Lease{}, fmt.Errorf("%w: sequence %d in the address, %d in the exchange", errRequest, seq, e.Seq)
	}
	return c.Exchange(r.Context(), from, e)
}

var errRequest = errors.New("bad request")

func status(err error) int {
	var large *http.MaxBytesError
	switch {
	case errors.Is(err, errForeign), errors.Is(err, errClock):
		return http.StatusForbidden
	case errors.Is(err, errEnded):
		return http.StatusConflict
	case errors.Is(err, errConflict), errors.Is(err, errForged), errors.Is(err, results.ErrChanged):
		return http.StatusUnprocessableEntity
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, errRequest), errors.Is(err, errBroken):
		return http.StatusBadRequest
	}
	return http.StatusServiceUnavailable
}

func peer(r *http.Request) (Peer, error) {
	if r.TLS == nil {
		return Peer{}, errForeign
	}
	id, err := membership.PeerID(*r.TLS)
	if err != nil {
		return Peer{}, fmt.Errorf("%w: %w", errForeign, err)
	}
	version := r.Header.Get(agents.VersionHeader)
	return Peer{ID: id, Version: version[:min(len(version), maxVersion)]}, nil
}

// maxVersion is as much as is kept of what a worker says of its version.
const maxVersion = 100

// member returns what gossip knows of a node.
func (c *Coordinator) member(id string) (membership.Member, bool) {
	c.mu.Lock()
	fleet := c.fleet
	c.mu.Unlock()
	if fleet == nil {
		return membership.Member{}, false
	}
	return fleet.Member(id)
}

func respond(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/cbor")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // a worker that has gone asks again
}
