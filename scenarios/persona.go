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
	// (Retry-After), and Heed what it makes of that. The pace does not apply to
	// either, because the backend's clock is not paced.
	LongestWait time.Duration
	Heed        Heed

	// Habits; the zero value of each is not to have it.
	Rewords    bool          // a repeated line is said in other words, as a new request
	Tap        time.Duration // it sends claim and complete a second time so soon after the first answer
	Reinstalls int           // times it starts over, all keys new, when a step has failed for good; at most 3
	Reinstall  time.Duration // what that takes at most
	SDK        bool          // repeats only what the official OpenAI client does
	ReadsBack  bool          // reads a checkout whose completion was not answered before it repeats it
	Claims     int           // coupons it claims, one after another, until it is told no; 0 means 1, at most 21
	Accounts   bool          // each claim is under another user's id, and a no does not end them
	Drops      float64       // chance of leaving with the coupons instead of ordering
}

// Heed is what a persona makes of a Retry-After.
type Heed uint8

const (
	AtLeast Heed = iota // waits no less, and leaves when asked to wait longer than LongestWait
	Exactly             // waits that long; when asked for more than LongestWait, as if not asked
	Unseen              // an app does not show it to people
)

// String returns the word that the documentation has for it.
func (h Heed) String() string {
	switch h {
	case AtLeast:
		return "at least"
	case Exactly:
		return "exactly"
	}
	return "not seen"
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
		{
			Name:       "naive", // "try again", every 5 to 10 s
			FirstToken: 20 * time.Second, Answer: 45 * time.Second,
			Retries: 10, Reasks: 10,
			Backoff: 10 * time.Second, MaxBackoff: 10 * time.Second, Jitter: 0.5,
			Heed: Unseen, Rewords: true,
		},
		{
			Name:       "double-tapper",
			FirstToken: 15 * time.Second, Answer: 40 * time.Second,
			Retries: 3, Reasks: 1,
			Backoff: 2 * time.Second, MaxBackoff: 15 * time.Second, Jitter: 0.5,
			Heed: Unseen, Tap: 300 * time.Millisecond,
		},
		{
			Name:       "reinstaller", // one reinstalled three times, from ten to four
			FirstToken: 15 * time.Second, Answer: 45 * time.Second,
			Retries: 1, Reasks: 1,
			Backoff: 3 * time.Second, MaxBackoff: 15 * time.Second, Jitter: 0.5,
			Heed: Unseen, Reinstalls: 3, Reinstall: 2 * time.Minute,
		},
		{
			Name:       "sdk-agent", // what openai-go v3 repeats; openai-python's timeout, and its limit on the wait it is asked for
			FirstToken: 10 * time.Minute, Answer: 10 * time.Minute,
			Retries: 2,
			Backoff: 500 * time.Millisecond, MaxBackoff: 8 * time.Second, Jitter: 0.25,
			LongestWait: time.Minute, Heed: Exactly, SDK: true,
		},
		{
			Name:       "spec-agent", // UCP's rule for a lost answer
			FirstToken: 30 * time.Second, Answer: 60 * time.Second,
			Retries: 5, Reasks: 1,
			Backoff: time.Second, MaxBackoff: 30 * time.Second, Jitter: 0.5,
			LongestWait: 60 * time.Second, ReadsBack: true,
		},
		{
			Name:       "bargain-hunter", // 21 cards were the most that one person could have
			FirstToken: 20 * time.Second, Answer: 45 * time.Second,
			Retries: 3, Reasks: 1,
			Backoff: 2 * time.Second, MaxBackoff: 15 * time.Second, Jitter: 0.5,
			Heed: Unseen, Claims: 21, Drops: 0.8,
		},
		{
			Name:       "abuser",
			FirstToken: 20 * time.Second, Answer: 45 * time.Second,
			Retries: 3, Reasks: 1,
			Backoff: time.Second, MaxBackoff: 8 * time.Second, Jitter: 0.5,
			Heed: Unseen, Claims: 5, Accounts: true,
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
	p.Tap = pace(p.Tap, by)
	p.Reinstall = pace(p.Reinstall, by)
	return p
}

// A reaction is what an outcome makes a shopper do.
type reaction uint8

const (
	leave reaction = iota // take the answer as final
	retry                 // the same request again, Retries times
	reask                 // say it again, Reasks times
)

// react is the table of what follows from each outcome for people.
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

// react is the table for this persona. The official OpenAI client repeats what
// got no answer, and 408, 409, 429 and 5xx unless x-should-retry says
// otherwise; what comes after the head of a good answer is the caller's.
func (p Persona) react(r Result) reaction {
	if !p.SDK {
		return react(r.Outcome)
	}
	again := r.Outcome == results.TimedOut || r.Outcome == results.ConnectionFailed
	if r.Status > 0 {
		again = r.Status == 408 || r.Status == 409 || r.Status == 429 || r.Status >= 500
	}
	if r.Advice == TryAgain || r.Advice == NoAdvice && again {
		return retry
	}
	return leave
}

// tries returns how often the persona repeats a step that ends like this.
func (p Persona) tries(r Result) int {
	switch p.react(r) {
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
	switch {
	case p.Heed == Unseen, p.Heed == Exactly && after > p.LongestWait:
		after = 0
	case p.Heed == Exactly && after > 0:
		return after, true
	case after > p.LongestWait:
		return 0, false
	}
	d := p.MaxBackoff
	if shift := attempt - 1; shift < 32 {
		d = min(p.Backoff<<shift, p.MaxBackoff)
	}
	d -= time.Duration(float64(d) * p.Jitter * u)
	return max(d, after), true
}
