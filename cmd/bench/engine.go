package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed testdata/journey.js
var journeyJS []byte

//go:embed testdata/journey.lua
var journeyLua []byte

const (
	steps     = 8  // requests of an order
	atOnce    = 50 // shoppers of flashcrowd, as many as wrk has connections
	k6VUs     = 20 // enough to keep its core busy
	wrkConns  = 50 // likewise
	closedFor = 15 * time.Second
	comeIn    = 5 * time.Second // all shoppers of a closed crowd, so that none of its places is ever free
)

// engine measures the orders that flashcrowd, plain k6 and wrk send in a second
// of processor time.
func (b *bench) engine(ctx context.Context) error {
	if err := need("wrk", "wrk"); err != nil {
		return err
	}
	only, err := regexp.Compile("^(" + b.only + ")$")
	if err != nil {
		return err
	}
	clients := slices.DeleteFunc(slices.Clone(clients), func(c client) bool { return !only.MatchString(c.name) })
	var ratios string
	for _, flushes := range []int{1, 32} {
		figures := map[string][]float64{}
		target, stop, err := b.storefront(ctx, flushes)
		if err != nil {
			return err
		}
		defer stop()
		at := *b
		if at.rate == 0 {
			if at.rate, err = b.fits(ctx, target); err != nil {
				return fmt.Errorf("wrk, to find a rate: %w", err)
			}
		}
		fmt.Printf("\norders per CPU-second, streams in %d write(s), an open crowd at %d shoppers a second\n%-6s", flushes, at.rate, "round")
		for _, c := range clients {
			fmt.Printf(" %12s", c.name)
		}
		fmt.Println()
		for round := range b.rounds {
			fmt.Printf("%-6d", round+1)
			for _, c := range clients {
				orders, cpu, err := c.run(&at, ctx, target)
				if err != nil {
					return fmt.Errorf("%s: %w", c.name, err)
				}
				each := orders / cpu.Seconds()
				figures[c.name] = append(figures[c.name], each)
				fmt.Printf(" %12.0f", each)
			}
			fmt.Println()
		}
		stop()
		fmt.Printf("%-6s", "median")
		for _, c := range clients {
			fmt.Printf(" %12.0f", median(figures[c.name]))
		}
		fmt.Println()
		if b.only != ".*" {
			continue
		}
		ours := median(figures[clients[0].name])
		k6, wrk := ours/median(figures["k6"]), ours/median(figures["wrk"])
		fmt.Printf("flashcrowd sends %.2f times the orders of k6 and %.3f of wrk's", k6, wrk)
		for _, other := range []string{"dialling", "open"} {
			fmt.Printf("; %s %.2f and %.3f", other, median(figures[other])/median(figures["k6"]), median(figures[other])/median(figures["wrk"]))
		}
		fmt.Println()
		if flushes == 1 {
			ratios = fmt.Sprintf("\nratio_vs_k6_js: %.2f\nratio_vs_wrk: %.3f\n", k6, wrk)
		}
	}
	fmt.Print(ratios)
	return nil
}

// fits returns how many shoppers a second of an open crowd the storefront is to
// serve: three fifths of the orders that wrk gets out of it. Who waits for the
// storefront can't overload it; who comes whatever it does can.
func (b *bench) fits(ctx context.Context, target string) (rate int, err error) {
	orders, _, err := b.wrk(ctx, target)
	return max(int(orders/closedFor.Seconds()*3/5), 1), err
}

type client struct {
	name string
	run  func(b *bench, ctx context.Context, target string) (orders float64, cpu time.Duration, err error)
}

// clients take turns; the first is what the ratios are of. Like k6 and wrk it is
// closed, so many at once and the next when one has finished, and keeps
// connections from one order to the next. With dialling, each shopper opens its
// own; open is a crowd that comes at its own pace, as most campaigns' do.
var clients = []client{
	{"flashcrowd", func(b *bench, ctx context.Context, target string) (float64, time.Duration, error) {
		return b.flashcrowd(ctx, target, b.closed(true))
	}},
	{"dialling", func(b *bench, ctx context.Context, target string) (float64, time.Duration, error) {
		return b.flashcrowd(ctx, target, b.closed(false))
	}},
	{"open", func(b *bench, ctx context.Context, target string) (float64, time.Duration, error) {
		return b.flashcrowd(ctx, target, crowd{For: closedFor, Rate: b.rate, Pooled: true})
	}},
	{"k6", func(b *bench, ctx context.Context, target string) (float64, time.Duration, error) {
		return b.k6(ctx, target, "event")
	}},
	{"k6 regexp", func(b *bench, ctx context.Context, target string) (float64, time.Duration, error) {
		return b.k6(ctx, target, "regexp")
	}},
	{"wrk", (*bench).wrk},
}

