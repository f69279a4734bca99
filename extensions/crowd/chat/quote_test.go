package chat

import (
	"bytes"
	"testing"

	"github.com/tidwall/gjson"
)

// FuzzAppendString: a string is spelled as gjson spells it.
func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "来一杯珍珠奶茶", "milk tea", "“tea”", "a\u2028b\u2029", "<b>&", "\"\\\x00\x1f\x7f\n", "茶\xe8\x8c", "\xff", "\xed\xa0\x80"} {
		f.Add(s)
	}
	for c := range 256 {
		f.Add("a" + string([]byte{byte(c)}) + "b")
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := appendString([]byte("x"), s), gjson.AppendJSONString([]byte("x"), s); !bytes.Equal(got, want) {
			t.Fatalf("%q: %s, want %s", s, got, want)
		}
	})
}
