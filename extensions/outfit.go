package extensions

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/chat"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/checkout"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/coupons"
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
	url, err := resolve(p.Target.URL, t.Env)
	if err != nil {
		return crowd.Config{}, fmt.Errorf("resolve the target's url: %w", err)
	}
	var secrets []string
	for _, v := range t.Env {
		secrets = append(secrets, v)
	}
	target, err := wire.NewTarget(wire.Config{URL: url, Allow: allowed, Secrets: secrets, Capture: t.Capture})
	if err != nil {
		return crowd.Config{}, err
	}
	common, err := header(p.Target.Headers, t.Env, t.Run)
	if err != nil {
		return crowd.Config{}, err
	}
	return crowd.Config{
		Plan:      p,
		Dialer:    target,
		Protocols: protocols(p.Target),
		Header: func(s scenarios.Shopper) []byte {
			return append(slices.Clip(common), "X-User-Id: "+s.User.String()+"\r\n"...)
		},
	}, nil
}

// protocols makes what the campaign names. The names are checked when a
// campaign is read, so each endpoint has one protocol here so far.
func protocols(t scenarios.Target) crowd.Protocols {
	return crowd.Protocols{
		Chat:     chat.New(t.Chat),
		Coupons:  coupons.New(t.Coupons),
		Checkout: checkout.New(t.Checkout),
	}
}

// header renders the lines that every request carries: who sends it, the stress
// tag that lets a backend tell this load from its customers, and the
// campaign's own.
func header(own, env map[string]string, run string) ([]byte, error) {
	lines := []byte("User-Agent: flashcrowd\r\nX-Flashcrowd-Run: " + run + "\r\n")
	names := make([]string, 0, len(own))
	for name := range own {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value, err := resolve(own[name], env)
		if err != nil {
			return nil, fmt.Errorf("resolve the header %s: %w", name, err)
		}
		if strings.ContainsAny(name+value, "\r\n") {
			return nil, fmt.Errorf("resolve the header %s: a line break in it", name)
		}
		lines = append(lines, name+": "+value+"\r\n"...)
	}
	return lines, nil
}

// resolve replaces ${NAME}. A name without a value is an error: an empty token
// would measure the backend's refusals.
func resolve(text string, env map[string]string) (string, error) {
	var missing []string
	out := os.Expand(text, func(name string) string {
		v, ok := env[name]
		if !ok {
			missing = append(missing, name)
		}
		return v
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("${%s} is not set on this worker", missing[0])
	}
	return out, nil
}
