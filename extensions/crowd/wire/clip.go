package wire

import "strings"

// Clip makes text that a backend wrote fit for a reason that people read: it is
// short, valid and does not hold on to the answer it came from.
func Clip(s string) string {
	const most = 120
	if len(s) <= most {
		return strings.ToValidUTF8(strings.Clone(s), "\ufffd")
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
