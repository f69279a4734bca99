package scenarios

import (
	"fmt"
	"maps"
	"strings"
)

// Resolve returns the target with each ${NAME} replaced by what lookup knows of
// it. Only braces make a name: "$5" is five dollars. A name without a value is
// an error, because an empty token would measure the backend's refusals. It is
// for the worker that fires: nobody else needs to know.
func (t Target) Resolve(lookup func(name string) (string, bool)) (Target, error) {
	t.Headers = maps.Clone(t.Headers)
	for name, value := range t.Headers {
		var err error
		if t.Headers[name], err = resolve(value, lookup); err != nil {
			return Target{}, fmt.Errorf("resolve the header %s: %w", name, err)
		}
	}
	var err error
	if t.Login, err = t.Login.resolved(lookup); err != nil {
		return Target{}, fmt.Errorf("resolve the login: %w", err)
	}
	if t.URL, err = resolve(t.URL, lookup); err != nil {
		return Target{}, fmt.Errorf("resolve the target: %w", err)
	}
	if t.TLS, err = t.TLS.resolved(lookup); err != nil {
		return Target{}, err
	}
	for _, e := range []*Endpoint{&t.Chat, &t.Coupons, &t.Checkout} {
		if *e, err = e.resolved(lookup); err != nil {
			return Target{}, err
		}
	}
	return t, nil
}

// resolve replaces each ${NAME} in a text.
func resolve(text string, lookup func(name string) (string, bool)) (string, error) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || !isVariable(name) {
			return "", fmt.Errorf("a ${ that is no ${NAME}")
		}
		value, ok := lookup(name)
		if !ok {
			return "", fmt.Errorf("${%s} is not set\nhint: export %s=…", name, name)
		}
		if strings.ContainsAny(value, "\r\n") {
			return "", fmt.Errorf("${%s} holds a line break", name)
		}
		out.WriteString(value)
		text = after
	}
}
