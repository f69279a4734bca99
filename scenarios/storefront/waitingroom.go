package storefront

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"
)

// The waiting-room design knows who is about to pay. Newcomers get a ticket and
// enter as many as the shop can serve to the end; who is inside goes on. Further
// coupons are shed before first ones, and the campaign pauses itself before
// everybody has to wait for it.

func buildWaitingRoom(o Options) shop {
	j := newJournal(o)
	return shop{newHost(o), &prudent{journal: j, row: row{lasts: o.RowTime}}, j, j}
}

// newcomersPerEngine is how many are let in, a second: at three turns each, of
// some 200 tokens read and 32 written, an engine has an eighth to spare.
const newcomersPerEngine = 42

// A host is a chat with a lobby before it.
type host struct {
	*decoder
	lobby lobby
}

func newHost(o Options) *host {
	return &host{newDecoder(o), lobby{rate: newcomersPerEngine * o.Engines}}
}

// Reply implements chat.
func (h *host) Reply(ctx context.Context, a *ask, out *stream) error {
	who := a.user
	if who == "" { // who does not say who they are, is new each time
		who = "?" + strconv.FormatInt(time.Now().UnixNano(), 36)
	}
	full := cap(h.slots) - cap(h.slots)/8 // the rest is for those who pay
	if len(a.lines) < 3 {
		wait, place := h.lobby.enter(who, time.Now(), len(h.slots) >= full)
		switch {
		case wait > h.wait:
			return &overload{retryAfter: wait, place: place}
		case wait > 0:
			if err := until(ctx, time.Now().Add(wait)); err != nil {
				return err
			}
		}
	}
	return h.decoder.Reply(ctx, a, out)
}

// A prudent campaign sheds further coupons before first ones, and pauses before
// the line for its row is as long as it may be.
type prudent struct {
	*journal
	row     row
	holders crowd // of a coupon, as far as this process has seen

	mu    sync.Mutex
	mode  mode
	since time.Time // that it is in this mode
}

// A mode is how much of the campaign goes on.
type mode uint8

const (
	issuing  mode = iota
	draining      // nobody new joins the line; it pauses when the line is done
	resting       // paused, by itself
)

const (
	furtherPatience = patience * 2 / 3 // for a further coupon of a user
	pauseAt         = patience * 5 / 6 // the line at which the campaign pauses
	resumeAt        = patience / 6     // and at which it resumes
	leastPause      = time.Second
)

// Claim implements coupons.
func (p *prudent) Claim(ctx context.Context, c claim) (int64, error) {
	is, became := p.next(p.row.line(), time.Now())
	switch {
	case is == draining && became: // the last in line: after it, nothing is issued
		stay := staying(ctx)
		if err := errors.Join(p.row.lock(stay, 0), p.pause(stay, true)); err != nil {
			return 0, err
		}
		return 0, paused
	case is == draining:
		return 0, errBusy
	case is == resting: // which finds what was issued before
		return p.journal.Claim(ctx, c)
	case became:
		if err := p.pause(staying(ctx), false); err != nil {
			return 0, err
		}
	}
	if err := p.row.lock(ctx, p.patience(c.user)); err != nil {
		return 0, err
	}
	number, err := p.journal.Claim(ctx, c)
	if err == nil {
		p.holders.add(c.user)
	}
	return number, err
}

// next returns the mode for a line of that length, and whether it is another
// than before.
func (p *prudent) next(line time.Duration, now time.Time) (is mode, became bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.mode
	switch {
	case was == issuing && line > pauseAt:
		p.mode, p.since = draining, now
	case was == resting && line < resumeAt && now.Sub(p.since) > leastPause:
		p.mode, p.since = issuing, now
	}
	return p.mode, p.mode != was
}

// pause has the books say that the campaign is paused, or resumes.
func (p *prudent) pause(ctx context.Context, on bool) error {
	err := p.journal.Pause(ctx, on)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mode, p.since = issuing, time.Now(); on == (err == nil) {
		p.mode = resting
	}
	return err
}

// patience returns how long a user's claim may wait.
func (p *prudent) patience(user string) time.Duration {
	if p.holders.has(user) {
		return furtherPatience
	}
	return patience
}

var (
	_ chat    = (*host)(nil)
	_ coupons = (*prudent)(nil)
)
