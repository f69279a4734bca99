package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
	"github.com/flashcrowd/flashcrowd/scenarios/storefront"
)

// storefrontSays begins the line in which a storefront tells where it listens.
const storefrontSays = "storefront listening on "

// shopGrace is how long the storefront may take to close its books.
const shopGrace = 10 * time.Second

func storefrontCommand(w world) *cobra.Command {
	var o storefront.Options
	var listen string
	var list, asJSON, attended, public bool
	c := &cobra.Command{
		Use:   "storefront",
		Short: "Run the reference backend: chat, coupons and checkout with books to audit",
		Args:  exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if list {
				return listDesigns(w, asJSON)
			}
			switch addr, err := netip.ParseAddrPort(listen); {
			case err != nil:
				return usage(fmt.Errorf("--listen %s: want an address and a port, such as 127.0.0.1:8088", listen))
			case !addr.Addr().IsLoopback() && !public:
				return usage(fmt.Errorf("--listen %s is beyond loopback: whoever reaches it could shop there\nhint: if that is meant, add --public", listen))
			}
			s, err := storefront.New(o)
			if err != nil {
				return usage(err)
			}
			l, err := net.Listen("tcp", listen)
			if err != nil {
				return fmt.Errorf("start the storefront: %w", err)
			}
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if attended {
				ctx = untilEOF(ctx, os.Stdin)
			}
			s.Ready = func() { fmt.Fprintf(w.Out, "%shttp://%s (design %s)\n", storefrontSays, l.Addr(), o.Design) }
			return s.Run(ctx, l)
		},
	}
	f := c.Flags()
	f.StringVar(&listen, "listen", "127.0.0.1:8088", "address and port, on loopback unless --public; port 0 takes a free one")
	f.BoolVar(&public, "public", false, "let --listen be beyond loopback: whoever reaches it can shop and read its books")
	addShop(f, &o)
	f.BoolVar(&list, "list", false, "list the designs and what to expect of each, and the bugs")
	f.BoolVar(&asJSON, "json", false, "with --list: print JSON")
	f.BoolVar(&attended, "attended", false, "end when standard input does")
	c.Flags().MarkHidden("attended")
	return c
}

// addShop adds the flags that say which shop to open.
func addShop(f *pflag.FlagSet, o *storefront.Options) {
	f.StringVar(&o.Design, "design", "guarded", "how it is built: see --list")
	f.Float64Var(&o.Size, "size", 1, "what the shop can do: 1 is a shop for spring-festival as it comes")
	f.StringVar(&o.Books, "books", "", "SQLite file that keeps the books (default: a temporary one)")
	f.Int64Var(&o.Stock, "stock", 0, "coupons that can be issued (default: 14,500 times --size)")
	f.Int64Var(&o.PerUser, "per-user", 0, "coupons that one user can have (default: 21)")
	f.TimeVar(&o.ValidFrom, "valid-from", time.Time{}, []string{time.RFC3339}, "when coupons can first be redeemed (default: at once)")
	f.TimeVar(&o.ValidUntil, "valid-until", time.Time{}, []string{time.RFC3339}, "when coupons can't be claimed or redeemed any more (default: after 22 days)")
	f.Var((*pauses)(&o.Pauses), "pause", "when no coupons are issued, from the start: 30s-40s, or 30s-; may be repeated")
	f.Var((*share)(&o.Decline), "decline", "payments that are declined, as 1% or 0.01")
	f.Var((*share)(&o.Delay), "delay", "payments that are decided later, as 1% or 0.01")
	f.DurationVar(&o.DelayFor, "delay-for", 0, "how much later (default: 1s)")
	f.Uint64Var(&o.Seed, "seed", 0, "draws what is drawn: the same seed and the same keys have the same payments declined")
	f.Int64Var(&o.Seats, "seats", 0, "seats of each film, concert and restaurant (default: 1,000,000)")
	f.IntVar(&o.Flushes, "flushes", 1, "of --design null: the writes in which a stream leaves, 1 to 32")
	f.StringSliceVar(&o.Bugs, "bug", nil, "a fault to plant, for trying out who looks for it: see --list; may be repeated")
}

