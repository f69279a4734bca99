package audit_test

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/audit"
)

func promised(key, id string, amount int64) results.Promise {
	return results.Promise{Kind: results.OrderPromise, Known: true, Key: key, ID: id, Amount: amount, Currency: "CNY"}
}

func lost(key string) results.Promise {
	return results.Promise{Kind: results.OrderPromise, Key: key}
}

func booked(key, id string, amount int64) audit.Order {
	return audit.Order{ID: id, Key: key, Amount: amount, Currency: "CNY"}
}

func seq[T any](all []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range all {
			if !yield(v, nil) {
				return
			}
		}
	}
}

func TestOrders(t *testing.T) {
	usd := booked("k1", "o1", 900)
	usd.Currency = "USD"
	for _, tt := range []struct {
		name   string
		ledger []results.Promise
		books  []audit.Order
		// promised, booked, matched, undecided
		want     [4]uint64
		findings string // "invariant ×count: example; example", one a line
	}{
		{name: "nothing"},
		{
			name:   "all in order",
			ledger: []results.Promise{promised("k1", "o1", 900), promised("k2", "o2", 1200)},
			books:  []audit.Order{booked("k2", "o2", 1200), booked("k1", "o1", 900)},
			want:   [4]uint64{2, 2, 2, 0},
		},
		{
			name:   "an idempotent answer heard twice is one promise",
			ledger: []results.Promise{promised("k1", "o1", 900), lost("k1"), promised("k1", "o1", 900)},
			books:  []audit.Order{booked("k1", "o1", 900)},
			want:   [4]uint64{1, 1, 1, 0},
		},
		{
			name:   "coupons are passed over",
			ledger: []results.Promise{{Kind: results.CouponPromise, Known: true, Key: "k1", ID: "c1"}},
		},
		{
			name:     "missing",
			ledger:   []results.Promise{promised("k1", "o1", 900)},
			want:     [4]uint64{1, 0, 0, 0},
			findings: audit.Missing + " ×1: order o1: placed with key k1",
		},
		{
			name:   "a lost answer that came to nothing is no matter",
			ledger: []results.Promise{lost("k1")},
		},
		{
			name:   "booked, but the answer was lost",
			ledger: []results.Promise{lost("k1")},
			books:  []audit.Order{booked("k1", "o1", 900)},
			want:   [4]uint64{0, 1, 0, 1},
		},
		{
			name:     "booked twice, with both answers lost",
			ledger:   []results.Promise{lost("k1"), lost("k1")},
			books:    []audit.Order{booked("k1", "o1", 900), booked("k1", "o2", 900)},
			want:     [4]uint64{0, 2, 0, 0},
			findings: audit.DoubleKey + " ×1: key k1: booked 2 times",
		},
		{
			name:     "nobody's order",
			books:    []audit.Order{booked("k9", "o9", 900), booked("", "o8", 900)},
			want:     [4]uint64{0, 2, 0, 0},
			findings: audit.Unpromised + ` ×2: order o8: nobody placed one with its key ""; order o9: nobody placed one with its key "k9"`,
		},
		{
			name:   "another order than the one promised",
			ledger: []results.Promise{promised("k1", "o1", 900)},
			books:  []audit.Order{booked("k1", "o2", 900)},
			want:   [4]uint64{1, 1, 0, 0},
			findings: audit.Missing + " ×1: order o1: placed with key k1\n" +
				audit.Unpromised + " ×1: order o2: its key k1 was promised order o1",
		},
		{
			name:     "a second order for one key, promised once",
			ledger:   []results.Promise{promised("k1", "o1", 900)},
			books:    []audit.Order{booked("k1", "o1", 900), booked("k1", "o2", 900)},
			want:     [4]uint64{1, 2, 1, 0},
			findings: audit.DoubleKey + " ×1: key k1: booked 2 times",
		},
		{
			name:   "a second order for one key, promised too",
			ledger: []results.Promise{promised("k1", "o1", 900), promised("k1", "o2", 900)},
			books:  []audit.Order{booked("k1", "o1", 900), booked("k1", "o2", 900)},
			want:   [4]uint64{2, 2, 2, 0},
			findings: audit.DoubleKey + " ×1: key k1: booked 2 times\n" +
				audit.Repromised + " ×1: key k1: order o1 and others",
		},
		{
			name:     "one order promised to two",
			ledger:   []results.Promise{promised("k2", "o1", 900), promised("k1", "o1", 900)},
			books:    []audit.Order{booked("k1", "o1", 900)},
			want:     [4]uint64{1, 1, 1, 0},
			findings: audit.Shared + " ×1: order o1: key k1 and others",
		},
		{
			name:     "a row twice in the books",
			ledger:   []results.Promise{promised("k1", "o1", 900)},
			books:    []audit.Order{booked("k1", "o1", 900), booked("k1", "o1", 900)},
			want:     [4]uint64{1, 2, 1, 0},
			findings: audit.DoubleKey + " ×1: key k1: booked 2 times",
		},
		{
			name:     "another key",
			ledger:   []results.Promise{promised("k1", "o1", 900)},
			books:    []audit.Order{booked("k2", "o1", 900)},
			want:     [4]uint64{1, 1, 0, 0},
			findings: audit.OtherKey + ` ×1: order o1: placed with key k1, booked with "k2"`,
		},
		{
			name:     "a minor unit less",
			ledger:   []results.Promise{promised("k1", "o1", 900)},
			books:    []audit.Order{booked("k1", "o1", 899)},
			want:     [4]uint64{1, 1, 0, 0},
			findings: audit.OtherAmount + " ×1: order o1: promised 900 CNY, booked 899 CNY",
		},
		{
			name:     "another currency",
			ledger:   []results.Promise{promised("k1", "o1", 900)},
			books:    []audit.Order{usd},
			want:     [4]uint64{1, 1, 0, 0},
			findings: audit.OtherAmount + " ×1: order o1: promised 900 CNY, booked 900 USD",
		},
		{
			name:     "promised at two prices",
			ledger:   []results.Promise{promised("k1", "o1", 900), promised("k1", "o1", 800)},
			books:    []audit.Order{booked("k1", "o1", 800)},
			want:     [4]uint64{1, 1, 1, 0},
			findings: audit.OtherAmount + " ×1: order o1: promised 800 CNY and other amounts",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for round := range 20 { // neither side has an order
				shuffle := rand.New(rand.NewPCG(uint64(round), 1))
				shuffle.Shuffle(len(tt.ledger), func(i, j int) { tt.ledger[i], tt.ledger[j] = tt.ledger[j], tt.ledger[i] })
				shuffle.Shuffle(len(tt.books), func(i, j int) { tt.books[i], tt.books[j] = tt.books[j], tt.books[i] })
				got, err := audit.Orders(seq(tt.ledger), seq(tt.books), nil)
				if err != nil {
					t.Fatal(err)
				}
				if counts := [4]uint64{got.Promised, got.Booked, got.Matched, got.Undecided}; counts != tt.want {
					t.Errorf("promised, booked, matched, undecided = %d, want %d", counts, tt.want)
				}
				if text := describe(got.Findings); text != tt.findings {
					t.Errorf("findings:\n%s\nwant:\n%s", text, tt.findings)
				}
			}
		})
	}
}

