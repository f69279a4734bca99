package audit

import (
	"math"
	"strings"
	"testing"
	"time"
)

// FuzzRecord: whatever is put into a record comes out of it, and the same text
// is the same token.
func FuzzRecord(f *testing.F) {
	f.Add("", "ord_1", int64(-1), true)
	f.Add("01900000-0000-8000-8000-0123456789ab", "01900000-0000-8000-8000-0123456789AB", int64(math.MinInt64), false)
	f.Add("01900000-0000-8000-8000-0123456789a-", strings.Repeat("订", 200), int64(math.MaxInt64), true)
	f.Add("\x00", "\x01\xff", int64(0), false)
	f.Fuzz(func(t *testing.T, a, b string, n int64, yes bool) {
		r := reader(record(nil).kind(couponKind).text(a).number(n).text(b).flag(yes).text(a))
		k, x, m, y, flag, again := r.kind(), r.token(), r.number(), r.token(), r.flag(), r.token()
		if k != couponKind || x.String() != a || m != n || y.String() != b || flag != yes || x != again || r.more() {
			t.Errorf("%q %d %q %v came out as %q %d %q %v, with %d bytes left", a, n, b, yes, x, m, y, flag, len(r))
		}
		if (x == y) != (a == b) || x != newToken(a) || (x == none) != (a == "") {
			t.Errorf("%q and %q are the tokens %x and %x", a, b, string(x), string(y))
		}
	})
}

func TestNanos(t *testing.T) {
	for _, tt := range []struct {
		at   time.Time
		want int64
	}{
		{time.Time{}, 0},
		{time.Unix(1, 2), 1_000_000_002},
		{time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), math.MaxInt64},
		{time.Date(1000, 1, 1, 0, 0, 0, 0, time.UTC), math.MinInt64},
	} {
		if got := nanos(tt.at); got != tt.want {
			t.Errorf("%v is %d, want %d", tt.at, got, tt.want)
		}
	}
	if add(math.MaxInt64, 1) != math.MaxInt64 || add(math.MinInt64, -1) != math.MinInt64 || add(5, -7) != -2 {
		t.Error("time wraps around")
	}
}
