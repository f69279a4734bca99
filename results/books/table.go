package books

import (
	"fmt"
	"hash/maphash"
	"iter"
	"slices"
	"strings"
)

// A Sheet is one table of a source, as text.
type Sheet interface {
	// Columns lists the columns of every row; nil where each row names its own.
	Columns() ([]string, error)
	// Rows yields the rows with the cells of these columns, in their order. It
	// may be asked for again, and begins anew. An error ends it.
	Rows(columns []string) iter.Seq2[Row, error]
	// Where names row n for people: orders.csv, line 7.
	Where(n int) string
}

// A Row is one row of a Sheet; its cells are good until the next one.
type Row struct {
	N     int // as Where knows it
	Cells []Cell
}

// A Cell is a value as text.
type Cell struct {
	Text  string
	State State
}

// A State says whether a cell holds something.
type State uint8

// The states of a cell.
const (
	Held   State = iota // also an empty text
	Null                // nothing
	Absent              // the row has no such column
)

// A column is a field and where it is in a row.
type column[T any] struct {
	field[T]
	name string
	said bool // the campaign says what it is called
	at   int  // in the cells asked for; -1: it is not there
	gone bool // the first row, where each names its own columns, does not have it
}

// A reading is a table that is being read.
type reading[T any] struct {
	tongue
	kind    kind[T]
	sheet   Sheet
	columns []column[T]
	wanted  []string
	lack    func(field string) // told of each field that has no column
	seen    *fingerprints      // nil: rows may repeat
	passed  func()             // told of each row from outside the run; nil: they are refused
	within  bool               // a row of the run was there
	outside error              // why the first one was not
}

// place finds the columns of the fields.
func (r *reading[T]) place(m *Mapping) error {
	table := m.Table(r.kind.name)
	have, err := r.sheet.Columns()
	if err != nil {
		return err
	}
	var missing []string
	for _, f := range r.kind.fields {
		name, said := table.Columns[f.name]
		if !said {
			name = f.column
		}
		c := column[T]{field: f, name: name, said: said, at: len(r.wanted)}
		switch {
		case name == None:
			c.at = -1
		case f.name == "currency" && m.Currency != "" && !said:
			c.at = -1 // said once for all
		case have == nil || slices.Contains(have, name):
			r.wanted = append(r.wanted, name)
		case said || f.must:
			missing = append(missing, fmt.Sprintf("%q (audit.%s.columns.%s)", name, r.kind.name, f.name))
		default:
			c.at = -1
		}
		r.columns = append(r.columns, c)
		if c.at < 0 {
			r.miss(f.name)
		}
	}
	if missing != nil {
		return fmt.Errorf("%s: there is no column %s\nhint: there are %s; audit.%s.columns says which is what, or %q where the books do not say it",
			r.sheet.Where(0), strings.Join(missing, ", nor "), list(have), r.kind.name, None)
	}
	if have == nil {
		return r.settle()
	}
	return nil
}

// miss tells of a field without a column.
func (r *reading[T]) miss(field string) {
	if field != "currency" || r.currency == "" {
		r.lack(field)
	}
}

func list(columns []string) string {
	const most = 30
	if len(columns) == 0 {
		return "no columns"
	}
	names := make([]string, min(len(columns), most))
	for i := range names {
		names[i] = clip(columns[i])
	}
	if len(columns) > most {
		names = append(names, "…")
	}
	return strings.Join(names, ", ")
}

// settle looks into the first row where each names its own columns: those that
// the campaign does not name may be missing in all.
func (r *reading[T]) settle() error {
	for row, err := range r.sheet.Rows(r.wanted) {
		if err != nil {
			return err
		}
		for i, c := range r.columns {
			if c.at >= 0 && row.Cells[c.at].State == Absent && !c.said && !c.must {
				r.columns[i].gone = true
				r.miss(c.field.name)
			}
		}
		break
	}
	return nil
}

// rows yields the rows of the table.
func (r *reading[T]) rows(yield func(T, error) bool) {
	var none T
	for row, err := range r.sheet.Rows(r.wanted) {
		if err != nil {
			yield(none, err)
			return
		}
		v, ok, err := r.row(row)
		if err != nil {
			yield(none, fmt.Errorf("%s: %w", r.sheet.Where(row.N), err))
			return
		}
		if ok && !yield(v, nil) {
			return
		}
	}
	if !r.within && r.outside != nil {
		yield(none, fmt.Errorf("%s: no row is of the run; of the first, %w", r.sheet.Where(0), r.outside))
	}
}

// row reads one row; it returns false for one that is passed over.
func (r *reading[T]) row(row Row) (v T, ok bool, err error) {
	if r.kind.currency != nil {
		*r.kind.currency(&v) = r.currency
	}
	for i := range r.columns {
		c := &r.columns[i]
		if c.at < 0 {
			continue
		}
		cell := row.Cells[c.at]
		switch {
		case c.gone && cell.State == Absent:
			continue
		case c.gone:
			return v, false, fmt.Errorf("it has %q, which the first row has not\nhint: have every row say it, if only as null", c.name)
		case cell.State == Absent:
			return v, false, fmt.Errorf("it has no %q\nhint: audit.%s.columns.%s says what the column is called", c.name, r.kind.name, c.field.name)
		case cell.State == Null || cell.Text == "":
			if !c.blank {
				return v, false, fmt.Errorf("%q is empty", c.name)
			}
			continue
		}
		if err := c.read(&v, &r.tongue, cell.Text); err != nil {
			return v, false, fmt.Errorf("%q: %w", c.name, err)
		}
	}
	if r.kind.moment != nil {
		if at := r.kind.moment(v); !at.IsZero() && !r.during.holds(at) {
			err := r.refuse(at)
			if r.passed == nil {
				return v, false, err
			}
			if r.passed(); r.outside == nil {
				r.outside = err
			}
			return v, false, nil
		}
		r.within = true
	}
	if r.seen != nil && !r.seen.add(row.Cells) {
		return v, false, fmt.Errorf("the same row is there a second time: %s %q\nhint: an export has each once; a join repeats rows, and so does a list that changes while it is paged", r.kind.one, clip(r.kind.id(v)))
	}
	return v, true, nil
}

// fingerprints is a set of rows by their hashes, 11 to 21 bytes for each. Of ten
// million rows two share a hash in one of three hundred thousand audits.
type fingerprints struct {
	hash  maphash.Hash
	slots []uint64 // 0: free
	count int
}

// add returns false if the same row is there already.
func (s *fingerprints) add(row []Cell) bool {
	if s.count*4 >= len(s.slots)*3 {
		old := s.slots
		s.slots = make([]uint64, max(1<<10, 2*len(old)))
		for _, h := range old {
			if h != 0 {
				s.put(h)
			}
		}
	}
	s.hash.Reset()
	for _, c := range row {
		s.hash.WriteString(c.Text) // never fails, as the others: see their docs
		s.hash.WriteByte(byte(c.State))
	}
	if !s.put(max(s.hash.Sum64(), 1)) {
		return false
	}
	s.count++
	return true
}

func (s *fingerprints) put(h uint64) bool {
	mask := uint64(len(s.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		switch s.slots[i] {
		case 0:
			s.slots[i] = h
			return true
		case h:
			return false
		}
	}
}
