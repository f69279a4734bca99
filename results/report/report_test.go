package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/report"
	"github.com/flashcrowd/flashcrowd/results/verdict"
)

var update = flag.Bool("update", false, "write the goldens")

// A day is a run as a test wants it: the spring festival on three workers.
type day struct {
	shoppers  int
	dead      bool // worker-2 is killed half-way
	bad       results.Outcome
	badShare  float64       // of the turns at noon
	slow      time.Duration // added to the turns at noon
	nowhere   bool          // nobody arrives
	neverTold bool          // no worker
	outside   time.Duration // that everybody waited, of a closed crowd; 0 of an open one
}

// run plays the day with a Recorder for each worker and merges it.
func (d day) run(t *testing.T) *results.Run {
	t.Helper()
	about := results.About{
		ID: "spring-festival-20261121-093000-k3f", Campaign: "spring-festival",
		PlanFingerprint: "5f0c2a7719b4e8d35f0c2a7719b4e8d3", Target: "storefront guarded (built in)",
		Factors: results.Factors{Scale: 1.0 / 2000, Demand: 1, Compress: 360, Pace: 0.02},
		Started: time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC), Duration: 90 * time.Second, Planned: uint64(d.shoppers),
	}
	from := time.Duration(0)
	for _, s := range []struct {
		name  string
		hours int
		rate  float64
	}{{"opening", 3, 1}, {"climb", 1, 3}, {"noon", 1, 9}, {"evening", 4, 3.75}} {
		to := from + time.Duration(s.hours)*10*time.Second
		about.Stages = append(about.Stages, results.Stage{Name: s.name, From: from, To: to, Shoppers: uint64(float64(d.shoppers) * s.rate * float64(s.hours) / 30)})
		from = to
	}
	m := results.NewMerger(about)
	if d.neverTold {
		return m.Run()
	}
	draw := rand.New(rand.NewPCG(1, 2))
	names := []string{"worker-1", "worker-2", "worker-3"}
	recorders := map[string]*results.Recorder{}
	for _, name := range names {
		recorders[name] = results.NewRecorder(name)
	}
	number := uint32(0)
	for _, s := range about.Stages {
		for range s.Shoppers {
			if d.nowhere {
				break
			}
			worker := names[int(number)%len(names)]
			at := s.From + time.Duration(draw.Float64()*float64(s.To-s.From))
			if d.dead && worker == "worker-2" && at > 47*time.Second {
				m.Skip(results.Skip{Stage: s.Name, Reason: "worker-2 was gone", Count: 1})
			} else {
				d.shopper(recorders[worker], draw, s.Name, number, at, d.dead && worker == "worker-2" && at > 46*time.Second)
			}
			number++
		}
	}
	if d.dead {
		m.Bar([]results.Barred{{Reason: "exchange after the end of its lease", Count: 3}, {Reason: "gossip under another key", Count: 1204}, {Reason: "stranger at the API", Count: 2}})
		m.Apart(results.Snapshot{Ledger: make([]results.Promise, 5)})
	}
	for i, name := range names {
		r := recorders[name]
		s := r.Cut(1, 91*time.Second+300*time.Millisecond, results.Health{CPU: 0.31 + float64(i)/100, RSS: uint64(84+i) * 1_000_000})
		s.Final = !d.dead || name != "worker-2"
		if _, err := m.Add(s); err != nil {
			t.Fatal(err)
		}
		note := results.WorkerNote{Name: name, Slots: 1365}
		if !s.Final {
			note.Fate = "its k6 was killed: signal 9"
		}
		m.Worker(name, note)
	}
	return m.Run()
}