func describe(findings []results.Finding) string {
	var lines []string
	for _, f := range findings {
		lines = append(lines, fmt.Sprintf("%s ×%d: %s", f.Invariant, f.Count, strings.Join(f.Examples, "; ")))
	}
	return strings.Join(lines, "\n")
}

// A thousand entries with every kind of trouble give the same audit in any
// order, examples included.
func TestOrderDoesNotMatter(t *testing.T) {
	draw := rand.New(rand.NewPCG(1, 2))
	var ledger []results.Promise
	var books []audit.Order
	for range 1000 {
		key, id := fmt.Sprintf("k%d", draw.IntN(400)), fmt.Sprintf("o%d", draw.IntN(400))
		if p := promised(key, id, int64(draw.IntN(2))); draw.IntN(4) > 0 {
			ledger = append(ledger, p)
		} else {
			ledger = append(ledger, lost(key))
		}
		books = append(books, booked(fmt.Sprintf("k%d", draw.IntN(500)), fmt.Sprintf("o%d", draw.IntN(500)), int64(draw.IntN(2))))
	}
	first, err := audit.Orders(seq(ledger), seq(books), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Findings) != len(audit.Invariants()) {
		t.Fatalf("%d kinds of finding, want all %d: the test is too tame", len(first.Findings), len(audit.Invariants()))
	}
	for range 20 {
		draw.Shuffle(len(ledger), func(i, j int) { ledger[i], ledger[j] = ledger[j], ledger[i] })
		draw.Shuffle(len(books), func(i, j int) { books[i], books[j] = books[j], books[i] })
		again, err := audit.Orders(seq(ledger), seq(books), nil)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(first, again) {
			t.Fatalf("shuffled:\n%+v\nwant:\n%+v", again, first)
		}
	}
}

func TestExamplesAreFew(t *testing.T) {
	var ledger []results.Promise
	for i := range 100 {
		ledger = append(ledger, promised(fmt.Sprintf("k%02d", i), fmt.Sprintf("o%02d", 99-i), 1))
	}
	got, err := audit.Orders(seq(ledger), seq[audit.Order](nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	f := got.Findings[0]
	if f.Count != 100 || len(f.Examples) != 5 || f.Examples[0] != "order o00: placed with key k99" {
		t.Errorf("finding = %+v", f)
	}
}

func TestErrorsOfEitherSide(t *testing.T) {
	broken := errors.New("the cable is out")
	ledger := func(yield func(results.Promise, error) bool) { yield(results.Promise{}, broken) }
	books := func(yield func(audit.Order, error) bool) { yield(audit.Order{}, broken) }
	if _, err := audit.Orders(ledger, seq[audit.Order](nil), nil); !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "read the ledger: ") {
		t.Errorf("ledger: %v", err)
	}
	if _, err := audit.Orders(seq[results.Promise](nil), books, nil); !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "read the books: ") {
		t.Errorf("books: %v", err)
	}
}

// TestLostReports: an order that a lost worker's shopper may have placed after
// the worker's last word is undecided; a stranger's order still is a finding.
func TestLostReports(t *testing.T) {
	books := []audit.Order{{ID: "o1", Key: "ours"}, {ID: "o2", Key: "theirs"}}
	got, err := audit.Orders(seq[results.Promise](nil), seq(books), func(key string) bool { return key == "ours" })
	if err != nil {
		t.Fatal(err)
	}
	if got.Undecided != 1 || len(got.Findings) != 1 || got.Findings[0].Count != 1 || !strings.Contains(got.Findings[0].Examples[0], "theirs") {
		t.Errorf("%+v", got)
	}
}
