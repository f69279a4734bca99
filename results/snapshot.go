package results

import (
	"errors"
	"time"
)

// SnapshotFormat is the version of the wire form. Format 2 came with what the
// ledger says of denials, users, discounts and times; a snapshot of format 1 is
// one of format 2 that says nothing of them. Any other is refused.
const SnapshotFormat = 2

const oldestFormat = 1

// ErrChanged says that a sequence which is stored already came once more, with
// other bytes. Such a snapshot is refused: one of the two is a lie.
var ErrChanged = errors.New("this sequence is stored with other bytes")

// A Snapshot is the facts of one worker since its last cut, folded. (Worker,
// Seq) is its identity: the bytes of a sequence never change, so a repeated
// snapshot changes nothing.
type Snapshot struct {
	Format int    `cbor:"1,keyasint"`
	Worker string `cbor:"2,keyasint"` // the worker's id: its certificate's fingerprint
	Seq    uint64 `cbor:"3,keyasint"` // 1 for the first

	Cut      time.Duration `cbor:"4,keyasint"`           // plan time of the cut; negative before the start
	Frontier time.Duration `cbor:"5,keyasint"`           // see Mark
	Launched uint64        `cbor:"6,keyasint,omitempty"` // shoppers launched since the last cut
	Ended    uint64        `cbor:"7,keyasint,omitempty"` // shoppers ended since the last cut
	Sum      Sum128        `cbor:"8,keyasint"`           // of Launch.Hash since the last cut
	Final    bool          `cbor:"9,keyasint,omitempty"` // the engine has ended: nothing follows

	Series   []Series  `cbor:"10,keyasint,omitempty"`
	Skips    []Skip    `cbor:"11,keyasint,omitempty"`
	Seconds  []Second  `cbor:"12,keyasint,omitempty"`
	Ledger   []Promise `cbor:"13,keyasint,omitempty"`
	Examples []Example `cbor:"14,keyasint,omitempty"`
	Health   Health    `cbor:"15,keyasint,omitempty"`

	Grant   uint64    `cbor:"16,keyasint,omitempty"` // see Mark
	Applied []Applied `cbor:"17,keyasint,omitempty"` // since the last cut
	Holes   []Hole    `cbor:"18,keyasint,omitempty"`

	Takeovers []Takeover `cbor:"19,keyasint,omitempty"` // since the last cut, by grant
	Lapses    []Lapse    `cbor:"20,keyasint,omitempty"` // that ended since the last cut
}

// A Delivery is a snapshot as its worker sent it, to be kept as it is.
type Delivery struct {
	Worker string
	Seq    uint64
	Bytes  []byte // as Encode made them; empty where a worker ended without a snapshot
}

// A Series is what one metric measured under one set of tags.
type Series struct {
	Metric string     `cbor:"1,keyasint"`
	Tags   Tags       `cbor:"2,keyasint"`
	Count  uint64     `cbor:"3,keyasint,omitempty"` // counter: the sum; rate: the denominator
	Good   uint64     `cbor:"4,keyasint,omitempty"` // rate: the numerator
	Hist   *Histogram `cbor:"5,keyasint,omitempty"` // trend
}

// A Second is one second of plan time: what the crowd did in it.
type Second struct {
	At       int64  `json:"at_s" cbor:"1,keyasint"` // plan time, seconds from the start
	Launched uint64 `json:"launched_count" cbor:"2,keyasint,omitempty"`
	Ended    uint64 `json:"ended_count" cbor:"3,keyasint,omitempty"`
	Orders   uint64 `json:"orders_count" cbor:"4,keyasint,omitempty"`
	Requests uint64 `json:"requests_count" cbor:"5,keyasint,omitempty"`
	Failed   uint64 `json:"failed_count" cbor:"6,keyasint,omitempty"` // requests whose outcome is not ok
}

// Health is how the generator itself fared since the last cut. CPU is the
// share of the processors it may use that the k6 child took, in [0,1].
type Health struct {
	CPU float64 `json:"cpu_ratio" cbor:"1,keyasint,omitempty"`
	RSS uint64  `json:"rss_bytes" cbor:"2,keyasint,omitempty"`

	Streams uint64 `json:"streams_count" cbor:"8,keyasint,omitempty"` // chat turns under way at once, at most
	// Throttled is the share of the time in which a control group kept the child
	// from the processors, Stalled that in which some process waited for memory.
	Throttled float64 `json:"throttled_ratio,omitempty" cbor:"3,keyasint,omitempty"`
	Stalled   float64 `json:"memory_stall_ratio,omitempty" cbor:"4,keyasint,omitempty"`
}
