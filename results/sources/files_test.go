package sources_test

import (
	"bytes"
	"compress/gzip"
	"runtime"
	"strings"
	"testing"

	"github.com/flashcrowd/flashcrowd/results/books"
	"github.com/flashcrowd/flashcrowd/results/sources"
)

const (
	head = "order_id,key,amount,currency\n"
	line = `{"order_id":"o1","key":"k1","amount":900,"currency":"CNY"}` + "\n"
)

func packed(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(text))
	z.Close()
	return b.String()
}

func TestFiles(t *testing.T) {
	for _, tt := range []struct{ name, file, text, want, problem string }{
		{name: "csv", text: head + "o1,k1,900,CNY\no2,,5,CNY\n", want: "o o1 k1 900 CNY, o o2  5 CNY"},
		{name: "carriage returns, empty lines, quotes, a mark", text: "\xef\xbb\xbf" + strings.ReplaceAll(head+"\n\"o,1\",\"k\"\"1\",900,CNY\n", "\n", "\r\n"), want: `o o,1 k"1 900 CNY`},
		{name: "a header alone", text: head},
		{name: "empty", problem: "orders.csv is empty: it has no header"},
		{name: "a missing column", text: "order_id,key,total,currency\n", problem: `orders.csv: there is no column "amount" (audit.orders.columns.amount)`},
		{name: "a column twice", text: "order_id,key,key\n", problem: `orders.csv: line 1: the header has "key" twice`},
		{name: "the same row twice", text: head + "o1,k1,900,CNY\no1,k1,900,CNY\n", want: "o o1 k1 900 CNY", problem: `orders.csv: line 3: the same row is there a second time: order "o1"`},
		{name: "cut off between cells", text: head + "o1,k1,900,CNY\no2,k2", want: "o o1 k1 900 CNY", problem: "orders.csv: line 3: the last line has no line feed at its end: it may be cut off"},
		{name: "cut off in the last cell", text: head + "o1,k1,900,CNY\no2,k2,900,CN", want: "o o1 k1 900 CNY", problem: "orders.csv: line 3: the last line has no line feed"},
		{name: "cut off in the header", text: head[:10], problem: "orders.csv: line 1: the last line has no line feed"},
		{name: "cut off in quotes", text: head + "o1,\"k1", problem: "orders.csv: line 2: "},
		{name: "too few cells", text: head + "o1,k1,900\n", problem: "orders.csv: line 2: it has 3 cells, the header 4"},
		{name: "a quote in a cell", text: head + "o1,k\"1,900,CNY\n", problem: "orders.csv: line 2: bare \""},
		{name: "after a cell with a line break", text: head + "o1,\"k\n1\",900,CNY\no2,k,x,CNY\n", want: "o o1 k\n1 900 CNY", problem: `orders.csv: line 4: "amount": "x" is no amount`},
		{name: "a quote that nothing closes", text: head + "o1,\"" + strings.Repeat("x\n", 1<<20), problem: "a row has more than 1048576 bytes"},
		{name: "a quote in the first cell that nothing closes", text: head + "o1,k1,900,CNY\n\"" + strings.Repeat("x\n", 1<<20), want: "o o1 k1 900 CNY", problem: "orders.csv: after line 2: a row has more than 1048576 bytes"},
		{name: "not UTF-8", text: head + "o1,k\xff,900,CNY\n", problem: "orders.csv: line 2: cell 2 is not UTF-8"},
		{name: "UTF-16", text: "\xff\xfeo\x00", problem: "orders.csv: it is UTF-16"},
		{name: "packed", file: "orders.csv.gz", text: packed(head + "o1,k1,900,CNY\n"), want: "o o1 k1 900 CNY"},
		{name: "packed and cut off", file: "orders.csv.gz", text: packed(head + "o1,k1,900,CNY\n")[:40], problem: "orders.csv.gz: "},
		{name: "not packed", file: "orders.csv.gz", text: head, problem: "orders.csv.gz: unpack it"},

		{name: "ndjson", file: "o.ndjson", text: line + "\r\n" + strings.ReplaceAll(line, "o1", "o2"), want: "o o1 k1 900 CNY, o o2 k1 900 CNY"},
		{name: "ndjson without the last line feed", file: "o.ndjson", text: strings.TrimSpace(line), want: "o o1 k1 900 CNY"},
		{name: "ndjson cut off", file: "o.ndjson", text: line + line[:30], want: "o o1 k1 900 CNY", problem: "o.ndjson: line 2: it is no JSON object, and has no line feed at its end: it may be cut off"},
		{name: "no JSON", file: "o.ndjson", text: "Error: timeout\n", problem: "o.ndjson: line 1: it is no JSON object"},
		{name: "a list", file: "o.ndjson", text: "[" + strings.TrimSpace(line) + "]\n", problem: "o.ndjson: line 1: it is no JSON object"},
		{name: "a field is missing", file: "o.ndjson", text: line + `{"order_id":"o2","key":"k","amount":1}` + "\n", want: "o o1 k1 900 CNY", problem: `o.ndjson: line 2: it has no "currency"`},
		{name: "half a minor unit", file: "o.ndjson", text: `{"order_id":"o2","key":"k","amount":1.5,"currency":"CNY"}` + "\n", problem: `o.ndjson: line 1: "amount": "1.5" is no whole number of minor units`},
		{name: "endless", file: "o.ndjson", text: strings.Repeat("x", 2<<20), problem: "o.ndjson: line 1: it has more than 1048576 bytes"},
		{name: "nothing", file: "none.csv", problem: "there is no file none.csv\nhint: it is looked for beside the campaign, or in --data DIR"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if tt.file == "" {
				tt.file = "orders.csv"
			}
			if tt.file != "none.csv" {
				write(t, dir, tt.file, tt.text)
			}
			rows, err := gather(t, sources.Config{Dir: dir, Mapping: books.Mapping{Source: books.Files, Orders: books.Table{File: tt.file}}})
			check(t, rows, err, tt.want, tt.problem)
		})
	}
}

