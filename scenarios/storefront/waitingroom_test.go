package storefront

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestLobby(t *testing.T) {
	begin := time.Unix(1000, 0)
	l := &lobby{rate: 4, at: begin} // a quarter of a second's worth, one, may always enter
	for i, tt := range []struct {
		who    string
		after  time.Duration
		closed bool
		wait   time.Duration
		place  int64
	}{
		{"ann", 0, false, 250 * time.Millisecond, 2},
		{"ann", 250 * time.Millisecond, false, 0, 0},
		{"bob", 0, false, 250 * time.Millisecond, 2},
		{"eve", 0, false, 500 * time.Millisecond, 3},
		{"bob", 0, false, 250 * time.Millisecond, 2},                     // the place is kept
		{"dan", 0, false, 750 * time.Millisecond, 4},                     // and nobody comes before
		{"eve", 500 * time.Millisecond, false, 0, 0},                     // later
		{"ann", 0, false, 0, 0},                                          // once in, always in
		{"dan", 250 * time.Millisecond, true, 250 * time.Millisecond, 2}, // nobody is called
		{"dan", time.Second, false, 0, 0},
		{"fay", time.Hour, false, 0, 0}, // an empty lobby
		{"gil", 0, false, 0, 0},
		{"hal", 0, false, 250 * time.Millisecond, 2}, // nobody has saved up the hour
		{"dan", 2 * mostStay, false, 0, 0},           // a ticket that was shown late still counts
	} {
		begin = begin.Add(tt.after)
		if wait, place := l.enter(tt.who, begin, tt.closed); wait != tt.wait || place != tt.place {
			t.Errorf("%d: %s waits %v at place %d, want %v at %d", i, tt.who, wait, place, tt.wait, tt.place)
		}
	}
}

// Newcomers are told their place while who is inside goes on.
func TestNewcomersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, err := Options{Engines: 1. / newcomersPerEngine, QueueWait: time.Millisecond, Model: Model{Step: time.Millisecond}}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		h := newHost(o) // lets in one a second
		ask := func(user string, lines ...string) error {
			a := &ask{model: "m", user: user, lines: lines}
			return h.Reply(t.Context(), a, &stream{face: &face{}, w: httptest.NewRecorder(), r: httptest.NewRequestWithContext(t.Context(), "POST", chatPath, nil), ask: a})
		}
		h.lobby.at = time.Now()
		time.Sleep(time.Second)
		var turned int
		for n := range 5 {
			var full *overload
			if err := ask(fmt.Sprint("u", n), "tea"); errors.As(err, &full) {
				turned++
				if full.place < 1 || full.retryAfter <= 0 {
					t.Errorf("u%d: place %d, after %v", n, full.place, full.retryAfter)
				}
			} else if err != nil {
				t.Error(err)
			}
		}
		if turned < 3 {
			t.Errorf("%d of 5 wait", turned)
		}
		if err := ask("u0", "tea", "two", "order it"); err != nil {
			t.Errorf("who is about to pay: %v", err)
		}
	})
}

// Further coupons are shed first; under more pressure the campaign pauses, and
// it resumes.
func TestPausesItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lasts = 20 * time.Millisecond
		f := opened(t, Options{Design: "waiting-room", RowTime: lasts})
		claim := func(user, request string) string {
			_, body, _ := claimOf(user, request).record(t, f)
			return body
		}
		claim("ann", "r0")
		bodies := make(chan string)
		for i := range 60 {
			go func() { bodies <- claim(fmt.Sprint("u", i), fmt.Sprint("s", i)) }()
		}
		got := 0
		for range 60 {
			if strings.Contains(<-bodies, "coupon_id") {
				got++
			}
		}
		if want := int(pauseAt/lasts) + 1; got != want {
			t.Errorf("%d got a coupon, want those %d who came before the line was too long", got, want)
		}
		var paused, resumed bool
		var body string
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end) && !resumed; time.Sleep(lasts) {
			claim("eve", "again")
			_, body, _ = call{method: "GET", path: "/books/stocks"}.record(t, f)
			paused = paused || strings.Contains(body, `"from"`)
			resumed = paused && !strings.Contains(body, `"until":""`)
		}
		if !paused || !resumed {
			t.Errorf("paused %v, resumed %v: %s", paused, resumed, body)
		}
		if body := claim("eve", "at last"); !strings.Contains(body, "coupon_id") {
			t.Error(body)
		}
	})
}
