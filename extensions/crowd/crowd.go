// Package crowd is the engine: it launches shoppers when they are due, walks
// them through their journeys, and emits a fact for everything that happens.
// It knows no k6, so virtual time tests it.
//
// A shopper that thinks costs no goroutine: one dispatcher holds the arrivals
// and one heap of thinkers, and sleeps until the next of them is due. A due
// shopper's step is ordinary blocking code, in a goroutine that goes on inline
// while there is no think time.
//
// Nothing is sent without a lease. The dispatcher checks it before a launch and
// every shopper before each request; when it runs out, what is in flight is
// canceled and what thinks is held until the lease is renewed.
package crowd

import (
	"net/http"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// A Protocol carries out the steps of one kind of endpoint. It blocks until
// the answer is complete or the patience of the step is at its end, and it
// always returns: whatever the backend does becomes an outcome. It sends one
// request, and nothing of the shopper changes before an answer comes: what the
// backend did not process is done again.
//
// A protocol is shared by all shoppers and keeps nothing of one: what a
// conversation needs between steps stands in the Shopper.
type Protocol interface {
	Do(c *wire.Conn, s *Shopper, step scenarios.Step) scenarios.Result
}

// A Leaver is a Protocol that has something to say to the backend when a
// shopper leaves of its own accord, such as that its session may be forgotten.
// It waits for the answer until the deadline at most, and nobody asks what
// became of it.
type Leaver interface {
	Leave(c *wire.Conn, s *Shopper, deadline time.Time)
}

// A Session is one that a protocol opened for a shopper.
type Session struct {
	Head  string // head lines that each request carries; never empty
	Ready bool   // requests may be sent in it
}

// Protocols says which protocol serves which kind of step.
type Protocols struct {
	Chat, Coupons, Checkout Protocol
	Login                   Protocol // nil where nobody logs in
	Socket                  bool     // turns are over a connection of their own
}

// For returns the protocol that carries out steps of a kind.
func (p *Protocols) For(kind scenarios.StepKind) Protocol {
	switch kind {
	case scenarios.Turn:
		return p.Chat
	case scenarios.Claim:
		return p.Coupons
	case scenarios.SignIn, scenarios.Refresh:
		return p.Login
	default:
		return p.Checkout
	}
}

// A Shopper is a live shopper: who it is and what it carries from step to
// step. Protocols read and extend History, Taken, Cookies and Sessions; the rest is the
// engine's.
type Shopper struct {
	scenarios.Shopper                    // User is the account in use
	Header            []byte             // request head lines shared by its steps: see wire.Request
	History           []byte             // the conversation so far: JSON messages, comma-separated, as they go into the next request
	Taken             map[string]string  // what a described backend gave it, by name, bounded by the protocol
	Cookies           []*http.Cookie     // of a described backend, bounded by the protocol; nil until one came
	Sessions          map[string]Session // by the path of the endpoint; nil for protocols without

	journey  scenarios.Journey
	step     scenarios.Step // the one that is running or comes next
	due      time.Duration  // its intended time, on the engine's clock
	conn     *wire.Conn
	other    *wire.Conn // the one that is not current: see pickUp
	trunk    *trunk     // what conn is a branch of; nil if it is none
	shunned  *trunk     // it did not take the request that is to be sent again
	talks    bool
	device   wire.Device // what it connects with
	opened   int         // connections, for the step that is running
	before   []string    // secrets that it had taken before this step, for evidence to hide
	answered bool        // its first turn was answered
	told     told
	place    int  // among the runners, from 1; 0: it is none
	streams  bool // a chat turn of it is under way
	late     bool // the fleet made it so
	held     bool // and no fact has said so yet
}
