package crowd

// runners are the shoppers whose steps are under way, in no order. Each knows
// its place, so that one comes and goes without being looked for.
type runners []*Shopper

// add adds a shopper who is none of them.
func (r *runners) add(s *Shopper) {
	*r = append(*r, s)
	s.place = len(*r)
}

// remove takes a shopper out if it is one of them: the last takes its place.
func (r *runners) remove(s *Shopper) {
	if s.place == 0 {
		return
	}
	all := *r
	last := len(all) - 1
	all[s.place-1], all[last].place = all[last], s.place
	all[last], *r = nil, all[:last]
	s.place = 0
}
