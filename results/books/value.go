package books

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones by name, also where the machine has none

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/results/audit"
)

// Formats lists the names of formats of times. Any other Format is a layout of
// Go's package time, which holds 2006.
func Formats() []string { return []string{"unix", "unix_ms", "unix_us", "unix_ns"} }

// ParseFormat refuses what is neither of Formats nor a layout.
func ParseFormat(s string) error {
	if s == "" || slices.Contains(Formats(), s) {
		return nil
	}
	if !strings.Contains(s, "2006") {
		return fmt.Errorf("%q is no format of times", s)
	}
	return nil
}

// A tongue is how values are written in one source.
type tongue struct {
	currency string
	decimals int
	zone     *time.Location // nil: times must name theirs
	format   string
	void     []string
	during   Window
}

func (m *Mapping) tongue(during Window) (tongue, error) {
	zone, err := m.place()
	return tongue{currency: m.Currency, decimals: m.Decimals, zone: zone, format: m.Format, void: m.Orders.Void, during: during}, err
}

// count reads a whole number that is not negative.
func (*tongue) count(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is no whole number", clip(s))
	}
	return n, nil
}

// money reads an amount in minor units. Nothing is rounded.
func (t *tongue) money(s string) (int64, error) {
	if n, err := strconv.ParseInt(s, 10, 64); t.decimals == 0 && err == nil {
		return n, nil
	}
	whole, fraction, pointed := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	if !digits(whole) || pointed && !digits(fraction) {
		return 0, fmt.Errorf("%q is no amount: want digits and at most a point", clip(s))
	}
	if t.decimals == 0 && pointed {
		return 0, fmt.Errorf("%q is no whole number of minor units\nhint: audit.decimals: 2 for amounts that are written as 9.00", clip(s))
	}
	kept := strings.TrimRight(fraction, "0") // 9.000 is 9.00
	if len(kept) > t.decimals {
		return 0, fmt.Errorf("%q has more than the %d decimals of audit.decimals", clip(s), t.decimals)
	}
	n, err := strconv.ParseInt(whole+kept+strings.Repeat("0", t.decimals-len(kept)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is too large an amount", clip(s))
	}
	if s[0] == '-' {
		n = -n
	}
	return n, nil
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// code reads a currency. The mapping's own must be the only one.
func (t *tongue) code(s string) (string, error) {
	code := strings.ToUpper(s)
	if len(code) != 3 || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "", fmt.Errorf("%q is no currency of three letters (ISO 4217)", clip(s))
	}
	if t.currency != "" && code != t.currency {
		return "", fmt.Errorf("the currency is %s, and the campaign says that all books are in %s\nhint: leave audit.currency out if rows differ, and the audit holds each against its promise", code, t.currency)
	}
	return code, nil
}

// flag reads whether an order is void.
func (t *tongue) flag(s string) (bool, error) {
	if t.void != nil {
		return slices.Contains(t.void, s), nil
	}
	switch strings.ToLower(s) {
	case "true", "t", "1", "yes":
		return true, nil
	case "false", "f", "0", "no":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false\nhint: audit.orders.void lists what it holds for an order that is no sale", clip(s))
}

// spelt are the forms of times without a format: RFC 3339, and what SQL
// databases print. A fraction of a second may follow the seconds in each.
var spelt = [...]string{"2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05-07", "2006-01-02T15:04:05-0700", "2006-01-02 15:04:05-0700"}

// naive are those of times that name no zone.
var naive = [...]string{"2006-01-02 15:04:05", "2006-01-02T15:04:05"}

// moment reads a time.
func (t *tongue) moment(s string) (time.Time, error) {
	if slices.Contains(Formats(), t.format) {
		return unix(s, t.format)
	}
	if t.format != "" {
		at, err := time.ParseInLocation(t.format, s, time.UTC)
		if err != nil {
			return at, fmt.Errorf("%q is no time in the format %q of audit.format", clip(s), t.format)
		}
		if zoned(t.format) {
			return at, nil
		}
		return t.local(at, s)
	}
	for _, form := range spelt {
		if at, err := time.Parse(form, s); err == nil {
			return at, nil
		}
	}
	for _, form := range naive {
		if at, err := time.Parse(form, s); err == nil {
			return t.local(at, s)
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: want 2006-01-02T15:04:05Z\nhint: audit.format, such as unix_ms or \"02/01/2006 15:04\"", clip(s))
}

// zoned says whether a layout of package time names a zone.
func zoned(layout string) bool {
	return strings.Contains(layout, "Z07") || strings.Contains(layout, "-07") || strings.Contains(layout, "MST")
}

// local puts a time that names no zone, read as if it were UTC, into the
// mapping's.
func (t *tongue) local(at time.Time, s string) (time.Time, error) {
	if t.zone == nil {
		hint := "audit.zone: Asia/Shanghai, or +08:00"
		if fits, ok := t.during.fit(at); ok {
			hint = fmt.Sprintf("audit.zone: %q would put it into the run", zoneName(-fits))
		}
		return at, fmt.Errorf("%q does not say its time zone\nhint: %s", clip(s), hint)
	}
	return time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), t.zone), nil
}

// unix reads a count since 1970. A fraction, of whole seconds, may be there.
func unix(s, format string) (time.Time, error) {
	whole, fraction, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	per := map[string]int64{"unix": 1e9, "unix_ms": 1e6, "unix_us": 1e3, "unix_ns": 1}[format]
	if err != nil || n < 0 || n > math.MaxInt64/per || fraction != "" && (format != "unix" || !digits(fraction)) {
		return time.Time{}, fmt.Errorf("%q is no time in the format %s of audit.format", clip(s), format)
	}
	nanos := int64(0)
	if fraction != "" {
		nanos, _ = strconv.ParseInt((fraction + "000000000")[:9], 10, 64) // digits
	}
	return time.Unix(0, n*per+nanos).UTC(), nil
}

// windows reads when nothing was issued: a JSON list of {"from","until"}, in
// which until may be missing, null or empty.
func (t *tongue) windows(s string) ([]audit.Window, error) {
	list := gjson.Parse(s)
	if !gjson.Valid(s) || !list.IsArray() {
		return nil, fmt.Errorf(`%q is no list such as [{"from": "…", "until": "…"}]`, clip(s))
	}
	var all []audit.Window
	for _, w := range list.Array() {
		var ends [2]time.Time
		for i, name := range []string{"from", "until"} {
			text := w.Get(name).String()
			if text == "" && i == 1 {
				continue // still so
			}
			var err error
			if ends[i], err = t.moment(text); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
		all = append(all, audit.Window{From: ends[0], Until: ends[1]})
	}
	return all, nil
}

// clip bounds what a message repeats of a cell.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