// closed is a crowd that takes about as long as wrk does: as many orders as wrk
// gets out of the storefront.
func (b *bench) closed(pooled bool) crowd {
	all := b.rate * 5 / 3 * int(closedFor/time.Second)
	return crowd{For: comeIn, Rate: all / int(comeIn/time.Second), AtOnce: atOnce, Pooled: pooled}
}

// flashcrowd runs the engine: the whole k6 child of a worker.
func (b *bench) flashcrowd(ctx context.Context, target string, c crowd) (float64, time.Duration, error) {
	r, used, err := b.crowd(ctx, target, c, nil)
	return float64(r.Orders.Promised), used.cpu, err
}

// k6 runs the journey in JavaScript, in the k6 of the same binary.
func (b *bench) k6(ctx context.Context, target, by string) (float64, time.Duration, error) {
	script := filepath.Join(b.dir, "journey.js")
	if err := os.WriteFile(script, journeyJS, 0o600); err != nil {
		return 0, 0, err
	}
	c := pinned(ctx, b.client, b.program, "k6", "run", "--quiet", "--no-usage-report",
		"-e", "BY="+by, "-e", "TARGET="+target, "-e", "VUS="+strconv.Itoa(k6VUs), "-e", "FOR="+closedFor.String(), script)
	var said bytes.Buffer
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		return 0, 0, fmt.Errorf("%w: %.500s", err, said.String())
	}
	orders, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err == nil && orders == 0 {
		err = fmt.Errorf("no order: %.500s", said.String())
	}
	return orders, cost(c), err
}

// wrk sends the requests of a shopper of flashcrowd's, which are recorded first.
func (b *bench) wrk(ctx context.Context, target string) (float64, time.Duration, error) {
	script := filepath.Join(b.dir, "journey.lua")
	if err := os.WriteFile(script, journeyLua, 0o600); err != nil {
		return 0, 0, err
	}
	files, err := b.record(ctx, target)
	if err != nil {
		return 0, 0, fmt.Errorf("record a journey: %w", err)
	}
	args := append([]string{"-t1", "-c" + strconv.Itoa(wrkConns), "-d" + closedFor.String(), "-s", script, target, "--"}, files...)
	c := pinned(ctx, b.client, "wrk", args...)
	out, err := c.CombinedOutput()
	if err != nil {
		return 0, 0, fmt.Errorf("%w: %s", err, out)
	}
	_, tail, _ := bytes.Cut(out, []byte("sent "))
	var sent, failed int
	if _, err := fmt.Sscanf(string(tail), "%d failed %d", &sent, &failed); err != nil || failed > 0 {
		return 0, 0, fmt.Errorf("it said %q (%v)", out, err)
	}
	return float64(sent) / steps, cost(c), nil
}

// record has one shopper order through a proxy and returns a file for each of
// its requests, in order and as they were sent.
func (b *bench) record(ctx context.Context, target string) (files []string, err error) {
	to, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		body, _ := io.ReadAll(r.In.Body) // what is missing the storefront will refuse
		r.Out.Body = io.NopCloser(bytes.NewReader(body))
		var raw bytes.Buffer
		fmt.Fprintf(&raw, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.In.Method, r.In.URL.RequestURI(), to.Host)
		r.In.Header.Write(&raw)
		fmt.Fprintf(&raw, "\r\n%s", body)
		mu.Lock()
		defer mu.Unlock()
		name := filepath.Join(b.dir, fmt.Sprintf("%d.request", len(files)+1))
		if os.WriteFile(name, raw.Bytes(), 0o600) == nil {
			files = append(files, name)
		}
	}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: proxy}
	go server.Serve(l)
	defer server.Close()
	if _, _, err := b.crowd(ctx, "http://"+l.Addr().String(), crowd{For: time.Second, Rate: 1}, nil); err != nil {
		return nil, err
	}
	mu.Lock()
	defer mu.Unlock()
	if len(files) != steps {
		return nil, fmt.Errorf("%d requests, want %d", len(files), steps)
	}
	return files, nil
}

// median of at least one figure.
func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
