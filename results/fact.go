package results

import "time"

// A Fact is one immutable thing that happened to a shopper. Facts flow one
// way, in one line: the order in which they are emitted is the order in which
// they are folded, so that a snapshot is a consistent cut. They are never
// pooled or changed, because k6 reads them in other goroutines.
//
// The kinds are Launch, Step, End, Promise and Mark.
type Fact interface {
	// Observe calls emit for each value of the catalogue that the fact carries:
	// nanoseconds for a trend, a count for a counter, 0 or 1 for a rate.
	Observe(emit func(m *Metric, t Tags, value int64))
}

// Tags are the dimensions of a series. An empty string means that the metric
// does not have the dimension. They are bounded by the campaign and the
// catalogue; an identifier never goes here.
type Tags struct {
	Stage   string `json:"stage,omitempty" cbor:"1,keyasint,omitempty"`
	Step    string `json:"step,omitempty" cbor:"2,keyasint,omitempty"`
	Outcome string `json:"outcome,omitempty" cbor:"3,keyasint,omitempty"`
	Persona string `json:"persona,omitempty" cbor:"4,keyasint,omitempty"`
	Journey string `json:"journey,omitempty" cbor:"5,keyasint,omitempty"`
}

// Who names a shopper and the cohort it is counted in.
type Who struct {
	Slot    uint16
	Number  uint32
	Stage   string // the stage in which it arrived: all its facts count there
	Persona string
	Journey string
}

// Launch says that a shopper arrived.
type Launch struct {
	Who
	At   time.Duration // the intended arrival, plan time
	Hash Sum128        // of what makes this shopper: summed, the load fingerprint
	Hole uint64        // of a shopper whom the fleet made late: the hole that this launch fills; else 0

	Closed  bool          // the crowd is: see About.AtOnce
	Outside time.Duration // of a closed crowd: from the arrival to when there was room

	// Of a shopper with a hole or another attempt: see Takeover.
	Grant uint64
	Again bool // an owner before this one may have launched it too
}

// Step says that one request of a journey ended, whatever came of it.
type Step struct {
	Who
	Name    string // turn, claim, create, update, delegate, complete, poll, …
	Attempt int    // 0 for the first
	Outcome Outcome
	At      time.Duration // plan time at which it ended

	Lag        time.Duration // intended → actual start
	Response   time.Duration // intended → last byte
	Service    time.Duration // actual start → last byte
	FirstChunk time.Duration // intended → first chunk of any kind; 0 if none came
	Reasoning  time.Duration // intended → first reasoning; 0 if none came
	FirstToken time.Duration // intended → first content; 0 if none came
	PerToken   time.Duration // 0 unless there were at least two tokens
	Tokens     int           // without reasoning
	Thoughts   int           // tokens of reasoning
	Answered   bool          // the shopper's first turn was answered by this step
	Opened     int           // connections that were opened for it
	Own        bool          // it failed for want of this machine's own resources
	Late       bool          // the fleet made this shopper late: its times count from its relaunch
	Held       bool          // it became late by this step, which a lapsed lease held back

	Example *Example // evidence, when the engine kept some
}

// End says that a shopper left.
type End struct {
	Who
	At           time.Duration // plan time
	Outcome      Outcome
	Duration     time.Duration // since the intended arrival
	MeantToClaim bool
	Claimed      bool
	MeantToOrder bool
	Ordered      bool
	BadCalls     int  // tool calls of an assistant that nobody could carry out
	Late         bool // see Step
}

// Skip says that planned shoppers will never start, and why.
type Skip struct {
	Stage  string `json:"stage,omitempty" cbor:"1,keyasint,omitempty"`
	Reason string `json:"reason" cbor:"2,keyasint"`
	Count  uint64 `json:"count" cbor:"3,keyasint"`
}

// Mark moves the frontier: every owned arrival before it was launched or
// counted as never started, but for those in the holes; none from it on was
// launched. A launch moves it too, just past its own moment. Skips are the
// arrivals that the mark passes over: they come with it, so that no cut falls
// between the two.
type Mark struct {
	Frontier time.Duration
	Skips    []Skip
	Grant    uint64    // version of the spans that are in force
	Applied  []Applied // the versions that came into force since the last mark
	Holes    []Hole    // all there are
	Lapses   []Lapse   // that ended since the last mark

	// Takeovers says of the skips for what they came too late; launches tell the
	// rest.
	Takeovers []Takeover
}

