package results

import "slices"

// Audit is what holding the ledger against the backend's own books found.
type Audit struct {
	Source   string `json:"source"`
	Promised uint64 `json:"promised_count"` // orders that the ledger knows
	Booked   uint64 `json:"booked_count"`   // orders in the books that are not void
	Matched  uint64 `json:"matched_count"`  // promised, booked once, and with what was promised
	// Undecided counts what can't be decided, over all checks: the answer was
	// lost, or the worker that heard it, or the moment is not known well enough.
	// Never a violation, never silently fine.
	Undecided uint64 `json:"undecided_count"`
	// Superseded counts orders that were promised by workers whose lease had
	// ended. They are in none of the counts above: where the books have them,
	// they are undecided.
	Superseded uint64  `json:"superseded_count,omitempty"`
	Checks     []Check `json:"invariants"`
}

// A Check is one invariant, and what came of holding it against the books.
type Check struct {
	ID        string     `json:"id"`        // short and stable: order-missing
	Invariant string     `json:"invariant"` // as a sentence
	Severity  Severity   `json:"severity"`
	State     CheckState `json:"state"`
	Why       string     `json:"why,omitempty"`   // why it is unchecked
	Checked   uint64     `json:"checked_count"`   // what it was held against: orders, coupons, entries, as the invariant says
	Count     uint64     `json:"broken_count"`    // findings
	Undecided uint64     `json:"undecided_count"` // see Audit
	Examples  []string   `json:"examples"`        // of findings: the least few, by text
	Doubts    []string   `json:"doubts"`          // of what is undecided
}

// A Severity is how bad it is when an invariant is broken. Either fails a run.
type Severity string

const (
	Critical Severity = "critical" // money, an order or a coupon is lost, doubled or somebody else's
	Major    Severity = "major"    // somebody was told or given what they should not have been
)

// A CheckState is what came of a check.
type CheckState string

const (
	StateHeld      CheckState = "held"      // no finding; what is undecided is counted apart
	StateBroken    CheckState = "broken"    // findings
	StateUnchecked CheckState = "unchecked" // it could not be checked, and nothing is said
)

// In returns the checks that are in a state, in their order.
func (a *Audit) In(state CheckState) []Check {
	return slices.DeleteFunc(slices.Clone(a.Checks), func(c Check) bool { return c.State != state })
}