func TestFilesTogether(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "o.ndjson", `{"no":7,"meta":{"key":"k"},"sum":"9.00"}`+"\n")
	write(t, dir, "c.csv", "coupon_id,order_id\nc1,o1\nc2,\n")
	write(t, dir, "s.ndjson", `{"stock_id":"s","paused":[{"from":"2026-02-06T12:00:00Z","until":null}]}`+"\n")
	write(t, dir, "i.csv", "item,seats\nt1,40\n")
	rows, err := gather(t, sources.Config{Dir: dir, Mapping: books.Mapping{
		Source: books.Files, Currency: "CNY", Decimals: 2,
		Orders:  books.Table{File: "o.ndjson", Columns: map[string]string{"id": "no", "key": "meta.key", "amount": "sum"}},
		Coupons: books.Table{File: "c.csv"}, Stocks: books.Table{File: "s.ndjson"}, Seats: books.Table{File: "i.csv"},
	}})
	check(t, rows, err, "o 7 k 900 CNY, c c1 o1, c c2 , s s 1, i t1 40", "")
	if _, err := gather(t, sources.Config{Dir: dir, Mapping: books.Mapping{Source: books.Files, Orders: books.Table{File: "../o.csv"}}}); err == nil {
		t.Error("a file outside of the folder was opened")
	}
}

// Memory does not grow with the books, but for what tells repeated rows.
func TestFilesStream(t *testing.T) {
	const rows = 200_000
	var b strings.Builder
	b.WriteString(head)
	for i := range rows {
		b.WriteString("o")
		b.WriteString(strings.Repeat("0", 20))
		for n := i; n > 0; n /= 10 {
			b.WriteByte(byte('0' + n%10))
		}
		b.WriteString("x,k,900,CNY\n")
	}
	dir := t.TempDir()
	write(t, dir, "orders.csv", b.String())
	b.Reset()
	s, err := sources.Open(t.Context(), sources.Config{Dir: dir, Run: noon, Mapping: books.Mapping{Source: books.Files, Orders: books.Table{File: "orders.csv"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n := 0
	for _, err := range s.Books.Orders {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == rows {
			runtime.GC()
			runtime.ReadMemStats(&after)
		}
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); n != rows || grown > 24*rows {
		t.Errorf("%d rows, %d bytes for each", n, grown/rows)
	}
}

// FuzzFiles: whatever a file holds, reading ends, and nothing comes after an
// error. Errors name the file.
func FuzzFiles(f *testing.F) {
	f.Add("orders.csv", head+"o1,k1,900,CNY\n")
	f.Add("orders.csv", head+"o1,\"k\n1\",900,CNY\no2,k")
	f.Add("orders.ndjson", line+line[:20])
	f.Add("orders.ndjson", "{}\n[]\nnull\n")
	f.Add("orders.csv.gz", packed(head))
	f.Fuzz(func(t *testing.T, name, text string) {
		if name != "orders.csv" && name != "orders.ndjson" && name != "orders.csv.gz" {
			return
		}
		dir := t.TempDir()
		write(t, dir, name, text)
		if _, err := gather(t, sources.Config{Dir: dir, Mapping: books.Mapping{Source: books.Files, Orders: books.Table{File: name}}}); err != nil && !strings.Contains(err.Error(), name) {
			t.Errorf("error without its file: %v", err)
		}
	})
}
