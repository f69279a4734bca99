package sources

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/results/books"
)

// lineSheet is NDJSON: one object on a line.
type lineSheet struct {
	name string
	open func() (io.ReadCloser, error)
}

// Where implements books.Sheet.
func (s lineSheet) Where(n int) string { return where(s.name, n) }

// Columns implements books.Sheet.
func (lineSheet) Columns() ([]string, error) { return nil, nil }

// Rows implements books.Sheet.
func (s lineSheet) Rows(columns []string) iter.Seq2[books.Row, error] {
	return func(yield func(books.Row, error) bool) {
		raw, err := s.open()
		if err != nil {
			yield(books.Row{}, err)
			return
		}
		defer raw.Close() // only read
		text, err := textOf(raw)
		if err != nil {
			yield(books.Row{}, fmt.Errorf("%s: %w", s.name, err))
			return
		}
		lines := bufio.NewReaderSize(text, maxLine)
		into := newPicker(columns)
		for n := 1; ; n++ {
			line, err := lines.ReadSlice('\n')
			last := err == io.EOF
			switch {
			case errors.Is(err, bufio.ErrBufferFull):
				yield(books.Row{}, fmt.Errorf("%s: it has more than %d bytes", s.Where(n), maxLine))
				return
			case err != nil && !last:
				yield(books.Row{}, fmt.Errorf("%s: %w", s.Where(n), err))
				return
			}
			if line = bytes.TrimSpace(line); len(line) > 0 {
				if !gjson.ValidBytes(line) || line[0] != '{' {
					err := fmt.Errorf("%s: it is no JSON object", s.Where(n))
					if last {
						err = fmt.Errorf("%w, and has no line feed at its end: it may be cut off\nhint: export it again", err)
					}
					yield(books.Row{}, err)
					return
				}
				if !yield(books.Row{N: n, Cells: into.pick(gjson.ParseBytes(line))}, nil) {
					return
				}
			}
			if last {
				return
			}
		}
	}
}

// A picker takes cells out of objects. Columns are gjson paths; those that are
// plain names are found in one pass.
type picker struct {
	plain map[string]int
	paths map[int]string
	cells []books.Cell
}

func newPicker(columns []string) *picker {
	p := &picker{plain: map[string]int{}, paths: map[int]string{}, cells: make([]books.Cell, len(columns))}
	for i, c := range columns {
		if _, twice := p.plain[c]; twice || strings.ContainsAny(c, `.*?|#@\!{}[]()=<>%"'~:`) {
			p.paths[i] = c
		} else {
			p.plain[c] = i
		}
	}
	return p
}

// pick returns the cells of an object, good until the next one.
func (p *picker) pick(object gjson.Result) []books.Cell {
	for i := range p.cells {
		p.cells[i] = books.Cell{State: books.Absent}
	}
	object.ForEach(func(key, value gjson.Result) bool {
		if i, ok := p.plain[key.Str]; ok {
			p.cells[i] = cell(value)
		}
		return true
	})
	for i, path := range p.paths {
		p.cells[i] = cell(object.Get(path))
	}
	return p.cells
}

// cell is a value as text: numbers as they are written, lists and objects as
// JSON.
func cell(v gjson.Result) books.Cell {
	switch {
	case !v.Exists():
		return books.Cell{State: books.Absent}
	case v.Type == gjson.Null:
		return books.Cell{State: books.Null}
	case v.Type == gjson.String:
		return books.Cell{Text: v.Str}
	}
	return books.Cell{Text: v.Raw}
}
