package sources_test

import (
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results/audit"
	"github.com/flashcrowd/flashcrowd/results/books"
	"github.com/flashcrowd/flashcrowd/results/sources"
)

// noon is a run of ten minutes.
var noon = books.Window{From: time.Date(2026, 2, 6, 12, 0, 0, 0, time.UTC), Until: time.Date(2026, 2, 6, 12, 10, 0, 0, time.UTC)}

// gather reads all rows, each as text: its table's first letter, its id and
// what of it the tests look at.
func gather(t testing.TB, c sources.Config) (rows []string, err error) {
	t.Helper()
	c.Run = noon
	s, err := sources.Open(t.Context(), c)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	take := func(text string, failed error) bool {
		if err == nil && failed == nil {
			rows = append(rows, text)
		} else if err == nil {
			err = failed
		}
		return err == nil
	}
	each(s.Books.Orders, func(o audit.Order, err error) bool {
		return take(fmt.Sprintf("o %s %s %d %s", o.ID, o.Key, o.Amount, o.Currency), err)
	})
	each(s.Books.Coupons, func(c audit.Coupon, err error) bool { return take("c "+c.ID+" "+c.Order, err) })
	each(s.Books.Stocks, func(s audit.Stock, err error) bool { return take(fmt.Sprintf("s %s %d", s.ID, len(s.Paused)), err) })
	each(s.Books.Seatings, func(s audit.Seating, err error) bool { return take(fmt.Sprintf("i %s %d", s.Item, s.Seats), err) })
	return rows, err
}

func each[T any](rows iter.Seq2[T, error], take func(T, error) bool) {
	if rows != nil {
		rows(take)
	}
}

// check compares what was read, and a part of the error.
func check(t testing.TB, rows []string, err error, want, problem string) {
	t.Helper()
	if got := strings.Join(rows, ", "); got != want {
		t.Errorf("rows %s, want %s", got, want)
	}
	if err == nil && problem != "" || err != nil && (problem == "" || !strings.Contains(err.Error(), problem)) {
		t.Errorf("error:\n%v\nwant:\n%s", err, problem)
	}
}

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
