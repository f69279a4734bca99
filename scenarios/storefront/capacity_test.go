package storefront

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// curve is what NVIDIA publishes for Llama 3.1 8B Instruct under NIM 1.8.0, for
// so many clients that each ask again as soon as they have their answer. That
// prompts and answers have 200 tokens follows from the columns themselves.
var curve = []struct {
	clients    int
	ttft, itl  float64 // ms
	throughput float64 // tokens a second, of all
}{
	{1, 10.26, 4.63, 214.56},
	{5, 16.81, 4.58, 1076.88},
	{25, 36.34, 5.19, 4678.88},
	{50, 67.41, 5.91, 8018.23},
	{100, 119.97, 7.57, 12214.97},
	{150, 346.53, 9.81, 12988.89},
	{200, 465.18, 12.65, 13348.40},
	{250, 605.6, 16.14, 12964.72},
}

// TestCurve replays the benchmark behind the published curve against the model,
// in virtual time. -v prints the table of the README.
func TestCurve(t *testing.T) {
	for _, want := range curve {
		synctest.Test(t, func(t *testing.T) {
			const tokens, rounds = 200, 6
			e := &engine{model: fitted, many: 1}
			var mu sync.Mutex
			var ttft, itl, whole time.Duration
			var all sync.WaitGroup
			for i := range want.clients {
				all.Go(func() {
					// Clients that begin together would stay so, reading and
					// writing in turns; they spread over the time of an answer.
					time.Sleep(time.Duration(float64(tokens*i) / float64(want.clients) * want.itl * 1e6))
					for range rounds {
						asked := time.Now()
						p := e.enter(asked, tokens)
						time.Sleep(time.Until(p.due))
						time.Sleep(time.Until(p.next()))
						first := time.Now()
						for range tokens - 1 {
							time.Sleep(time.Until(p.next()))
						}
						mu.Lock()
						ttft += first.Sub(asked)
						itl += time.Since(first) / (tokens - 1)
						whole += time.Since(asked)
						mu.Unlock()
						e.leave()
					}
				})
			}
			all.Wait()
			n := float64(want.clients * rounds)
			ms := func(d time.Duration) float64 { return float64(d) / n / float64(time.Millisecond) }
			throughput := float64(want.clients) * tokens / (ms(whole) / 1000)
			off := func(got, want float64) string { return fmt.Sprintf("%.1f (%+.0f %%)", got, 100*(got/want-1)) }
			t.Logf("| %d | %.1f | %s | %.2f | %s | %.0f | %s |", want.clients, want.ttft, off(ms(ttft), want.ttft), want.itl, off(ms(itl), want.itl), want.throughput, off(throughput, want.throughput))
			if math.Abs(ms(itl)/want.itl-1) > 0.06 || math.Abs(throughput/want.throughput-1) > 0.25 {
				t.Errorf("%d clients: further off than the README says", want.clients)
			}
		})
	}
}

// What the model says of one stream's next token.
func TestPace(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name    string
		engines float64
		streams int
		prompts []int // that come after the first, of 10 tokens
		want    []time.Duration
	}{
		{"alone", 1, 0, nil, []time.Duration{10, 20, 30}},
		{"crowded", 1, 9, nil, []time.Duration{10, 30, 50}},
		{"crowded, on two engines", 2, 9, nil, []time.Duration{10, 22500 * time.Microsecond / ms, 35}},
		{"while others are read", 1, 0, []int{5}, []time.Duration{10, 20, 35}},
	} {
		e := &engine{model: Model{Step: 10 * ms, Crowding: ms / 10, Prefill: ms}, many: tt.engines, streams: tt.streams}
		if tt.streams == 0 {
			e.model.Crowding = 0
		}
		begin := time.Unix(0, 0)
		p := e.enter(begin, 10)
		for _, n := range tt.prompts {
			e.enter(begin, n)
		}
		got := []time.Duration{p.due.Sub(begin) / ms}
		for range 2 {
			got = append(got, p.next().Sub(begin)/ms)
		}
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%s: %d, want %d ms", tt.name, got, tt.want)
		}
	}
}

// flowing counts the streams that have entered and not left.
func (e *engine) flowing() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.streams
}
