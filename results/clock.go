package results

import (
	"fmt"
	"time"
)

// An Upset is something that a machine's clocks did and clocks should not.
type Upset struct {
	Kind string        `json:"kind" cbor:"1,keyasint"`
	At   time.Duration `json:"at_ns" cbor:"2,keyasint"`   // plan time at which it was noticed
	Size time.Duration `json:"size_ns" cbor:"3,keyasint"` // below 0: set back
}

// Kinds of upsets.
const (
	Frozen    = "frozen"    // the worker's process stood still: stopped, or starved
	Suspended = "suspended" // its machine did
	Stepped   = "stepped"   // the wall clock was set, forward or back
)

// MaxUpsets is how many upsets are kept of one worker; later ones are counted by
// nothing.
const MaxUpsets = 64

// Check returns what makes u one that no worker noticed.
func (u Upset) Check() error {
	switch {
	case u.Kind != Frozen && u.Kind != Suspended && u.Kind != Stepped:
		return fmt.Errorf("unknown upset %.32q", u.Kind)
	case !planTime(u.At):
		return fmt.Errorf("%s at %v, beyond any plan", u.Kind, u.At)
	}
	return nil
}

// String says it for people.
func (u Upset) String() string {
	at := Human(max(u.At, 0))
	switch {
	case u.Kind == Frozen:
		return fmt.Sprintf("it stood still for %s, until %s", Human(u.Size), at)
	case u.Kind == Suspended:
		return fmt.Sprintf("its machine was suspended for %s, until %s", Human(u.Size), at)
	case u.Size < 0:
		return fmt.Sprintf("its wall clock was set back by %s at %s", Human(-u.Size), at)
	}
	return fmt.Sprintf("its wall clock was set forward by %s at %s", Human(u.Size), at)
}

// Clocks is how a worker's clocks compared with the coordinator's: own less the
// coordinator's, what the way there and back may account for taken off. Of each
// the largest, whatever its sign.
type Clocks struct {
	Plan   time.Duration `json:"clock_offset_ns" cbor:"1,keyasint,omitempty"` // of plan time
	Wall   time.Duration `json:"wall_offset_ns" cbor:"2,keyasint,omitempty"`  // of the clock on the wall
	Upsets []Upset       `json:"upsets" cbor:"3,keyasint,omitempty"`
}

// See enters a later comparison, and what was noticed since the last.
func (c *Clocks) See(next Clocks) {
	if next.Plan.Abs() > c.Plan.Abs() {
		c.Plan = next.Plan
	}
	if next.Wall.Abs() > c.Wall.Abs() {
		c.Wall = next.Wall
	}
	for _, u := range next.Upsets {
		if len(c.Upsets) < MaxUpsets {
			c.Upsets = append(c.Upsets[:len(c.Upsets):len(c.Upsets)], u)
		}
	}
}

// Worst says in words by how much clocks were off at most, and by what: their
// offset, or a step. Nothing is 0.
func (c Clocks) Worst() (size time.Duration, words string) {
	apart := func(d time.Duration, what string) {
		if d.Abs() <= size {
			return
		}
		size, words = d.Abs(), fmt.Sprintf("%s was %s ahead of the coordinator's", what, Human(d))
		if d < 0 {
			words = fmt.Sprintf("%s was %s behind the coordinator's", what, Human(-d))
		}
	}
	apart(c.Wall, "its wall clock")
	apart(c.Plan, "its plan time")
	for _, u := range c.Upsets {
		if u.Kind == Stepped && u.Size.Abs() > size {
			size, words = u.Size.Abs(), u.String()
		}
	}
	return size, words
}
