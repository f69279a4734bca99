package results

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Bounds on what a snapshot may carry, in bytes for text.
const (
	maxName     = 256      // names, reasons, currencies
	maxID       = 4 << 10  // what a backend gave as an id
	maxEvidence = 64 << 10 // a request or an answer kept as an example
	maxCount    = maxWireCount
	maxPlanTime = 400 * 24 * time.Hour
)

// check returns what makes s a snapshot that no Recorder cut.
func (s *Snapshot) check() error {
	switch {
	case s.Format < oldestFormat || s.Format > SnapshotFormat:
		return fmt.Errorf("format %d: this build reads formats %d to %d", s.Format, oldestFormat, SnapshotFormat)
	case s.Worker == "" || len(s.Worker) > maxName:
		return fmt.Errorf("worker id of %d bytes: expected 1 to %d", len(s.Worker), maxName)
	case s.Seq == 0:
		return errors.New("sequence 0: the first is 1")
	case !planTime(s.Cut) || !planTime(s.Frontier):
		return fmt.Errorf("cut at %v with frontier %v is beyond any plan", s.Cut, s.Frontier)
	case max(s.Launched, s.Ended) > maxCount:
		return fmt.Errorf("more than %d launches, ends or examples", uint64(maxCount))
	case !(s.Health.CPU >= 0 && s.Health.CPU <= math.MaxFloat32):
		return fmt.Errorf("health: cpu %v is not a share", s.Health.CPU)
	case !(s.Health.Throttled >= 0 && s.Health.Throttled <= 1 && s.Health.Stalled >= 0 && s.Health.Stalled <= 1):
		return fmt.Errorf("health: throttled %v and stalled %v are no shares", s.Health.Throttled, s.Health.Stalled)
	}
	return errors.Join(
		first("series", s.Series, Series.check),
		first("skip", s.Skips, Skip.check),
		first("second", s.Seconds, Second.check),
		first("ledger entry", s.Ledger, Promise.check),
		first("example", s.Examples, Example.check),
		first("applied grant", s.Applied, Applied.check),
		first("hole", s.Holes, Hole.check),
		first("takeover", s.Takeovers, Takeover.check),
		first("lapse", s.Lapses, Lapse.check),
	)
}

// first returns the first fault among all, with its place.
func first[T any](what string, all []T, check func(T) error) error {
	for i, v := range all {
		if err := check(v); err != nil {
			return fmt.Errorf("%s %d: %w", what, i, err)
		}
	}
	return nil
}

func planTime(d time.Duration) bool { return -maxPlanTime < d && d < maxPlanTime }

func (s Series) check() error {
	m := MetricByName(s.Metric)
	if m == nil {
		return fmt.Errorf("unknown metric %.64q", s.Metric)
	}
	if s.Tags != s.Tags.only(m) {
		return fmt.Errorf("%s has tags %v, and that metric has only %v", m.Name, s.Tags, m.Tags)
	}
	for _, v := range s.Tags.values() {
		if err := short("tag", v, maxName); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
	}
	if o := s.Tags.Outcome; o != "" {
		if _, err := ParseOutcome(o); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
	}
	switch {
	case (m.Kind == Trend) != (s.Hist != nil), m.Kind == Trend && s.Count > 0:
		return fmt.Errorf("%s: a trend has a histogram and no count, anything else the reverse", m.Name)
	case s.Good > s.Count, m.Kind != Rate && s.Good > 0:
		return fmt.Errorf("%s counts %d good of %d", m.Name, s.Good, s.Count)
	case s.Count > maxCount:
		return fmt.Errorf("%s counts %d, more than %d", m.Name, s.Count, uint64(maxCount))
	}
	return nil
}

func (s Skip) check() error {
	if s.Count > maxCount {
		return fmt.Errorf("counts %d, more than %d", s.Count, uint64(maxCount))
	}
	return errors.Join(short("stage", s.Stage, maxName), short("reason", s.Reason, maxName))
}

func (s Second) check() error {
	if at := int64(maxPlanTime / time.Second); s.At <= -at || s.At >= at {
		return fmt.Errorf("second %d is beyond any plan", s.At)
	}
	if max(s.Launched, s.Ended, s.Orders, s.Requests, s.Failed) > maxCount {
		return fmt.Errorf("second %d counts more than %d", s.At, uint64(maxCount))
	}
	return nil
}

func (e Example) check() error {
	if e.Outcome >= outcomes {
		return fmt.Errorf("unknown outcome %d", e.Outcome)
	}
	if e.Attempt < 0 || !planTime(e.At) || !planTime(e.Took) || !planTime(e.Service) {
		return fmt.Errorf("attempt %d at %v, of %v, is beyond any plan", e.Attempt, e.At, e.Took)
	}
	return errors.Join(short("stage", e.Stage, maxName), short("step", e.Step, maxName),
		short("shopper", e.Shopper, maxID), short("trace", e.Trace, maxID), short("why", e.Why, maxID),
		short("request", e.Request, maxEvidence), short("response", e.Response, maxEvidence))
}

func (a Applied) check() error {
	if !planTime(a.Frontier) {
		return fmt.Errorf("applied at %v, beyond any plan", a.Frontier)
	}
	return nil
}

func (h Hole) check() error {
	if h.ID == 0 || !planTime(h.From) || !planTime(h.To) || h.From > h.To {
		return fmt.Errorf("impossible: %d from %v to %v", h.ID, h.From, h.To)
	}
	return nil
}

func (t Takeover) check() error {
	if max(t.Late, t.Again, t.Never) > maxCount {
		return fmt.Errorf("grant %d counts more than %d", t.Grant, uint64(maxCount))
	}
	return nil
}

func (l Lapse) check() error {
	if !planTime(l.From) || !planTime(l.To) || l.From > l.To {
		return fmt.Errorf("impossible: from %v to %v", l.From, l.To)
	}
	return nil
}

func short(what, s string, limit int) error {
	if len(s) > limit {
		return fmt.Errorf("%s of %d bytes: at most %d", what, len(s), limit)
	}
	return nil
}

// values lists the tags in the order of the fields.
func (t Tags) values() [5]string {
	return [...]string{t.Stage, t.Step, t.Outcome, t.Persona, t.Journey}
}

// only returns t without the dimensions that m does not have.
func (t Tags) only(m *Metric) Tags {
	for _, d := range Dimensions() {
		if !slices.Contains(m.Tags, d) {
			t = t.With(d, "")
		}
	}
	return t
}
