package books

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Window is the run on the wall clock. The zero Window takes any time.
type Window struct{ From, Until time.Time }

// margin is how far a row's time may lie outside of the run. Clocks differ, and
// an order may be booked after its shopper has gone; half of the least step
// between two time zones, 30 minutes, is what can't be one.
const margin = 15 * time.Minute

// holds says whether a row of that time may be the run's.
func (w Window) holds(at time.Time) bool {
	return w == Window{} || !at.Before(w.From.Add(-margin)) && !at.After(w.Until.Add(margin))
}

// fit returns the least number of half hours by which a time that lies outside
// of the run is to be moved to lie in it, and false if none of a time zone's
// does.
func (w Window) fit(at time.Time) (time.Duration, bool) {
	const step, most = 30 * time.Minute, 26 * time.Hour // from +14:00 to -12:00
	const skew = time.Minute
	if (w == Window{}) {
		return 0, false
	}
	for n := time.Duration(0); n <= most; n += step {
		for _, by := range [...]time.Duration{n, -n} {
			if moved := at.Add(by); !moved.Before(w.From.Add(-skew)) && !moved.After(w.Until.Add(margin)) {
				return by, true
			}
		}
	}
	return 0, false
}

// refuse says what is wrong with a row of that time, outside of the run.
func (t *tongue) refuse(at time.Time) error {
	w := t.during
	off, side := w.From.Sub(at), "before the run began, at "+stamp(w.From)
	if at.After(w.Until) {
		off, side = at.Sub(w.Until), "after the run ended, at "+stamp(w.Until)
	}
	hint := "leave out what is not the run's, by {{run.from}} and {{run.until}} in a query or path, or pass it over with audit.outside: skip"
	if by, ok := w.fit(at); ok {
		_, own := at.In(cmpZone(t.zone)).Zone()
		zone := zoneName(time.Duration(own)*time.Second - by)
		if t.zone != nil && zone != zoneName(time.Duration(own)*time.Second) {
			hint = fmt.Sprintf("a wrong time zone? audit.zone: %q would put it into the run", zone)
		} else {
			hint = fmt.Sprintf("a wrong time zone? As the clock of %s it would lie in the run: have the source write the zone that it means, or none and audit.zone: %q", zone, zone)
		}
	}
	return fmt.Errorf("its time, %s, lies %v %s\nhint: %s", stamp(at), off.Round(time.Second), side, hint)
}

func cmpZone(zone *time.Location) *time.Location {
	if zone == nil {
		return time.UTC
	}
	return zone
}

func stamp(at time.Time) string { return at.Format("2006-01-02T15:04:05Z07:00") }

// Fill replaces {{run.from}} and {{run.until}} in a query or a path by the run's
// ends, a minute further out, written as the mapping's times are.
func (m *Mapping) Fill(text string, run Window) (string, error) {
	zone, err := m.place()
	if err != nil {
		return "", err
	}
	write := func(at time.Time) string {
		at = at.In(cmpZone(zone))
		switch m.Format {
		case "":
			return at.Format(time.RFC3339)
		case "unix":
			return strconv.FormatInt(at.Unix(), 10)
		case "unix_ms":
			return strconv.FormatInt(at.UnixMilli(), 10)
		case "unix_us":
			return strconv.FormatInt(at.UnixMicro(), 10)
		case "unix_ns":
			return strconv.FormatInt(at.UnixNano(), 10)
		}
		return at.Format(m.Format)
	}
	return strings.NewReplacer("{{run.from}}", write(run.From.Add(-time.Minute)), "{{run.until}}", write(run.Until.Add(time.Minute))).Replace(text), nil
}
