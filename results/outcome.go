package results

import "fmt"

// An Outcome says how a step, or a whole shopper, ended. The list is closed
// and shared by every protocol; each of them hides failures in HTTP 200, so an
// outcome comes from the body of an answer and never from its status alone.
//
// A shopper's outcome is OK when it reached what it came for, else the outcome
// of the step that made it leave.
type Outcome uint8

const (
	// Unclassified is an answer that no rule could tell yes from no. It is the
	// zero value on purpose: what nobody classified is never counted as OK.
	Unclassified     Outcome = iota
	OK                       // the backend did what was asked
	Rejected                 // a business no: sold out, limit reached, payment declined
	Refused                  // fluent chat that declines
	RateLimited              // told to slow down: 429 or a limiter's own code
	Unavailable              // told that it can't now: 5xx, overloaded
	ErrorInStream            // a stream that began well and carried an error frame
	Truncated                // a stream or body that ended before its end was due
	Stalled                  // a stream that fell silent beyond the shopper's patience
	Malformed                // an answer that breaks its protocol
	TimedOut                 // no answer within the shopper's patience
	ConnectionFailed         // no connection, or one lost before any answer
	Canceled                 // given up by this side: stop, drain limit, lease end
	outcomes                 // how many there are
)

var outcomeNames = [outcomes]string{
	"unclassified", "ok", "rejected", "refused", "rate_limited", "unavailable",
	"error_in_stream", "truncated", "stalled", "malformed", "timed_out",
	"connection_failed", "canceled",
}

// Outcomes lists every outcome in the order reports show them.
func Outcomes() []Outcome {
	all := make([]Outcome, 0, outcomes)
	for o := OK; o < outcomes; o++ {
		all = append(all, o)
	}
	return append(all, Unclassified)
}

// String returns the outcome's name as tags, files and reports spell it.
func (o Outcome) String() string {
	if o < outcomes {
		return outcomeNames[o]
	}
	return fmt.Sprintf("outcome(%d)", uint8(o))
}

// ParseOutcome returns the outcome with that name.
func ParseOutcome(name string) (Outcome, error) {
	for o, n := range outcomeNames {
		if n == name {
			return Outcome(o), nil
		}
	}
	return Unclassified, fmt.Errorf("unknown outcome %q", name)
}

// MarshalText implements encoding.TextMarshaler.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *Outcome) UnmarshalText(text []byte) (err error) {
	*o, err = ParseOutcome(string(text))
	return err
}
