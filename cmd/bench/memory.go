package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"
)

const (
	shoppers = 15_000 // a process may have 20,000 files open
	many     = 100_000
	few      = 500
	settle   = 10 * time.Second // after the last shopper has come to where it stays
)

// memory measures what a shopper takes of the k6 child's memory: all that is
// resident, divided by the shoppers. Nothing is taken off for an idle k6.
func (b *bench) memory(ctx context.Context) error {
	lines := ""
	fmt.Printf("%d shoppers on one worker, resident memory of its k6 child\n%-36s %10s %10s %14s\n", shoppers, "", "now, MB", "peak, MB", "KB a shopper")
	for _, m := range []struct {
		name, line string
		pooled     bool
		halt       bool // in the middle of a stream
	}{
		{"thinking, with a connection each", "kb_per_shopper_own_connection", false, false},
		{"thinking, connections pooled", "kb_per_shopper_pooled", true, false},
		{"in the middle of an open stream", "kb_per_open_stream", false, true},
	} {
		used, err := b.standing(ctx, m.pooled, m.halt)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		each := float64(used.rss) / shoppers / kib
		fmt.Printf("%-36s %10.0f %10.0f %14.1f\n", m.name, float64(used.rss)/(kib*kib), float64(used.peak)/(kib*kib), each)
		lines += fmt.Sprintf("%s: %.1f\n", m.line, each)
	}

	peak, err := b.crowded(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("\n%sgb_at_100000_pooled: %.2f\n", lines, peak)
	return nil
}

// crowded measures what an order costs where few shoppers are live at once and
// where many are. Both crowds send the same orders a second and differ in how
// long each shopper stays. What counts is a minute in which as many come as
// leave: while a crowd gathers and when it goes its core has less to do, and an
// order is dearer. It returns the most memory that many took, in GB.
func (b *bench) crowded(ctx context.Context) (peak float64, err error) {
	target, stop, err := b.storefront(ctx, 1)
	if err != nil {
		return 0, err
	}
	defer stop()
	const (
		rate   = 1000 // shoppers a second
		margin = 5 * time.Second
	)
	fmt.Printf("\n%d orders a second, connections pooled\n%-24s %14s %12s %24s %16s\n", rate, "", "live at once", "peak, GB", "orders per CPU-second", "in all the run")
	var each []float64
	for _, live := range []int{few, many} {
		stay := time.Duration(live) * time.Second / rate
		from := stay.Round(time.Second) + margin
		to := from + time.Minute
		var seen []reading
		r, used, err := b.crowd(ctx, target, crowd{For: to + margin, Rate: rate, Pooled: true, Think: stay / (steps - 1)}, func(u usage) bool {
			seen = append(seen, reading{time.Now(), u.cpu})
			return true
		})
		if err != nil {
			return 0, fmt.Errorf("%d shoppers: %w", live, err)
		}
		peak = float64(used.peak) / (1 << 30)
		spent := processor(seen, r.Started.Add(from), r.Started.Add(to))
		each = append(each, float64(r.orders(from, to))/spent.Seconds())
		fmt.Printf("%-24s %14d %12.2f %24.0f %16.0f\n", fmt.Sprint(live, " shoppers"), r.live(), peak, each[len(each)-1], float64(r.Orders.Promised)/used.cpu.Seconds())
	}
	fmt.Printf("a crowd of %d sends %.2f of the orders per CPU-second of one of %d\n", many, each[1]/each[0], few)
	return peak, nil
}

// A reading is what a process had used of the processor at a moment.
type reading struct {
	at  time.Time
	cpu time.Duration
}

// processor returns what was used between two moments, as far as it was seen.
func processor(seen []reading, from, to time.Time) time.Duration {
	at := func(t time.Time) time.Duration {
		i, _ := slices.BinarySearchFunc(seen, t, func(r reading, t time.Time) int { return r.at.Compare(t) })
		if i == len(seen) {
			i--
		}
		return seen[i].cpu
	}
	return at(to) - at(from)
}

// standing lets shoppers come and stay: each is answered one turn and thinks for
// an hour or, halted, gets half of an answer. It returns the most that the child
// uses once it has settled.
func (b *bench) standing(ctx context.Context, pooled, halt bool) (most usage, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return most, err
	}
	var served atomic.Int64
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		talk(w, halt)
		served.Add(1)
		if halt {
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	})}
	go server.Serve(l)
	defer server.Close()

	var settled time.Time
	over := false
	last := time.Now().Add(5 * time.Minute)
	_, _, err = b.crowd(ctx, "http://"+l.Addr().String(), crowd{For: 10 * time.Second, Rate: shoppers / 10, Pooled: pooled, Think: time.Hour}, func(u usage) bool {
		now := time.Now()
		if settled.IsZero() && served.Load() == shoppers {
			settled = now.Add(settle)
		}
		if !settled.IsZero() && now.After(settled) {
			most.rss, most.peak, most.cpu = max(most.rss, u.rss), u.peak, u.cpu
			over = now.After(settled.Add(5 * time.Second))
		}
		return !over && now.Before(last)
	})
	if err == nil && !over {
		err = fmt.Errorf("%d of %d shoppers came", served.Load(), shoppers)
	}
	return most, err
}

// talk writes a streamed answer of 32 deltas, or half of one.
func talk(w io.Writer, half bool) {
	const chunk = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1770336000,"model":"qwen-shop","choices":[{"index":0,"delta":{"content":%q},"finish_reason":%s}]}` + "\n\n"
	for n := range 32 {
		if half && n == 16 {
			return
		}
		fmt.Fprintf(w, chunk, "milk tea, ", "null")
	}
	fmt.Fprintf(w, chunk+"data: [DONE]\n\n", "", `"stop"`)
}
