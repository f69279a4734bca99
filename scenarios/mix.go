package scenarios

// Mix returns how many shoppers of each persona and of each journey the plan
// has, counted one by one: a plan is exact. A million take some tenths of a
// second.
func (p *Plan) Mix() (personas, journeys map[string]uint64) {
	crowd := &p.Campaign.Crowd
	byPersona, byJourney := make([]uint64, len(crowd.Personas)), make([]uint64, len(crowd.Journeys))
	for s := range Slot(Slots) {
		for n := range p.count(s) {
			id := ID{s, n}
			byPersona[pick(crowd.Personas, p.draws.unit(id, 0, forPersona))]++
			byJourney[pick(crowd.Journeys, p.draws.unit(id, 0, forJourney))]++
		}
	}
	return named(crowd.Personas, byPersona), named(crowd.Journeys, byJourney)
}

func named(weights []Weight, counts []uint64) map[string]uint64 {
	all := make(map[string]uint64, len(weights))
	for i, w := range weights {
		all[w.Name] += counts[i]
	}
	return all
}
