package chat

import (
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// appendString appends a JSON string, as gjson does. What people say has rarely
// anything to escape, and stands there as it is.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if escaping[s[i]] {
			return gjson.AppendJSONString(b, s)
		}
	}
	if !utf8.ValidString(s) {
		return gjson.AppendJSONString(b, s)
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// escaping are the bytes that gjson escapes, and the one that begins the
// characters which it escapes (U+2028 and U+2029).
var escaping = func() (all [256]bool) {
	for c := range all {
		all[c] = c < ' ' || strings.IndexByte("\"\\<>&\xe2", byte(c)) >= 0
	}
	return all
}()
