package storefront

import (
	"context"
	"errors"
	"time"
)

// The naive design is what fell over. Nothing of it is wrong while there is
// little to do: every queue is short, nobody repeats anything, and what was
// checked is still true when it is acted upon.

func buildNaive(o Options) shop {
	j := newJournal(o)
	j.loose = true
	c := &campaign{journal: j, row: row{lasts: o.RowTime}}
	return shop{&crammer{engine: newEngine(o), campaign: c}, c, &clerk{j}, j}
}

// A crammer is a chat that begins every answer at once, however many flow, and
// finishes each of them, whether or not somebody still listens.
type crammer struct {
	engine   *engine
	campaign *campaign
}

// toolTime is how slow the campaign may be before the assistant takes it for
// gone, and talks its way out. People have less patience.
const toolTime = 2500 * time.Millisecond

// Reply implements chat.
func (c *crammer) Reply(ctx context.Context, a *ask, out *stream) error {
	stay := staying(ctx)
	r := speak(a)
	if len(a.lines) >= 3 && len(a.tools.offered) == 0 && !c.campaign.prepare() {
		r = reply{words: pieces(noHands(a))}
	}
	p := c.engine.enter(time.Now(), a.prompt)
	defer c.engine.leave()
	if err := until(stay, p.due); err != nil {
		return err
	}
	gone := out.Begin()
	for piece := range r.tokens() {
		if err := until(stay, p.next()); err != nil {
			return err
		}
		if gone == nil {
			gone = piece(out)
		}
	}
	return errors.Join(gone, out.End())
}

// noHands is what the assistant said on the day when it could not do what it
// was asked for.
func noHands(a *ask) string {
	if isChinese(a.lines[len(a.lines)-1]) {
		return "作为一个大语言模型，我没有实体的手，也无法连接支付和外卖平台，请您前往其他应用自行下单。"
	}
	return "As a large language model I have no physical hands, and I am not connected to payment or delivery services. Please place your order in another app."
}

// A campaign hands out coupons from one row, and lets everybody wait for it.
type campaign struct {
	*journal
	row row
}

// prepare has the row look up the stock and what the user may have, in advance,
// for an order that is about to come. It is false if the campaign seems gone.
func (c *campaign) prepare() bool {
	if c.row.line() > toolTime {
		return false
	}
	c.row.queue()
	c.row.queue()
	return true
}

// Claim implements coupons. It checks first, then waits for its turn, then
// issues. A request that comes again is another one.
func (c *campaign) Claim(ctx context.Context, cl claim) (int64, error) {
	ctx = staying(ctx)
	if cl.stock != c.options.StockID {
		return 0, unknownStock
	}
	no, err := c.check(ctx, cl)
	if err != nil {
		return 0, err
	}
	if no != "" {
		return 0, no
	}
	if err := c.row.lock(ctx, 0); err != nil {
		return 0, err
	}
	got := make(chan int64, 1)
	err = c.write(ctx, func(t *tables) error {
		number, err := anyway{t}.issue(cl)
		keepLast(got, number)
		return err
	})
	if err != nil {
		return 0, err
	}
	return <-got, nil
}

// check says why there is no coupon for a claim, as the books are now.
func (c *campaign) check(ctx context.Context, cl claim) (refusal, error) {
	var resting, over, out, full bool
	err := c.db.QueryRowContext(ctx, `
		SELECT EXISTS (SELECT 1 FROM pauses WHERE stock = ?1 AND until IS NULL), ?2 >= valid_until, issued >= coupons,
			(SELECT count(*) FROM coupons WHERE user = ?3 AND stock = ?1) >= per_user
		FROM stocks WHERE id = ?1`, cl.stock, time.Now().UnixNano(), cl.user).Scan(&resting, &over, &out, &full)
	if err != nil {
		return "", err
	}
	return reasonOf(resting, over, out, full), nil
}

// A clerk completes whatever it is told to complete, as often as it is told.
type clerk struct{ *journal }

// Write implements checkout.
func (c *clerk) Write(ctx context.Context, w write) (answer, error) {
	got := make(chan answer, 1)
	err := c.write(staying(ctx), func(t *tables) error {
		a, err := decide(&w, anyway{t})
		keepLast(got, a)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	return <-got, nil
}

// anyway is a ledger that remembers nothing of what was done: a checkout that
// is completed can be completed, and a coupon that is spent can be spent.
type anyway struct{ *tables }

// session implements ledger.
func (l anyway) session(number int64) (session, bool, error) {
	s, ok, err := l.tables.session(number)
	if s.Status == completed {
		s.Status = ready
	}
	return s, ok, err
}

// issue writes down a coupon, whatever there is left.
func (l anyway) issue(c claim) (number int64, err error) {
	err = l.conn.QueryRowContext(context.Background(), insertAnyway,
		c.stock, c.user, c.request, cardValue, time.Now().UnixNano()).Scan(&number)
	if err == nil {
		_, err = l.tables.issue.Exec(c.stock)
	}
	return number, err
}

// redeem implements ledger.
func (l anyway) redeem(number int64, on *session, at time.Time) (bool, error) {
	_, err := l.conn.ExecContext(context.Background(), `UPDATE coupons SET spent_on = ?1, redeemed = ?2, redeemer = ?3 WHERE id = ?4`,
		on.Order, at.UnixNano(), on.User, number)
	return true, err
}

// left implements ledger: what is not counted does not run out.
func (l anyway) left(item int, user string) (int64, error) {
	if catalogue[item].kind == bill {
		return 1, nil
	}
	return l.tables.left(item, user)
}

var (
	_ chat     = (*crammer)(nil)
	_ coupons  = (*campaign)(nil)
	_ checkout = (*clerk)(nil)
	_ ledger   = anyway{}
)
