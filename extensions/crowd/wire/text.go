package wire

import "bytes"

// cut is bytes.Cut at one byte; without it, all is before.
func cut(b []byte, c byte) (before, after []byte) {
	if i := bytes.IndexByte(b, c); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// equalFold compares without case, in ASCII alone: strings.EqualFold takes a
// Kelvin sign for a k, and a head is no place for that.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	if string(b) == s {
		return true
	}
	for i, c := range b {
		if lower(c) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// trim removes HTTP's optional white space, which is less than Unicode's.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for n := len(b); n > 0 && (b[n-1] == ' ' || b[n-1] == '\t'); n-- {
		b = b[:n-1]
	}
	return b
}

// containsToken says whether a comma-separated list holds a token.
func containsToken(list []byte, token string) bool {
	for len(list) > 0 {
		var item []byte
		item, list = cut(list, ',')
		if equalFold(trim(item), token) {
			return true
		}
	}
	return false
}
