package extensions

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/chat"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/checkout"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/coupons"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/custom"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// Terms are what a plan does not say and its worker does.
type Terms struct {
	Run     string            // the run's id, for the stress tag header
	Env     map[string]string // values of the campaign's ${NAME}s
	Allow   []string          // where it may fire; loopback only when empty
	Capture int               // bytes of each body kept for evidence; 0 for a little
}

// Outfit equips an engine for a plan: the target with its secrets resolved, the
// protocols that the campaign names, and the header that every request of a
// shopper carries. Emit is left to the caller.
func Outfit(p *scenarios.Plan, t Terms) (crowd.Config, error) {
	allowed, err := wire.ParseAllowed(t.Allow)
	if err != nil {
		return crowd.Config{}, err
	}
	backend, err := p.Target.Resolve(func(name string) (string, bool) { v, ok := t.Env[name]; return v, ok })
	if err != nil {
		return crowd.Config{}, err
	}
	var secrets []string
	for _, v := range t.Env {
		secrets = append(secrets, v)
	}
	certified, err := secured(backend.TLS)
	if err != nil {
		return crowd.Config{}, err
	}
	sources, err := wire.ParseSources(backend.Source)
	if err != nil {
		return crowd.Config{}, err
	}
	pooled := backend.Connections == scenarios.Pooled
	shared := pooled && backend.HTTP == scenarios.HTTP2
	target, err := wire.NewTarget(wire.Config{
		URL: backend.URL, Allow: allowed, HTTP2: backend.HTTP == scenarios.HTTP2, Shared: shared, TLS: certified, Cold: backend.TLS.Cold, Source: sources,
		Secrets: secrets, Capture: t.Capture,
	})
	if err != nil {
		return crowd.Config{}, err
	}
	spoken, err := protocols(backend)
	if err != nil {
		return crowd.Config{}, err
	}
	head, err := newHeader(backend, t.Run)
	if err != nil {
		return crowd.Config{}, err
	}
	return crowd.Config{Plan: p, Dialer: target, Protocols: spoken, Header: head.render, Pooled: pooled, Shared: shared}, nil
}

// protocols makes what the campaign names. The names are checked when a
// campaign is read. Checkout has several, and chooses by name and version; what
// is described, custom speaks.
func protocols(t scenarios.Target) (crowd.Protocols, error) {
	p := crowd.Protocols{
		Chat:     chat.New(t.Chat, t.Tools()...),
		Coupons:  coupons.New(t.Coupons),
		Checkout: checkout.New(t.Checkout),
	}
	for _, e := range []struct {
		scenarios.Endpoint
		to *crowd.Protocol
	}{{t.Chat, &p.Chat}, {t.Coupons, &p.Coupons}, {t.Checkout, &p.Checkout}} {
		if e.Protocol != scenarios.HTTP {
			continue
		}
		described, err := custom.New(&t, e.Endpoint, chat.NewRefusals(t.Chat.Refusals).Outcome)
		if err != nil {
			return crowd.Protocols{}, err
		}
		*e.to = described
	}
	if turn := t.Chat.Operations[scenarios.Turn.String()]; turn.Answer != nil {
		p.Socket = turn.Answer.Events == scenarios.WebSocket
	}
	var err error
	p.Login, err = custom.NewLogin(t.Login)
	return p, err
}

// A header is the lines that every request carries: the stress tag that lets a
// backend tell this load from its customers, who sends it, and the campaign's
// own.
type header struct {
	common []byte // lines that are the same for everybody
	own    []line // the others
	client string // name of the one that says where a shopper comes from; may be empty
}

// A line is a header whose value is a template.
type line struct {
	name  string
	value []scenarios.Piece
}

func newHeader(t scenarios.Target, run string) (header, error) {
	own, h := t.Headers, header{common: []byte(t.Stress() + ": " + run + "\r\n"), client: t.ClientAddress}
	h.common = append(h.common, "Accept-Encoding: identity\r\n"...) // an answer is measured as it comes
	if _, ok := own["User-Agent"]; !ok {
		h.common = append(h.common, "User-Agent: flashcrowd\r\n"...)
	}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		pieces, err := scenarios.Pieces(own[name])
		switch {
		case err != nil:
			return header{}, fmt.Errorf("read the header %s: it %w", name, err)
		case !slices.ContainsFunc(pieces, func(p scenarios.Piece) bool { return p.Name != "" }):
			h.common = append(h.common, name+": "+own[name]+"\r\n"...)
		default:
			h.own = append(h.own, line{name, pieces})
		}
	}
	return h, nil
}

// render returns the lines of a shopper who took these values when it logged in.
// One whose value it does not have yet is left out.
func (h header) render(s scenarios.Shopper, taken map[string]string) []byte {
	b := append(slices.Clip(h.common), "X-User-Id: "+s.UserID()+"\r\n"...)
	b = append(b, clientAddress(h.client, s)...)
	for _, l := range h.own {
		start := len(b)
		b = append(b, l.name+": "...)
		for _, p := range l.value {
			b = append(b, p.Text...)
			if p.Name == "" {
				continue
			}
			text := s.Value(p.Name) // one line: checked when the file was read
			if name, ok := strings.CutPrefix(p.Name, "taken."); ok {
				if text = taken[name]; text == "" || !custom.OneLine(text) {
					b = b[:start]
					break
				}
			}
			b = append(b, text...)
		}
		if len(b) > start {
			b = append(b, "\r\n"...)
		}
	}
	return b
}

// clientAddress renders the line that says where a shopper comes from, as a
// balancer in front of the backend would; nothing if the campaign names no
// header for it.
func clientAddress(name string, s scenarios.Shopper) string {
	switch {
	case name == "":
		return ""
	case strings.EqualFold(name, "Forwarded"): // RFC 7239
		return name + ": for=" + s.Address().String() + "\r\n"
	}
	return name + ": " + s.Address().String() + "\r\n"
}
