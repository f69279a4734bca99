package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// exchange reads one answer from memory, in reads of n bytes (0: all at once).
func exchange(method, answer string, n int) (*Conn, int, []byte, error) {
	raw := &memory{in: []byte(answer)}
	if n > 0 {
		raw.n = func() int { return n }
	}
	c := New(raw, &Target{host: "shop"})
	r, err := c.Do(&Request{Method: method, Path: "/"})
	if err != nil {
		return c, 0, nil, err
	}
	body, err := r.ReadAll(math.MaxInt)
	return c, r.Status, body, err
}

func TestAnswers(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	const chunked = ok + "Transfer-Encoding: chunked\r\n\r\n"
	for _, test := range []struct {
		name, answer string
		status       int
		body         string
		kind         Kind
		clean        bool // another request may follow
	}{
		{"length", ok + "Content-Length: 3\r\n\r\nabc", 200, "abc", 0, true},
		{"length without case", ok + "cOnTeNt-LeNgTh: \t3 \r\n\r\nabc", 200, "abc", 0, true},
		{"no body", ok + "Content-Length: 0\r\n\r\n", 200, "", 0, true},
		{"lines with LF alone", "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", 200, "abc", 0, true},
		{"no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, "", 0, true},
		{"an empty line before it", "\r\n" + ok + "Content-Length: 0\r\n\r\n", 200, "", 0, true},
		{"redirect", "HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n", 302, "", 0, true},
		{"204", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", 0, true},
		{"304 with the length it would have", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, "", 0, true},
		{"204 and then a body", "HTTP/1.1 204 No Content\r\n\r\nabc", 204, "", 0, false},
		{"100 and 103 first", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + ok + "Content-Length: 1\r\n\r\na", 200, "a", 0, true},

		{"chunks", chunked + "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 200, "abcde", 0, true},
		{"chunk extensions", chunked + "3;a=b;c=\"d\"\r\nabc\r\n0;x\r\n\r\n", 200, "abc", 0, true},
		{"trailer", chunked + "A \r\n0123456789\r\n0\r\nDigest: x\r\nMore: y\r\n\r\n", 200, "0123456789", 0, true},
		{"chunks, another case", ok + "transfer-encoding: CHUNKED\r\n\r\n0\r\n\r\n", 200, "", 0, true},
		{"until it closes", ok + "\r\nabc", 200, "abc", 0, false},

		{"close", ok + "Connection: close\r\nContent-Length: 1\r\n\r\na", 200, "a", 0, false},
		{"close among others", ok + "Connection: foo, Close\r\nContent-Length: 1\r\n\r\na", 200, "a", 0, false},
		{"close in a second line", ok + "Connection: keep-alive\r\nConnection: close\r\nContent-Length: 1\r\n\r\na", 200, "a", 0, false},
		{"close in a first line", ok + "Connection: close\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na", 200, "a", 0, false},
		{"a name that begins as another", ok + "Content-Length-Hint: 9\r\nContent-Length: 1\r\n\r\na", 200, "a", 0, true},
		{"1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", 200, "a", 0, false},
		{"1.0 kept alive", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na", 200, "a", 0, true},
		{"more than was asked", ok + "Content-Length: 1\r\n\r\nab", 200, "a", 0, false},

		{"nothing", "", 0, "", Lost, false},
		{"ends in the status line", "HTT", 0, "", Truncated, false},
		{"ends in the head", ok + "Content-", 0, "", Truncated, false},
		{"ends after a 100", "HTTP/1.1 100 Continue\r\n\r\n", 0, "", Truncated, false},
		{"ends before the body", ok + "Content-Length: 3\r\n\r\n", 200, "", Truncated, false},
		{"ends in the body", ok + "Content-Length: 3\r\n\r\nab", 200, "ab", Truncated, false},
		{"ends in a chunk", chunked + "3\r\nab", 200, "ab", Truncated, false},
		{"ends between chunks", chunked + "3\r\nabc\r\n", 200, "abc", Truncated, false},
		{"ends in the trailer", chunked + "3\r\nabc\r\n0\r\n", 200, "abc", Truncated, false},

		{"another protocol", "SSH-2.0-OpenSSH_9.6\r\n\r\n", 0, "", Malformed, false},
		{"HTTP/2", "HTTP/2 200 OK\r\n\r\n", 0, "", Malformed, false},
		{"status of two digits", "HTTP/1.1 20 OK\r\n\r\n", 0, "", Malformed, false},
		{"status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", 0, "", Malformed, false},
		{"status with a sign", "HTTP/1.1 +20 OK\r\n\r\n", 0, "", Malformed, false},
		{"status under 100", "HTTP/1.1 099 OK\r\n\r\n", 0, "", Malformed, false},
		{"switches protocols", "HTTP/1.1 101 Switching Protocols\r\n\r\n", 0, "", Malformed, false},
		{"negative length", ok + "Content-Length: -1\r\n\r\n", 0, "", Malformed, false},
		{"length with a sign", ok + "Content-Length: +1\r\n\r\na", 0, "", Malformed, false},
		{"length in hex", ok + "Content-Length: 0x1\r\n\r\na", 0, "", Malformed, false},
		{"length that overflows", ok + "Content-Length: 18446744073709551617\r\n\r\na", 0, "", Malformed, false},
		{"no length", ok + "Content-Length:\r\n\r\na", 0, "", Malformed, false},
		{"two lengths", ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 0, "", Malformed, false},
		{"length beyond the limit", ok + "Content-Length: 67108865\r\n\r\n", 0, "", Malformed, false},
		{"length and chunks", ok + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, "", Malformed, false},
		{"gzip, chunked", ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 0, "", Malformed, false},
		{"chunked with a Kelvin sign", ok + "Transfer-Encoding: chun\u212aed\r\n\r\n0\r\n\r\n", 0, "", Malformed, false},
		{"chunked in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, "", Malformed, false},
		{"folded", ok + "A: b\r\n c\r\nContent-Length: 0\r\n\r\n", 0, "", Malformed, false},
		{"white space before the colon", ok + "Content-Length : 1\r\n\r\na", 0, "", Malformed, false},
		{"no colon", ok + "Content-Length\r\n\r\n", 0, "", Malformed, false},
		{"no name", ok + ": x\r\n\r\n", 0, "", Malformed, false},
		{"a bare CR", ok + "A: b\rContent-Length: 1\r\n\r\na", 0, "", Malformed, false},
		{"a NUL", ok + "A: \x00\r\n\r\n", 0, "", Malformed, false},
		{"chunk length that overflows", chunked + "ffffffffffffffff\r\n", 200, "", Malformed, false},
		{"chunk length of 17 digits", chunked + "00000000000000001\r\na\r\n0\r\n\r\n", 200, "", Malformed, false},
		{"negative chunk length", chunked + "-1\r\n", 200, "", Malformed, false},
		{"chunk length with 0x", chunked + "0x1\r\na\r\n0\r\n\r\n", 200, "", Malformed, false},
		{"no chunk length", chunked + ";x\r\n", 200, "", Malformed, false},
		{"chunk beyond the limit", chunked + "4000001\r\n", 200, "", Malformed, false},
		{"chunk longer than it said", chunked + "1\r\nabc\r\n0\r\n\r\n", 200, "a", Malformed, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, n := range []int{0, 1, 2, 7} {
				c, status, body, err := exchange("GET", test.answer, n)
				if k := kind(t, err); k != test.kind || status != test.status || string(body) != test.body {
					t.Errorf("reads of %d: got %d %q, %v (%v), want %d %q, %v", n, status, body, k, err, test.status, test.body, test.kind)
				}
				// Bytes that come later are Reusable's to find, on a socket.
				if clean := c.Reusable(); clean != test.clean && !(n > 0 && strings.Contains(test.name, "and then a body")) && !(n > 0 && test.name == "more than was asked") {
					t.Errorf("reads of %d: reusable %v, want %v", n, clean, test.clean)
				}
			}
		})
	}
}

func TestHeadHasNoBody(t *testing.T) {
	c, status, body, err := exchange("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 0)
	if err != nil || status != 200 || len(body) != 0 || !c.Reusable() {
		t.Errorf("got %d %q, %v, reusable %v", status, body, err, c.Reusable())
	}
}

// endless gives a beginning once and then the same bytes for ever.
type endless struct {
	memory
	again []byte
	given int
}

func (e *endless) Read(b []byte) (int, error) {
	if len(e.in) == 0 {
		e.in = e.again
	}
	n, err := e.memory.Read(b)
	e.given += n
	return n, err
}

func TestEndlessAnswers(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, test := range []struct {
		name, begin, again string
		events             bool
		most               int // bytes that may be read of it
	}{
		{"status line", "HTTP/1.1 200 ", "x", false, maxHead},
		{"header line", ok + "A: ", "x", false, maxHead},
		{"header lines", ok, "A: b\r\n", false, maxHead},
		{"empty lines", "", "\r\n", false, maxHead},
		{"interim answers", "", "HTTP/1.1 100 Continue\r\n\r\n", false, maxHead},
		{"chunk length", ok + "Transfer-Encoding: chunked\r\n\r\n", "0", false, maxLine},
		{"chunk extension", ok + "Transfer-Encoding: chunked\r\n\r\n1;", "x", false, maxLine},
		{"trailer", ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n", "A: b\r\n", false, 2 * maxHead},
		{"one event line", ok + "\r\ndata: ", "x", true, maxEvent},
		{"one event", ok + "\r\n", "data: x\n", true, 8 * maxEvent},
		{"comments", ok + "\r\n", ": still here\r\r\n", true, maxBody},
		{"CRs", ok + "\r\n", "\r", true, maxBody},
		{"body", ok + "\r\n", "x", false, 1 << 20},
	} {
		t.Run(test.name, func(t *testing.T) {
			raw := &endless{memory: memory{in: []byte(test.begin)}, again: bytes.Repeat([]byte(test.again), 8<<10)}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			c := New(raw, &Target{})
			r, err := c.Do(&Request{Method: "GET", Path: "/"})
			switch {
			case err != nil:
			case test.events:
				_, err = r.Events().Next()
			default:
				_, err = r.ReadAll(1 << 20)
			}
			runtime.ReadMemStats(&after)
			if k := kind(t, err); k != Malformed {
				t.Errorf("got %v, want malformed", err)
			}
			if most := test.most + 64<<10; raw.given > most {
				t.Errorf("%d bytes were read, want at most %d", raw.given, most)
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 10<<20 {
				t.Errorf("it took %d bytes of memory", grown)
			}
			if r != nil {
				if _, again := r.piece(); !errors.Is(again, r.end) || c.Reusable() {
					t.Errorf("after it: %v, reusable %v", again, c.Reusable())
				}
			}
			c.Rest()
		})
	}
}

// A value that was given out stays what it was, although the next one that is
// the same is not copied again.
func TestHeaderStays(t *testing.T) {
	var values []string
	long := strings.Repeat("x", maxKnown+1)
	for _, value := range []string{"text/a", "text/b", "text/b", "", long, "text/b", "TEXT/B"} {
		c, _, _, err := exchange("GET", "HTTP/1.1 200 OK\r\nContent-Type: "+value+"\r\nContent-Length: 0\r\n\r\n", 0)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, c.answer.Header("content-type"))
		c.Rest()
	}
	if got, want := strings.Join(values, " "), "text/a text/b text/b  "+long+" text/b TEXT/B"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What net/http reads otherwise than we do, and why we may differ: we refuse
// more (see TestAnswers), and pass over an empty line and 1xx answers before the
// one that counts. Nothing that both accept may differ.
func FuzzResponse(f *testing.F) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, seed := range []string{
		ok + "Content-Length: 3\r\n\r\nabc",
		ok + "Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nA: b\r\n\r\n",
		ok + "Connection: close\r\n\r\nuntil the end",
		"HTTP/1.0 404 Not Found\r\nContent-Length: 1\r\n\r\na",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
		"\r\n" + ok + "A:\tb \r\nContent-Length : 1\r\n\r\na",
		ok + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
	} {
		f.Add([]byte(seed), uint8(0))
		f.Add([]byte(seed), uint8(1))
	}
	f.Fuzz(func(t *testing.T, answer []byte, n uint8) {
		c, status, body, err := exchange("GET", string(answer), int(n))
		kind(t, err)
		c.Exchange()
		if err != nil {
			return
		}
		// net/http passes over no empty line, and leaves 1xx to its transport.
		in := bufio.NewReader(bytes.NewReader(answer))
		for {
			if b, _ := in.Peek(2); len(b) > 0 && b[0] == '\n' {
				in.Discard(1)
			} else if string(b) == "\r\n" {
				in.Discard(2)
			}
			want, err := http.ReadResponse(in, &http.Request{Method: "GET"})
			if err != nil {
				t.Skip("refused there")
			}
			if want.StatusCode < 200 {
				continue
			}
			wantBody, err := io.ReadAll(want.Body)
			if err != nil {
				// It is stricter in what follows the last chunk.
				t.Skip("refused there")
			}
			if status != want.StatusCode || !bytes.Equal(body, wantBody) {
				t.Fatalf("got %d %q, net/http has %d %q", status, body, want.StatusCode, wantBody)
			}
			if !c.dirty && want.Close {
				t.Fatal("kept alive although net/http closes")
			}
			return
		}
	})
}

// FuzzReads: an answer is the same, and so is what is told of it, in whatever
// pieces it comes.
func FuzzReads(f *testing.F) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, seed := range []string{
		ok + "Retry-After:  7 \r\nretry-after: 8\r\nContent-Length: 3\r\n\r\nabc",
		ok + "Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.1 100 Continue\nRetry-After: 9\n\nHTTP/1.0 503 No\nRetry-After : 1\n\n",
		"\r\n" + ok + "A: b\rc\r\n\r\n",
		ok + "Connection: x, close\r\nCont",
	} {
		f.Add([]byte(seed), uint8(1))
		f.Add([]byte(seed), uint8(5))
	}
	f.Fuzz(func(t *testing.T, answer []byte, n uint8) {
		type told struct {
			status           int
			body, evidence   string
			failed, retrying string
		}
		tell := func(n int) (all told) {
			c, status, body, err := exchange("GET", string(answer), n)
			all.status, all.body = status, string(body)
			_, all.evidence = c.Exchange()
			if err != nil {
				all.failed = err.Error()
			}
			for value := range c.answer.Fields("Retry-After") {
				all.retrying += c.answer.Header("RETRY-AFTER") + " " + string(value) + "\n"
			}
			c.Rest()
			return all
		}
		if whole, pieces := tell(0), tell(int(n)); whole != pieces {
			t.Fatalf("at once %+v\nin reads of %d %+v", whole, n, pieces)
		}
	})
}

func TestReset(t *testing.T) {
	for answer, want := range map[string]Kind{
		"":     Lost,
		"HTTP": Truncated,
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc": Truncated,
	} {
		c := New(&memory{in: []byte(answer), end: syscall.ECONNRESET}, &Target{})
		r, err := c.Do(&Request{Method: "GET", Path: "/"})
		if err == nil {
			_, err = r.ReadAll(9)
		}
		if k := kind(t, err); k != want || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%q: got %v, want %v", answer, err, want)
		}
	}
}

func TestReadAllLimit(t *testing.T) {
	c := New(&memory{in: []byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde")}, &Target{})
	r, err := c.Do(&Request{Method: "GET", Path: "/", Deadline: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadAll(4); kind(t, err) != Malformed {
		t.Errorf("got %v, want malformed", err)
	}
}
