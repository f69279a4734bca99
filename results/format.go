package results

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Human formats a duration for people, to three digits: 850 ns, 12.3 µs,
// 456 ms, 1.23 s. From a minute on it is whole seconds (2m05s), from an hour on
// whole minutes (9h00m).
func Human(d time.Duration) string {
	switch {
	case d == math.MinInt64:
		return Human(d + 1)
	case d < 0:
		return "-" + Human(-d)
	case d == 0:
		return "0 s"
	case d >= time.Hour-30*time.Second:
		d = d.Round(time.Minute)
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= 59950*time.Millisecond:
		d = d.Round(time.Second)
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < time.Microsecond:
		return fmt.Sprintf("%d ns", int64(d))
	}
	v, units := float64(d)/1e3, []string{"µs", "ms", "s"}
	for v >= 999.5 && len(units) > 1 { // 999.5 would print as 1000
		v, units = v/1000, units[1:]
	}
	return threeDigits(v) + " " + units[0]
}

// HumanShare formats a ratio as a percentage: 99.2 %. Near 1 and near 0 it
// keeps the digits that matter: 99.98 % is not 100 %.
func HumanShare(ratio float64) string {
	digits := 1
	for rest := min(math.Abs(ratio), math.Abs(1-ratio)); rest > 0 && rest < 0.01 && digits < 6; rest *= 10 {
		digits++
	}
	s := strconv.FormatFloat(ratio*100, 'f', digits, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".") + " %"
}

// HumanCount formats a count with separators: 10,000,000.
func HumanCount(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// HumanCountOf formats a count with what is counted, a noun whose plural ends in
// s: 1 order, 10,000 orders.
func HumanCountOf(n uint64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return HumanCount(n) + " " + noun
}

// HumanRate formats a number of things in each second: 0.12/s, 4.5/s, 1,234/s.
func HumanRate(perSecond float64) string {
	if perSecond >= 999.5 {
		return HumanCount(uint64(math.Round(perSecond))) + "/s"
	}
	return threeDigits(perSecond) + "/s"
}

// threeDigits formats v in [0,999.5) to three digits, without trailing zeros.
func threeDigits(v float64) string {
	decimals := 2
	switch {
	case v >= 99.95:
		decimals = 0
	case v >= 9.995:
		decimals = 1
	}
	s := strconv.FormatFloat(v, 'f', decimals, 64)
	if decimals > 0 {
		s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	}
	return s
}
