package crowd

import "sync/atomic"

// mostIdle is how many goroutines wait for the next shopper who has something to
// do. What a machine does at one moment is little, however many shoppers live.
const mostIdle = 32

// walkers are the goroutines that walk with shoppers. One that has walked before
// has a stack that is large enough; a new one copies its stack three times
// within its first step, which took as long as thinking up the request.
type walkers struct {
	next chan *Shopper // for who is idle
	idle atomic.Int32
}

// start walks with a shopper in a goroutine. Only the dispatcher calls it.
func (e *Engine) start(s *Shopper) {
	select {
	case e.walkers.next <- s:
	default:
		e.steps.Add(1)
		go e.walkOn(s)
	}
}

// walkOn walks with one shopper after another, until enough others are idle or
// the engine has ended.
func (e *Engine) walkOn(s *Shopper) {
	defer e.steps.Done()
	for more := true; more; {
		e.walk(s)
		if more = e.walkers.idle.Add(1) <= mostIdle; more {
			s, more = <-e.walkers.next
		}
		e.walkers.idle.Add(-1)
	}
}
