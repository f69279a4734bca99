package wire

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEvidenceHidesSecrets(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nSet-Cookie: sid=topsecret1\r\nX-Request-Id: r-1\r\nContent-Length: "
	secrets := []string{"sk-live", "sk-live-0123456789", `quo"te/d`, "pass phrase", ""}
	for _, test := range []struct {
		name, header, body, back string
		capture                  int
		hides                    []string
		shows                    []string
	}{
		{name: "headers", header: "Authorization: Bearer topsecret1\r\nX-Api-Key: topsecret1\r\nSignature: sig1=topsecret1\r\nIdempotency-Key: k-1\r\nX-CSRF-Token: topsecret1\r\nApikey: topsecret1\r\n",
			hides: []string{"topsecret1"}, shows: []string{"Idempotency-Key: k-1", "X-Request-Id: r-1"}},
		{name: "in a harmless header", header: "X-Shopper: sk-live-0123456789\r\n", hides: []string{"sk-live", "0123"}},
		{name: "in bodies", body: `{"key":"sk-live-0123456789"}`, back: "you said sk-live!", hides: []string{"sk-live", "0123"}, shows: []string{"you said [redacted]!"}},
		{name: "escaped", body: `{"key":"quo\"te/d"}`, back: "quo%22te%2Fd", hides: []string{"quo"}},
		{name: "in a form", body: "p=pass+phrase", hides: []string{"phrase"}},
		{name: "cut by the capture", capture: 16, back: "012345 sk-live-0123456789", hides: []string{"sk-"}},
		{name: "its first byte alone", capture: 8, back: "012345 sk-live-0123456789", hides: []string{"345 s"}},
		{name: "cut by the limit in the request", capture: 16, body: "012345 sk-live-0123456789", hides: []string{"sk-"}},
		{name: "a whole body that ends as one begins", back: "pass", shows: []string{"pass"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			raw := &memory{in: []byte(answer + itoa(len(test.back)) + "\r\n\r\n" + test.back)}
			c := New(raw, &Target{Config: Config{Secrets: secrets, Capture: test.capture}})
			r, err := c.Do(&Request{Method: "POST", Path: "/", Header: []byte(test.header), Body: [][]byte{[]byte(test.body)}})
			if err == nil {
				_, err = r.ReadAll(1 << 20)
			}
			if err != nil {
				t.Fatal(err)
			}
			request, response := c.Exchange()
			text := request + "\n\n" + response
			for _, s := range append(test.hides, "topsecret1") {
				if strings.Contains(text, s) {
					t.Errorf("%q is in:\n%s", s, text)
				}
			}
			for _, s := range test.shows {
				if !strings.Contains(text, s) {
					t.Errorf("%q is not in:\n%s", s, text)
				}
			}
			c.Rest()
			if request, response := c.Exchange(); request+response != "" {
				t.Error("evidence at rest")
			}
		})
	}
}

// A peer that dies inside a secret leaves half of it.
func TestEvidenceOfATruncatedAnswer(t *testing.T) {
	c := New(&memory{in: []byte("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nkey: sk-live-01")}, &Target{Config: Config{Secrets: []string{"sk-live-0123456789"}}})
	r, err := c.Do(&Request{Method: "GET", Path: "/"})
	if err == nil {
		_, err = r.ReadAll(99)
	}
	if kind(t, err) != Truncated {
		t.Fatal(err)
	}
	if _, response := c.Exchange(); strings.Contains(response, "sk-") {
		t.Errorf("half a secret is in:\n%s", response)
	}
}

func TestEvidenceIsBoundedAndValid(t *testing.T) {
	body := strings.Repeat("é", 1<<20) + "\xff"
	raw := &memory{in: []byte("HTTP/1.1 200 \xff\r\nA: " + strings.Repeat("x", 50<<10) + "\r\nContent-Length: " + itoa(len(body)) + "\r\n\r\n" + body)}
	c := New(raw, &Target{Config: Config{Capture: 101}})
	r, err := c.Do(&Request{Method: "POST", Path: "/", Body: [][]byte{[]byte(body)}})
	if err == nil {
		_, err = r.ReadAll(8 << 20)
	}
	if err != nil {
		t.Fatal(err)
	}
	request, response := c.Exchange()
	for _, text := range []string{request, response} {
		if len(text) > maxShownHead+200 || !utf8.ValidString(text) {
			t.Errorf("%d bytes, valid %v", len(text), utf8.ValidString(text))
		}
	}
}

func FuzzSecrets(f *testing.F) {
	f.Add("secret1", "body with secret1 in it", uint8(12))
	f.Fuzz(func(t *testing.T, s, body string, limit uint8) {
		if len(s) < len(redacted)+2 || strings.Contains(s, "\n") || strings.Contains(s, redacted) {
			t.Skip("this secret can not be told from the text around it")
		}
		if !utf8.ValidString(s) {
			t.Skip("evidence is valid UTF-8, and so never this secret")
		}
		body += s
		text := show("GET / HTTP/1.1", body[:len(body)-1], int(limit), false, spellings([]string{s}))
		if strings.Contains(text, s) || !utf8.ValidString(text) {
			t.Fatalf("%q in %q", s, text)
		}
	})
}
