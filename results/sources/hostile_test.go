package sources_test

import (
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results/books"
	"github.com/flashcrowd/flashcrowd/results/sources"
)

// FuzzPostgres: whatever answers at a database's address, reading ends, and no
// message has the password.
func FuzzPostgres(f *testing.F) {
	const (
		hello  = "NR\x00\x00\x00\x08\x00\x00\x00\x00Z\x00\x00\x00\x05I" // no TLS, no password, ask
		begun  = "C\x00\x00\x00\x0aBEGIN\x00" + "Z\x00\x00\x00\x05T"    // in a transaction
		parsed = "1\x00\x00\x00\x04" + "t\x00\x00\x00\x06\x00\x00"
	)
	f.Add([]byte(hello + begun + parsed + "T\x00\x00\x00\x21\x00\x01order_id\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x19\xff\xff\xff\xff\xff\xff\x00\x00Z\x00\x00\x00\x05T"))
	f.Add([]byte(hello + begun + "E\x00\x00\x00\x10SERROR\x00Mno\x00\x00"))
	f.Add([]byte("NR\x00\x00\x00\x08\x00\x00\x00\x03"))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() { // ends with the listener
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.SetDeadline(time.Now().Add(time.Second))
				c.Write(answer)
				c.(*net.TCPConn).CloseWrite()
				io.Copy(io.Discard, c)
				c.Close()
			}
		}()
		_, err = gather(t, sources.Config{Mapping: books.Mapping{
			Source: books.Postgres, URL: "postgres://me:" + "pass1word@" + l.Addr().String() + "/shop", Orders: books.Table{Query: "SELECT 1"}}})
		if err == nil || strings.Contains(err.Error(), "pass1word") {
			t.Errorf("error: %v", err)
		}
	})
}

// FuzzPassword: whatever a password is, and however it is written into an
// address, no message has it.
func FuzzPassword(f *testing.F) {
	for _, p := range []string{"p@ss/w0rd", "a?b=c#d", "one:two@three", "per%cent", "100%41", "with space", `back\slash'`, "[::1]:5", "中文密码", "a&host=1.2.3.4"} {
		f.Add(p, true)
		f.Add(p, false)
	}
	f.Fuzz(func(t *testing.T, password string, escaped bool) {
		if len(password) < 6 || strings.Contains("postgres://user@127.0.0.1:1/shop database connection refused", password) {
			return
		}
		in := password
		if escaped {
			in = url.QueryEscape(password)
		}
		_, err := gather(t, sources.Config{Mapping: books.Mapping{
			Source: books.Postgres, URL: "postgres://user:" + in + "@127.0.0.1:1/shop", Orders: books.Table{Query: "SELECT 1"}}})
		if err == nil || strings.Contains(err.Error(), password) {
			t.Errorf("error: %v", err)
		}
	})
}
