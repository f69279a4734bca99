package storefront

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A Pause is a time in which no coupons are issued, counted from when the shop
// opens. It may not end.
type Pause struct {
	From, Until time.Duration // Until 0: it does not end
}

// ParsePause reads a pause, such as 30s-40s, or 30s- for one that does not end.
func ParsePause(text string) (p Pause, err error) {
	from, until, ok := strings.Cut(text, "-")
	if ok {
		p.From, err = time.ParseDuration(from)
		if err == nil && until != "" {
			p.Until, err = time.ParseDuration(until)
		}
	}
	if !ok || err != nil || p.From < 0 || until != "" && p.Until <= p.From {
		return Pause{}, fmt.Errorf("pause %q: want two times from the opening, such as 30s-40s", text)
	}
	return p, nil
}

// keepPauses pauses and resumes the campaign of coupons as was planned.
func (f *face) keepPauses(ctx context.Context) error {
	type change struct {
		at     time.Duration
		paused bool
	}
	var changes []change
	for _, p := range f.options.Pauses {
		changes = append(changes, change{p.From, true})
		if p.Until > 0 {
			changes = append(changes, change{p.Until, false})
		}
	}
	slices.SortStableFunc(changes, func(a, b change) int { return cmp.Compare(a.at, b.at) })
	opened := time.Now()
	for _, c := range changes {
		select {
		case <-time.After(time.Until(opened.Add(c.at))):
		case <-ctx.Done():
			return nil
		}
		if err := f.shop.coupons.Pause(ctx, c.paused); err != nil && ctx.Err() == nil {
			return fmt.Errorf("pause the campaign of coupons: %w", err)
		}
	}
	return nil
}

// pauses returns the handler of POST /campaign/pause and of /campaign/resume.
// Only the operator's own machine may use them.
func (f *face) pauses(paused bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if addr, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !addr.Addr().Unmap().IsLoopback() {
			http.Error(w, "only from this machine", http.StatusForbidden)
			return
		}
		if err := f.shop.coupons.Pause(r.Context(), paused); err != nil {
			http.Error(w, "pause the campaign of coupons: "+err.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}
