package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flashcrowd/flashcrowd/ci"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/books"
	"github.com/flashcrowd/flashcrowd/results/report"
	"github.com/flashcrowd/flashcrowd/results/sources"
	"github.com/flashcrowd/flashcrowd/results/store"
	"github.com/flashcrowd/flashcrowd/results/verdict"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// booksRule is the rule that an audit is about.
const booksRule = "promised = booked"

// auditFlags are what `flashcrowd audit` was asked for.
type auditFlags struct {
	source, campaign, data, runs string
	allow                        []string
	json                         bool
}

func auditCommand(w world) *cobra.Command {
	var f auditFlags
	c := &cobra.Command{
		Use:   "audit RUN",
		Short: "Hold what shoppers were promised in a run against the backend's own books",
		Long: `Hold what shoppers were promised in a run against the backend's own books. RUN is
an id, the beginning of one, a path, or latest. The books are those of the
campaign's audit: section, or of --source:

  http://HOST:PORT        a storefront, or the endpoint that audit: describes
  postgres://USER@HOST/DB PostgreSQL, by the queries of audit:; the password in
                          PGPASSWORD, or the whole URL in '${NAME}'
  sqlite:FILE             SQLite, by the queries of audit:
  FILE.csv, FILE.ndjson   the orders, perhaps with .gz behind
  DIR                     orders, coupons, stocks and seats, as files so named

The run keeps the audit and the verdict that follows from it, in place of those
it had. When the books can't be read it keeps what it had.

Exit codes: 0 every invariant that could be checked held · 1 could not read ·
2 usage · 3 one is broken`,
		Args: exactly(1, "one run"),
		RunE: func(c *cobra.Command, args []string) error { return auditRun(c.Context(), w, args[0], f) },
	}
	c.Flags().StringVar(&f.source, "source", "", "where the books are (default: as the campaign says)")
	c.Flags().StringVar(&f.campaign, "campaign", "", "take audit: from this campaign, and not from the run's own")
	c.Flags().StringVar(&f.data, "data", "", "folder of the files that audit: names (default: that of --campaign, else the current one)")
	c.Flags().StringSliceVar(&f.allow, "allow", nil, "address or prefix that may be asked, such as 192.0.2.10 (default: loopback only)")
	c.Flags().StringVar(&f.runs, "runs", "runs", "folder that keeps the runs")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return c
}

func auditRun(ctx context.Context, w world, which string, f auditFlags) (err error) {
	allowed, err := wire.ParseAllowed(f.allow)
	if err != nil {
		return usage(fmt.Errorf("--%w", err))
	}
	path, err := store.Find(f.runs, which)
	if err != nil {
		return err
	}
	kept, err := store.Resume(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kept.Close()) }()
	plan, err := scenarios.DecodePlan(kept.Header().Plan)
	if err != nil {
		return err
	}
	from, err := f.books(plan)
	if err != nil {
		return usage(err)
	}
	from.permits = permits(allowed)
	run, err := kept.Run()
	if err != nil {
		return err
	}
	judged, err := kept.Judgement()
	if err != nil {
		return err
	}
	from.ended = run.Started.Add(run.Cut)
	if judged != nil {
		from.ended = judged.Ended
	}
	found, err := from.audit(ctx, plan, run, kept)
	if err != nil {
		return err
	}
	v := verdict.Judge(run, found, rulesOf(plan))
	if judged != nil {
		v = stillWithout(v, judged.Verdict)
		if err := kept.Finish(v, found, judged.Orders, judged.Ended); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(w.Talk, "the run was not judged when it ended: it does not keep this audit")
	}
	d := document(kept, run, v, found)
	if f.json {
		err = report.JSON(w.Out, d)
	} else {
		d.Colour, d.Width = w.colour(), columns(w.Out)
		err = report.Books(w.Out, d)
	}
	if err == nil && len(found.In(results.StateBroken)) > 0 {
		return exit{code: ci.Fail}
	}
	return err
}

