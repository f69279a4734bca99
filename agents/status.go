package agents

import (
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// A Status is a fleet as its coordinator knows it: the answer to GET /v1/status,
// for people and programs, in JSON.
type Status struct {
	Run      string         `json:"run"`
	Campaign string         `json:"campaign"`
	Version  string         `json:"version"`  // of the coordinator's flashcrowd
	Protocol uint16         `json:"protocol"` // that all nodes speak
	Term     uint64         `json:"term"`     // how often the run was begun or resumed
	Started  bool           `json:"started"`
	Elapsed  scenarios.Mark `json:"elapsed_ns"` // plan time; negative before the start
	Duration time.Duration  `json:"duration_ns"`
	Stop     string         `json:"stop"` // go, drain, cut or done
	Why      string         `json:"why,omitempty"`
	Planned  uint64         `json:"planned_count"`
	Waiting  int            `json:"unassigned_slots_count"` // nobody's at the moment
	Members  []Standing     `json:"members"`

	Barred []results.Barred `json:"barred"` // what the coordinator did not let in, by reason
	Apart  results.Apart    `json:"kept_apart"`
}

// A Standing is one worker in a Status.
type Standing struct {
	ID       string         `json:"id"`
	Name     string         `json:"name"`
	State    string         `json:"state"` // ready, leaving, left, lost
	Fate     string         `json:"fate,omitempty"`
	Slots    int            `json:"slots_count"`
	Capacity uint64         `json:"capacity_millicores"`
	Launched uint64         `json:"launched_count"`
	InFlight uint64         `json:"in_flight_count"`
	Rate     float64        `json:"launches_per_s"`   // in the last exchange
	LagP99   time.Duration  `json:"lag_p99_ns"`       // in the last exchange
	Health   results.Health `json:"health"`           // in the last exchange
	Offset   time.Duration  `json:"clock_offset_ns"`  // its plan time less the coordinator's, as it measured it
	Wall     time.Duration  `json:"wall_offset_ns"`   // likewise of the clock on the wall
	Version  string         `json:"version"`          // of its flashcrowd
	Heard    time.Duration  `json:"last_exchange_ns"` // ago
}

// A StopRequest is what POST /v1/stop takes, in JSON.
type StopRequest struct {
	Why   string `json:"why"`
	Drain bool   `json:"drain"` // let shoppers in flight finish
}
