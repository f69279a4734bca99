package scenarios

import (
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// Persona is how a shopper behaves when it waits or is refused. The presets
// hold times as people have them; in a Shopper the plan's pace is applied.
type Persona struct {
	Name string

	// Patience. The pace never shortens it below patienceFloor: networks and
	// backends are not faster because the day is.
	FirstToken time.Duration // until the first content of a turn
	Answer     time.Duration // until the whole answer of any step

	// Trying again, for each step. The pause before attempt n is Backoff·2ⁿ⁻¹,
	// at most MaxBackoff, less a drawn part of up to Jitter of it.
	Retries    int // after an answer that failed; see react
	Reasks     int // after a fluent no
	Backoff    time.Duration
	MaxBackoff time.Duration
	Jitter     float64

	// LongestWait is how long it waits when the backend names a time
	// (Retry-After); asked for more, it leaves. The pace does not apply to
	// either, because the backend's clock is not paced.
	LongestWait time.Duration
}

// patienceFloor is the shortest patience at any pace: what a real network and
// a loaded storefront need for an answer that would have come.
const patienceFloor = 2 * time.Second

// presets lists the personas. Where published, figures are from the day:
// people re-asked for hours, ten times and more; others left at the first
// spinner.
func presets() []Persona {
	return []Persona{
		{
			Name:       "patient",
			FirstToken: 30 * time.Second, Answer: 60 * time.Second,
			Retries: 10, Reasks: 2,
			Backoff: 2 * time.Second, MaxBackoff: 30 * time.Second, Jitter: 0.5,
			LongestWait: 60 * time.Second,
		},
		{
			Name:       "impatient",
			FirstToken: 8 * time.Second, Answer: 20 * time.Second,
		},
	}
}

// Personas lists the names a campaign can use.
func Personas() []string {
	var names []string
	for _, p := range presets() {
		names = append(names, p.Name)
	}
	return names
}

func personaNamed(name string) (Persona, bool) {
	for _, p := range presets() {
		if p.Name == name {
			return p, true
		}
	}
	return Persona{}, false
}

// paced returns the persona at a pace.
func (p Persona) paced(by float64) Persona {
	p.FirstToken = max(pace(p.FirstToken, by), patienceFloor)
	p.Answer = max(pace(p.Answer, by), patienceFloor)
	p.Backoff = pace(p.Backoff, by)
	p.MaxBackoff = pace(p.MaxBackoff, by)
	return p
}

// A reaction is what an outcome makes a shopper do.
type reaction uint8

const (
	leave reaction = iota // take the answer as final
	retry                 // the same request again, Retries times
	reask                 // say it again, Reasks times
)

// react is the table of what follows from each outcome.
func react(o results.Outcome) reaction {
	switch o {
	case results.RateLimited, results.Unavailable, results.ErrorInStream,
		results.Truncated, results.Stalled, results.TimedOut, results.ConnectionFailed,
		results.Malformed, results.Unclassified: // the last two: nobody could read it
		return retry
	case results.Refused:
		return reask
	default: // rejected is the business's last word, canceled is our own
		return leave
	}
}

// tries returns how often the persona repeats a step that ends like this.
func (p Persona) tries(o results.Outcome) int {
	switch react(o) {
	case retry:
		return p.Retries
	case reask:
		return p.Reasks
	default:
		return 0
	}
}

// pause returns how long the persona waits before the given attempt (1 for the
// first repetition) when the backend asked for after (0: it did not say) and u,
// in (0,1), was drawn for the jitter. It returns false when that is too long.
func (p Persona) pause(attempt int, after time.Duration, u float64) (time.Duration, bool) {
	if after > p.LongestWait {
		return 0, false
	}
	d := p.MaxBackoff
	if shift := attempt - 1; shift < 32 {
		d = min(p.Backoff<<shift, p.MaxBackoff)
	}
	d -= time.Duration(float64(d) * p.Jitter * u)
	return max(d, after), true
}
