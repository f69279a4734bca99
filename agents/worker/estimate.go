package worker

import (
	"time"

	"github.com/flashcrowd/flashcrowd/scenarios"
)

// estimate is where plan time 0 lies on this machine's boot clock. Each answer
// gives a sample, which is off by half of the way there and back at most; of the
// last few, the one that may be off least is believed. As with NTP, plan time is
// not set to it but slews: shoppers come a little sooner or later for a while, and
// nobody is due in a moment that was passed over. Only what would take too long
// is a step: a worker that is far ahead may launch what others are given.
type estimate struct {
	known  bool
	zero   time.Duration
	moved  time.Duration // when zero was, on the boot clock
	recent []sample      // the newest last
	offset time.Duration // of plan time, as the last answer found it: own less the coordinator's, at least
	wall   time.Duration // of the wall clock, likewise
}

// sample is what one answer tells.
type sample struct {
	at, zero time.Duration // boot clock
	way      time.Duration // there and back
}

const (
	samples = 8   // that are believed
	drift   = 200 // a sample's age divided by this is added to what it may be off
	slew    = 20  // zero moves by the time since it last did, divided by this: more than clocks that keep leases can drift

	tooFar = 128 * time.Millisecond // to slew: NTP's own limit
)

// observe takes an exchange that was sent and received at those moments, held
// by the coordinator for so long, and answered at plan time now. The way back is
// taken as half of the way there and back.
func (c *estimate) observe(sent, received, held time.Duration, now scenarios.Mark) {
	s := sample{at: received, way: max(received-sent-held, 0)}
	s.zero = received - s.way/2 - now
	if c.known {
		c.offset = beyond(s.zero-c.zero, s.way/2)
	}
	if c.recent = append(c.recent, s); len(c.recent) > samples {
		c.recent = c.recent[1:]
	}
	best := c.recent[0]
	for _, s := range c.recent {
		if s.doubt(received) <= best.doubt(received) {
			best = s
		}
	}
	to := best.zero
	if c.known && now > 0 && (to-c.zero).Abs() < tooFar { // before the start nobody is due
		most := (received - c.moved) / slew
		to = min(max(to, c.zero-most), c.zero+most)
	}
	c.known, c.zero, c.moved = true, to, received
}

// doubt is how far off a sample may be.
func (s sample) doubt(now time.Duration) time.Duration { return s.way/2 + (now-s.at)/drift }

// compare takes the wall clock of an answer beside our own at its receipt.
func (c *estimate) compare(sent, received, held, ours, theirs time.Duration) {
	way := max(received-sent-held, 0)
	c.wall = beyond(ours-way/2-theirs, way/2)
}

// beyond is what of a difference can't be put down to doubt.
func beyond(d, doubt time.Duration) time.Duration {
	if d < 0 {
		return min(d+doubt, 0)
	}
	return max(d-doubt, 0)
}
