package results

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
)

func TestCodec(t *testing.T) {
	s := record("w", 7, append(day(40), Mark{Frontier: time.Second, Skips: []Skip{{Stage: "noon", Reason: "stopped", Count: 2}}})...)
	s.Final = true
	wire := Encode(s)
	got, err := DecodeSnapshot(wire)
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.Ledger {
		s.Ledger[i].Who = Who{} // does not travel: the key carries the owner
	}
	if !reflect.DeepEqual(got, s) {
		t.Errorf("got %+v\nwant %+v", got, s)
	}
	if !bytes.Equal(Encode(got), wire) {
		t.Error("the same snapshot has other bytes the second time")
	}
	if _, err := DecodeSnapshot(Encode(record("w", 1))); err != nil {
		t.Errorf("a second in which nothing happened: %v", err)
	}
}

// What a build of the first format stored is read as it was.
func TestFirstFormat(t *testing.T) {
	old := must(cbor.Marshal(map[int]any{1: 1, 2: "w", 3: 1, 4: 0, 5: 0, 8: map[string]uint64{}, 13: []any{map[int]any{1: 2, 2: true, 3: "k", 4: "o", 6: 900, 7: "CNY", 8: 5}}}))
	s, err := DecodeSnapshot(old)
	if want := (Promise{Kind: OrderPromise, Known: true, Key: "k", ID: "o", Amount: 900, Currency: "CNY", At: 5}); err != nil || len(s.Ledger) != 1 || s.Ledger[0] != want {
		t.Errorf("%+v, %v", s.Ledger, err)
	}
}

