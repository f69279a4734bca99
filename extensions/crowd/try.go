package crowd

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// A Sight is one step of a shopper as somebody who watches it sees it.
type Sight struct {
	Step     scenarios.Step
	Result   scenarios.Result
	Took     time.Duration // service time
	Request  string        // bounded and redacted
	Response string
	Said     string // by the assistant, in a turn that went well
}

// Try walks one shopper through its journey at once, without a lease, and shows
// each step. Think times are passed over; the waits before a repeated attempt
// or a poll are not. It ends at a step that could not be sent. It is not for an engine
// that runs.
func (e *Engine) Try(ctx context.Context, drawn scenarios.Shopper, show func(Sight)) scenarios.Ending {
	s := &Shopper{Shopper: drawn, Header: e.Header(drawn, nil), journey: drawn.Walk()}
	defer e.gateway.close()
	defer e.trunks.close()
	defer e.part(s)
	stop := context.AfterFunc(ctx, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		s.cancel()
	})
	defer stop()
	var last scenarios.Result
	for {
		if !e.next(s, last) {
			e.farewell(s)
			return s.journey.End()
		}
		s.step.Last = false // what was said is still to be shown
		if s.step.Attempt > 0 || s.step.Kind == scenarios.Poll {
			select {
			case <-ctx.Done():
			case <-time.After(s.step.Think):
			}
		}
		if ctx.Err() != nil {
			return s.journey.End()
		}
		start := time.Now()
		last = e.attempt(ctx, s, start)
		last.Start = start
		sight := Sight{Step: s.step, Result: last, Took: last.End.Sub(start)}
		if s.conn != nil {
			s.conn.Hide(s.took(append(s.before, s.Secrets()...)))
			sight.Request, sight.Response = s.conn.Exchange()
			sight.Result.Why = s.conn.Redact(last.Why)
		}
		if s.step.Kind == scenarios.Turn && last.Outcome == results.OK {
			sight.Said = s.lastWords()
		}
		show(sight)
		if last.Unsent { // asking again would show the same
			end := s.journey.End()
			end.Outcome = last.Outcome
			return end
		}
	}
}

// lastWords returns what was said last in the conversation: text, or the parts
// of it.
func (s *Shopper) lastWords() string {
	var messages []struct{ Content json.RawMessage }
	if json.Unmarshal(slices.Concat([]byte("["), s.History, []byte("]")), &messages) != nil || len(messages) == 0 {
		return ""
	}
	last := messages[len(messages)-1].Content
	var text string
	var parts []struct{ Text string }
	if json.Unmarshal(last, &text) != nil && json.Unmarshal(last, &parts) == nil {
		for _, p := range parts {
			text += p.Text
		}
	}
	return text
}
