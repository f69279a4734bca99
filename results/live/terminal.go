package live

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"
)

// A Terminal keeps one line up to date. On a terminal it is rewritten in
// place; elsewhere, in a log, each Show adds a line. What else is to be said
// meanwhile goes through Write, which keeps the two apart.
//
// It may be used by several goroutines at once.
type Terminal struct {
	w     io.Writer
	width int // 0: not a terminal

	mu    sync.Mutex
	shown []string // the rows that stand on the terminal
}

// NewTerminal returns one that writes to w: a terminal with that many columns,
// or something else, with width 0.
func NewTerminal(w io.Writer, width int) *Terminal { return &Terminal{w: w, width: width} }

// Show replaces the line.
func (t *Terminal) Show(line string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.width <= 0 {
		_, err := fmt.Fprintln(t.w, line)
		return err
	}
	erase := t.erase()
	t.shown = rows(line, t.width)
	_, err := io.WriteString(t.w, erase+t.text())
	return err
}

// Write prints whole lines above the one that is shown.
func (t *Terminal) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.shown) == 0 {
		return t.w.Write(b)
	}
	if _, err := io.WriteString(t.w, t.erase()+string(b)+t.text()); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close leaves the last line standing and goes on below it.
func (t *Terminal) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.shown) == 0 {
		return nil
	}
	t.shown = nil
	_, err := io.WriteString(t.w, "\n")
	return err
}

var _ io.WriteCloser = (*Terminal)(nil)

// erase returns what clears the rows that stand and goes to their beginning.
func (t *Terminal) erase() string {
	if len(t.shown) == 0 {
		return ""
	}
	up := ""
	if n := len(t.shown) - 1; n > 0 {
		up = fmt.Sprintf("\x1b[%dA", n)
	}
	return "\r" + up + "\x1b[J"
}

func (t *Terminal) text() string { return strings.Join(t.shown, "\n") }

// rows breaks a line into rows that are narrower than width, between its parts
// where it can.
func rows(line string, width int) []string {
	limit := max(1, width-1) // a full row would make some terminals go on below
	var all []string
	row := ""
	for _, part := range strings.Split(line, separator) {
		if row != "" && utf8.RuneCountInString(row+separator+part) > limit {
			all = append(all, row)
			row = ""
		}
		if row != "" {
			row += separator
		}
		row += part
		for runes := []rune(row); len(runes) > limit; runes = []rune(row) {
			all = append(all, string(runes[:limit]))
			row = string(runes[limit:])
		}
	}
	return append(all, row)
}
