package storefront

import (
	"context"
	"sync"
	"time"
)

// Seats that are sold twice.
var seatBugs = []Bug{
	{
		"seats-check-then-act",
		"sees whether there are seats, takes the payment for a second, then sells them",
		"seats-over",
		"checkouts at once that make stock negative (github.com/opencart/opencart/issues/4811, github.com/nopSolutions/nopCommerce/issues/4184, github.com/awesto/django-shop/issues/888)",
		func(s *site) {
			u := &unseated{checkout: s.checkout, journal: s.journal}
			s.checkout = u
			s.look(func(l ledger, t *tables, w *write) ledger {
				if _, looked := u.looked.Load(w.key); looked {
					return standing{l, t}
				}
				return l
			})
		},
	},
	{
		"seats-per-process",
		"has two processes that each count what they sold themselves, and each user is served by one",
		"seats-over",
		"one house sold through two engines that are synchronised late",
		func(s *site) {
			var sold [2][len(catalogue)]int64 // the writer's alone
			s.look(func(l ledger, t *tables, w *write) ledger {
				return house{l, t, s.options.Seats, &sold[shard(w.user, 2)]}
			})
		},
	},
}

// unseated sells seats that it looked for a while ago.
type unseated struct {
	checkout
	journal *journal
	looked  sync.Map // keys that saw a seat
}

func (u *unseated) Write(ctx context.Context, w write) (answer, error) {
	if w.deed != complete {
		return u.checkout.Write(ctx, w)
	}
	s, ok, err := u.Read(ctx, w.number)
	if err != nil || !ok || s.Status != ready || len(s.Lines) == 0 || catalogue[s.Lines[0].Item].kind != seats {
		return u.checkout.Write(ctx, w)
	}
	left, err := tally{u.journal}.number(ctx, `SELECT seats - sold FROM seats WHERE item = ?`, catalogue[s.Lines[0].Item].id)
	if err != nil || left < s.Lines[0].Quantity {
		return u.checkout.Write(ctx, w)
	}
	if err := sleep(ctx, time.Second); err != nil {
		return answer{}, err
	}
	u.looked.Store(w.key, nil)
	return u.checkout.Write(ctx, w)
}

// standing is a ledger in which there are seats for all.
type standing struct {
	ledger
	t *tables
}

func (l standing) left(item int, user string) (int64, error) {
	if catalogue[item].kind != seats {
		return l.ledger.left(item, user)
	}
	return mostQuantity, nil
}

func (l standing) sell(s *session) error {
	return l.t.without("seats", "seats", func() error { return l.ledger.sell(s) })
}

// house is a ledger that knows what one process has sold.
type house struct {
	ledger
	t     *tables
	seats int64
	sold  *[len(catalogue)]int64
}

func (h house) left(item int, user string) (int64, error) {
	if catalogue[item].kind != seats {
		return h.ledger.left(item, user)
	}
	return h.seats - h.sold[item], nil
}

func (h house) sell(s *session) error {
	for _, l := range s.Lines {
		h.sold[l.Item] += l.Quantity
	}
	return h.t.without("seats", "seats", func() error { return h.ledger.sell(s) })
}
