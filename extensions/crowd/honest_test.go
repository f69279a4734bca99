package crowd_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/chat"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// A trial is a steady run in which something stops once, for a while: the
// backend, or the generator. Arrivals are evenly spaced, so that its figures
// can be computed by hand, and shoppers ask one thing each.
type trial struct {
	length  time.Duration // of the run
	rate    string        // of the arrivals
	service time.Duration // of a request when nothing stops
	from    time.Duration // when it stops, plan time
	stall   time.Duration // for how long
	own     bool          // it is the generator that stops
}

const honest = `
name: honest
crowd:
  arrivals: {process: uniform}
  stages: [{name: steady, for: LENGTH, rate: RATE}]
  journeys: {browse: 1}
  turns: 1
target:
  chat: {protocol: openai, model: m}
`

// secret goes with every request, comes back with every answer, and may be in
// no evidence.
const secret = "sk-live-0123456789"

func (x trial) plan(t *testing.T) *scenarios.Plan {
	t.Helper()
	return planned(t, strings.NewReplacer("LENGTH", x.length.String(), "RATE", x.rate).Replace(honest))
}

func planned(t *testing.T, campaign string) *scenarios.Plan {
	t.Helper()
	c, err := scenarios.Parse("honest.yaml", []byte(campaign))
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Plan(results.Factors{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// hold waits until the stall is over, if it is on.
func (x trial) hold(zero time.Time) {
	if at := time.Since(zero); x.from <= at && at < x.from+x.stall {
		time.Sleep(x.from + x.stall - at) // the backend's own doing, or the generator's
	}
}

// backend answers a turn after the service time, and holds it while it stalls.
func (x trial) backend(zero time.Time) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if !x.own {
			x.hold(zero)
		}
		time.Sleep(x.service) // what serving it takes
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, ": "+secret+"\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"好的\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
	})
}

// run walks the crowd against what dialer reaches, and merges what it measured.
func (x trial) run(t *testing.T, p *scenarios.Plan, dialer wire.Dialer, zero time.Time) *results.Run {
	t.Helper()
	var mu sync.Mutex
	recorder := results.NewRecorder("w")
	emit := func(f results.Fact) {
		if _, ok := f.(results.Launch); ok && x.own { // whoever takes the facts is stuck, and the launches with it
			x.hold(zero)
		}
		mu.Lock()
		defer mu.Unlock()
		recorder.Add(f)
	}
	walk(t, p, crowd.Protocols{Chat: chat.New(p.Target.Chat)}, dialer, zero, emit)
	merger := results.NewMerger(results.About{Planned: p.Shoppers})
	if _, err := merger.Add(recorder.Cut(1, p.Duration(), results.Health{})); err != nil {
		t.Fatal(err)
	}
	run := merger.Run()
	if n := run.Count(results.Requests, results.Tags{Outcome: "ok"}); n != p.Shoppers {
		t.Fatalf("%d of %d were answered", n, p.Shoppers)
	}
	return run
}

