package wire

import (
	"cmp"
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strings"
)

// redacted stands where a secret was.
const redacted = "[redacted]"

// maxShownHead bounds a head in evidence, in bytes.
const maxShownHead = 4 << 10

// Exchange returns the last request and what was read of its answer, bounded
// and without secrets, for people. It is empty at rest.
func (c *Conn) Exchange() (request, response string) {
	if c.buf == nil {
		return "", ""
	}
	limit, hidden := c.target.evidence(), c.hidden()
	head, body, _ := strings.Cut(string(c.buf.out), "\r\n\r\n")
	request = show(head, body, limit, true, hidden)
	if len(c.buf.head) > 0 {
		a := &c.answer
		whole := a.end == io.EOF && a.read == int64(len(c.buf.seen))
		response = show(string(c.buf.head), string(c.buf.seen), limit, whole, hidden)
	}
	return request, response
}

// Redact takes the secrets out of a text, such as an error that a backend wrote.
func (c *Conn) Redact(text string) string { return hide(text, c.hidden()) }

// Hide says what else is secret in the last exchange: what is the shopper's own.
func (c *Conn) Hide(secrets []string) {
	if c.buf != nil {
		c.buf.secrets = secrets
	}
}

// hidden returns everything that is secret, as it may stand in an exchange.
func (c *Conn) hidden() []string {
	if c.buf == nil {
		return spellings(c.target.Secrets)
	}
	return spellings(slices.Concat(c.target.Secrets, c.buf.secrets))
}

// show makes one side presentable. A body that is not whole may end inside a
// secret.
func show(head, body string, limit int, whole bool, hidden []string) string {
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(head, "\r", ""), "\n"), "\n")
	for i, line := range lines {
		if name, _, ok := strings.Cut(line, ":"); ok && i > 0 && Secret(name) {
			lines[i] = name + ": " + redacted
		}
	}
	head, body = strings.Join(lines, "\n"), hide(body, hidden)
	if !whole {
		body = hideEnd(body, hidden)
	}
	// Cut only after redacting: half a secret is a secret.
	return bound(hide(head, hidden), maxShownHead) + "\n\n" + bound(body, limit)
}

// spellings returns the secrets as they may stand in an exchange, the longest
// first: one may begin another.
func spellings(secrets []string) []string {
	var all []string
	for _, s := range secrets {
		if s == "" {
			continue
		}
		quoted, _ := json.Marshal(s) // a string always can be
		all = append(all, s, url.QueryEscape(s), url.PathEscape(s), string(quoted[1:len(quoted)-1]))
	}
	slices.SortFunc(all, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	return slices.Compact(all)
}

func hide(text string, hidden []string) string {
	for _, s := range hidden {
		text = strings.ReplaceAll(text, s, redacted)
	}
	return text
}

// hideEnd hides the longest beginning of a secret that the text ends with.
func hideEnd(text string, hidden []string) string {
	longest := 0
	for _, s := range hidden {
		for n := min(len(s)-1, len(text)); n > longest; n-- {
			if strings.HasSuffix(text, s[:n]) {
				longest = n
			}
		}
	}
	if longest == 0 {
		return text
	}
	return text[:len(text)-longest] + redacted
}

// bound cuts a text after limit bytes and makes it valid UTF-8.
func bound(text string, limit int) string {
	if len(text) > limit {
		text = text[:limit] + "…"
	}
	return strings.ToValidUTF8(text, "\ufffd")
}

// Secret says of a header, or of what was taken from an answer, whether its
// value is nobody's business.
func Secret(name string) bool {
	name = strings.ToLower(strings.TrimSpace(name))
	if name == "idempotency-key" {
		return false // it is evidence itself
	}
	for _, end := range []string{"authorization", "cookie", "signature", "apikey", "-key", "token", "secret"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}
