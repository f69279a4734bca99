package storefront

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// Each bug does what it says within an afternoon, and the shop without it,
// under the same options, does not.
func TestBugs(t *testing.T) {
	t.Run("none", func(t *testing.T) {
		a := newAfternoon(t, nil, nil)
		a.pass()
		for id, check := range wrongs {
			if found := check(a); found > 0 {
				t.Errorf("%s is broken %d times", id, found)
			}
		}
	})
	for _, b := range Bugs() {
		t.Run(b.Name, func(t *testing.T) {
			t.Parallel()
			check := wrongs[b.Breaks]
			if check == nil {
				t.Fatalf("nothing looks for %s", b.Breaks)
			}
			adjust, killed := circumstances[b.Name], b.Name == "ack-before-commit" || b.Name == "keys-in-memory"
			paused := b.Breaks == "issued-paused"
			for _, bugs := range [][]string{nil, {b.Name}} {
				if bugs == nil && adjust == nil && !killed && !paused {
					continue // that was seen already
				}
				var a *afternoon
				for valid := 3 * time.Second; a == nil || a.late && valid < time.Minute; valid *= 2 {
					a = newAfternoon(t, adjust, bugs)
					if !a.options.ValidUntil.IsZero() {
						a.options.ValidUntil = time.Now().Add(valid) // the shop has to open, too
					}
					a.killed, a.paused = killed, paused
					a.pass()
				}
				if found := check(a); (found > 0) != (bugs != nil) {
					t.Errorf("with %v: %s is broken %d times", bugs, b.Breaks, found)
				}
			}
		})
	}
}

// circumstances are what a bug needs to show.
var circumstances = map[string]func(*Options){
	"stock-check-then-act":   func(o *Options) { o.Stock = 20 },
	"stock-cached":           func(o *Options) { o.Stock = 20 },
	"sold-out-by-shard":      func(o *Options) { o.Stock = 48 },
	"repeats-counted":        func(o *Options) { o.Stock = 40 },
	"declined-booked":        func(o *Options) { o.Decline = 0.4 },
	"coupon-spent-first":     func(o *Options) { o.Decline = 0.4 },
	"release-skipped":        func(o *Options) { o.Decline, o.Delay, o.DelayFor = 0.4, 0.7, 100*time.Millisecond },
	"validity-in-local-time": func(o *Options) { o.ValidUntil = time.Now() }, // in a while, that is
	"validity-at-apply":      func(o *Options) { o.ValidUntil = time.Now() },
}

func TestBugsAreRefused(t *testing.T) {
	for _, tt := range []struct {
		design, bug, want string
	}{
		{"guarded", "millennium", "stock-cached"}, // a list of what there is
		{"null", "stock-cached", "keeps no books on disk"},
	} {
		_, err := New(Options{Design: tt.design, Bugs: []string{tt.bug}})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s in %s: %v", tt.bug, tt.design, err)
		}
	}
}

func TestBugsAreToldApart(t *testing.T) {
	names := map[string]bool{}
	for _, b := range Bugs() {
		if b.Name == "" || b.Does == "" || b.Breaks == "" || b.Source == "" || names[b.Name] {
			t.Errorf("%+v", b)
		}
		names[b.Name] = true
	}
}

// An afternoon is thirty people in the shop: some claim more than they may, some
// send everything twice, some buy forty cups, some a seat. It keeps what they
// sent and what they were told.
type afternoon struct {
	t       *testing.T
	options Options
	killed  bool // the storefront, before requests are repeated
	paused  bool // the campaign, by the 15th of them
	late    bool // somebody came after the coupons' time
	client  http.Client
	opened  [people + 1]chan struct{} // by shopper: closed once the checkout is open

	mu       sync.Mutex
	url      string
	placed   map[string]string // who, by the key of a payment
	promised []promised
	codes    map[string]bool     // of coupons that were given
	refused  map[string][]string // users by the code of the refusal
	orders   []gjson.Result
	coupons  []gjson.Result
	stocks   []gjson.Result
}

type promised struct {
	key, id       string
	total, amount int64 // quantity, fen
}

const people = 30

func newAfternoon(t *testing.T, adjust func(*Options), bugs []string) *afternoon {
	o := Options{Books: filepath.Join(t.TempDir(), "books.db"), Bugs: bugs, Seed: 7, PerUser: 3, Seats: 6, Stock: 1000}
	if adjust != nil {
		adjust(&o)
	}
	a := &afternoon{t: t, options: o, placed: map[string]string{}, codes: map[string]bool{}, refused: map[string][]string{}}
	for n := range a.opened {
		a.opened[n] = make(chan struct{})
	}
	close(a.opened[people]) // nobody comes after the last
	return a
}

