package sources

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/flashcrowd/flashcrowd/results/books"
)

// maxLine bounds one row of a file, in bytes.
const maxLine = 1 << 20

// files are the tables of a folder.
type files struct {
	root    *os.Root
	mapping books.Mapping
}

func openFiles(c Config) (string, reader, error) {
	root, err := os.OpenRoot(c.Dir)
	if err != nil {
		return "", nil, fmt.Errorf("open the folder of the files: %w\nhint: --data DIR", err)
	}
	var names []string
	for _, table := range books.Tables() {
		if f := c.Mapping.Table(table).File; f != "" {
			names = append(names, f)
		}
	}
	return strings.Join(names, ", "), &files{root, c.Mapping}, nil
}

func (f *files) close() error { return f.root.Close() }

func (f *files) sheet(table string) (books.Sheet, error) {
	name := f.mapping.Table(table).File
	if name == "" {
		return nil, nil
	}
	if info, err := f.root.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no file %s\nhint: it is looked for beside the campaign, or in --data DIR", name)
	} else if err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", name)
	}
	file := file{f.root, name}
	if strings.HasSuffix(strings.TrimSuffix(name, ".gz"), ".csv") {
		return csvSheet{file}, nil
	}
	return lineSheet{name, file.open}, nil
}

// A file is read from its beginning each time.
type file struct {
	root *os.Root
	name string
}

func (f file) open() (io.ReadCloser, error) {
	raw, err := f.root.Open(f.name)
	if err != nil {
		return nil, err
	}
	if !strings.HasSuffix(f.name, ".gz") {
		return raw, nil
	}
	unpacked, err := gzip.NewReader(raw)
	if err != nil {
		raw.Close() // only read
		return nil, fmt.Errorf("%s: unpack it: %w", f.name, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{unpacked, raw}, nil
}

func where(name string, n int) string {
	if n == 0 {
		return name
	}
	return fmt.Sprintf("%s: line %d", name, n)
}

// csvSheet is a CSV file as RFC 4180 has it, with a header.
type csvSheet struct{ file }

// Where implements books.Sheet.
func (s csvSheet) Where(n int) string { return where(s.name, n) }

// Columns implements books.Sheet.
func (s csvSheet) Columns() (columns []string, err error) {
	for record, err := range s.records() {
		if err != nil {
			return nil, err
		}
		columns = slices.Clone(record.cells)
		break
	}
	if columns == nil {
		return nil, fmt.Errorf("%s is empty: it has no header", s.name)
	}
	for i, name := range columns {
		if slices.Contains(columns[:i], name) {
			return nil, fmt.Errorf("%s: line 1: the header has %q twice", s.name, name)
		}
	}
	return columns, nil
}

// Rows implements books.Sheet.
func (s csvSheet) Rows(columns []string) iter.Seq2[books.Row, error] {
	return func(yield func(books.Row, error) bool) {
		var at []int // of each column; nil before the header
		width := 0
		row := books.Row{Cells: make([]books.Cell, len(columns))}
		for record, err := range s.records() {
			switch {
			case err != nil:
				yield(books.Row{}, err)
				return
			case at == nil:
				at, width = []int{}, len(record.cells)
				for _, name := range columns {
					at = append(at, slices.Index(record.cells, name))
				}
				continue
			case len(record.cells) != width:
				yield(books.Row{}, fmt.Errorf("%s: it has %d cells, the header %d\nhint: a line that was cut off, or a comma that is not in quotes", s.Where(record.line), len(record.cells), width))
				return
			}
			row.N = record.line
			for i, place := range at {
				if row.Cells[i] = (books.Cell{State: books.Absent}); place >= 0 {
					row.Cells[i] = books.Cell{Text: record.cells[place]}
				}
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// A record is one line of a CSV file, or several where a cell has line breaks.
type record struct {
	line  int
	cells []string // good until the next one
}

func (s csvSheet) records() iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		raw, err := s.open()
		if err != nil {
			yield(record{}, err)
			return
		}
		defer raw.Close() // only read
		source := &tail{from: raw}
		text, err := textOf(source)
		if err != nil {
			yield(record{}, fmt.Errorf("%s: %w", s.name, err))
			return
		}
		skipped := source.read - int64(text.Buffered())
		r := csv.NewReader(text)
		r.ReuseRecord, r.FieldsPerRecord = true, -1
		for line := 0; ; {
			source.left = maxLine
			cells, err := r.Read()
			var parse *csv.ParseError
			switch {
			case err == io.EOF:
				return
			case errors.As(err, &parse):
				yield(record{}, fmt.Errorf("%s: %w\nhint: a line that was cut off, or a quote that nothing closes", s.Where(parse.StartLine), parse.Err))
				return
			case err != nil:
				yield(record{}, fmt.Errorf("%s: after line %d: %w", s.name, line, err))
				return
			}
			line, _ = r.FieldPos(0)
			if source.ended && skipped+r.InputOffset() == source.read && source.last != '\n' {
				yield(record{}, fmt.Errorf("%s: the last line has no line feed at its end: it may be cut off\nhint: export it again, or end the line if it is whole", s.Where(line)))
				return
			}
			if i := slices.IndexFunc(cells, func(c string) bool { return !utf8.ValidString(c) }); i >= 0 {
				yield(record{}, fmt.Errorf("%s: cell %d is not UTF-8", s.Where(line), i+1))
				return
			}
			if !yield(record{line, cells}, nil) {
				return
			}
		}
	}
}

// A tail knows how what was read ends, and bounds what is read at a time.
type tail struct {
	from  io.Reader
	left  int
	read  int64
	last  byte
	ended bool
}

var errLong = fmt.Errorf("a row has more than %d bytes\nhint: a quote that nothing closes?", maxLine)

// Read implements io.Reader.
func (t *tail) Read(p []byte) (int, error) {
	if t.left < 0 {
		return 0, errLong
	}
	n, err := t.from.Read(p)
	t.left -= n
	t.read += int64(n)
	if n > 0 {
		t.last = p[n-1]
	}
	t.ended = err == io.EOF
	return n, err
}

// textOf skips the mark that some editors put before UTF-8 and refuses UTF-16.
func textOf(r io.Reader) (*bufio.Reader, error) {
	text := bufio.NewReaderSize(r, 64<<10)
	mark, _ := text.Peek(3)
	if bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = text.Discard(3) // peeked
	} else if len(mark) > 1 && (string(mark[:2]) == "\xff\xfe" || string(mark[:2]) == "\xfe\xff") {
		return nil, errors.New("it is UTF-16, not UTF-8")
	}
	return text, nil
}
