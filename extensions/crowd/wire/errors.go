package wire

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/flashcrowd/flashcrowd/results"
)

// A Kind is what went wrong on the wire.
type Kind uint8

const (
	Refused     Kind = iota + 1 // no connection
	NotAllowed                  // the address is not on the allow-list: nothing was sent to it
	Lost                        // the connection ended before any byte of an answer
	TimedOut                    // nothing that counts came within the first patience
	Stalled                     // the answer had begun, and was not complete within the whole patience
	Truncated                   // the answer ended before its end was due
	Malformed                   // it breaks HTTP or one of our limits
	Canceled                    // Cancel was called
	Exhausted                   // this machine has no port or descriptor left: its own fault, not the target's
	Unprocessed                 // over HTTP/2 the other side did not take the request up: see Conn.Unprocessed
)

var kindNames = [...]string{"", "connect", "address not allowed", "connection lost", "timed out", "stalled", "truncated", "malformed", "canceled", "this machine is out of", "not processed"}

// String names the kind as errors do.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// An Error is a failure of the wire, of one kind.
type Error struct {
	Kind Kind
	Err  error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Kind.String()
	}
	return e.Kind.String() + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Outcome says what an error of this package means for a step.
func Outcome(err error) results.Outcome {
	var e *Error
	if !errors.As(err, &e) {
		switch {
		case errors.Is(err, context.Canceled):
			return results.Canceled
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
			return results.TimedOut
		}
		return results.Unclassified
	}
	switch e.Kind {
	case Refused, NotAllowed, Lost, Exhausted, Unprocessed:
		return results.ConnectionFailed
	case TimedOut:
		return results.TimedOut
	case Stalled:
		return results.Stalled
	case Truncated:
		return results.Truncated
	case Malformed:
		return results.Malformed
	case Canceled:
		return results.Canceled
	}
	return results.Unclassified
}

func malformed(format string, args ...any) error {
	return &Error{Malformed, fmt.Errorf(format, args...)}
}