// stillWithout carries over what could not be checked when a run ended, but for
// its books.
func stillWithout(v, before verdict.Verdict) verdict.Verdict {
	for _, r := range before.Reasons {
		if why, ok := strings.CutPrefix(r.Measured, verdict.Unchecked); ok && !r.Held && r.Rule != booksRule {
			v = v.Without(r.Rule, errors.New(why))
		}
	}
	return v
}

// backendBooks is which books a run's ledger is held against.
type backendBooks struct {
	mapping books.Mapping
	dir     string // of the files that it names
	permits func(netip.Addr) bool
	ended   time.Time // when the run was over
}

// permits is where books may be asked for: where load may go, and loopback.
func permits(allowed wire.Allowed) func(netip.Addr) bool {
	return func(a netip.Addr) bool { return a.IsLoopback() || allowed.Permits(a) }
}

// audit holds the ledger of a run against the books.
func (b backendBooks) audit(ctx context.Context, plan *scenarios.Plan, run *results.Run, kept *store.Store) (*results.Audit, error) {
	if run.Started.IsZero() {
		return nil, errors.New("hold the ledger against the books: the run never began")
	}
	s, err := b.open(ctx, books.Window{From: run.Started, Until: b.ended})
	if err != nil {
		return nil, err
	}
	found, err := auditBooks(ctx, plan, run, kept, s.Books, s.Name, time.Second)
	if err := errors.Join(err, s.Close()); err != nil {
		return nil, fmt.Errorf("hold the ledger against %s: %w", s.Name, err)
	}
	var passed []string
	for _, table := range books.Tables() {
		if n := s.Passed(table); n > 0 {
			passed = append(passed, results.HumanCount(n)+" "+table)
		}
	}
	if passed != nil {
		found.Source += " (" + strings.Join(passed, ", ") + " from outside the run passed over)"
	}
	return found, nil
}

// open opens the books with their secrets.
func (b backendBooks) open(ctx context.Context, run books.Window) (*sources.Source, error) {
	m, err := scenarios.ResolveAudit(b.mapping, os.LookupEnv)
	if err != nil {
		return nil, err
	}
	return sources.Open(ctx, sources.Config{Mapping: m, Run: run, Dir: b.dir, Permits: b.permits})
}

// ready finds out before a run what can be found out of whether its books could
// be read after it: that no secret is missing, and of a database that it is
// there and has such columns.
func (b backendBooks) ready(ctx context.Context) error {
	if _, err := scenarios.ResolveAudit(b.mapping, os.LookupEnv); err != nil {
		return usage(err)
	}
	if b.mapping.Source != books.Postgres && b.mapping.Source != books.SQLite {
		return nil
	}
	s, err := b.open(ctx, books.Window{From: time.Now(), Until: time.Now()})
	if err != nil {
		return err
	}
	return s.Close()
}

// hold is audit at the end of a run.
func (b backendBooks) hold(ctx context.Context, plan *scenarios.Plan, run *results.Run, kept *store.Store) (*results.Audit, error) {
	b.ended = time.Now()
	if b.mapping.Source == books.Files {
		return nil, fmt.Errorf("the books are files, which are exported now; then: flashcrowd audit %s", run.ID)
	}
	return b.audit(ctx, plan, run, kept)
}

// books returns the books of a backend of one's own that a plan names.
func (f *planFlags) books(plan *scenarios.Plan) (backendBooks, bool) {
	allowed, _ := wire.ParseAllowed(f.allow) // checked with the plan
	return booksOf(plan, f.data, allowed)
}

// booksOf returns the books that a plan names; false if it names none.
func booksOf(plan *scenarios.Plan, data string, allowed wire.Allowed) (backendBooks, bool) {
	if plan.Campaign.Audit == nil {
		return backendBooks{}, false
	}
	b := backendBooks{mapping: *plan.Campaign.Audit, dir: data, permits: permits(allowed)}
	if b.mapping.Source == books.Storefront && b.mapping.URL == "" {
		b.mapping.URL = plan.Target.URL
	}
	return b, true
}

