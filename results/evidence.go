package results

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Bounds on evidence, of one snapshot and of a run alike.
const (
	examplesOfAKind = 3 // with the same stage, step and outcome
	examplesInAll   = 200
	maxKinds        = 1 << 10
)

// Example is one exchange kept as evidence: bounded and redacted.
type Example struct {
	Stage    string        `json:"stage" cbor:"1,keyasint"`
	Step     string        `json:"step" cbor:"2,keyasint"`
	Outcome  Outcome       `json:"outcome" cbor:"3,keyasint"`
	Shopper  string        `json:"shopper" cbor:"4,keyasint"`
	Trace    string        `json:"trace" cbor:"5,keyasint"`                   // the trace id that the request carried, as in its traceparent
	Why      string        `json:"why,omitempty" cbor:"6,keyasint,omitempty"` // what the rule saw, in words
	Request  string        `json:"request" cbor:"7,keyasint"`
	Response string        `json:"response" cbor:"8,keyasint"`
	Attempt  int           `json:"attempt" cbor:"9,keyasint,omitempty"`               // 0 for the first
	At       time.Duration `json:"at_ns" cbor:"10,keyasint,omitempty"`                // plan time at which it ended
	Took     time.Duration `json:"step_duration_ns" cbor:"11,keyasint,omitempty"`     // response time
	Service  time.Duration `json:"step_service_time_ns" cbor:"12,keyasint,omitempty"` // of it, from the actual send
}

type exampleKind struct {
	stage, step string
	outcome     Outcome
}

func (e Example) kind() exampleKind { return exampleKind{e.Stage, e.Step, e.Outcome} }

// compare orders examples by kind, and within one by response time, the slowest
// first. The rest makes the order total, so that nothing depends on who came
// first.
func (e Example) compare(o Example) int {
	return cmp.Or(
		cmp.Compare(e.Stage, o.Stage), cmp.Compare(e.Step, o.Step), cmp.Compare(e.Outcome, o.Outcome),
		cmp.Compare(o.Took, e.Took),
		cmp.Compare(e.At, o.At), cmp.Compare(e.Shopper, o.Shopper), cmp.Compare(e.Trace, o.Trace), cmp.Compare(e.Attempt, o.Attempt),
		cmp.Compare(e.Service, o.Service), cmp.Compare(e.Why, o.Why), cmp.Compare(e.Request, o.Request), cmp.Compare(e.Response, o.Response))
}

// evidence keeps the slowest examples of each kind. Whatever the order in which
// they come, and however they are shared out and merged, the same ones stay.
type evidence map[exampleKind][]Example

func (v evidence) add(e Example) {
	all, known := v[e.kind()]
	if !known && len(v) >= maxKinds {
		return
	}
	i, _ := slices.BinarySearchFunc(all, e, Example.compare)
	if i == examplesOfAKind {
		return
	}
	all = slices.Insert(all, i, e)
	v[e.kind()] = all[:min(len(all), examplesOfAKind)]
}

// shown returns the examples in order. Where there are too many, what failed
// comes before what did not, and then one of each kind before the second of any.
func (v evidence) shown() []Example {
	kinds := slices.SortedFunc(maps.Keys(v), func(a, b exampleKind) int { return v[a][0].compare(v[b][0]) })
	shown := []Example{}
	for _, fine := range []bool{false, true} {
		for rank := range examplesOfAKind {
			for _, k := range kinds {
				if all := v[k]; (k.outcome == OK) == fine && rank < len(all) && len(shown) < examplesInAll {
					shown = append(shown, all[rank])
				}
			}
		}
	}
	slices.SortFunc(shown, Example.compare)
	return shown
}
