package crowd

import (
	"container/heap"
	"time"
)

// thinkers is a heap of shoppers that think, the one that is due first on top.
type thinkers []*Shopper

func (t thinkers) Len() int           { return len(t) }
func (t thinkers) Less(i, j int) bool { return t[i].due < t[j].due }
func (t thinkers) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }

// Push implements heap.Interface.
func (t *thinkers) Push(x any) { *t = append(*t, x.(*Shopper)) }

// Pop implements heap.Interface.
func (t *thinkers) Pop() any {
	last := len(*t) - 1
	s := (*t)[last]
	(*t)[last] = nil
	*t = (*t)[:last]
	return s
}

// add puts a shopper to think and reports whether it is now the first.
func (t *thinkers) add(s *Shopper) (first bool) {
	heap.Push(t, s)
	return (*t)[0] == s
}

// take takes the first shopper if its time has come.
func (t *thinkers) take(now time.Duration) (*Shopper, bool) {
	if len(*t) == 0 || (*t)[0].due > now {
		return nil, false
	}
	return heap.Pop(t).(*Shopper), true
}

var _ heap.Interface = (*thinkers)(nil)
