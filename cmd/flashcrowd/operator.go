package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/user"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/agents/membership"
	"github.com/flashcrowd/flashcrowd/results"
)

// operatorFlags say which fleet is meant.
type operatorFlags struct {
	join []string
	key  string
}

func (f *operatorFlags) add(c *cobra.Command) {
	c.Flags().StringSliceVar(&f.join, "join", []string{defaultGossip}, "host:port of a node of the fleet, or several")
	c.Flags().StringVar(&f.key, "key", "", "file with the cluster key (default: this machine's own, for loopback)")
}

// patienceAsking is how long an operator waits for the fleet.
const patienceAsking = 10 * time.Second

// ask sends one request to the coordinator of the fleet.
func (f *operatorFlags) ask(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	if err := checkJoin(f.join); err != nil {
		return nil, err
	}
	key, err := loadKey(f.key)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patienceAsking)
	defer cancel()
	self, err := membership.NewIdentity()
	if err != nil {
		return nil, err
	}
	fleet, err := membership.Join(ctx, membership.Config{
		Identity: self, Protocol: agents.Protocol, Role: membership.Operator, Name: "operator",
		Bind: bindFor(f.join), Seeds: f.join, Key: key,
	})
	if err != nil {
		return nil, err
	}
	defer fleet.Leave(time.Second)
	for {
		if c, ok := fleet.Coordinator(); ok {
			answer, err := request(ctx, self, c, method, path, body)
			var no *refusal
			if err == nil || errors.As(err, &no) && no.status != http.StatusForbidden || ctx.Err() != nil {
				return answer, err
			}
		}
		select { // it may not know us yet
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil, fmt.Errorf("no coordinator answers at %s within %v\nhint: --join HOST:PORT as the coordinator printed it, and its --key", strings.Join(f.join, ", "), patienceAsking)
		}
	}
}

// refusal is an answer that is no success.
type refusal struct {
	status int
	text   string
}

// Error implements error.
func (r *refusal) Error() string {
	return fmt.Sprintf("the coordinator answers %d: %s", r.status, r.text)
}

func request(ctx context.Context, self membership.Identity, to membership.Member, method, path string, body []byte) ([]byte, error) {
	client := http.Client{Transport: &http.Transport{TLSClientConfig: self.ClientTLS(to.ID), DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(ctx, method, "https://"+to.API+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 16<<20))
	if err == nil && answer.StatusCode > 299 {
		err = &refusal{answer.StatusCode, strings.TrimSpace(string(text))}
	}
	return text, err
}

func statusCommand(w world) *cobra.Command {
	var f operatorFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Show the members of a fleet: slots, load, lag, clock offset and last exchange",
		Args:  exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			answer, err := f.ask(c.Context(), http.MethodGet, "/v1/status", nil)
			if err != nil {
				return err
			}
			var s agents.Status
			if err := json.Unmarshal(answer, &s); err != nil {
				return fmt.Errorf("read the fleet's status: %w", err)
			}
			if asJSON {
				enc := json.NewEncoder(w.Out)
				enc.SetIndent("", "  ")
				return enc.Encode(s)
			}
			return printStatus(w, s)
		},
	}
	f.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printStatus(w world, s agents.Status) error {
	where := "waiting for workers"
	if s.Started {
		where = fmt.Sprintf("at %s of %s", results.Human(s.Elapsed.Round(time.Second)), results.Human(s.Duration))
	}
	if s.Stop != "go" {
		where += ", " + s.Stop
		if s.Why != "" {
			where += ": " + s.Why
		}
	}
	fmt.Fprintf(w.Out, "%s (%s), %s; flashcrowd %s, protocol %d, term %d\n", s.Run, s.Campaign, where, s.Version, s.Protocol, s.Term)
	if s.Waiting > 0 {
		fmt.Fprintf(w.Out, "%s without an owner\n", results.HumanCountOf(uint64(s.Waiting), "slot"))
	}
	t := tabwriter.NewWriter(w.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "WORKER\tSTATE\tSLOTS\tCORES\tLAUNCHED\tIN FLIGHT\tPER SECOND\tLAG P99\tCPU\tMEMORY\tPLAN TIME\tWALL CLOCK\tHEARD\tVERSION\t")
	for _, m := range s.Members {
		fmt.Fprintf(t, "%s\t%s\t%d\t%.1f\t%s\t%s\t%.1f\t%s\t%.0f %%\t%d MiB\t%+.1f ms\t%+.1f ms\t%.1f s ago\t%s\t\n",
			m.Name, m.State, m.Slots, float64(m.Capacity)/1000, results.HumanCount(m.Launched), results.HumanCount(m.InFlight),
			m.Rate, results.Human(m.LagP99), m.Health.CPU*100, m.Health.RSS>>20, float64(m.Offset)/1e6, float64(m.Wall)/1e6, m.Heard.Seconds(), m.Version)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, m := range s.Members {
		if what := m.Health.Withheld(); what != "" {
			fmt.Fprintf(w.Out, "%s: %s\n", m.Name, what)
		}
		if m.Fate != "" {
			fmt.Fprintf(w.Out, "%s: %s\n", m.Name, m.Fate)
		}
	}
	for _, r := range s.Barred {
		fmt.Fprintf(w.Out, "not let in: %s (%s)\n", r.Reason, results.HumanCount(r.Count))
	}
	if s.Apart.Snapshots > 0 {
		fmt.Fprintf(w.Out, "kept apart: snapshots after the end of a lease (%s)\n", results.HumanCount(s.Apart.Snapshots))
	}
	return nil
}

func stopCommand(w world) *cobra.Command {
	var f operatorFlags
	var request agents.StopRequest
	c := &cobra.Command{
		Use:   "stop",
		Short: "End the load of a whole fleet at once; --drain lets shoppers in flight finish",
		Args:  exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if request.Why == "" {
				request.Why = "stopped by " + whoAmI()
			}
			body, err := json.Marshal(request)
			if err != nil {
				return err
			}
			if _, err := f.ask(c.Context(), http.MethodPost, "/v1/stop", body); err != nil {
				return err
			}
			fmt.Fprintln(w.Talk, "the fleet was told to stop")
			return nil
		},
	}
	f.add(c)
	c.Flags().BoolVar(&request.Drain, "drain", false, "let shoppers in flight finish")
	c.Flags().StringVar(&request.Why, "why", "", "reason for the report (default: who stopped it)")
	return c
}

// whoAmI names the user for the report.
func whoAmI() string {
	name := "an operator"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}
