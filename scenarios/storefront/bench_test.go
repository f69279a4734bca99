package storefront

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkJourneys runs journeys of 4 chat turns and 4 other requests against
// a design on one core (where there is taskset), with a client that parses no
// more than it must. journeys/cpu-s counts the server's own processor time.
func BenchmarkJourneys(b *testing.B) {
	as := func(design string) Options { // without its limits
		o := swift
		o.Design, o.Engines, o.Stock = design, 1e6, 1e9
		return o
	}
	for _, bm := range []struct {
		name    string
		options Options
		clients int
	}{
		{"null", Options{Design: "null"}, 32},
		{"naive", as("naive"), 128},
		{"guarded", as("guarded"), 128},
		{"waiting-room", as("waiting-room"), 128},
		{"sharded-coupons", as("sharded-coupons"), 128},
		{"guarded-paced", Options{}, 320}, // with its limits, as it is by default
	} {
		b.Run(bm.name, func(b *testing.B) {
			var pin []string
			if path, err := exec.LookPath("taskset"); err == nil {
				pin = []string{path, "-c", "1"}
			}
			c := startChild(b, bm.options, pin...)
			var journeys atomic.Int64
			b.ResetTimer()
			var all sync.WaitGroup
			for range bm.clients {
				all.Go(func() {
					buyer, err := newBuyer(c.addr)
					if err != nil {
						b.Error(err)
						return
					}
					defer buyer.conn.Close()
					for {
						n := journeys.Add(1)
						if n > int64(b.N) {
							return
						}
						if err := buyer.journey(n); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			b.StopTimer()
			cpu := c.stop(b)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "journeys/s")
			b.ReportMetric(float64(b.N)/cpu.Seconds(), "journeys/cpu-s")
		})
	}
}

// A buyer is a client with one connection.
type buyer struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
	body []byte
}

func newBuyer(addr string) (*buyer, error) {
	conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return nil, err
	}
	return &buyer{conn: conn, in: bufio.NewReaderSize(conn, 32<<10)}, nil
}

const (
	benchTurn    = `{"role":"user","content":"I'd like pearl milk tea. What do you have?"},{"role":"assistant","content":"Yes, Little Harvest Tea House near you has pearl milk tea for 18 yuan each, and delivery takes about thirty minutes. How many?"},`
	benchLast    = `{"role":"user","content":"The pearl milk tea then, 2 of them, less sugar."}]}`
	benchPayment = `{"payment":{"instruments":[{"id":"i","handler_id":"sandbox","type":"card","selected":true,"credential":{"type":"token","token":"t"}}]}}`
)

func (b *buyer) journey(n int64) error {
	user := "u" + strconv.FormatInt(n, 10)
	for turn := range 4 {
		body := `{"model":"qwen-shop","stream":true,"stream_options":{"include_usage":true},"messages":[` + strings.Repeat(benchTurn, turn) + benchLast
		if err := b.ask("POST", "/compatible-mode/v1/chat/completions", user, "", body, 200); err != nil {
			return err
		}
	}
	if err := b.ask("POST", "/v3/marketing/favor/users/"+user+"/coupons", user, "", `{"stock_id":"free-order","out_request_no":"r`+user+`","appid":"wx1","stock_creator_mchid":"1"}`, 200); err != nil {
		return err
	}
	coupon := field(b.body, `"coupon_id":"`)
	cart := `{"line_items":[{"item":{"id":"milk-tea-1"},"quantity":1}]`
	if err := b.ask("POST", "/ucp/checkout-sessions", user, "c"+user, cart+"}", 201); err != nil {
		return err
	}
	path := "/ucp/checkout-sessions/" + field(b.body, `"id":"chk_`, "chk_")
	if err := b.ask("PUT", path, user, "p"+user, cart+`,"discounts":{"codes":["`+coupon+`"]}}`, 200); err != nil {
		return err
	}
	return b.ask("POST", path+"/complete", user, "o"+user, benchPayment, 200)
}

// field returns the string that follows mark, with prefix before it.
func field(body []byte, mark string, prefix ...string) string {
	_, rest, _ := strings.Cut(string(body), mark)
	value, _, _ := strings.Cut(rest, `"`)
	return strings.Join(prefix, "") + value
}

// ask sends one request in one write and reads the whole answer into b.body.
func (b *buyer) ask(method, path, user, key, body string, want int) error {
	b.out = fmt.Appendf(b.out[:0], "%s %s HTTP/1.1\r\nHost: s\r\nContent-Type: application/json\r\nX-User-Id: %s\r\nIdempotency-Key: %s\r\nContent-Length: %d\r\n\r\n", method, path, user, key, len(body))
	b.out = append(b.out, body...)
	if _, err := b.conn.Write(b.out); err != nil {
		return err
	}
	status, length, err := b.head()
	if err != nil {
		return err
	}
	b.body = b.body[:0]
	if length < 0 {
		err = b.chunks()
	} else {
		b.body = append(b.body, make([]byte, length)...)
		_, err = io.ReadFull(b.in, b.body)
	}
	if err == nil && status != want {
		err = fmt.Errorf("%s %s: %d %s", method, path, status, b.body)
	}
	return err
}

// head reads an answer's head; length is -1 if chunks follow.
func (b *buyer) head() (status, length int, err error) {
	line, err := b.in.ReadSlice('\n')
	if err != nil {
		return 0, 0, err
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, 0, err
	}
	for length = -1; ; {
		line, err := b.in.ReadSlice('\n')
		if err != nil || len(line) <= 2 {
			return status, length, err
		}
		if digits, ok := strings.CutPrefix(string(line), "Content-Length: "); ok {
			if length, err = strconv.Atoi(strings.TrimSpace(digits)); err != nil {
				return 0, 0, err
			}
		}
	}
}

func (b *buyer) chunks() error {
	for {
		line, err := b.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(line)), 16, 32)
		if err != nil {
			return err
		}
		if _, err := b.in.Discard(int(n) + 2); err != nil || n == 0 {
			return err
		}
	}
}

// BenchmarkExport reads books of 1,000 orders.
func BenchmarkExport(b *testing.B) {
	url := start(b, Options{Design: "null"})
	for n := range 1000 {
		call{"POST", "/ucp/checkout-sessions", "u", fmt.Sprint("c", n), `{"line_items":[{"item":{"id":"bun-1"},"quantity":1}]}`}.do(b, url)
		call{"POST", fmt.Sprint("/ucp/checkout-sessions/chk_", n+1, "/complete"), "u", fmt.Sprint("o", n), benchPayment}.do(b, url)
	}
	for b.Loop() {
		r, err := http.Get(url + "/books/orders")
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.Copy(io.Discard, r.Body)
		r.Body.Close()
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(n)
	}
}
