package custom

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
)

// What a shopper keeps of cookies. The jar of net/http has no such bounds, and
// costs a shopper without cookies something too.
const (
	mostCookies   = 20
	longestCookie = 4 << 10 // name and value together
)

// remember takes the cookies of an answer, as RFC 6265 has them. A cookie for
// another host, or beyond the bounds, is passed over.
func remember(s *crowd.Shopper, resp *wire.Response, host, path string) {
	for line := range resp.Fields("Set-Cookie") {
		take(s, string(line), host, path, resp.At)
	}
}

// take takes one that a request for a path was answered with.
func take(s *crowd.Shopper, line, host, path string, now time.Time) {
	c, err := http.ParseSetCookie(line)
	if err != nil || len(c.Name)+len(c.Value) > longestCookie || !within(host, c.Domain) {
		return
	}
	if c.Path == "" || c.Path[0] != '/' {
		before, _, _ := strings.Cut(path, "?")
		c.Path = path[:max(1, strings.LastIndexByte(before, '/'))]
	}
	if c.MaxAge > 0 {
		c.Expires = now.Add(time.Duration(min(c.MaxAge, 1<<30)) * time.Second)
	}
	s.Cookies = slices.DeleteFunc(s.Cookies, func(old *http.Cookie) bool { return old.Name == c.Name && old.Path == c.Path })
	gone := c.MaxAge < 0 || !c.Expires.IsZero() && !c.Expires.After(now)
	if !gone && len(s.Cookies) < mostCookies {
		s.Cookies = append(s.Cookies, &http.Cookie{Name: c.Name, Value: c.Value, Path: c.Path, Expires: c.Expires})
	}
}

// within says whether a host is the domain or below it; an empty domain is the
// host itself.
func within(host, domain string) bool {
	host, _, _ = strings.Cut(host, ":")
	domain = strings.TrimPrefix(strings.ToLower(domain), ".")
	return domain == "" || host == domain || strings.Contains(domain, ".") && strings.HasSuffix(host, "."+domain)
}

// appendCookies appends the header line with the shopper's cookies for a path,
// the one with the longest path first.
func appendCookies(b []byte, s *crowd.Shopper, path string, now time.Time) []byte {
	if len(s.Cookies) == 0 {
		return b
	}
	path, _, _ = strings.Cut(path, "?")
	var fit []*http.Cookie
	for _, c := range s.Cookies {
		under := path == c.Path || strings.HasPrefix(path, strings.TrimSuffix(c.Path, "/")+"/")
		if under && (c.Expires.IsZero() || c.Expires.After(now)) {
			fit = append(fit, c)
		}
	}
	slices.SortStableFunc(fit, func(a, b *http.Cookie) int { return len(b.Path) - len(a.Path) })
	for i, c := range fit {
		b = append(b, []string{"Cookie: ", "; "}[min(i, 1)]...)
		b = append(b, c.Name+"="+c.Value...)
	}
	if len(fit) > 0 {
		b = append(b, "\r\n"...)
	}
	return b
}
