package scenarios

import (
	"sync"
	"testing"
	"time"
)

// nap is a machine that is awake for a while and sleeps in between; each look at
// its boot clock takes a while.
type nap struct{ awake, asleep, takes, looks time.Duration }

func (n *nap) boot() time.Duration {
	now := n.awake + n.asleep
	n.awake += n.takes
	n.looks++
	return now
}

func TestBootClockLooksOnceAMillisecond(t *testing.T) {
	m := nap{asleep: time.Hour}
	c := newBootClock(m.boot, func() time.Duration { return m.awake })
	m.looks = 0
	for range 10_000 {
		if now := c.Now(); now != m.awake+m.asleep {
			t.Fatalf("at %v awake and %v asleep the clock says %v", m.awake, m.asleep, now)
		}
		m.awake += time.Microsecond
	}
	if m.looks != 10 {
		t.Errorf("10 ms with %d looks", m.looks)
	}
}

func TestBootClockLearnsOfASleepWithinAMillisecond(t *testing.T) {
	m := nap{}
	c := newBootClock(m.boot, func() time.Duration { return m.awake })
	for range 100 {
		c.Now()
		m.asleep += time.Minute // at a moment between two looks
		for woken := m.awake; c.Now() < m.awake+m.asleep; m.awake += 10 * time.Microsecond {
			if m.awake-woken >= looksEvery {
				t.Fatalf("%v after a sleep the clock does not know of it", m.awake-woken)
			}
		}
		m.awake += 170 * time.Microsecond
	}
}

// A look that took long, because somebody else ran, does not set the clock back.
func TestBootClockNeverGoesBack(t *testing.T) {
	m := nap{takes: 100}
	c := newBootClock(m.boot, func() time.Duration { return m.awake })
	last := c.Now()
	for i := range 1000 {
		m.takes = time.Duration(100 + i%7*1_000_000)
		now := c.Now()
		if behind := m.awake + m.asleep - now; now < last || behind < 0 || behind > 100 {
			t.Fatalf("%v after %v, behind by %v", now, last, behind)
		}
		last = now
		m.awake += 300 * time.Microsecond
	}
}

// It agrees with the clock that it saves asking, whoever asks.
func TestBootClockIsBoottime(t *testing.T) {
	c := NewBootClock()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			last := time.Duration(0)
			for range 20_000 {
				now := c.Now()
				if after := Boottime(); now < last || now > after {
					t.Errorf("%v after %v, at %v", now, last, after)
					return
				}
				last = now
			}
		})
	}
	all.Wait()
	before := Boottime()
	if behind := before - c.Now(); behind > time.Millisecond {
		t.Errorf("behind by %v", behind)
	}
}

func BenchmarkBootClock(b *testing.B) {
	c := NewBootClock()
	for b.Loop() {
		c.Now()
	}
}

func BenchmarkBoottime(b *testing.B) {
	for b.Loop() {
		Boottime()
	}
}
