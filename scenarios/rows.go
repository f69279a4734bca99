package scenarios

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"unicode/utf8"
)

// A rowFile is a file whose rows are read when they are asked for. It keeps
// where blocks of rows begin, 16 bytes for each 4 KiB of the file, and no row:
// ten million users cost three megabytes.
type rowFile struct {
	name   string
	file   *os.File
	split  bufio.SplitFunc // one row after another; an empty one is none
	blocks []block
	end    int64 // behind the last row
	count  uint64
	sum    [sha256.Size]byte // of the whole file
	seen   os.FileInfo       // when it was indexed
}

// A block is whole rows that lie together, of 4 KiB or a little more.
type block struct {
	first uint64 // row
	at    int64
}

const (
	blockSize = 4 << 10
	maxRow    = 4 << 20 // bytes; whole conversations are rows too
)

// openRows opens and indexes the file of that plain name in a directory, and in
// no other. Messages count what the file is split into from 1, and call it by
// unit. Check looks at each and says whether it counts as a row.
func openRows(root *os.Root, name, unit string, split bufio.SplitFunc, check func(row []byte) (bool, error)) (*rowFile, error) {
	info, err := root.Stat(name) // before opening: a pipe would wait for its writer
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", name)
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	f := &rowFile{name: name, file: file, split: split}
	if f.seen, err = file.Stat(); err == nil {
		err = f.index(unit, check)
	}
	if err == nil {
		err = f.unchanged()
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}

// index reads the whole file once.
func (f *rowFile) index(unit string, check func([]byte) (bool, error)) error {
	sum := sha256.New()
	source := bufio.NewReaderSize(io.TeeReader(f.file, sum), 64<<10)
	if mark, _ := source.Peek(3); string(mark) == "\xef\xbb\xbf" { // some editors' mark
		f.end = 3
		_, _ = source.Discard(3) // peeked
	} else if len(mark) > 1 && (string(mark[:2]) == "\xff\xfe" || string(mark[:2]) == "\xfe\xff") {
		return errors.New("is UTF-16, not UTF-8")
	}
	s := bufio.NewScanner(source)
	s.Buffer(make([]byte, 64<<10), maxRow)
	s.Split(func(data []byte, eof bool) (int, []byte, error) {
		n, token, err := f.split(data, eof)
		f.end += int64(n)
		return n, token, err
	})
	gap := false // what counts for nothing stands only at the end of a block
	for n, at := 1, f.end; s.Scan(); n, at = n+1, f.end {
		if len(s.Bytes()) == 0 {
			continue
		}
		counts, err := false, error(nil)
		if !utf8.Valid(s.Bytes()) {
			err = errors.New("is not UTF-8")
		} else {
			counts, err = check(s.Bytes())
		}
		if err != nil {
			return fmt.Errorf("%s %d: %w", unit, n, err)
		}
		if !counts {
			gap = true
			continue
		}
		if b := len(f.blocks); gap || b == 0 || at-f.blocks[b-1].at >= blockSize {
			f.blocks = append(f.blocks, block{f.count, at})
		}
		gap = false
		f.count++
	}
	switch err := s.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("the %s after row %d has more than %d bytes", unit, f.count, maxRow)
	case err != nil:
		return err
	case f.count == 0:
		return errors.New("has no rows")
	}
	if _, err := io.Copy(io.Discard, source); err != nil {
		return err
	}
	sum.Sum(f.sum[:0])
	return nil
}

// errChanged says that a file is not what was indexed any more.
var errChanged = errors.New("changed while it was in use")

func (f *rowFile) unchanged() error {
	now, err := f.file.Stat()
	if err == nil && (now.Size() != f.seen.Size() || !now.ModTime().Equal(f.seen.ModTime())) {
		err = errChanged
	}
	return err
}

// row returns row i; i is below count.
func (f *rowFile) row(i uint64) ([]byte, error) {
	b := sort.Search(len(f.blocks), func(b int) bool { return f.blocks[b].first > i }) - 1
	end := f.end
	if b+1 < len(f.blocks) {
		end = f.blocks[b+1].at
	}
	data := make([]byte, end-f.blocks[b].at)
	_, err := f.file.ReadAt(data, f.blocks[b].at)
	if changed := f.unchanged(); changed != nil {
		err = changed // which says more than an early end
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	for left := i - f.blocks[b].first; ; {
		n, row, err := f.split(data, true)
		switch {
		case err != nil || n == 0:
			return nil, fmt.Errorf("%s: %w", f.name, errChanged)
		case len(row) == 0:
		case left == 0:
			return row, nil
		default:
			left--
		}
		data = data[n:]
	}
}

// lines splits at line ends; a line of nothing but white space is empty.
func lines(data []byte, eof bool) (int, []byte, error) {
	n, line, err := bufio.ScanLines(data, eof)
	if len(bytes.TrimSpace(line)) == 0 && line != nil {
		line = []byte{} // not nil, which would be no token
	}
	return n, line, err
}
