package scenarios

import (
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// A StepKind is what a request of a journey does.
type StepKind uint8

const (
	Turn     StepKind = iota + 1 // one chat exchange
	Claim                        // claim a coupon
	Create                       // open a checkout
	Update                       // put the discount code into it
	Complete                     // pay: the step that makes the order
	Delegate                     // before paying, where the protocol has it: have the card made a token for this checkout alone
	Read                         // look at the checkout, which changes nothing
	Search                       // look at what is for sale, which changes nothing
	Poll                         // ask again about a step whose answer was pending
	SignIn                       // become known to the backend
	Refresh                      // stay known to it
)

var stepNames = [...]string{
	Turn: "turn", Claim: "claim", Create: "create", Update: "update", Complete: "complete",
	Delegate: "delegate", Read: "read", Search: "search", Poll: "poll", SignIn: "login", Refresh: "refresh",
}

// String returns the step's name as tags, files and reports spell it.
func (k StepKind) String() string {
	if int(k) < len(stepNames) {
		return stepNames[k]
	}
	return "step"
}

// A Step is one request of a journey, complete in itself: whoever carries it
// out needs nothing but the step, the shopper and a connection.
type Step struct {
	Kind    StepKind
	Of      StepKind // a poll: the step that it asks about
	Index   int      // place in the journey, from 0; a repeated attempt keeps it, a delegation has its completion's
	Attempt int      // 0 for the first; polls count by themselves

	Think time.Duration // to wait before it, counted from the end of the last answer
	Key   UUID          // idempotency key; the same intent has the same key, and a poll that of what it asks about
	User  UUID          // the account it is sent from
	Fresh bool          // it begins a new session: no conversation and no connection from before

	FirstToken time.Duration // patience until the first content of a turn; 0 means as Answer
	Answer     time.Duration // patience for the whole answer

	Say     string       // a turn: the user's line
	Last    bool         // a turn: once it is answered there is no other, and nothing of the conversation is needed
	Offer   bool         // a turn: the assistant may call tools
	Tools   []ToolResult // a turn: what the calls of the last answer gave; the user says nothing then, unless there is a line
	Query   string       // search: what for; empty for everything
	Session string       // update, delegate, complete, read, poll: the checkout's id
	Coupon  string       // create, update, complete: the code to apply; empty without one
	Item    Item         // create, update, and complete of protocol HTTP: what is bought

	Token    string // complete: what paying was delegated to, if it was
	Amount   int64  // delegate: what may be taken at most, minor units
	Currency string // delegate: of the amount, ISO 4217 in capitals
}

// For returns what the step serves: its kind, or that of what it asks about.
func (s *Step) For() StepKind {
	if s.Kind == Poll {
		return s.Of
	}
	return s.Kind
}

// Request numbers the requests that have the step's key, for traces.
func (s *Step) Request() int {
	if s.Kind == Poll {
		return 1<<16 + s.Attempt
	}
	return s.Attempt
}

// An Item is what a shopper buys.
type Item struct {
	ID       string
	Title    string
	Quantity int
}

// An Offer is something for sale that a search found.
type Offer struct {
	ID       string // of the item, for a checkout
	Title    string
	Price    int64  // of one, minor units
	Currency string // ISO 4217 in capitals
}

// A Result is what a step came to.
type Result struct {
	Outcome results.Outcome
	Pending bool           // OK, but no more than taken in: the answer is still to come, and is to be asked for
	Expired bool           // not OK: the login is over
	Status  int            // of HTTP; 0 if there was none, or it was a success
	Why     string         // what the rule saw, in a few words; for people
	Denied  results.Denial // rejected: which no it was, where a claim was told
	Unsent  bool           // not a byte of the request left, whatever was sent to prepare it
	More    bool           // what was sent was preparation, such as opening a session: the step goes on with another request
	Own     bool           // it failed for want of this machine's own ports, files or memory

	Start          time.Time // just before dialling or sending
	FirstChunk     time.Time // first chunk of any kind; zero if none came
	FirstReasoning time.Time // first delta of the model's thoughts; zero if none came
	FirstToken     time.Time // first delta with content; zero if none came
	LastToken      time.Time
	End            time.Time  // last byte of the answer, or when the step was given up
	Tokens         int        // without reasoning
	Reasoning      int        // tokens of reasoning
	Calls          []ToolCall // a turn that is OK: what the assistant wants done, in its order

	Offers     []Offer       // search: what was found, the best first
	RetryAfter time.Duration // what the backend asked for; 0 if it did not say
	Advice     Advice        // what it said of trying again at all
	Coupon     string        // claim: the coupon's id
	Session    string        // create, update, complete: the checkout's id
	Token      string        // delegate: what pays
	Order      string        // complete: the order's id; read: if it stands already
	Redeemed   string        // update, complete: the code that stands as applied
	Amount     int64         // create, update, complete: the total, minor units
	Subtotal   int64         // of it, before its discounts; 0: nothing was told of them
	Currency   string        // of the amount, ISO 4217 in capitals; empty: no total was told
}

// Advice is what a backend says of repeating a request, in OpenAI's header
// x-should-retry.
type Advice uint8

const (
	NoAdvice Advice = iota
	TryAgain
	GiveUp
)

// A Tool is something that an assistant may have the shopper's agent do.
type Tool struct {
	Name        string
	Description string // for the model
	Parameters  string // JSON Schema of the arguments
}

// A ToolCall is a tool that the assistant wants used. The arguments are text as
// the model wrote it: meant to be a JSON object, and not always one.
type ToolCall struct {
	ID        string // unique in its conversation; its result names it
	Name      string
	Arguments string
}

// A ToolResult is what a call gave, for the assistant.
type ToolResult struct {
	CallID  string
	Name    string // of the tool, as it was called
	Content string
}

// A Journey walks a shopper from step to step. It is pure: the same results
// give the same steps, whether a worker, a test or `flashcrowd try` asks.
type Journey interface {
	// Next returns the step after last; the zero Result asks for the first.
	// It returns false when the shopper leaves.
	Next(last Result) (Step, bool)
	// End says how the journey ended. It is valid once Next returned false, or
	// at any moment for a journey that is broken off.
	End() Ending
}

// Ending is how a journey ended.
type Ending struct {
	Outcome      results.Outcome // OK when the shopper got what it came for
	MeantToClaim bool
	Claimed      bool
	MeantToOrder bool
	Ordered      bool
	BadCalls     int // of an assistant that drove it: tool calls that nobody could carry out
}
