package extensions

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grafana/sobek"
	"github.com/tidwall/gjson"
	"go.k6.io/k6/v2/js/common"
	"go.k6.io/k6/v2/js/modulestest"
	"go.k6.io/k6/v2/lib"
	"go.k6.io/k6/v2/metrics"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

const mixed = `
name: mixed
seed: 5
crowd:
  shoppers: 80
  stages: [{name: rush, for: 10s, rate: 1}]
  personas: {patient: 2, double-tapper: 1, bargain-hunter: 1, spec-agent: 1, abuser: 1}
  journeys: {order: 4, browse: 1, repeat: 1, booking: 1}
  think: {median: 2s, p90: 4s}
  turns: {median: 2, p90: 5}
factors: {compress: 20, pace: 0.001}
target:
  chat: {protocol: openai, model: m}
  coupons: {protocol: wxpay-favor, stock_id: s}
  checkout: {protocol: acp}
`

// scripted lets each iteration of a script's function be one shopper that goes
// through its journey while all is well.
const script = `
const thinks = [];
function shop(options) {
  const s = new Shopper(options);
  const think = () => thinks.push(s.number + ' ' + s.think().toFixed(6));
  const turns = TURNS[s.number];
  for (let turn = 0; turn < turns; turn++) {
    if (turn > 0) think();
    if (!s.chat().ok) return s.leave();
  }
  if (s.journey === 'order') { think(); s.claim(); }
  if (s.journey !== 'browse' && !s.drops) { think(); s.checkout(); }
  s.leave();
}`

// vu is a VU of k6, as much of it as the module needs.
type vu struct {
	*instance
	rt      *sobek.Runtime
	samples chan metrics.SampleContainer
	iter    uint64
	cancel  context.CancelFunc
}

func newVU(t *testing.T) *vu {
	t.Helper()
	registry := metrics.NewRegistry()
	known, err := register(registry)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	v := &vu{rt: sobek.New(), samples: make(chan metrics.SampleContainer, 1<<16), cancel: cancel}
	v.rt.SetFieldNameMapper(common.FieldNameMapper{})
	v.instance = &instance{module: &module{}, metrics: known, vu: &modulestest.VU{
		CtxField: ctx, RuntimeField: v.rt,
		StateField: &lib.State{
			Samples: v.samples, Tags: lib.NewVUStateTags(registry.RootTagSet()),
			GetScenarioGlobalVUIter: func() uint64 { return v.iter },
		},
	}}
	if err := v.rt.Set("Shopper", v.shopper); err != nil {
		t.Fatal(err)
	}
	return v
}

// run runs a piece of script.
func (v *vu) run(t *testing.T, js string) sobek.Value {
	t.Helper()
	value, err := v.rt.RunString(js)
	if err != nil {
		t.Fatalf("%s: %v", js, err)
	}
	return value
}

// facts returns what was measured so far, by the names of facts.
func (v *vu) facts() (facts []results.Fact) {
	for len(v.samples) > 0 {
		facts = append(facts, (<-v.samples).(*parcel).facts...)
	}
	return facts
}

// requests is a shop that says yes to everything, and what it was asked: who
// asked, for what, under which key, in which words; and how often.
type requests struct {
	mu  sync.Mutex
	all map[string]int
}

func (q *requests) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	m := gjson.ParseBytes(body)
	q.mu.Lock()
	q.all[strings.Join([]string{r.Method, r.URL.Path, r.Header.Get("X-User-Id"), r.Header.Get("Idempotency-Key"), r.Header.Get("Traceparent"), string(body)}, " ")]++
	q.mu.Unlock()
	switch key := r.Header.Get("Idempotency-Key"); {
	case strings.HasSuffix(r.URL.Path, "/chat/completions"):
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: {\"choices\":[{\"delta\":{\"content\":\"奶茶 tea\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
	case strings.HasSuffix(r.URL.Path, "/coupons"):
		fmt.Fprintf(w, `{"coupon_id":"c-%s"}`, m.Get("out_request_no").Str)
	case strings.HasSuffix(r.URL.Path, "/delegate_payment"):
		fmt.Fprintf(w, `{"id":"vt-%s","created":"2026-01-01T00:00:00Z","metadata":{}}`, key)
	default:
		id := "cs-" + key
		if _, after, ok := strings.Cut(r.URL.Path, "/checkout_sessions/"); ok {
			id, _, _ = strings.Cut(after, "/")
		}
		answer := map[string]any{"id": id, "status": "ready_for_payment", "currency": "cny", "totals": []any{map[string]any{"type": "total", "amount": 500}}}
		if code := m.Get("discounts.codes.0").Str; code != "" {
			answer["discounts"] = map[string]any{"applied": []any{map[string]any{"code": code}}}
		}
		if strings.HasSuffix(r.URL.Path, "/complete") {
			answer["status"], answer["order"] = "completed", map[string]any{"id": "o-" + id}
		}
		json.NewEncoder(w).Encode(answer)
	}
}

