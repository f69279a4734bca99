package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

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
			fmt.Fprintf(w.Out, "%shttp://%s (design %s)\n", storefrontSays, l.Addr(), o.Design)
			return s.Run(ctx, l)
		},
	}
	f := c.Flags()
	f.StringVar(&listen, "listen", "127.0.0.1:8088", "address and port, on loopback unless --public; port 0 takes a free one")
	f.BoolVar(&public, "public", false, "let --listen be beyond loopback: whoever reaches it can shop and read its books")
	f.StringVar(&o.Design, "design", "guarded", "how it is built: see --list")
	f.StringVar(&o.Books, "books", "", "SQLite file that keeps the books (default: a temporary one)")
	f.Int64Var(&o.Seats, "seats", 0, "seats of each film, concert and restaurant (default: 1,000,000)")
	f.IntVar(&o.Flushes, "flushes", 1, "of --design null: the writes in which a stream leaves, 1 to 32")
	f.BoolVar(&list, "list", false, "list the designs and what to expect of each")
	f.BoolVar(&asJSON, "json", false, "with --list: print JSON")
	f.BoolVar(&attended, "attended", false, "end when standard input does")
	c.Flags().MarkHidden("attended")
	return c
}

func listDesigns(w world, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w.Out)
		enc.SetIndent("", "  ")
		return enc.Encode(storefront.Designs())
	}
	t := tabwriter.NewWriter(w.Out, 0, 0, 2, ' ', 0)
	for _, d := range storefront.Designs() {
		fmt.Fprintf(t, "%s\t%s\n", d.Name, d.Expect)
	}
	return t.Flush()
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

// startStorefront starts the built-in storefront as a process of its own, so
// that the measuring side and the measured one share nothing, and returns its
// URL.
func startStorefront(ctx context.Context, design, books string, log io.Writer) (*part, string, error) {
	r, out, err := os.Pipe()
	if err != nil {
		return nil, "", fmt.Errorf("start the storefront: %w", err)
	}
	defer r.Close()
	args := []string{"storefront", "--attended", "--listen", "127.0.0.1:0", "--design", design}
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
