package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/flashcrowd/flashcrowd/ci"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// run is the program: it parses, does what was asked and returns the exit code.
func run(ctx context.Context, args []string, w world) int {
	root := newRoot(w)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ci.Pass
	}
	var coded exit
	if errors.As(err, &coded) && coded.err == nil {
		return coded.code // a verdict, already printed
	}
	if strings.HasPrefix(err.Error(), "unknown command") { // cobra's own, without a type
		var names []string
		for _, c := range root.Commands() {
			names = append(names, c.Name())
		}
		coded.code, err = ci.Usage, fmt.Errorf("%w%s\nhint: flashcrowd --help", err, didYouMean(args[0], names))
	}
	fmt.Fprintf(w.Talk, "flashcrowd: %v\n", err)
	return cmp.Or(coded.code, ci.CouldNotRun)
}

// didYouMean offers the names near to one that is unknown, if there are any.
func didYouMean(name string, names []string) string {
	near := scenarios.Nearest(name, names)
	if len(near) == 0 {
		return ""
	}
	return " (did you mean " + strings.Join(near, " or ") + "?)"
}

// exit is an error that chooses the exit code; without err there is nothing
// more to say.
type exit struct {
	code int
	err  error
}

// Error implements error.
func (e exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

// Unwrap lets callers look for the cause.
func (e exit) Unwrap() error { return e.err }

// usage marks an error as the user's to correct: flags, or a campaign.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return exit{ci.Usage, err}
}

// newRoot is the command tree.
func newRoot(w world) *cobra.Command {
	root := &cobra.Command{
		Use:   "flashcrowd",
		Short: "Send a crowd of synthetic agentic shoppers at a backend and say whether it held",
		Long: `flashcrowd sends a crowd of synthetic shoppers (streamed chat, coupon, checkout)
at a backend and says whether it held.

  campaign → plan → coordinator → workers (k6 + extension) → snapshots → merge → verdict → report

Exit codes: 0 pass · 1 could not run · 2 usage · 3 fail · 4 invalid · 5 inconclusive`,
		Example: `  flashcrowd run smoke                      half a minute against the built-in storefront
  flashcrowd run spring-festival            the nine hours of 6 February 2026, replayed
  flashcrowd run mine.yaml --target URL     your campaign, your backend
  flashcrowd try mine.yaml --target URL     one shopper, each request and answer shown`,
		SilenceUsage:       true,
		SilenceErrors:      true,
		DisableSuggestions: true, // didYouMean says it as campaigns do
	}
	root.SetOut(w.Out)
	root.SetErr(w.Talk)
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		near := ""
		if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok && unknown.GetSpecifiedShortnames() == "" {
			var names []string
			c.Flags().VisitAll(func(f *pflag.Flag) {
				if !f.Hidden {
					names = append(names, "--"+f.Name)
				}
			})
			near = didYouMean("--"+unknown.GetSpecifiedName(), names)
		}
		return usage(fmt.Errorf("%w%s\nhint: %s --help", err, near, c.CommandPath()))
	})
	root.AddCommand(
		runCommand(w), tryCommand(w), planCommand(w),
		runsCommand(w), reportCommand(w), auditCommand(w),
		coordinatorCommand(w), workerCommand(w), statusCommand(w), stopCommand(w), keygenCommand(w),
		storefrontCommand(w),
		versionCommand(w), k6Command(),
	)
	return root
}

// exactly refuses any other number of arguments, as a usage error.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usage(fmt.Errorf("%s takes %s, not %s\nhint: %s --help", c.Name(), what, results.HumanCountOf(uint64(len(args)), "argument"), c.CommandPath()))
		}
		return nil
	}
}

// k6Command stands in the help for what main does before cobra looks.
func k6Command() *cobra.Command {
	return &cobra.Command{
		Use:                "k6 [k6's own commands]",
		Short:              "k6 with flashcrowd's extensions, as it is: flashcrowd k6 run script.js",
		DisableFlagParsing: true,
		Run:                func(*cobra.Command, []string) {}, // never reached: see main
	}
}
