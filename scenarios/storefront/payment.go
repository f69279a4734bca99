package storefront

import (
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// A payment is what will become of one.
type payment struct {
	fails bool
	wait  time.Duration // until it is decided; 0: at once
}

// pays returns what becomes of the payment with an idempotency key. The same
// seed and key give the same: a crowd with a seed meets the same luck again,
// in whatever order it comes.
func (o *Options) pays(key string) payment {
	if o.Decline == 0 && o.Delay == 0 {
		return payment{}
	}
	h := fnv.New64a()
	h.Write([]byte(key))
	draw := rand.New(rand.NewPCG(o.Seed, h.Sum64()))
	p := payment{fails: draw.Float64() < o.Decline}
	if draw.Float64() < o.Delay {
		p.wait = o.DelayFor
	}
	return p
}