func (a *afternoon) pass() {
	shop := startChild(a.t, a.options)
	a.url = "http://" + shop.addr
	a.client.Timeout = 20 * time.Second
	var all sync.WaitGroup
	for n := range people {
		all.Go(func() {
			time.Sleep(time.Duration(n) * 10 * time.Millisecond) // they come one after another
			a.shopper(n)
		})
	}
	all.Wait()
	if a.killed {
		a.last()
		shop.cmd.Process.Kill()
		shop.cmd.Wait()
		shop = startChild(a.t, a.options)
		a.url = "http://" + shop.addr
		for n := range people {
			a.pay(n)
		}
	}
	time.Sleep(a.options.DelayFor) // payments that were on their way
	a.orders, a.coupons, a.stocks = a.rows("orders"), a.rows("coupons"), a.rows("stocks")
	a.client.CloseIdleConnections()
	if shop.stop(a.t); !a.late && (len(a.promised) == 0 || !a.killed && len(a.coupons) == 0) {
		a.t.Error("nothing was sold or issued")
	}
}

func (a *afternoon) shopper(n int) {
	user := fmt.Sprint("u", n)
	if a.paused && n == people/2 {
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) { // polls until a coupon was given: others are on their way
			a.mu.Lock()
			given := len(a.codes)
			a.mu.Unlock()
			if given > 0 {
				break
			}
		}
		a.send(call{"POST", "/campaign/pause", "", "", ""})
	}
	tries := 1
	if n >= people-6 {
		tries = 6
	}
	code := ""
	for i := range tries {
		c := claimOf(user, fmt.Sprint("claim-", n, "-", i))
		for range 1 + n%2 {
			r := a.send(c)
			if id := r.Get("coupon_id").Str; id != "" {
				code = id
				a.mu.Lock()
				a.codes[id] = true
				a.mu.Unlock()
			} else {
				a.mu.Lock()
				a.refused[r.Get("code").Str] = append(a.refused[r.Get("code").Str], user)
				a.mu.Unlock()
			}
		}
	}
	cart := withCodes(code)
	switch n % 5 {
	case 0:
		cart = strings.Replace(cart, `"quantity":1`, `"quantity":40`, 1)
	case 1:
		cart = ticketsFor("concert-1", 2)
	case 2:
		cart = ticketsFor("bill-power", 1)
	}
	a.open(n, cart)
	close(a.opened[n])
	<-a.opened[n+1] // checkouts overlap, however fast the shop is
	until := a.options.ValidUntil
	if !until.IsZero() && time.Now().After(until) {
		a.mu.Lock()
		a.late = true
		a.mu.Unlock()
	}
	if !until.IsZero() && n%3 == 0 {
		time.Sleep(time.Until(until)) // these pay when their coupon is over
	} else if !until.IsZero() {
		time.Sleep(time.Until(until) - 300*time.Millisecond) // and these just before
	}
	var both sync.WaitGroup
	for range 1 + n%2 {
		both.Go(func() { a.pay(n) })
	}
	both.Wait()
}

// last is a shopper of its own, after all others and before the shop is killed.
// The books show what is committed: once they have all that was promised, what
// follows is in a transaction that has just begun, if the shop keeps one open.
func (a *afternoon) last() {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) { // polling
		if a.orders = a.rows("orders"); wrongs["order-missing"](a) == 0 {
			break
		}
		if time.Now().After(end) {
			a.t.Fatal("what was promised is in no books")
		}
	}
	a.open(people, oneTea)
	a.pay(people)
}

// open opens shopper n's checkout.
func (a *afternoon) open(n int, cart string) {
	s := a.send(call{"POST", "/ucp/checkout-sessions", fmt.Sprint("u", n), fmt.Sprint("open-", n), cart})
	if id := s.Get("id").Str; id != "" {
		a.mu.Lock()
		a.placed[payKey(n)] = id
		a.mu.Unlock()
	}
}

// payKey is the key of shopper n's payment, as long as a UUID.
func payKey(n int) string { return fmt.Sprintf("pay-%032d", n) }

// pay sends shopper n's payment.
func (a *afternoon) pay(n int) {
	key := payKey(n)
	a.mu.Lock()
	id := a.placed[key]
	a.mu.Unlock()
	if id == "" {
		return
	}
	r := a.send(call{"POST", "/ucp/checkout-sessions/" + id + "/complete", fmt.Sprint("u", n), key, benchPayment})
	if order := r.Get("order.id").Str; order != "" {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.promised = append(a.promised, promised{key, order, r.Get("line_items.0.quantity").Int(), r.Get(`totals.#(type=="total").amount`).Int()})
	}
}

// send returns the body of the answer; nothing if there was none.
func (a *afternoon) send(c call) gjson.Result {
	_, body, err := roundTrip(&a.client, c.request(a.t, a.url))
	if err != nil {
		a.t.Error(err)
	}
	return gjson.Parse(body)
}

func (a *afternoon) rows(table string) (rows []gjson.Result) {
	_, body, _ := call{method: "GET", path: "/books/" + table}.do(a.t, a.url)
	for l := range strings.Lines(body) {
		rows = append(rows, gjson.Parse(l))
	}
	return rows
}

// rowsWith counts the rows for which wrong holds.
func rowsWith(rows []gjson.Result, wrong func(gjson.Result) bool) (n int) {
	for _, r := range rows {
		if wrong(r) {
			n++
		}
	}
	return n
}