// walk walks the whole crowd of a plan and hands out what happens.
func walk(t *testing.T, p *scenarios.Plan, spoken crowd.Protocols, dialer wire.Dialer, zero time.Time, emit func(results.Fact)) {
	t.Helper()
	e := crowd.New(crowd.Config{
		Plan: p, Dialer: dialer, Emit: emit,
		Protocols: spoken,
		Header: func(scenarios.Shopper, map[string]string) []byte {
			return []byte("Authorization: Bearer " + secret + "\r\nX-Also: " + secret + "\r\n")
		},
		Boot:  func() time.Duration { return time.Since(zero) },
		Alone: true,
	})
	lease := crowd.Lease{Version: 1, Deadline: time.Hour, Started: true}
	for slot := range scenarios.Slots {
		lease.Spans = append(lease.Spans, scenarios.Span{Slot: scenarios.Slot(slot), To: p.Duration(), Grant: 1})
	}
	e.Lease(lease)
	if err := e.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// waits lists, from the plan, how long each shopper waits beside its service
// time, in rising order.
func (x trial) waits(p *scenarios.Plan) (all []time.Duration) {
	for slot := range scenarios.Slot(scenarios.Slots) {
		for a := range p.Arrivals(slot, 0) {
			wait := time.Duration(0)
			if a.At >= x.from && a.At < x.from+x.stall {
				wait = x.from + x.stall - a.At
			}
			all = append(all, wait)
		}
	}
	slices.Sort(all)
	return all
}

// at is the q-quantile of what is in rising order, by nearest rank.
func at(all []time.Duration, q float64) time.Duration {
	return all[max(int(math.Ceil(q*float64(len(all)))), 1)-1]
}

// byHand is the q-quantile of the response time: the share stall ÷ length of
// the shoppers comes while it stands still, and waits for anything from nothing
// to the whole of the stall, each as likely.
func (x trial) byHand(q float64) time.Duration {
	missed := (1 - q) * float64(x.length)
	return x.service + max(0, x.stall-time.Duration(missed))
}

// inMemory is a network without sockets, for virtual time: a dialed connection
// is accepted at once.
type inMemory struct {
	target *wire.Target
	theirs chan net.Conn
	closed chan struct{}
}

func newInMemory(t *testing.T) *inMemory {
	t.Helper()
	target, err := wire.NewTarget(wire.Config{URL: "http://127.0.0.1:1", Secrets: []string{secret}})
	if err != nil {
		t.Fatal(err)
	}
	return &inMemory{target, make(chan net.Conn), make(chan struct{})}
}

// Dial implements wire.Dialer.
func (m *inMemory) Dial(context.Context, *wire.Device) (*wire.Conn, error) {
	ours, theirs := net.Pipe()
	m.theirs <- theirs
	return wire.New(ours, m.target), nil
}

// Accept implements net.Listener.
func (m *inMemory) Accept() (net.Conn, error) {
	select {
	case c := <-m.theirs:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (m *inMemory) Close() error   { close(m.closed); return nil }
func (m *inMemory) Addr() net.Addr { return &net.TCPAddr{} }

// TestResponseTimeIsExact: in virtual time, a backend that stalls for two
// seconds of a hundred gives the quantiles that are computed by hand, to the
// width of a histogram's bucket. So does a generator that stands still as long:
// its service time says that the backend was fine, and its lag says who was not.
func TestResponseTimeIsExact(t *testing.T) {
	stall := trial{length: 100 * time.Second, rate: "50/s", service: 80 * time.Millisecond, from: 40 * time.Second, stall: 2 * time.Second}
	for _, own := range []bool{false, true} {
		name := "the backend stalls"
		if own {
			name = "the generator is late"
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := stall
				x.own = own
				p, network, zero := x.plan(t), newInMemory(t), time.Now()
				server := &http.Server{Handler: x.backend(zero)}
				go server.Serve(network)
				defer time.Sleep(time.Second) // the handlers end: nothing may outlive the bubble
				defer server.Close()
				run := x.run(t, p, network, zero)

				// These four are the worked example of results/README.md.
				for q, want := range map[float64]time.Duration{0.5: 80, 0.98: 80, 0.99: 1080, 0.999: 1980} {
					if got := x.byHand(q); (got - want*time.Millisecond).Abs() > time.Microsecond {
						t.Fatalf("by hand, the %v quantile is %v", q, got)
					}
				}
				waits := x.waits(p)
				examples(t, run, at(waits, 1)+x.service)
				for _, q := range []float64{0, 0.5, 0.9, 0.98, 0.985, 0.99, 0.995, 0.999, 0.9999, 1} {
					wait := at(waits, q)
					theirs, lag := wait, time.Duration(0)
					if own {
						theirs, lag = 0, wait
					}
					for _, m := range []struct {
						metric *results.Metric
						want   time.Duration
					}{
						{results.StepDuration, wait + x.service},
						{results.TurnTTFT, wait + x.service},
						{results.StepServiceTime, theirs + x.service},
						{results.ScheduleLag, lag},
					} {
						got := run.Trend(m.metric, results.Tags{}).Quantile(q)
						if got < m.want || got > m.want+max(m.want/1000, time.Microsecond) {
							t.Errorf("%s: the %v quantile is %v, want %v", m.metric.Name, q, got, m.want)
						}
					}
					// On paper arrivals are a continuum; here they come one by one.
					gap := 3 * x.length / time.Duration(len(waits))
					if paper := x.byHand(q); (wait + x.service - paper).Abs() > gap {
						t.Errorf("the %v quantile of the plan is %v, on paper %v", q, wait+x.service, paper)
					}
				}
			})
		})
	}
}

