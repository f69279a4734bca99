package results

import "time"

// ArrivalsEnd is the plan time at which shoppers ceased to arrive: the plan's
// end, or where the run stands while it goes on. Of a run that was stopped it is
// the end of the last second in which anybody arrived: the newest snapshot was
// cut later, when those in flight had left.
func (r *Run) ArrivalsEnd() time.Duration {
	end := max(0, min(r.Cut, r.Duration))
	if r.Stopped == "" {
		return end
	}
	last := time.Duration(0)
	for _, s := range r.Seconds {
		if s.Launched > 0 {
			last = max(last, time.Duration(s.At+1)*time.Second)
		}
	}
	return min(end, last)
}

// OrdersBetween is how many orders shoppers were promised in [from, to) of plan
// time, whenever those shoppers arrived. A second that lies only partly in it
// counts with that part.
func (r *Run) OrdersBetween(from, to time.Duration) (n float64) {
	for _, s := range r.Seconds {
		begin := time.Duration(s.At) * time.Second
		if part := min(to, begin+time.Second) - max(from, begin); part > 0 {
			n += float64(s.Orders) * part.Seconds()
		}
	}
	return n
}

// OrdersEnd is the end of the last second in which a shopper was promised an
// order; 0 if none was.
func (r *Run) OrdersEnd() (end time.Duration) {
	for _, s := range r.Seconds {
		if s.Orders > 0 {
			end = max(end, time.Duration(s.At+1)*time.Second)
		}
	}
	return end
}
