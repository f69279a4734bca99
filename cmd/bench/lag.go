package main

import (
	"context"
	"fmt"
	"os/exec"
	"time"
)

// lag measures how late shoppers come, while the k6 child takes about half of
// its core: each has many turns, because arrivals alone would not keep it busy.
// A core that is pinned is not one's own: the kernel's threads and whatever else
// runs on the machine take their turns on it. So each round is run twice, at
// ordinary priority and at real-time priority, at which nothing but interrupts
// comes between. Beside the first stands what the machine keeps from whoever uses
// that core at ordinary priority: nobody is more punctual than that.
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
	priorities := []bool{false}
	if said, err := exec.CommandContext(ctx, "chrt", "--fifo", realTime, "true").CombinedOutput(); err != nil {
		fmt.Printf("not measured at real-time priority, which needs root or CAP_SYS_NICE: %v: %s", err, said)
	} else {
		priorities = append(priorities, true)
	}
	p99 := map[bool][]float64{}
	fmt.Printf("%d arrivals a second, %d turns each\n%-6s %-10s %12s %10s %10s %10s %12s %12s\n", rate, turns,
		"round", "priority", "load, cores", "p50, ms", "p99, ms", "max, ms", "withheld, %", "longest, ms")
	for round := range b.rounds {
		kept, longest, err := withheld(b.client, spin)
		if err != nil {
			return err
		}
		for _, urgent := range priorities {
			r, used, err := b.crowd(ctx, target, crowd{For: long, Rate: rate, Turns: turns, Think: think, Urgent: urgent}, nil)
			if err != nil {
				return err
			}
			v := r.Metrics["schedule_lag"].Values
			p99[urgent] = append(p99[urgent], v["p99_ns"]/1e6)
			load := used.cpu.Seconds() / (long + (turns+3)*think).Seconds()
			name, beside := "ordinary", fmt.Sprintf(" %12.2f %12.3f", 100*kept.Seconds()/spin.Seconds(), longest.Seconds()*1e3)
			if urgent {
				name, beside = "real-time", ""
			}
			fmt.Printf("%-6d %-10s %12.2f %10.3f %10.3f %10.3f%s\n", round+1, name, load, v["p50_ns"]/1e6, v["p99_ns"]/1e6, v["max_ns"]/1e6, beside)
		}
	}
	fmt.Printf("\nlag_p99_ordinary_ms: %.2f\n", median(p99[false]))
	if len(priorities) > 1 {
		fmt.Printf("lag_p99_ms: %.2f\n", median(p99[true]))
	}
	return nil
}

// realTime is the lowest of the real-time priorities.
const realTime = "1"

// spin is how long a core is watched before each round.
const spin = 5 * time.Second