// TestSameCrowd: shoppers whose way is scripted in JavaScript send what the same
// crowd sends by itself, to the byte, and think as long.
func TestSameCrowd(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mixed.yaml")
	if err := os.WriteFile(file, []byte(mixed), 0o644); err != nil {
		t.Fatal(err)
	}
	campaign, err := scenarios.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := campaign.Plan(results.Factors{})
	if err != nil {
		t.Fatal(err)
	}

	alone := &requests{all: map[string]int{}}
	srv := httptest.NewServer(alone)
	plan.Target.URL = srv.URL
	config, err := Outfit(plan, Terms{Run: "xk6"})
	if err != nil {
		t.Fatal(err)
	}
	config.Alone, config.Emit = true, func(results.Fact) {}
	e := crowd.New(config)
	whole := everything(plan)
	whole.Started, whole.Clock = true, scenarios.Clock{Zero: scenarios.Boottime()}
	e.Lease(whole)
	if err := e.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	srv.Close()

	var turns []int
	var thinks []string
	for g := range plan.Shoppers {
		j, last, said := plan.Shopper(scenarios.Nth(g)).Walk(), scenarios.Result{}, 0
		before := -1
		for {
			step, ok := j.Next(last)
			if !ok {
				break
			}
			if step.Kind == scenarios.Turn {
				said++
			}
			if before >= 0 && before != step.Index && step.Kind != scenarios.Update && step.Kind != scenarios.Complete && step.Kind != scenarios.Delegate {
				thinks = append(thinks, fmt.Sprintf("%d %.6f", g, step.Think.Seconds()))
			}
			before = step.Index
			last = scenarios.Result{Outcome: results.OK, Coupon: "c", Session: "s", Token: "t", Order: "o"}
		}
		turns = append(turns, said)
	}

	led := &requests{all: map[string]int{}}
	srv = httptest.NewServer(led)
	defer srv.Close()
	v := newVU(t)
	if err := v.rt.Set("TURNS", turns); err != nil {
		t.Fatal(err)
	}
	v.run(t, script)
	for g := range plan.Shoppers {
		v.iter = g
		v.run(t, fmt.Sprintf("shop({campaign: %q, target: %q})", file, srv.URL))
	}
	if !maps.Equal(alone.all, led.all) || len(led.all) < 500 {
		for request, n := range alone.all {
			if led.all[request] != n {
				t.Errorf("%d times by script, %d times alone: %s", led.all[request], n, request)
				break
			}
		}
		for request, n := range led.all {
			if alone.all[request] == 0 {
				t.Errorf("%d times by script alone: %s", n, request)
				break
			}
		}
		t.Errorf("%d requests of the crowd alone, %d by script", len(alone.all), len(led.all))
	}
	var thought []string
	if err := v.rt.ExportTo(v.run(t, "thinks"), &thought); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(thought, "\n"), strings.Join(thinks, "\n"); got != want || len(thinks) < 100 {
		t.Errorf("%d think times by script, %d alone, or not the same", len(thought), len(thinks))
	}
	launched, ended := 0, 0
	for _, f := range v.facts() {
		switch f := f.(type) {
		case results.Launch:
			launched++
		case results.End:
			if ended++; f.Outcome != results.OK || f.Ordered != f.MeantToOrder {
				t.Errorf("%+v", f)
			}
		}
	}
	if launched != int(plan.Shoppers) || ended != launched {
		t.Errorf("%d launched, %d ended", launched, ended)
	}
}

