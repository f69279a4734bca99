package books

import (
	"iter"

	"github.com/flashcrowd/flashcrowd/results/audit"
)

// Open opens the sheet of a table; nil without an error where there is none.
type Open func(table string) (Sheet, error)

// Read opens every table of the mapping and returns the rows that are in it,
// which the sequences read. Times are held against the run that the books are
// of. What a table has no column for is in the books' Lacks.
//
// It is an error when a table can't be opened, or lacks a column that the
// mapping names or without which its rows say nothing. An error of a sequence
// names the row, and ends it: a cell that can't be read, the same row again, a
// time outside of the run, which Skip passes over and tells passed.
func (m *Mapping) Read(open Open, run Window, passed func(table string)) (audit.Books, error) {
	var b audit.Books
	var err error
	for _, table := range Tables() {
		sheet, failed := open(table)
		if failed != nil {
			return b, failed
		}
		if sheet == nil {
			continue
		}
		r := reader{m, sheet, run, passed, &b.Lacks}
		switch table {
		case "orders":
			b.Orders, err = rowsOf(r, orders())
		case "coupons":
			b.Coupons, err = rowsOf(r, coupons())
		case "stocks":
			b.Stocks, err = rowsOf(r, stocks())
		case "seats":
			b.Seatings, err = rowsOf(r, seats())
		}
		if err != nil {
			return b, err
		}
	}
	return b, nil
}

// A reader is what reading a table needs, whatever its rows are.
type reader struct {
	mapping *Mapping
	sheet   Sheet
	run     Window
	passed  func(table string)
	lacks   *[]audit.Field
}

func rowsOf[T any](from reader, k kind[T]) (iter.Seq2[T, error], error) {
	t, err := from.mapping.tongue(from.run)
	if err != nil {
		return nil, err
	}
	r := reading[T]{tongue: t, kind: k, sheet: from.sheet, lack: func(field string) {
		*from.lacks = append(*from.lacks, audit.Field(k.name+"."+field))
	}}
	if from.mapping.Outside == Skip {
		r.passed = func() { from.passed(k.name) }
	}
	if err := r.place(from.mapping); err != nil {
		return nil, err
	}
	return func(yield func(T, error) bool) {
		again := r
		if from.mapping.Source != Storefront { // whose rows are its own, as often as they are there
			again.seen = &fingerprints{}
		}
		again.rows(yield)
	}, nil
}
