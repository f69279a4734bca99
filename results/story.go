package results

import "time"

// A Story is how a backend bore the surge: when it tipped over, how long it
// stayed down, and what that cost. It is computed from the course of the run,
// second by second of plan time. Moments that never came are nil.
//
// Orders are held against what was due: the shoppers that arrived, times the
// share of those who meant to order, later by Lag. Both are averaged over Window,
// around each second, and judged where at least ten orders were due in it. The backend is down while
// it sells less than half of what is due and less than half of its best before.
// The second half tells a collapse from a limit: who is asked for three times
// what it can sell, and goes on selling as much as before, is not down.
type Story struct {
	Peak   Stage         `json:"peak"`      // the stage with the most arrivals a second, as planned
	Lag    time.Duration `json:"lag_ns"`    // median journey of those who got what they came for, in the first stage that has any
	Window time.Duration `json:"window_ns"` // 5 s, or a sixtieth of the plan where that is more

	Tipped    *time.Duration `json:"tipped_at_ns"`    // when it was down first
	Recovered *time.Duration `json:"recovered_at_ns"` // when it was up again first
	Judged    time.Duration  `json:"judged_to_ns"`    // later too little was due to tell

	Best  float64 `json:"best_orders_per_s"`  // before it tipped over, or of the whole run
	Worst float64 `json:"worst_orders_per_s"` // while it was down
	Due   float64 `json:"due_at_worst_per_s"` // at that moment

	Before Effort `json:"before_peak"` // shoppers of the stages before the peak
	AtPeak Effort `json:"at_peak"`     // shoppers of the peak
}

// Effort is what the shoppers of some stages had to send.
type Effort struct {
	Requests uint64 `json:"requests_count"`
	Retries  uint64 `json:"retries_count"` // of them, those that repeat one
	Orders   uint64 `json:"orders_count"`
}

// PerStep is requests for each step that was meant, the retry amplification: 1
// when nobody tried anything twice, 0 when nothing was sent.
func (e Effort) PerStep() float64 {
	if e.Requests <= e.Retries {
		return 0
	}
	return float64(e.Requests) / float64(e.Requests-e.Retries)
}

const (
	storyWindow = 5 * time.Second
	storyLeast  = 10 // orders due in a window, to judge it
)

// Story tells how the backend bore the surge; nil where nobody meant to order.
func (r *Run) Story() *Story {
	_, meant := r.Rate(OrderSuccess, Tags{})
	ended := r.Account.EndedCount()
	if meant == 0 || ended == 0 || len(r.Seconds) == 0 {
		return nil
	}
	s := &Story{Lag: r.storyLag(), Window: max(storyWindow, (r.Duration / 60).Truncate(time.Second))}
	s.cast(r)
	due, orders := r.rates(s.Lag, int(s.Window/time.Second), float64(meant)/float64(ended))
	s.tell(due, orders)
	return s
}

// storyLag is how long after its arrival a shopper orders while all is well.
func (r *Run) storyLag() time.Duration {
	for _, stage := range r.Stages {
		if h := r.Trend(JourneyDuration, Tags{Stage: stage.Name, Outcome: OK.String()}); h.Count() > 0 {
			return h.Quantile(0.5)
		}
	}
	return 0
}

// cast finds the peak, and what its shoppers and those before them had to send.
func (s *Story) cast(r *Run) {
	rate := func(g Stage) float64 { return float64(g.Shoppers) / max((g.To-g.From).Seconds(), 1e-9) }
	for _, g := range r.Stages {
		if s.Peak.Name == "" || rate(g) > rate(s.Peak) {
			s.Peak = g
		}
	}
	for _, g := range r.Stages {
		sel := Tags{Stage: g.Name}
		e := Effort{r.Count(Requests, sel), r.Count(Retries, sel), r.Count(Orders, sel)}
		switch {
		case g == s.Peak:
			s.AtPeak = e
		case g.From < s.Peak.From:
			s.Before = Effort{s.Before.Requests + e.Requests, s.Before.Retries + e.Retries, s.Before.Orders + e.Orders}
		}
	}
}

// rates returns what was due and what was ordered per second, for each second of
// plan time, each averaged over the window that begins there.
func (r *Run) rates(lag time.Duration, window int, share float64) (due, orders []float64) {
	last := r.Seconds[len(r.Seconds)-1].At
	n := int(last) + 1
	due, orders = make([]float64, max(n, 0)), make([]float64, max(n, 0))
	later := int(lag / time.Second)
	part := (lag % time.Second).Seconds() // of a second's shoppers are due a second later still
	for _, s := range r.Seconds {
		if s.At < 0 {
			continue
		}
		orders[s.At] = float64(s.Orders)
		for i, w := range [...]float64{1 - part, part} {
			if at := int(s.At) + later + i; at < n {
				due[at] += float64(s.Launched) * share * w
			}
		}
	}
	return ahead(due, window), ahead(orders, window)
}

// ahead averages each value with the window-1 that follow; the last few, that
// lack those, are left out.
func ahead(v []float64, window int) []float64 {
	var means []float64
	sum := 0.0
	for i, x := range v {
		sum += x
		if from := i - window + 1; from >= 0 {
			means = append(means, sum/float64(window))
			sum -= v[from]
		}
	}
	return means
}

// tell finds the moments. Each is the middle of its window: half of that is good
// when a backend has just gone down at once.
func (s *Story) tell(due, orders []float64) {
	window := int(s.Window / time.Second)
	best := 0.0
	judged := func(i int) bool { return due[i]*float64(window) >= storyLeast }
	for i := range due {
		if !judged(i) {
			continue
		}
		s.Judged = time.Duration(i+window) * time.Second
		at := time.Duration(i+window/2) * time.Second
		down := orders[i] < min(due[i], best)/2
		switch {
		case s.Recovered != nil:
		case s.Tipped == nil && down:
			s.Tipped, s.Worst, s.Due = &at, orders[i], due[i]
		case s.Tipped == nil:
			best = max(best, orders[i])
		case !down:
			s.Recovered = &at
		case orders[i] < s.Worst:
			s.Worst, s.Due = orders[i], due[i]
		}
	}
	s.Best = best
}

// Down is how long the backend was down: to its recovery, or as far as could be
// judged. AfterPeak is how much of that was after the peak.
func (s *Story) Down() (down, afterPeak time.Duration) {
	if s.Tipped == nil {
		return 0, 0
	}
	end := s.Judged
	if s.Recovered != nil {
		end = *s.Recovered
	}
	return end - *s.Tipped, max(0, end-max(s.Peak.To, *s.Tipped))
}
