package sources_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results/books"
	"github.com/flashcrowd/flashcrowd/results/sources"
)

// serve is a backend of one's own.
func serve(t testing.TB, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func object(id int) string {
	return fmt.Sprintf(`{"order_id":"o%d","key":"k%d","amount":900,"currency":"CNY"}`, id, id)
}

// objects lists from up to but not to.
func objects(from, to int) string {
	var all []string
	for i := from; i < to; i++ {
		all = append(all, object(i))
	}
	return "[" + strings.Join(all, ",") + "]"
}

const five = "o o1 k1 900 CNY, o o2 k2 900 CNY, o o3 k3 900 CNY, o o4 k4 900 CNY, o o5 k5 900 CNY"

func TestPages(t *testing.T) {
	page := func(r *http.Request, name string, otherwise int) (n int) {
		n = otherwise
		fmt.Sscan(r.URL.Query().Get(name), &n)
		return n
	}
	for _, tt := range []struct {
		name          string
		table         books.Table
		serve         http.HandlerFunc
		want, problem string
	}{
		{name: "one page", serve: func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, objects(1, 6)) }, want: five},
		{name: "in a list inside", table: books.Table{Rows: "data.items"}, serve: func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"data":{"items":%s}}`, objects(1, 6))
		}, want: five},
		{name: "by offset", table: books.Table{Path: "/orders?limit=2", Next: books.Next{By: books.Offset, Parameter: "skip"}}, serve: func(w http.ResponseWriter, r *http.Request) {
			from := page(r, "skip", 99) + 1
			fmt.Fprint(w, objects(from, min(from+page(r, "limit", 9), 6)))
		}, want: five},
		{name: "by page", table: books.Table{Next: books.Next{By: books.Page, Parameter: "p"}}, serve: func(w http.ResponseWriter, r *http.Request) {
			from := page(r, "p", 99)*2 - 1
			fmt.Fprint(w, objects(from, min(from+2, 6)))
		}, want: five},
		{name: "by cursor", table: books.Table{Rows: "rows", Next: books.Next{By: books.Cursor, Path: "meta.next", Parameter: "after"}}, serve: func(w http.ResponseWriter, r *http.Request) {
			from := page(r, "after", 1)
			next := fmt.Sprintf(`"%d"`, from+2)
			if from+2 > 5 {
				next = "null"
			}
			fmt.Fprintf(w, `{"rows":%s,"meta":{"next":%s}}`, objects(from, min(from+2, 6)), next)
		}, want: five},
		{name: "by a link in the page", table: books.Table{Rows: "rows", Next: books.Next{By: books.Link, Path: "next"}}, serve: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/orders" {
				fmt.Fprintf(w, `{"rows":%s,"next":"/more?x=1"}`, objects(1, 3))
			} else {
				fmt.Fprintf(w, `{"rows":%s,"next":""}`, objects(3, 6))
			}
		}, want: five},
		{name: "by the Link header", table: books.Table{Next: books.Next{By: books.Link}}, serve: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/orders" {
				w.Header().Set("Link", `</old>; rel="prev"; title="a, \"b; <c>", <http://`+r.Host+`/more>; title="x, y;z"; rel="last Next"`)
				fmt.Fprint(w, objects(1, 3))
			} else {
				fmt.Fprint(w, objects(3, 6))
			}
		}, want: five},
		{name: "the run's ends in the path", table: books.Table{Path: "/orders?from={{run.from}}"}, serve: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("from") == "2026-02-06T19:59:00+08:00" {
				fmt.Fprint(w, objects(1, 2))
			} else {
				fmt.Fprint(w, "[]")
			}
		}, want: "o o1 k1 900 CNY"},

		{name: "to another host", table: books.Table{Next: books.Next{By: books.Link}}, serve: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", `<http://127.0.0.2/more>; rel=next`)
			fmt.Fprint(w, objects(1, 2))
		}, want: "o o1 k1 900 CNY", problem: "GET /orders: page 1: the next page is on another host"},
		{name: "in a circle", table: books.Table{Rows: "rows", Next: books.Next{By: books.Cursor, Path: "next", Parameter: "c"}}, serve: func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, `{"rows":[],"next":"x"}`)
		}, problem: "GET /orders: page 2: it says that the next page is itself"},
		{name: "a row repeated while it was paged", table: books.Table{Next: books.Next{By: books.Offset, Parameter: "skip"}}, serve: func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, objects(1, 2))
		}, want: "o o1 k1 900 CNY", problem: `GET /orders: page 2, row 2 in all: the same row is there a second time: order "o1"`},
		{name: "no list", serve: func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"items":[]}`) }, problem: `GET /orders: page 1: there is no list of rows at ""`},
		{name: "no rows in the list", serve: func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `[1]`) }, problem: `GET /orders: page 1, row 1 in all: it is no JSON object`},
		{name: "cut off", serve: func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, objects(1, 6)[:90]) }, problem: "GET /orders: page 1: it is no JSON"},
		{name: "broken off", serve: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, objects(1, 6))
		}, problem: "GET /orders: page 1: it breaks off"},
		{name: "a redirect", serve: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		}, problem: "GET /orders: 302 Found\nhint: redirects are not followed"},
		{name: "a token is missing", serve: func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(401) }, problem: "GET /orders: 401 Unauthorized\nhint: audit.headers"},
		{name: "a fault", serve: func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) }, problem: "GET /orders: 500 Internal Server Error"},
		{name: "busy for good", serve: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(503)
		}, problem: "GET /orders: 503 Service Unavailable"},
		{name: "a field is missing", serve: func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `[{"order_id":"o1"}]`) }, problem: `GET /orders: page 1, row 1 in all: it has no "key"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.table.Path == "" {
				tt.table.Path = "/orders"
			}
			rows, err := gather(t, sources.Config{Mapping: books.Mapping{Source: books.HTTP, URL: serve(t, tt.serve), Zone: "+08:00", Orders: tt.table}})
			check(t, rows, err, tt.want, tt.problem)
		})
	}
}

