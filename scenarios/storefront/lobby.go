package storefront

import (
	"sync"
	"time"
)

// mostStay is how long a ticket is kept at least after it was last shown.
const mostStay = 10 * time.Minute

// A lobby gives everybody who comes a ticket and lets them in by its number, at
// a rate. Who has been let in stays so while they keep coming.
type lobby struct {
	rate float64 // that are let in, a second

	mu      sync.Mutex
	last    int64   // ticket given
	called  float64 // tickets up to this one may enter
	at      time.Time
	tickets map[string]int64
	older   map[string]int64 // not shown since turned
	turned  time.Time
}

// enter returns how long somebody has yet to wait, and how many are before
// them; 0 and 0 for who may enter. While it is closed nobody new is called.
func (l *lobby) enter(who string, now time.Time, closed bool) (wait time.Duration, place int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.turned) > mostStay {
		l.older, l.tickets, l.turned = l.tickets, map[string]int64{}, now
	}
	ticket := l.tickets[who]
	if ticket == 0 {
		if ticket = l.older[who]; ticket == 0 {
			l.last++
			ticket = l.last
		}
		l.tickets[who] = ticket
	}
	// An hour in which nobody came does not let an hour's crowd in at once.
	if !closed {
		l.called = min(l.called+l.rate*min(now.Sub(l.at), time.Second).Seconds(), float64(l.last)+l.rate/4)
	}
	l.at = now
	if before := float64(ticket) - l.called; before > 0 {
		return time.Duration(before / l.rate * float64(time.Second)), int64(before) + 1
	}
	return 0, 0
}

// A crowd is some people.
type crowd struct {
	mu     sync.Mutex
	people map[string]struct{}
}

func (c *crowd) add(who string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.people == nil {
		c.people = map[string]struct{}{}
	}
	c.people[who] = struct{}{}
}

func (c *crowd) has(who string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.people[who]
	return ok
}
