package results

import (
	"testing"
	"time"
)

// A run of 6 s that was stopped in its third second, drained for as long, and
// was asked for again at 10.5 s.
func stopped() *Run {
	return &Run{
		About:   About{Duration: 6 * time.Second},
		Stopped: "stopped by the user", Cut: 10500 * time.Millisecond,
		Seconds: []Second{{At: 0, Launched: 5}, {At: 1, Launched: 5, Orders: 4}, {At: 2, Launched: 1, Orders: 2}, {At: 5, Orders: 6}},
	}
}

func TestArrivalsEnd(t *testing.T) {
	r := stopped()
	if got := r.ArrivalsEnd(); got != 3*time.Second {
		t.Errorf("a stopped run: %v, want 3s", got)
	}
	if r.Stopped = ""; r.ArrivalsEnd() != r.Duration {
		t.Errorf("a run that came to its end: %v, want %v", r.ArrivalsEnd(), r.Duration)
	}
	if r.Cut = 4 * time.Second; r.ArrivalsEnd() != r.Cut {
		t.Errorf("a run that goes on: %v, want %v", r.ArrivalsEnd(), r.Cut)
	}
	if r.Cut = -time.Second; r.ArrivalsEnd() != 0 {
		t.Errorf("a run that has yet to start: %v, want 0", r.ArrivalsEnd())
	}
	if r = (&Run{About: About{Duration: time.Second}, Stopped: "x", Cut: time.Second}); r.ArrivalsEnd() != 0 {
		t.Errorf("stopped before anybody came: %v, want 0", r.ArrivalsEnd())
	}
}

func TestOrdersBetween(t *testing.T) {
	r := stopped()
	for _, c := range []struct {
		from, to time.Duration
		want     float64
	}{
		{0, 3 * time.Second, 6}, {0, 10 * time.Second, 12}, {3 * time.Second, 5 * time.Second, 0},
		{1500 * time.Millisecond, 2500 * time.Millisecond, 3}, {2 * time.Second, 2 * time.Second, 0},
	} {
		if got := r.OrdersBetween(c.from, c.to); got != c.want {
			t.Errorf("from %v to %v: %v orders, want %v", c.from, c.to, got, c.want)
		}
	}
	if got := r.OrdersEnd(); got != 6*time.Second {
		t.Errorf("the last order: %v, want 6s", got)
	}
}
