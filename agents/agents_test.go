package agents

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/flashcrowd/flashcrowd/scenarios"
)

func TestAssign(t *testing.T) {
	const end = time.Hour
	for _, n := range []int{1, 2, 3, 7, 500, scenarios.Slots, scenarios.Slots + 3} {
		var workers []string
		for i := range n {
			workers = append(workers, fmt.Sprintf("w%05d", i))
		}
		shares := Assign(workers, end)
		owners := make([]int, scenarios.Slots)
		least, most := scenarios.Slots, 0
		for _, w := range workers {
			spans := shares[w]
			least, most = min(least, len(spans)), max(most, len(spans))
			for _, s := range spans {
				owners[s.Slot]++
				if s.From != 0 || s.To != end {
					t.Fatalf("%d workers: span %+v is not the whole slot", n, s)
				}
			}
		}
		if most-least > 1 {
			t.Errorf("%d workers: shares from %d to %d slots", n, least, most)
		}
		if i := slices.IndexFunc(owners, func(o int) bool { return o != 1 }); i >= 0 {
			t.Errorf("%d workers: slot %d has %d owners", n, i, owners[i])
		}
		slices.Reverse(workers)
		if !reflect.DeepEqual(Assign(append(workers, workers[0]), end), shares) {
			t.Errorf("%d workers: order or repetition changes the shares", n)
		}
	}
	if got := Assign(nil, end); len(got) != 0 {
		t.Errorf("no workers: %v", got)
	}
}

func TestAssignSpreadsTheFirstSlots(t *testing.T) {
	// A crowd of 3 has only slots 0, 1 and 2.
	shares := Assign([]string{"c", "a", "b"}, time.Second)
	for i, w := range slices.Sorted(maps.Keys(shares)) {
		if shares[w][0].Slot != scenarios.Slot(i) {
			t.Errorf("%s begins with slot %d, want %d", w, shares[w][0].Slot, i)
		}
	}
}

var (
	exchange = Exchange{Seq: 3, Snapshot: []byte("cut"), Name: "worker-1", Have: 2}
	lease    = Lease{
		Term: 1, Version: 2, Spans: []scenarios.Span{{Slot: 4095, To: time.Hour}}, Started: true,
		Now: -time.Second, Length: LeaseLength, Stored: 3, Stop: scenarios.Drain, Why: "ctrl-c", Held: time.Millisecond,
	}
)

func TestCodecs(t *testing.T) {
	b, err := exchange.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeExchange(b); err != nil || !reflect.DeepEqual(got, exchange) {
		t.Errorf("exchange: %+v, %v", got, err)
	}
	if b, err = lease.Encode(); err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeLease(b); err != nil || !reflect.DeepEqual(got, lease) {
		t.Errorf("lease: %+v, %v", got, err)
	}
	brief := Brief{Run: "r", Plan: []byte("plan")}
	if b, err = brief.Encode(); err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeBrief(b); err != nil || !reflect.DeepEqual(got, brief) {
		t.Errorf("brief: %+v, %v", got, err)
	}
}

func TestAllSlotsFitALease(t *testing.T) {
	l := lease
	l.Spans = Assign([]string{"w"}, 9*time.Hour)["w"]
	b, err := l.Encode()
	if err != nil || len(b) > MaxLease/4 {
		t.Errorf("a lease of all slots takes %d bytes of %d: %v", len(b), MaxLease, err)
	}
}

func TestDecodersRefuse(t *testing.T) {
	with := func(change func(*Exchange)) []byte {
		e := exchange
		change(&e)
		b, _ := cbor.Marshal(e)
		return b
	}
	leased := func(change func(*Lease)) []byte {
		l := lease
		change(&l)
		b, _ := cbor.Marshal(l)
		return b
	}
	good, _ := exchange.Encode()
	tests := []struct {
		want string
		err  error
	}{
		{"sequence 0", second(DecodeExchange(with(func(e *Exchange) { e.Seq = 0 })))},
		{"neither snapshot nor fate", second(DecodeExchange(with(func(e *Exchange) { e.Snapshot = nil })))},
		{"a name of 65 bytes", second(DecodeExchange(with(func(e *Exchange) { e.Name = strings.Repeat("x", 65) })))},
		{"a fate of", second(DecodeExchange(with(func(e *Exchange) { e.Fate = strings.Repeat("x", 9000) })))},
		{"at most", second(DecodeExchange(make([]byte, MaxExchange+1)))},
		{"EOF", second(DecodeExchange(good[:len(good)-1]))},
		{"extraneous", second(DecodeExchange(append(slices.Clone(good), 0)))},
		{"unknown field", second(DecodeExchange([]byte{0xa1, 0x18, 0x63, 0x01}))},
		{"duplicate map key", second(DecodeExchange([]byte{0xa2, 0x01, 0x01, 0x01, 0x01}))},
		{"impossible span", second(DecodeLease(leased(func(l *Lease) { l.Spans = []scenarios.Span{{Slot: 4096}} })))},
		{"impossible span", second(DecodeLease(leased(func(l *Lease) { l.Spans = []scenarios.Span{{From: 2, To: 1}} })))},
		{"a length of", second(DecodeLease(leased(func(l *Lease) { l.Length = -1 })))},
		{"unknown stop", second(DecodeLease(leased(func(l *Lease) { l.Stop = 9 })))},
		{"held", second(DecodeLease(leased(func(l *Lease) { l.Held = -1 })))},
		{"at most", second(DecodeLease(make([]byte, MaxLease+1)))},
	}
	for i, tt := range tests {
		if tt.err == nil || !strings.Contains(tt.err.Error(), tt.want) {
			t.Errorf("%d: %v, want something with %q", i, tt.err, tt.want)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func FuzzDecodeExchange(f *testing.F) {
	b, err := exchange.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, data []byte) { roundTrip(t, data, DecodeExchange, Exchange.Encode) })
}

func FuzzDecodeLease(f *testing.F) {
	b, err := lease.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, data []byte) { roundTrip(t, data, DecodeLease, Lease.Encode) })
}

// roundTrip holds that what is read can be written and is read again the same.
func roundTrip[T any](t *testing.T, data []byte, decode func([]byte) (T, error), encode func(T) ([]byte, error)) {
	v, err := decode(data)
	if err != nil {
		return
	}
	b, err := encode(v)
	if err != nil {
		t.Fatalf("%+v was read and can't be written: %v", v, err)
	}
	again, err := decode(b)
	if err != nil || !reflect.DeepEqual(again, v) {
		t.Fatalf("%+v came back as %+v, %v", v, again, err)
	}
}
