package results

// A Kind is how a metric's values combine.
type Kind uint8

const (
	Trend   Kind = iota + 1 // durations, kept as a histogram
	Counter                 // things that happened, added up
	Rate                    // a share: the numerator and the denominator are both kept
)

// A Metric is one entry of the catalogue: the only list of what is measured,
// for k6, thresholds, reports and /metrics alike.
type Metric struct {
	Name string
	Kind Kind
	Unit string // "s" for trends (values are nanoseconds), "1" for rates, else the thing counted
	Help string // what it counts and, for durations, from which moment to which
	Of   string // for a rate: its denominator
	Tags []string
}

// The catalogue. Durations of a step begin at one of two moments: its intended
// time (the arrival for the first step, the end of the last answer plus the
// drawn think time for the others) or the actual send. The difference is the
// schedule lag, which is the generator's own and never the backend's.
var (
	StepDuration       = &Metric{"step_duration", Trend, "s", "response time of a step: from its intended time to the last byte of the answer", "", []string{"stage", "step", "outcome"}}
	StepServiceTime    = &Metric{"step_service_time", Trend, "s", "service time of a step: from the actual send, dialling included, to the last byte of the answer", "", []string{"stage", "step", "outcome"}}
	TurnTTFT           = &Metric{"turn_ttft", Trend, "s", "time to first token: from a turn's intended time to the first delta with content or of a tool call; reasoning does not count", "", []string{"stage"}}
	TurnFirstChunk     = &Metric{"turn_first_chunk", Trend, "s", "from a turn's intended time to the first chunk of any kind", "", []string{"stage"}}
	TurnFirstReasoning = &Metric{"turn_first_reasoning", Trend, "s", "from a turn's intended time to the first delta of reasoning, of models that show it", "", []string{"stage"}}
	TurnTPOT           = &Metric{"turn_tpot", Trend, "s", "time per output token: first to last token, divided by the tokens after the first; reasoning is in neither", "", []string{"stage"}}
	ScheduleLag        = &Metric{"schedule_lag", Trend, "s", "the generator's own delay: from a step's intended time to its actual start", "", []string{"stage"}}
	JourneyDuration    = &Metric{"journey_duration", Trend, "s", "from a shopper's arrival to its end, think times included", "", []string{"stage", "outcome"}}

	EntryWait    = &Metric{"entry_wait", Trend, "s", "of a closed crowd alone: from a shopper's arrival to when there was room for it, from which the times of its first step count", "", []string{"stage"}}
	LateResponse = &Metric{"late_response", Trend, "s", "response time of a step of a shopper whom the fleet itself made late: from when the fleet let it go on to the last byte", "", []string{"stage", "step", "outcome"}}

	ShoppersLaunched = &Metric{"shoppers_launched", Counter, "shoppers", "shoppers that arrived", "", []string{"stage"}}
	ShoppersLate     = &Metric{"shoppers_late", Counter, "shoppers", "shoppers whom the fleet itself made late, when a worker was lost or heard nothing; their times are in late_response alone", "", []string{"stage"}}
	ShoppersEnded    = &Metric{"shoppers_ended", Counter, "shoppers", "shoppers that ended, by how", "", []string{"stage", "outcome", "persona", "journey"}}
	Requests         = &Metric{"requests", Counter, "requests", "requests sent, every attempt counted", "", []string{"stage", "step", "outcome"}}
	Retries          = &Metric{"retries", Counter, "requests", "of the requests, those that repeat one: tried again, asked again, or tapped twice", "", []string{"stage", "step"}}
	Connections      = &Metric{"connections", Counter, "connections", "connections to the target that were opened", "", []string{"stage"}}
	OutputTokens     = &Metric{"output_tokens", Counter, "tokens", "tokens in streamed answers, without reasoning: the backend's own count, or one for each delta where it gives none", "", []string{"stage"}}
	ReasoningTokens  = &Metric{"reasoning_tokens", Counter, "tokens", "tokens of reasoning in streamed answers: the backend's own count, shown or not, or one for each delta where it gives none", "", []string{"stage"}}
	GeneratorFaults  = &Metric{"generator_faults", Counter, "requests", "requests that failed on the generator's own side: no ports, open files or memory left, or an address that is not allowed", "", []string{"stage"}}
	Asked            = &Metric{"asked", Counter, "shoppers", "shoppers whose first chat turn was answered", "", []string{"stage"}}
	Coupons          = &Metric{"coupons", Counter, "coupons", "coupons that shoppers were promised", "", []string{"stage"}}
	BadCalls         = &Metric{"bad_calls", Counter, "calls", "tool calls of assistants that nobody could carry out: an unknown tool, arguments that are not as they must be, ids that are not the shopper's", "", []string{"stage"}}
	Orders           = &Metric{"orders", Counter, "orders", "orders that shoppers were promised", "", []string{"stage"}}

	OrderSuccess   = &Metric{"order_success", Rate, "1", "shoppers that were promised an order", "ended shoppers who meant to order", []string{"stage"}}
	ClaimSuccess   = &Metric{"claim_success", Rate, "1", "shoppers that were promised a coupon", "ended shoppers who meant to claim one", []string{"stage"}}
	RequestSuccess = &Metric{"request_success", Rate, "1", "requests whose outcome is ok", "requests sent, every attempt counted", []string{"stage", "step"}}
)

// Catalogue lists every metric in the order reports show them.
func Catalogue() []*Metric {
	return []*Metric{
		StepDuration, StepServiceTime, TurnTTFT, TurnFirstChunk, TurnFirstReasoning, TurnTPOT, ScheduleLag, JourneyDuration, EntryWait, LateResponse,
		ShoppersLaunched, ShoppersLate, ShoppersEnded, Requests, Retries, Connections, GeneratorFaults, OutputTokens, ReasoningTokens, Asked, BadCalls, Coupons, Orders,
		OrderSuccess, ClaimSuccess, RequestSuccess,
	}
}

// MetricByName returns the metric of that name, or nil.
func MetricByName(name string) *Metric {
	for _, m := range Catalogue() {
		if m.Name == name {
			return m
		}
	}
	return nil
}
