package storefront

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tidwall/gjson"
)

// What was answered before a kill -9 is in the books after it, a repeated
// request gets the same answer, and nothing is done twice.
func TestKilled(t *testing.T) {
	for _, design := range []string{"guarded", "waiting-room", "sharded-coupons"} {
		t.Run(design, func(t *testing.T) { kill(t, design) })
	}
}

func kill(t *testing.T, design string) {
	o := Options{Design: design, Books: filepath.Join(t.TempDir(), "books #1?.db"), RowTime: -1} // a path must not be read as a URL
	c := startChild(t, o)

	// Shoppers go on until the storefront dies under them.
	type promise struct {
		call call
		body string
	}
	const shoppers = 16
	promises := make([][]promise, shoppers)
	enough := make(chan struct{})
	var once, all sync.WaitGroup
	once.Add(shoppers)
	for n := range shoppers {
		all.Go(func() {
			url, client := "http://"+c.addr, &http.Client{}
			send := func(c call) (gjson.Result, bool) {
				status, body, err := roundTrip(client, c.request(t, url))
				if err != nil || status >= 300 {
					return gjson.Result{}, false
				}
				promises[n] = append(promises[n], promise{c, body})
				return gjson.Parse(body), true
			}
			user := "u" + strconv.Itoa(n)
			for i := 0; ; i++ {
				if i == 3 {
					once.Done()
				}
				key := fmt.Sprint(user, "-", i)
				if i < 21 {
					if _, ok := send(claimOf(user, key)); !ok {
						return
					}
				}
				s, ok := send(call{"POST", "/ucp/checkout-sessions", user, "c" + key, oneTea})
				if !ok {
					return
				}
				if _, ok := send(call{"POST", "/ucp/checkout-sessions/" + s.Get("id").Str + "/complete", user, "o" + key, benchPayment}); !ok {
					return
				}
			}
		})
	}
	go func() { once.Wait(); close(enough) }()
	<-enough
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	c.cmd.Wait()

	url := "http://" + startChild(t, o).addr
	_, before, _ := call{method: "GET", path: "/books/orders"}.do(t, url)
	booked := map[string]string{} // key by order
	keys := map[string]bool{}
	for _, l := range strings.Split(strings.TrimSuffix(before, "\n"), "\n") {
		key := gjson.Get(l, "key").Str
		if keys[key] {
			t.Errorf("two orders for %s", key)
		}
		keys[key] = true
		booked[gjson.Get(l, "order_id").Str] = key
	}
	orders := 0
	for _, of := range promises {
		for _, p := range of {
			if id := gjson.Get(p.body, "order.id").Str; id != "" {
				orders++
				if booked[id] != p.call.key {
					t.Errorf("%s was promised to %s, and the books say %q", id, p.call.key, booked[id])
				}
			}
			if _, again, _ := p.call.do(t, url); again != p.body {
				t.Errorf("%s %s: %s after the kill, and %s before", p.call.method, p.call.path, again, p.body)
			}
		}
	}
	if orders < 3*shoppers || len(booked) > orders+shoppers {
		t.Errorf("%d orders promised and %d booked, with %d in flight", orders, len(booked), shoppers)
	}
	if _, after, _ := (call{method: "GET", path: "/books/orders"}).do(t, url); after != before {
		t.Error("repeating what was answered changed the books")
	}
}

func roundTrip(client *http.Client, r *http.Request) (int, string, error) {
	answer, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(body), err
}

// An operation that fails takes its own changes with it and nobody else's.
func TestSpoiledBatch(t *testing.T) {
	dir := t.TempDir()
	o, err := Options{Books: filepath.Join(dir, "books.db")}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	j := newJournal(o)
	if err := j.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	spoilt := errors.New("spoilt")
	var done []*operation
	for i := range 5 {
		op := &operation{func(ts *tables) error {
			_, _, err := ts.claim(claim{stock: o.StockID, user: "u", request: strconv.Itoa(i)})
			if i == 2 {
				err = spoilt
			}
			return err
		}, make(chan error, 1)}
		done = append(done, op)
		j.waiting <- op
	}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- j.Run(ctx) }()
	for i, op := range done {
		if err := <-op.done; (i == 2) != errors.Is(err, spoilt) {
			t.Errorf("operation %d: %v", i, err)
		}
	}
	var requests []string
	if err := j.Coupons(t.Context(), func(c coupon) error {
		requests = append(requests, c.request)
		return nil
	}); err != nil {
		t.Error(err)
	}
	if got := strings.Join(requests, ""); got != "0134" {
		t.Errorf("issued to %s", got)
	}
	stop()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("left behind: %v %v", files, err)
	}
	if err := j.write(t.Context(), nil); err != errStopped {
		t.Errorf("a write afterwards: %v", err)
	}
}

// With nobody to write, the places to wait fill up and the shop says so.
func TestBusy(t *testing.T) {
	j := newJournal(Options{StockID: "s"})
	gone, leave := context.WithCancel(t.Context())
	leave()
	for range mostWaiting {
		if _, err := j.Claim(gone, claim{stock: "s"}); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	f := &face{shop: shop{coupons: j, checkout: j}, options: Options{StockID: "s"}}
	for _, tt := range []struct {
		call call
		want string
	}{
		{call{"POST", "/v3/marketing/favor/users/u/coupons", "u", "", strings.Replace(claimOf("u", "r").body, "free-order", "s", 1)}, "FREQUENCY_LIMITED"},
		{call{"POST", "/ucp/checkout-sessions", "u", "k", oneTea}, "rate_limited"},
	} {
		status, body, header := tt.call.record(t, f)
		if status != 429 || header.Get("Retry-After") == "" || gjson.Get(body, "code").Str != tt.want {
			t.Errorf("%d %v %s, want %s", status, header, body, tt.want)
		}
	}
}

func TestOpenFails(t *testing.T) {
	s, err := New(Options{Books: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	if err := s.Run(t.Context(), l); err == nil || !strings.Contains(err.Error(), "open the books in") {
		t.Errorf("books that are a folder: %v", err)
	}
}
