package report

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/verdict"
)

// Text writes the report for people. The first line is the verdict with the
// numbers that decided it.
func Text(w io.Writer, d Document) error {
	p := &page{colour: d.Colour, width: min(max(cmp.Or(d.Width, widest), narrowest), widest)}
	p.verdict(d)
	p.warnings(d)
	p.replayed(d.Run)
	p.chart(d.Run)
	p.story(d)
	p.stages(d.Run)
	p.funnel(d.Run)
	p.books(d)
	p.requests(d.Run)
	p.steps(d.Run)
	p.slowest(d.Run)
	p.account(d)
	p.workers(d.Run)
	p.changes(d)
	p.example(d)
	p.endnotes(d)
	_, err := io.WriteString(w, p.String())
	return err
}

// Books writes what came of an audit: the verdict, and how the books compare.
func Books(w io.Writer, d Document) error {
	p := &page{colour: d.Colour, width: min(max(cmp.Or(d.Width, widest), narrowest), widest)}
	p.verdict(d)
	p.books(d)
	_, err := io.WriteString(w, p.String())
	return err
}

// verdict says what the run came to and why.
func (p *page) verdict(d Document) {
	tint := map[verdict.Outcome]colour{verdict.Pass: green, verdict.Fail: red, verdict.Invalid: yellow}[d.Verdict.Outcome]
	word := strings.ToUpper(string(d.state()))
	p.paint(cmp.Or(tint, bold), word)
	head := wrap(d.Run.Campaign+": "+d.standing(), p.width-len(word)-2)
	if d.Verdict.Outcome != "" {
		head = deciding(d.Run.Campaign+": ", d.Verdict, p.width-len(word)-2)
	}
	p.line("  %s", strings.Join(head, "\n"+strings.Repeat(" ", len(word)+2)))
	if d.Verdict.Outcome == verdict.Invalid {
		p.line("The run itself went wrong: its figures say little about the backend.")
	}
	width, reasons := 0, folded(d)
	if len(reasons) > 0 {
		p.line("")
	}
	for _, r := range reasons {
		width = max(width, utf8.RuneCountInString(r.Rule))
	}
	width = min(width, p.width/2-2)
	for _, r := range reasons {
		p.print("  ")
		if r.Held {
			p.paint(green, "✓")
		} else {
			p.paint(red, "✗")
		}
		measured := wrap(r.Measured, p.width-width-6)
		if utf8.RuneCountInString(r.Rule) > width {
			p.line(" %s", r.Rule)
			p.print("   %-*s", width, "")
		} else {
			p.print(" %-*s", width, r.Rule)
		}
		p.line("  %s", strings.Join(measured, "\n"+strings.Repeat(" ", width+6)))
	}
}

// folded are the reasons of a verdict, those of validity in one line where all
// of them held.
func folded(d Document) []verdict.Reason {
	valid := func(r verdict.Reason) bool { return r.Kind == verdict.KindValidity }
	broke := slices.ContainsFunc(d.Verdict.Reasons, func(r verdict.Reason) bool { return valid(r) && !r.Held })
	if broke || !slices.ContainsFunc(d.Verdict.Reasons, valid) {
		return d.Verdict.Reasons
	}
	lag, cpu := d.Run.Trend(results.ScheduleLag, results.Tags{}), 0.0
	for _, w := range d.Run.Workers {
		cpu = max(cpu, w.CPU)
	}
	a, planned := d.Run.Account, float64(max(d.Run.Account.Planned, 1))
	stray := "none late or orphaned"
	if late := a.Late + a.NeverStartedCount(); late > 0 || a.Orphaned > 0 {
		stray = fmt.Sprintf("%s late or never started, %s orphaned", results.HumanShare(float64(late)/planned), results.HumanShare(float64(a.Orphaned)/planned))
	}
	rest := slices.DeleteFunc(slices.Clone(d.Verdict.Reasons), valid)
	return append(rest, verdict.Reason{Rule: "generator", Kind: verdict.KindValidity, Held: true,
		Measured: fmt.Sprintf("lag p99 %s, CPU %s, %s", quantile(lag, 0.99), results.HumanShare(cpu), stray)})
}

// deciding returns the rules that decided with what was measured: the worst of
// those that broke, or the first of those that held, as many as fit one line
// and at least one.
func deciding(campaign string, v verdict.Verdict, width int) []string {
	broken := slices.ContainsFunc(v.Reasons, func(r verdict.Reason) bool { return !r.Held })
	text, said, left, more := "", 0, 0, ""
	if broken {
		more = " (and 10 more)"
	}
	for _, r := range v.Reasons {
		if r.Held == broken {
			continue
		}
		next := r.Rule + " → " + r.Measured
		switch {
		case said == 0:
			text = campaign + next
		case left == 0 && utf8.RuneCountInString(text+" · "+next)+len(more) <= width:
			text += " · " + next
		default:
			left++
			continue
		}
		said++
	}
	if broken && left > 0 {
		text += fmt.Sprintf(" (and %d more)", left)
	}
	return wrap(cmp.Or(text, campaign+"no rule was held against it"), width)
}

