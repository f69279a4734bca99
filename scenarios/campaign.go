package scenarios

import (
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/books"
	"github.com/flashcrowd/flashcrowd/results/verdict"
)

// A Campaign is what a user wrote: what is tried, against what, and what must
// hold. Load and Parse make one; it is not changed afterwards.
type Campaign struct {
	Name       string
	Seed       uint64
	Crowd      Crowd
	Data       map[string]Feed // by what they are files of: see Feeds
	Factors    results.Factors // the campaign's own suggestion, 1 where it has none; flags override each
	Target     Target
	Expect     Expect
	Limits     Limits
	Thresholds []verdict.Threshold
	Validity   verdict.Validity
	Audit      *books.Mapping // where the backend's own books are; nil: the built-in storefront's, or none

	// Dir is the folder of the file that the campaign was loaded from; empty if
	// there is none.
	Dir string

	rules []rule // what Thresholds were parsed from, one by one
}

// Reseeded returns the campaign with another seed: the same rules, another
// crowd.
func (c *Campaign) Reseeded(seed uint64) *Campaign {
	other := *c
	other.Seed = seed
	return &other
}

// Crowd is who comes and when.
type Crowd struct {
	Shoppers uint64   `json:"shoppers,omitempty"` // 0 when the rates are absolute and say it
	Process  string   `json:"process"`            // Poisson, Uniform or Gamma
	Bursts   Bursts   `json:"bursts,omitzero"`    // of Gamma
	AtOnce   uint64   `json:"at_once,omitempty"`  // closed model: so many at the same time at most, over all workers; 0: open, come who may
	Stages   []Stage  `json:"stages"`
	Personas []Weight `json:"personas"` // by persona name, in the campaign's order
	Journeys []Weight `json:"journeys"` // by journey name
	Think    Think    `json:"think"`
	Turns    Spread   `json:"turns"` // of a conversation; zero with a file of them
	Words    Words    `json:"words,omitzero"`
	Driven   Driven   `json:"driven,omitzero"`
}

// The arrival processes.
const (
	Poisson = "poisson" // as if nobody knew of each other
	Uniform = "uniform" // evenly spaced along the curve
	Gamma   = "gamma"   // as poisson, at a rate that jumps about
)

// Stage is a named stretch of the day with its rate. Rates are relative
// weights, or arrivals per second when Absolute; From and To differ in a ramp.
type Stage struct {
	Name     string        `json:"name"`
	For      time.Duration `json:"for_ns"`
	From     float64       `json:"from"`
	To       float64       `json:"to"`
	Absolute bool          `json:"absolute,omitempty"`
}

// Weight is a name and its share of the crowd; shares need not add up to 100.
type Weight struct {
	Name  string  `json:"name"`
	Share float64 `json:"share"`
}

// Spread is a lognormal distribution of whole numbers, at least 1. Without a
// spread both are the same, and so are all numbers.
type Spread struct {
	Median uint64 `json:"median"`
	P90    uint64 `json:"p90"`
}

// Think is the lognormal think time between an answer and the next step. Both
// are 0 when the shoppers do not think.
type Think struct {
	Median time.Duration `json:"median_ns"`
	P90    time.Duration `json:"p90_ns"`
}

// Target is the backend and how to speak to it. Values may hold ${NAME},
// resolved on the worker and never before.
type Target struct {
	URL     string            `json:"url,omitempty"` // empty: the built-in storefront
	Headers map[string]string `json:"headers,omitempty"`
	Connection
	Login    *Login   `json:"login,omitempty"` // nil: shoppers need not be known
	Chat     Endpoint `json:"chat"`
	Coupons  Endpoint `json:"coupons"` // no protocol: nobody claims a coupon
	Checkout Endpoint `json:"checkout"`
}

// Endpoint is one protocol of a target.
type Endpoint struct {
	Protocol string `json:"protocol,omitempty"` // openai, openai-responses, wxpay-favor, ucp, acp, MCP or HTTP
	Version  string `json:"version,omitempty"`
	Path     string `json:"path,omitempty"`     // prefix before the protocol's own paths
	Model    string `json:"model,omitempty"`    // chat
	StockID  string `json:"stock_id,omitempty"` // coupons
	Currency string `json:"currency,omitempty"` // checkout: ISO 4217 in capitals; empty: CNY

	Operations map[string]Operation `json:"operations,omitempty"` // of protocol HTTP, by the step's name
	Refusals   map[string][]Phrase  `json:"refusals,omitempty"`   // chat: by language, in place of the built-in rules
}

// delegates says whether a checkout has a card made a token before it pays.
func (e Endpoint) delegates() bool { return e.Protocol == "acp" }

// takesCodes says whether a checkout has a place for a discount code.
func (e Endpoint) takesCodes() bool { return e.Protocol != "acp" || e.Version != "2025-09-29" }

// A rule is a threshold as the campaign writes it.
type rule struct {
	Selector   string        `json:"selector"`
	Expression string        `json:"expression"`
	Abort      bool          `json:"abort,omitempty"`
	Delay      time.Duration `json:"delay_ns,omitempty"`

	path string // in the file it came from, if it did
}

// MCP is the protocol of an endpoint whose operations are tools of a Model
// Context Protocol server.
const MCP = "mcp"

// Protocols lists the protocol names an endpoint of a target (chat, coupons,
// checkout) can have.
func Protocols(endpoint string) []string {
	switch endpoint {
	case "chat":
		return []string{"openai", "openai-responses", HTTP}
	case "coupons":
		return []string{"wxpay-favor", MCP, HTTP}
	case "checkout":
		return []string{"ucp", "acp", MCP, HTTP}
	}
	return nil
}

// Versions lists the versions of a protocol, the default first; none for a
// protocol without versions.
func Versions(protocol string) []string {
	switch protocol {
	case "ucp":
		return []string{"2026-04-08", "2026-01-11"}
	case "acp":
		return []string{"2026-04-17", "2025-09-29"}
	case MCP:
		return []string{"2026-07-28", "2025-11-25"}
	}
	return nil
}
