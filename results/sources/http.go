package sources

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/results/books"
)

// Bounds of a paged endpoint.
const (
	maxPages = 100_000
	maxPage  = 64 << 20 // bytes
	maxTries = 5        // of one request
	maxWait  = time.Minute
)

// web is books over HTTP: the reference backend's exports, or pages.
type web struct {
	ctx     context.Context
	base    *url.URL
	mapping books.Mapping
	run     books.Window
	client  http.Client
	wait    func(context.Context, time.Duration) error
}

func openHTTP(ctx context.Context, c Config) (string, reader, error) {
	base, err := url.Parse(c.Mapping.URL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return "", nil, fmt.Errorf("the address is no http or https URL\nhint: http://127.0.0.1:8080") // without it: it may hold a secret
	}
	w := &web{ctx: ctx, base: base, mapping: c.Mapping, run: c.Run, wait: pause}
	w.client = http.Client{
		Transport:     &http.Transport{DialContext: c.dialer().DialContext}, // no proxy
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	name := base.Host + base.Path
	if c.Mapping.Source == books.Storefront {
		name = "the storefront's books at " + base.Host
	}
	return name, w, nil
}

func (w *web) close() error {
	w.client.CloseIdleConnections()
	return nil
}

func (w *web) sheet(table string) (books.Sheet, error) {
	if w.mapping.Source == books.Storefront {
		path := "/books/" + table
		return lineSheet{"GET " + path, func() (io.ReadCloser, error) { return w.export(path) }}, nil
	}
	t := w.mapping.Table(table)
	if t.Path == "" {
		return nil, nil
	}
	path, err := w.mapping.Fill(t.Path, w.run)
	if err != nil {
		return nil, err
	}
	first, err := url.Parse(strings.TrimSuffix(w.base.String(), "/") + strings.ReplaceAll(path, "+", "%2B")) // of a zone
	if err != nil {
		return nil, fmt.Errorf("audit.%s.path is no path of a URL", table)
	}
	return &pageSheet{web: w, name: "GET " + t.Path, rows: t.Rows, next: t.Next, first: first}, nil
}

// export opens one that streams.
func (w *web) export(path string) (io.ReadCloser, error) {
	ctx, cancel := context.WithTimeout(w.ctx, w.mapping.Timeout)
	answer, err := w.get(ctx, w.base.JoinPath(path))
	if err != nil {
		cancel()
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{answer.Body, closer(func() error {
		cancel()
		return answer.Body.Close()
	})}, nil
}

type closer func() error

// Close implements io.Closer.
func (c closer) Close() error { return c() }

// get sends a request until it is answered with 200. Who is asked to come back
// does.
func (w *web) get(ctx context.Context, at *url.URL) (*http.Response, error) {
	for try := 1; ; try++ {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Accept", "application/json")
		for name, value := range w.mapping.Headers {
			r.Header.Set(name, value)
		}
		answer, err := w.client.Do(r)
		if err != nil {
			return nil, fmt.Errorf("GET %s: %w", at.Path, bare(err))
		}
		if answer.StatusCode == http.StatusOK {
			return answer, nil
		}
		answer.Body.Close() // nothing in it is wanted
		busy := answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode == http.StatusServiceUnavailable
		if !busy || try == maxTries {
			hint := ""
			if answer.StatusCode >= 300 && answer.StatusCode < 400 {
				hint = "\nhint: redirects are not followed: name the address itself"
			} else if answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden {
				hint = "\nhint: audit.headers: {Authorization: \"Bearer ${TOKEN}\"}"
			}
			return nil, fmt.Errorf("GET %s: %s%s", at.Path, answer.Status, hint)
		}
		if err := w.wait(ctx, retryAfter(answer.Header.Get("Retry-After"), try, time.Now())); err != nil {
			return nil, fmt.Errorf("GET %s: %s: %w", at.Path, answer.Status, err)
		}
	}
}

// bare takes the address, which may hold a secret, off an error of net/http.
func bare(err error) error {
	if e, ok := err.(*url.Error); ok {
		return e.Err
	}
	return err
}

// retryAfter is how long to wait before another try: what the backend asked
// for, in seconds or as a date, or twice as long each time.
func retryAfter(asked string, try int, now time.Time) time.Duration {
	wait := time.Second << (try - 1)
	if s, err := strconv.ParseUint(asked, 10, 31); err == nil {
		wait = time.Duration(s) * time.Second
	} else if at, err := http.ParseTime(asked); err == nil {
		wait = max(at.Sub(now), 0)
	}
	return min(wait, maxWait)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pageSheet is a list in pages.
type pageSheet struct {
	web   *web
	name  string
	rows  string
	next  books.Next
	first *url.URL
	page  int // the one that is read
}

// Where implements books.Sheet.
func (s *pageSheet) Where(n int) string {
	if n == 0 {
		return s.name
	}
	return fmt.Sprintf("%s: page %d, row %d in all", s.name, s.page, n)
}

// Columns implements books.Sheet.
func (*pageSheet) Columns() ([]string, error) { return nil, nil }

// Rows implements books.Sheet.
func (s *pageSheet) Rows(columns []string) iter.Seq2[books.Row, error] {
	return func(yield func(books.Row, error) bool) {
		into := newPicker(columns)
		at, n := s.begin(), 0
		for s.page = 1; ; s.page++ {
			body, header, err := s.load(at)
			if err != nil {
				yield(books.Row{}, fmt.Errorf("%s: page %d: %w", s.name, s.page, err))
				return
			}
			list := gjson.ParseBytes(body)
			if s.rows != "" {
				list = list.Get(s.rows)
			}
			if !list.IsArray() {
				yield(books.Row{}, fmt.Errorf("%s: page %d: there is no list of rows at %q\nhint: rows: data.items, as a gjson path", s.name, s.page, s.rows))
				return
			}
			before, left := n, false
			list.ForEach(func(_, row gjson.Result) bool {
				n++
				if !row.IsObject() {
					yield(books.Row{}, fmt.Errorf("%s: it is no JSON object", s.Where(n)))
					left = true
				} else {
					left = !yield(books.Row{N: n, Cells: into.pick(row)}, nil)
				}
				return !left
			})
			if left {
				return
			}
			then, err := s.following(at, body, header, n, n == before)
			if err == nil && then != nil && then.String() == at.String() {
				err = fmt.Errorf("it says that the next page is itself")
			}
			if err == nil && s.page == maxPages && then != nil {
				err = fmt.Errorf("there are more than %d pages", maxPages)
			}
			if err != nil {
				yield(books.Row{}, fmt.Errorf("%s: page %d: %w", s.name, s.page, err))
				return
			}
			if then == nil {
				return
			}
			at = then
		}
	}
}

// load reads one page.
func (s *pageSheet) load(at *url.URL) ([]byte, http.Header, error) {
	ctx, cancel := context.WithTimeout(s.web.ctx, s.web.mapping.Timeout)
	defer cancel()
	answer, err := s.web.get(ctx, at)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close() // only read
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxPage+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("it breaks off: %w", err)
	case len(body) > maxPage:
		return nil, nil, fmt.Errorf("it has more than %d bytes\nhint: ask for fewer rows a page", maxPage)
	case !gjson.ValidBytes(body):
		return nil, nil, fmt.Errorf("it is no JSON: %q", bytes.ToValidUTF8(body[:min(len(body), 60)], nil))
	}
	return body, answer.Header, nil
}

// following returns the address of the next page; nil after the last one.
func (s *pageSheet) following(at *url.URL, page []byte, header http.Header, rows int, empty bool) (*url.URL, error) {
	switch s.next.By {
	case books.Link:
		to := nextLink(header)
		if s.next.Path != "" {
			to = gjson.GetBytes(page, s.next.Path).String()
		}
		if to == "" {
			return nil, nil
		}
		then, err := at.Parse(to)
		if err != nil || then.Scheme != at.Scheme || then.Host != at.Host {
			return nil, fmt.Errorf("the next page is on another host, which is not asked")
		}
		return then, nil
	case books.Cursor:
		if to := gjson.GetBytes(page, s.next.Path).String(); to != "" {
			return s.turn(at, to), nil
		}
	case books.Offset:
		if !empty {
			return s.turn(at, strconv.Itoa(rows)), nil
		}
	case books.Page:
		if !empty {
			return s.turn(at, strconv.Itoa(s.page+1)), nil
		}
	}
	return nil, nil
}

// begin returns the address of the first page.
func (s *pageSheet) begin() *url.URL {
	switch s.next.By {
	case books.Offset:
		return s.turn(s.first, "0")
	case books.Page:
		return s.turn(s.first, "1")
	}
	return s.first
}

// turn sets the parameter of an address.
func (s *pageSheet) turn(at *url.URL, value string) *url.URL {
	query := at.Query()
	query.Set(s.next.Parameter, value)
	then := *at
	then.RawQuery = query.Encode()
	return &then
}

func isNext(relation string) bool { return strings.EqualFold(relation, "next") }

// cutUnquoted cuts s at the first sep that is not within quotes.
func cutUnquoted(s string, sep byte) (before, after string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == sep && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// nextLink returns the target of a Link header with rel="next" (RFC 8288).
func nextLink(h http.Header) string {
	for _, line := range h.Values("Link") {
		for line != "" {
			_, rest, ok := strings.Cut(line, "<")
			target, rest, closed := strings.Cut(rest, ">")
			if !ok || !closed {
				break
			}
			parameters, others := cutUnquoted(rest, ',')
			for p := ""; parameters != ""; {
				p, parameters = cutUnquoted(parameters, ';')
				name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
				if strings.EqualFold(strings.TrimSpace(name), "rel") && slices.ContainsFunc(strings.Fields(strings.Trim(strings.TrimSpace(value), `"`)), isNext) {
					return target
				}
			}
			line = others
		}
	}
	return ""
}
