package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// stressed are the designs that the same surge comes over.
var stressed = []string{"naive", "guarded", "waiting-room", "sharded-coupons"}

// A surged is what is needed of a run's JSON.
type surged struct {
	Load    string `json:"load_fingerprint"`
	Verdict struct {
		Outcome string `json:"outcome"`
	} `json:"verdict"`
	Seconds []struct {
		At       int    `json:"at_s"`
		Launched uint64 `json:"launched_count"`
		Orders   uint64 `json:"orders_count"`
	} `json:"seconds"`
	Orders struct {
		Promised uint64  `json:"promised"`
		PerOrder float64 `json:"requests_per_order"`
		Audit    *struct {
			Booked     uint64    `json:"booked_count"`
			Invariants []finding `json:"invariants"`
		} `json:"audit"`
	} `json:"orders"`
	Story *struct {
		Tipped    *time.Duration `json:"tipped_at_ns"`
		Recovered *time.Duration `json:"recovered_at_ns"`
		Judged    time.Duration  `json:"judged_to_ns"`
		Best      float64        `json:"best_orders_per_s"`
		Worst     float64        `json:"worst_orders_per_s"`
	} `json:"story"`
}

// surge runs spring-festival against each design, one after the other, and
// prints one picture and one table of them.
func (b *bench) surge(ctx context.Context) error {
	var runs []surged
	for _, design := range stressed {
		fmt.Fprintf(os.Stderr, "%s: a minute and a half, and what the design takes to end\n", design)
		out := filepath.Join(b.dir, design+".json")
		c := exec.CommandContext(ctx, b.program, "run", "spring-festival", "--design", design, "--runs", filepath.Join(b.dir, "runs"), "--json", out)
		said, ended := c.CombinedOutput() // how it ended is in the report
		text, err := os.ReadFile(out)
		if err != nil {
			return fmt.Errorf("%s: %w: %s", design, ended, said)
		}
		var r surged
		if err := json.Unmarshal(text, &r); err != nil {
			return fmt.Errorf("%s: %w", design, err)
		}
		if r.Orders.Audit == nil || len(r.Orders.Audit.Invariants) == 0 || r.Story == nil {
			return fmt.Errorf("%s: the report has no audit or no story: %s", design, said[max(0, len(said)-600):])
		}
		runs = append(runs, r)
	}
	drawSurge(os.Stdout, runs)
	return sameLoad(runs)
}

// sameLoad returns an error if the designs did not have the same crowd.
func sameLoad(runs []surged) error {
	for i, r := range runs {
		if r.Load != runs[0].Load {
			return fmt.Errorf("%s had another load than %s: %s, not %s", stressed[i], stressed[0], r.Load, runs[0].Load)
		}
	}
	return nil
}

// column is how much of the run a character of the picture stands for, seconds.
const column = 2

// drawSurge draws what came and what each design sold of it, all on one scale,
// and lists what became of it.
func drawSurge(w io.Writer, runs []surged) {
	columns := 0
	for _, r := range runs {
		for _, s := range r.Seconds {
			columns = max(columns, s.At/column+1)
		}
	}
	count := func(r surged, of func(i int) uint64) []uint64 {
		all := make([]uint64, columns)
		for i, s := range r.Seconds {
			all[s.At/column] += of(i)
		}
		return all
	}
	came := count(runs[0], func(i int) uint64 { return runs[0].Seconds[i].Launched })
	full := uint64(1)
	for _, n := range came {
		full = max(full, n)
	}
	fmt.Fprintf(w, "%-16s%s\n", "shoppers", bars(came, full))
	for i, r := range runs {
		fmt.Fprintf(w, "%-16s%s %s\n", stressed[i], bars(count(r, func(i int) uint64 { return r.Seconds[i].Orders }), full), r.Verdict.Outcome)
	}
	fmt.Fprintf(w, "\na column is %d s, a full one %d a second; below the shoppers that came, the orders of each design\n\n", column, full/column)
	fmt.Fprintln(w, "| design | verdict | orders promised | booked | requests an order | was down | invariants broken |\n|---|---|---|---|---|---|---|")
	for i, r := range runs {
		fmt.Fprintf(w, "| `%s` | %s | %d | %d | %.1f | %s | %s |\n", stressed[i], r.Verdict.Outcome, r.Orders.Promised, r.Orders.Audit.Booked, r.Orders.PerOrder, r.down(), r.broken())
	}
	fmt.Fprintf(w, "\nload fingerprint of all of them: %s\n", runs[0].Load)
}

// down says when a design sold less than half of what was due.
func (r surged) down() string {
	switch s := r.Story; {
	case s.Tipped == nil:
		return "never"
	case s.Recovered == nil:
		return fmt.Sprintf("from %.0f s to the end", s.Tipped.Seconds())
	default:
		return fmt.Sprintf("from %.0f s to %.0f s", s.Tipped.Seconds(), s.Recovered.Seconds())
	}
}

// broken lists the invariants that the audit found broken, and how often.
func (r surged) broken() string {
	var all []string
	for _, f := range r.Orders.Audit.Invariants {
		if f.Broken > 0 {
			all = append(all, fmt.Sprintf("`%s` %d", f.ID, f.Broken))
		}
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}

// bars draws counts as blocks of eight heights; what is less than none of them
// but not nothing is a dot.
func bars(counts []uint64, full uint64) string {
	var b strings.Builder
	for _, n := range counts {
		switch height := n * 8 / full; {
		case n == 0:
			b.WriteByte(' ')
		case height == 0:
			b.WriteByte('.')
		default:
			b.WriteRune('▁' + rune(min(height, 8)) - 1)
		}
	}
	return b.String()
}