// shopArgs reads flags of the storefront that were given as name=value, and
// returns them as arguments of it. It returns an error if no such shop could be
// opened.
func shopArgs(design string, bugs, given []string) (args []string, err error) {
	var o storefront.Options
	f := pflag.NewFlagSet("shop", pflag.ContinueOnError)
	addShop(f, &o)
	for _, g := range given {
		if name, _, _ := strings.Cut(g, "="); f.Lookup(name) == nil || name == "books" {
			return nil, fmt.Errorf("--shop %s: want a flag of the storefront, such as stock=500\nhint: flashcrowd storefront --help", g)
		}
		args = append(args, "--"+g)
	}
	for _, b := range bugs {
		args = append(args, "--bug="+b)
	}
	args = append([]string{"--design=" + design}, args...)
	if err := f.Parse(args); err != nil {
		return nil, fmt.Errorf("--shop: %w", err)
	}
	if _, err := storefront.New(o); err != nil {
		return nil, fmt.Errorf("%w\nhint: flashcrowd storefront --list", err)
	}
	return args, nil
}

// pauses is a flag that may be repeated.
type pauses []storefront.Pause

// Set implements pflag.Value.
func (p *pauses) Set(text string) error {
	pause, err := storefront.ParsePause(text)
	if err == nil {
		*p = append(*p, pause)
	}
	return err
}

// String implements pflag.Value.
func (p *pauses) String() string { return "" }

// Type implements pflag.Value.
func (p *pauses) Type() string { return "FROM-UNTIL" }

// share is a flag in [0,1], written as a number or in percent.
type share float64

// Set implements pflag.Value.
func (s *share) Set(text string) error {
	digits, percent := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(digits, 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= 0 && v <= 1) {
		return errors.New("want a share, such as 1% or 0.01")
	}
	*s = share(v)
	return nil
}

// String implements pflag.Value.
func (s *share) String() string { return "" }

// Type implements pflag.Value.
func (s *share) Type() string { return "SHARE" }

func listDesigns(w world, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w.Out)
		enc.SetIndent("", "  ")
		return enc.Encode(struct {
			Designs []storefront.Design `json:"designs"`
			Bugs    []storefront.Bug    `json:"bugs"`
		}{storefront.Designs(), storefront.Bugs()})
	}
	t := tabwriter.NewWriter(w.Out, 0, 0, 2, ' ', 0)
	for _, d := range storefront.Designs() {
		fmt.Fprintf(t, "%s\t%s\n", d.Name, d.Expect)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprint(w.Out, "\nBugs to plant with --bug, the invariant that each breaks, and where it was seen:\n\n")
	for _, b := range storefront.Bugs() {
		fmt.Fprintf(w.Out, "%s (%s)\n    %s\n    %s\n", b.Name, b.Breaks, b.Does, b.Source)
	}
	return nil
}

// untilEOF returns a context that ends when r does: a part leaves with whoever
// started it.
func untilEOF(ctx context.Context, r io.Reader) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		io.Copy(io.Discard, r)
		cancel()
	}()
	return ctx
}

// sizeFor returns the size of the shop that a crowd meets. The day's shop is
// thinned and sped up as its crowd is; not as the demand, which may well be
// more than a shop is made for.
func sizeFor(f results.Factors) float64 {
	const springFestival = 1. / 2000 * 360 // the factors of a shop of size 1
	return f.Scale * f.Compress / springFestival
}

// startStorefront starts the built-in storefront as a process of its own, so
// that the measuring side and the measured one share nothing, and returns its
// URL. Its arguments are those of shopArgs, after the size and the seed that
// suit the plan.
func startStorefront(ctx context.Context, shop []string, books string, plan *scenarios.Plan, log io.Writer) (*part, string, error) {
	r, out, err := os.Pipe()
	if err != nil {
		return nil, "", fmt.Errorf("start the storefront: %w", err)
	}
	defer r.Close()
	args := append([]string{"storefront", "--attended", "--listen", "127.0.0.1:0",
		"--size", strconv.FormatFloat(sizeFor(plan.Factors), 'g', 6, 64), "--seed", strconv.FormatUint(plan.Campaign.Seed, 10)}, shop...)
	if books != "" {
		args = append(args, "--books", books)
	}
	env := plainEnv(nil)
	if os.Getenv("GOGC") == "" {
		env = append(env, "GOGC=400") // it shares the machine with what measures it
	}
	p, err := startPart("the storefront", args, env, out, log, nil)
	out.Close()
	if err != nil {
		return nil, "", err
	}
	r.SetReadDeadline(time.Now().Add(20 * time.Second))
	line, err := bufio.NewReader(r).ReadString('\n')
	url, _, ok := strings.Cut(strings.TrimPrefix(line, storefrontSays), " ")
	if err != nil || !ok || !strings.HasPrefix(line, storefrontSays) {
		p.end(time.Second)
		return nil, "", fmt.Errorf("start the storefront: it said %q (%v), and ended: %v", line, err, p.err)
	}
	return p, url, nil
}