// books returns which books were asked for.
func (f *auditFlags) books(plan *scenarios.Plan) (backendBooks, error) {
	if f.campaign != "" {
		c, err := scenarios.Load(f.campaign)
		if err != nil {
			return backendBooks{}, err
		}
		if c.Audit == nil {
			return backendBooks{}, fmt.Errorf("--campaign %s: it does not say where the books are", f.campaign)
		}
		plan.Campaign.Audit = c.Audit
		if f.data == "" {
			f.data = c.Dir
		}
	}
	if f.data == "" {
		f.data = "."
	}
	b, named := booksOf(plan, f.data, nil)
	if f.source != "" {
		return f.elsewhere(b)
	}
	if !named {
		return b, errors.New("the run's campaign does not say where the books are\nhint: --source http://…, postgres://…, sqlite:FILE, FILE.csv or FILE.ndjson; or --campaign FILE with audit:. Those of a built-in storefront are opened by flashcrowd storefront --books RUN/books.db")
	}
	return b, nil
}

// elsewhere replaces where the books are by --source. What the campaign says of
// columns and values stays.
func (f *auditFlags) elsewhere(b backendBooks) (backendBooks, error) {
	resolved, err := scenarios.ResolveAudit(books.Mapping{URL: f.source}, os.LookupEnv)
	if err != nil {
		return b, fmt.Errorf("--source: %w", err)
	}
	m := b.mapping
	m.URL, m.File = "", ""
	scheme, rest, _ := strings.Cut(resolved.URL, ":")
	info, missing := os.Stat(f.source)
	switch {
	case scheme == "http" || scheme == "https":
		if m.URL = f.source; m.Source != books.HTTP {
			m = books.Mapping{Source: books.Storefront, URL: f.source, Timeout: m.Timeout, Outside: m.Outside}
		}
	case scheme == "postgres" || scheme == "postgresql":
		if u, err := url.Parse(f.source); err == nil && !strings.Contains(f.source, "${") {
			if _, secret := u.User.Password(); secret || u.Query().Has("password") {
				return b, errors.New("--source must not hold a password, which every process here could read\nhint: PGPASSWORD, or export BOOKS=postgres://… and --source '${BOOKS}'")
			}
		}
		m.Source, m.URL = books.Postgres, f.source
	case scheme == "sqlite":
		m.Source, m.File, b.dir = books.SQLite, filepath.Base(rest), filepath.Dir(rest)
	case missing == nil && info.IsDir():
		m.Source, b.dir = books.Files, f.source
		return b.inFolder(m)
	case slices.ContainsFunc(fileEndings(), func(end string) bool { return strings.HasSuffix(f.source, end) }):
		m.Source, b.dir = books.Files, filepath.Dir(f.source)
		for _, table := range books.Tables() {
			m.Table(table).File = ""
		}
		m.Orders.File = filepath.Base(f.source)
	default:
		return b, fmt.Errorf("--source %s: want http://…, postgres://…, sqlite:FILE, a file that ends in %s, or a folder of such", redactURL(f.source), strings.Join(fileEndings(), ", "))
	}
	queries := m.Source == books.Postgres || m.Source == books.SQLite
	if queries && !slices.ContainsFunc(books.Tables(), func(t string) bool { return m.Table(t).Query != "" }) {
		return b, errors.New("--source is a database, and the run's campaign has no query for it\nhint: --campaign FILE with audit.orders.query")
	}
	b.mapping = m
	return b, nil
}

func fileEndings() []string {
	return []string{".csv", ".ndjson", ".jsonl", ".csv.gz", ".ndjson.gz", ".jsonl.gz"}
}

// inFolder looks for a file of each table.
func (b backendBooks) inFolder(m books.Mapping) (backendBooks, error) {
	found := false
	for _, table := range books.Tables() {
		m.Table(table).File = ""
		for _, end := range fileEndings() {
			if _, err := os.Stat(filepath.Join(b.dir, table+end)); err == nil {
				m.Table(table).File, found = table+end, true
				break
			}
		}
	}
	if !found {
		return b, fmt.Errorf("--source %s: there is no orders.csv or orders.ndjson in it, nor coupons, stocks or seats", b.dir)
	}
	b.mapping = m
	return b, nil
}
