package scenarios

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

func plan(t testing.TB, src string, f results.Factors) *Plan {
	t.Helper()
	p, err := parse(t, src).Plan(f)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var uniform = strings.Replace(small, "shoppers:", "arrivals: {process: uniform}\n  shoppers:", 1)

func everybody(p *Plan) []Arrival {
	var all []Arrival
	for s := range Slot(Slots) {
		for a := range p.Arrivals(s, 0) {
			all = append(all, a)
		}
	}
	return all
}

// TestCountsAreExact: however slots and moments are split, everybody comes
// once, in order, in the stage that counts them.
func TestCountsAreExact(t *testing.T) {
	for _, src := range []string{small, uniform, bursting} {
		p := plan(t, src, results.Factors{})
		var stages uint64
		for i, s := range p.Stages() {
			stages += s.Shoppers
			got := 0
			for slot := range Slot(Slots) {
				got += p.Count(slot, s.From, s.To)
			}
			if uint64(got) != s.Shoppers {
				t.Errorf("stage %d: %d shoppers by arrival, %d in Stages", i, got, s.Shoppers)
			}
		}
		if all := everybody(p); len(all) != 10_000 || stages != 10_000 || p.Shoppers != 10_000 {
			t.Errorf("%d arrive, stages have %d, planned are %d", len(all), stages, p.Shoppers)
		}
		for slot := Slot(0); slot < Slots; slot += 511 {
			arrivals := slices.Collect(p.Arrivals(slot, 0))
			if !slices.IsSortedFunc(arrivals, func(a, b Arrival) int { return int(a.At - b.At) }) {
				t.Errorf("slot %d is out of order", slot)
			}
			for _, cut := range []Mark{-1, 0, 1, time.Minute, 70*time.Second + 1, p.Duration() - 1, p.Duration(), math.MaxInt64} {
				var want []Arrival
				for _, a := range arrivals {
					if a.At >= cut {
						want = append(want, a)
					}
				}
				if got := slices.Collect(p.Arrivals(slot, cut)); !slices.Equal(got, want) {
					t.Errorf("slot %d from %v: %d arrivals, want %d", slot, cut, len(got), len(want))
				}
				if got := p.Count(slot, math.MinInt64, cut) + p.Count(slot, cut, math.MaxInt64); got != len(arrivals) {
					t.Errorf("slot %d cut at %v counts %d of %d", slot, cut, got, len(arrivals))
				}
			}
			for _, a := range arrivals {
				s := p.Shopper(a.ID)
				stage := p.Stages()[p.curve.stageAt(a.At)]
				if s.At != a.At || s.ID != a.ID || s.Stage != stage.Name {
					t.Errorf("shopper %v: at %v in %s, arrival at %v in %s", a.ID, s.At, s.Stage, a.At, stage.Name)
				}
			}
		}
		if n := len(slices.Collect(p.Arrivals(Slots, 0))); n != 0 || p.Count(Slots, 0, time.Hour) != 0 {
			t.Errorf("slot %d has %d arrivals", Slots, n)
		}
	}
}

// TestScaleIsAPrefix: a smaller crowd is part of the larger one, shopper by shopper.
func TestScaleIsAPrefix(t *testing.T) {
	for _, src := range []string{small, uniform, bursting} {
		whole, part := plan(t, src, results.Factors{Demand: 2}), plan(t, src, results.Factors{Scale: 1. / 3})
		if part.Shoppers != 3333 || whole.Shoppers != 20_000 {
			t.Fatalf("%d and %d shoppers", part.Shoppers, whole.Shoppers)
		}
		inWhole := map[ID]Mark{}
		for _, a := range everybody(whole) {
			inWhole[a.ID] = a.At
		}
		for _, a := range everybody(part) {
			if at, ok := inWhole[a.ID]; !ok || at != a.At {
				t.Fatalf("shopper %v arrives at %v, in the whole crowd at %v (%v)", a.ID, a.At, at, ok)
			}
			if x, y := part.Shopper(a.ID), whole.Shopper(a.ID); x.Hash() != y.Hash() || x.User != y.User {
				t.Fatalf("shopper %v is somebody else in the whole crowd", a.ID)
			}
		}
	}
}

// TestCompress: a faster day has the same shoppers in the same stages.
func TestCompress(t *testing.T) {
	day, fast := plan(t, small, results.Factors{}), plan(t, small, results.Factors{Compress: 7})
	for i, s := range fast.Stages() {
		if slow := day.Stages()[i]; s.Shoppers != slow.Shoppers || (s.To-slow.To/7).Abs() > 1 {
			t.Errorf("stage %+v, uncompressed %+v", s, slow)
		}
	}
	for i := range 100 {
		id := ID{Slot(i), 0}
		if a, b := fast.Shopper(id).At, day.Shopper(id).At; (a - b/7).Abs() > 2 {
			t.Errorf("shopper %v at %v, uncompressed at %v", id, a, b)
		}
	}
	if r := fast.RateAt(fast.Duration()-1) / day.RateAt(day.Duration()-1); math.Abs(r-7) > 1e-6 {
		t.Errorf("the rate is %v times as high", r)
	}
}

// TestCurve inverts ramps of all shapes and integrates them again.
func TestCurve(t *testing.T) {
	ramps := []struct{ a, b float64 }{{1, 1}, {0, 1}, {1, 0}, {1, 9}, {9, 3.75}, {1e-9, 1e9}, {1e9, 1e-9}, {1, 1 + 1e-12}, {1e9, 1e9 - 1}}
	for _, r := range ramps {
		c := newCurve([]Stage{{"gap", time.Second, 0, 0, false}, {"ramp", time.Hour, r.a, r.b, false}, {"end", time.Second, 0, 0, false}}, 1, Bursts{}, draws{})
		last := Mark(-1)
		for _, v := range []float64{0, 1e-15, 1e-9, 1e-3, 0.1, 0.25, 0.5, 0.75, 0.9, 0.999, 1 - 1e-9, 1} {
			u := share(v)
			s := c.segment(u)
			at := s.at(u)
			if at < time.Second || at >= time.Second+time.Hour || s.stage != 1 {
				t.Fatalf("ramp %v: share %v arrives at %v in stage %d", r, v, at, s.stage)
			}
			if at < last {
				t.Errorf("ramp %v: share %v arrives before a smaller one", r, v)
			}
			last = at
			x := float64(at-time.Second) / float64(time.Hour)
			got := (r.a*x + (r.b-r.a)*x*x/2) / ((r.a + r.b) / 2)
			if math.Abs(got-v) > 1e-12*3.6 { // a nanosecond of an hour
				t.Errorf("ramp %v: share %v arrives at %v, where the share is %v", r, v, at, got)
			}
		}
	}
}

// TestStagesMeet: who arrives at the cut between two stages is in the second.
func TestStagesMeet(t *testing.T) {
	c := newCurve([]Stage{{"a", time.Second, 1, 1, false}, {"b", time.Second, 1, 1, false}}, 1, Bursts{}, draws{})
	for u, want := range map[uint64]Mark{1<<63 - 1: time.Second - 1, 1 << 63: time.Second, math.MaxUint64: 2*time.Second - 1} {
		if s := c.segment(u); s.at(u) != want || c.stageAt(want) != s.stage {
			t.Errorf("share %#x arrives at %v in stage %d", u, s.at(u), s.stage)
		}
	}
}

// TestTies: shoppers of one instant come in the order of their numbers.
func TestTies(t *testing.T) {
	src := strings.NewReplacer("10_000", "1_000_000", "for: 1m", "for: 100s", "for: 30s", "for: 100s", "limits: {arrivals: 5000/s}\n", "").Replace(small)
	p := plan(t, src, results.Factors{Compress: 100_000})
	ties := 0
	for slot := range Slot(200) {
		last := Arrival{At: -1}
		for a := range p.Arrivals(slot, 0) {
			if a.At == last.At {
				ties++
			}
			if !last.before(a) || a.At < last.At || a.At == last.At && a.ID.Number < last.ID.Number {
				t.Fatalf("%v comes after %v", a, last)
			}
			last = a
		}
	}
	if ties == 0 {
		t.Error("no ties to look at")
	}
}

// TestRateAt: the rate is what arrives.
func TestRateAt(t *testing.T) {
	p := plan(t, small, results.Factors{Demand: 1.5})
	var sum float64
	const dt = 10 * time.Millisecond
	for m := dt / 2; m < p.Duration(); m += dt {
		sum += p.RateAt(m) * dt.Seconds()
	}
	if math.Abs(sum-15_000) > 1e-6 {
		t.Errorf("the rate integrates to %v, planned are %d", sum, p.Shoppers)
	}
	for _, m := range []Mark{-1, p.Duration(), time.Hour} {
		if r := p.RateAt(m); r != 0 {
			t.Errorf("RateAt(%v) = %v", m, r)
		}
	}
	// 60·1 + 30·(1+9)/2 = 210 for 15,000 shoppers
	for m, want := range map[Mark]float64{0: 15_000. / 210, time.Minute - 1: 15_000. / 210, 75 * time.Second: 15_000. / 210 * 5} {
		if r := p.RateAt(m); math.Abs(r-want) > 1e-9 {
			t.Errorf("RateAt(%v) = %v, want %v", m, r, want)
		}
	}
}

// TestUniformIsEven: every prefix of a uniform crowd has its arrivals spaced
// by at most a few times the mean, as the golden ratio promises.
func TestUniformIsEven(t *testing.T) {
	for _, scale := range []float64{0.001, 0.0137, 0.1, 0.73, 1} {
		p := plan(t, uniform, results.Factors{Scale: scale})
		var at []uint64
		for _, a := range everybody(p) {
			at = append(at, p.share(a.ID))
		}
		slices.Sort(at)
		mean := math.Pow(2, 64) / float64(len(at))
		for i := 1; i < len(at); i++ {
			if gap := float64(at[i]-at[i-1]) / mean; gap < 0.3 || gap > 2 {
				t.Fatalf("scale %v: a gap of %.2f times the mean", scale, gap)
			}
		}
	}
}

// TestPoissonDispersion: counts in equal windows have the variance of a
// Poisson process; those of a uniform crowd have next to none.
func TestPoissonDispersion(t *testing.T) {
	index := func(src string) float64 {
		p := plan(t, strings.Replace(src, "rate: [1, 9]", "rate: 1", 1), results.Factors{})
		counts := make([]int, 500)
		for _, a := range everybody(p) {
			counts[int(a.At)*len(counts)/int(p.Duration())]++
		}
		return chi2(counts, 10_000) / float64(len(counts)-1)
	}
	if d := index(small); d < 0.8 || d > 1.2 {
		t.Errorf("poisson: index of dispersion %v, want about 1", d)
	}
	if d := index(uniform); d > 0.1 {
		t.Errorf("uniform: index of dispersion %v, want about 0", d)
	}
}

// TestGoldenCrowd pins the draws: a change here changes every plan there is,
// and asks for another planFormat.
func TestGoldenCrowd(t *testing.T) {
	var b strings.Builder
	for _, src := range []string{small, uniform} {
		p := plan(t, src, results.Factors{Pace: 0.5})
		fmt.Fprintf(&b, "fingerprint %s\n", p.Fingerprint())
		for _, s := range p.Stages() {
			fmt.Fprintf(&b, "stage %s %v %v %d\n", s.Name, s.From, s.To, s.Shoppers)
		}
		for _, id := range []ID{{0, 0}, {17, 2}} {
			s := p.Shopper(id)
			fmt.Fprintf(&b, "shopper %v at %v %s %s %s %s %s\n", id, s.At, s.Stage, s.Persona.Name, s.Journey, s.User, s.Hash())
			w := s.Walk()
			for step, ok := w.Next(Result{}); ok; step, ok = w.Next(Result{Outcome: results.OK, Coupon: "c", Session: "s"}) {
				fmt.Fprintf(&b, "  %s %d think %v key %s say %q item %v\n", step.Kind, step.Index, step.Think, step.Key, step.Say, step.Item)
			}
		}
	}
	var load results.Sum128
	p := plan(t, small, results.Factors{})
	for _, a := range everybody(p) {
		load = load.Add(p.Shopper(a.ID).Hash())
	}
	fmt.Fprintf(&b, "load %s\n", load)
	sameAs(t, "crowd.golden", b.String())
}

func TestShares(t *testing.T) {
	p := plan(t, small, results.Factors{})
	personas, journeys, english, single := map[string]float64{}, map[string]float64{}, 0.0, 0.0
	for _, a := range everybody(p) {
		s := p.Shopper(a.ID)
		personas[s.Persona.Name] += 1e-4
		journeys[s.Journey] += 1e-4
		if s.say(0)[0] < 0x80 {
			english += 1e-4
		}
		if s.item().Quantity == 1 {
			single += 1e-4
		}
	}
	for what, got := range map[string][2]float64{
		"patient": {personas["patient"], 0.75}, "impatient": {personas["impatient"], 0.25},
		"order": {journeys["order"], 0.9}, "browse": {journeys["browse"], 0.1}, "english": {english, 0.2}, "one of it": {single, 0.8},
	} {
		if math.Abs(got[0]-got[1]) > 0.02 {
			t.Errorf("%s: %.3f of the crowd, want %.3f", what, got[0], got[1])
		}
	}
	// These shares leave a rest when they are subtracted one by one.
	if i := pick([]Weight{{"a", 0.04}, {"b", 0.03}, {"c", 0.04}, {"d", 0}}, math.Nextafter(1, 0)); i != 2 {
		t.Errorf("picked %d", i)
	}
}

func TestPlanFactors(t *testing.T) {
	c := parse(t, strings.Replace(small, "seed: 7", "factors: {scale: 1/2, compress: 3}", 1))
	p, err := c.Plan(results.Factors{Compress: 2})
	if err != nil {
		t.Fatal(err)
	}
	if want := (results.Factors{Scale: 0.5, Demand: 1, Compress: 2, Pace: 1}); p.Factors != want || p.Shoppers != 5000 || p.Duration() != 45*time.Second {
		t.Errorf("factors %+v, %d shoppers in %v", p.Factors, p.Shoppers, p.Duration())
	}
	tests := []struct {
		f    results.Factors
		want string
	}{
		{results.Factors{Scale: -1, Demand: 1001, Compress: 0.5, Pace: math.NaN()}, "scale must be more than 0 and at most 1, not -1\ndemand must be more than 0 and at most 1000, not 1001\ncompress must be at least 1 and at most 100000, not 0.5\npace must be more than 0 and at most 10, not NaN"},
		{results.Factors{Scale: math.Inf(1)}, "scale must be"},
		{results.Factors{Scale: 1e-9}, "are 0; a plan has 1 to 1000000000"},
		{results.Factors{Compress: 100_000}, "stage calm would last 600µs"},
		{results.Factors{Demand: 100}, "stage rush would reach 64285.7 arrivals/s, and limits.arrivals is 5000/s"},
	}
	for _, tt := range tests {
		if _, err := c.Plan(tt.f); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Plan(%+v): %v; want %q", tt.f, err, tt.want)
		}
	}
}

