package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/flashcrowd/flashcrowd/ci"
	"github.com/flashcrowd/flashcrowd/extensions"
	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// tryFlags are what `flashcrowd try` was asked for.
type tryFlags struct {
	planFlags
	design, persona, journey string
	number                   uint64
	full                     bool
}

func tryCommand(w world) *cobra.Command {
	var f tryFlags
	c := &cobra.Command{
		Use:   "try CAMPAIGN",
		Short: "Walk one shopper against the target and show each request and answer",
		Long: `Walk one shopper against the target and show each step's request, answer, what was
taken from it, and the outcome. Secrets are redacted; think times are passed over.
This is how to connect a backend of your own.`,
		Args: exactly(1, "one campaign"),
		RunE: func(c *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return try(ctx, w, args[0], f)
		},
	}
	f.add(c.Flags())
	c.Flags().StringVar(&f.design, "design", "guarded", "design of the built-in storefront")
	c.Flags().StringVar(&f.persona, "persona", "", "how it behaves: "+strings.Join(scenarios.Personas(), ", ")+" (default: as drawn)")
	c.Flags().StringVar(&f.journey, "journey", "", "what it wants: "+strings.Join(scenarios.Journeys(), ", ")+" (default: as drawn)")
	c.Flags().BoolVar(&f.full, "full", false, "show the whole of long bodies")
	c.Flags().Uint64Var(&f.number, "shopper", 0, "which shopper of the crowd, from 0")
	return c
}

// try walks one shopper. It ends with 0 when the shopper got what it came for.
func try(ctx context.Context, w world, name string, f tryFlags) error {
	plan, err := f.plan(name)
	if err != nil {
		return err
	}
	if f.number >= plan.Shoppers {
		return usage(fmt.Errorf("--shopper %d: the crowd has %d, from 0", f.number, plan.Shoppers))
	}
	shopper, err := plan.Shopper(scenarios.Nth(f.number)).As(f.persona, f.journey)
	if err != nil {
		return usage(err)
	}
	if plan.Target.URL == "" {
		dir, err := os.MkdirTemp("", "flashcrowd-try-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		shop, url, err := startStorefront(ctx, []string{"--design=" + f.design}, filepath.Join(dir, "books.db"), plan, io.Discard)
		if err != nil {
			return err
		}
		defer shop.end(shopGrace)
		plan.Target.URL = url
	}
	env := make(map[string]string)
	for _, name := range plan.Secrets() {
		if v, ok := os.LookupEnv(name); ok {
			env[name] = v
		}
	}
	config, err := extensions.Outfit(plan, extensions.Terms{Run: "try", Env: env, Allow: f.allow, Capture: 64 << 10})
	if err != nil {
		return usage(err)
	}
	config.Emit = func(results.Fact) {}

	fmt.Fprintf(w.Out, "shopper %s: %s, wants to %s\n", shopper.ID, shopper.Persona.Name, shopper.Journey)
	end := crowd.New(config).Try(ctx, shopper, func(s crowd.Sight) { showStep(w.Out, s, f.full) })
	fmt.Fprintf(w.Out, "\n── ended: %s%s\n", end.Outcome, gained(end))
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if end.Outcome == results.ConnectionFailed {
		fmt.Fprintf(w.Talk, "hint: is something listening at %s? --target names another place\n", redactURL(plan.Target.URL))
	}
	if end.Outcome != results.OK {
		return exit{code: ci.Fail}
	}
	return nil
}

// showStep prints one step.
func showStep(out io.Writer, s crowd.Sight, full bool) {
	attempt := ""
	if s.Step.Attempt > 0 {
		attempt = fmt.Sprintf(", attempt %d", s.Step.Attempt+1)
	}
	fmt.Fprintf(out, "\n── step %d: %s%s\n", s.Step.Index+1, s.Step.Kind, attempt)
	for _, side := range [][2]string{{"→ ", s.Request}, {"← ", s.Response}} {
		if side[1] != "" {
			indented(out, side[0], side[1], full)
		}
	}
	for _, t := range s.Step.Tools {
		fmt.Fprintf(out, "   told      %s: %s\n", printable(t.CallID), printable(t.Content))
	}
	for _, c := range s.Result.Calls {
		fmt.Fprintf(out, "   calls     %s %s (%s)\n", printable(c.Name), printable(c.Arguments), printable(c.ID))
	}
	if s.Said != "" {
		fmt.Fprintf(out, "   said      %s\n", printable(s.Said))
	}
	fmt.Fprintf(out, "   outcome   %s", s.Result.Outcome)
	if s.Result.Pending {
		fmt.Fprint(out, ", and pending")
	}
	if s.Result.Why != "" {
		fmt.Fprintf(out, " (%s)", s.Result.Why)
	}
	fmt.Fprintf(out, "\n   time      %s", results.Human(s.Took))
	if !s.Result.FirstToken.IsZero() {
		fmt.Fprintf(out, ", first token after %s, %s", results.Human(s.Result.FirstToken.Sub(s.Result.Start)), results.HumanCountOf(uint64(s.Result.Tokens), "token"))
	}
	fmt.Fprintln(out)
	for _, taken := range [][2]string{
		{"coupon", s.Result.Coupon}, {"checkout", s.Result.Session}, {"order", s.Result.Order}, {"applied", s.Result.Redeemed},
	} {
		if taken[1] != "" {
			fmt.Fprintf(out, "   %-9s %s\n", taken[0], taken[1])
		}
	}
	for _, o := range s.Result.Offers {
		fmt.Fprintf(out, "   found     %s, %s, %d minor units of %s\n", printable(o.ID), printable(o.Title), o.Price, printable(o.Currency))
	}
	if s.Result.Order != "" {
		fmt.Fprintf(out, "   amount    %d minor units of %s\n", s.Result.Amount, s.Result.Currency)
	}
}

// Long bodies, streams above all, are shown by their beginning and their end.
const shownFirst, shownLast = 14, 5

// indented prints a side of an exchange.
func indented(out io.Writer, mark, text string, full bool) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		if hidden := len(lines) - shownFirst - shownLast; !full && hidden > 1 && i >= shownFirst && i < shownFirst+hidden {
			if i == shownFirst {
				fmt.Fprintf(out, "     … %d more lines (--full shows them)\n", hidden)
			}
			continue
		}
		fmt.Fprintf(out, "   %s%s\n", mark, printable(line))
		mark = "  "
	}
}

// printable replaces control characters: a backend must not steer a terminal.
func printable(line string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '\ufffd'
		}
		return r
	}, line)
}

// gained says what a shopper left with.
func gained(e scenarios.Ending) string {
	var got []string
	if e.Claimed {
		got = append(got, "a coupon")
	}
	if e.Ordered {
		got = append(got, "an order")
	}
	if len(got) == 0 {
		return ""
	}
	return ", with " + strings.Join(got, " and ")
}
