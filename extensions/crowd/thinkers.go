package crowd

import "time"

// thinkers are the shoppers that think: a heap, the one that is due first on
// top. Each place has four below it and knows when its shopper is due, so that
// moving through a crowd of 100,000 looks at few places, side by side, and at
// no shopper: those are all over the memory.
type thinkers []thinker

type thinker struct {
	due time.Duration
	s   *Shopper
}

// below is how many places each place has below it.
const below = 4

// add puts a shopper to think and reports whether it is now the first.
func (t *thinkers) add(s *Shopper) (first bool) {
	*t = append(*t, thinker{s.due, s})
	h, i := *t, len(*t)-1
	for i > 0 {
		above := (i - 1) / below
		if h[above].due <= h[i].due {
			break
		}
		h[above], h[i] = h[i], h[above]
		i = above
	}
	return i == 0
}

// take takes the first shopper if its time has come.
func (t *thinkers) take(now time.Duration) (*Shopper, bool) {
	h := *t
	if len(h) == 0 || h[0].due > now {
		return nil, false
	}
	first, last := h[0].s, len(h)-1
	h[0], h[last] = h[last], thinker{}
	h = h[:last]
	*t = h
	for i := 0; ; {
		least := i
		for c := below*i + 1; c <= below*i+below && c < last; c++ {
			if h[c].due < h[least].due {
				least = c
			}
		}
		if least == i {
			return first, true
		}
		h[least], h[i] = h[i], h[least]
		i = least
	}
}
