package agents

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

func shares(n int) []Share {
	var all []Share
	for i := range n {
		all = append(all, Share{Worker: fmt.Sprintf("w%05d", i), Capacity: 2000})
	}
	return all
}

// counts returns how many slots each has, and how many changed hands.
func counts(before, after []string) (has map[string]int, moved int) {
	has = map[string]int{}
	for slot, o := range after {
		has[o]++
		if before != nil && before[slot] != o {
			moved++
		}
	}
	return has, moved
}

func TestAssign(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 500, scenarios.Slots, scenarios.Slots + 3} {
		all := shares(n)
		owners := Assign(all, nil)
		has, _ := counts(nil, owners)
		for _, s := range all {
			if k := has[s.Worker]; k < scenarios.Slots/n || k > scenarios.Slots/n+1 {
				t.Errorf("%d workers: %s has %d slots", n, s.Worker, k)
			}
		}
		slices.Reverse(all)
		if !slices.Equal(Assign(all, nil), owners) {
			t.Errorf("%d workers: their order changes who has what", n)
		}
		if !slices.Equal(Assign(all, owners), owners) {
			t.Errorf("%d workers: slots move though nothing changed", n)
		}
	}
	if has, _ := counts(nil, Assign(nil, nil)); has[""] != scenarios.Slots {
		t.Errorf("without workers: %v", has)
	}
	// A crowd of 3 has only slots 0, 1 and 2.
	if got := Assign(shares(3), nil)[:3]; !slices.Equal(got, []string{"w00000", "w00001", "w00002"}) {
		t.Errorf("the first three slots go to %v", got)
	}
}

func TestAssignMovesLittle(t *testing.T) {
	heavy := Share{Worker: "heavy", Capacity: 6000}
	tests := []struct {
		name   string
		before []Share
		after  []Share
		moved  int
		want   map[string]int
	}{
		{"one joins three", shares(3), shares(4), 1024, map[string]int{"w00000": 1024, "w00003": 1024}},
		{"one of four goes", shares(4), shares(3), 1024, map[string]int{"w00000": 1366, "w00001": 1365}},
		{"one that carries thrice as much", shares(1), append(shares(1), heavy), 3072, map[string]int{"w00000": 1024, "heavy": 3072}},
		{"all are replaced", shares(2), []Share{{"x", 1}, {"y", 1}}, 4096, map[string]int{"x": 2048, "y": 2048}},
		{"capacity unknown", shares(1), []Share{{"w00000", 0}, {"w00001", 0}}, 2048, map[string]int{"w00001": 2048}},
	}
	for _, tt := range tests {
		before := Assign(tt.before, nil)
		after := Assign(tt.after, before)
		has, moved := counts(before, after)
		if moved != tt.moved {
			t.Errorf("%s: %d slots move, want %d", tt.name, moved, tt.moved)
		}
		for w, n := range tt.want {
			if has[w] != n {
				t.Errorf("%s: %s has %d slots, want %d", tt.name, w, has[w], n)
			}
		}
	}
	// What moves is spread over the slots, because a small crowd has only the first.
	after := Assign(shares(4), Assign(shares(3), nil))
	first, _ := counts(nil, after[:400])
	if n := first["w00003"]; n < 80 || n > 120 {
		t.Errorf("of the first 400 slots the new worker has %d", n)
	}
}

// Whatever the shares, everybody has its part to within one slot, and only those
// who have too much give anything up.
func TestAssignIsFair(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var owners []string
	for round := range 200 {
		var all []Share
		var total uint64
		for i := range 1 + r.IntN(12) {
			s := Share{Worker: fmt.Sprintf("w%d", r.IntN(30)+30*i), Capacity: 1 + r.Uint64N(9)}
			all, total = append(all, s), total+s.Capacity
		}
		next := Assign(all, owners)
		has, _ := counts(nil, next)
		had, _ := counts(nil, owners)
		for _, s := range all {
			exact := float64(s.Capacity) * scenarios.Slots / float64(total)
			if d := float64(has[s.Worker]) - exact; d <= -1 || d >= 1 {
				t.Fatalf("round %d: %s has %d slots, its part is %.1f", round, s.Worker, has[s.Worker], exact)
			}
			kept := 0
			for slot, o := range owners {
				if o == s.Worker && next[slot] == o {
					kept++
				}
			}
			if kept != min(had[s.Worker], has[s.Worker]) {
				t.Fatalf("round %d: %s had %d, has %d and kept %d", round, s.Worker, had[s.Worker], has[s.Worker], kept)
			}
		}
		owners = next
	}
}

var (
	exchange = Exchange{Seq: 3, Snapshot: []byte("cut"), Name: "worker-1", Have: 2, Capacity: 2000, Leaving: true,
		Offset: -3, Wall: time.Second, Upsets: []results.Upset{{Kind: results.Stepped, At: time.Minute, Size: -time.Second}}}
	lease = Lease{
		Term: 1, Version: 2, Spans: []scenarios.Span{{Slot: 4095, To: time.Hour, Attempt: 1, Grant: 2}}, Started: true,
		Now: -time.Second, Length: LeaseLength, Stored: 3, Stop: scenarios.Drain, Why: "ctrl-c", Held: time.Millisecond, Wall: time.Hour,
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
	l.Spans = nil
	for slot := range scenarios.Slots {
		for attempt := range uint8(2) {
			l.Spans = append(l.Spans, scenarios.Span{Slot: scenarios.Slot(slot), From: 8 * time.Hour, To: 9 * time.Hour, Attempt: attempt, Grant: 300})
		}
	}
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
		{"unknown upset", second(DecodeExchange(with(func(e *Exchange) { e.Upsets = []results.Upset{{Kind: "odd"}} })))},
		{"65 upsets", second(DecodeExchange(with(func(e *Exchange) { e.Upsets = make([]results.Upset, 65) })))},
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
