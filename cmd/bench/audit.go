package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/audit"
	"github.com/flashcrowd/flashcrowd/results/store"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

const (
	auditSeed = 20260206
	perCut    = 10_000 // entries of a snapshot
)

// audit measures an audit of so many ledger entries against as many orders: the
// ledger from the file of a run, as workers' snapshots in it, the books from an
// export as the storefront writes it. Both are made first, which does not count.
func (b *bench) audit(ctx context.Context) error {
	kept, err := b.ledger(filepath.Join(b.dir, store.FileName))
	if err != nil {
		return err
	}
	defer kept.Close()
	path := filepath.Join(b.dir, "orders.ndjson")
	if err := b.export(path); err != nil {
		return err
	}
	books, err := os.Open(path)
	if err != nil {
		return err
	}
	defer books.Close()
	// The kernel then counts the peak from here.
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		return err
	}
	before, err := usageOf(os.Getpid())
	if err != nil {
		return err
	}
	start := time.Now()
	a, err := audit.Run(ctx, kept.Ledger(), audit.Books{Orders: audit.ReadOrders(books)}, audit.Options{
		Owner: func(key string) (string, bool) {
			u, err := scenarios.ParseUUID(key)
			if err != nil {
				return "", false
			}
			i, ours := scenarios.ParseKey(auditSeed, u)
			return userOf(i.ID), ours
		},
		Scratch: func() (audit.Scratch, error) { return os.CreateTemp(b.dir, "audit-*.tmp") },
	})
	if err != nil {
		return err
	}
	took := time.Since(start)
	after, err := usageOf(os.Getpid())
	if err != nil {
		return err
	}
	if n := uint64(b.entries); a.Promised != n || a.Booked != n || a.Matched != n || len(a.In(results.StateBroken)) > 0 {
		return fmt.Errorf("%d entries and orders: %+v", n, a)
	}
	cpu, peak := (after.cpu - before.cpu).Seconds(), float64(after.peak)/(kib*kib)
	fmt.Printf("%d ledger entries against as many orders: %.0f s, %.0f s of processor time, at most %.0f MB\n", b.entries, took.Seconds(), cpu, peak)
	fmt.Printf("audit_seconds: %.1f\naudit_cpu_seconds: %.1f\naudit_peak_mb: %.0f\n", took.Seconds(), cpu, peak)
	return nil
}

func userOf(id scenarios.ID) string {
	return scenarios.Key(auditSeed, scenarios.Intent{ID: id, Step: scenarios.UserStep}).String()
}

func (b *bench) promise(n int) results.Promise {
	key := scenarios.Key(auditSeed, scenarios.Intent{ID: shopperAt(n), Step: 6})
	return results.Promise{Kind: results.OrderPromise, Known: true, Key: key.String(), ID: "ord_" + strconv.Itoa(n), Coupon: strconv.Itoa(1_000_000_000 + n),
		Amount: 500, Subtotal: 3000, Currency: "CNY", At: time.Duration(n) * time.Microsecond, Took: 5 * time.Millisecond}
}

func shopperAt(n int) scenarios.ID {
	return scenarios.ID{Slot: scenarios.Slot(n % scenarios.Slots), Number: uint32(n / scenarios.Slots)}
}

// ledger makes a run whose workers were promised the orders.
func (b *bench) ledger(path string) (*store.Store, error) {
	kept, err := store.Create(path, store.Header{About: results.About{ID: "bench", Campaign: "bench", Planned: uint64(b.entries)}, Plan: []byte{0}, Created: time.Now()})
	if err != nil {
		return nil, err
	}
	r := results.NewRecorder("worker")
	for n, seq := 0, uint64(1); n < b.entries; seq++ {
		for range min(perCut, b.entries-n) {
			r.Add(b.promise(n))
			n++
		}
		if err := kept.Commit(results.Delivery{Worker: "worker", Seq: seq, Bytes: results.Encode(r.Cut(seq, 0, results.Health{}))}); err != nil {
			return nil, errors.Join(err, kept.Close())
		}
	}
	return kept, nil
}

// export writes the orders, in another order than they were promised.
func (b *bench) export(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	const step = 7_368_787 // a prime: every order once
	at := strconv.Quote(time.Date(2026, 2, 6, 12, 0, 0, 123456789, time.UTC).Format(time.RFC3339Nano))
	for i := range b.entries {
		n := i * step % b.entries
		p := b.promise(n)
		_, err := w.WriteString(strings.Join([]string{`{"order_id":"`, p.ID, `","checkout_id":"chk_`, strconv.Itoa(n), `","key":"`, p.Key, `","user":"`, userOf(shopperAt(n)),
			`","item":"milk-tea","quantity":1,"coupon":"`, p.Coupon, `","subtotal":3000,"discount":2500,"amount":500,"currency":"CNY","at":`, at, `,"void":false}`, "\n"}, ""))
		if err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return errors.Join(w.Flush(), f.Close())
}
