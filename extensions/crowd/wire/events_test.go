package wire

import (
	"io"
	"reflect"
	"strings"
	"testing"
)

type said struct{ name, data string }

// listen reads the events of a body that comes in chunks of size bytes (0: until
// the close) and reads of n.
func listen(t testing.TB, body string, size, n int) []said {
	answer := "HTTP/1.1 200 OK\r\n"
	if size == 0 {
		answer += "\r\n" + body
	} else {
		answer += "Transfer-Encoding: chunked\r\n\r\n"
		for rest := body; rest != ""; {
			k := min(size, len(rest))
			answer, rest = answer+chunkOf(rest[:k]), rest[k:]
		}
		answer += "0\r\n\r\n"
	}
	c := New(&memory{in: []byte(answer), n: func() int { return n }}, &Target{})
	defer c.Rest()
	r, err := c.Do(&Request{Method: "GET", Path: "/"})
	if err != nil {
		t.Fatal(err)
	}
	events := r.Events()
	var all []said
	for {
		e, err := events.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, said{e.Name, string(e.Data)})
	}
}

func TestEvents(t *testing.T) {
	for _, test := range []struct {
		name, body string
		want       []said
	}{
		{"one", "data: a\n\n", []said{{"", "a"}}},
		{"CR", "data: a\r\rdata: b\r\r", []said{{"", "a"}, {"", "b"}}},
		{"CRLF", "data: a\r\n\r\ndata: b\r\n\r\n", []said{{"", "a"}, {"", "b"}}},
		{"mixed", "data: a\r\ndata: b\rdata: c\n\r\n", []said{{"", "a\nb\nc"}}},
		{"LF CR is two ends", "data: a\n\rdata: b\n\n", []said{{"", "a"}, {"", "b"}}},
		{"named", "event: add\ndata: 73857293\n\ndata: x\n\n", []said{{"add", "73857293"}, {"", "x"}}},
		{"the last name counts", "event: a\nevent: b\ndata: x\n\n", []said{{"b", "x"}}},
		{"a name without data is forgotten", "event: a\n\ndata: x\n\n", []said{{"", "x"}}},
		{"multi-line", "data: YHOO\ndata: +2\ndata: 10\n\n", []said{{"", "YHOO\n+2\n10"}}},
		{"comment", ": test stream\n\ndata: first\nid: 1\n\n:\n\n", []said{{"", "first"}}},
		{"empty data dispatches", "data\n\ndata\ndata\n\ndata:", []said{{"", ""}, {"", "\n"}}},
		{"one space is removed", "data:test\n\ndata: test\n\ndata:  test\n\n", []said{{"", "test"}, {"", "test"}, {"", " test"}}},
		{"unknown fields", "foo: bar\nretry: 10\nid: 2\nDATA: no\n data: no\ndata : no\n\n", nil},
		{"colon in data", "data: a:b: c\n\n", []said{{"", "a:b: c"}}},
		{"byte order mark", "\ufeffdata: a\n\n", []said{{"", "a"}}},
		{"a second one is no mark", "\ufeff\ufeffdata: a\n\n", nil},
		{"one before a later line", "data: a\n\n\ufeffdata: b\n\n", []said{{"", "a"}}},
		{"one later is data", "data: \ufeff\n\n", []said{{"", "\ufeff"}}},
		{"cut off", "data: a\n\ndata: b\n", []said{{"", "a"}}},
		{"nothing", "", nil},
		{"bytes that are no UTF-8", "data: \xff\x00\n\n", []said{{"", "\xff\x00"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, size := range []int{0, 1, 2, 3, 1000} {
				for _, n := range []int{1, 2, 3, 5, 1000} {
					if got := listen(t, test.body, size, n); !reflect.DeepEqual(got, test.want) {
						t.Errorf("chunks of %d, reads of %d: got %q, want %q", size, n, got, test.want)
					}
				}
			}
		})
	}
}

// naive is the standard's text, line by line, over the whole body.
func naive(body string) []said {
	body = strings.TrimPrefix(body, "\ufeff")
	body = strings.ReplaceAll(strings.ReplaceAll(body, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(body, "\n")
	var all []said
	name, data := "", ""
	for _, line := range lines[:len(lines)-1] {
		if line == "" {
			if data != "" {
				all = append(all, said{name, strings.TrimSuffix(data, "\n")})
			}
			name, data = "", ""
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			name = value
		case "data":
			data += value + "\n"
		}
	}
	return all
}

func FuzzEvents(f *testing.F) {
	f.Add("\ufeffevent: a\r\ndata: b\r\rdata\n\n: c\ndata:d\ndata: e\n\n", uint8(3), uint8(2))
	f.Add("data: a\n\rdata: b\r\n\r\n", uint8(0), uint8(1))
	f.Add("data: "+strings.Repeat("x", 300)+"\n\n", uint8(7), uint8(200))
	f.Fuzz(func(t *testing.T, body string, size, n uint8) {
		if got, want := listen(t, body, int(size), int(n)), naive(body); !reflect.DeepEqual(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

func TestEventBeyondTheBuffer(t *testing.T) {
	want := strings.Repeat("0123456789", 5000)
	if got := listen(t, "data: "+want+"\n\n", 9000, 1<<20); len(got) != 1 || got[0].data != want {
		t.Errorf("got %d events", len(got))
	}
}

// An event is given out as soon as it is complete, without waiting for more.
func TestEventIsNotHeldBack(t *testing.T) {
	c := canned(t, once("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+chunkOf("data: a\r\r"), false))
	r, err := c.Do(soon())
	if err != nil {
		t.Fatal(err)
	}
	if e, err := r.Events().Next(); err != nil || string(e.Data) != "a" || r.At.IsZero() {
		t.Errorf("got %q at %v, %v", e.Data, r.At, err)
	}
}
