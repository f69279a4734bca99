package results

// Barred is a kind of attempt that the fleet did not let in: a stranger at the
// door, a message that is no member's, a worker of another version.
type Barred struct {
	Reason string `json:"reason"`
	Count  uint64 `json:"count"`
}

// Apart counts what workers still reported after their lease had ended. Others
// had their slots by then, so it is in no figure and no account; the promises
// are there for the audit.
type Apart struct {
	Snapshots uint64 `json:"snapshots_count"`
	Promises  uint64 `json:"promises_count"`
}

// Bar notes what was not let in, all of it; the last note stands.
func (m *Merger) Bar(all []Barred) { m.barred = all }

// Apart counts a snapshot that is kept apart, once.
func (m *Merger) Apart(s Snapshot) {
	m.apart.Snapshots++
	m.apart.Promises += uint64(len(s.Ledger))
}