// Who is asked to come back does, with its headers, and gets the rows.
func TestPagesRetry(t *testing.T) {
	asked := 0
	at := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked%3 != 0 {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader([]int{429, 503}[asked%2])
			return
		}
		fmt.Fprintf(w, `[{"order_id":%q,"key":"k","amount":1,"currency":"CNY"}]`, r.Header.Get("Authorization"))
	})
	rows, err := gather(t, sources.Config{Mapping: books.Mapping{Source: books.HTTP, URL: at, Headers: map[string]string{"Authorization": "Bearer x"}, Orders: books.Table{Path: "/"}}})
	check(t, rows, err, "o Bearer x k 1 CNY", "")
}

func TestPagesTimeOut(t *testing.T) {
	at := serve(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	_, err := gather(t, sources.Config{Mapping: books.Mapping{Source: books.HTTP, URL: at, Timeout: 20 * time.Millisecond, Orders: books.Table{Path: "/"}}})
	check(t, nil, err, "", "GET /: page 1: GET /: context deadline exceeded")
}

// Nothing that is not permitted is dialled, whatever its name; and no message
// holds what stands in an address.
func TestPagesPermitted(t *testing.T) {
	m := books.Mapping{Source: books.HTTP, URL: "http://192.0.2.1:9/secret", Orders: books.Table{Path: "/"}}
	_, err := gather(t, sources.Config{Mapping: m})
	check(t, nil, err, "", "192.0.2.1:9 is beyond loopback, and nothing allows it\nhint: --allow ADDRESS")
	m.URL = serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "[]") })
	_, err = gather(t, sources.Config{Mapping: m, Permits: func(netip.Addr) bool { return false }})
	check(t, nil, err, "", "is beyond loopback")
	m.URL = "://secret"
	if _, err = gather(t, sources.Config{Mapping: m}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("no URL: %v", err)
	}
}

func TestStorefront(t *testing.T) {
	tables := map[string]string{
		"/books/orders":  line + line, // what is there twice is told twice
		"/books/coupons": `{"coupon_id":"c1","stock_id":"s","order_id":""}` + "\n",
		"/books/stocks":  `{"stock_id":"s","paused":[{"from":"2026-02-06T12:00:00Z","until":""}]}` + "\n",
		"/books/seats":   `{"item":"t1","seats":40}` + "\n",
	}
	at := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, tables[r.URL.Path]) })
	rows, err := gather(t, sources.Config{Mapping: books.Mapping{Source: books.Storefront, URL: at}})
	check(t, rows, err, "o o1 k1 900 CNY, o o1 k1 900 CNY, c c1 , s s 1, i t1 40", "")

	at = serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "500")
		fmt.Fprint(w, line)
	})
	rows, err = gather(t, sources.Config{Mapping: books.Mapping{Source: books.Storefront, URL: at}})
	check(t, rows, err, "o o1 k1 900 CNY", "GET /books/orders: line 2: unexpected EOF")
}

// FuzzPages: whatever a backend answers, reading ends.
func FuzzPages(f *testing.F) {
	f.Add(objects(1, 3), `<http://x/next>; rel=next`, "", "", byte(0))
	f.Add(`{"rows":`+objects(1, 2)+`,"next":"2"}`, "", "rows", "next", byte(1))
	f.Add(`{"rows":[{}],"next":"/b"}`, "", "rows", "next", byte(0))
	f.Add(`[[]]`, "", "0", "", byte(2))
	f.Add(`[{"order_id":1,"key":null,"amount":1e3,"currency":{}}]`, `<>;`, "@this", "", byte(3))
	f.Fuzz(func(t *testing.T, body, link, rows, path string, by byte) {
		asked := 0
		at := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if asked++; asked > 3 {
				w.WriteHeader(http.StatusGone)
				return
			}
			w.Header().Set("Link", link)
			fmt.Fprint(w, body)
		})
		next := books.Next{By: books.Ways()[int(by)%len(books.Ways())], Path: path, Parameter: "p"}
		if _, err := gather(t, sources.Config{Mapping: books.Mapping{Source: books.HTTP, URL: at, Orders: books.Table{Path: "/orders", Rows: rows, Next: next}}}); err != nil && !strings.Contains(err.Error(), "GET /orders") {
			t.Errorf("error without its address: %v", err)
		}
	})
}
