package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

const fleetCampaign = `name: fleet
seed: 1
crowd:
  stages: [{name: noon, for: 4h, rate: 15000/s}]
  personas: {patient: 1}
  journeys: {order: 1}
target:
  chat:     {protocol: openai, path: /v1, model: m}
  coupons:  {protocol: wxpay-favor, stock_id: free-order}
  checkout: {protocol: ucp, version: 2026-04-08, path: /ucp}
`

// coordinator measures what an exchange costs the coordinator: the real program
// in a process of its own, with its gossip, its progress and its file on disk.
// The workers are simulated in this process, each with its own certificate and
// its own connection, which stays open. They join, and then leave gossip: what is
// asked here is what exchanges cost.
func (b *bench) coordinator(ctx context.Context) error {
	lead, err := b.lead(ctx, fleetCampaign, "http://127.0.0.1:9", b.workers) // nobody loads it
	if err != nil {
		return err
	}
	defer lead.stop()
	began := time.Now()
	nodes, err := gather(ctx, lead, b.workers)
	if err != nil {
		return errors.Join(err, lead.said())
	}
	fmt.Printf("%d workers joined in %v; a snapshot has %d series, %d promises and %d bytes\n\n",
		len(nodes), time.Since(began).Round(time.Second), secondSeries, len(nodes[0].day[0].Ledger), len(results.Encode(nodes[0].day[0])))
	fmt.Printf("%-28s %10s %14s %10s %10s %18s\n", "after minute", "exchanges", "CPU, ms each", "heap, MB", "RSS, MB", "answered, p99 ms")
	fleet := fleet{lead: lead, nodes: nodes}
	each, err := fleet.minutes(ctx, 1, true)
	for _, until := range []int64{2, 5, 20, 60} {
		if until = min(until, b.minutes); err == nil && until*60 > fleet.second {
			_, err = fleet.minutes(ctx, until, false)
		}
	}
	if err != nil {
		return errors.Join(err, lead.said())
	}
	fmt.Printf("\ncoordinator_ms_per_exchange: %.3f\n", each)
	return nil
}

// fleet is the workers once they are at work.
type fleet struct {
	lead   *leader
	nodes  []*node
	second int64
}

// minutes lets the fleet work to the end of that minute of the run, in real time
// or as fast as it can, and prints and returns what an exchange cost the
// coordinator, in milliseconds.
func (f *fleet) minutes(ctx context.Context, until int64, paced bool) (each float64, err error) {
	before, err := usageOf(f.lead.cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	count, took := 0, &results.Histogram{}
	var mu sync.Mutex
	for ; f.second < until*60; f.second++ {
		begin := time.Now()
		err := together(len(f.nodes), func(i int) error {
			if paced { // each at its own moment of the second
				time.Sleep(time.Duration(i) * time.Second / time.Duration(len(f.nodes)))
			}
			sent := time.Now()
			err := f.nodes[i].exchange(ctx, f.second)
			mu.Lock()
			defer mu.Unlock()
			took.Record(int64(time.Since(sent)))
			return err
		})
		if err != nil {
			return 0, fmt.Errorf("second %d: %w", f.second, err)
		}
		count += len(f.nodes)
		if paced {
			time.Sleep(time.Until(begin.Add(time.Second)))
		}
	}
	after, err := usageOf(f.lead.cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	each = (after.cpu - before.cpu).Seconds() * 1000 / float64(count)
	pace := map[bool]string{true: "in real time", false: "as fast as they come"}[paced]
	fmt.Printf("%-28s %10d %14.3f %10d %10d %18.1f\n", fmt.Sprintf("%d, %s", until, pace), count, each,
		f.lead.heap.Load()>>20, after.rss>>20, took.Quantile(0.99).Seconds()*1000)
	return each, nil
}
