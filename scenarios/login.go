package scenarios

import (
	"maps"
	"slices"

	"github.com/flashcrowd/flashcrowd/results"
)

// Login says how a shopper makes itself known before its first step, after it
// started over, and under each account that it uses. What it takes stands in
// the target's headers and in the requests of described operations. Its answer,
// pending and poll are nil.
type Login struct {
	Operation
	Expired []Rule     `json:"expired,omitempty"` // that an answer to a later step means that the login is over; empty: a 401
	Refresh *Operation `json:"refresh,omitempty"` // instead of logging in again; nil: there is no such thing
}

// renewals is how often in a row a login that is over is renewed for one step.
const renewals = 2

// over says whether an answer means that the login is over. What a rule says of
// a body is for the protocol to see, and only one that is described does.
func (l *Login) over(r Result) bool {
	if r.Expired || len(l.Expired) == 0 {
		return r.Expired || r.Status == 401
	}
	return slices.ContainsFunc(l.Expired, func(rule Rule) bool {
		return rule.Path == "" && slices.ContainsFunc(rule.Status, func(s Statuses) bool { return s.From <= r.Status && r.Status <= s.To })
	})
}

// member is a journey of somebody who has to be known to the backend. A login
// that fails is told to the journey as the answer to the step that it was for,
// so that the shopper tries again, or leaves, as its persona does. One that is
// rejected ends the journey.
type member struct {
	Journey
	shopper Shopper
	held    Step     // what the journey asked for last
	doing   StepKind // SignIn or Refresh, while its answer is to come
	known   bool     // under the account of held
	logins  int      // and renewals so far
	renewed int      // for held
	resent  int      // times that held's key was sent again because of that
	turned  bool     // away, by a login
}

// Next implements Journey.
func (m *member) Next(last Result) (Step, bool) {
	doing := m.doing
	m.doing = 0
	switch {
	case m.turned:
		return Step{}, false
	case doing != 0 && last.Outcome == results.OK:
		m.known = true
		return m.held, true
	case doing == SignIn && (last.Outcome == results.Rejected || last.Outcome == results.Refused):
		m.turned = true
		return Step{}, false
	case doing == Refresh && last.Outcome != results.Canceled:
		return m.ask(SignIn), true
	case doing == 0 && m.known && m.renewed < renewals && m.shopper.plan.Target.Login.over(last):
		m.renewed++
		m.resent++
		m.known = false
		m.held.Think, m.held.Fresh = 0, false
		m.held.Attempt++
		if m.shopper.plan.Target.Login.Refresh != nil {
			return m.ask(Refresh), true
		}
		return m.ask(SignIn), true
	}
	step, ok := m.Journey.Next(last)
	if !ok {
		return step, false
	}
	if step.Key != m.held.Key {
		m.resent = 0
	}
	step.Attempt += m.resent
	m.known = m.known && !step.Fresh && step.User == m.held.User
	m.held, m.renewed = step, 0
	if m.known {
		return step, true
	}
	return m.ask(SignIn), true
}

// ask returns the step that makes the shopper known. It takes the pause of the
// step that it is for, and what is fresh begins with it.
func (m *member) ask(kind StepKind) Step {
	s := Step{
		Kind: kind, Index: m.held.Index, Think: m.held.Think, Fresh: m.held.Fresh, User: m.held.User, Answer: m.held.Answer,
		Key: Key(m.shopper.plan.Campaign.Seed, Intent{ID: m.shopper.ID, Step: LoggedIn + m.logins%64}),
	}
	m.logins++
	m.held.Think, m.held.Fresh = 0, false
	m.doing = kind
	return s
}

// End implements Journey.
func (m *member) End() Ending {
	end := m.Journey.End()
	if m.turned {
		end.Outcome = results.Rejected
	}
	return end
}

var _ Journey = (*member)(nil)

// takes returns everything that a login takes, by name.
func (l *Login) takes() map[string]string {
	if l == nil {
		return nil
	}
	all := l.Take
	if l.Refresh != nil {
		all = Operation{Take: all, Poll: &Polling{Operation: *l.Refresh}}.takes()
	}
	return all
}

// names lists that as placeholders, sorted.
func (l *Login) names() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(l.takes())) {
		names = append(names, "taken."+name)
	}
	return names
}

// inHeaders lists the placeholders that the target's headers may hold.
func (l *Login) inHeaders() []string {
	return append([]string{"shopper.id", "shopper.user"}, l.names()...)
}

// operations lists what a login describes.
func (l *Login) operations() []Operation {
	switch {
	case l == nil:
		return nil
	case l.Refresh == nil:
		return []Operation{l.Operation}
	}
	return []Operation{l.Operation, *l.Refresh}
}

// resolved returns the login with each ${NAME} replaced.
func (l *Login) resolved(lookup func(name string) (string, bool)) (*Login, error) {
	if l == nil {
		return nil, nil
	}
	own := *l
	var err error
	if own.Operation, err = l.Operation.resolved(lookup); err != nil || l.Refresh == nil {
		return &own, err
	}
	refresh, err := l.Refresh.resolved(lookup)
	own.Refresh = &refresh
	return &own, err
}

func (r *reader) login(f field) *Login {
	if f.node == nil {
		return nil
	}
	known := []string{"request", "take", "rejected", "retry", "ok"}
	fields := r.mapping(f, append(known, "expired", "refresh")...)
	l := &Login{Operation: r.described(fields)}
	for _, item := range r.items(fields["expired"]) {
		l.Expired = append(l.Expired, r.condition(item))
	}
	if fields["refresh"].node != nil {
		o := r.described(r.mapping(fields["refresh"], known...))
		l.Refresh = &o
	}
	return l
}

func (k *checker) login(t *Target) {
	l := t.Login
	if l == nil {
		return
	}
	known := slices.Concat(placeholders(SignIn), l.names(), k.rows)
	for i, o := range l.operations() {
		at := []string{"target.login", "target.login.refresh"}[i]
		k.described(at, t, o, known)
		if o.Answer != nil || o.Poll != nil || o.Pending != nil { // not from a file
			k.key(at, "", "has an answer or a poll")
		}
		if len(o.OK) == 0 {
			k.fault(at+".ok", "- {path: access_token, exists: true}", "is missing: what no rule matches is never ok")
		}
	}
	k.rules("target.login.expired", l.Expired)
}
