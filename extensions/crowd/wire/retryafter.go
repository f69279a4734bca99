package wire

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// longestRetry is the longest pause that a backend is believed to ask for.
const longestRetry = time.Hour

// RetryAfter returns the pause that an answer asks for before the next try:
// retry-after-ms, else Retry-After in seconds or as a date. It is between 0 and
// an hour; 0 also stands for an answer that asks for none, or for nonsense.
func RetryAfter(r *Response, now time.Time) time.Duration {
	if pause, ok := pauseOf(r.Header("Retry-After-Ms"), time.Millisecond); ok {
		return pause
	}
	text := r.Header("Retry-After")
	if text == "" {
		return 0
	}
	if pause, ok := pauseOf(text, time.Second); ok {
		return pause
	}
	if date, err := http.ParseTime(text); err == nil {
		return min(max(0, date.Sub(now)), longestRetry)
	}
	return 0
}

// pauseOf reads a number of units; fractions are seen in the wild.
func pauseOf(text string, unit time.Duration) (time.Duration, bool) {
	if text == "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) {
		return 0, false
	}
	n = min(max(0, n), float64(longestRetry/unit))
	return time.Duration(n * float64(unit)), true
}
