// Package books says what a backend's own books mean: which column of which
// table is what, in which unit money is written, and by which clock time. Rows
// of text become rows of the audit, or an error that names the row, the column
// and the next move. It is pure: package sources reads, this one understands.
//
// Nothing is guessed that could make books look better than they are. A cell
// that can't be read ends the reading, and a column that is not there is noted,
// so that what depends on it is reported as not checked.
package books

import (
	"fmt"
	"time"
)

// The sources of books.
const (
	Storefront = "storefront" // the reference backend's exports
	Postgres   = "postgres"   // a query for each table
	SQLite     = "sqlite"     // likewise, in a file
	Files      = "files"      // CSV or NDJSON, one for each table
	HTTP       = "http"       // pages of JSON, one address for each table
)

// Sources lists the names of the sources.
func Sources() []string { return []string{Storefront, Postgres, SQLite, Files, HTTP} }

// A Mapping is where a backend's books are and what they mean, as a campaign
// says it.
type Mapping struct {
	Source   string            `json:"source"`
	URL      string            `json:"url,omitempty"`        // of Storefront, Postgres and HTTP; may hold ${NAME}
	File     string            `json:"file,omitempty"`       // of SQLite: a plain name
	Headers  map[string]string `json:"headers,omitempty"`    // of HTTP; may hold ${NAME}
	Timeout  time.Duration     `json:"timeout_ns,omitempty"` // of one query or one request; 0: DefaultTimeout
	Currency string            `json:"currency,omitempty"`   // of every amount; empty: a column says it
	Decimals int               `json:"decimals,omitempty"`   // of amounts that are written as 9.00; 0: whole minor units
	Zone     string            `json:"zone,omitempty"`       // of times that name none; empty: such times are refused
	Format   string            `json:"format,omitempty"`     // of times: see Formats; empty: RFC 3339 or SQL's form
	Outside  string            `json:"outside,omitempty"`    // Skip: rows from outside the run are passed over; empty: refused

	Orders  Table `json:"orders,omitzero"`
	Coupons Table `json:"coupons,omitzero"`
	Stocks  Table `json:"stocks,omitzero"`
	Seats   Table `json:"seats,omitzero"`
}

// DefaultTimeout is how long one query or one request may take.
const DefaultTimeout = 5 * time.Minute

// None is the column of a field that the books do not say.
const None = "-"

// Skip is the Outside of books that hold more than the run.
const Skip = "skip"

// A Table is where one kind of row is, and what its columns are called. It is
// empty where the source has no such rows.
type Table struct {
	Query   string            `json:"query,omitempty"`   // of Postgres and SQLite
	File    string            `json:"file,omitempty"`    // of Files: a plain name
	Path    string            `json:"path,omitempty"`    // of HTTP: what follows the URL
	Rows    string            `json:"rows,omitempty"`    // of HTTP: gjson path of the list in a page; empty: the page is the list
	Next    Next              `json:"next,omitzero"`     // of HTTP
	Columns map[string]string `json:"columns,omitempty"` // by field; what is left out is called as the storefront calls it
	Void    []string          `json:"void,omitempty"`    // of orders: what the column of the field void holds for an order that is no sale
}

// A Next says how a page leads to the next one. It is empty for a single page.
type Next struct {
	By        string `json:"by,omitempty"`        // Link, Cursor, Offset or Page
	Path      string `json:"path,omitempty"`      // gjson path of the next address or cursor in a page; of Link, empty: the Link header
	Parameter string `json:"parameter,omitempty"` // of the query string, for Cursor, Offset and Page
}

// The ways from page to page.
const (
	Link   = "link"   // an address, in the Link header (RFC 8288) or in the page; none: the last page
	Cursor = "cursor" // a value in the page, to send as the parameter; none: the last page
	Offset = "offset" // the rows so far, as the parameter; the last page is empty
	Page   = "page"   // 1, 2, 3 …, as the parameter; the last page is empty
)

// Ways lists the ways from page to page.
func Ways() []string { return []string{Link, Cursor, Offset, Page} }

// Tables lists the kinds of rows, in the order in which they are read.
func Tables() []string { return []string{"orders", "coupons", "stocks", "seats"} }

// Table returns the table of that kind.
func (m *Mapping) Table(kind string) *Table {
	switch kind {
	case "orders":
		return &m.Orders
	case "coupons":
		return &m.Coupons
	case "stocks":
		return &m.Stocks
	case "seats":
		return &m.Seats
	}
	panic("there is no table " + kind) // of Tables
}

// Given says whether the table is there.
func (t *Table) Given() bool { return t.Query != "" || t.File != "" || t.Path != "" }

// place returns the zone of times that name none; nil where there is none.
func (m *Mapping) place() (*time.Location, error) {
	if m.Zone == "" {
		return nil, nil
	}
	return ParseZone(m.Zone)
}

// ParseZone reads a zone: an offset such as +08:00, or a name such as
// Asia/Shanghai. Local is refused: it means another zone on another machine.
func ParseZone(s string) (*time.Location, error) {
	if at, err := time.Parse("-07:00", s); err == nil {
		_, offset := at.Zone()
		return time.FixedZone(zoneName(time.Duration(offset)*time.Second), offset), nil
	}
	if s == "" || s == "Local" {
		return nil, fmt.Errorf("%q is no zone", s)
	}
	return time.LoadLocation(s)
}

// zoneName writes an offset as ParseZone reads it.
func zoneName(offset time.Duration) string {
	return time.Time{}.In(time.FixedZone("", int(offset/time.Second))).Format("-07:00")
}
