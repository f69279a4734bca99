package scenarios

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// A sheet is a file whose rows have columns: CSV with a header, or NDJSON.
type sheet struct {
	*rowFile
	columns []string // of CSV; NDJSON rows have names of their own
}

// sheetEndings are what the name of a sheet ends in.
var sheetEndings = []string{".csv", ".ndjson", ".jsonl"}

// openSheet opens a sheet that must have the needed columns in every row. Every
// value is one line of text, so that it can stand in a header.
func openSheet(root *os.Root, name string, needed []string) (*sheet, error) {
	t := &sheet{}
	check := func(row []byte) (bool, error) { return true, checkObject(row, needed) }
	if strings.HasSuffix(name, ".csv") {
		check = func(row []byte) (bool, error) { return t.checkCells(string(row), needed) }
	}
	var err error
	t.rowFile, err = openRows(root, name, "line", lines, check)
	return t, err
}

// value returns what row i has in a column; empty if it has nothing.
func (t *sheet) value(i uint64, column string) (string, error) {
	row, err := t.row(i)
	if err != nil {
		return "", err
	}
	if t.columns == nil {
		return gjson.GetBytes(row, column).String(), nil
	}
	all, err := cells(string(row))
	if place := slices.Index(t.columns, column); err == nil && place >= 0 && place < len(all) {
		return all[place], nil
	}
	return "", err
}

// checkCells takes the header from the first line, and checks the others.
func (t *sheet) checkCells(line string, needed []string) (isRow bool, err error) {
	all, err := cells(line)
	if err != nil {
		return false, err
	}
	if t.columns != nil {
		if len(all) != len(t.columns) {
			return false, fmt.Errorf("has %d cells, the header %d", len(all), len(t.columns))
		}
		return true, nil
	}
	for i, name := range all {
		switch {
		case name == "":
			return false, fmt.Errorf("column %d of the header has no name", i+1)
		case slices.Contains(all[:i], name):
			return false, fmt.Errorf("the header has %q twice", clip(name, 40))
		}
	}
	for _, name := range needed {
		if !slices.Contains(all, name) {
			return false, fmt.Errorf("the header has no column %q (%s)", name, didYouMean(name, all))
		}
	}
	t.columns = all
	return false, nil
}

// cells splits a line of CSV (RFC 4180), whose cells may be in quotes but may
// not have a line break.
func cells(line string) ([]string, error) {
	all := make([]string, 0, strings.Count(line, ",")+1)
	for {
		var cell string
		if quoted, ok := strings.CutPrefix(line, `"`); ok {
			end := 0
			for {
				n := strings.IndexByte(quoted[end:], '"')
				if n < 0 {
					return nil, errors.New(`has a " that nothing closes; a cell can't have a line break`)
				}
				if end += n; !strings.HasPrefix(quoted[end:], `""`) {
					break
				}
				end += 2
			}
			cell, line = strings.ReplaceAll(quoted[:end], `""`, `"`), quoted[end+1:]
			if line != "" && line[0] != ',' {
				return nil, errors.New(`has text after a closing "`)
			}
		} else {
			end := strings.IndexByte(line, ',')
			if end < 0 {
				end = len(line)
			}
			cell, line = line[:end], line[end:]
			if strings.Contains(cell, `"`) {
				return nil, errors.New(`has a " inside a cell that does not begin with one`)
			}
		}
		if strings.ContainsFunc(cell, isControl) {
			return nil, errors.New("has a control character")
		}
		all = append(all, cell)
		if line == "" {
			return all, nil
		}
		line = line[1:]
	}
}

// checkObject checks a row of NDJSON.
func checkObject(row []byte, needed []string) error {
	if !gjson.ValidBytes(row) || !gjson.ParseBytes(row).IsObject() {
		return errors.New("is no JSON object on one line")
	}
	for _, name := range needed {
		switch v := gjson.GetBytes(row, name); {
		case !v.Exists() || v.Type == gjson.Null:
			return fmt.Errorf("has no %q", name)
		case v.IsObject() || v.IsArray():
			return fmt.Errorf("%q is not a text, a number, true or false", name)
		case strings.ContainsFunc(v.String(), isControl):
			return fmt.Errorf("%q has a control character", name)
		}
	}
	if strings.ContainsFunc(gjson.GetBytes(row, "id").String(), isControl) { // users may have one that nobody asked for
		return errors.New(`"id" has a control character`)
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
