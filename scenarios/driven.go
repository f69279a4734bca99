package scenarios

// Driven is the part of the crowd whose journeys the assistant drives: it says
// by tool calls what is to be done, and the shopper's agent does it. The zero
// value is nobody.
type Driven struct {
	Share float64 `json:"share"` // of the crowd, in [0,1]
	Turns uint64  `json:"turns"` // requests to the assistant at most, 1 to 50; beyond it the shopper leaves
	Tools uint64  `json:"tools"` // calls at most, 1 to 255; beyond it the shopper leaves
}

// mostTools is the most calls of a journey: a key has room for as many.
const mostTools = 255

// driven says whether the assistant drives the shopper's journey.
func (s Shopper) driven() bool {
	return s.plan.draws.unit(s.ID, 0, forDriver) < s.plan.Campaign.Crowd.Driven.Share
}

func (r *reader) driven(f field) Driven {
	d := Driven{Share: 1, Turns: 12, Tools: 24}
	fields := r.mapping(f, "share", "turns", "tools")
	r.ratio(fields["share"], &d.Share)
	r.count(fields["turns"], &d.Turns)
	r.count(fields["tools"], &d.Tools)
	return d
}

func (k *checker) driven(d Driven, t *Target) {
	if d == (Driven{}) {
		return
	}
	k.share("crowd.driven.share", d.Share)
	if d.Turns < 1 || d.Turns > maxTurns {
		k.fault("crowd.driven.turns", "", "must be between 1 and %d", maxTurns)
	}
	if d.Tools < 1 || d.Tools > mostTools {
		k.fault("crowd.driven.tools", "", "must be between 1 and %d", mostTools)
	}
	if t.Chat.Protocol == HTTP && t.calls() == nil {
		k.fault("crowd.driven", "target.chat.turn.answer.calls: {list: tool_calls, id: id, name: function.name, arguments: function.arguments}",
			"needs an assistant that calls tools, and the campaign does not say how its calls come")
	}
}
