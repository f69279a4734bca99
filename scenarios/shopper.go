package scenarios

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// A Shopper is one of the crowd, drawn whole from the plan's seed and its
// identity.
type Shopper struct {
	ID      ID
	At      Mark // when it arrives
	Stage   string
	Persona Persona
	Journey string
	User    UUID
	Attempt int // times that its slot had another owner who may have launched it; see Intent

	plan *Plan
}

// Shopper returns the shopper with that identity. It is pure; an identity
// beyond the plan's crowd gives a shopper who never comes.
func (p *Plan) Shopper(id ID) Shopper {
	u := p.share(id)
	segment := p.curve.segment(u)
	crowd := &p.Campaign.Crowd
	return Shopper{
		ID:      id,
		At:      segment.at(u),
		Stage:   crowd.Stages[segment.stage].Name,
		Persona: p.personas[pick(crowd.Personas, p.draws.unit(id, 0, forPersona))],
		Journey: crowd.Journeys[pick(crowd.Journeys, p.draws.unit(id, 0, forJourney))].Name,
		User:    Key(p.Campaign.Seed, Intent{ID: id, Step: UserStep}),
		plan:    p,
	}
}

// As returns the shopper with another persona or journey than were drawn; an
// empty name keeps what it has. The plan need not have either. It is an error
// if there is no persona or journey of that name.
func (s Shopper) As(persona, journey string) (Shopper, error) {
	if persona != "" {
		preset, ok := personaNamed(persona)
		if !ok {
			return s, fmt.Errorf("there is no persona %q\nhint: %s", clip(persona, 60), didYouMean(persona, Personas()))
		}
		s.Persona = preset.paced(s.plan.Factors.Pace)
	}
	if journey != "" {
		if script(journey, 1) == nil {
			return s, fmt.Errorf("there is no journey %q\nhint: %s", clip(journey, 60), didYouMean(journey, Journeys()))
		}
		s.Journey = journey
	}
	return s, nil
}

// pick returns the index of the weight that u, in (0,1), falls on.
func pick(weights []Weight, u float64) int {
	var total float64
	for _, w := range weights {
		total += w.Share
	}
	left := u * total
	last := 0
	for i, w := range weights {
		if w.Share == 0 {
			continue
		}
		if last = i; left < w.Share {
			break
		}
		left -= w.Share
	}
	return last
}

// Key returns the idempotency key of a step. Attempt is 0 unless the shopper
// was launched again by another worker; see Intent.
func (s Shopper) Key(step, attempt int) UUID {
	return Key(s.plan.Campaign.Seed, Intent{ID: s.ID, Step: step, Attempt: attempt})
}

// Hash returns the shopper's part of the load fingerprint: 16 bytes of SHA-256
// over slot, number, instant, persona, journey and first message.
func (s Shopper) Hash() results.Sum128 {
	b := make([]byte, 0, 256)
	b = binary.BigEndian.AppendUint16(b, uint16(s.ID.Slot))
	b = binary.BigEndian.AppendUint32(b, s.ID.Number)
	b = binary.BigEndian.AppendUint64(b, uint64(s.At))
	for _, text := range [...]string{s.Persona.Name, s.Journey, s.say(0)} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
		b = append(b, text...)
	}
	sum := sha256.Sum256(b)
	return results.Sum128{Hi: binary.BigEndian.Uint64(sum[:8]), Lo: binary.BigEndian.Uint64(sum[8:16])}
}

// account returns one of the shopper's user ids; 0 is its own, 63 the last.
func (s Shopper) account(n int) UUID {
	if n == 0 {
		return s.User
	}
	return s.Key(UserStep-n, 0)
}

// UserID returns the id by which the backend knows the shopper: the one in its
// row of users, if that has one, or else the account in use.
func (s Shopper) UserID() string {
	if id := s.GivenID(); id != "" {
		return id
	}
	return s.User.String()
}

// GivenID returns the id in the shopper's row of users; empty without one.
func (s Shopper) GivenID() string {
	if d := s.data(); d != nil && d.userIDs {
		return s.row("users", "id")
	}
	return ""
}

// Address returns the address that a shopper seems to come from, where a
// campaign asks for a client-address header: one of 198.18.0.0/15, which RFC 2544
// sets aside for benchmarks. It is the same through all its accounts.
func (s Shopper) Address() netip.Addr {
	n := uint32(1 + s.plan.draws.below(1<<17-2, s.ID, 0, forAddress)) // neither the first nor the last
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 198<<24|18<<16|n)
	return netip.AddrFrom4(b)
}

// Drops says whether it leaves with the coupons that its journey claims instead
// of ordering.
func (s Shopper) Drops() bool {
	return s.plan.Target.Coupons.Protocol != "" && slices.Contains(script(s.Journey, 1), Claim) && s.plan.draws.unit(s.ID, 0, forDrop) < s.Persona.Drops
}

// reinstalls returns how long it takes to start over for the given life: the
// persona's time, less a drawn part of up to half of it.
func (s Shopper) reinstalls(life int) time.Duration {
	return s.Persona.Reinstall - time.Duration(float64(s.Persona.Reinstall)/2*s.plan.draws.unit(s.ID, life, forReinstall))
}

// thinks returns the think time before a step, paced.
func (s Shopper) thinks(step int) time.Duration {
	if s.plan.think.Median == 0 {
		return 0
	}
	return pace(s.plan.think.quantile(s.plan.draws.unit(s.ID, step, forThink)), s.plan.Factors.Pace)
}

// backsOff returns the pause before the given attempt of a step.
func (s Shopper) backsOff(step, attempt int, after time.Duration) (time.Duration, bool) {
	return s.Persona.pause(attempt, after, s.plan.draws.unit(s.ID, step<<16|attempt, forBackoff))
}

func pace(d time.Duration, by float64) time.Duration { return time.Duration(float64(d) * by) }