func (d day) shopper(r *results.Recorder, draw *rand.Rand, stage string, number uint32, at time.Duration, orphan bool) {
	who := results.Who{Slot: uint16(number % 4096), Number: number, Stage: stage, Persona: "patient", Journey: "order"}
	r.Add(results.Launch{Who: who, At: at, Hash: results.Sum128{Lo: uint64(number) * 0x9e3779b97f4a7c15}, Closed: d.outside > 0, Outside: d.outside})
	if orphan {
		return
	}
	outcome, arrived := results.OK, at
	for i, step := range []string{"turn", "turn", "turn", "claim", "create", "update", "complete"} {
		took := time.Duration((1 + draw.ExpFloat64()*3) * float64(time.Millisecond))
		f := results.Step{Who: who, Name: step, Outcome: results.OK, Answered: i == 0}
		if step == "turn" {
			took *= 4
			if stage == "noon" {
				took += time.Duration(draw.Float64() * float64(d.slow))
				if draw.Float64() < d.badShare {
					f.Outcome, f.Answered, f.Attempt = d.bad, false, 1
				}
			}
			f.FirstChunk, f.FirstToken, f.PerToken, f.Tokens = took/3, took/2, took/64, 32
		}
		f.Lag = time.Duration(draw.ExpFloat64() * 160_000)
		at += took
		f.At, f.Service, f.Response = at, took-f.Lag/2, took+f.Lag/2
		if f.Outcome != results.OK {
			f.Example = &results.Example{
				Stage: stage, Step: step, Outcome: f.Outcome, Shopper: fmt.Sprintf("%d/%d", who.Slot, number), Trace: "4bf92f3577b34da6a3ce929d0e0e4736",
				Attempt: f.Attempt, At: f.At, Took: f.Response, Service: f.Service,
				Why:      "429 with Retry-After: 2, limiter code Throttling.RateQuota",
				Request:  "POST /compatible-mode/v1/chat/completions HTTP/1.1\r\nAuthorization: [redacted]\r\n\r\n{\"model\":\"qwen-shop\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"I would like a milk tea, and is there still a free-order card for me today?\"}]}",
				Response: "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 2\r\n\r\n{\"error\":{\"code\":\"Throttling.RateQuota\",\"message\":\"\x1b[31mRequests rate limit exceeded\"}}",
			}
		}
		if f.Outcome == results.OK && number%400 == 0 && stage == "noon" {
			f.Example = &results.Example{
				Stage: stage, Step: step, Outcome: f.Outcome, Shopper: fmt.Sprintf("%d/%d", who.Slot, number), Trace: fmt.Sprintf("4bf92f3577b34da6a3ce929d%08x", number),
				At: f.At, Took: f.Response, Service: f.Service, Request: "POST /", Response: "HTTP/1.1 200 OK",
			}
		}
		r.Add(f)
		if outcome = f.Outcome; outcome != results.OK {
			break
		}
	}
	if outcome == results.OK {
		key := fmt.Sprintf("key-%d", number)
		r.Add(results.Promise{Who: who, Kind: results.CouponPromise, Known: true, Key: key + "c", ID: "c" + key, At: at})
		r.Add(results.Promise{Who: who, Kind: results.OrderPromise, Known: true, Key: key, ID: "o" + key, Amount: 900, Currency: "CNY", At: at})
	}
	r.Add(results.End{Who: who, At: at, Outcome: outcome, Duration: at - arrived, MeantToClaim: true, Claimed: outcome == results.OK, MeantToOrder: true, Ordered: outcome == results.OK})
}

func document(t *testing.T, d day, thresholds ...string) report.Document {
	t.Helper()
	rules := verdict.Rules{Validity: verdict.DefaultValidity}
	for _, source := range thresholds {
		selector, expr, _ := strings.Cut(source, ": ")
		th, err := verdict.ParseThreshold(selector, expr, false, 0)
		if err != nil {
			t.Fatal(err)
		}
		rules.Thresholds = append(rules.Thresholds, th)
	}
	run := d.run(t)
	orders := run.Count(results.Orders, results.Tags{})
	audit := &results.Audit{Source: "the storefront's books", Promised: orders, Booked: orders, Matched: orders, Checks: checks(orders)}
	if d.neverTold {
		audit = nil
	}
	return report.Document{
		Run: run, Verdict: verdict.Judge(run, audit, rules), Audit: audit,
		Files: []report.File{
			{Path: "runs/spring-festival-20261121-093000-k3f/run.db", What: "all that was measured (SQLite)"},
			{Path: "runs/spring-festival-20261121-093000-k3f/worker-1.log", What: "what its k6 said"},
		},
		Next: []string{
			"flashcrowd report latest --json report.json # the same for tools",
			"flashcrowd run spring-festival --demand 2   # twice the crowd: what was published was throttled",
		},
	}
}

// checks are some of an audit's, all held.
func checks(orders uint64) []results.Check {
	all := []results.Check{
		{ID: "key-double", Invariant: "no key has two orders", Severity: results.Critical},
		{ID: "order-stray", Invariant: "no order is booked without an intent", Severity: results.Critical},
		{ID: "coupon-missing", Invariant: "every promised coupon is in the books", Severity: results.Critical},
		{ID: "sums", Invariant: "in every booked order the amount is the subtotal less the discount", Severity: results.Critical},
	}
	for i := range all {
		all[i].State, all[i].Checked, all[i].Examples, all[i].Doubts = results.StateHeld, orders, []string{}, []string{}
	}
	return all
}