// examples checks the evidence of a run in which everything was answered.
func examples(t *testing.T, run *results.Run, longest time.Duration) {
	t.Helper()
	if len(run.Examples) != 3 || run.Examples[0].Took+run.Examples[0].Took/10 < longest {
		t.Fatalf("%d examples, the first of %v; want the slowest 3, the longest took %v", len(run.Examples), run.Examples[0].Took, longest)
	}
	for _, e := range run.Examples {
		if e.Outcome != results.OK || e.Took > longest || e.Service > e.Took || e.At == 0 {
			t.Errorf("an example of %v, %v of service, at %v: the longest took %v", e.Took, e.Service, e.At, longest)
		}
		if !strings.Contains(e.Request, "traceparent: 00-"+e.Trace+"-") || !strings.Contains(e.Response, "好的") {
			t.Errorf("trace %s of\n%s\n%s", e.Trace, e.Request, e.Response)
		}
		if all := fmt.Sprint(e); strings.Contains(all, secret) || !strings.Contains(all, "redacted") {
			t.Errorf("a secret is told: %s", all)
		}
	}
}

// TestResponseTimeOnSockets: the same on TCP and a real clock, to two in a
// hundred, and twice what the machine itself was late to wake who sleeps.
// Backend and generator share it with whatever else it does, so one round of
// several has to come out; and when the stall ends there are few enough to
// answer that this takes no time to speak of.
func TestResponseTimeOnSockets(t *testing.T) {
	x := trial{length: 4 * time.Second, rate: "15/s", service: 20 * time.Millisecond, from: time.Second, stall: 2 * time.Second}
	p := x.plan(t)
	waits := x.waits(p)
	for range 10 {
		zero := time.Now().Add(100 * time.Millisecond)
		server := httptest.NewServer(x.backend(zero))
		target, err := wire.NewTarget(wire.Config{URL: server.URL})
		if err != nil {
			t.Fatal(err)
		}
		late := lateness()
		run := x.run(t, p, target, zero)
		server.Close()
		own := min(late(), 100*time.Millisecond) // more would excuse too much
		off := []string{}
		for _, q := range []float64{0.75, 0.9, 0.99} {
			want := at(waits, q) + x.service
			for _, m := range []*results.Metric{results.StepDuration, results.StepServiceTime} {
				if got := run.Trend(m, results.Tags{}).Quantile(q); (got - want).Abs() > want/50+2*own {
					off = append(off, fmt.Sprintf("%s: the %v quantile is %v, by hand %v", m.Name, q, got, want))
				}
			}
		}
		if len(off) == 0 {
			return
		}
		t.Logf("more than 2 %% off, with a lag of %v on a machine up to %v late: %s", run.Trend(results.ScheduleLag, results.Tags{}).Quantile(0.99), own, strings.Join(off, "; "))
	}
	t.Error("every round was off")
}

// lateness begins to measure how late the machine wakes who sleeps; what it
// returns ends that and says the latest.
func lateness() func() time.Duration {
	stop, latest := make(chan struct{}), make(chan time.Duration)
	go func() {
		for most := time.Duration(0); ; {
			begin := time.Now()
			time.Sleep(time.Millisecond) // what is measured
			most = max(most, time.Since(begin)-time.Millisecond)
			select {
			case <-stop:
				latest <- most
				return
			default:
			}
		}
	}()
	return func() time.Duration { close(stop); return <-latest }
}

var (
	_ wire.Dialer  = (*inMemory)(nil)
	_ net.Listener = (*inMemory)(nil)
)