// What a step gives, and what makes no sense.
func TestScripted(t *testing.T) {
	srv := httptest.NewServer(&requests{all: map[string]int{}})
	defer srv.Close()
	v := newVU(t)
	file := filepath.Join(t.TempDir(), "mixed.yaml")
	if err := os.WriteFile(file, []byte(mixed), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := v.rt.Set("options", map[string]any{"campaign": file, "target": srv.URL, "persona": "double-tapper", "journey": "order", "number": 7}); err != nil {
		t.Fatal(err)
	}
	v.iter = 3
	for _, tt := range []struct{ js, want string }{
		{`const s = new Shopper(options); [s.number, s.id, s.persona, s.journey, s.stage].join()`, "7,7/0,double-tapper,order,rush"},
		{`new Shopper({...options, number: -1})`, "error: number: want a whole number from 0, not -1"},
		{`s.user.length`, "36"},
		{`let r = s.chat('one tea'); [r.ok, r.outcome, r.text, r.requests].join()`, "true,ok,奶茶 tea,1"},
		{`try { s.update() } catch (e) { e.message }`, "error: claim one first"},
		{`try { s.complete() } catch (e) { e.message }`, "error: create one first"},
		{`r = s.claim(); [r.ok, r.coupon.length, r.requests].join()`, "true,38,2"}, // a second tap
		{`r = s.create(); [r.ok, r.session.length, r.amount, r.currency].join()`, "true,39,500,CNY"},
		{`r = s.update(); [r.ok, r.order].join()`, "true,"},
		{`r = s.complete(); [r.ok, r.order.length, r.requests].join()`, "true,41,3"}, // one to delegate, two taps
		{`r = s.checkout(); [r.ok, r.order.length].join()`, "true,41"},               // another order
		{`s.leave(); s.leave(); try { s.chat() } catch (e) { e.message }`, "error: the shopper has left"},
		{`const raw = new Shopper({...options, raw: true}); r = raw.claim(); raw.leave(); r.requests`, "1"},
		{`Object.keys(JSON.parse(JSON.stringify(r))).join()`, "ok,outcome,why,status,requests,duration,text,coupon,session,order,amount,currency"},
		{`new Shopper({...options, persona: 'pacient'})`, "error: did you mean patient"},
		{`new Shopper({...options, number: undefined}).number`, "3"}, // k6's iteration
		{`new Shopper({...options, scle: 1})`, "error: no option \"scle\"; known: allow"},
		{`new Shopper()`, "error: new Shopper() needs {campaign"},
		{`new Shopper({campaign: 'smoke'})`, "error: new Shopper() needs {target"},
	} {
		value, err := v.rt.RunString(tt.js)
		got := fmt.Sprint(value)
		if err != nil {
			got = err.Error()
			v.rt.ClearInterrupt()
		}
		if want, fails := strings.CutPrefix(tt.want, "error: "); !fails && got != tt.want || !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", tt.js, got, tt.want)
		}
	}
}