var thresholds = []string{"turn_ttft: p(99)<2s", "turn_ttft{stage:noon}: p(95)<300ms", "order_success: rate>0.99"}

func documents(t *testing.T) map[string]report.Document {
	double := document(t, day{shoppers: 600}, thresholds...)
	double.Audit.Booked++
	c := double.Audit.Checks
	c[0].State, c[0].Count, c[0].Examples = results.StateBroken, 1, []string{"key key-17: 2 booked"}
	c[1].Undecided, c[1].Doubts, double.Audit.Undecided = 1, []string{"order ord_9: the answer to its key key-3 was lost"}, 1
	c[2].State, c[2].Why, c[2].Checked = results.StateUnchecked, "the source has no coupons", 0
	double.Verdict = verdict.Judge(double.Run, double.Audit, verdict.Rules{Validity: verdict.DefaultValidity})
	fleet := document(t, day{shoppers: 5000}, thresholds...)
	fleet.Run = fleetRun(t)
	fleet.Verdict = verdict.Judge(fleet.Run, nil, verdict.Rules{Validity: verdict.DefaultValidity})
	fleet.Audit, fleet.Again = nil, "flashcrowd coordinator fleet.yaml --workers=3"
	collapse := document(t, day{shoppers: 5000}, thresholds...)
	for i := range collapse.Run.Seconds {
		if s := &collapse.Run.Seconds[i]; s.At >= 43 {
			s.Orders = min(s.Orders, 2)
		}
	}
	c = collapse.Audit.Checks
	c[0].State, c[0].Count, c[0].Examples = results.StateBroken, 37, []string{"key key-17: 2 booked"}
	collapse.Verdict = verdict.Judge(collapse.Run, collapse.Audit, verdict.Rules{Validity: verdict.DefaultValidity})
	return map[string]report.Document{
		"collapse": collapse,
		"fleet":    fleet,
		"pass":     document(t, day{shoppers: 5000}, thresholds...),
		"fail":     document(t, day{shoppers: 5000, bad: results.RateLimited, badShare: 0.05, slow: 900 * time.Millisecond}, thresholds...),
		"invalid":  document(t, day{shoppers: 5000, dead: true}, thresholds...),
		"refused":  document(t, day{shoppers: 100, bad: results.ConnectionFailed, badShare: 1}, "order_success: rate>0.99"),
		"double":   double,
		"nobody":   document(t, day{shoppers: 300, nowhere: true}, thresholds...),
		"empty":    document(t, day{shoppers: 300, neverTold: true}, thresholds...),
	}
}