// Applied says that spans came into force.
type Applied struct {
	Grant    uint64        `cbor:"1,keyasint"` // their version
	Frontier time.Duration `cbor:"2,keyasint"` // at that moment: what they took away is not launched from here on
}

// A Hole is a stretch before the frontier whose arrivals are still to come,
// because they were due when the right to launch them came.
type Hole struct {
	ID    uint64        `cbor:"1,keyasint"` // its worker's own, from 1
	Grant uint64        `cbor:"2,keyasint"` // version of the spans it is in: those that came with it
	From  time.Duration `cbor:"3,keyasint"` // moves on as it is filled
	To    time.Duration `cbor:"4,keyasint"`
}

// Observe implements Fact.
func (f Launch) Observe(emit func(*Metric, Tags, int64)) {
	emit(ShoppersLaunched, Tags{Stage: f.Stage}, 1)
	switch {
	case f.Hole > 0:
		emit(ShoppersLate, Tags{Stage: f.Stage}, 1)
	case f.Closed:
		emit(EntryWait, Tags{Stage: f.Stage}, int64(f.Outside))
	}
}

// Observe implements Fact.
func (f Step) Observe(emit func(*Metric, Tags, int64)) {
	full := Tags{Stage: f.Stage, Step: f.Name, Outcome: f.Outcome.String()}
	stage := Tags{Stage: f.Stage}
	emit(Requests, full, 1)
	if f.Tokens > 0 {
		emit(OutputTokens, stage, int64(f.Tokens))
	}
	if f.Thoughts > 0 {
		emit(ReasoningTokens, stage, int64(f.Thoughts))
	}
	if f.Answered {
		emit(Asked, stage, 1)
	}
	if f.Opened > 0 {
		emit(Connections, stage, int64(f.Opened))
	}
	if f.Own {
		emit(GeneratorFaults, stage, 1)
	}
	if f.Held {
		emit(ShoppersLate, stage, 1)
	}
	if f.Late {
		emit(LateResponse, full, int64(f.Response))
		return
	}
	emit(StepDuration, full, int64(f.Response))
	emit(StepServiceTime, full, int64(f.Service))
	emit(ScheduleLag, stage, int64(f.Lag))
	emit(RequestSuccess, Tags{Stage: f.Stage, Step: f.Name}, bit(f.Outcome == OK))
	if f.Attempt > 0 {
		emit(Retries, Tags{Stage: f.Stage, Step: f.Name}, 1)
	}
	if f.FirstChunk > 0 {
		emit(TurnFirstChunk, stage, int64(f.FirstChunk))
	}
	if f.Reasoning > 0 {
		emit(TurnFirstReasoning, stage, int64(f.Reasoning))
	}
	if f.FirstToken > 0 {
		emit(TurnTTFT, stage, int64(f.FirstToken))
	}
	if f.PerToken > 0 {
		emit(TurnTPOT, stage, int64(f.PerToken))
	}
}

// Observe implements Fact.
func (f End) Observe(emit func(*Metric, Tags, int64)) {
	stage, outcome := Tags{Stage: f.Stage}, f.Outcome.String()
	emit(ShoppersEnded, Tags{Stage: f.Stage, Outcome: outcome, Persona: f.Persona, Journey: f.Journey}, 1)
	if f.BadCalls > 0 {
		emit(BadCalls, stage, int64(f.BadCalls))
	}
	if f.Late {
		return
	}
	emit(JourneyDuration, Tags{Stage: f.Stage, Outcome: outcome}, int64(f.Duration))
	if f.MeantToClaim {
		emit(ClaimSuccess, stage, bit(f.Claimed))
	}
	if f.MeantToOrder {
		emit(OrderSuccess, stage, bit(f.Ordered))
	}
}

// Observe implements Fact; a mark measures nothing.
func (f Mark) Observe(func(*Metric, Tags, int64)) {}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

var (
	_ Fact = Launch{}
	_ Fact = Step{}
	_ Fact = End{}
	_ Fact = Mark{}
)

// Pairs lists the tags that are set, as name and value, in one fixed order.
func (t Tags) Pairs() [][2]string {
	var pairs [][2]string
	for _, p := range [...][2]string{
		{"stage", t.Stage}, {"step", t.Step}, {"outcome", t.Outcome}, {"persona", t.Persona}, {"journey", t.Journey},
	} {
		if p[1] != "" {
			pairs = append(pairs, p)
		}
	}
	return pairs
}