// What is not of the journey is done for a script as well: logins are, and a no
// to one is final; answers that are pending are asked for until they come.
func TestScriptedAttended(t *testing.T) {
	logins, polls, known := 0, 0, true
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		switch {
		case r.URL.Path == "/login" && !known:
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, `{"error":"no"}`)
		case r.URL.Path == "/login":
			logins++
			io.WriteString(w, `{"token":"t"}`)
		case r.Header.Get("Authorization") != "Bearer t":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/chat/completions":
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: {\"choices\":[{\"delta\":{\"content\":\"tea\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
		default:
			status, more := "ready_for_complete", ""
			if strings.HasSuffix(r.URL.Path, "/complete") {
				status = "complete_in_progress"
			} else if r.Method == "GET" {
				polls++
				status, more = "completed", `,"order":{"id":"o","permalink_url":"https://x.invalid"}`
			}
			fmt.Fprintf(w, `{"ucp":{"version":"2026-04-08"},"id":"cs","status":%q,"currency":"CNY","totals":[{"type":"total","amount":5}]%s}`, status, more)
		}
	}))
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "known.yaml")
	campaign := `
name: known
crowd: {shoppers: 1, stages: [{name: calm, for: 30s, rate: 1}], journeys: {repeat: 1}}
target:
  url: ` + srv.URL + `
  headers: {Authorization: "Bearer {{taken.token}}"}
  login: {request: {path: /login, body: '{}'}, take: {token: token}, rejected: [{status: 403}], ok: [{path: token, exists: true}]}
  chat: {protocol: openai, model: m}
  checkout: {protocol: ucp}
`
	if err := os.WriteFile(file, []byte(campaign), 0o644); err != nil {
		t.Fatal(err)
	}
	v := newVU(t)
	js := fmt.Sprintf(`(() => { const s = new Shopper({campaign: %q, raw: true}); const all = [s.chat(), s.create(), s.complete()]; s.leave();
		return all.map((r) => [r.outcome, r.requests, r.order].join()).join(' ') })()`, file)
	if got, want := v.run(t, js).String(), "ok,2, ok,1, ok,2,o"; got != want || logins != 1 || polls != 1 {
		t.Errorf("%s, %d logins, %d polls; want %s", got, logins, polls, want)
	}
	known = false
	js = strings.Replace(js, "s.create(), s.complete()", "s.chat()", 1)
	if got, want := v.run(t, js).String(), "rejected,1, rejected,0,"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	outcomes := ""
	for _, f := range v.facts() {
		if f, ok := f.(results.End); ok {
			outcomes += f.Outcome.String() + " "
		}
	}
	if outcomes != "ok rejected " {
		t.Error(outcomes)
	}
}

// A shopper that k6 stops is broken off, in a request or in a thought.
func TestScriptedStops(t *testing.T) {
	silent := make(chan struct{}, 8)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		silent <- struct{}{}
		<-r.Context().Done()
	}))
	defer srv.Close()
	for _, js := range []string{"s.chat()", "s.chat(); s.think()"} {
		v := newVU(t)
		go func() {
			<-silent
			v.cancel()
		}()
		started := time.Now()
		v.run(t, fmt.Sprintf("const s = new Shopper({campaign: 'smoke', target: %q, journey: 'order', persona: 'patient'}); %s; s.leave()", srv.URL, js))
		if took := time.Since(started); took > 20*time.Second {
			t.Errorf("%s took %v", js, took)
		}
		outcomes := ""
		for _, f := range v.facts() {
			switch f := f.(type) {
			case results.Step:
				outcomes += f.Outcome.String() + " "
			case results.End:
				outcomes += "end " + f.Outcome.String()
			}
		}
		if outcomes != "canceled end canceled" {
			t.Errorf("%s: %s", js, outcomes)
		}
	}
}

// index.d.ts has what a script sees, and nothing else.
func TestTypes(t *testing.T) {
	text, err := os.ReadFile("index.d.ts")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []struct {
		name string
		is   reflect.Type
	}{{"interface Visit", reflect.TypeFor[*visit]()}, {"class Shopper", reflect.TypeFor[*scripted]()}} {
		_, rest, _ := strings.Cut(string(text), "export "+kind.name+" {")
		body, _, _ := strings.Cut(rest, "\n  }")
		var want, got []string
		for i := range kind.is.Elem().NumField() {
			if name := kind.is.Elem().Field(i).Tag.Get("js"); name != "" {
				want = append(want, name)
			}
		}
		for i := range kind.is.NumMethod() {
			want = append(want, common.MethodName(kind.is, kind.is.Method(i)))
		}
		for _, m := range regexp.MustCompile(`(?m)^    (?:readonly )?(\w+)[:(]`).FindAllStringSubmatch(body, -1) {
			if m[1] != "constructor" {
				got = append(got, m[1])
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s has %v, the code %v", kind.name, got, want)
		}
	}
	for _, o := range results.Outcomes() {
		if !strings.Contains(string(text), "'"+o.String()+"'") {
			t.Errorf("there is no outcome %v", o)
		}
	}
}