// fleetRun is a run whose fleet changed: host-2 was lost and its slots went to
// host-1 and host-3, of which host-3 had joined in mid-run; host-4 left, and all
// were held while nobody answered.
func fleetRun(t *testing.T) *results.Run {
	t.Helper()
	const s = time.Second
	m := results.NewMerger(results.About{ID: "fleet-1", Campaign: "spring-festival", Target: "http://192.0.2.10", Duration: 30 * s, Planned: 100,
		Factors: results.Factors{Scale: 1, Demand: 1, Compress: 1, Pace: 1}, Stages: []results.Stage{{Name: "all", To: 30 * s, Shoppers: 100}}})
	who := results.Who{Stage: "all", Persona: "patient", Journey: "order"}
	launch := func(r *results.Recorder, n int, l results.Launch) {
		for range n {
			l.Who = who
			r.Add(l)
			r.Add(results.Step{Who: who, Name: "turn", Outcome: results.OK, Service: s / 100, Response: s / 100, Late: l.Hole > 0})
			r.Add(results.End{Who: who, Outcome: results.OK, Late: l.Hole > 0})
		}
	}
	cut := func(r *results.Recorder, seq uint64, at time.Duration, final bool) {
		snapshot := r.Cut(seq, at, results.Health{CPU: 0.2, RSS: 50e6})
		snapshot.Final = final
		if _, err := m.Add(snapshot); err != nil {
			t.Fatal(err)
		}
	}
	one, two, three, four := results.NewRecorder("1"), results.NewRecorder("2"), results.NewRecorder("3"), results.NewRecorder("4")
	one.Add(results.Mark{Grant: 1})
	launch(one, 20, results.Launch{})
	cut(one, 1, 10*s, false)
	launch(two, 17, results.Launch{})
	for range 3 {
		two.Add(results.Launch{Who: who})
	}
	cut(two, 1, 11*s, false)
	launch(four, 10, results.Launch{})
	cut(four, 1, 12*s, true)
	three.Add(results.Mark{Grant: 2})
	cut(three, 1, 6200*time.Millisecond, false)
	one.Add(results.Mark{Grant: 3, Holes: []results.Hole{{ID: 1, Grant: 3, From: 11 * s, To: 16 * s}}, Takeovers: []results.Takeover{{Grant: 3, Never: 2}},
		Skips: []results.Skip{{Stage: "all", Reason: "too old", Count: 2}}})
	launch(one, 8, results.Launch{Hole: 1, Grant: 3, Again: true})
	launch(one, 20, results.Launch{})
	one.Add(results.Mark{Grant: 3, Lapses: []results.Lapse{{From: 22 * s, To: 24 * s}}, Takeovers: []results.Takeover{{Never: 1}},
		Skips: []results.Skip{{Stage: "all", Reason: "too old", Count: 1}}})
	cut(one, 2, 16200*time.Millisecond, true)
	three.Add(results.Mark{Grant: 4})
	launch(three, 7, results.Launch{Hole: 1, Grant: 4, Again: true})
	launch(three, 12, results.Launch{})
	cut(three, 2, 16500*time.Millisecond, true)
	m.Worker("1", results.WorkerNote{Name: "host-1", Slots: 2048})
	m.Worker("2", results.WorkerNote{Name: "host-2", Slots: 1365, Fate: "lost: nothing heard for 5.1 s", Gone: 16 * s, Heirs: map[string]uint64{"1": 3, "3": 4}, Passed: 11 * s,
		Clocks: results.Clocks{Plan: -s / 2000, Wall: s / 50, Upsets: []results.Upset{{Kind: results.Stepped, At: 9 * s, Size: 3 * s}}}})
	m.Worker("3", results.WorkerNote{Name: "host-3", Slots: 2048, Joined: 4 * s, Full: 2, FullFrom: 6500 * time.Millisecond})
	m.Worker("4", results.WorkerNote{Name: "host-4", Slots: 683, Gone: 8 * s, Heirs: map[string]uint64{"3": 2}, Passed: 10 * s})
	return m.Run()
}

