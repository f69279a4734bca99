package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/books"
	"github.com/flashcrowd/flashcrowd/results/report"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

func planCommand(w world) *cobra.Command {
	var f planFlags
	var asJSON bool
	var workers int
	c := &cobra.Command{
		Use:   "plan CAMPAIGN",
		Short: "Show what would be sent, where to, and what it takes, without sending anything",
		Args:  exactly(1, "one campaign ("+strings.Join(scenarios.Embedded(), ", ")+", or a path)"),
		RunE: func(_ *cobra.Command, args []string) error {
			plan, err := f.plan(args[0])
			if err != nil {
				return err
			}
			if workers < 1 || workers > maxWorkers {
				return usage(fmt.Errorf("--workers %d: 1 to %d on one machine", workers, maxWorkers))
			}
			flight := newPreflight(plan, workers)
			if asJSON {
				return planJSON(w, plan, flight)
			}
			return planText(w, plan, flight)
		},
	}
	f.add(c.Flags())
	c.Flags().IntVar(&workers, "workers", 1, "worker processes that would share the crowd")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func planText(w world, p *scenarios.Plan, flight preflight) error {
	target := redactURL(p.Target.URL)
	if target == "" {
		target = "the built-in storefront, on loopback"
	}
	fmt.Fprintf(w.Out, "%s: %s in %s\n", p.Campaign.Name, results.HumanCountOf(p.Shoppers, "shopper"), results.Human(p.Duration()))
	fmt.Fprintf(w.Out, "target       %s\n", target)
	if a := p.Campaign.Audit; a != nil {
		where := cmp.Or(redactURL(a.URL), a.File)
		if a.Source == books.Files {
			where = "in the campaign's folder"
		}
		fmt.Fprintf(w.Out, "books        %s %s, read after the load\n", a.Source, cmp.Or(where, target))
	}
	fmt.Fprintf(w.Out, "fingerprint  %s\n", p.Fingerprint())
	if n := p.Campaign.Crowd.AtOnce; n > 0 {
		fmt.Fprintf(w.Out, "model        closed: %s\n", report.Closed(n))
	}
	fmt.Fprintf(w.Out, "factors      scale %s, demand %g, compress %g, pace %g\n\n", report.Factor(p.Factors.Scale), p.Factors.Demand, p.Factors.Compress, p.Factors.Pace)
	t := tabwriter.NewWriter(w.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "stage\tfrom\tfor\tshoppers\tarrivals/s\t")
	for _, s := range p.Stages() {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t\n", s.Name, results.Human(s.From), results.Human(s.To-s.From), results.HumanCount(s.Shoppers),
			results.HumanRate(float64(s.Shoppers)/(s.To-s.From).Seconds()))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if err := flight.print(w.Out); err != nil {
		return err
	}
	fmt.Fprintln(w.Out, "\nmust hold")
	for _, rule := range p.Campaign.Thresholds {
		fmt.Fprintf(w.Out, "  %s\n", rule.Rule())
	}
	v := p.Campaign.Validity
	fmt.Fprintf(w.Out, "  validity: at most %s late or never started, %s orphaned, lag p99 %s, CPU %s\n",
		results.HumanShare(v.Late), results.HumanShare(v.Orphaned), results.Human(v.LagP99), results.HumanShare(v.CPU))
	for _, warning := range p.Warnings() {
		fmt.Fprintf(w.Out, "\nwarning: %s\n", warning)
	}
	return nil
}

func planJSON(w world, p *scenarios.Plan, flight preflight) error {
	enc := json.NewEncoder(w.Out)
	enc.SetIndent("", "  ")
	return enc.Encode(struct {
		Campaign    string          `json:"campaign"`
		Fingerprint string          `json:"plan_fingerprint"`
		Target      string          `json:"target"`
		Factors     results.Factors `json:"factors"`
		Shoppers    uint64          `json:"planned_count"`
		AtOnce      uint64          `json:"at_once_count"`
		Duration    int64           `json:"duration_ns"`
		Stages      []results.Stage `json:"stages"`
		Demand      demand          `json:"demand"`
		Machine     []need          `json:"machine"`
		Warnings    []string        `json:"warnings"`
	}{
		p.Campaign.Name, p.Fingerprint(), redactURL(p.Target.URL), p.Factors, p.Shoppers, p.Campaign.Crowd.AtOnce,
		int64(p.Duration()), p.Stages(), demandOf(flight.demand), flight.needs, append([]string{}, p.Warnings()...),
	})
}

// demand is scenarios.Demand for tools.
type demand struct {
	ExpectTurn    int64     `json:"expect_turn_ns"`
	ExpectRequest int64     `json:"expect_request_ns"`
	Sampled       uint64    `json:"sampled_count"`
	Requests      float64   `json:"requests_per_shopper"`
	Visit         int64     `json:"visit_ns"`
	Peak          traffic   `json:"peak"`
	Stages        []traffic `json:"stages"`
}

type traffic struct {
	Name     string  `json:"stage"`
	Arrivals float64 `json:"arrivals_per_s"`
	Requests float64 `json:"requests_per_s"`
	Shoppers float64 `json:"shoppers_at_once"`
	InFlight float64 `json:"requests_at_once"`
	Streams  float64 `json:"streams_at_once"`
}

func demandOf(d scenarios.Demand) demand {
	all := demand{
		int64(d.Expect.Turn), int64(d.Expect.Request), d.Sampled, d.Requests, int64(d.Visit), traffic(d.Peak), nil,
	}
	for _, s := range d.Stages {
		all.Stages = append(all.Stages, traffic(s))
	}
	return all
}