// warnings says what to doubt.
func (p *page) warnings(d Document) {
	all := d.Run.Warnings
	told := slices.ContainsFunc(d.Verdict.Reasons, func(r verdict.Reason) bool { return strings.Contains(r.Measured, d.Run.Stopped) })
	if d.Run.Stopped != "" && !told {
		all = append([]string{fmt.Sprintf("the load ended at %s of %s: %s", results.Human(d.Run.ArrivalsEnd()), results.Human(d.Run.Duration), d.Run.Stopped)}, all...)
	}
	for _, w := range all {
		p.print("  ")
		p.paint(yellow, "!")
		p.line(" %s", strings.Join(wrap(w, p.width-4), "\n    "))
	}
}

// Closed says what it means for the figures of a crowd that it is closed.
func Closed(atOnce uint64) string {
	return fmt.Sprintf("at most %s at once; who comes to a full shop waits outside (entry_wait), and its times count from when there was room", results.HumanCount(atOnce))
}

// replayed says which run this was and what its factors make of the day.
func (p *page) replayed(r *results.Run) {
	p.section("Replayed", "")
	f := r.Factors
	p.field("run", cmp.Or(r.ID, nothing)+started(r.Started))
	p.field("against", cmp.Or(r.Target, nothing))
	perShopper, faster := f.Scale*f.Demand, f.Compress != 1
	crowd := results.HumanCount(r.Planned) + " planned"
	if by := factors("scale", f.Scale, "demand", f.Demand); by != "" {
		crowd += fmt.Sprintf(": %s, so each stands for %s of the real day", by, quotient(1, perShopper))
	}
	p.field("shoppers", crowd)
	if r.AtOnce > 0 {
		p.field("model", "closed: "+Closed(r.AtOnce))
	}
	if faster {
		p.field("time", fmt.Sprintf("compress %s: %s pass in %s, one hour in %s", Factor(f.Compress),
			span(times(r.Duration, f.Compress)), span(r.Duration), over(time.Hour, f.Compress)))
	} else {
		p.field("time", span(r.Duration)+", as fast as planned")
	}
	if name, here, ok := busiest(r); ok && (faster || perShopper != 1) {
		p.field("busiest", fmt.Sprintf("%s: %s of the real day are replayed as %s arrivals", name,
			perSecond(per(here, perShopper*f.Compress)), results.HumanRate(here)))
	} else if ok {
		p.field("busiest", fmt.Sprintf("%s: %s arrivals", name, results.HumanRate(here)))
	}
	pace := "pace 1: shoppers think and wait as long as people do"
	if f.Pace != 1 {
		pace = fmt.Sprintf("pace %.4g: think times, patience and back-off are %s of what people take", f.Pace, results.HumanShare(f.Pace))
	}
	p.field("people", pace)
	p.field("plan", fmt.Sprintf("%.12s is the fingerprint of what was to be sent", cmp.Or(r.PlanFingerprint, nothing)))
	p.field("load", fmt.Sprintf("%.12s is the fingerprint of the shoppers that arrived", r.Load))
}

func (p *page) field(name, value string) {
	p.line("  %-10s%s", name, strings.Join(wrap(value, p.width-12), "\n"+strings.Repeat(" ", 12)))
}

func started(at time.Time) string {
	if at.IsZero() {
		return ", never started"
	}
	return ", started " + at.UTC().Format("2006-01-02 15:04:05 UTC")
}

// factors names two factors that multiply each other, without those that are 1.
func factors(a string, x float64, b string, y float64) string {
	var named []string
	if x != 1 {
		named = append(named, a+" "+Factor(x))
	}
	if y != 1 {
		named = append(named, b+" "+Factor(y))
	}
	return strings.Join(named, " × ")
}

// Factor formats 0.0005 as 1/2,000 and 2 as 2.
func Factor(f float64) string {
	if inverse := math.Round(1 / f); f > 0 && f < 1 && inverse > 10 && math.Abs(inverse*f-1) < 1e-9 {
		return "1/" + results.HumanCount(uint64(inverse))
	}
	return fmt.Sprintf("%.4g", f)
}

// per returns v / by; nil if that is no number.
func per(v, by float64) *float64 {
	if by <= 0 {
		return nil
	}
	v /= by
	return &v
}

func quotient(v, by float64) string { return decimal(per(v, by)) }

func times(d time.Duration, f float64) time.Duration {
	return time.Duration(float64(d) * f).Round(time.Second)
}

func over(d time.Duration, f float64) string {
	if f <= 0 {
		return nothing
	}
	return span(time.Duration(float64(d) / f))
}