func TestParseFactor(t *testing.T) {
	for s, want := range map[string]float64{"1/1000": 0.001, "0.1": 0.1, "2": 2, " 1/4 ": 0.25, "1_000": 1000, "1e-3": 0.001, "2.5/5": 0.5} {
		if got, err := ParseFactor(s); err != nil || got != want {
			t.Errorf("ParseFactor(%q) = %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "/", "1/", "/2", "1/0", "0/0", "a", "inf", "nan", "0x1p3", "1/2/3", "1e400", "1__0", "10%", "1 / 2"} {
		if got, err := ParseFactor(s); err == nil {
			t.Errorf("ParseFactor(%q) = %v", s, got)
		}
	}
}

func TestWarnings(t *testing.T) {
	c, err := Load("spring-festival")
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Plan(results.Factors{Pace: 1})
	if err != nil {
		t.Fatal(err)
	}
	// Six think times of 8.3 s on average are 50 s; three stages are shorter.
	got := p.Warnings()
	if len(got) != 4 || !strings.Contains(got[2], "stage noon lasts 10s, but the think times of order journey add up to about 50.") {
		t.Errorf("warnings: %q", got)
	}
}

func TestCodec(t *testing.T) {
	p := plan(t, small, results.Factors{Scale: 0.25, Pace: 0.1})
	p.Target.URL = "http://other:1" // as a flag does
	data := p.Encode()
	q, err := DecodePlan(data)
	if err != nil {
		t.Fatal(err)
	}
	if string(q.Encode()) != string(data) || q.Fingerprint() != p.Fingerprint() {
		t.Errorf("decoded plan differs:\n%s\n%s", q.Encode(), data)
	}
	if q.Target.URL != "http://other:1" || q.Target.Headers["Authorization"] != "Bearer ${TOKEN}" || len(q.Campaign.Thresholds) != 3 {
		t.Errorf("decoded %+v", q)
	}
	for i := range 50 {
		if id := (ID{Slot(i), 0}); p.Shopper(id).Hash() != q.Shopper(id).Hash() {
			t.Fatalf("shopper %v differs", id)
		}
	}
	same := plan(t, strings.Replace(small, "http://127.0.0.1:8080", "https://elsewhere", 1), results.Factors{Scale: 0.25, Pace: 0.1})
	if same.Fingerprint() != p.Fingerprint() {
		t.Error("the address changes the fingerprint")
	}
	for _, f := range []results.Factors{{Scale: 0.5, Pace: 0.1}, {Scale: 0.25}, {Scale: 0.25, Pace: 0.1, Compress: 2}} {
		if plan(t, small, f).Fingerprint() == plan(t, small, results.Factors{Scale: 0.25, Pace: 0.1}).Fingerprint() {
			t.Errorf("factors %+v keep the fingerprint", f)
		}
	}
	refused := map[string][2]string{
		"another format": {`"format":1`, `"format":2`},
		"a new key":      {`"format":1`, `"format":1,"x":1`},
		"a space":        {`"format":1`, `"format": 1`},
		"a key twice":    {`"format":1`, `"format":2,"format":1`},
		"another case":   {`"format":1`, `"Format":1`},
		"scale 0":        {`"factors":{"scale":0.25`, `"factors":{"scale":0`},
		"a negative For": {`"for_ns":60000000000`, `"for_ns":-60000000000`},
		"a huge crowd":   {`"shoppers":10000`, `"shoppers":18446744073709551615`},
		"no stages":      {`"stages":[{`, `"stages":[],"x":[{`},
		"a bad persona":  {`"patient"`, `"pat"`},
		"a bad URL":      {`http://other:1`, `file:///etc/passwd`},
		"two models":     {`"model":"m"`, `"model":"n"`},
		"a bad rule":     {`p(95)<3s`, `p(95`},
	}
	for name, r := range refused {
		bad := strings.Replace(string(data), r[0], r[1], 1)
		if bad == string(data) {
			t.Fatalf("%s: %q is not in the plan", name, r[0])
		}
		if _, err := DecodePlan([]byte(bad)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	for _, bad := range []string{"", "null", "[]", "{}", string(data) + " ", string(data[:len(data)-1]), strings.Repeat("[", 2<<20)} {
		if _, err := DecodePlan([]byte(bad)); err == nil {
			t.Errorf("%.40q is taken", bad)
		}
	}
}