func TestGoldens(t *testing.T) {
	for name, d := range documents(t) {
		t.Run(name, func(t *testing.T) {
			var text, tools bytes.Buffer
			if err := report.Text(&text, d); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".txt", text.Bytes())
			if name == "pass" || name == "fail" || name == "empty" || name == "fleet" {
				if err := report.JSON(&tools, d); err != nil {
					t.Fatal(err)
				}
				golden(t, name+".json", tools.Bytes())
			}
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; see what changed with go test ./results/report -update and git diff\n%s", path, got)
	}
}

// The first line holds the verdict and the number that decided it, and no line
// is wider than a terminal is in CI.
func TestShape(t *testing.T) {
	for name, d := range documents(t) {
		var text bytes.Buffer
		if err := report.Text(&text, d); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(text.String(), "\n")
		if first := lines[0]; !strings.HasPrefix(first, strings.ToUpper(string(d.Verdict.Outcome))+"  spring-festival: ") || !strings.Contains(first, d.Verdict.Reasons[0].Rule+" → ") {
			t.Errorf("%s begins with %q", name, first)
		}
		for _, l := range lines {
			if n := utf8.RuneCountInString(l); n > 100 {
				t.Errorf("%s: %d columns: %s", name, n, l)
			}
			if strings.HasSuffix(l, " ") {
				t.Errorf("%s: space at the end of %q", name, l)
			}
		}
		if strings.Contains(text.String(), "\x1b") {
			t.Errorf("%s: an escape sequence reached the terminal", name)
		}
	}
}

// Colour changes nothing but colours.
func TestColour(t *testing.T) {
	d := documents(t)["fail"]
	var plain, coloured bytes.Buffer
	if err := report.Text(&plain, d); err != nil {
		t.Fatal(err)
	}
	d.Colour = true
	if err := report.Text(&coloured, d); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(coloured.String(), "\x1b[1;31mFAIL\x1b[0m  ") {
		t.Errorf("begins with %q", coloured.String()[:20])
	}
	stripped := coloured.String()
	for _, code := range []string{"0", "1", "1;31", "1;32", "1;33"} {
		stripped = strings.ReplaceAll(stripped, "\x1b["+code+"m", "")
	}
	if stripped != plain.String() {
		t.Error("without its colours the text differs")
	}
}

type closed struct{}

func (closed) Write([]byte) (int, error) { return 0, errClosed }

var errClosed = errors.New("pipe closed")

func TestWriteErrors(t *testing.T) {
	d := documents(t)["empty"]
	if err := report.Text(closed{}, d); !errors.Is(err, errClosed) {
		t.Errorf("text: %v", err)
	}
	if err := report.JSON(closed{}, d); !errors.Is(err, errClosed) {
		t.Errorf("JSON: %v", err)
	}
}

// What tools rely on: the keys, the account as arithmetic, and null for what
// was not measured.
func TestJSONContract(t *testing.T) {
	for name, d := range documents(t) {
		var out bytes.Buffer
		if err := report.JSON(&out, d); err != nil {
			t.Fatal(err)
		}
		var v struct {
			Run, Campaign   *string
			PlanFingerprint *string `json:"plan_fingerprint"`
			LoadFingerprint *string `json:"load_fingerprint"`
			Factors         map[string]float64
			Shoppers        struct {
				Planned    *uint64
				Ended      map[string]uint64
				InFlight   *uint64 `json:"in_flight"`
				Orphaned   *uint64
				NotStarted *uint64 `json:"not_started"`
			}
			Orders  struct{ Promised, Booked *uint64 }
			Metrics map[string]struct {
				Kind, Unit string
				Values     map[string]*float64
				ByStage    map[string]map[string]*float64 `json:"by_stage"`
			}
			Stages, Workers []map[string]any
			Verdict         struct {
				Outcome string
				Reasons []map[string]any
			}
		}
		if err := json.Unmarshal(out.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		if v.Run == nil || v.Campaign == nil || v.PlanFingerprint == nil || v.LoadFingerprint == nil || len(v.Factors) != 4 || v.Verdict.Outcome == "" || v.Stages == nil || v.Workers == nil {
			t.Errorf("%s: a key is missing: %s", name, out.Bytes()[:400])
		}
		s := v.Shoppers
		sum := *s.InFlight + *s.Orphaned + *s.NotStarted
		for outcome, n := range s.Ended {
			if _, err := results.ParseOutcome(outcome); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			sum += n
		}
		if closes := d.Run.Account.Closes() == nil; closes != (sum == *s.Planned) {
			t.Errorf("%s: %d planned and %d found, closes is %t", name, *s.Planned, sum, closes)
		}
		if len(v.Metrics) != len(results.Catalogue()) {
			t.Errorf("%s: %d metrics, want %d", name, len(v.Metrics), len(results.Catalogue()))
		}
		if m := v.Metrics["turn_ttft"]; m.Kind != "trend" || m.Unit != "ns" || (m.Values["p99_ns"] == nil) != (d.Run.Trend(results.TurnTTFT, results.Tags{}).Count() == 0) {
			t.Errorf("%s: turn_ttft = %+v", name, m)
		}
		if (v.Orders.Booked == nil) != (d.Audit == nil) {
			t.Errorf("%s: booked = %v", name, v.Orders.Booked)
		}
	}
}

// A run that goes on, or that nobody closed, has no verdict and no rules.
func TestWithoutVerdict(t *testing.T) {
	for running, want := range map[bool]string{
		true:  "RUNNING  spring-festival: 1m3",
		false: "NOT JUDGED  spring-festival: flashcrowd run ended at 1m3",
	} {
		d := document(t, day{shoppers: 300})
		d.Verdict, d.Running = verdict.Verdict{}, running
		var text, tools bytes.Buffer
		if err := errors.Join(report.Text(&text, d), report.JSON(&tools, d)); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(text.String(), want) || strings.Contains(text.String(), "✓") || strings.Contains(text.String(), "✗") {
			t.Errorf("running %t: %.300s", running, text.String())
		}
		outcome := strings.ToLower(want[:strings.Index(want, "  ")])
		if !strings.Contains(tools.String(), `"outcome": "`+outcome+`"`) {
			t.Errorf("running %t: JSON has no outcome %s", running, outcome)
		}
	}
}

// What a stall costs a closed crowd is in the wait outside alone, so the report
// has it; an open crowd has no such wait.
func TestOutside(t *testing.T) {
	for outside, want := range map[time.Duration]bool{0: false, 2 * time.Second: true} {
		var text bytes.Buffer
		if err := report.Text(&text, document(t, day{shoppers: 300, outside: outside})); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(text.String(), "(entry_wait): p50 2 s, p95 2 s, p99 2 s\n"); got != want {
			t.Errorf("outside for %v: %t\n%s", outside, got, text.String())
		}
	}
}