// over counts the values of a column that more than most rows have.
func over(rows []gjson.Result, column string, most int64) (n int) {
	had := map[string]int64{}
	for _, r := range rows {
		if v := r.Get(column).Str; v != "" {
			if had[v]++; had[v] == most+1 {
				n++
			}
		}
	}
	return n
}

// wrongs count how often an invariant is broken.
var wrongs = map[string]func(*afternoon) int{
	"order-missing": func(a *afternoon) (n int) {
		for _, p := range a.promised {
			if !slices.ContainsFunc(a.orders, func(o gjson.Result) bool { return o.Get("order_id").Str == p.id }) {
				n++
			}
		}
		return n
	},
	"order-stray": func(a *afternoon) int {
		return rowsWith(a.orders, func(o gjson.Result) bool {
			return !slices.ContainsFunc(a.promised, func(p promised) bool { return p.key == o.Get("key").Str })
		})
	},
	"order-key": func(a *afternoon) int {
		return rowsWith(a.orders, func(o gjson.Result) bool { return a.placed[o.Get("key").Str] == "" })
	},
	"order-user": func(a *afternoon) int {
		return rowsWith(a.orders, func(o gjson.Result) bool {
			n, err := strconv.Atoi(strings.TrimPrefix(o.Get("user").Str, "u"))
			return err != nil || payKey(n) != o.Get("key").Str
		})
	},
	"key-double": func(a *afternoon) int { return over(a.orders, "key", 1) },
	"order-amount": func(a *afternoon) int {
		return rowsWith(a.orders, func(o gjson.Result) bool {
			return slices.ContainsFunc(a.promised, func(p promised) bool {
				return p.id == o.Get("order_id").Str && (p.amount != o.Get("amount").Int() || p.total != o.Get("quantity").Int())
			})
		})
	},
	"sums": func(a *afternoon) int {
		return rowsWith(a.orders, func(o gjson.Result) bool {
			return o.Get("amount").Int() != o.Get("subtotal").Int()-o.Get("discount").Int()
		})
	},
	"discount-value": func(a *afternoon) int {
		return rowsWith(a.orders, func(o gjson.Result) bool { return o.Get("discount").Int() > cardValue })
	},
	"coupon-missing": func(a *afternoon) (n int) {
		for id := range a.codes {
			if rowsWith(a.coupons, func(c gjson.Result) bool { return c.Get("coupon_id").Str == id }) == 0 {
				n++
			}
		}
		return n
	},
	"coupon-double": func(a *afternoon) int { return over(a.coupons, "key", 1) },
	"redeemed-books": func(a *afternoon) int {
		return rowsWith(a.orders, func(o gjson.Result) bool {
			return o.Get("coupon").Str != "" && rowsWith(a.coupons, func(c gjson.Result) bool {
				return c.Get("coupon_id").Str == o.Get("coupon").Str && c.Get("redeemed_at").Str == ""
			}) > 0
		})
	},
	"stock-over":     func(a *afternoon) int { return max(0, len(a.coupons)-int(a.options.Stock)) },
	"user-over":      func(a *afternoon) int { return over(a.coupons, "user", a.options.PerUser) },
	"redeemed-twice": func(a *afternoon) int { return over(a.orders, "coupon", 1) },
	"redeemed-owner": func(a *afternoon) int {
		return rowsWith(a.coupons, func(c gjson.Result) bool {
			return c.Get("redeemed_by").Str != "" && c.Get("redeemed_by").Str != c.Get("user").Str
		})
	},
	"redeemed-validity": func(a *afternoon) int {
		return rowsWith(a.coupons, func(c gjson.Result) bool {
			return c.Get("redeemed_at").Str != "" && !c.Get("redeemed_at").Time().Before(c.Get("valid_until").Time())
		})
	},
	"coupon-swallowed": func(a *afternoon) int {
		return rowsWith(a.coupons, func(c gjson.Result) bool {
			return c.Get("redeemed_at").Str != "" && !slices.ContainsFunc(a.orders, func(o gjson.Result) bool {
				return o.Get("coupon").Str == c.Get("coupon_id").Str && !o.Get("void").Bool()
			})
		})
	},
	"false-sold-out": func(a *afternoon) int {
		if int64(len(a.coupons)) < a.options.Stock {
			return len(a.refused["NOT_ENOUGH"])
		}
		return 0
	},
	"false-limit": func(a *afternoon) (n int) {
		for _, user := range a.refused["RULE_LIMIT"] {
			has := rowsWith(a.coupons, func(c gjson.Result) bool { return c.Get("user").Str == user })
			if int64(has) < a.options.PerUser {
				n++
			}
		}
		return n
	},
	"issued-paused": func(a *afternoon) int {
		return rowsWith(a.coupons, func(c gjson.Result) bool {
			paused := a.stocks[0].Get("paused.0.from") // it lasts
			return paused.Exists() && c.Get("issued_at").Time().After(paused.Time())
		})
	},
	"seats-over": func(a *afternoon) int {
		sold := int64(0)
		for _, o := range a.orders {
			if o.Get("item").Str == "concert-1" {
				sold += o.Get("quantity").Int()
			}
		}
		return int(max(0, sold-a.options.Seats))
	},
}