func TestHostileSnapshot(t *testing.T) {
	long := strings.Repeat("x", 5_000)
	hist := recorded(5)
	for want, spoil := range map[string]func(*Snapshot){
		"format 3: this build":    func(s *Snapshot) { s.Format = 3 },
		"format 0: this build":    func(s *Snapshot) { s.Format = 0 },
		"worker id of 0 bytes":    func(s *Snapshot) { s.Worker = "" },
		"worker id of 5000 bytes": func(s *Snapshot) { s.Worker = long },
		"sequence 0":              func(s *Snapshot) { s.Seq = 0 },
		"beyond any plan":         func(s *Snapshot) { s.Cut = math.MinInt64 },
		"with frontier 2562047h":  func(s *Snapshot) { s.Frontier = math.MaxInt64 },
		"launches":                func(s *Snapshot) { s.Launched = math.MaxUint64 },
		"cpu NaN":                 func(s *Snapshot) { s.Health.CPU = math.NaN() },
		"cpu +Inf":                func(s *Snapshot) { s.Health.CPU = math.Inf(1) },
		"cpu -1":                  func(s *Snapshot) { s.Health.CPU = -1 },
		`unknown metric "speed"`:  func(s *Snapshot) { s.Series = []Series{{Metric: "speed", Count: 1}} },
		"series 1: orders has tags": func(s *Snapshot) {
			s.Series = []Series{{Metric: "orders"}, {Metric: "orders", Tags: Tags{Step: "turn"}}}
		},
		`unknown outcome "fine"`:             func(s *Snapshot) { s.Series = []Series{{Metric: "requests", Tags: Tags{Outcome: "fine"}}} },
		"orders: tag of 5000":                func(s *Snapshot) { s.Series = []Series{{Metric: "orders", Tags: Tags{Stage: long}}} },
		"orders: a trend has":                func(s *Snapshot) { s.Series = []Series{{Metric: "orders", Hist: hist}} },
		"turn_ttft: a trend has":             func(s *Snapshot) { s.Series = []Series{{Metric: "turn_ttft", Count: 1}} },
		"turn_tpot: a trend has":             func(s *Snapshot) { s.Series = []Series{{Metric: "turn_tpot", Hist: hist, Count: 1}} },
		"order_success counts 2 good of 1":   func(s *Snapshot) { s.Series = []Series{{Metric: "order_success", Good: 2, Count: 1}} },
		"orders counts 1 good of 1":          func(s *Snapshot) { s.Series = []Series{{Metric: "orders", Good: 1, Count: 1}} },
		"orders counts 18446744073709551615": func(s *Snapshot) { s.Series = []Series{{Metric: "orders", Count: math.MaxUint64}} },
		"skip 0: reason of 5000":             func(s *Snapshot) { s.Skips = []Skip{{Reason: long}} },
		"skip 0: counts":                     func(s *Snapshot) { s.Skips = []Skip{{Count: math.MaxUint64}} },
		"second 9223372036854775807 is":      func(s *Snapshot) { s.Seconds = []Second{{At: math.MaxInt64}} },
		"second 3 counts":                    func(s *Snapshot) { s.Seconds = []Second{{At: 3, Failed: math.MaxUint64}} },
		"ledger entry 0: kind 3":             func(s *Snapshot) { s.Ledger = []Promise{{Kind: 3}} },
		"ledger entry 0: id of":              func(s *Snapshot) { s.Ledger = []Promise{{Kind: 1, ID: long}} },
		"ledger entry 0: user of":            func(s *Snapshot) { s.Ledger = []Promise{{Kind: 1, User: long}} },
		"ledger entry 0: unknown denial 5":   func(s *Snapshot) { s.Ledger = []Promise{{Kind: 1, Denied: 5}} },
		"ledger entry 0: promised and den":   func(s *Snapshot) { s.Ledger = []Promise{{Kind: 1, Known: true, Denied: SoldOut}} },
		"ledger entry 0: told at 0s, afte":   func(s *Snapshot) { s.Ledger = []Promise{{Kind: 1, Took: -1}} },
		"ledger entry 1: told at 2562047h":   func(s *Snapshot) { s.Ledger = []Promise{{Kind: 1}, {Kind: 1, At: math.MaxInt64}} },
		"example 0: unknown outcome 99":      func(s *Snapshot) { s.Examples = []Example{{Outcome: 99}} },
		"example 0: attempt -1":              func(s *Snapshot) { s.Examples = []Example{{Attempt: -1}} },
		"of 2562047h47m16.8547758":           func(s *Snapshot) { s.Examples = []Example{{Took: math.MaxInt64}} },
		"example 0: response of":             func(s *Snapshot) { s.Examples = []Example{{Response: strings.Repeat(long, 20)}} },
		"invalid UTF-8":                      func(s *Snapshot) { s.Ledger = []Promise{{Kind: 1, Key: "\xff"}} },
	} {
		s := record("w", 1)
		spoil(&s)
		if _, err := DecodeSnapshot(Encode(s)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func TestHostileCBOR(t *testing.T) {
	good := Encode(record("w", 1))
	deep := append(bytes.Repeat([]byte{0x81}, 100), 0)
	for name, wire := range map[string][]byte{
		"nothing":        nil,
		"not a map":      {0x01},
		"cut":            good[:len(good)-1],
		"with a tail":    append(bytes.Clone(good), 0),
		"unknown field":  must(cbor.Marshal(map[int]int{99: 1})),
		"field twice":    {0xa2, 0x01, 0x01, 0x01, 0x01},
		"deep":           deep,
		"endless list":   {0xa1, 0x0a, 0x9f, 0xff},
		"too many items": {0xa1, 0x0a, 0x9a, 0xff, 0xff, 0xff, 0xff},
		"too long":       make([]byte, MaxSnapshot+1),
		"histogram":      must(cbor.Marshal(map[int]any{1: 1, 10: []any{map[int]any{1: "turn_ttft", 5: []byte{1, 2, 3}}}})),
	} {
		if _, err := DecodeSnapshot(wire); err == nil || !strings.HasPrefix(err.Error(), "decode snapshot: ") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// What decodes can be merged, and encodes to something that decodes to the same.
func FuzzDecodeSnapshot(f *testing.F) {
	f.Add(Encode(record("w", 1)))
	f.Add(Encode(record("w", 2, day(2)...)))
	f.Add(Encode(record("w", 3, Step{Example: &Example{Why: "no"}}, Mark{Frontier: 1, Skips: []Skip{{Reason: "stopped", Count: 1}}})))
	f.Add(Encode(record("w", 4, Promise{Kind: CouponPromise, Key: "k", Denied: LimitReached, User: "u", Took: 1}, Promise{Kind: OrderPromise, Known: true, Amount: 9, Subtotal: 10})))
	f.Fuzz(func(t *testing.T, wire []byte) {
		s, err := DecodeSnapshot(wire)
		if err != nil {
			return
		}
		again, err := DecodeSnapshot(Encode(s))
		if err != nil {
			t.Fatal(err)
		}
		if a, b := Encode(s), Encode(again); !bytes.Equal(a, b) {
			t.Fatalf("%x\n%x", a, b)
		}
		m := NewMerger(About{})
		if got, err := m.Add(s); got != Accepted || err != nil {
			t.Fatal(got, err)
		}
		r := m.Run()
		if err := r.Account.Closes(); err == nil && r.Account.EndedCount() > 0 {
			t.Fatal("shoppers of an empty plan ended, and the account closes")
		}
	})
}

// exchange is one second of a worker with some 500 requests, in 40 series.
func exchange() Snapshot {
	r := NewRecorder("w")
	for i, f := range day(72) {
		if s, ok := f.(Step); ok {
			s.Response += time.Duration(i%977) * 313 * time.Microsecond
			f = s
		}
		r.Add(f)
	}
	s := r.Cut(1, 0, Health{})
	s.Series = s.Series[:40]
	return s
}

func BenchmarkDecodeAndMerge(b *testing.B) {
	wire := Encode(exchange())
	s, err := DecodeSnapshot(wire)
	if err != nil {
		b.Fatal(err)
	}
	m := NewMerger(about(1))
	b.ReportAllocs()
	for seq := uint64(1); b.Loop(); seq++ {
		s, err := DecodeSnapshot(wire)
		if err != nil {
			b.Fatal(err)
		}
		s.Seq = seq
		if _, err := m.Add(s); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(s.Series)), "series")
	b.ReportMetric(float64(len(s.Ledger)), "promises")
	b.ReportMetric(float64(len(wire)), "B/snapshot")
}

func BenchmarkEncode(b *testing.B) {
	s := exchange()
	for b.Loop() {
		Encode(s)
	}
}

func BenchmarkRun(b *testing.B) {
	m := NewMerger(about(1))
	if _, err := m.Add(exchange()); err != nil {
		b.Fatal(err)
	}
	for i := range 3_600 {
		m.lines.add(Second{At: int64(i), Launched: 1})
	}
	for b.Loop() {
		m.Run()
	}
}
