// Package scenarios says what a crowd does: the Campaign a user writes, the
// Plan it expands to, and the Shoppers, Personas and Journeys in it.
//
// A plan is a recipe, never a list. Everything about a shopper (when it
// arrives, who it is, what it says, how long it thinks) is drawn from the
// campaign's seed and the shopper's identity, so any worker can compute any
// shopper and who runs it changes nothing about it.
//
// Plan time counts from the common start of a run and has the factors applied
// already: it passes at the speed of a clock on the wall.
package scenarios

import (
	"fmt"
	"time"
)

// Slots is how many parts the crowd is divided into: the units of ownership.
const Slots = 4096

// A Slot is one of the 4,096 parts of the crowd.
type Slot uint16

// ID is a shopper's identity. Shopper g of the whole crowd (from 0) has slot
// g mod 4096 and number g div 4096, so that a smaller crowd is a prefix of a
// larger one.
type ID struct {
	Slot   Slot
	Number uint32
}

// Nth returns the identity of shopper g of the whole crowd.
func Nth(g uint64) ID { return ID{Slot(g % Slots), uint32(g / Slots)} }

// String returns slot and number as reports spell them: 17/3.
func (id ID) String() string { return fmt.Sprintf("%d/%d", id.Slot, id.Number) }

// A Mark is a moment in plan time.
type Mark = time.Duration

// An Arrival is a shopper and the moment it is due.
type Arrival struct {
	ID ID
	At Mark
}

// A Span is an owned stretch of a slot: the arrivals in [From, To) are its
// owner's to launch. Attempt is 0 unless an owner before this one may have
// launched them too and can't say so any more; it enters their keys and nothing
// else of them.
type Span struct {
	Slot    Slot   `json:"slot" cbor:"1,keyasint"`
	From    Mark   `json:"from_ns" cbor:"2,keyasint"`
	To      Mark   `json:"to_ns" cbor:"3,keyasint"`
	Attempt uint8  `json:"attempt,omitempty" cbor:"4,keyasint,omitempty"`
	Grant   uint64 `json:"grant" cbor:"5,keyasint,omitempty"` // version of its owner's spans with which it came
}

// MaxAttempt is the last attempt that a key can carry.
const MaxAttempt = 15
