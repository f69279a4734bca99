package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/audit"
	"github.com/flashcrowd/flashcrowd/results/store"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// auditStorefront holds the ledger of a run against the books of the built-in
// storefront, all of them.
func auditStorefront(ctx context.Context, plan *scenarios.Plan, run *results.Run, kept *store.Store) (*results.Audit, error) {
	s := shopBooks{ctx, plan.Target.URL}
	source := "the storefront's books"
	if rest, err := s.settle(); err != nil {
		return nil, err
	} else if !rest {
		source += ", which still changed while they were read"
	}
	// One machine, one clock: what is left is rounding and the way of a request.
	return auditBooks(ctx, plan, run, kept, s.books(), source, 100*time.Millisecond)
}

// auditBooks holds the ledger of a run against books, whose clock may differ by
// skew from those of the workers.
func auditBooks(ctx context.Context, plan *scenarios.Plan, run *results.Run, kept *store.Store, books audit.Books, source string, skew time.Duration) (*results.Audit, error) {
	late, orders, err := superseded(kept)
	if err != nil {
		return nil, err
	}
	o := auditOptions(plan, run, late, filepath.Dir(kept.Path()))
	o.Source, o.Skew = source, skew
	a, err := audit.Run(ctx, kept.Ledger(), books, o)
	if err != nil {
		return nil, err
	}
	a.Superseded = orders
	return a, nil
}

// superseded returns the keys that workers used whose lease had ended, and told
// of too late, and how many orders they were promised.
func superseded(kept *store.Store) (late map[string]bool, orders uint64, err error) {
	late = map[string]bool{}
	for p, err := range kept.Superseded() {
		if err != nil {
			return nil, 0, err
		}
		late[p.Key] = true
		if p.Kind == results.OrderPromise && p.Known {
			orders++
		}
	}
	return late, orders, nil
}

// auditOptions is what a run and its plan tell an audit, and the keys that were
// told of too late. What does not fit in memory goes to the folder of the run.
func auditOptions(plan *scenarios.Plan, run *results.Run, late map[string]bool, dir string) audit.Options {
	seed := plan.Campaign.Seed
	ended := run.Account.EndedCount()
	o := audit.Options{
		Started: run.Started,
		Stock:   plan.Target.Coupons.StockID,
		Owner: func(key string) (string, bool) {
			i, ours := intentOf(seed, key)
			if !ours {
				return "", false
			}
			return scenarios.Key(seed, scenarios.Intent{ID: i.ID, Step: scenarios.UserStep}).String(), true
		},
		Lost:    unreported(seed, run, late),
		Unseen:  run.Planned - min(ended, run.Planned),
		Scratch: func() (audit.Scratch, error) { return openScratch(dir) },
	}
	personas, journeys := plan.Mix()
	for _, kind := range []struct {
		name    string
		planned map[string]uint64
		tag     func(string) results.Tags
	}{
		{"persona", personas, func(v string) results.Tags { return results.Tags{Persona: v} }},
		{"journey", journeys, func(v string) results.Tags { return results.Tags{Journey: v} }},
	} {
		came := run.Tagged(results.ShoppersEnded, kind.name)
		for name := range kind.planned {
			came = append(came, name)
		}
		slices.Sort(came)
		for _, name := range slices.Compact(came) {
			o.Mix = append(o.Mix, audit.Share{Of: kind.name + " " + name, Planned: kind.planned[name], Ended: run.Count(results.ShoppersEnded, kind.tag(name))})
		}
	}
	return o
}

func intentOf(seed uint64, key string) (scenarios.Intent, bool) {
	u, err := scenarios.ParseUUID(key)
	if err != nil {
		return scenarios.Intent{}, false
	}
	return scenarios.ParseKey(seed, u)
}

// unreported says which keys a worker that was lost may have used after its
// last snapshot: any of this crowd's, once one was lost; nil when none was. Those
// in late it did use.
func unreported(seed uint64, run *results.Run, late map[string]bool) func(key string) bool {
	if len(late) == 0 && !slices.ContainsFunc(run.Workers, func(w results.Worker) bool { return !w.Finished }) {
		return nil
	}
	return func(key string) bool {
		_, ours := intentOf(seed, key)
		return ours || late[key]
	}
}

// openScratch opens a file that is gone when it is closed, whatever happens
// to this process.
func openScratch(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "audit-*.tmp")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// shopBooks is where a storefront's exports are.
type shopBooks struct {
	ctx context.Context
	url string
}

// settle waits until the storefront has done what it was asked for: work whose
// shopper has left may go on, and books that change while they are read
// contradict themselves. It returns false when they do not come to rest in half a
// minute: what is read of them then is told as that.
func (s shopBooks) settle() (rest bool, err error) {
	last := ""
	for range 100 {
		body, err := s.open("/books/summary")
		if err != nil {
			return false, err
		}
		b, err := io.ReadAll(body)
		body.Close()
		if err != nil {
			return false, fmt.Errorf("read /books/summary: %w", err)
		}
		if string(b) == last {
			return true, nil
		}
		last = string(b)
		select {
		case <-time.After(300 * time.Millisecond):
		case <-s.ctx.Done():
			return false, s.ctx.Err()
		}
	}
	return false, nil
}

func (s shopBooks) books() audit.Books {
	return audit.Books{
		Orders:   exported(s, "/books/orders", audit.ReadOrders),
		Coupons:  exported(s, "/books/coupons", audit.ReadCoupons),
		Stocks:   exported(s, "/books/stocks", audit.ReadStocks),
		Seatings: exported(s, "/books/seats", audit.ReadSeatings),
	}
}

// exported asks for an export when its rows are.
func exported[T any](s shopBooks, path string, read func(io.Reader) iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		body, err := s.open(path)
		if err != nil {
			var none T
			yield(none, err)
			return
		}
		defer body.Close()
		for row, err := range read(body) {
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

func (s shopBooks) open(path string) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(s.ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Timeout: 10 * time.Minute}
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 200))
		answer.Body.Close()
		return nil, fmt.Errorf("GET %s: %s: %s", path, answer.Status, cmp.Or(string(text), "no reason given"))
	}
	return answer.Body, nil
}
