package main

import (
	"context"
	"fmt"
	"time"
)

// lag measures how late shoppers come, while the k6 child takes about half of
// its core: each has many turns, because arrivals alone would not keep it busy.
// Beside it stands what the machine keeps from whoever uses that core: nobody is
// more punctual than that.
func (b *bench) lag(ctx context.Context) error {
	target, stop, err := b.storefront(ctx, 1)
	if err != nil {
		return err
	}
	defer stop()
	const (
		rate  = 300
		long  = 20 * time.Second
		think = 100 * time.Millisecond
		turns = 20
	)
	var p99 []float64
	fmt.Printf("%d arrivals a second, %d turns each\n%-6s %18s %10s %10s %10s %12s %12s\n", rate, turns, "round", "load, cores", "p50, ms", "p99, ms", "max, ms", "withheld, %", "longest, ms")
	for round := range b.rounds {
		kept, longest, err := withheld(b.client, spin)
		if err != nil {
			return err
		}
		r, used, err := b.crowd(ctx, target, crowd{For: long, Rate: rate, Turns: turns, Think: think}, nil)
		if err != nil {
			return err
		}
		v := r.Metrics["schedule_lag"].Values
		p99 = append(p99, v["p99_ns"]/1e6)
		load := used.cpu.Seconds() / (long + (turns+3)*think).Seconds()
		fmt.Printf("%-6d %18.2f %10.3f %10.3f %10.3f %12.2f %12.3f\n", round+1, load, v["p50_ns"]/1e6, v["p99_ns"]/1e6, v["max_ns"]/1e6,
			100*kept.Seconds()/spin.Seconds(), longest.Seconds()*1e3)
	}
	fmt.Printf("\nlag_p99_ms: %.2f\n", median(p99))
	return nil
}

// spin is how long a core is watched before each round.
const spin = 5 * time.Second
